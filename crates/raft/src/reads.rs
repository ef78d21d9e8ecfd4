//! How a leader serves reads: by proof that it still led after they arrived (dissertation, 6.4).
//! The proof is a lease or, without one, answers of a quorum to messages that the leader sent later
//! (ReadIndex).
//!
//! ```text
//!  lease: no message, rests on clocks           ReadIndex: one round, rests on no clock
//!
//!  leader          follower                     leader          follower
//!    |  sent_at       |                           |  read arrives  |
//!    |----append----->|                           |                |
//!    |                |  vote lease begins        |----append----->|  sent_at > arrival
//!    |<---matched-----|                           |<---matched-----|  still follows this leader
//!    |  read arrives  |                           |  serves it     |
//!    |  serves it     |
//!   ...              ...
//!    |  sent_at + lease_us: the leader's lease ends
//!    |                |  arrival + election_timeout_us: the vote lease ends
//! ```

use super::action::{Action, ReadId};
use super::fanout::MIN_QUORUM_PROBABILITY;
use super::node::{Node, Role};
use super::progress::Progress;
use super::tuning::Reads;
use super::types::{Command, Index, Payload};
use crate::micros::Micros;

/// A read that waits for proof that this replica still leads.
#[derive(Debug)]
pub(super) struct PendingRead {
    id: ReadId,
    after: Micros,        // answers of a quorum to messages with a later `sent_at` are proof
    entry: Option<Index>, // or the commitment of this entry, if it waits for that
}

impl<C: Command> Node<C> {
    /// A client's read waits until the drain finds proof of leadership for it.
    pub(super) fn read(&mut self, id: ReadId) {
        let term = self.hard_state.current_term;
        match &mut self.role {
            Role::Leader(leader) => {
                let after = leader.send_times.latest();
                let logged = self.settings.tuning.reads == Reads::Log;
                let entry = logged.then(|| self.log.append(term, Payload::Noop));
                leader.reads.push_back(PendingRead { id, after, entry });
            }
            _ => self.actions.push(Action::DropPending),
        }
    }

    /// The time up to which no other replica can have been elected.
    ///
    /// A follower that hears a leader refuses its vote for an election time-out from then on, by
    /// its own clock ([`Node::in_leader_lease`]). This leader counts from the moment at which it
    /// *sent* the answered append, which is no later, and for `lease_us`, which is less than the
    /// election time-out by more than clock rates may differ while it lasts. The vote leases of a
    /// quorum keep every other candidate from a quorum of votes. The leader itself refuses its vote
    /// as long as it leads.
    ///
    /// A leader that hands its leadership over lets the voters disregard their vote leases
    /// (`transfer.rs`), so it has no lease from then on.
    fn lease_end(&self) -> Micros {
        if matches!(&self.role, Role::Leader(leader) if leader.has_given_up_lease) {
            return 0;
        }
        self.reached_by_quorum(self.now, Progress::acked_sent_at) + self.settings.lease_us
    }

    /// The time up to which this replica serves reads without asking its followers; `None` if it
    /// does not at all.
    pub fn leased_until(&self) -> Option<Micros> {
        // A leader may not know all that earlier leaders committed before its no-op is committed
        // (paper, 8).
        (self.is_leader() && self.has_committed_in_term()).then(|| self.lease_end())
    }

    /// The latest time at which a quorum is known to have followed this leader: it has answered
    /// messages that the leader sent then or later.
    pub(super) fn confirmed_at(&self) -> Micros {
        self.reached_by_quorum(Micros::MAX, Progress::acked_sent_at)
    }

    /// Serves the reads for which leadership is proven: by the lease, or by answers of a quorum to
    /// messages that were sent after the reads came (ReadIndex; dissertation, 6.4).
    pub(super) fn serve_reads(&mut self) {
        let leased_until = if self.has_reads() { self.leased_until() } else { None };
        let Some(leased_until) = leased_until else { return };
        let leased = self.now < leased_until;
        let proven = self.confirmed_at();
        let commit_index = self.commit_index;
        let may_go = |read: &&PendingRead| match read.entry {
            Some(entry) => entry <= commit_index,
            None => leased || read.after < proven,
        };
        let Role::Leader(leader) = &mut self.role else { return };
        while let Some(read) = leader.reads.front().filter(may_go) {
            self.actions.push(Action::ReadReady(read.id));
            leader.reads.pop_front();
        }
    }

    fn has_reads(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if !leader.reads.is_empty())
    }

    fn has_committed_in_term(&self) -> bool {
        self.is_of_current_term(self.commit_index)
    }

    /// Asks a quorum on behalf of the oldest read; one round serves all that wait by then.
    pub(super) fn ask_for_reads(&mut self) {
        let wanted = self.configuration.quorum() - 1;
        let max_in_flight = self.settings.max_in_flight;
        if !self.has_committed_in_term() {
            return; // no proof helps before the no-op is committed; the answers to it are a lease
        }
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(after) = leader.reads.front().filter(|read| read.entry.is_none()).map(|read| read.after)
        else {
            return;
        };
        let asked = |progress: &Progress| {
            let in_flight = progress.is_responsive() && progress.awaits_answer_since(after);
            match progress {
                _ if progress.acked_sent_at() > after => Some(1.0),
                _ if in_flight || progress.wants_message(max_in_flight) => Some(progress.answer_rate()),
                _ => None,
            }
        };
        for id in leader.choose(wanted, MIN_QUORUM_PROBABILITY, asked) {
            let progress = leader.followers.get_mut(&id);
            if let Some(progress) = progress.filter(|progress| !progress.awaits_answer_since(after)) {
                progress.schedule_heartbeat();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, SETTINGS, id};
    use crate::settings::Settings;

    /// A cluster of three in which 1 leads, both followers are up to date and the network is empty.
    fn led_by_1(lease_us: Micros) -> Cluster {
        let mut cluster = Cluster::new(3, 1, Settings { lease_us, ..SETTINGS });
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        cluster.take_transcript();
        cluster
    }

    fn serves(cluster: &mut Cluster) -> bool {
        cluster.take_transcript().contains("1 serves read 7")
    }

    #[test]
    fn read_without_a_lease_waits_for_an_answer_to_a_message_that_was_sent_after_it_came() {
        let mut cluster = led_by_1(0);
        while cluster.network.len() < 2 {
            cluster.timeout(id(1)); // a heartbeat for each follower
        }
        cluster.step(id(1), [Input::Read(7)]);
        assert_eq!(cluster.network.len(), 3, "and one more for the read");
        cluster.deliver(0);
        cluster.deliver(0);
        cluster.deliver(1);
        cluster.deliver(1);
        assert!(!serves(&mut cluster), "both have answered earlier messages only");
        cluster.deliver(0);
        assert!(!serves(&mut cluster));
        cluster.deliver(0);
        assert!(serves(&mut cluster));
    }

    #[test]
    fn lease_serves_reads_until_it_ends_and_no_longer() {
        let serves_at = |before_end_us: Micros| {
            let mut cluster = led_by_1(SETTINGS.lease_us);
            cluster.now = cluster.nodes[&id(1)].leased_until().expect("it leads") - before_end_us;
            cluster.step(id(1), [Input::Read(7)]);
            serves(&mut cluster)
        };
        assert!(serves_at(1));
        assert!(!serves_at(0));
    }
}
