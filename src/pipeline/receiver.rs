//! The first stage: takes datagrams from the transport, turns them into typed, validated
//! messages, and hands these to the consensus stage. Nothing else.

use std::io;

use crossbeam_channel::Sender;
use tracing::debug;

use super::statistics::Statistics;
use crate::transport::{Received, Transport};
use crate::wire::{Decoder, Inbound, MAX_RECEIVED_BYTES, Malformed};

/// Receives until the transport is closed or the consensus stage is gone. A full inbox makes this
/// stage wait, and so, in the end, whoever sends.
///
/// # Errors
///
/// What the transport reports.
pub(super) fn run(
    transport: &dyn Transport,
    mut decoder: Decoder,
    inbox: &Sender<Inbound>,
    statistics: &Statistics,
) -> io::Result<()> {
    let mut buffer = vec![0; MAX_RECEIVED_BYTES];
    let mut decoded = Vec::new();
    loop {
        let result = match transport.receive(&mut buffer)? {
            Received::Datagram(length) => decoder.decode(&mut buffer[..length], &mut decoded),
            Received::TooLong => Err(Malformed::TooLong),
            Received::Closed => return Ok(()),
        };
        match result {
            Ok(()) => statistics.lock().received += 1,
            Err(reason) => {
                debug!(%reason, "dropped a datagram");
                statistics.lock().dropped(reason);
            }
        }
        for inbound in decoded.drain(..) {
            if inbox.send(inbound).is_err() {
                return Ok(());
            }
        }
    }
}
