//! A contradiction without the operations that it does not need.
//!
//! Leaving out an operation must not make a contradiction: if some order explains the whole, then
//! some order must explain the rest. Three kinds of operations may go:
//!
//! * **Any get.** The same order without it explains the rest.
//! * **A put that no remaining get can have read**, because each get of its value returned before
//!   the put was invoked. In an order that explains the whole, no get stands between this put and
//!   the next one, since it would have read this put. So the order without the put explains the
//!   rest.
//! * **A put that is overwritten before every remaining get of its value.** A remaining operation of
//!   another value is invoked after the put has ended, and returns before any of these gets is
//!   invoked. Again no remaining get stands between this put and the next one. A later put of the
//!   value must remain, and no remaining put may be a retry of this one: the explanation may be that
//!   both took effect.
//!
//! Every other put that some get may have read stays, and so does the last put of a value that is
//! read: without it no put would have written the value of the get.

use std::collections::{HashMap, HashSet};

use super::Operation;
use super::epochs::Overwrites;
use super::search::{Finding, search};
use crate::attempts::deadlines;
use crate::limits::Budget;

/// The effort of all searches together, as [`effort`] counts it, beside that of so many searches of
/// the whole.
const LEAST_EFFORT: usize = 1_000_000;
const WHOLE_SEARCHES: usize = 12;

/// Comparing so many bytes of values takes about as long as one operation.
const BYTES_PER_OPERATION: usize = 128;

/// Some of these contradictory operations that still contradict each other, by time of invocation.
///
/// The gets that return after the first contradiction go. Then all operations go that may, one by
/// one or in chunks. The search has found that no order explains the operations that return up to
/// `moment`, given the later ones. The result is larger than it could be if the budget is small or
/// the operations are many.
pub fn smallest<'a>(
    mut operations: Vec<&'a Operation>,
    moment: u64,
    budget: &mut Budget,
) -> Vec<&'a Operation> {
    operations.sort_by_key(|operation| (operation.invoked, operation.returned.unwrap_or(u64::MAX)));
    let mut shrinker = Shrinker { budget, effort: LEAST_EFFORT + WHOLE_SEARCHES * effort(&operations) };
    let mut operations = shrinker.shortest_prefix(operations, moment);
    // Large chunks first, so that most of a long history is gone after a few searches.
    let mut chunk = operations.len().div_ceil(2);
    loop {
        let before = operations.len();
        operations = shrinker.without_chunks(operations, chunk);
        match chunk {
            0 | 1 if operations.len() == before => return operations,
            0 | 1 => {}
            _ => chunk /= 2,
        }
    }
}

/// The effort of one search of these operations.
fn effort(operations: &[&Operation]) -> usize {
    operations.iter().map(|operation| 1 + operation.value().len() / BYTES_PER_OPERATION).sum()
}

struct Shrinker<'b> {
    budget: &'b mut Budget,
    effort: usize, // that is left
}

impl Shrinker<'_> {
    fn contradicts(&mut self, operations: &[&Operation]) -> bool {
        let left = self.effort.checked_sub(effort(operations));
        self.effort = left.unwrap_or(0);
        left.is_some() && matches!(search(operations, self.budget), Finding::Contradiction { .. })
    }

    /// The operations invoked up to the first moment at which a history that ends there contradicts
    /// itself. It is not before `moment`, because later operations never remove a contradiction.
    /// Mostly it is `moment` or soon after.
    fn shortest_prefix<'a>(&mut self, operations: Vec<&'a Operation>, moment: u64) -> Vec<&'a Operation> {
        let gets = operations.iter().filter(|operation| operation.is_get());
        let mut ends: Vec<u64> = gets.filter_map(|get| get.returned).collect();
        ends.sort_unstable();
        ends.dedup();
        let (mut low, mut step) = (ends.partition_point(|&end| end < moment), 1);
        let mut high = low;
        while high < ends.len() && !self.contradicts(&until(&operations, ends[high])) {
            low = high + 1;
            high += step;
            step *= 2;
        }
        high = high.min(ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.contradicts(&until(&operations, ends[middle])) { high = middle } else { low = middle + 1 }
        }
        match ends.get(high) {
            Some(&end) => until(&operations, end),
            None => operations, // the budget was too small to find it again
        }
    }

    /// Goes through the operations once, and leaves out each chunk that may go and that is not
    /// needed.
    fn without_chunks<'a>(&mut self, mut operations: Vec<&'a Operation>, chunk: usize) -> Vec<&'a Operation> {
        let mut place = 0;
        while place < operations.len() && self.effort >= effort(&operations) {
            let fewer = without(&operations, place, place + chunk);
            if fewer.len() < operations.len() && self.contradicts(&fewer) {
                operations = fewer;
            } else {
                place += chunk;
            }
        }
        operations
    }
}

/// The gets that returned up to this moment, and the puts invoked until then.
fn until<'a>(operations: &[&'a Operation], end: u64) -> Vec<&'a Operation> {
    let is_in = |operation: &&Operation| match operation.returned {
        Some(returned) if operation.is_get() => returned <= end,
        None if operation.is_get() => false,
        _ => operation.invoked <= end,
    };
    operations.iter().copied().filter(is_in).collect()
}

/// The operations without those at places `from .. to` that may go.
fn without<'a>(operations: &[&'a Operation], from: usize, to: usize) -> Vec<&'a Operation> {
    let is_inside = |place: usize| (from..to).contains(&place);
    let others: Vec<&Operation> = operations
        .iter()
        .enumerate()
        .filter(|&(place, _)| !is_inside(place))
        .map(|(_, &operation)| operation)
        .collect();
    let rest = Rest::new(&others);
    let ends = deadlines(operations);
    let stays = |&(place, operation): &(usize, &&Operation)| {
        !is_inside(place) || !rest.can_spare(operation, operation.returned.or(ends[place]))
    };
    operations.iter().enumerate().filter(stays).map(|(_, &operation)| operation).collect()
}

/// Facts about the remaining operations that decide whether a put may go.
struct Rest<'a> {
    reads: HashMap<&'a str, Reads>,
    last_puts: HashMap<&'a str, u64>, // the invocation of the last put of each value that may be read
    repeated: HashSet<&'a str>,       // the names of attempts that others repeat
    overwrites: Overwrites<&'a str>,
}

/// The gets of a value.
struct Reads {
    first_invoked: u64,
    last_returned: u64,
}

impl<'a> Rest<'a> {
    fn new(operations: &[&'a Operation]) -> Self {
        let mut reads: HashMap<&str, Reads> = HashMap::new();
        let mut certain = Vec::new();
        for operation in operations {
            let (value, invoked) = (&**operation.value(), operation.invoked);
            let Some(returned) = operation.returned else { continue };
            certain.push((invoked, returned, value));
            if operation.is_get() {
                let new = Reads { first_invoked: invoked, last_returned: returned };
                let reads = reads.entry(value).or_insert(new);
                reads.first_invoked = reads.first_invoked.min(invoked);
                reads.last_returned = reads.last_returned.max(returned);
            }
        }
        let mut last_puts = HashMap::new();
        for put in operations.iter().filter(|operation| !operation.is_get()) {
            if reads.get(&**put.value()).is_some_and(|reads| put.invoked <= reads.last_returned) {
                let last = last_puts.entry(&**put.value()).or_insert(put.invoked);
                *last = put.invoked.max(*last);
            }
        }
        let repeated = operations.iter().filter_map(|operation| operation.retry_of.as_deref()).collect();
        Self { reads, last_puts, repeated, overwrites: Overwrites::new(certain) }
    }

    /// `end` is the last moment at which the operation can take effect.
    fn can_spare(&self, operation: &'a Operation, end: Option<u64>) -> bool {
        let value = &**operation.value();
        let Some(reads) = self.reads.get(value).filter(|_| !operation.is_get()) else { return true };
        let is_overwritten = || {
            let is_gone = end.is_some_and(|end| self.overwrites.gone(value, end) < reads.first_invoked);
            let is_repeated = || self.repeated.contains(&*operation.name);
            is_gone
                && !is_repeated()
                && self.last_puts.get(value).is_some_and(|&last| last > operation.invoked)
        };
        reads.last_returned < operation.invoked || is_overwritten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_value::Kind;

    fn operation(text: &str, invoked: u64, returned: u64) -> Operation {
        let (kind, value) = text.split_once(' ').expect("two words");
        let value = value.into();
        Operation {
            name: text.into(),
            client: "c".into(),
            key: "k".into(),
            kind: if kind == "get" { Kind::Get { value } } else { Kind::Put { value } },
            invoked,
            returned: Some(returned),
            declined: None,
            retry_of: None,
        }
    }

    #[test]
    fn overwritten_put_stays_if_an_earlier_get_or_no_later_put_remains() {
        let overwritten = [operation("put a", 1, 2), operation("put b", 3, 5)];
        let later = [operation("put a", 10, 11), operation("get a", 12, 13)];
        let count = |operations: &[Operation]| {
            let all: Vec<&Operation> = operations.iter().collect();
            without(&all, 0, 1).len()
        };
        assert_eq!(count(&[&overwritten[..], &later].concat()), 3);
        // This get may have read it, since "b" need not have taken effect yet.
        let early = [operation("get a", 4, 6)];
        assert_eq!(count(&[&overwritten[..], &early, &later].concat()), 5);
        assert_eq!(count(&[&overwritten[..], &later[1..]].concat()), 3);
    }
}
