//! The system calls that the storage needs, on the files of one directory. Tests put a faulty
//! directory in the place of the real one.

use std::io;

/// One directory.
pub trait Files: Clone + Send + Sync + 'static {
    /// An open file.
    type File: FileHandle;
    /// Keeps other processes out while it lives.
    type Lock: Send + Sync + 'static;

    /// Takes the lock with this name, which must not wait. The error is
    /// [`io::ErrorKind::WouldBlock`] if another process holds it.
    fn lock(&self, name: &str) -> io::Result<Self::Lock>;

    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that exists, to read and to write.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Creates an empty file, in the place of an older one with this name.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in the place of an older file with that name. A crash may undo it
    /// until [`Self::sync_directory`] returns.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. A crash may undo it until [`Self::sync_directory`] returns.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns when the names of all files would survive a power cut.
    fn sync_directory(&self) -> io::Result<()>;

    /// The directory's name for people.
    fn directory(&self) -> String;

    /// A file's name for people.
    fn path(&self, name: &str) -> String;
}

/// An open file.
pub trait FileHandle: Send + 'static {
    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Reads into a part of `bytes` from the front, and returns the length of this part; 0 only at
    /// the end of the file.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes`. The file grows if they reach beyond its end.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when the contents and the length would survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
}

/// How many zeros are written at once. The system's cache keeps what one write brings as one unit of
/// up to 2 MB, and looks through all blocks of the unit at each later write to it and at each sync.
const ZEROS_BYTES: usize = 64 << 10;

/// The whole file, but no more than `most` bytes.
pub fn read_up_to(file: &impl FileHandle, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(&mut bytes, file, most)?;
    Ok(bytes)
}

/// Puts the whole file into the place of the bytes, but no more than `most` bytes. A buffer that is
/// used again saves the pages of a new one.
pub fn read_into(bytes: &mut Vec<u8>, file: &impl FileHandle, most: u64) -> io::Result<()> {
    let size = file.size()?.min(most);
    bytes.resize(usize::try_from(size).map_err(io::Error::other)?, 0);
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    Ok(())
}

/// Writes zeros from one offset to another.
pub fn write_zeros(file: &mut impl FileHandle, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES.min((to.saturating_sub(from)) as usize)];
    let mut at = from;
    while at < to {
        let piece = zeros.len().min((to - at) as usize);
        file.write_at(&zeros[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

/// Puts a file with these contents in the place of an older one, or beside the others. A crash
/// leaves the old state or the new one.
pub fn publish<F: Files>(files: &F, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(name);
    let mut file = files.create(&temporary)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    files.rename(&temporary, name)?;
    files.sync_directory()
}

/// The end of the name of a file that is not finished yet.
const TEMPORARY: &str = ".tmp";

/// The name of a file until it is finished.
pub fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY}")
}

/// Whether a file with this name was not finished.
pub fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}
