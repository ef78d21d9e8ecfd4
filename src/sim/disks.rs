//! The disks of a cluster: how long they take, and what follows when an operation ends or fails.

use raft::types::EntryId;

use super::bugs::AfterFailedSync;
use super::cluster::Cluster;
use super::disk::{Change, Failed, Freed, Refusal, Trouble};
use super::invariants::Violation;
use super::plan::Storage;
use super::queue::Event;
use super::trace::Place;
use crate::micros::Micros;
use crate::replica::Effect;

/// The time to write a key or a session of a snapshot: 100 bytes at 10 MB/s.
const WRITE_US: Micros = 10;

/// The name of the rule that each replica starts, or refuses for a reason that a fault caused.
const STARTS: &str = "starts or refuses for a reason";

impl Cluster {
    /// A replica starts from its disk. It refuses if a fault has damaged the disk, and only then.
    pub(super) fn start(&mut self, at: usize) -> Result<(), Violation> {
        match self.servers[at].start(self.now, &mut self.rng) {
            Ok(()) => {
                let snapshot = self.servers[at].disk.snapshot();
                let life = self.servers[at].life;
                self.coverage.restarts_from_snapshot += u64::from(snapshot.index > 0);
                self.trace.say(self.now, Place::Replica(at), || match snapshot.index {
                    0 => format!("starts (life {life})"),
                    _ => format!("starts (life {life}) from the snapshot {snapshot}"),
                });
                self.set_timer(at);
                self.record_event("back", at);
                Ok(())
            }
            Err(refusal @ Refusal::Gap { .. }) => {
                Err(Violation::new(STARTS, self.now, at, refusal.to_string()))
            }
            Err(refusal) => {
                self.coverage.damaged_refused += 1;
                self.trace.say(self.now, Place::Replica(at), || format!("refuses to start: {refusal}"));
                Ok(())
            }
        }
    }

    /// A replica writes an effect to its disk.
    pub(super) fn write(&mut self, at: usize, effect: Effect) -> Result<(), Failed> {
        let disk = &mut self.servers[at].disk;
        let change = match effect {
            Effect::Persist(persist) => Change::Persist(persist),
            Effect::Compact(base) => Change::Compact(base),
            Effect::SaveSnapshot(snapshot) => {
                if disk.save(*snapshot)? {
                    self.next_stage(at);
                }
                return Ok(());
            }
            Effect::Send(_) => return Ok(()),
        };
        if disk.write(change)? {
            self.sync_later(at);
        }
        Ok(())
    }

    pub(super) fn synced(&mut self, at: usize, sync: u64) -> Result<(), Violation> {
        if self.servers[at].disk.sync_number() != sync {
            return Ok(()); // the end of a fault has already ended this sync
        }
        match self.servers[at].disk.synced() {
            Ok(synced) => self.report_synced(at, synced),
            Err(failed) => match self.servers[at].after_failed_sync() {
                AfterFailedSync::End => self.end_by_disk(at, failed),
                AfterFailedSync::TryAgain => {
                    let synced = self.servers[at].disk.ignore_failed_sync();
                    self.report_synced(at, synced);
                }
                AfterFailedSync::SendAndEnd => {
                    let synced = self.servers[at].disk.ignore_failed_sync();
                    self.report_synced(at, synced);
                    self.batch(at)?;
                    self.transmit(at)?;
                    self.end_by_disk(at, failed);
                }
            },
        }
        Ok(())
    }

    fn report_synced(&mut self, at: usize, (number, again): (Option<u64>, bool)) {
        if let Some(number) = number {
            self.servers[at].synced(number);
            self.trace.say(self.now, Place::Replica(at), || format!("has synced {number}"));
        }
        if again {
            self.sync_later(at);
        }
        self.wake_consensus(at);
    }

    fn sync_us(&mut self, at: usize) -> Option<Micros> {
        let Storage::Disk { sync_us: (least, most) } = self.plan.storage else { return None };
        Some(self.rng.u64(least..=most).max(self.servers[at].disk.slowness_us()))
    }

    fn sync_later(&mut self, at: usize) {
        if let Some(sync_us) = self.sync_us(at) {
            self.synced_at(self.now + sync_us, at);
        }
    }

    /// The current sync ends at this time.
    fn synced_at(&mut self, due: Micros, at: usize) {
        let (life, number) = (self.servers[at].life, self.servers[at].disk.sync_number());
        self.schedule(due, Event::Synced { at, life, number });
    }

    /// A stage of a snapshot begins, if there is one.
    fn next_stage(&mut self, at: usize) {
        let Some((snapshot, is_renamed)) = self.servers[at].disk.snapshots().current() else { return };
        let (id, parts) = (snapshot.id, snapshot.state.len() + snapshot.state.sessions().0);
        let write_us = if is_renamed { 0 } else { WRITE_US * parts as Micros };
        if is_renamed {
            self.trace.say(self.now, Place::Replica(at), || format!("has renamed the snapshot {id}"));
        }
        if let Some(sync_us) = self.sync_us(at) {
            self.stage_ends_at(self.now + write_us + sync_us, at);
        }
    }

    /// The current stage of a snapshot ends at this time.
    fn stage_ends_at(&mut self, due: Micros, at: usize) {
        let (life, number) = (self.servers[at].life, self.servers[at].disk.snapshots().stage_number());
        self.schedule(due, Event::Saved { at, life, number });
    }

    /// A stage of a snapshot has ended.
    pub(super) fn end_stage(&mut self, at: usize, stage: u64) {
        if self.servers[at].disk.snapshots().stage_number() != stage {
            return; // the end of a fault has already ended this stage
        }
        let saved = match self.servers[at].disk.advance_snapshot() {
            Ok(saved) => saved,
            Err(failed) => return self.end_by_disk(at, failed),
        };
        let renamed = self.servers[at].disk.snapshots().current().filter(|(_, is_renamed)| *is_renamed);
        let renamed = renamed.map(|(snapshot, _)| snapshot.id);
        let skips = self.servers[at].skips_directory_sync();
        if let Some(id) = if skips { renamed } else { saved } {
            self.report_saved(at, id);
        }
        self.next_stage(at);
    }

    fn report_saved(&mut self, at: usize, id: EntryId) {
        self.trace.say(self.now, Place::Replica(at), || format!("has saved the snapshot {id}"));
        self.servers[at].saved(id);
        self.wake_consensus(at);
    }

    /// These operations of a disk end now, because a fault ends.
    pub(super) fn end_now(&mut self, at: usize, freed: Freed) {
        if freed.sync {
            self.synced_at(self.now, at);
        }
        if freed.saving {
            self.stage_ends_at(self.now, at);
        }
    }

    /// An operation of the disk has failed: the process ends.
    pub(super) fn end_by_disk(&mut self, at: usize, Failed(trouble): Failed) {
        self.trace.say(self.now, Place::Replica(at), || format!("ends: {trouble}"));
        match trouble {
            Trouble::Full => self.coverage.full_disks += 1,
            Trouble::Write => self.coverage.write_errors += 1,
            Trouble::Sync => self.coverage.sync_errors += 1,
        }
        self.crash(at);
        self.servers[at].ended_by_disk = true;
    }
}
