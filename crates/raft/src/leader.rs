//! The work that only a leader does: it takes writes, commits entries (paper, 5.3 and 5.4.2),
//! watches its timers, and ends its batches. It also replicates entries (`replicate.rs`), serves
//! reads (`reads.rs`), and notices that it has lost its quorum (`check_quorum.rs`).
//!
//! Between two drains a leader only notes its inputs. The drain then moves the commit index, serves
//! reads and sends, so that all requests that waited become one AppendEntries.

use std::collections::{BTreeMap, VecDeque};

use super::action::Action;
use super::node::{Node, Role};
use super::own_disk::OwnDisk;
use super::progress::Progress;
use super::reads::PendingRead;
use super::transfer::Transfer;
use super::types::{Command, Index, Payload};
use crate::id::Id;
use crate::micros::Micros;

/// A leader's own state (paper, figure 2: volatile state on leaders).
#[derive(Debug)]
pub struct Leader {
    pub(super) followers: BTreeMap<Id, Progress>,
    pub(super) reads: VecDeque<PendingRead>, // in the order in which they came
    pub(super) send_times: SendTimes,
    pub(super) own_disk: OwnDisk,
    pub(super) transfer: Option<Transfer>,
    pub(super) has_given_up_lease: bool, // for the rest of the term, because of a transfer
    proposed: usize,                     // the writes since the latest drain
}

impl Leader {
    /// A leader that was elected at `now` with these followers.
    pub(super) fn new(followers: BTreeMap<Id, Progress>, now: Micros) -> Self {
        Self {
            followers,
            reads: VecDeque::new(),
            send_times: SendTimes::new(now),
            own_disk: OwnDisk::default(),
            transfer: None,
            has_given_up_lease: false,
            proposed: 0,
        }
    }

    /// The number of writes since the latest call.
    pub(super) fn take_proposed(&mut self) -> usize {
        std::mem::take(&mut self.proposed)
    }

    /// The invariants of its view of each follower, for a log that ends at `last_index`.
    pub(super) fn check(&self, last_index: Index) -> Result<(), String> {
        self.send_times.check()?;
        let latest = self.send_times.latest();
        let check = |(id, progress): (&Id, &Progress)| {
            progress.check(last_index, latest).map_err(|violation| format!("{id}: {violation}"))
        };
        self.followers.iter().try_for_each(check)
    }

    /// The share of the latest messages that responsive followers have answered, 0 to 1.
    pub(super) fn answer_rate(&self) -> f64 {
        let responsive = || self.followers.values().filter(|progress| progress.is_responsive());
        responsive().map(Progress::answer_rate).sum::<f64>() / responsive().count().max(1) as f64
    }
}

impl<C: Command> Node<C> {
    /// A candidate has won (paper, 5.2). The no-op announces it to all followers at once and
    /// commits the entries that earlier terms left behind.
    pub(super) fn become_leader(&mut self) {
        let last_index = self.log.last_index();
        let followers = self.followers().map(|id| (id, Progress::new(last_index))).collect();
        self.deferred_pre_votes.clear(); // all voters hear of this leader at once
        self.role = Role::Leader(Leader::new(followers, self.now));
        self.statistics.elections_won += 1;
        self.log.append(self.hard_state.current_term, Payload::Noop);
    }

    /// A client's write becomes an entry; the drain replicates it.
    pub(super) fn propose(&mut self, command: C) {
        if let Role::Leader(leader) = &mut self.role {
            leader.proposed += 1;
            self.log.append(self.hard_state.current_term, Payload::Command(command));
        } else {
            self.actions.push(Action::DropPending);
        }
    }

    /// Time went by for a leader.
    pub(super) fn tick_leader(&mut self) {
        if self.now >= self.quorum_deadline() {
            // Check-quorum (dissertation, 6.2): another replica may lead by now.
            self.missed = Some(self.id);
            self.become_follower(self.hard_state.current_term, None);
            return;
        }
        self.tick_transfer();
        self.give_up_relays();
        self.probe_silent_followers();
        let Role::Leader(leader) = &mut self.role else { return };
        let last_index = self.log.last_index();
        let heartbeat_us = self.settings.heartbeat_interval_us;
        for (&id, progress) in &mut leader.followers {
            if progress.is_overdue(self.now, heartbeat_us) {
                progress.expire();
                self.statistics.count_given_up(id);
            }
            progress.heartbeat_if_idle(self.now, heartbeat_us, last_index);
        }
    }

    /// When the leader has something to do if nothing arrives.
    pub(super) fn leader_deadline(&self, leader: &Leader) -> Micros {
        let heartbeat_us = self.settings.heartbeat_interval_us;
        let follower_deadline = |progress: &Progress| {
            let heartbeat = progress.last_sent_at() + heartbeat_us;
            progress.retransmit_deadline(heartbeat_us).map_or(heartbeat, |deadline| deadline.min(heartbeat))
        };
        let timers = [leader.own_disk_deadline(), leader.transfer.map(|transfer| transfer.timer())];
        let others = timers.into_iter().flatten().fold(self.reprobe_deadline(), Micros::min);
        leader.followers.values().map(follower_deadline).fold(others, Micros::min)
    }

    /// The largest value that a quorum has reached, this leader with `own`.
    pub(super) fn reached_by_quorum(&self, own: u64, of_follower: impl Fn(&Progress) -> u64) -> u64 {
        let Role::Leader(leader) = &self.role else { return 0 };
        self.configuration.reached_by_quorum(leader.followers.values().map(of_follower).chain([own]))
    }

    fn schedule_heartbeats(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.followers.values_mut().for_each(Progress::schedule_heartbeat);
    }

    /// Ends a batch for a leader.
    pub(super) fn drain_leader(&mut self) {
        let committed = self.commit_index;
        self.advance_commit_index();
        if self.settings.tuning.commit_notices && self.commit_index > committed {
            self.schedule_heartbeats();
        }
        self.serve_reads();
        self.catch_up_followers();
        self.ask_for_entries();
        self.ask_for_reads();
        self.pursue_transfer();
        self.send_appends();
        self.read_snapshots();
    }

    /// Counts replicas for entries of the own term only; these commit the earlier entries with them
    /// (paper, 5.4.2 and figure 8). The leader counts itself once its own disk has the entry; the
    /// followers' disks may well be faster (dissertation, 10.2.1).
    fn advance_commit_index(&mut self) {
        let index = self.reached_by_quorum(self.log.durable_index(), Progress::match_index);
        if self.is_of_current_term(index) {
            self.commit_to(index);
        }
    }

    pub(super) fn is_of_current_term(&self, index: Index) -> bool {
        self.log.term_at(index) == Ok(self.hard_state.current_term)
    }
}

/// The times at which a leader sends. They identify its messages: no two messages of a term have
/// the same, but the copies of one relay.
#[derive(Debug)]
pub(super) struct SendTimes {
    elected_at: Micros, // every `sent_at` of this leader is later
    latest: Micros,     // `sent_at` of the latest message; >= elected_at; strictly increases
}

impl SendTimes {
    fn new(elected_at: Micros) -> Self {
        Self { elected_at, latest: elected_at }
    }

    /// The `sent_at` of the latest message, or when the leader was elected.
    pub(super) fn latest(&self) -> Micros {
        self.latest
    }

    /// A `sent_at` that no message had before. It may run ahead of the clock by a microsecond for
    /// each message of one drain, which the margin of the lease covers many times over.
    pub(super) fn next(&mut self, now: Micros) -> Micros {
        self.latest = now.max(self.latest + 1);
        self.latest
    }

    /// Whether this leader has sent a message with this `sent_at`. An answer repeats the time of an
    /// append only in that append's term, and a replica leads a term in one life at most: its vote
    /// for itself is on its disk, so after a restart it stands only in later terms. Therefore a
    /// leader never confuses equal times of two lives, although each life's clock may begin at 0.
    pub(super) fn contains(&self, sent_at: Micros) -> bool {
        (self.elected_at + 1..=self.latest).contains(&sent_at)
    }

    fn check(&self) -> Result<(), String> {
        let is_ordered = self.elected_at <= self.latest;
        if is_ordered { Ok(()) } else { Err(format!("a message from before the election: {self:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_times_are_unique_later_than_the_election_and_follow_the_clock() {
        let mut times = SendTimes::new(10);
        assert_eq!([times.next(10), times.next(10), times.next(50), times.next(20)], [11, 12, 50, 51]);
        assert_eq!(times.latest(), 51);
        assert!(!times.contains(10) && times.contains(11) && times.contains(51) && !times.contains(52));
        assert_eq!(times.check(), Ok(()));
        times.elected_at = 52;
        assert!(times.check().is_err());
    }
}
