//! A contradiction as a picture: one row per operation, and a bar from its invocation to its return. The axis
//! shows the order of these moments and not their distance, which may differ by orders of magnitude.

use std::fmt;

use super::attempts::deadlines;
use super::text::{columns, legible, padded};
use super::{Contradiction, Operation, Refusal};

/// How wide the axis gets, in columns, if its moments fit.
const AXIS_WIDTH: usize = 48;
/// The widest step from one moment to the next, in columns.
const WIDEST_STEP: usize = 8;
/// How many operations are shown at most, which have twice as many moments.
const MOST_ROWS: usize = 40;

const HEADER: [&str; 6] = ["client", "operation", "order in time, not to scale", "invoked", "returned", "id"];

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explanation = self.explain();
        let all: Vec<&Operation> = self.operations.iter().collect();
        let ends: Vec<Option<u64>> = (all.iter().zip(deadlines(&all)))
            .map(|(operation, deadline)| operation.returned.or(deadline))
            .collect();
        let shown = self.most_telling(&explanation.places);
        let axis = Axis::new(shown.iter().map(|&place| (all[place].invoked, ends[place])));
        let mut rows = vec![HEADER.map(str::to_owned)];
        rows.extend(shown.iter().map(|&place| row(all[place], ends[place], &axis)));
        let widths: [usize; HEADER.len()] =
            std::array::from_fn(|column| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0));
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str("  ");
                line.push_str(&padded(cell, width));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        if shown.len() < all.len() {
            writeln!(f, "  … and {} more operations", all.len() - shown.len())?;
        }
        write!(f, "\n{}", explanation.sentence)
    }
}

impl Contradiction {
    /// The places of the operations that are shown: those named in the explanation, and the latest ones.
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

/// The moments at which something happens, ascending, and how far apart they are shown.
struct Axis {
    moments: Vec<u64>,
    step: usize,
}

impl Axis {
    fn new(bars: impl Iterator<Item = (u64, Option<u64>)>) -> Self {
        let mut moments: Vec<u64> = bars.flat_map(|(from, to)| [Some(from), to]).flatten().collect();
        moments.sort_unstable();
        moments.dedup();
        let step = (AXIS_WIDTH / moments.len().max(1)).clamp(1, WIDEST_STEP);
        Self { moments, step }
    }

    fn column(&self, moment: u64) -> usize {
        self.moments.partition_point(|&other| other < moment) * self.step
    }

    /// From invocation to the end, or past the last moment if there is none.
    fn bar(&self, from: u64, to: Option<u64>) -> String {
        let from = self.column(from);
        let (to, end) = match to {
            Some(to) => (self.column(to), '|'),
            None => (self.moments.len() * self.step, '>'),
        };
        let mut bar = " ".repeat(from);
        if from < to {
            bar.push('|');
            bar.push_str(&"-".repeat(to - from - 1));
        }
        bar.push(end);
        bar
    }
}

fn row(operation: &Operation, end: Option<u64>, axis: &Axis) -> [String; HEADER.len()] {
    let sign = if operation.is_get() { "get →" } else { "put" };
    [
        legible(&operation.client),
        format!("{sign} \"{}\"", legible(operation.value())),
        axis.bar(operation.invoked, end),
        seconds(operation.invoked),
        returned(operation),
        legible(&operation.name),
    ]
}

fn returned(operation: &Operation) -> String {
    let Some(declined) = operation.declined else {
        return operation.returned.map_or("unknown".to_owned(), seconds);
    };
    let with = match declined.with {
        Refusal::Fail => "fail",
        Refusal::Redirect => "redirect",
    };
    declined.at.map_or(with.to_owned(), |at| format!("{} {with}", seconds(at)))
}

fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}
