//! `print!`, `println!` and `eprintln!` for a program whose output may be closed or a full device,
//! on which the ones of the standard library panic.
//!
//! ```
//! use kvstore::{err_line as eprintln, out as print, out_line as println};
//! # println!("{}", 1);
//! # print!("");
//! # eprintln!("{}", 2);
//! ```

use std::fmt;
use std::io::{self, Write};

/// The output cannot be written: the program could not do what it was asked to.
const EXIT_NOT_WRITTEN: i32 = 2;

/// Writes to stdout. If that fails, the process ends with exit code 2 and a line on stderr. A
/// reader that has closed stdout has seen enough: then there is no line.
pub fn print(text: fmt::Arguments<'_>) {
    if let Err(error) = io::stdout().write_fmt(text) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            complain(format_args!("can't write to stdout: {error}\n"));
        }
        std::process::exit(EXIT_NOT_WRITTEN);
    }
}

/// Writes to stderr, or does not if that is impossible.
pub fn complain(text: fmt::Arguments<'_>) {
    let _lost = io::stderr().write_fmt(text);
}

/// As `print!`, but [`print()`] says what happens if it fails.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::output::print(format_args!($($text)*)) };
}

/// As `println!`, but [`print()`] says what happens if it fails.
#[macro_export]
macro_rules! out_line {
    ($($text:tt)*) => { $crate::output::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `eprintln!`, but it never fails.
#[macro_export]
macro_rules! err_line {
    ($($text:tt)*) => { $crate::output::complain(format_args!("{}\n", format_args!($($text)*))) };
}
