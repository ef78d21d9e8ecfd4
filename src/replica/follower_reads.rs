//! Reads that a follower serves from its own state: ReadIndex through the leader (dissertation, 6.4).
//!
//! ```text
//!  client    follower                        leader
//!    |--get k-->|  joins the next round        |
//!    |          |--round 7: I have applied 38->|  takes it for a read of its own, which needs
//!    |--get l-->|  joins round 8               |  proof that it leads (`read_index.rs`)
//!    |          |<-round 7: index 41, its time-|
//!    |          |<-append up to 41, commit 41--|  because the follower lacks 41
//!    |<--value--|  has applied 41              |
//! ```
//!
//! * A round serves every read that arrived before its request left, and no later one. The leader
//!   has proof that it led after the request arrived, so all that was acknowledged before the reads
//!   arrived is within the index.
//! * No answer to an earlier round counts. Each round has a number of its own, and each life of a
//!   replica a name of its own. A round that the leader does not answer in time, or that was sent to
//!   an earlier leader, ends, and its reads join another round.
//! * Keys expire by the clock of the leader, which comes with the index. A read that finds a key past
//!   its deadline by that clock goes to the leader, which commits the time first.
//! * A follower that lacks much, or does not reach the index in time, passes its reads on.

use std::collections::VecDeque;

use raft::types::{Index, MAX_NUMBER};

use super::routing::Held;
use super::{ELECTION_TIMEOUT_US, Effect, Replica};
use crate::command::Command;
use crate::exchange::{Outbound, ReadIndex, Round};
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::UnixMillis;

/// How many rounds may wait for the leader's answer. A read that arrives while the first one does
/// need not wait for its end.
pub(super) const MAX_ROUNDS: usize = 2;

/// How long a round waits for the leader's answer, and its reads for the index after that. It is
/// longer than a leader takes that asks its quorum first, and shorter than an election.
pub(super) const ROUND_US: Micros = ELECTION_TIMEOUT_US / 2;

/// A follower that lacks more entries than this passes its reads on at once: four batches of
/// entries.
pub(super) const MAX_LAG: Index = 1_024;

/// The reads of a follower.
#[derive(Debug)]
pub(super) struct FollowerReads {
    life: u64,                  // differs from that of every other start of any replica
    latest: u64,                // the number of the latest round
    waiting: Vec<Held>,         // no round has them so far
    asked: VecDeque<Asked>,     // rounds without an answer, at most MAX_ROUNDS; the oldest first
    granted: VecDeque<Granted>, // rounds with an answer; the oldest answer first
    pub(super) served: u64,     // from the own state
}

/// A round that waits for the leader's answer.
#[derive(Debug)]
struct Asked {
    number: u64,
    leader: Id,
    asked_at: Micros,
    reads: Vec<Held>, // all of them arrived before `asked_at`
}

/// Reads that may be served as soon as the state machine has applied the index.
#[derive(Debug)]
struct Granted {
    index: Index,
    time: UnixMillis, // of the leader
    until: Micros,    // then they are passed on
    reads: Vec<Held>,
}

impl FollowerReads {
    /// The seed is another one at each start.
    pub(super) fn new(seed: u64) -> Self {
        let life = fastrand::Rng::with_seed(seed).u64(..=MAX_NUMBER);
        let (asked, granted) = (VecDeque::new(), VecDeque::new());
        Self { life, latest: 0, waiting: Vec::new(), asked, granted, served: 0 }
    }

    /// The name of this life.
    #[cfg(test)]
    pub(super) fn life(&self) -> u64 {
        self.life
    }

    /// A read arrived, or is to be served once more.
    pub(super) fn join_next_round(&mut self, read: Held) {
        self.waiting.push(read);
    }

    fn take_granted(&mut self, wanted: impl FnOnce(&Granted) -> bool) -> Option<Granted> {
        self.granted.front().is_some_and(wanted).then(|| self.granted.pop_front()).flatten()
    }

    /// When a round ends without success.
    pub(super) fn deadline(&self) -> Option<Micros> {
        let asked = self.asked.front().map(|round| round.asked_at + ROUND_US);
        asked.into_iter().chain(self.granted.front().map(|round| round.until)).min()
    }
}

impl Replica {
    /// Asks the leader on behalf of all reads that wait. The request leaves after they arrived.
    pub(super) fn begin_round(&mut self, now: Micros) {
        let reads = &mut self.follower_reads;
        if reads.waiting.is_empty() || reads.asked.len() >= MAX_ROUNDS {
            return;
        }
        let waiting = std::mem::take(&mut reads.waiting);
        let Some(leader) = self.node.leader().filter(|&leader| leader != self.node.id()) else {
            return self.hold_again(waiting);
        };
        reads.latest += 1;
        let (number, life) = (reads.latest, reads.life);
        reads.asked.push_back(Asked { number, leader, asked_at: now, reads: waiting });
        let message = ReadIndex::Request { round: Round { life, number }, applied: self.applied };
        self.out.push(Effect::Send(Outbound::ReadIndex { to: leader, message }));
    }

    /// The leader has answered a round: with an index that covers all that was acknowledged before
    /// the round began, and with its time.
    pub(super) fn receive_read_index(
        &mut self,
        now: Micros,
        from: Id,
        round: Round,
        (index, time): (Index, UnixMillis),
    ) {
        let asked = &mut self.follower_reads.asked;
        let is_it = |asked: &Asked| asked.number == round.number && asked.leader == from;
        let found = asked.iter().position(is_it).filter(|_| round.life == self.follower_reads.life);
        let Some(Asked { asked_at, reads, .. }) = found.and_then(|at| asked.remove(at)) else { return };
        // A leader that answers is alive.
        self.redirected.take_if(|(_, redirected_at)| *redirected_at <= asked_at);
        if index > self.applied + MAX_LAG {
            return self.pass_on(reads);
        }
        self.follower_reads.granted.push_back(Granted { index, time, until: now + ROUND_US, reads });
    }

    /// Ends the rounds that have failed: the reads that the leader has not granted are routed again,
    /// and those that lack entries are passed on.
    pub(super) fn end_rounds(&mut self, now: Micros) {
        let leader = self.node.leader();
        let has_failed = |round: &Asked| Some(round.leader) != leader || round.asked_at + ROUND_US <= now;
        if self.follower_reads.asked.iter().any(has_failed) {
            // A round that has failed takes the later one with it.
            let failed = std::mem::take(&mut self.follower_reads.asked);
            self.hold_again(failed.into_iter().flat_map(|round| round.reads).collect());
        }
        while let Some(round) = self.follower_reads.take_granted(|round| round.until <= now) {
            self.pass_on(round.reads);
        }
    }

    /// Serves the reads whose index the state machine has reached.
    pub(super) fn serve_rounds(&mut self) {
        let applied = self.applied;
        while let Some(round) = self.follower_reads.take_granted(|round| round.index <= applied) {
            for read in round.reads {
                self.serve_at_follower(round.time, read);
            }
        }
    }

    fn serve_at_follower(&mut self, time: UnixMillis, read: Held) {
        let reply = match &read.request.command {
            Command::One(operation) => self.state_machine.read(time, operation),
            Command::Batch(_) => None,
        };
        match reply {
            Some(reply) => {
                self.follower_reads.served += 1;
                self.answer_read(&read.request.id, reply);
            }
            None => self.pass_on(vec![read]),
        }
    }

    /// Forwards reads to the leader, which serves them by itself.
    fn pass_on(&mut self, reads: Vec<Held>) {
        match self.node.leader().filter(|&leader| leader != self.node.id()) {
            Some(leader) => reads.into_iter().for_each(|read| self.forward(read.request, leader)),
            None => self.hold_again(reads),
        }
    }
}
