//! The events and their times.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::recorder::MessageNumber;
use crate::exchange::Inbound;
use crate::micros::Micros;
use crate::request::Response;

/// Something that is due at a certain time.
#[derive(Debug)]
pub(super) enum Event {
    /// A client makes its next request.
    Start(usize),
    /// A request arrives at a replica, as the message of this number in a trace.
    Request { to: usize, number: usize, message: MessageNumber },
    /// A client has waited long enough for an answer.
    TimeOut(usize),
    /// A client in a circle has paused long enough.
    Repeat(usize),
    /// The loop that sends all requests has slept long enough.
    Poll,
    /// An answer arrives.
    Response { from: usize, response: Response, message: MessageNumber },
    /// A datagram from another replica arrives, perhaps with this changed text.
    Deliver { from: usize, to: usize, inputs: Vec<Inbound>, message: MessageNumber, changed: Option<String> },
    /// A consensus stage wakes up, in this life of its replica.
    Batch { at: usize, life: u32 },
    /// A sender stage wakes up.
    Transmit { at: usize, life: u32 },
    /// The messages that waited to be coalesced have waited long enough.
    Release { at: usize, life: u32 },
    /// A timer is due.
    Wake { at: usize, life: u32 },
    /// A disk has ended the sync with this number.
    Synced { at: usize, life: u32, number: u64 },
    /// A stage of a snapshot with this number has ended.
    Saved { at: usize, life: u32, number: u64 },
    /// A fault begins.
    Fault(usize),
    /// A fault ends.
    Undo(usize),
    /// The occurrence that a fault waited for is long enough ago.
    Met(usize),
    /// Half a period of a flap is over.
    Turn(usize),
}

/// An event and its time. Events of the same time come in the order in which they were scheduled.
#[derive(Debug)]
struct Due {
    at: Micros,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The greatest element of the heap is the event that is due first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// All scheduled events, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Due>,
    pushed: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Micros, event: Event) {
        self.pushed += 1;
        self.heap.push(Due { at, order: self.pushed, event });
    }

    /// Takes out the earliest event, if it is not after `end`.
    pub(super) fn pop(&mut self, end: Micros) -> Option<(Micros, Event)> {
        self.heap.peek().filter(|due| due.at <= end)?;
        self.heap.pop().map(|due| (due.at, due.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_event_comes_first_and_equal_times_keep_the_order_of_pushes() {
        let mut queue = Queue::default();
        for (at, number) in [(5, 1), (3, 2), (5, 3), (9, 4), (3, 5)] {
            queue.push(at, Event::Start(number));
        }
        let start = |(at, event)| if let Event::Start(number) = event { (at, number) } else { (at, 0) };
        let popped: Vec<_> = std::iter::from_fn(|| queue.pop(8)).map(start).collect();
        assert_eq!(popped, [(3, 2), (3, 5), (5, 1), (5, 3)]);
        assert_eq!(queue.pop(9).map(start), Some((9, 4)));
    }
}
