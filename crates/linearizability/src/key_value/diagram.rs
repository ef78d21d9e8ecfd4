//! A contradiction of puts and gets as rows of a diagram.

use std::fmt;

use super::{Contradiction, Operation, Refusal};
use crate::attempts::deadlines;
use crate::diagram::{self, MOST_ROWS, Row};
use crate::text::legible;

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explanation = self.explain();
        let all: Vec<&Operation> = self.operations.iter().collect();
        let deadlines = deadlines(&all);
        let shown = self.most_telling(&explanation.places);
        let rows: Vec<Row> = shown.iter().map(|&place| row(all[place], deadlines[place])).collect();
        diagram::draw(f, &rows, all.len() - shown.len())?;
        write!(f, "\n{}", explanation.sentence)
    }
}

impl Contradiction {
    /// The places of the operations that are shown: those that the explanation names, and the
    /// latest ones.
    fn most_telling(&self, named: &[usize]) -> Vec<usize> {
        let count = self.operations.len();
        let mut shown: Vec<usize> = named.iter().copied().take(MOST_ROWS).collect();
        shown.sort_unstable();
        shown.dedup();
        let others: Vec<usize> = (0..count).rev().filter(|place| !shown.contains(place)).collect();
        let free = MOST_ROWS - shown.len();
        shown.extend(others.into_iter().take(free));
        shown.sort_unstable();
        shown
    }
}

/// `deadline` is the last moment at which a declined put takes effect.
fn row(operation: &Operation, deadline: Option<u64>) -> Row {
    let sign = if operation.is_get() { "get →" } else { "put" };
    let declined_at = operation.declined.and_then(|declined| declined.at);
    Row {
        client: legible(&operation.client),
        operation: format!("{sign} \"{}\"", legible(operation.value())),
        invoked: operation.invoked,
        end: operation.returned.or(deadline),
        answered: operation.returned.or(declined_at),
        note: match operation.declined.map(|declined| declined.with) {
            Some(Refusal::Fail) => "fail",
            Some(Refusal::Redirect) => "redirect",
            None if operation.returned.is_some() => "",
            None => "unknown",
        },
        name: legible(&operation.name),
    }
}
