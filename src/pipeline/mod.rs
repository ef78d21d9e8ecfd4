//! The replica as a pipeline of three stages:
//!
//! ```text
//! network --> receiver --------------> consensus ---------------------> sender --> network
//!             parse, validate          Raft, state machine              merge, pack, encode
//! ```
//!
//! | file | job |
//! |---|---|
//! | `receiver` | the first stage: datagrams become validated messages |
//! | `consensus` | the second stage: takes what waits as one batch, steps the replica, hands on what comes out |
//! | `sender` | the third stage: merges, packs and sends per destination |
//! | `stages` | where the first and the third stage run: with the consensus thread, or on threads of their own |
//! | `load` | whether one thread is enough |
//! | `counts` | what a pipeline has counted when it ends |
//!
//! Each stage owns its work: the receiver the bytes that come in, the consensus stage everything that
//! Raft knows, the sender the bytes that go out. A stage is a value that is moved and never shared, and
//! each has a thread that takes it over under load.
//!
//! * **Idle**: the consensus thread has all three and runs one after the other: wait for the network with the next timer
//!   as the end, take what is there, step all of it as one batch, send. A message between two threads takes longer than
//!   all that work, because it wakes up the other one (`cargo bench --bench latency` measures both).
//! * **Busy**: when that becomes too much for one thread (`load.rs`), the other two stages move to threads of their own, and
//!   bounded channels connect them. A full channel pushes back to the network or loses what Raft can bear to lose; it
//!   never blocks the consensus thread. When it is quiet again, they come back (`stages.rs`).
//!
//! The consensus thread never waits for a network that takes no more: then it lends the sender, whose thread may.
//!
//! The end: the transport is closed, the receiver says so, the consensus thread calls back whoever is away, answers what
//! is owed and returns, and with it end the loans that the other threads wait for.

mod consensus;
mod counts;
mod load;
mod receiver;
mod sender;
mod stages;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender as Channel, bounded};

pub use counts::Counts;

use crate::clock::BootTime;
use crate::outbox::Outbox;
use crate::replica::{Options, Replica};
use crate::replication::Saved;
use crate::transport::Transport;
use crate::tuning::Tuning;
use crate::wire::{Decoder, Limits};
use consensus::{Consensus, MAX_BATCH};
use receiver::Receiver;
use sender::Sender;
use stages::{INBOX, Links, Stages};

const RECEIVER: &str = "receiver";
const SENDER: &str = "sender";
const CONSENSUS: &str = "consensus";
const STAGES: usize = 3;

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
    let &Options { own, ref peers, tuning, .. } = options;
    let (receiver_loans, receiver_lent) = bounded(1);
    let (sender_loans, sender_lent) = bounded(1);
    let (inbox_in, inbox) = bounded(INBOX);
    let (sender_back_in, sender_back) = bounded(1);
    let (ended, ends) = bounded(STAGES);

    let decoder = Decoder::new(own, peers.iter().copied());
    let receiver = Receiver::new(Arc::clone(&transport), decoder);
    let outbox = Outbox::new(own, transport.max_datagram(), tuning.coalesce);
    let Tuning { coalesce_window_us, .. } = tuning;
    let sender = Sender::new(Arc::clone(&transport), outbox, Duration::from_micros(coalesce_window_us));
    let links = Links { receiver_loans, inbox, sender_loans, sender_back };
    let stages = Stages::new(links, receiver, sender);
    let limits = Limits::new(transport.max_datagram(), tuning.topology, peers.len());
    let replica = Replica::new(options, limits, Saved::default(), BootTime::now().as_micros());
    let consensus = Consensus::new(replica, tuning.batch_of(MAX_BATCH), stages);

    spawn(RECEIVER, &ended, move || {
        (guard(RECEIVER, || receiver::run(&receiver_lent, &inbox_in)).map(|()| None), ())
    })?;
    spawn(SENDER, &ended, move || {
        (guard(SENDER, || sender::run(&sender_lent, &sender_back_in)).map(|()| None), ())
    })?;
    spawn(CONSENSUS, &ended, move || {
        // What it runs of other stages fails under their names.
        match guard(CONSENSUS, || Ok(consensus.run())) {
            Ok((counts, replica)) => (counts.map(Some), Some(replica)),
            Err(failed) => (Err(failed), None),
        }
    })?;

    let mut counts = Counts::default();
    for end in ends.iter().take(STAGES) {
        transport.stop(); // no stage is of use without the others
        if let Some(counted) = end? {
            counts = counted;
        }
    }
    Ok(counts)
}

/// Does a part of a stage's work; a failure carries the name of the stage. What a panic leaves behind is not used again:
/// the process ends.
fn guard<T>(stage: &'static str, work: impl FnOnce() -> io::Result<T>) -> Result<T, StageFailed> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| StageFailed::Network(stage, error)),
        Err(_) => Err(StageFailed::Panicked(stage)),
    }
}

/// How a thread ended; the consensus thread with what was counted.
type End = Result<Option<Counts>, StageFailed>;

/// Starts a thread that says when its work has ended, and how. What the work leaves behind is freed
/// after that.
fn spawn<T>(
    stage: &'static str,
    ended: &Channel<End>,
    work: impl FnOnce() -> (End, T) + Send + 'static,
) -> io::Result<()> {
    let ended = ended.clone();
    let run = move || {
        let (end, left) = work();
        // There is room for every thread's end; where nobody waits any more, nobody needs to know.
        drop(ended.try_send(end));
        drop(left);
    };
    thread::Builder::new().name(stage.to_owned()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as long to free as the test wants.
    struct Slow(crossbeam_channel::Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _freed = self.0.recv();
        }
    }

    #[test]
    fn end_of_a_thread_does_not_wait_until_its_memory_is_freed() {
        let (ended, ends) = bounded(1);
        let (free, freed) = bounded(1);
        spawn(CONSENSUS, &ended, move || (Ok(Some(Counts::default())), Slow(freed))).expect("it starts");
        let end = ends.recv_timeout(Duration::from_secs(60)).expect("it does not wait");
        assert!(matches!(end, Ok(Some(_))), "{end:?}");
        free.send(()).expect("the thread waits for this");
    }
}
