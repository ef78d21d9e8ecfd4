//! A directory in memory whose machine can stop at any system call. It tells the contents that
//! processes see from the contents that survive a power cut.
//!
//! * A write reaches the cache. A sync makes it durable. A power cut keeps any part of what was not
//!   synced, in units of sectors or pages.
//! * A change of the directory survives a power cut for certain after a sync of the directory. Until
//!   then each change is kept or undone, independent of the others.
//! * After a sync that failed, the cache keeps the data and takes it for written.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::inode::Inode;
use crate::storage::{FileHandle, Files};

/// An error that a system call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine stops: this call has any part of its effect, and later ones have none.
    Stop,
    /// This call fails, and later ones succeed.
    Error(io::ErrorKind),
}

/// The effect of a stop on contents that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process was killed. The machine goes on, and its cache with it.
    Kill,
    /// A power cut that loses everything that was not synced.
    LoseAll,
    /// A power cut that keeps everything.
    KeepAll,
    /// A power cut that keeps any part.
    KeepSome,
}

/// All outcomes.
pub const OUTCOMES: [Outcome; 4] = [Outcome::Kill, Outcome::LoseAll, Outcome::KeepAll, Outcome::KeepSome];

/// The directory. A clone is the same directory.
#[derive(Clone)]
pub struct Faulty {
    disk: Arc<Mutex<Disk>>,
}

/// An open file.
pub struct FaultyFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
    life: u64,
}

/// Is released when it is dropped.
pub struct FaultyLock {
    disk: Arc<Mutex<Disk>>,
    life: u64,
}

#[derive(Clone)]
enum DirectoryChange {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<DirectoryChange>,
    /// The fault, and how many calls succeed before it.
    fault: Option<(u64, Fault)>,
    calls: u64,
    is_stopped: bool,
    is_locked: bool,
    /// Files and locks of an earlier life do nothing.
    life: u64,
    random: fastrand::Rng,
}

impl Faulty {
    /// An empty directory. All that is random derives from the seed.
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            fault: None,
            calls: 0,
            is_stopped: false,
            is_locked: false,
            life: 0,
            random: fastrand::Rng::with_seed(seed),
        };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no test panics while it has the disk")
    }

    /// A copy of the directory as it is now.
    pub fn fork(&self, seed: u64) -> Self {
        let disk = self.disk();
        let copy = Disk {
            inodes: disk.inodes.clone(),
            names: disk.names.clone(),
            durable_names: disk.durable_names.clone(),
            changes: disk.changes.clone(),
            fault: None,
            calls: 0,
            is_stopped: false,
            is_locked: false,
            life: disk.life,
            random: fastrand::Rng::with_seed(seed),
        };
        Self { disk: Arc::new(Mutex::new(copy)) }
    }

    /// Counts calls from 0 again. The call with this number has this fault.
    pub fn plan(&self, call: u64, fault: Fault) {
        let mut disk = self.disk();
        disk.calls = 0;
        disk.fault = Some((call, fault));
    }

    /// Whether the fault has come.
    pub fn has_struck(&self) -> bool {
        let disk = self.disk();
        disk.fault.is_some_and(|(call, _)| disk.calls > call)
    }

    /// The machine or the process starts again. Nothing of the life before has an effect any more.
    pub fn restart(&self, outcome: Outcome) {
        self.disk().restart(outcome);
    }

    /// The names of the files, and their contents.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.disk();
        disk.names.iter().map(|(name, &inode)| (name.clone(), disk.inodes[inode].cache.clone())).collect()
    }

    /// Changes the contents of a file, durably.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk();
        let inode = disk.names[name];
        disk.inodes[inode].edit(edit);
    }

    fn file(&self, inode: usize, life: u64) -> FaultyFile {
        FaultyFile { disk: self.disk.clone(), inode, life }
    }
}

impl Disk {
    /// Counts a call. Returns an error if the call must not have an effect; with a stop it may have
    /// one all the same.
    fn call(&mut self, life: u64) -> Result<Option<Fault>, io::Error> {
        if self.is_stopped || life != self.life {
            return Err(io::Error::other("the machine has stopped"));
        }
        let call = self.calls;
        self.calls += 1;
        match self.fault {
            Some((at, fault)) if at == call => {
                self.is_stopped = fault == Fault::Stop;
                Ok(Some(fault))
            }
            _ => Ok(None),
        }
    }

    /// Does a change of the directory that a fault may stop.
    fn change(&mut self, life: u64, change: DirectoryChange) -> io::Result<()> {
        let fault = self.call(life)?;
        let has_effect = match fault {
            None => true,
            Some(Fault::Stop) => self.random.bool(),
            Some(Fault::Error(_)) => false,
        };
        if has_effect {
            apply(&mut self.names, &change);
            self.changes.push(change);
        }
        result_of(fault)
    }

    fn restart(&mut self, outcome: Outcome) {
        let Self { inodes, names, durable_names, changes, random, .. } = self;
        for change in changes.drain(..) {
            let is_kept = match outcome {
                Outcome::Kill | Outcome::KeepAll => true,
                Outcome::LoseAll => false,
                Outcome::KeepSome => random.bool(),
            };
            if is_kept && outcome != Outcome::Kill {
                apply(durable_names, &change);
            }
        }
        for inode in inodes.iter_mut() {
            match outcome {
                Outcome::Kill => continue,
                Outcome::LoseAll => {}
                Outcome::KeepAll => inode.sync(),
                Outcome::KeepSome => inode.keep_some(random),
            }
            inode.reload();
        }
        if outcome != Outcome::Kill {
            *names = durable_names.clone();
        }
        self.fault = None;
        self.is_stopped = false;
        self.is_locked = false;
        self.life += 1;
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: &DirectoryChange) {
    match change {
        DirectoryChange::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        DirectoryChange::Unlink(name) => {
            names.remove(name);
        }
        DirectoryChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

fn result_of(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::Stop) => Err(io::Error::other("the machine has stopped")),
        Some(Fault::Error(kind)) => Err(kind.into()),
    }
}

impl Files for Faulty {
    type File = FaultyFile;
    type Lock = FaultyLock;

    fn lock(&self, _name: &str) -> io::Result<FaultyLock> {
        let mut disk = self.disk();
        if disk.is_locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.is_locked = true;
        Ok(FaultyLock { disk: self.disk.clone(), life: disk.life })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut disk = self.disk();
        let life = disk.life;
        result_of(disk.call(life)?)?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile> {
        let mut disk = self.disk();
        let life = disk.life;
        result_of(disk.call(life)?)?;
        let inode = *disk.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(inode, life))
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile> {
        let mut disk = self.disk();
        let life = disk.life;
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.change(life, DirectoryChange::Link(name.to_owned(), inode))?;
        Ok(self.file(inode, life))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        let life = disk.life;
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change(life, DirectoryChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        let life = disk.life;
        if !disk.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change(life, DirectoryChange::Unlink(name.to_owned()))
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut disk = self.disk();
        let life = disk.life;
        let fault = disk.call(life)?;
        if fault.is_none() || fault == Some(Fault::Stop) && disk.random.bool() {
            disk.changes.clear();
            disk.durable_names = disk.names.clone();
        }
        result_of(fault)
    }

    fn directory(&self) -> String {
        "faulty".to_owned()
    }

    fn path(&self, name: &str) -> String {
        format!("faulty/{name}")
    }
}

impl FaultyFile {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no test panics while it has the disk")
    }
}

impl FileHandle for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        let disk = self.disk();
        Ok(disk.inodes[self.inode].cache.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk();
        result_of(disk.call(self.life)?)?;
        let cache = &disk.inodes[self.inode].cache;
        let rest = cache.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(bytes.len());
        bytes[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk();
        let fault = disk.call(self.life)?;
        // A write that fails may have written a part.
        let length = if fault.is_some() { disk.random.usize(..=bytes.len()) } else { bytes.len() };
        disk.inodes[self.inode].write(&bytes[..length], offset as usize);
        result_of(fault)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk();
        let fault = disk.call(self.life)?;
        let Disk { inodes, random, .. } = &mut *disk;
        let inode = &mut inodes[self.inode];
        match fault {
            None => inode.sync(),
            // The machine stops before, within or after the sync.
            Some(Fault::Stop) if random.bool() => inode.sync(),
            Some(Fault::Stop) => {}
            Some(Fault::Error(_)) => inode.fail_sync(random),
        }
        result_of(fault)
    }
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        if let Ok(mut disk) = self.disk.lock()
            && disk.life == self.life
        {
            disk.is_locked = false;
        }
    }
}
