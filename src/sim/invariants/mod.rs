//! The rules that must always hold, one file each, checked after every batch of every replica.
//!
//! A rule sees a replica before its batch, after its batch, and the effects of the batch. Of the
//! core's own state it uses only the log, the term and the commit index. Rules remember the past
//! themselves, or find it in [`Knowledge`]: the sequence of commands that the cluster has
//! committed. A state machine without replicas applies the same sequence there.

mod acknowledged_is_committed;
mod acknowledged_is_durable;
mod answered_is_durable;
mod answers_in_order;
mod applied_once;
mod at_most_once;
mod commit_monotone;
mod compacted_is_covered;
mod contacts_are_true;
mod election_safety;
mod knowledge;
mod leader_append_only;
mod leader_completeness;
mod leaders_are_asked_first;
mod leaders_show_life;
mod lease_exclusivity;
mod linearizable;
mod locks_are_fenced;
mod log_matching;
mod matches_are_true;
mod no_gaps;
mod own_state;
mod pre_votes_are_answered;
mod promises_are_kept;
mod refusals_are_right;
mod replies_are_true;
mod silent_leaders_are_not_named;
mod snapshots_are_true;
mod stale_leaders_are_told;
mod state_machine_safety;
mod states_equal;
mod term_monotone;
mod terms_are_earned;
mod time_moves_forward;
mod transfers_are_safe;
mod vote_once;
mod votes_are_asked_for;
mod watches_hold;

use std::fmt;

use raft::types::{EntryId, Index, Term};

use super::clients::Clients;
use super::server::Server;
use crate::exchange::Outbound;
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::UnixMillis;
use crate::replica::Effect;
use crate::replication::{Entry, Message, Node, Persist};
use crate::request::Response;
use crate::state_machine::Settings;

pub use knowledge::Knowledge;
pub(super) use linearizable::NAME as LINEARIZABILITY;

/// A broken rule: where, when and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name of the rule.
    pub rule: &'static str,
    /// The time, in microseconds of virtual time.
    pub at_us: Micros,
    /// The replica whose batch or answer broke the rule, if one did.
    pub replica: Option<usize>,
    /// The observation that contradicts the rule.
    pub detail: String,
}

impl Violation {
    /// A broken rule.
    pub fn new(rule: &'static str, at_us: Micros, replica: impl Into<Option<usize>>, detail: String) -> Self {
        Self { rule, at_us, replica: replica.into(), detail }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, at_us, replica, detail } = self;
        write!(f, "{rule} is broken at {:.6} s", *at_us as f64 / 1e6)?;
        if let Some(replica) = replica {
            write!(f, " by replica {replica:04X}")?;
        }
        write!(f, ": {detail}")
    }
}

/// The state of a replica before a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Its term.
    pub term: Term,
    /// The candidate that got its vote in this term.
    pub voted_for: Option<Id>,
    /// The leader that it followed, if any; itself if it led.
    pub leader: Option<Id>,
    /// The time when it had last heard a leader, by its own clock.
    pub last_leader_contact: Option<Micros>,
    /// Whether it led.
    pub led: bool,
    /// The entry before the first one of its log.
    pub base: EntryId,
    /// The end of its log.
    pub last_index: Index,
    /// Its commit index.
    pub commit_index: Index,
    /// The last entry of the latest snapshot that it has installed.
    pub installed: Index,
    /// The end of its lease, in true time.
    pub leased_until: Option<Micros>,
}

impl Before {
    /// The state of a replica now.
    pub fn of(server: &Server) -> Self {
        let Some(replica) = server.replica() else { return Self::default() };
        let node = replica.node();
        Self {
            term: node.hard_state().current_term,
            voted_for: node.hard_state().voted_for,
            leader: node.leader(),
            last_leader_contact: node.last_leader_contact(),
            led: node.is_leader(),
            base: node.log().base(),
            last_index: node.log().last_index(),
            installed: replica.installed(),
            commit_index: node.commit_index(),
            leased_until: server.leased_until(),
        }
    }
}

/// A batch of one replica, after its computation and before its effects.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// True time.
    pub now: Micros,
    /// The replica of the batch.
    pub at: usize,
    /// All replicas; this one is in its state after the batch.
    pub servers: &'a [Server],
    /// The state of this replica before the batch.
    pub before: &'a Before,
    /// The effects that it wants.
    pub effects: &'a [Effect],
    /// The clients, with their requests.
    pub clients: &'a Clients,
}

impl<'a> Observation<'a> {
    /// The replica's core.
    pub fn node(&self) -> &'a Node {
        self.servers[self.at].replica().map_or_else(|| unreachable!("it just ran"), |replica| replica.node())
    }

    /// The replica after its batch.
    pub fn server(&self) -> &'a Server {
        &self.servers[self.at]
    }

    /// The time on its clock.
    pub fn shown(&self) -> Micros {
        self.server().shows(self.now)
    }

    /// The date on its wall clock.
    pub fn date(&self) -> UnixMillis {
        self.server().date(self.now)
    }

    /// An entry of its log at the end of the batch. Without a disk, memory still has the entries that
    /// the batch has compacted.
    pub fn entry(&self, index: Index) -> Option<&'a Entry> {
        self.node().log().get(index).or_else(|| {
            let memory = Some(self.server()).filter(|server| !server.has_disk());
            memory.and_then(|server| server.disk.log().get(index))
        })
    }

    /// Whether it has installed a snapshot in the batch.
    pub fn installed(&self) -> bool {
        self.server().replica().is_some_and(|replica| replica.installed() != self.before.installed)
    }

    /// Its term.
    pub fn term(&self) -> Term {
        self.node().hard_state().current_term
    }

    /// Its changes for its disk.
    pub fn persists(&self) -> impl Iterator<Item = &'a Persist> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Persist(persist) => Some(persist),
            _ => None,
        })
    }

    /// Its messages to other replicas.
    pub fn messages(&self) -> impl Iterator<Item = (usize, &'a Message)> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Send(Outbound::Peer { to, message, .. }) => Some((usize::from(to.number()), message)),
            _ => None,
        })
    }

    /// Its answers to clients.
    pub fn responses(&self) -> impl Iterator<Item = &'a Response> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Send(Outbound::Client(response)) => Some(response),
            _ => None,
        })
    }

    /// The number of disks that have this entry.
    pub fn copies_on_disk(&self, index: Index, term: Term) -> usize {
        let has = |server: &&Server| server.disk.covers(index) || server.disk.term_at(index) == Some(term);
        self.servers.iter().filter(has).count()
    }

    /// The size of a quorum.
    pub fn quorum(&self) -> usize {
        self.servers.len() / 2 + 1
    }
}

/// A rule, with the state that it remembers.
trait Invariant: fmt::Debug {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Checks a batch.
    fn check(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) -> Result<(), String>;

    /// A replica crashed and lost its memory. Its clock can still be read.
    fn crashed(&mut self, _now: Micros, _at: usize, _servers: &[Server]) {}
}

/// All rules together.
#[derive(Debug)]
pub struct Invariants {
    knowledge: Knowledge,
    rules: Vec<Box<dyn Invariant>>,
}

impl Invariants {
    /// The rules for a cluster of this many replicas that has not started yet, whose state machines
    /// have these settings.
    pub fn new(replicas: usize, settings: Settings) -> Self {
        Self {
            knowledge: Knowledge::new(settings),
            rules: vec![
                Box::new(own_state::OwnState),
                Box::new(election_safety::ElectionSafety::default()),
                Box::new(terms_are_earned::TermsAreEarned::default()),
                Box::new(vote_once::VoteOnce::default()),
                Box::new(promises_are_kept::PromisesAreKept::new(replicas)),
                Box::new(leader_append_only::LeaderAppendOnly),
                Box::new(log_matching::LogMatching::default()),
                Box::new(commit_monotone::CommitMonotone::new(replicas)),
                Box::new(term_monotone::TermMonotone::new(replicas)),
                Box::new(compacted_is_covered::CompactedIsCovered),
                Box::new(snapshots_are_true::SnapshotsAreTrue::default()),
                Box::new(state_machine_safety::StateMachineSafety),
                Box::new(leader_completeness::LeaderCompleteness),
                Box::new(lease_exclusivity::LeaseExclusivity::new(replicas)),
                Box::new(transfers_are_safe::TransfersAreSafe::default()),
                Box::new(at_most_once::AtMostOnce),
                Box::new(applied_once::AppliedOnce),
                Box::new(time_moves_forward::TimeMovesForward),
                Box::new(states_equal::StatesEqual),
                Box::new(watches_hold::WatchesHold::default()),
                Box::new(locks_are_fenced::LocksAreFenced::default()),
                Box::new(acknowledged_is_committed::AcknowledgedIsCommitted),
                Box::new(acknowledged_is_durable::AcknowledgedIsDurable::default()),
                Box::new(answered_is_durable::AnsweredIsDurable),
                Box::new(answers_in_order::AnswersInOrder::default()),
                Box::new(replies_are_true::RepliesAreTrue),
                Box::new(refusals_are_right::RefusalsAreRight),
                Box::new(matches_are_true::MatchesAreTrue),
                Box::new(stale_leaders_are_told::StaleLeadersAreTold::default()),
                Box::new(contacts_are_true::ContactsAreTrue::default()),
                Box::new(votes_are_asked_for::VotesAreAskedFor::default()),
                Box::new(pre_votes_are_answered::PreVotesAreAnswered::default()),
                Box::new(leaders_show_life::LeadersShowLife),
                Box::new(leaders_are_asked_first::LeadersAreAskedFirst::default()),
                Box::new(silent_leaders_are_not_named::SilentLeadersAreNotNamed),
            ],
        }
    }

    /// From now on only the history of the clients is judged.
    #[cfg(test)]
    pub(super) fn keep_history_alone(&mut self) {
        self.rules.clear();
    }

    /// Checks every rule after a batch.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn after_batch(&mut self, moment: &Observation<'_>) -> Result<(), Violation> {
        self.knowledge.learn(moment);
        for rule in &mut self.rules {
            rule.check(moment, &self.knowledge)
                .map_err(|detail| Violation::new(rule.name(), moment.now, moment.at, detail))?;
        }
        Ok(())
    }

    /// Checks a datagram that leaves for another replica.
    ///
    /// # Errors
    ///
    /// It means something else to its receiver than to its sender.
    pub fn check_datagram(&self, now: Micros, at: usize, messages: &[Message]) -> Result<(), Violation> {
        no_gaps::check(messages).map_err(|detail| Violation::new(no_gaps::NAME, now, at, detail))
    }

    /// A replica crashed.
    pub fn after_crash(&mut self, now: Micros, at: usize, servers: &[Server]) {
        self.rules.iter_mut().for_each(|rule| rule.crashed(now, at, servers));
    }

    /// Checks the history of the clients at the end of the run, whose wall clocks differed by so
    /// much at most. Returns whether the judge came to its end.
    ///
    /// # Errors
    ///
    /// It contradicts every order in which one store could have answered.
    pub fn check_history(
        &self,
        now: Micros,
        clients: &Clients,
        clock_difference_ms: u64,
    ) -> Result<bool, Violation> {
        linearizable::check(now, clients, clock_difference_ms)
    }

    /// The knowledge of the entries that the cluster has committed.
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }
}
