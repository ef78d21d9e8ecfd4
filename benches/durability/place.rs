//! The directory of all files of the bench.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Names another place.
const VARIABLE: &str = "KVSTORE_BENCH_DIR";

/// A temporary directory on a disk.
pub struct Place(TempDir);

impl Place {
    /// A directory in the one that the environment names, or else beside the build; says where it
    /// is, and refuses a file system in memory.
    pub fn create() -> Self {
        let parent = std::env::var_os(VARIABLE).map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        fs::create_dir_all(&parent).expect("a directory");
        let parent = parent.canonicalize().expect("it exists");
        let (kind, device) = file_system(&parent);
        println!("Files in {}: {kind} on {device}", parent.display());
        assert!(kind != "tmpfs" && kind != "ramfs", "not on a disk: set {VARIABLE} to a directory that is");
        Self(tempfile::tempdir_in(parent).expect("a directory"))
    }

    /// A directory for one part.
    pub fn part(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// The kind of the file system that has this directory, and its device.
fn file_system(path: &Path) -> (String, String) {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux has it");
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let holding = fields.filter(|(_, mounted, _)| path.starts_with(mounted));
    let nearest = holding.max_by_key(|(_, mounted, _)| mounted.len());
    nearest.map_or_else(Default::default, |(device, _, kind)| (kind.to_owned(), device.to_owned()))
}

/// The bytes of all files of a directory.
pub fn size_of(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("it exists");
    // A file may be gone meanwhile.
    files.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum()
}
