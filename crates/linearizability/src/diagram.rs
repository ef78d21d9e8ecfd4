//! Operations as a picture: one row for each, and a bar from its invocation to its return.
//!
//! The axis shows the order of these moments and not their distance, which may differ by orders of
//! magnitude.

use std::fmt;

use crate::text::{columns, padded};

/// The width that the diagram does not exceed if its moments fit, in columns.
const WIDTH: usize = 100;
/// The width that the axis does not exceed if its moments fit, in columns.
const AXIS_WIDTH: usize = 48;
/// The widest step from one moment to the next, in columns.
const WIDEST_STEP: usize = 8;
/// The most operations that are shown. They have twice as many moments.
pub const MOST_ROWS: usize = 40;

const HEADER: [&str; 6] = ["client", "operation", "time, not to scale", "invoked", "returned", "id"];
/// The place of the axis among the columns.
const AXIS: usize = 2;
/// The space before each column.
const GAP: &str = "  ";

/// One operation. Its texts are legible.
pub struct Row {
    pub client: String,
    pub operation: String,
    pub invoked: u64,
    /// The end of the bar: the last moment at which the operation takes effect, if there is one.
    pub end: Option<u64>,
    /// The moment at which the client received an answer.
    pub answered: Option<u64>,
    /// Stands behind the moment of the answer.
    pub note: &'static str,
    pub name: String,
}

type Cells = [String; HEADER.len()];

/// Draws the rows, and counts the operations that have none.
pub fn draw(f: &mut fmt::Formatter<'_>, rows: &[Row], hidden: usize) -> fmt::Result {
    let digits = digits(rows.iter().flat_map(|row| [Some(row.invoked), row.answered]).flatten().collect());
    let mut table = vec![HEADER.map(str::to_owned)];
    table.extend(rows.iter().map(|row| row.cells(digits)));
    let others: usize = widths(&table).iter().map(|width| GAP.len() + width).sum();
    let axis = Axis::new(rows, (WIDTH + HEADER[AXIS].len()).saturating_sub(others));
    for (cells, row) in table[1..].iter_mut().zip(rows) {
        cells[AXIS] = axis.bar(row.invoked, row.end);
    }
    let widths = widths(&table);
    for cells in &table {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{GAP}{}", padded(cell, width)));
        writeln!(f, "{}", cells.collect::<String>().trim_end())?;
    }
    if hidden > 0 {
        writeln!(f, "  … and {hidden} more operations")?;
    }
    Ok(())
}

impl Row {
    /// The cells of the table, of which that of the axis is empty.
    fn cells(&self, digits: u32) -> Cells {
        let answered = self.answered.map(|at| seconds(at, digits)).unwrap_or_default();
        [
            self.client.clone(),
            self.operation.clone(),
            String::new(),
            seconds(self.invoked, digits),
            format!("{answered} {}", self.note).trim().to_owned(),
            self.name.clone(),
        ]
    }
}

fn widths(table: &[Cells]) -> [usize; HEADER.len()] {
    std::array::from_fn(|column| table.iter().map(|cells| columns(&cells[column])).max().unwrap_or(0))
}

/// The moments at which some bar begins or ends, ascending, and how far apart they are shown.
struct Axis {
    moments: Vec<u64>,
    step: usize,
}

impl Axis {
    /// No wider than so many columns, if the moments fit.
    fn new(rows: &[Row], width: usize) -> Self {
        let mut moments: Vec<u64> =
            rows.iter().flat_map(|row| [Some(row.invoked), row.end]).flatten().collect();
        moments.sort_unstable();
        moments.dedup();
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
