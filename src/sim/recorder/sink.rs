//! The file of a trace, which is written while the run goes on. A run does not depend on it: the first
//! error ends the file, and is told when the run ends.

use std::fmt::{self, Write as _};
use std::io;

/// This much is written at a time.
const AT_ONCE: usize = 64 * 1024;

/// Lines on their way to a file.
pub(super) struct Sink {
    waiting: String,
    file: Box<dyn io::Write>,
    written: io::Result<()>,
}

impl Sink {
    pub(super) fn new(file: Box<dyn io::Write>) -> Self {
        Self { waiting: String::new(), file, written: Ok(()) }
    }

    /// Takes a line.
    pub(super) fn line(&mut self, text: fmt::Arguments<'_>) {
        writeln!(self.waiting, "{text}").unwrap_or_else(|_| unreachable!("a string takes everything"));
        if self.waiting.len() >= AT_ONCE {
            self.write();
        }
    }

    fn write(&mut self) {
        if self.written.is_ok() {
            self.written = self.file.write_all(self.waiting.as_bytes());
        }
        self.waiting.clear();
    }

    /// Writes the rest.
    ///
    /// # Errors
    ///
    /// The first error of the file.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.write();
        self.written?;
        self.file.flush()
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
