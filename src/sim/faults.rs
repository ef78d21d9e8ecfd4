//! The faults of the plan: each fault begins at its time, and its effects end with it.

use super::cluster::Cluster;
use super::disk::Trouble;
use super::invariants::{Before, Violation};
use super::plan::{FaultKind, Shape, Storage, Target, Trigger};
use super::queue::Event;
use super::trace::Place;
use crate::exchange::Outbound;
use crate::micros::Micros;
use crate::outbox::Datagram;
use crate::replica::{Effect, Replica};
use crate::replication::Body;
use crate::request::Outcome;

/// A tenth of the rate.
const SLOW_CLOCK_PPM: i64 = -900_000;

/// The state of a run's faults.
#[derive(Debug)]
pub(super) struct Faults {
    undo: Vec<Option<Undo>>,      // of each current fault
    armed: Vec<(usize, Trigger)>, // faults that wait for their trigger
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
}

impl Faults {
    pub(super) fn new(count: usize) -> Self {
        Self { undo: (0..count).map(|_| None).collect(), armed: Vec::new() }
    }

    /// Forgets all faults: no end and no trigger of a fault has an effect any more.
    pub(super) fn forget(&mut self) {
        self.undo.iter_mut().for_each(|undo| *undo = None);
        self.armed.clear();
    }
}

impl Cluster {
    pub(super) fn begin_fault(&mut self, number: usize) {
        let fault = self.plan.faults[number].clone();
        self.trace.say(self.now, Place::Network, || format!("fault {number}: {}", fault.kind));
        self.coverage.faults += 1;
        if let FaultKind::CrashOn(trigger) = fault.kind {
            self.faults.armed.push((number, trigger));
            return;
        }
        let undo = self.inflict(&fault.kind);
        self.undo_later(number, undo);
    }

    fn undo_later(&mut self, number: usize, undo: Option<Undo>) {
        self.faults.undo[number] = undo;
        if let Some(for_us) = self.plan.faults[number].for_us {
            self.schedule(self.now + for_us, Event::Undo(number));
        }
    }

    fn inflict(&mut self, kind: &FaultKind) -> Option<Undo> {
        let everybody = 0..self.servers.len();
        match *kind {
            FaultKind::Crash(target) => {
                let at = self.resolve(target)?;
                if target == Target::Leader && !self.plan.workload.asks_the_dead {
                    self.clients.forget_leader();
                }
                self.crash(at).then_some(Undo::Start(at))
            }
            FaultKind::CrashOn(_) => None,
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
            FaultKind::Partition(ref side) => Some(self.divide(side)),
            FaultKind::Halve { with_leader } => Some(self.halve(with_leader)),
            FaultKind::Partial(shape, ref order) => Some(self.shape(shape, order)),
            FaultKind::Cut(from, to) => Some(self.cut(vec![(from, to)])),
            FaultKind::Isolate(target) => {
                let at = self.resolve(target)?;
                Some(self.divide(&[at]))
            }
            FaultKind::Deaf(target) => {
                let at = self.resolve(target)?;
                Some(self.cut(everybody.map(|other| (other, at)).collect()))
            }
            FaultKind::Mute(target) => {
                let at = self.resolve(target)?;
                Some(self.cut(everybody.map(|other| (at, other)).collect()))
            }
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

    fn resolve(&mut self, target: Target) -> Option<usize> {
        match target {
            Target::Replica(at) => (at < self.servers.len()).then_some(at),
            Target::Leader => self.leader(),
            Target::Follower => {
                let leader = self.leader();
                let is_follower = |&at: &usize| self.servers[at].replica().is_some() && Some(at) != leader;
                let followers: Vec<usize> = (0..self.servers.len()).filter(is_follower).collect();
                self.rng.choice(followers)
            }
        }
    }

    /// The leader of the latest term that has a leader.
    pub(super) fn leader(&self) -> Option<usize> {
        let nodes = self.servers.iter().map(|server| server.replica().map(Replica::node));
        let leaders = nodes.enumerate().filter_map(|(at, node)| Some((at, node.filter(|n| n.is_leader())?)));
        leaders.max_by_key(|(_, node)| node.hard_state().current_term).map(|(at, _)| at)
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
        true
    }

    /// A replica that has a disk starts again.
    pub(super) fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.plan.storage == Storage::Memory || self.servers[at].replica().is_some() {
            return Ok(());
        }
        self.coverage.restarts += 1;
        self.start(at)
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

    fn divide(&mut self, side: &[usize]) -> Undo {
        let all = 0..self.servers.len();
        let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
        self.cut(pairs.filter(|(from, to)| side.contains(from) != side.contains(to)).collect())
    }

    /// Only the pairs in this order that the shape joins hear each other.
    fn shape(&mut self, shape: Shape, order: &[usize]) -> Undo {
        let all = 0..self.servers.len();
        let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
        let place = |at: usize| order.iter().position(|&other| other == at);
        let is_cut = |&(from, to): &(usize, usize)| match (place(from), place(to)) {
            (Some(one), Some(other)) => one != other && !shape.joins(one, other, order.len()),
            _ => from != to,
        };
        self.cut(pairs.filter(is_cut).collect())
    }

    /// Puts just over half of the replicas on one side. Dead replicas are among them only where the
    /// living do not suffice.
    fn halve(&mut self, with_leader: bool) -> Undo {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        self.rng.shuffle(&mut order);
        order.sort_by_key(|&at| self.servers[at].replica().is_none());
        match self.leader().filter(|_| with_leader) {
            Some(leader) => order.sort_by_key(|&at| at != leader),
            None => self.clients.forget_leader(),
        }
        order.truncate(self.servers.len() / 2 + 1);
        self.divide(&order)
    }

    fn hold(&mut self, links: Vec<(usize, usize)>) -> Undo {
        links.iter().for_each(|&(from, to)| self.network.hold(from, to));
        Undo::Release(links)
    }

    pub(super) fn cut(&mut self, links: Vec<(usize, usize)>) -> Undo {
        links.iter().for_each(|&(from, to)| self.network.cut(from, to));
        self.record_links();
        Undo::Mend(links)
    }

    /// The fault whose trigger this replica has just pulled, if one waits for it.
    pub(super) fn strike_on(&mut self, at: usize, before: &Before, effects: &[Effect]) -> Option<usize> {
        if self.faults.armed.is_empty() {
            return None;
        }
        let node = self.servers[at].replica().map(Replica::node)?;
        let begins = !before.led && node.is_leader();
        let commits = before.led && node.is_leader() && node.commit_index() > before.commit_index;
        let does = |trigger: Trigger| match trigger {
            Trigger::Lead => begins,
            Trigger::Commit => commits,
            Trigger::Ack => effects.iter().any(|effect| self.acknowledges(effect)),
            Trigger::Vote => effects.iter().any(votes),
        };
        let position = self.faults.armed.iter().position(|&(_, trigger)| does(trigger))?;
        Some(self.faults.armed.remove(position).0)
    }

    /// Whether this effect tells a client that its write took effect.
    fn acknowledges(&self, effect: &Effect) -> bool {
        let Effect::Send(Outbound::Client(response)) = effect else { return false };
        let asked = self.clients.asked(&response.id);
        matches!(response.outcome, Outcome::Done(_))
            && !response.outcome.is_declined()
            && asked.is_some_and(|asked| !asked.request.command.is_read())
    }

    /// Sends only the message that the trigger is about, and stops the replica.
    pub(super) fn trigger(&mut self, at: usize, number: usize) -> Result<(), Violation> {
        let FaultKind::CrashOn(trigger) = self.plan.faults[number].kind else { return Ok(()) };
        let mut left = usize::from(self.rng.bool());
        self.servers[at].release();
        while let Some(datagram) = self.servers[at].take_datagram() {
            let leaves = match (trigger, &datagram) {
                (Trigger::Ack, Datagram::Client(_)) | (Trigger::Vote, Datagram::Peer { .. }) => true,
                (Trigger::Lead, Datagram::Peer { .. }) => std::mem::replace(&mut left, 0) > 0,
                _ => false,
            };
            if leaves {
                self.send(at, datagram)?;
            }
        }
        let crashed = self.crash(at);
        self.clients.forget_leader();
        self.undo_later(number, crashed.then_some(Undo::Start(at)));
        Ok(())
    }
}

/// Whether this effect is a vote for another replica.
fn votes(effect: &Effect) -> bool {
    let Effect::Send(Outbound::Peer { message, .. }) = effect else { return false };
    matches!(&message.body, Body::RequestVoteResponse(response) if response.granted && !response.pre_vote)
}
