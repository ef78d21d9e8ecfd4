//! Tables for people, and the same as JSON for programs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

/// All that was measured.
#[derive(Debug, Default)]
pub struct Report {
    tables: BTreeMap<&'static str, Vec<Value>>,
}

/// One line of a table: a name and a value for each cell.
pub type Row = Vec<(&'static str, Value)>;

impl Report {
    /// Prints rows that have the same columns, and keeps them under a name; `common` has the cells
    /// that they all share.
    pub fn table(&mut self, name: &'static str, title: &str, common: &Row, rows: &[Row]) {
        println!("\n{title}\n");
        let cells: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|(_, v)| text(v)).collect()).collect();
        let heading: Vec<String> =
            rows.first().into_iter().flatten().map(|(key, _)| (*key).to_owned()).collect();
        let all = || std::iter::once(&heading).chain(&cells);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..heading.len()).map(width).collect();
        for row in all() {
            let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            println!("  {}", padded.collect::<Vec<_>>().join("  "));
        }
        let kept = rows.iter().map(|row| {
            let all = common.iter().chain(row).map(|(key, value)| ((*key).to_owned(), value.clone()));
            Value::Object(all.collect::<Map<_, _>>())
        });
        self.tables.entry(name).or_default().extend(kept);
    }

    /// Writes all tables to a file.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(&json!(self.tables))?;
        std::fs::write(path, text + "\n")
    }
}

/// A figure with as many digits as are of use; nothing where there is none.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            if number < 10.0 { format!("{number:.2}") } else { format!("{number:.1}") }
        }
        other => other.to_string(),
    }
}
