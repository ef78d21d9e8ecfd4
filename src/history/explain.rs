//! A contradiction in words, where one sentence will do.

use super::diagram::legible;
use super::{Contradiction, Operation};

impl Contradiction {
    /// One sentence that says what is impossible about these operations.
    pub fn reason(&self) -> String {
        let gets = || self.operations.iter().filter(|operation| operation.is_get());
        let is_invented = |get: &&Operation| {
            let is_later = |put: &Operation| get.returned.is_some_and(|end| end < put.invoked);
            !get.value().is_empty() && self.puts_of(get).all(is_later)
        };
        if let Some(get) = gets().find(is_invented) {
            return format!("{} returned {} before anybody had asked to put it.", name(get), value(get));
        }
        for get in gets() {
            // A value that was put, if at all, only before another one was seen to be there.
            let is_newer = |other: &&Operation| {
                let is_before = |put: &Operation| put.returned.is_some_and(|end| end < other.invoked);
                let is_over = other.returned.is_some_and(|end| end < get.invoked);
                other.value() != get.value() && is_over && self.puts_of(get).all(is_before)
            };
            if let Some(newer) = self.operations.iter().find(is_newer) {
                return stale(get, newer, self.puts_of(get).next().is_some());
            }
        }
        let count = self.operations.len();
        format!("No order of these {count} operations fits both their times and the values returned.")
    }

    fn puts_of(&self, get: &Operation) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|other| !other.is_get() && other.value() == get.value())
    }
}

fn stale(get: &Operation, newer: &Operation, was_put: bool) -> String {
    let did = if newer.is_get() { "returned" } else { "put" };
    let order = if was_put { ", which is newer," } else { "" };
    let (newer_name, newer_value) = (name(newer), value(newer));
    let (get_name, get_value) = (name(get), value(get));
    format!(
        "{get_name} returned {get_value} although {newer_name} had {did} {newer_value}{order} before it was invoked."
    )
}

fn name(operation: &Operation) -> String {
    let kind = if operation.is_get() { "get" } else { "put" };
    format!("{kind} {}", legible(&operation.name))
}

fn value(operation: &Operation) -> String {
    format!("\"{}\"", legible(operation.value()))
}
