//! The replica as a pipeline of stages:
//!
//! ```text
//! network --> receiver --------------> consensus ---------------------> sender --> network
//!             parse, validate          Raft, state machine              merge, pack, encode
//!                                          |  ^
//!                                  changes |  | durable up to n
//!                                          v  |
//!                                      log writer, snapshot writer --> files of a directory
//! ```
//!
//! A replica in memory only has no log writer and no snapshot writer.
//!
//! | file | job |
//! |---|---|
//! | `receiver` | the first stage: datagrams become validated messages |
//! | `consensus` | the second stage: steps the replica with all inputs that wait |
//! | `sender` | the third stage: merges, packs and sends per destination |
//! | `offload` | moves any stage to a thread of its own, and back |
//! | `disk` | the log writer and the snapshot writer, for a replica with a disk |
//! | `stages` | where the other stages run: inline, or offloaded |
//! | `load` | whether one thread is enough |
//! | `publisher` | shows the replica to those that operate it |
//! | `times` | how long the stages take for a batch |
//! | `counts` | the counts of a pipeline at its end |
//!
//! Each stage owns its work: the receiver the bytes that come in, the consensus stage terms, log
//! and state machine, the sender the bytes that go out. A stage is a value that is moved and never
//! shared.
//!
//! * **Idle**: the receiver and the sender run inline on the consensus thread, which waits for the
//!   network or the next timer, takes all inputs that are there, steps them as one batch, and
//!   sends. A message between two threads takes longer than all that work, because it wakes up the
//!   other thread (`cargo bench --bench latency` measures both).
//! * **Busy**: when the work becomes too much for one thread (`load.rs`), the receiver and the
//!   sender are offloaded to threads of their own (`stages.rs`), by one mechanism for every stage
//!   (`offload.rs`). Bounded channels connect the threads. A full channel pushes back to the
//!   network or drops messages that Raft can bear to lose; it never blocks the consensus thread.
//!   When the load falls, the stages return.
//!
//! The consensus thread never waits for a network that takes no more: it offloads the sender, whose
//! thread may wait.
//!
//! The end: the transport is closed and the receiver reports it. The consensus thread recalls the
//! other stages, answers every request that still waits, and returns; with it end the threads of
//! the stages.

mod consensus;
mod counts;
mod disk;
mod load;
mod offload;
mod publisher;
mod receiver;
mod sender;
mod stages;
mod times;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender as Channel, bounded};

pub use counts::{Counts, DiskCounts};

use crate::clock::BootTime;
use crate::dialect::Dialect;
use crate::outbox::Outbox;
use crate::replica::{Options, Replica, Saved};

use crate::state_machine::Settings;
use crate::state_machine::snapshot::Decoder;
use crate::storage::{Directory, OpenError, Opened, Reason};
use crate::transport::Transport;
use crate::tuning::Tuning;
use crate::view::Board;
use crate::wire::Limits;
use consensus::{Consensus, MAX_BATCH};
use disk::{Disk, LogWriter, SnapshotWriter};
use offload::{Offloadable, Stage, Worker};
use publisher::Publisher;
use receiver::Receiver;
use sender::Sender;
use stages::Stages;
use times::Times;

const CONSENSUS: &str = "consensus";
const STAGES: usize = 3;
const DISK_STAGES: usize = 2;

/// Why a pipeline did not come to a clean end.
#[derive(Debug, thiserror::Error)]
pub enum StageFailed {
    /// A stage panicked; its message is on stderr already.
    #[error("the {0} stage panicked")]
    Panicked(&'static str),
    /// The operating system refused what the stage cannot do without.
    #[error("the {0} stage can't go on: {1}")]
    Io(&'static str, io::Error),
    /// The disk has what this replica cannot start from.
    #[error(transparent)]
    Storage(#[from] OpenError),
    /// The operating system refused a thread.
    #[error("can't start a thread: {0}")]
    NotStarted(#[from] io::Error),
}

impl StageFailed {
    /// Whether the disk failed.
    pub fn is_of_disk(&self) -> bool {
        matches!(self, Self::Io(LogWriter::NAME | SnapshotWriter::NAME, _))
    }
}

/// Runs a replica that speaks with a simulator until its transport is closed, and returns its
/// counts.
///
/// # Errors
///
/// [`StageFailed`] as soon as a stage fails. Other stages may still run then, and the process is
/// expected to end.
pub fn run(transport: Arc<dyn Transport>, options: &Options) -> Result<Counts, StageFailed> {
    let dialect = Dialect::of_simulators(options.own, &options.peers);
    run_in(Setup { dialect, transport, files: None, board: None }, options)
}

/// The surroundings of a replica.
pub struct Setup {
    /// The words that it speaks.
    pub dialect: Dialect,
    /// Its network.
    pub transport: Arc<dyn Transport>,
    /// The files of a directory that is open; `None` for a replica that is in memory only.
    pub files: Option<Opened<Directory>>,
    /// Where it shows itself; a replica without a board measures nothing for one.
    pub board: Option<Board>,
}

/// The same in any surroundings.
///
/// # Errors
///
/// As [`run`].
pub fn run_in(setup: Setup, options: &Options) -> Result<Counts, StageFailed> {
    let Setup { dialect, transport, files, board } = setup;
    let &Options { ref peers, tuning, .. } = options;
    let Dialect { decoder, encoder } = dialect;
    let stages = STAGES + if files.is_some() { DISK_STAGES } else { 0 };
    let (ended, ends) = bounded(stages);
    let times = if board.is_some() { Times::wanted() } else { Times::default() };
    let (receiver, receiver_worker) =
        Offloadable::new(Receiver::new(Arc::clone(&transport), decoder).timed(&times));
    let max_message = transport.max_datagram().saturating_sub(encoder.envelope_bytes());
    let limits = Limits::new(max_message, tuning.topology, peers.len()).in_form(encoder.form());
    let outbox = Outbox::with_encoder(encoder, transport.max_datagram(), tuning.coalesce);
    let Tuning { coalesce_window_us, .. } = tuning;
    let window = Duration::from_micros(coalesce_window_us);
    let (sender, sender_worker) =
        Offloadable::new(Sender::new(Arc::clone(&transport), outbox, window).timed(&times));
    let max_value_bytes = options.state_machine.max_value_bytes.min(limits.max_value_bytes());
    let state_machine = Settings { max_value_bytes, ..options.state_machine };
    let options = Options { state_machine, ..options.clone() };
    let (saved, disk) = match files {
        Some(opened) => {
            let (saved, disk) = start_disk(opened, state_machine, &transport, &ended)?;
            (saved, Some(disk))
        }
        None => (Saved::default(), None),
    };
    let replica = Replica::new(&options, limits, saved, BootTime::now().as_micros());
    let stages_of_consensus = Stages::new(receiver, sender, disk);
    let publisher = board.map(Publisher::new);
    let consensus =
        Consensus::new(replica, tuning.batch_of(MAX_BATCH), stages_of_consensus, publisher, times);

    spawn_worker(receiver_worker, &ended)?;
    spawn_worker(sender_worker, &ended)?;
    spawn(CONSENSUS, &ended, move || {
        // A stage that runs inline fails under its own name.
        match guard(CONSENSUS, || Ok(consensus.run())) {
            Ok((counts, replica)) => (counts.map(Some), Some(replica)),
            Err(failed) => (Err(failed), None),
        }
    })?;

    let mut counts = Counts::default();
    for end in ends.iter().take(stages) {
        transport.stop(); // no stage is of use without the others
        if let Some(counted) = end? {
            counts = counted;
        }
    }
    Ok(counts)
}

/// Loads the state machine of the newest snapshot, and starts the threads of the two stages that own
/// the files.
fn start_disk(
    opened: Opened<Directory>,
    settings: Settings,
    transport: &Arc<dyn Transport>,
    ended: &Channel<End>,
) -> Result<(Saved, Disk), StageFailed> {
    let Opened { log, snapshots, state: persistent, .. } = opened;
    let state_machine = match snapshots.newest() {
        Some(_) => {
            let mut decoder = Decoder::new(settings);
            snapshots.load(|chunk| decoder.push(chunk).map_err(|_| Reason::Contents))?;
            Some(decoder.finish().map_err(|_| snapshots.damaged(Reason::Contents))?)
        }
        None => None,
    };
    let (log, log_worker) = Offloadable::new(LogWriter::new(log));
    let (snapshots, snapshots_worker) = Offloadable::new(SnapshotWriter::new(snapshots));
    spawn_worker(log_worker, ended)?;
    spawn_worker(snapshots_worker, ended)?;
    Ok((Saved { persistent, state_machine }, Disk::new(log, snapshots, Arc::clone(transport))))
}

/// Does a part of a stage's work; a failure carries the name of the stage. A stage that panicked is
/// not used again: the process ends.
fn guard<T>(stage: &'static str, work: impl FnOnce() -> io::Result<T>) -> Result<T, StageFailed> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| StageFailed::Io(stage, error)),
        Err(_) => Err(StageFailed::Panicked(stage)),
    }
}

/// How a thread ended; the consensus thread returns the counts.
type End = Result<Option<Counts>, StageFailed>;

/// Starts the thread of a stage that can be offloaded.
fn spawn_worker<S: Stage>(worker: Worker<S>, ended: &Channel<End>) -> io::Result<()> {
    spawn(S::NAME, ended, move || (guard(S::NAME, || worker.run()).map(|()| None), ()))
}

/// Starts a thread that reports when its work has ended, and how. The values that the work leaves
/// behind are freed after that.
fn spawn<T>(
    stage: &'static str,
    ended: &Channel<End>,
    work: impl FnOnce() -> (End, T) + Send + 'static,
) -> io::Result<()> {
    let ended = ended.clone();
    let run = move || {
        let (end, left) = work();
        // There is room for every thread's end. After a failure, `run` has returned and waits for
        // none.
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
