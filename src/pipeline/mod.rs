//! The replica as a pipeline of three threads:
//!
//! ```text
//! network --> receiver --[bounded channel]--> consensus --[bounded channel]--> sender --> network
//!             parse, validate                 Raft, state machine              merge, pack, encode
//! ```
//!
//! Each stage owns its work: the receiver the bytes that come in, the consensus thread everything that
//! Raft knows, the sender the bytes that go out. Nothing is shared but counts. A full channel
//! pushes back to the network or loses what Raft can bear to lose; it never blocks the consensus thread.
//!
//! The stages end in this order: the transport is closed, the receiver returns and with it
//! the inbox ends, the consensus thread answers what is owed and returns, the sender sends that and returns.

mod consensus;
mod receiver;
mod sender;
mod statistics;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Sender, bounded};

pub use statistics::Counts;

use crate::outbox::Outbox;
use crate::raft::types::Saved;
use crate::replica::{Options, Replica};
use crate::transport::Transport;
use crate::wire::Decoder;
use consensus::{Consensus, MAX_BATCH};
use statistics::Statistics;

const STAGES: usize = 3;

/// How many inputs may wait for the consensus thread: some hundred milliseconds of work.
const INBOX: usize = 8_192;

/// How many batches may wait for the sender.
const OUTBOX: usize = 1_024;

/// Why a pipeline did not come to a clean end.
#[derive(Debug, thiserror::Error)]
pub enum StageFailed {
    /// A stage panicked; its message is on stderr already.
    #[error("the {0} stage panicked")]
    Panicked(&'static str),
    /// The network can't be used any more.
    #[error("the {0} stage can't go on: {1}")]
    Network(&'static str, io::Error),
    /// The operating system refused a thread.
    #[error("can't start a thread: {0}")]
    NotStarted(#[from] io::Error),
}

/// Runs a replica until its transport is closed, and returns what was counted.
///
/// # Errors
///
/// [`StageFailed`] as soon as a stage failed; others may still be running then, and the
/// process is expected to end.
pub fn run(transport: Arc<dyn Transport>, options: &Options) -> Result<Counts, StageFailed> {
    let &Options { own, ref peers, levers, .. } = options;
    let statistics = Arc::new(Statistics::default());
    let (inbox_in, inbox_out) = bounded(INBOX);
    let (outbox_in, outbox_out) = bounded(OUTBOX);
    let (ended_in, ended_out) = bounded(STAGES);

    let decoder = Decoder::new(own, peers.iter().copied());
    let (receives, counts) = (Arc::clone(&transport), Arc::clone(&statistics));
    spawn("receiver", &ended_in, move || receiver::run(&*receives, decoder, &inbox_in, &counts))?;

    let outbox = Outbox::new(own, transport.max_datagram(), levers.coalesce);
    let (sends, counts) = (Arc::clone(&transport), Arc::clone(&statistics));
    spawn("sender", &ended_in, move || sender::run(&*sends, outbox, &outbox_out, &counts))?;

    let replica = Replica::new(options, Saved::default(), 0);
    let max_batch = levers.batch_of(MAX_BATCH);
    let consensus = Consensus::new(replica, max_batch, inbox_out, outbox_in, Arc::clone(&statistics));
    spawn("consensus", &ended_in, move || {
        consensus.run();
        Ok(())
    })?;

    for (stage, end) in ended_out.iter().take(STAGES) {
        match end {
            End::Clean => transport.stop(), // no stage is of use without the others
            End::Failed(error) => return Err(StageFailed::Network(stage, error)),
            End::Panicked => return Err(StageFailed::Panicked(stage)),
        }
    }
    Ok(std::mem::take(&mut *statistics.lock()))
}

/// How a stage ended.
enum End {
    Clean,
    Failed(io::Error),
    Panicked,
}

/// Starts a stage that says when it has ended, and how.
fn spawn(
    stage: &'static str,
    ended: &Sender<(&'static str, End)>,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let ended = ended.clone();
    let run = move || {
        // What a panic leaves behind is not used again: the process ends.
        let end = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => End::Clean,
            Ok(Err(error)) => End::Failed(error),
            Err(_) => End::Panicked,
        };
        // There is room for every stage's end; where nobody waits any more, nobody needs to know.
        let _unheard = ended.try_send((stage, end));
    };
    thread::Builder::new().name(stage.to_owned()).spawn(run).map(drop)
}
