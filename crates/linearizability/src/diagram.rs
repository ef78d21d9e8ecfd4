//! A contradiction as a picture: one row per operation, and a bar from its invocation to its return. The axis
//! shows the order of these moments and not their distance, which may differ by orders of magnitude.

use std::fmt;

use super::attempts::deadlines;
use super::text::{columns, legible, padded};
use super::{Contradiction, Operation, Refusal};

/// How wide the diagram gets, in columns, if its moments fit.
const WIDTH: usize = 100;
/// How wide the axis gets at most, in columns, if its moments fit.
const AXIS_WIDTH: usize = 48;
/// The widest step from one moment to the next, in columns.
const WIDEST_STEP: usize = 8;
/// How many operations are shown at most, which have twice as many moments.
const MOST_ROWS: usize = 40;

const HEADER: [&str; 6] = ["client", "operation", "time, not to scale", "invoked", "returned", "id"];
/// Which of them is the axis.
const AXIS: usize = 2;
/// Before each column.
const GAP: &str = "  ";

type Row = [String; HEADER.len()];

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explanation = self.explain();
        let all: Vec<&Operation> = self.operations.iter().collect();
        let ends: Vec<Option<u64>> = (all.iter().zip(deadlines(&all)))
            .map(|(operation, deadline)| operation.returned.or(deadline))
            .collect();
        let shown = self.most_telling(&explanation.places);
        let bars = || shown.iter().map(|&place| (all[place].invoked, ends[place]));
        let moments = moments(bars());
        let digits = digits(shown.iter().flat_map(|&place| moments_told(all[place])).collect());
        let mut rows = vec![HEADER.map(str::to_owned)];
        rows.extend(shown.iter().map(|&place| row(all[place], digits)));
        let others: usize = widths(&rows).iter().map(|width| GAP.len() + width).sum();
        let axis = Axis::new(moments, (WIDTH + HEADER[AXIS].len()).saturating_sub(others));
        for (row, (from, to)) in rows[1..].iter_mut().zip(bars()) {
            row[AXIS] = axis.bar(from, to);
        }
        let widths = widths(&rows);
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{GAP}{}", padded(cell, width)));
            writeln!(f, "{}", cells.collect::<String>().trim_end())?;
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

fn widths(rows: &[Row]) -> [usize; HEADER.len()] {
    std::array::from_fn(|column| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0))
}

/// The moments at which something happens, ascending, and how far apart they are shown.
struct Axis {
    moments: Vec<u64>,
    step: usize,
}

impl Axis {
    /// No wider than so many columns, if the moments fit.
    fn new(moments: Vec<u64>, width: usize) -> Self {
        let step = (width.min(AXIS_WIDTH) / moments.len().max(1)).clamp(1, WIDEST_STEP);
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

/// When some bar begins or ends, ascending.
fn moments(bars: impl Iterator<Item = (u64, Option<u64>)>) -> Vec<u64> {
    let mut moments: Vec<u64> = bars.flat_map(|(from, to)| [Some(from), to]).flatten().collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

/// The moments that stand in an operation's row.
fn moments_told(operation: &Operation) -> impl Iterator<Item = u64> {
    let declined = operation.declined.and_then(|declined| declined.at);
    [Some(operation.invoked), operation.returned, declined].into_iter().flatten()
}

/// A row whose axis is empty.
fn row(operation: &Operation, digits: u32) -> Row {
    let sign = if operation.is_get() { "get →" } else { "put" };
    [
        legible(&operation.client),
        format!("{sign} \"{}\"", legible(operation.value())),
        String::new(),
        seconds(operation.invoked, digits),
        returned(operation, digits),
        legible(&operation.name),
    ]
}

fn returned(operation: &Operation, digits: u32) -> String {
    let Some(declined) = operation.declined else {
        return operation.returned.map_or("unknown".to_owned(), |at| seconds(at, digits));
    };
    let with = match declined.with {
        Refusal::Fail => "fail",
        Refusal::Redirect => "redirect",
    };
    declined.at.map_or(with.to_owned(), |at| format!("{} {with}", seconds(at, digits)))
}

/// How many digits after the point tell these moments, which are in nanoseconds, from each other.
fn digits(mut moments: Vec<u64>) -> u32 {
    moments.sort_unstable();
    moments.dedup();
    let tells = |digits: u32| {
        let unit = 10u64.pow(9 - digits);
        moments.windows(2).all(|pair| pair[0] / unit < pair[1] / unit)
    };
    [3, 6].into_iter().find(|&digits| tells(digits)).unwrap_or(9)
}

/// Cut off after so many digits.
fn seconds(ns: u64, digits: u32) -> String {
    let part = ns % 1_000_000_000 / 10u64.pow(9 - digits);
    format!("{}.{part:0digits$}", ns / 1_000_000_000, digits = digits as usize)
}
