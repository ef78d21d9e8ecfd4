//! The faults of the plan: each fault begins at its time, and its effects end with it.

use super::cluster::Cluster;
use super::conditions::Waiting;
use super::disk::Trouble;
use super::invariants::Violation;
use super::plan::{Condition, FaultKind, Storage, Target, Trigger};
use super::queue::Event;
use super::trace::Place;
use crate::micros::Micros;

/// A tenth of the rate.
const SLOW_CLOCK_PPM: i64 = -900_000;

/// The state of a run's faults.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) undo: Vec<Option<Undo>>,      // of each current fault
    pub(super) armed: Vec<(usize, Trigger)>, // faults that wait for their trigger
    pub(super) waiting: Vec<Waiting>,        // faults that wait for an occurrence
}

/// The way to end a fault.
#[derive(Debug)]
pub(super) enum Undo {
    Start(usize),
    Resume(usize),
    Unclog(usize),
    SpeedUp(usize, Micros),
    Repair(usize, Trouble),
    ClockRate(usize),
    Mend(Vec<(usize, usize)>),
    Release(Vec<(usize, usize)>),
    EndLoss(f64),
    EndDelay(usize, Micros),
    EndFlap { at: usize, is_cut: bool },
    EndSlow(usize, Micros),
}

impl Faults {
    pub(super) fn new(count: usize) -> Self {
        Self { undo: (0..count).map(|_| None).collect(), armed: Vec::new(), waiting: Vec::new() }
    }

    /// Forgets all faults: no end and no trigger of a fault has an effect any more.
    pub(super) fn forget(&mut self) {
        self.undo.iter_mut().for_each(|undo| *undo = None);
        self.armed.clear();
        self.waiting.clear();
    }
}

impl Cluster {
    /// The time of a fault is there.
    ///
    /// # Errors
    ///
    /// A rule that is broken by it.
    pub(super) fn begin_fault(&mut self, number: usize) -> Result<(), Violation> {
        let kind = self.plan.faults[number].kind.clone();
        self.trace.say(self.now, Place::Network, || format!("fault {number}: {kind}"));
        self.coverage.faults += 1;
        match kind {
            FaultKind::When(when, _) => {
                self.faults.waiting.push(Waiting::new(number, when));
                Ok(())
            }
            kind => self.happen_now(number, &kind),
        }
    }

    /// A fault begins that waits for no occurrence any more.
    ///
    /// # Errors
    ///
    /// A rule that is broken by it.
    pub(super) fn happen_now(&mut self, number: usize, kind: &FaultKind) -> Result<(), Violation> {
        match kind {
            FaultKind::CrashOn(trigger) => self.faults.armed.push((number, *trigger)),
            FaultKind::EndPartitions => self.end_partitions()?,
            FaultKind::Heal => self.heal_links()?,
            _ => {
                let undo = self.inflict(number, kind);
                if undo.is_none() && matches!(kind, FaultKind::Flap(..) | FaultKind::Slow(..)) {
                    self.trace.say(self.now, Place::Network, || format!("fault {number} has no replica"));
                }
                self.undo_later(number, undo);
                if kind.is_partition() {
                    self.occur(|on| *on == Condition::Partitioned);
                }
            }
        }
        Ok(())
    }

    pub(super) fn undo_later(&mut self, number: usize, undo: Option<Undo>) {
        self.faults.undo[number] = undo;
        if let Some(for_us) = self.plan.faults[number].for_us {
            self.schedule(self.now + for_us, Event::Undo(number));
        }
    }

    fn inflict(&mut self, number: usize, kind: &FaultKind) -> Option<Undo> {
        let everybody = 0..self.servers.len();
        match *kind {
            FaultKind::Crash(target) => {
                let at = self.resolve(target)?;
                if target == Target::Leader && !self.plan.workload.asks_the_dead {
                    self.clients.forget_leader();
                }
                self.crash(at).then_some(Undo::Start(at))
            }
            FaultKind::Pause(target) => {
                let at = self.resolve(target)?;
                self.servers[at].paused += 1;
                self.record_event("pause", at);
                Some(Undo::Resume(at))
            }
            FaultKind::Clog(target) => {
                let at = self.resolve(target)?;
                self.servers[at].clogged += 1;
                Some(Undo::Unclog(at))
            }
            FaultKind::Transfer(target) => {
                let at = self.resolve(target)?;
                self.servers[at].hands_over = true;
                self.wake_consensus(at);
                None
            }
            FaultKind::SlowDisk(target, least_us) => {
                let at = self.resolve(target)?;
                self.servers[at].disk.slow_down(least_us);
                self.coverage.slow_disks += u64::from(self.plan.storage != Storage::Memory);
                Some(Undo::SpeedUp(at, least_us))
            }
            FaultKind::FullDisk(target) => self.trouble(target, Trouble::Full),
            FaultKind::WriteError(target) => self.trouble(target, Trouble::Write),
            FaultKind::SyncError(target) => self.trouble(target, Trouble::Sync),
            FaultKind::DamagedSector(at) => self.damage(at),
            FaultKind::SlowClock(target) => {
                let at = self.resolve(target)?;
                self.set_clock_rate(at, SLOW_CLOCK_PPM);
                Some(Undo::ClockRate(at))
            }
            FaultKind::Flap(target, period_us) => self.flap(number, target, period_us),
            FaultKind::Slow(target, by_us) => self.slow_down(target, by_us),
            FaultKind::Lag(target) => {
                let at = self.resolve(target)?;
                Some(self.hold(everybody.map(|other| (other, at)).collect()))
            }
            FaultKind::Stall(target) => {
                let at = self.resolve(target)?;
                Some(self.hold(everybody.flat_map(|other| [(other, at), (at, other)]).collect()))
            }
            FaultKind::Delay(target, by_us) => {
                let at = self.resolve(target)?;
                self.network.begin_delay(at, by_us);
                Some(Undo::EndDelay(at, by_us))
            }
            FaultKind::Loss(probability) => {
                self.network.begin_loss(probability);
                Some(Undo::EndLoss(probability))
            }
            ref kind => self.cut_links(kind),
        }
    }

    pub(super) fn end_fault(&mut self, number: usize) -> Result<(), Violation> {
        let Some(undo) = self.faults.undo[number].take() else { return Ok(()) };
        self.trace.say(self.now, Place::Network, || format!("fault {number} ends"));
        match undo {
            Undo::Start(at) => return self.restart(at),
            Undo::Resume(at) => self.resume(at),
            Undo::Unclog(at) => self.unclog(at),
            Undo::SpeedUp(at, least_us) => {
                let freed = self.servers[at].disk.speed_up(least_us);
                self.end_now(at, freed);
            }
            Undo::Repair(at, trouble) => {
                self.servers[at].disk.end_trouble(trouble);
                if self.servers[at].ended_by_disk {
                    return self.restart(at);
                }
            }
            Undo::ClockRate(at) => self.set_clock_rate(at, self.plan.clock_rate(at)),
            Undo::Mend(links) => {
                links.into_iter().for_each(|(from, to)| self.network.mend(from, to));
                self.record_links();
            }
            Undo::Release(links) => {
                links.into_iter().for_each(|(from, to)| {
                    if self.network.release(from, to) {
                        self.release(from, to);
                    }
                });
            }
            Undo::EndLoss(probability) => self.network.end_loss(probability),
            Undo::EndDelay(at, by_us) => self.network.end_delay(at, by_us),
            Undo::EndFlap { at, is_cut } => self.end_flap(at, is_cut),
            Undo::EndSlow(at, by_us) => self.speed_up(at, by_us),
        }
        Ok(())
    }

    /// Operations of a disk fail from now on. Without disks this has no effect.
    fn trouble(&mut self, target: Target, trouble: Trouble) -> Option<Undo> {
        let at = self.resolve(target)?;
        self.servers[at].disk.begin_trouble(trouble);
        Some(Undo::Repair(at, trouble))
    }

    /// A replica stops, and a sector of its disk goes bad.
    fn damage(&mut self, at: usize) -> Option<Undo> {
        if self.plan.storage == Storage::Memory {
            return None;
        }
        self.crash(at);
        self.servers[at].disk.damage(&mut self.rng);
        Some(Undo::Start(at))
    }

    /// Stops a replica at once; false if it is down already.
    pub(super) fn crash(&mut self, at: usize) -> bool {
        if self.servers[at].replica().is_none() {
            return false;
        }
        self.servers[at].stop();
        self.record_event(if self.plan.storage == Storage::Memory { "kill" } else { "restart" }, at);
        let damage = self.servers[at].disk.crash(&mut self.rng);
        self.invariants.after_crash(self.now, at, &self.servers);
        self.coverage.crashes += 1;
        self.coverage.unsynced_lost += damage.lost as u64;
        self.coverage.torn += u64::from(damage.torn);
        self.coverage.lost_snapshots += u64::from(damage.lost_snapshot);
        self.trace.say(self.now, Place::Replica(at), || format!("crashes ({damage})"));
        self.occur(|on| *on == Condition::Killed);
        true
    }

    /// A replica that has a disk starts again.
    pub(super) fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.plan.storage == Storage::Memory || self.servers[at].replica().is_some() {
            return Ok(());
        }
        self.coverage.restarts += 1;
        self.start(at)?;
        if self.servers[at].replica().is_some() {
            self.occur(|on| *on == Condition::Rejoined);
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, at: usize) {
        let server = &mut self.servers[at];
        server.paused = server.paused.saturating_sub(1);
        if server.paused > 0 || server.replica().is_none() {
            return;
        }
        // Its clock did not stop, so its stages notice at once all that is due.
        server.batch_due = true;
        let (life, transmit_due) = (server.life, server.transmit_due);
        if transmit_due {
            self.schedule(self.now, Event::Transmit { at, life });
        }
        self.schedule(self.now, Event::Batch { at, life });
        self.record_event("resume", at);
    }

    pub(super) fn unclog(&mut self, at: usize) {
        let server = &mut self.servers[at];
        server.clogged = server.clogged.saturating_sub(1);
        if server.transmit_due {
            let life = server.life;
            self.schedule(self.now, Event::Transmit { at, life });
        }
    }
}
