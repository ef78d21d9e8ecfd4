//! A third stage by the same mechanism: a log writer whose disk is played by the test. No test
//! waits for a time to pass: the disk says when it begins a sync, and ends it when the script lets
//! it.

use std::collections::VecDeque;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Select, Sender, bounded, unbounded};
use proptest::prelude::*;

use super::*;
use crate::id::Id;
use crate::pipeline::receiver;
use crate::testkit::id;
use crate::transport::{Hub, MemoryTransport, Received, Transport};
use crate::wire::Decoder;

/// Only a test that fails waits so long.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

const MAX_WRITES: usize = 4;
const WRITE_BYTES: usize = 10;

/// Writes from this number on weigh nothing.
const FIRST_LIGHT: u64 = 100;

/// Takes all writes that wait as one sync, and reports the number of the last that is durable.
struct LogWriter {
    waiting: Vec<u64>,
    begun: Sender<Vec<u64>>, // the writes of each sync, when it begins
    ends: Receiver<()>,      // one for each sync that may end; a closed channel lets all end
}

impl LogWriter {
    fn sync(&mut self) -> Option<u64> {
        let durable = *self.waiting.last()?;
        self.begun.send(std::mem::take(&mut self.waiting)).expect("the test reads it");
        let _closed = self.ends.recv();
        Some(durable)
    }
}

impl Stage for LogWriter {
    const NAME: &'static str = "log writer";
    const CAPACITY: Capacity =
        Capacity { inputs: MAX_WRITES, input_bytes: 3 * WRITE_BYTES, outputs: MAX_WRITES };

    type Input = u64;
    type Output = u64;

    fn weight(write: &u64) -> usize {
        if *write < FIRST_LIGHT { WRITE_BYTES } else { 0 }
    }

    fn serve(&mut self, port: &mut Port<Self>) -> io::Result<()> {
        loop {
            if let Some(durable) = self.sync()
                && !port.send(durable)
            {
                return Ok(());
            }
            if port.take_inputs(None, |write| self.waiting.push(write)) == Waited::Recalled {
                return Ok(());
            }
        }
    }
}

/// The test's side of a log writer: the consensus thread and the disk.
struct Script {
    writer: Offloadable<LogWriter>,
    thread: JoinHandle<io::Result<()>>,
    begun: Receiver<Vec<u64>>,
    ends: Sender<()>,
}

impl Script {
    fn start() -> Self {
        let (begun_in, begun) = unbounded();
        let (ends, ends_out) = unbounded();
        let stage = LogWriter { waiting: Vec::new(), begun: begun_in, ends: ends_out };
        let (writer, worker) = Offloadable::new(stage);
        Self { writer, thread: thread::spawn(|| worker.run()), begun, ends }
    }

    /// Hands a write over, and waits until the disk begins to sync it.
    fn begin_sync(&mut self, write: u64) {
        assert_eq!(self.writer.hand_over(write), Ok(()));
        assert_eq!(self.begun.recv_timeout(TEST_TIMEOUT), Ok(vec![write]));
    }

    fn end_sync(&self) {
        self.ends.send(()).expect("the disk is there");
    }

    /// The next arrival from the log writer, which is certain to come.
    fn next(&mut self) -> Event<u64> {
        self.writer.next_until(BootTime::now() + TEST_TIMEOUT)
    }

    /// Ends the log writer; its thread must not have failed.
    fn end(self) -> LogWriter {
        drop(self.ends);
        let stage = self.writer.into_stage().expect("the thread has not failed");
        self.thread.join().expect("no panic").expect("no failure");
        stage
    }
}

#[test]
fn inline_stage_works_on_the_callers_thread_and_takes_no_input() {
    let mut script = Script::start();
    assert_eq!(script.writer.hand_over(7), Err(7));
    script.end_sync();
    let durable = script.writer.run_inline(|writer| {
        writer.waiting = vec![1, 2];
        Ok(writer.sync())
    });
    assert!(matches!(durable, Some(Ok(Some(2)))), "{durable:?}");
    assert_eq!(script.begun.try_recv(), Ok(vec![1, 2]));
    let failed = script.writer.run_inline(|_| Err::<(), _>(io::ErrorKind::StorageFull.into()));
    assert!(matches!(failed, Some(Err(StageFailed::Io("log writer", _)))), "{failed:?}");
    script.end();
}

#[test]
fn offloaded_log_writer_syncs_all_that_waits_at_once() {
    let mut script = Script::start();
    script.writer.offload(None);
    assert!(script.writer.run_inline(|_| Ok(())).is_none());
    script.begin_sync(1);
    for write in 2..=3 {
        assert_eq!(script.writer.hand_over(write), Ok(()));
    }
    assert!(!script.writer.has_taken_all());
    assert_eq!(script.writer.try_next(), Event::Nothing, "nothing is durable");
    script.end_sync();
    assert_eq!(script.next(), Event::Output(1));
    assert_eq!(script.begun.recv_timeout(TEST_TIMEOUT), Ok(vec![2, 3]));
    assert!(script.writer.has_taken_all());
    script.end_sync();
    assert_eq!(script.next(), Event::Output(3));
    script.end();
}

#[test]
fn recalled_stage_finishes_its_inputs_and_returns_behind_its_outputs() {
    let mut script = Script::start();
    for first in [1, 11] {
        script.writer.offload(None);
        script.begin_sync(first);
        assert_eq!(script.writer.hand_over(first + 1), Ok(()));
        script.writer.recall();
        script.writer.recall();
        script.writer.offload(None);
        assert!(script.writer.is_recalled(), "a stage on its way cannot be offloaded");
        assert_eq!(script.writer.hand_over(99), Err(99), "the consensus thread keeps new inputs");
        script.end_sync();
        script.end_sync();
        assert_eq!(script.next(), Event::Output(first));
        assert_eq!(script.next(), Event::Output(first + 1));
        assert_eq!(script.next(), Event::Returned);
        assert!(script.writer.is_inline());
        assert_eq!(script.begun.try_recv(), Ok(vec![first + 1]), "before the stage returned");
    }
    script.end();
}

#[test]
fn full_stage_gives_an_input_back_until_it_has_done_some() {
    let mut script = Script::start();
    script.writer.offload(None);
    script.begin_sync(1);
    for write in 2..=3 {
        assert_eq!(script.writer.hand_over(write), Ok(()));
    }
    assert_eq!(script.writer.hand_over(4), Err(4), "the write that is being synced counts");
    script.end_sync();
    assert_eq!(script.begun.recv_timeout(TEST_TIMEOUT), Ok(vec![2, 3]));
    for write in FIRST_LIGHT..FIRST_LIGHT + MAX_WRITES as u64 {
        assert_eq!(script.writer.hand_over(write), Ok(()));
    }
    assert_eq!(script.writer.hand_over(200), Err(200), "as many inputs wait as there may");
    script.end();
}

#[test]
fn stage_that_waits_for_room_for_its_outputs_loses_none() {
    let mut script = Script::start();
    script.writer.offload(None);
    let writes = 2 * MAX_WRITES as u64;
    (0..writes).for_each(|_| script.end_sync());
    for write in 1..=writes {
        // Every write is a sync of its own, and the last outputs find no room.
        script.begin_sync(write);
        if write > MAX_WRITES as u64 {
            assert_eq!(script.next(), Event::Output(write - MAX_WRITES as u64));
        }
    }
    for write in writes - MAX_WRITES as u64 + 1..=writes {
        assert_eq!(script.next(), Event::Output(write));
    }
    script.end();
}

/// A replica on a network inside the process.
fn network() -> (Hub, Id, Arc<MemoryTransport>) {
    let (hub, own) = (Hub::new(100), id(0));
    let transport = hub.attach(own);
    (hub, own, transport)
}

#[test]
fn log_writer_wakes_a_consensus_thread_that_waits_for_the_network() {
    let (_hub, _, transport) = network();
    let mut script = Script::start();
    script.writer.offload(Some(transport.waker()));
    let wait = || transport.receive(&mut [], Some(BootTime::now() + TEST_TIMEOUT)).expect("no error");
    for write in 1..=2 {
        script.begin_sync(write);
        script.end_sync();
        assert_eq!(wait(), Received::Woken);
        assert_eq!(script.writer.try_next(), Event::Output(write));
    }
    script.writer.recall();
    assert_eq!(wait(), Received::Woken);
    assert_eq!(script.writer.try_next(), Event::Returned);
    script.end();
}

#[test]
fn consensus_thread_waits_for_an_offloaded_receiver_and_the_log_writer_at_once() {
    let (hub, own, transport) = network();
    let stage = receiver::Receiver::new(Arc::clone(&transport) as _, Box::new(Decoder::new(own, [])));
    let (mut receiver, worker) = Offloadable::new(stage);
    let thread = thread::spawn(|| worker.run());
    let mut script = Script::start();
    receiver.offload(None);
    script.writer.offload(Some(transport.waker()));
    for write in 1..=2 {
        let ready = |script: &Script, receiver: &Offloadable<receiver::Receiver>| {
            let mut select = Select::new();
            select.recv(&receiver.arrivals);
            select.recv(&script.writer.arrivals);
            select.ready_timeout(TEST_TIMEOUT)
        };
        let request = br#"{"src":"0015","dst":"0000","leader":"FFFF","type":"get","MID":"m","key":"k"}"#;
        assert!(hub.deliver(own, request.to_vec()));
        assert_eq!(ready(&script, &receiver), Ok(0));
        assert!(matches!(receiver.try_next(), Event::Output(messages) if messages.len() == 1));
        script.begin_sync(write);
        script.end_sync();
        assert_eq!(ready(&script, &receiver), Ok(1));
        assert_eq!(script.writer.try_next(), Event::Output(write));
    }
    transport.stop();
    assert!(receiver.into_stage().is_some());
    thread.join().expect("no panic").expect("no failure");
    script.end();
}

#[test]
fn stage_that_ends_by_itself_is_inline_again() {
    struct Finished;
    impl Stage for Finished {
        const NAME: &'static str = "finished";
        const CAPACITY: Capacity = Capacity { inputs: 0, input_bytes: 0, outputs: 0 };
        type Input = Infallible;
        type Output = Infallible;
        fn weight(input: &Infallible) -> usize {
            match *input {}
        }
        fn serve(&mut self, _: &mut Port<Self>) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut stage, worker) = Offloadable::new(Finished);
    let thread = thread::spawn(|| worker.run());
    stage.offload(None);
    assert_eq!(stage.next_until(BootTime::now() + TEST_TIMEOUT), Event::Ended);
    assert!(stage.is_inline());
    drop(stage);
    thread.join().expect("no panic").expect("no failure");
}

#[test]
fn stage_that_failed_is_gone_and_takes_inputs_without_effect() {
    struct Failing;
    impl Stage for Failing {
        const NAME: &'static str = "failing";
        const CAPACITY: Capacity = Capacity { inputs: 1, input_bytes: 1, outputs: 1 };
        type Input = ();
        type Output = ();
        fn weight(_: &()) -> usize {
            0
        }
        fn serve(&mut self, _: &mut Port<Self>) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let (mut stage, worker) = Offloadable::new(Failing);
    let thread = thread::spawn(|| worker.run());
    stage.offload(None);
    assert!(thread.join().expect("no panic").is_err());
    assert_eq!(stage.hand_over(()), Ok(()));
    assert_eq!(stage.try_next(), Event::Gone);
    assert!(stage.into_stage().is_none());
}

/// A step of the consensus thread.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write,
    Offload,
    Recall,
    Look,
}

proptest! {
    #[test]
    fn stage_that_moves_to_and_fro_does_every_input_once_and_in_order(
        steps in prop::collection::vec(
            prop_oneof![Just(Step::Write), Just(Step::Offload), Just(Step::Recall), Just(Step::Look)],
            0..200,
        ),
    ) {
        let mut script = Script::start();
        let (mut written, mut kept, mut durable) = (0, VecDeque::new(), Vec::new());
        // The disk ends every sync at once.
        let (closed, ends) = bounded(0);
        drop(closed);
        script.writer.run_inline(|writer| {
            writer.ends = ends;
            Ok(())
        });
        for step in steps {
            match step {
                Step::Write => {
                    written += 1;
                    kept.push_back(written);
                }
                Step::Offload => script.writer.offload(None),
                Step::Recall => script.writer.recall(),
                Step::Look if script.writer.is_inline() => {}
                Step::Look => if let Event::Output(number) = script.writer.try_next() {
                    durable.push(number);
                }
            }
            let inline = script.writer.run_inline(|writer| {
                writer.waiting.extend(kept.drain(..));
                Ok(writer.sync())
            });
            if let Some(number) = inline {
                durable.extend(number.expect("the disk never fails"));
            }
            while let Some(write) = kept.pop_front() {
                if let Err(refused) = script.writer.hand_over(write) {
                    kept.push_front(refused);
                    break;
                }
            }
        }
        script.writer.recall();
        while !script.writer.is_inline() {
            if let Event::Output(number) = script.next() {
                durable.push(number);
            }
        }
        let synced: Vec<u64> = script.begun.try_iter().flatten().collect();
        prop_assert_eq!(durable.last(), synced.last());
        let all: Vec<u64> = synced.into_iter().chain(kept).collect();
        prop_assert_eq!(all, (1..=written).collect::<Vec<_>>(), "each write once, in order");
        prop_assert!(durable.is_sorted_by(|earlier, later| earlier < later), "{:?}", durable);
        script.end();
    }
}
