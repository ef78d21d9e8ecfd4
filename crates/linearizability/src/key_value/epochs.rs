//! Epochs: puts of one text that no get can confuse count as puts of different *values*.
//!
//! The value of a put is *gone* at the earliest return of an operation of another value that was
//! invoked after the put had returned. That operation takes effect after the put, and changes or
//! sees another value. A get can have read the put only if two conditions hold: it returned no
//! earlier than the put was invoked, and it was invoked no later than the value was gone.
//!
//! ```text
//!     put a  |--|                       |--|     two puts of one text
//!     put b         |--|                         the first "a" is gone when this put returns,
//!     get a    |-----|     |---------------|     so the second get must have read the second put:
//!                                                the history has two values "a"
//! ```
//!
//! Draw a line between each put and each get of its text that may have read it. In every order that
//! explains the history each get follows a put to which it has a line. So puts and gets that are
//! not connected may as well write and read different values: the same orders explain the history.
//! As this makes more values, some puts are gone earlier than before, so the split is repeated
//! until nothing changes.

use std::collections::HashMap;

use super::timeline::NEVER_PUT;
use crate::structures::Sets;

/// The part of an operation that decides its epoch.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    pub is_get: bool,
    pub text: &'a str,
    pub invoked: u64,
    /// The last moment at which it can take effect, if there is one.
    pub end: Option<u64>,
    /// Whether it takes effect for certain: it has returned.
    pub is_certain: bool,
}

/// More rounds than a history of clients needs. The split is sound after each round.
const MOST_ROUNDS: usize = 8;

/// The number of each operation's value, and the number of values. [`NEVER_PUT`] is the value of a
/// key that was never put. The operations of a value are connected.
pub fn split(spans: &[Span<'_>]) -> (Vec<usize>, usize) {
    let mut epochs = Epochs::new(spans);
    for _ in 0..MOST_ROUNDS {
        let before = epochs.count;
        epochs.refine();
        if epochs.count == before {
            break;
        }
    }
    (epochs.values, epochs.count)
}

struct Epochs<'a> {
    spans: &'a [Span<'a>],
    values: Vec<usize>,        // by operation
    count: usize,              // of values
    by_invocation: Vec<usize>, // all operations
    certain: Vec<usize>,       // those that take effect for certain, by time of invocation
}

impl<'a> Epochs<'a> {
    /// Each text is one value.
    fn new(spans: &'a [Span<'a>]) -> Self {
        let mut numbers = HashMap::from([("", NEVER_PUT)]);
        let mut number = |text| {
            let next = numbers.len();
            *numbers.entry(text).or_insert(next)
        };
        let values = spans.iter().map(|span| number(span.text)).collect();
        let count = numbers.len();
        let mut by_invocation: Vec<usize> = (0..spans.len()).collect();
        by_invocation.sort_by_key(|&place| spans[place].invoked);
        let certain = by_invocation.iter().copied().filter(|&place| spans[place].is_certain).collect();
        Self { spans, values, count, by_invocation, certain }
    }

    /// Gives each set of connected operations a value of its own.
    fn refine(&mut self) {
        let gone = self.gone();
        let mut sets = Sets::new(self.spans.len() + 1);
        let initial = self.spans.len(); // stands for a put of the first value
        let mut open: Vec<Open> = vec![Open::default(); self.count];
        open[NEVER_PUT].puts.push((gone.initial, initial));
        for &place in &self.by_invocation {
            let span = &self.spans[place];
            let open = &mut open[self.values[place]];
            let (others, own, end) = match span.is_get {
                true => (&mut open.puts, &mut open.gets, span.end.unwrap_or(u64::MAX)),
                false => (&mut open.gets, &mut open.puts, gone.puts[place]),
            };
            others.retain(|&(end, _)| end >= span.invoked);
            // This operation connects the others, so only the one that lasts longest is still
            // needed.
            let last = others.iter().copied().max();
            others.iter().for_each(|&(_, other)| sets.join(other, place));
            others.clear();
            others.extend(last);
            own.push((end, place));
        }
        self.number(&mut sets, initial);
    }

    fn number(&mut self, sets: &mut Sets, initial: usize) {
        let mut numbers = vec![None; self.spans.len() + 1];
        numbers[sets.find(initial)] = Some(NEVER_PUT);
        self.count = NEVER_PUT + 1;
        for place in 0..self.spans.len() {
            let number = numbers[sets.find(place)].get_or_insert(self.count);
            self.values[place] = *number;
            self.count = self.count.max(*number + 1);
        }
    }

    /// The moment at which each put's value is gone.
    fn gone(&self) -> Gone {
        let certain = self.certain.iter().map(|&place| {
            let span = &self.spans[place];
            (span.invoked, span.end.unwrap_or(u64::MAX), self.values[place])
        });
        let overwrites = Overwrites::new(certain.collect());
        let put = |(span, &value): (&Span<'_>, &usize)| match span.end {
            Some(end) if !span.is_get => overwrites.gone(value, end),
            _ => u64::MAX,
        };
        Gone {
            puts: self.spans.iter().zip(&self.values).map(put).collect(),
            initial: overwrites.gone_first(NEVER_PUT),
        }
    }
}

struct Gone {
    puts: Vec<u64>, // by operation; without a meaning for gets
    initial: u64,
}

/// Tells when the value of some moment is gone for certain.
pub struct Overwrites<V> {
    invocations: Vec<u64>, // of operations that take effect for certain, ascending
    // From each of these on: the earliest return with its value, and the earliest return of another
    // value.
    earliest: Vec<[(u64, Option<V>); 2]>,
}

impl<V: Copy + Eq> Overwrites<V> {
    /// Takes the operations that take effect for certain: invocation, return and value of each.
    pub fn new(mut operations: Vec<(u64, u64, V)>) -> Self {
        operations.sort_by_key(|&(invoked, ..)| invoked);
        let mut earliest = vec![[(u64::MAX, None); 2]; operations.len() + 1];
        for (at, &(_, end, value)) in operations.iter().enumerate().rev() {
            let [first, second] = earliest[at + 1];
            let (own, is_same) = ((end, Some(value)), Some(value) == first.1);
            earliest[at] = match (end < first.0, is_same) {
                (true, true) => [own, second],
                (true, false) => [own, first],
                (false, false) if end < second.0 => [first, own],
                (false, _) => [first, second],
            };
        }
        Self { invocations: operations.into_iter().map(|(invoked, ..)| invoked).collect(), earliest }
    }

    /// The moment at which the value of a put that has taken effect by `end` is gone; `u64::MAX`
    /// for never.
    pub fn gone(&self, value: V, end: u64) -> u64 {
        self.gone_from(self.invocations.partition_point(|&invoked| invoked <= end), value)
    }

    /// The moment at which the value from before the first invocation is gone.
    fn gone_first(&self, value: V) -> u64 {
        self.gone_from(0, value)
    }

    fn gone_from(&self, place: usize, value: V) -> u64 {
        let [first, second] = self.earliest[place];
        if first.1 == Some(value) { second.0 } else { first.0 }
    }
}

/// The puts and gets of a value that a later get or put may be connected with, each with the last
/// moment for that.
#[derive(Clone, Default)]
struct Open {
    puts: Vec<(u64, usize)>,
    gets: Vec<(u64, usize)>,
}
