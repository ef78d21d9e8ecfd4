//! Prepares segments ahead of need, and recycles those that the log needs no more.
//!
//! The log writer must not wait while 16 MB are allocated, or for the directory's journal. So it asks
//! for the next segment as soon as it begins one, and a thread of its own does the work. A segment
//! that is ready is durable with its name, its header, and all its blocks: the file system has no
//! more to note when records are written and synced.
//!
//! ```text
//! log-7 --freed--> spare-7 --header of 12, sync--> spare-7 --rename, directory sync--> log-12
//!                     ^
//!       rename, directory sync: only then is it overwritten
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::counters::Counters;
use super::files::{FileHandle, Files, temporary, write_zeros};
use super::identity::Owner;
use super::record::Salt;
use super::segment;

/// A segment without records.
pub struct Prepared<F: Files> {
    /// Its number.
    pub number: u64,
    /// The file.
    pub file: F::File,
    /// The length of the file.
    pub file_bytes: u64,
}

/// The segments before and after their use.
pub struct Pool<F: Files> {
    /// The directory.
    pub files: F,
    /// The owner of the directory.
    pub owner: Owner,
    /// The length of each new segment.
    pub segment_bytes: u64,
    /// How many spare segments are kept.
    pub most_spares: usize,
    /// The spare segments, all of the usual length.
    pub spares: Vec<u64>,
    /// Statistics.
    pub counters: Arc<Counters>,
}

impl<F: Files> Pool<F> {
    /// Makes a segment with this number.
    pub fn prepare(&mut self, number: u64) -> io::Result<Prepared<F>> {
        let (source, mut file) = match self.spares.pop() {
            Some(spare) => {
                let name = segment::spare_name(spare);
                let file = self.files.open(&name)?;
                (name, file)
            }
            None => self.create(number)?,
        };
        let salt = Salt { segment: number, owner: self.owner };
        file.write_at(&segment::header(salt, self.segment_bytes), 0)?;
        file.sync()?;
        self.files.rename(&source, &segment::name(number))?;
        self.files.sync_directory()?;
        self.counters.count_bytes(segment::HEADER_BYTES);
        Ok(Prepared { number, file, file_bytes: self.segment_bytes })
    }

    /// A new file whose blocks are all written. Blocks that are only reserved would have to be noted
    /// in the file system's journal when they are first synced.
    fn create(&self, number: u64) -> io::Result<(String, F::File)> {
        let name = temporary(&segment::name(number));
        let mut file = self.files.create(&name)?;
        write_zeros(&mut file, 0, self.segment_bytes)?;
        self.counters.count_bytes(self.segment_bytes);
        Ok((name, file))
    }

    /// Takes back a segment that the log needs no more. A power cut leaves the newest segments: each
    /// change of the directory is durable before the next.
    pub fn free(&mut self, number: u64) -> io::Result<()> {
        let name = segment::name(number);
        let is_usual = self.files.open(&name)?.size()? == self.segment_bytes;
        if is_usual && self.spares.len() < self.most_spares {
            self.files.rename(&name, &segment::spare_name(number))?;
            self.files.sync_directory()?;
            self.spares.push(number);
            Ok(())
        } else {
            self.files.remove(&name)?;
            self.files.sync_directory()
        }
    }
}

enum Task {
    Prepare(u64),
    Free(u64),
}

/// Where the work is done.
pub struct Worker<F: Files> {
    place: Place<F>,
    /// The segment that was asked for, as soon as it is ready.
    ready: Option<Prepared<F>>,
}

enum Place<F: Files> {
    /// In the thread of the log writer.
    Inline(Pool<F>),
    /// In a thread of its own.
    Thread {
        tasks: Option<Sender<Task>>,
        ready: Receiver<io::Result<Prepared<F>>>,
        thread: Option<JoinHandle<()>>,
    },
}

impl<F: Files> Worker<F> {
    /// Does the work in the thread of the log writer, or in one of its own.
    pub fn new(pool: Pool<F>, in_background: bool, ready: Option<Prepared<F>>) -> io::Result<Self> {
        let place = if in_background { Self::spawn(pool)? } else { Place::Inline(pool) };
        Ok(Self { place, ready })
    }

    fn spawn(pool: Pool<F>) -> io::Result<Place<F>> {
        // The log writer asks for one segment at a time, and it must not wait for room: a snapshot
        // can free many segments at once.
        let (tasks, waiting) = unbounded();
        let (done, ready) = bounded(2);
        let thread =
            thread::Builder::new().name("segments".into()).spawn(move || work(pool, &waiting, &done))?;
        Ok(Place::Thread { tasks: Some(tasks), ready, thread: Some(thread) })
    }

    /// Asks for the next segment. The log writer does so once, when it takes the one before.
    pub fn prepare(&mut self, number: u64) -> io::Result<()> {
        match &mut self.place {
            Place::Inline(pool) => self.ready = Some(pool.prepare(number)?),
            Place::Thread { tasks, .. } => submit(tasks, Task::Prepare(number)),
        }
        Ok(())
    }

    /// Takes back a segment.
    pub fn free(&mut self, number: u64) -> io::Result<()> {
        match &mut self.place {
            Place::Inline(pool) => pool.free(number),
            Place::Thread { tasks, .. } => {
                submit(tasks, Task::Free(number));
                Ok(())
            }
        }
    }

    /// Returns the error if the work has failed.
    pub fn check(&mut self) -> io::Result<()> {
        if let Place::Thread { ready, .. } = &self.place
            && let Ok(done) = ready.try_recv()
        {
            self.ready = Some(done?);
        }
        Ok(())
    }

    /// The segment that was asked for. Waits until it is ready.
    pub fn take(&mut self) -> io::Result<Prepared<F>> {
        if let Some(ready) = self.ready.take() {
            return Ok(ready);
        }
        match &self.place {
            Place::Inline(_) => unreachable!("a segment is asked for before it is taken"),
            Place::Thread { ready, .. } => {
                ready.recv().map_err(|_| io::Error::other("the preparation of segments has ended"))?
            }
        }
    }
}

/// Does the tasks until there are no more, or until one fails. The oldest segments are freed first; but
/// the log writer may wait for the next segment, and nothing waits for a free one.
fn work<F: Files>(mut pool: Pool<F>, tasks: &Receiver<Task>, done: &Sender<io::Result<Prepared<F>>>) {
    let mut to_free = VecDeque::new();
    loop {
        let task = if to_free.is_empty() { tasks.recv().ok() } else { tasks.try_recv().ok() };
        let result = match task {
            Some(Task::Prepare(number)) => pool.prepare(number).map(Some),
            Some(Task::Free(number)) => {
                to_free.push_back(number);
                continue;
            }
            None => match to_free.pop_front() {
                Some(number) => pool.free(number).map(|()| None),
                None => return,
            },
        };
        let has_failed = result.is_err();
        let is_heard = result.transpose().is_none_or(|result| done.send(result).is_ok());
        if has_failed || !is_heard {
            return;
        }
    }
}

/// A thread that has ended left its error in the other channel.
fn submit(tasks: &Option<Sender<Task>>, task: Task) {
    if let Some(tasks) = tasks {
        let _ = tasks.send(task);
    }
}

/// Waits until the last task is done, so that no thread works on a directory that is closed.
impl<F: Files> Drop for Worker<F> {
    fn drop(&mut self) {
        if let Place::Thread { tasks, thread, .. } = &mut self.place {
            *tasks = None;
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::tests::faulty::Faulty;

    #[test]
    fn next_segment_is_prepared_before_others_are_freed() {
        let files = Faulty::new(0);
        let counters = Arc::default();
        let segment_bytes = segment::MIN_BYTES;
        let spares = Vec::new();
        let mut pool =
            Pool { files: files.clone(), owner: 1, segment_bytes, most_spares: 2, spares, counters };
        for number in 1..=3 {
            pool.prepare(number).expect("no fault is planned");
        }
        let (tasks, waiting) = unbounded();
        let (done, ready) = unbounded();
        for task in [Task::Free(1), Task::Free(2), Task::Prepare(4), Task::Free(3)] {
            tasks.send(task).expect("it is not closed");
        }
        drop(tasks);
        work(pool, &waiting, &done);
        assert_eq!(ready.recv().expect("prepared").expect("no fault is planned").number, 4);
        // A segment that is freed first would have become the next one.
        let names: Vec<_> = files.contents().into_keys().collect();
        assert_eq!(names, ["log-0000000004", "spare-0000000001", "spare-0000000002"]);
    }
}
