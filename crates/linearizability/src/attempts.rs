//! The last moment at which a declined request may take effect.

use std::collections::HashMap;

/// One attempt of a request.
pub trait Attempt {
    fn name(&self) -> &str;

    /// The name of the attempt directly before this one.
    fn retry_of(&self) -> Option<&str>;

    fn is_declined(&self) -> bool;

    /// The moment at which the client knew that the request had taken effect, if it changes
    /// anything.
    fn acknowledged(&self) -> Option<u64>;
}

/// For each operation the moment after which it cannot take effect although a replica declined it:
/// the earliest acknowledgement of a later attempt. `None` if there is no such moment. An attempt
/// without an answer has none, because a copy of it may still reach a replica.
///
/// This function ignores a `retry_of` that names no operation or closes a cycle; `read` refuses it.
pub fn deadlines<T: Attempt>(operations: &[&T]) -> Vec<Option<u64>> {
    let mut deadlines = vec![None; operations.len()];
    let acknowledged = |operation: &T| operation.retry_of().and_then(|_| operation.acknowledged());
    let mut ends: Vec<(u64, usize)> = (operations.iter().enumerate())
        .filter_map(|(place, operation)| Some((acknowledged(operation)?, place)))
        .collect();
    if ends.is_empty() {
        return deadlines;
    }
    let names: HashMap<&str, usize> =
        operations.iter().enumerate().map(|(place, operation)| (operation.name(), place)).collect();
    let before = |place: usize| names.get(operations[place].retry_of()?).copied();
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
        *deadline = deadline.filter(|_| operation.is_declined());
    }
    deadlines
}
