//! A small file system, for tests that fill it or make it read-only.

#![allow(dead_code, reason = "each test needs a part of it")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system in memory. It is gone when this is dropped.
pub struct Mount {
    directory: TempDir,
}

impl Mount {
    /// A file system of this size. `None`, with the reason on stderr, where this user may not mount
    /// one.
    pub fn new(bytes: u64) -> Option<Self> {
        let mount = Self { directory: tempfile::tempdir().expect("a directory") };
        match mount.mount(&format!("size={bytes}")) {
            Ok(()) => Some(mount),
            Err(reason) => {
                eprintln!("not tested, for no file system can be mounted: {reason}");
                None
            }
        }
    }

    /// The place of the file system.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Changes its size.
    pub fn resize(&self, bytes: u64) {
        self.mount(&format!("remount,size={bytes}")).expect("it was mounted");
    }

    /// Refuses all writes from now on.
    pub fn make_read_only(&self) {
        self.mount("remount,ro").expect("it was mounted");
    }

    fn mount(&self, options: &str) -> Result<(), String> {
        let command = &mut Command::new("mount");
        let arguments = ["-t", "tmpfs", "-o", options, "none"];
        let output = command.args(arguments).arg(self.path()).output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(said)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}
