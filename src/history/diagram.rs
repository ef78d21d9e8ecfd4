//! A contradiction as a picture: one row per operation, and a bar from its invocation to its return. The axis
//! shows the order of these moments and not their distance, which may differ by orders of magnitude.

use std::fmt;

use super::{Contradiction, Operation};

/// The longest text that is shown whole, in characters; of a longer one both ends are.
const TEXT_LENGTH: usize = 20;
/// How wide the axis gets, in characters, if its moments fit.
const AXIS_WIDTH: usize = 48;
/// The widest step from one moment to the next, in characters.
const WIDEST_STEP: usize = 8;

const HEADER: [&str; 6] = ["client", "operation", "order in time, not to scale", "invoked", "returned", "id"];

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axis = Axis::new(&self.operations);
        let mut rows = vec![HEADER.map(str::to_owned)];
        rows.extend(self.operations.iter().map(|operation| row(operation, &axis)));
        let widths: [usize; HEADER.len()] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        for row in rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("  {cell:width$}"));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        write!(f, "\n{}", self.reason())
    }
}

/// The moments at which something happens, ascending, and how far apart they are shown.
struct Axis {
    moments: Vec<u64>,
    step: usize,
}

impl Axis {
    fn new(operations: &[Operation]) -> Self {
        let ends = operations.iter().filter_map(|operation| operation.returned);
        let mut moments: Vec<u64> =
            operations.iter().map(|operation| operation.invoked).chain(ends).collect();
        moments.sort_unstable();
        moments.dedup();
        let step = (AXIS_WIDTH / moments.len().max(1)).clamp(1, WIDEST_STEP);
        Self { moments, step }
    }

    fn column(&self, moment: u64) -> usize {
        self.moments.partition_point(|&other| other < moment) * self.step
    }

    /// From invocation to return, or past the last moment if that is not known.
    fn bar(&self, operation: &Operation) -> String {
        let from = self.column(operation.invoked);
        let (to, end) = match operation.returned {
            Some(returned) => (self.column(returned), '|'),
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

fn row(operation: &Operation, axis: &Axis) -> [String; HEADER.len()] {
    let sign = if operation.is_get() { "get →" } else { "put" };
    [
        legible(&operation.client),
        format!("{sign} \"{}\"", legible(operation.value())),
        axis.bar(operation),
        seconds(operation.invoked),
        operation.returned.map_or("unknown".to_owned(), seconds),
        legible(&operation.name),
    ]
}

fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// Any text as a part of a line: nothing that a terminal would obey, and of a long one only both ends.
pub fn legible(text: &str) -> String {
    let length = text.chars().count();
    if length <= TEXT_LENGTH {
        return text.escape_debug().to_string();
    }
    let half = TEXT_LENGTH / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(length - half + 1).collect();
    format!("{}…{}", head.escape_debug(), tail.escape_debug())
}
