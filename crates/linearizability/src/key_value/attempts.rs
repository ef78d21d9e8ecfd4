//! The last moment at which a declined put may take effect.

use std::collections::HashMap;

use super::Operation;

/// For each operation the moment after which it cannot take effect although a replica declined it:
/// the earliest acknowledgement of a later attempt. `None` if there is no such moment. An attempt
/// without an answer has none, because a copy of it may still reach a replica.
///
/// This function ignores a `retry_of` that names no operation or closes a cycle; `read` refuses it.
pub fn deadlines(operations: &[&Operation]) -> Vec<Option<u64>> {
    let mut deadlines = vec![None; operations.len()];
    let is_acknowledged = |operation: &&Operation| operation.retry_of.is_some() && !operation.is_get();
    if !operations.iter().any(is_acknowledged) {
        return deadlines;
    }
    let names: HashMap<&str, usize> =
        operations.iter().enumerate().map(|(place, operation)| (&*operation.name, place)).collect();
    let before = |place: usize| names.get(operations[place].retry_of.as_deref()?).copied();
    let mut ends: Vec<(u64, usize)> = (operations.iter().enumerate())
        .filter(|(_, operation)| is_acknowledged(operation))
        .filter_map(|(place, operation)| Some((operation.returned?, place)))
        .collect();
    ends.sort_unstable();
    // The first acknowledgement that reaches an attempt is the earliest, for it and for all before
    // it.
    for (end, last) in ends {
        let mut attempt = before(last);
        while let Some(place) = attempt.filter(|&place| deadlines[place].is_none()) {
            deadlines[place] = Some(end);
            attempt = before(place);
        }
    }
    for (deadline, operation) in deadlines.iter_mut().zip(operations) {
        *deadline = deadline.filter(|_| operation.declined.is_some());
    }
    deadlines
}
