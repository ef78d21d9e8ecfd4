//! A contradiction without what does not contribute to it.
//!
//! What is left out must not be missed: if the whole can be explained, so must be the rest, else the rest
//! would contradict itself where the history does not. Two things may go:
//!
//! * **Any get.** The same order without it explains the rest.
//! * **A put of a value that no remaining get can have found in it**, because each get of that value returned
//!   before the put was invoked. In an order that explains the whole, a get between this put and the next one
//!   would return its value and come after it; so there is none, and the order without the put explains the
//!   rest.
//!
//! A put that some get may have read stays, even if it is not the one that was read: without it the get would
//! look as if its value came from nowhere.

use super::search::{Budget, Finding, search};
use super::{Operation, last_reads};

/// Some of these contradictory operations that still contradict each other, by time of invocation: among the gets,
/// only those that returned up to the moment when the history became impossible; and of what is left no operation can go that may.
/// Less thorough if the budget is too small.
pub fn smallest<'a>(mut operations: Vec<&'a Operation>, budget: &mut Budget) -> Vec<&'a Operation> {
    operations.sort_by_key(|operation| (operation.invoked, operation.returned.unwrap_or(u64::MAX)));
    let mut operations = shortest_prefix(operations, budget);
    // Large chunks first, so that most of a long history is gone after a few searches.
    let mut chunk = operations.len().div_ceil(2);
    loop {
        let before = operations.len();
        operations = without_chunks(operations, chunk, budget);
        match chunk {
            0 | 1 if operations.len() == before => return operations,
            0 | 1 => {}
            _ => chunk /= 2,
        }
    }
}

fn contradicts(operations: &[&Operation], budget: &mut Budget) -> bool {
    search(operations, budget) == Finding::Contradiction
}

/// What was asked up to the first moment at which a history that ends there contradicts itself. Longer
/// ones do too, so the moment can be found by bisection.
fn shortest_prefix<'a>(operations: Vec<&'a Operation>, budget: &mut Budget) -> Vec<&'a Operation> {
    let gets = operations.iter().filter(|operation| operation.is_get());
    let mut ends: Vec<u64> = gets.filter_map(|get| get.returned).collect();
    ends.sort_unstable();
    ends.dedup();
    let until = |end: u64| -> Vec<&'a Operation> {
        let is_in = |operation: &&Operation| match operation.returned {
            Some(returned) if operation.is_get() => returned <= end,
            None if operation.is_get() => false,
            _ => operation.invoked <= end,
        };
        operations.iter().copied().filter(is_in).collect()
    };
    let place = ends.partition_point(|&end| !contradicts(&until(end), budget));
    match ends.get(place) {
        Some(&end) => until(end),
        None => operations, // the budget was too small to see it again
    }
}

/// Goes through the operations once and leaves out what it can, so many at a time.
fn without_chunks<'a>(
    mut operations: Vec<&'a Operation>,
    chunk: usize,
    budget: &mut Budget,
) -> Vec<&'a Operation> {
    let mut place = 0;
    while place < operations.len() {
        let fewer = without(&operations, place, place + chunk);
        if fewer.len() < operations.len() && contradicts(&fewer, budget) {
            operations = fewer;
        } else {
            place += chunk;
        }
    }
    operations
}

/// The operations without those at places `from .. to` that may go.
fn without<'a>(operations: &[&'a Operation], from: usize, to: usize) -> Vec<&'a Operation> {
    let is_inside = |place: usize| (from..to).contains(&place);
    let others = operations.iter().enumerate().filter(|&(place, _)| !is_inside(place));
    let last_reads = last_reads(others.map(|(_, &operation)| operation));
    let stays = |&(place, operation): &(usize, &&Operation)| {
        let last_read = last_reads.get(&**operation.value());
        let may_go = operation.is_get() || last_read.is_none_or(|&read| read < operation.invoked);
        !(is_inside(place) && may_go)
    };
    operations.iter().enumerate().filter(stays).map(|(_, &operation)| operation).collect()
}
