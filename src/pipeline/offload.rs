//! Where a stage runs: inline on the consensus thread, or offloaded to a thread of its own.
//!
//! A stage is a value that is moved and never shared, so wherever it is, it has one owner and needs
//! no lock. This is the one mechanism that moves stages; which stage moves when is the policy of
//! its user (`stages.rs`).
//!
//! ```text
//! consensus thread                                        the stage's thread
//! Offloadable<S>                                          Worker<S>
//!   Inline(Box<S>)      ----- Offload { stage, .. } ---->   S::serve(&mut Port<S>)
//!   Offloaded(Inlet)    ----- S::Input ----------------->     Port::take_inputs
//!                       <---- Arrival::Output -----------     Port::send, then the waker
//!   Recalled            (the inlet is dropped)                the inputs end
//!                       <---- Arrival::Returned(stage) --   serve has returned
//!   Inline(Box<S>)
//! ```
//!
//! * [`Offloadable`] belongs to the consensus thread. While the stage is inline, it owns the stage.
//! * [`Worker`] belongs to the stage's thread, which the pipeline starts once. The worker waits for
//!   the stage, serves until the stage is recalled, sends it back, and waits again.
//! * [`Port`] is what an offloaded stage sees of the consensus thread. It lives as long as one
//!   offload.
//!
//! Four rules always hold:
//!
//! * **Nothing is lost or reordered.** A recalled stage finishes every input that it was handed,
//!   and returns through the same channel as its outputs, behind the last of them. The consensus
//!   thread keeps new inputs until the stage is back.
//! * **Both channels are bounded** ([`Capacity`]). A full arrivals channel stops the stage, and so
//!   pushes back to the network. A full inlet refuses the input and gives it back
//!   ([`Offloadable::hand_over`]); the user keeps it, drops what Raft can bear to lose, or takes in
//!   no more.
//! * **The consensus thread never blocks on a send.** The stage's thread may, so the two never wait
//!   for each other.
//! * **A stage that fails ends its thread**, and the pipeline with it. Its offloadable then says
//!   [`Event::Gone`] and takes inputs without effect.
//!
//! A stage with outputs is offloaded with a waker of the transport: the consensus thread may wait
//! for the network, and the waker ends that wait. While the receiver is offloaded too, the
//! consensus thread selects over the arrivals of both. The log writer in `offload/tests.rs` shows
//! both.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use crossbeam_channel as channel;
use crossbeam_channel::{RecvTimeoutError, Select, TryRecvError, TrySendError};

use super::{StageFailed, guard};
use crate::clock::BootTime;

#[cfg(test)]
mod tests;

/// Work with one owner, on the consensus thread or on a thread of its own.
pub(super) trait Stage: Send + Sized + 'static {
    /// The name of its thread and of its failures.
    const NAME: &'static str;

    /// The bounds of its channels while it is offloaded.
    const CAPACITY: Capacity;

    /// The work that the consensus thread hands to it.
    type Input: Send + 'static;

    /// The results that it hands to the consensus thread.
    type Output: Send + 'static;

    /// About how many bytes an input takes in memory.
    fn weight(input: &Self::Input) -> usize;

    /// Works on its own thread until it is recalled and every input is done, or until there will
    /// never be more to do.
    ///
    /// # Errors
    ///
    /// An error that makes the stage useless. It ends the pipeline.
    fn serve(&mut self, port: &mut Port<Self>) -> io::Result<()>;
}

/// The bounds of the channels between the consensus thread and an offloaded stage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// How many inputs may wait.
    pub(super) inputs: usize,
    /// How many bytes of inputs may wait; the input that exceeds it is the last that is taken.
    pub(super) input_bytes: usize,
    /// How many outputs may wait.
    pub(super) outputs: usize,
}

/// A stage, as the consensus thread sees it.
pub(super) struct Offloadable<S: Stage> {
    place: Place<S>,
    offloads: channel::Sender<Offload<S>>,
    arrivals: channel::Receiver<Arrival<S>>,
}

enum Place<S: Stage> {
    Inline(Box<S>),
    Offloaded(Inlet<S::Input>), // dropped to recall the stage
    Recalled,
}

/// The way of the inputs to an offloaded stage.
struct Inlet<I> {
    inputs: channel::Sender<Weighed<I>>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// An input and its weight.
struct Weighed<I> {
    input: I,
    bytes: usize,
}

/// A stage on its way to its thread.
struct Offload<S: Stage> {
    stage: Box<S>,
    inputs: channel::Receiver<Weighed<S::Input>>,
    waiting_bytes: Arc<AtomicUsize>,
    waker: Option<Waker>,
}

/// An item in the channel from an offloaded stage.
pub(super) enum Arrival<S: Stage> {
    /// An output.
    Output(S::Output),
    /// The stage itself, behind all its outputs.
    Returned(Box<S>),
}

/// The news of a stage that is not inline.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<O> {
    /// The stage has an output.
    Output(O),
    /// The stage was recalled and is inline again.
    Returned,
    /// The stage has nothing to do any more, and is inline again without a recall.
    Ended,
    /// Nothing came in time.
    Nothing,
    /// The stage's thread has failed, which it reports itself.
    Gone,
}

impl<S: Stage> Offloadable<S> {
    /// An inline stage, and the worker for its thread.
    pub(super) fn new(stage: S) -> (Self, Worker<S>) {
        let (offloads, offloaded) = channel::bounded(1);
        let (arrivals_in, arrivals) = channel::bounded(S::CAPACITY.outputs.max(1));
        let place = Place::Inline(Box::new(stage));
        (Self { place, offloads, arrivals }, Worker { offloads: offloaded, arrivals: arrivals_in })
    }

    /// Whether the stage runs on this thread.
    pub(super) fn is_inline(&self) -> bool {
        matches!(self.place, Place::Inline(_))
    }

    /// Whether the stage is on its way back.
    pub(super) fn is_recalled(&self) -> bool {
        matches!(self.place, Place::Recalled)
    }

    /// Whether an offloaded stage has taken every input that it was handed.
    pub(super) fn has_taken_all(&self) -> bool {
        matches!(&self.place, Place::Offloaded(inlet) if inlet.inputs.is_empty())
    }

    /// The inline stage.
    pub(super) fn inline(&self) -> Option<&S> {
        match &self.place {
            Place::Inline(stage) => Some(stage),
            Place::Offloaded(_) | Place::Recalled => None,
        }
    }

    /// Lets an inline stage do a part of its work on this thread; `None` if it is not inline. A
    /// failure carries the name of the stage.
    pub(super) fn run_inline<T>(
        &mut self,
        work: impl FnOnce(&mut S) -> io::Result<T>,
    ) -> Option<Result<T, StageFailed>> {
        match &mut self.place {
            Place::Inline(stage) => Some(guard(S::NAME, || work(stage))),
            Place::Offloaded(_) | Place::Recalled => None,
        }
    }

    /// Moves an inline stage to its thread, where each arrival calls the waker, if there is one.
    pub(super) fn offload(&mut self, waker: Option<Waker>) {
        if !self.is_inline() {
            return;
        }
        let (inputs_in, inputs) = channel::bounded(S::CAPACITY.inputs);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let inlet = Inlet { inputs: inputs_in, waiting_bytes: Arc::clone(&waiting_bytes) };
        if let Place::Inline(stage) = std::mem::replace(&mut self.place, Place::Offloaded(inlet)) {
            // There is room: the worker has taken the offload before. A worker that is gone has
            // failed.
            let _gone = self.offloads.try_send(Offload { stage, inputs, waiting_bytes, waker });
        }
    }

    /// Asks an offloaded stage to finish its inputs and to return.
    pub(super) fn recall(&mut self) {
        if let Place::Offloaded(_) = self.place {
            self.place = Place::Recalled;
        }
    }

    /// Hands an input to an offloaded stage.
    ///
    /// # Errors
    ///
    /// The input, if too much waits already or if the stage is not offloaded.
    pub(super) fn hand_over(&mut self, input: S::Input) -> Result<(), S::Input> {
        let Place::Offloaded(inlet) = &self.place else { return Err(input) };
        if inlet.waiting_bytes.load(Ordering::Relaxed) >= S::CAPACITY.input_bytes {
            return Err(input);
        }
        let bytes = S::weight(&input);
        inlet.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        match inlet.inputs.try_send(Weighed { input, bytes }) {
            Err(TrySendError::Full(refused)) => {
                inlet.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
                Err(refused.input)
            }
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Waits until then for something from a stage that is not inline.
    pub(super) fn next_until(&mut self, until: BootTime) -> Event<S::Output> {
        match self.arrivals.recv_timeout(until.left()) {
            Ok(arrival) => self.accept(arrival),
            Err(RecvTimeoutError::Timeout) => Event::Nothing,
            Err(RecvTimeoutError::Disconnected) => Event::Gone,
        }
    }

    /// Waits until then for something from this stage or from another one.
    pub(super) fn wait_for_either<T: Stage>(&self, other: &Offloadable<T>, until: BootTime) {
        let mut select = Select::new();
        select.recv(&self.arrivals);
        select.recv(&other.arrivals);
        let _timed_out = select.ready_timeout(until.left());
    }

    /// Takes what is there already from a stage that is not inline.
    pub(super) fn try_next(&mut self) -> Event<S::Output> {
        match self.arrivals.try_recv() {
            Ok(arrival) => self.accept(arrival),
            Err(TryRecvError::Empty) => Event::Nothing,
            Err(TryRecvError::Disconnected) => Event::Gone,
        }
    }

    fn accept(&mut self, arrival: Arrival<S>) -> Event<S::Output> {
        match arrival {
            Arrival::Output(output) => Event::Output(output),
            Arrival::Returned(stage) => {
                let was_recalled = self.is_recalled();
                self.place = Place::Inline(stage);
                if was_recalled { Event::Returned } else { Event::Ended }
            }
        }
    }

    /// Takes the stage back, wherever it is, and drops the outputs that come before it. Waits until
    /// the stage has finished its inputs. `None` if its thread has failed.
    pub(super) fn into_stage(mut self) -> Option<S> {
        self.recall();
        loop {
            if let Place::Inline(stage) = self.place {
                return Some(*stage);
            }
            let arrival = self.arrivals.recv().ok()?;
            self.accept(arrival);
        }
    }
}

impl<S: Stage<Output = Infallible>> Offloadable<S> {
    /// Waits at most so long for a recalled stage that has no outputs.
    pub(super) fn wait_for_return(&mut self, at_most: Duration) {
        if self.is_recalled()
            && let Ok(arrival) = self.arrivals.recv_timeout(at_most)
        {
            self.accept(arrival);
        }
    }
}

/// The loop of a stage's thread.
pub(super) struct Worker<S: Stage> {
    offloads: channel::Receiver<Offload<S>>,
    arrivals: channel::Sender<Arrival<S>>,
}

impl<S: Stage> Worker<S> {
    /// Serves each time when the stage is offloaded, until its offloadable is dropped.
    ///
    /// # Errors
    ///
    /// The error of the stage.
    pub(super) fn run(self) -> io::Result<()> {
        for Offload { mut stage, inputs, waiting_bytes, waker } in self.offloads {
            let arrivals = self.arrivals.clone();
            let mut port = Port { inputs, waiting_bytes, taken_bytes: 0, arrivals, waker };
            stage.serve(&mut port)?;
            if !port.deliver(Arrival::Returned(stage)) {
                break;
            }
        }
        Ok(())
    }
}

/// An offloaded stage's way to the consensus thread.
pub(super) struct Port<S: Stage> {
    inputs: channel::Receiver<Weighed<S::Input>>,
    waiting_bytes: Arc<AtomicUsize>, // of the inputs that were handed over and are not done
    taken_bytes: usize,              // of the inputs that the stage works on
    arrivals: channel::Sender<Arrival<S>>,
    waker: Option<Waker>,
}

/// How a wait for inputs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The stage has taken at least one input.
    Inputs,
    /// Nothing came in time.
    TimedOut,
    /// The stage has taken all inputs, and is to return.
    Recalled,
}

impl<S: Stage> Port<S> {
    /// Waits for inputs until then, and takes all that wait, in order. The inputs that were taken
    /// before count as done.
    pub(super) fn take_inputs(&mut self, until: Option<BootTime>, mut take: impl FnMut(S::Input)) -> Waited {
        self.waiting_bytes.fetch_sub(std::mem::take(&mut self.taken_bytes), Ordering::Relaxed);
        let first = match until {
            Some(until) => self.inputs.recv_timeout(until.left()),
            None => self.inputs.recv().map_err(Into::into),
        };
        match first {
            Ok(first) => {
                for Weighed { input, bytes } in std::iter::once(first).chain(self.inputs.try_iter()) {
                    self.taken_bytes += bytes;
                    take(input);
                }
                Waited::Inputs
            }
            Err(RecvTimeoutError::Timeout) => Waited::TimedOut,
            Err(RecvTimeoutError::Disconnected) => Waited::Recalled,
        }
    }

    /// Hands an output to the consensus thread, and waits while too many are there already. False
    /// if the consensus thread has ended.
    pub(super) fn send(&self, output: S::Output) -> bool {
        self.deliver(Arrival::Output(output))
    }

    fn deliver(&self, arrival: Arrival<S>) -> bool {
        let is_there = self.arrivals.send(arrival).is_ok();
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
        is_there
    }
}

impl<S: Stage<Input = Infallible>> Port<S> {
    /// Whether a stage that has no inputs is to return.
    pub(super) fn is_recalled(&self) -> bool {
        matches!(self.inputs.try_recv(), Err(TryRecvError::Disconnected))
    }
}
