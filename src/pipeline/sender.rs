//! The third stage: takes what the consensus stage hands over, all of it that waits, lets the
//! outbox merge and pack it per destination, and sends it. It adds no delay.

use std::io;

use crossbeam_channel::Receiver;

use super::statistics::Statistics;
use crate::outbox::Outbox;
use crate::transport::Transport;
use crate::wire::Outbound;

/// Sends until the consensus stage is gone and all is sent, or the transport is closed.
///
/// # Errors
///
/// What the transport reports, if it does not mean that the other side is gone.
pub(super) fn run(
    transport: &dyn Transport,
    mut outbox: Outbox,
    batches: &Receiver<Vec<Outbound>>,
    statistics: &Statistics,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Ok(batch) = batches.recv() {
        for outbound in std::iter::once(batch).chain(batches.try_iter()).flatten() {
            outbox.push(outbound);
        }
        while outbox.next(&mut buffer) {
            match transport.send(&buffer) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                result => result?,
            }
            statistics.lock().sent += 1;
        }
        statistics.lock().outbox = outbox.counts();
    }
    Ok(())
}
