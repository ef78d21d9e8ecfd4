//! The first stage: takes datagrams from the transport, turns them into typed, validated
//! messages, and hands these to the consensus stage. Nothing else.

use std::io;

use crossbeam_channel::Sender;
use tracing::{debug, error};

use super::statistics::Statistics;
use crate::replica::Inbound;
use crate::transport::{Received, Transport};
use crate::wire::{Decoder, MAX_RECEIVED_BYTES};

/// Receives until the transport is closed or the consensus stage is gone. A full inbox makes this
/// stage wait, and so, in the end, whoever sends.
pub(super) fn run(
    transport: &dyn Transport,
    mut decoder: Decoder,
    inbox: &Sender<Inbound>,
    statistics: &Statistics,
) {
    let mut buffer = vec![0; MAX_RECEIVED_BYTES];
    let mut decoded = Vec::new();
    while receive(transport, &mut decoder, &mut buffer, &mut decoded, statistics) {
        for inbound in decoded.drain(..) {
            if inbox.send(inbound).is_err() {
                return;
            }
        }
    }
}

/// Receives one datagram; false when there will be no more.
fn receive(
    transport: &dyn Transport,
    decoder: &mut Decoder,
    buffer: &mut [u8],
    decoded: &mut Vec<Inbound>,
    statistics: &Statistics,
) -> bool {
    let result = match transport.receive(buffer) {
        Ok(Received::Datagram(length)) => decoder.decode(&mut buffer[..length], decoded),
        Ok(Received::TooLong) => Err(crate::wire::Malformed::TooLong),
        Ok(Received::Closed) => return false,
        Err(error) => return report(&error),
    };
    if let Err(reason) = result {
        debug!(%reason, "dropped a datagram");
        statistics.lock().dropped(reason);
    } else {
        statistics.lock().received += 1;
    }
    true
}

fn report(error: &io::Error) -> bool {
    error!(%error, "can't receive any more");
    false
}
