//! The picture of a run. `run.py replay` of the checkout draws it from a trace.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kvstore::err_line as eprintln;

use crate::Refusal;

/// A page to be drawn. The explorer finds all that it needs for it before the run.
pub(crate) struct Page {
    file: PathBuf,
    script: PathBuf,
    trace: Trace,
}

/// The file of the trace.
enum Trace {
    Kept(PathBuf),
    Temporary(PathBuf),
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self {
            // It lies among the temporary files, which the system removes in the end.
            let _left = std::fs::remove_file(path);
        }
    }
}

impl Page {
    /// A page in this file, of a trace that stays in the other file if one is given.
    pub(crate) fn new(file: &Path, trace: Option<&Path>) -> Result<Self, Refusal> {
        let script = find_script()?;
        let runs = python(["--version"]).is_ok_and(|output| output.status.success());
        if !runs {
            return Err(Refusal("--report: python3 is needed to draw, and does not run".to_owned()));
        }
        let refused = |error| Refusal(format!("{}: {error}", file.display()));
        File::options().create(true).append(true).open(file).map_err(refused)?;
        let trace = trace.map_or_else(temporary, |trace| Ok(Trace::Kept(trace.to_owned())))?;
        Ok(Self { file: file.to_owned(), script, trace })
    }

    /// Where the trace is to be written.
    pub(crate) fn trace(&self) -> &Path {
        let (Trace::Kept(path) | Trace::Temporary(path)) = &self.trace;
        path
    }

    /// Draws the trace.
    pub(crate) fn draw(self) -> Result<(), Refusal> {
        let failed = |why: &str| Refusal(format!("{}: not drawn: {why}", self.file.display()));
        let command = [&self.script, Path::new("replay"), self.trace(), Path::new("--no-check")];
        let arguments = command.into_iter().chain([Path::new("--report"), &self.file]);
        let output = python(arguments).map_err(|error| failed(&error.to_string()))?;
        // The replay fails as well if the run does. Then the page is there.
        if !matches!(output.status.code(), Some(0 | 1)) || self.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(said.lines().last().unwrap_or("run.py says nothing")));
        }
        eprintln!("{}: the picture of the run", self.file.display());
        Ok(())
    }

    fn is_empty(&self) -> bool {
        std::fs::metadata(&self.file).is_ok_and(|about| about.is_file() && about.len() == 0)
    }
}

fn python(arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> std::io::Result<Output> {
    Command::new("python3").args(arguments).stdin(Stdio::null()).output()
}

/// `run.py` of the checkout from which the explorer was built, else of the one of the current
/// directory.
fn find_script() -> Result<PathBuf, Refusal> {
    let program = std::env::current_exe().ok();
    let directory = std::env::current_dir().ok();
    let above = program.iter().chain(&directory).flat_map(|path| path.ancestors());
    let mut scripts = above.map(|ancestor| ancestor.join("run.py"));
    let is_there = |script: &PathBuf| {
        script.is_file() && script.with_file_name("simulator").join("__init__.py").is_file()
    };
    let missing = || Refusal("--report: no run.py above the explorer or the current directory".to_owned());
    scripts.find(is_there).ok_or_else(missing)
}

fn temporary() -> Result<Trace, Refusal> {
    let path = std::env::temp_dir().join(format!("explore-{}.trace", std::process::id()));
    let refused = |error| Refusal(format!("{}: {error}", path.display()));
    File::create_new(&path).map_err(refused)?;
    Ok(Trace::Temporary(path))
}
