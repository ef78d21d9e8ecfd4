//! A directory of the operating system. Each error names the file and says what could not be done
//! to it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::files::{FileHandle, Files};

/// A directory of the operating system.
#[derive(Clone, Debug)]
pub struct Directory {
    path: Arc<Path>,
}

/// A file of the operating system.
#[derive(Debug)]
pub struct DirectoryFile {
    path: PathBuf,
    file: File,
}

/// A lock of the operating system.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
}

impl Directory {
    /// The directory at this path. It is created if it does not exist, so that a power cut does not
    /// undo it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
        fs::create_dir_all(path).map_err(|error| say(error, "create the directory", path))?;
        for created in missing {
            Self { path: created.into() }.sync_parent()?;
        }
        Ok(Self { path: path.into() })
    }

    /// The directory at this path, which exists.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::read_dir(path).map_err(|error| say(error, "read the directory", path))?;
        Ok(Self { path: path.into() })
    }

    /// Returns when the name of the directory itself would survive a power cut.
    pub fn sync_parent(&self) -> io::Result<()> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new(".")))
    }

    fn file(&self, name: &str, verb: &str, options: &fs::OpenOptions) -> io::Result<DirectoryFile> {
        let path = self.path.join(name);
        match options.open(&path) {
            Ok(file) => Ok(DirectoryFile { path, file }),
            Err(error) => Err(say(error, verb, &path)),
        }
    }
}

impl Files for Directory {
    type File = DirectoryFile;
    type Lock = DirectoryLock;

    fn lock(&self, name: &str) -> io::Result<DirectoryLock> {
        let options = File::options().create(true).read(true).write(true).truncate(false).clone();
        let DirectoryFile { path, file } = self.file(name, "open", &options)?;
        flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| say(error.into(), "lock", &path))?;
        Ok(DirectoryLock { file })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let said = |error| say(error, "read the directory", &self.path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(said)? {
            names.extend(entry.map_err(said)?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<DirectoryFile> {
        self.file(name, "open", File::options().read(true).write(true))
    }

    fn create(&self, name: &str) -> io::Result<DirectoryFile> {
        self.file(name, "create", File::options().create(true).read(true).write(true).truncate(true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let path = self.path.join(from);
        fs::rename(&path, self.path.join(to)).map_err(|error| say(error, "rename", &path))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        fs::remove_file(&path).map_err(|error| say(error, "remove", &path))
    }

    fn sync_directory(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    fn directory(&self) -> String {
        self.path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

/// A child process that has not executed its program yet has a copy of the file, so to close ours is
/// not enough.
impl Drop for DirectoryLock {
    fn drop(&mut self) {
        let _ = flock(self.file.as_fd(), FlockOperation::Unlock);
    }
}

impl FileHandle for DirectoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata().map_err(|error| say(error, "examine", &self.path))?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(bytes, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| say(error, "read", &self.path)),
            }
        }
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|error| say(error, "write", &self.path))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data().map_err(|error| say(error, "sync", &self.path))
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| say(error, "sync the directory", path))
}

/// The error with its file, and with a remedy if people have one.
fn say(error: io::Error, verb: &str, path: &Path) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Make room and start again: no acknowledged write is lost"
        }
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot {verb} {}: {error}{remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_ends_with_its_owner_although_a_child_has_a_copy_of_its_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Directory::create(directory.path()).expect("writable");
        let lock = files.lock("lock").expect("free");
        let copy = lock.file.try_clone().expect("a copy");
        assert_eq!(files.lock("lock").expect_err("taken").kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        files.lock("lock").expect("free");
        drop(copy);
    }
}
