//! Counts of the situations that a run has reached. A batch of runs that never reached one of the
//! required counters has not tested all that it seems to test, and fails ([`Coverage::missing`]).

use std::ops::AddAssign;

use raft::message::{Acknowledgement, AppendOutcome};

use super::invariants::{Knowledge, Observation};
use super::locks;
use super::operations::Step;
use crate::command::Command;
use crate::exchange::{Outbound, ReadIndex};
use crate::micros::Micros;
use crate::operation::Operation;
use crate::replica::Effect;
use crate::replication::{Body, Payload, Persist};
use crate::reply::{Refusal, Reply};
use crate::request::Outcome;

macro_rules! counters {
    ($($(#[doc = $text:literal])+ $name:ident $required:literal,)+) => {
        /// How often a run reached each of these.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Coverage {
            $($(#[doc = $text])+ pub $name: u64,)+
        }

        impl Coverage {
            /// All counters: name, count, and whether a batch must have reached it.
            pub fn all(&self) -> Vec<(&'static str, u64, bool)> {
                vec![$((stringify!($name), self.$name, $required),)+]
            }
        }

        impl AddAssign<&Self> for Coverage {
            fn add_assign(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counters! {
    /// Events of the queue.
    events true,
    /// Faults that began.
    faults true,
    /// Replicas that crashed.
    crashes true,
    /// Replicas that started again.
    restarts true,
    /// Changes that were written and lost in a crash.
    unsynced_lost true,
    /// Changes that a crash cut in the middle.
    torn true,
    /// Snapshots that were being saved and that a crash lost.
    lost_snapshots true,
    /// Snapshots that a replica took of its own state.
    snapshots_taken true,
    /// Snapshots of a leader that replaced the state of a follower.
    snapshots_installed true,
    /// Snapshots of a leader that replaced the log of a follower, which contradicted it or ended
    /// before it.
    logs_replaced true,
    /// Logs that lost the entries behind a snapshot.
    logs_compacted true,
    /// Replicas that started from a snapshot.
    restarts_from_snapshot true,
    /// Parts of snapshots that were sent once more, so that the transfer could go on.
    transfers_resumed true,
    /// Replicas that ended because their disk was full.
    full_disks true,
    /// Replicas that ended because a write failed.
    write_errors true,
    /// Replicas that ended because a sync failed.
    sync_errors true,
    /// Starts that were refused because a sector was damaged.
    damaged_refused true,
    /// Disks that were slow for a while.
    slow_disks true,
    /// Requests that a replica refused at once, because too many wait or are not committed.
    refused_at_once true,
    /// Messages that were lost.
    lost true,
    /// Messages that arrived twice.
    repeated true,
    /// Requests that clients sent again under the same name.
    resent true,
    /// Replicas that began to lead.
    elections true,
    /// Leaders that stopped leading without a crash.
    step_downs true,
    /// Leaderships that a leader handed over to another replica.
    leaderships_transferred true,
    /// Pre-votes that were refused.
    refused_pre_votes true,
    /// Votes that were refused.
    refused_votes true,
    /// Followers that cut off a part of their log.
    conflict_truncations true,
    /// Appends that were refused because the logs did not match.
    conflicts true,
    /// Appends that a follower relayed to another follower.
    relays true,
    /// Appends whose remaining hops a follower shortened by an acknowledgement that it remembered.
    recalls true,
    /// Appends on their way through several followers that one of these refused.
    refused_relays true,
    /// Entries of an earlier term that a quorum had on disk and that the leader could not commit
    /// yet (figure 8).
    figure_8 true,
    /// Requests that stood in the log again after they had taken effect.
    duplicate_requests true,
    /// Leaders whose lease ended while they led.
    lease_expiries true,
    /// Reads that were served under a lease.
    leased_reads true,
    /// Reads that were served after a round of heartbeats.
    confirmed_reads true,
    /// Reads that a follower served by an index of the leader.
    follower_reads true,
    /// Requests that a follower forwarded to the leader.
    forwarded true,
    /// Reads among them: a key had expired by the leader's clock alone, or the follower lacked much.
    reads_passed_on true,
    /// Indexes for followers that the leader gave with entries before them that were not committed.
    indexes_behind_entries true,
    /// Clusters that got more work than they could do, until the clients repeated requests less
    /// often.
    overloads false,
    /// Histories that the judge could not decide in time.
    undecided false,
    /// Requests that were answered.
    answers true,
    /// Reads that went through the log, because a key had expired by the leader's clock alone.
    expiries_committed true,
    /// Entries that removed expired keys.
    removals true,
    /// Conditions of sets and deletes that did not hold.
    conditions_unmet true,
    /// Batches that did nothing, because a watched key had changed.
    aborted_batches true,
    /// Sessions that expired.
    expired_sessions true,
    /// Requests that were refused because their client's session had expired.
    session_refusals true,
    /// Writes that were answered again, from the session of their client.
    replies_from_sessions true,
    /// Locks that a client got.
    locks true,
    /// Work that was refused because the lock was lost.
    fenced true,
}

impl Coverage {
    /// The required counters that are still zero.
    pub fn missing(&self) -> Vec<&'static str> {
        self.all().into_iter().filter(|(_, count, required)| *required && *count == 0).map(|c| c.0).collect()
    }

    /// Counts the situations that a batch shows.
    pub(super) fn note(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) {
        let (node, before) = (moment.node(), moment.before);
        let led_on = before.led && before.term == moment.term() && node.is_leader();
        self.elections += u64::from(node.is_leader() && !led_on);
        self.step_downs += u64::from(before.led && !led_on);
        self.note_messages(moment);
        let is_cut = |persist: &&Persist| persist.base.is_none() && persist.first_index <= before.last_index;
        self.conflict_truncations += moment.persists().filter(is_cut).count() as u64;
        self.note_snapshots(moment);
        let applied = before.commit_index + 1..=node.commit_index();
        let repeats =
            applied.filter_map(|index| knowledge.at(index)).filter(|committed| committed.does_nothing);
        self.duplicate_requests += repeats.count() as u64;
        self.note_commands(moment, knowledge);
        self.note_lease(moment, led_on);
        self.note_forwards(moment);
        self.figure_8 += u64::from(led_on && is_figure_8(moment));
    }

    fn note_snapshots(&mut self, moment: &Observation<'_>) {
        let (node, installed) = (moment.node(), moment.installed());
        let is_compacted = node.log().base() != moment.before.base;
        let is_own = |effect: &&Effect| matches!(effect, Effect::SaveSnapshot(snapshot) if snapshot.id.index == node.commit_index());
        // Without a disk, the snapshot is taken and the log compacted in one batch.
        let taken_in_memory = u64::from(is_compacted && !installed && !moment.server().has_disk());
        self.snapshots_taken += moment.effects.iter().filter(is_own).count() as u64 + taken_in_memory;
        self.snapshots_installed += u64::from(installed);
        self.logs_replaced += u64::from(installed && moment.persists().any(|persist| persist.base.is_some()));
        self.logs_compacted += u64::from(is_compacted && !installed);
    }

    fn note_messages(&mut self, moment: &Observation<'_>) {
        for (_, message) in moment.messages() {
            match &message.body {
                Body::RequestVoteResponse(response) if !response.granted && response.pre_vote => {
                    self.refused_pre_votes += 1;
                }
                Body::RequestVoteResponse(response) if !response.granted => self.refused_votes += 1,
                Body::AppendEntriesResponse(response) => {
                    self.conflicts += u64::from(matches!(response.outcome, AppendOutcome::Conflict { .. }));
                }
                Body::RelayEntries(relay) => {
                    self.relays += u64::from(!relay.acknowledged.is_empty());
                    self.recalls += u64::from(recalls(&relay.acknowledged, relay.append.sent_at));
                }
                Body::RelayEntriesResponse(response) => {
                    self.recalls += u64::from(recalls(&response.acknowledged, response.sent_at));
                    // The last hop is among the replicas for which the response answers.
                    let refused = response.acknowledged.iter().all(|ack| ack.id != moment.node().id());
                    self.refused_relays += u64::from(refused);
                }
                _ => {}
            }
        }
    }

    fn note_commands(&mut self, moment: &Observation<'_>, knowledge: &Knowledge) {
        let commit_index = moment.before.commit_index;
        for index in commit_index + 1..=moment.node().commit_index() {
            let Some(committed) = knowledge.at(index) else { continue };
            let Payload::Command(proposal) = &committed.entry.payload else { continue };
            self.expiries_committed += u64::from(proposal.command.is_read());
            self.removals += u64::from(proposal.request.is_none());
        }
        self.expired_sessions = self.expired_sessions.max(knowledge.sessions_expired());
        for response in moment.responses() {
            let (Some(asked), Outcome::Done(reply)) = (moment.clients.asked(&response.id), &response.outcome)
            else {
                continue;
            };
            let is_lock = |acquires: bool| match &asked.step {
                Step::Lock(locks::Step::Acquire { .. }) => acquires,
                Step::Lock(locks::Step::Work { .. }) => !acquires,
                _ => false,
            };
            let has_got = matches!(reply, Reply::Array(replies) if replies.first() == Some(&Reply::Ok));
            self.locks += u64::from(is_lock(true) && has_got);
            self.fenced += u64::from(is_lock(false) && *reply == Reply::Nil);
            self.conditions_unmet += u64::from(is_unmet(&asked.request.command, reply));
            let is_batch = matches!(asked.request.command, Command::Batch(_));
            self.aborted_batches += u64::from(is_batch && *reply == Reply::Nil);
            self.session_refusals += u64::from(*reply == Reply::Error(Refusal::SessionExpired));
            let effect = knowledge.effect_of(&response.id);
            self.replies_from_sessions += u64::from(effect.is_some_and(|index| index <= commit_index));
        }
    }

    fn note_lease(&mut self, moment: &Observation<'_>, led_on: bool) {
        let until = moment.servers[moment.at].leased_until();
        let leased = until.is_some_and(|until| until > moment.now);
        let was_renewed = moment.before.leased_until != until;
        self.lease_expiries += u64::from(led_on && !leased && until.is_some() && !was_renewed);
        for response in moment.responses() {
            self.answers += 1;
            self.refused_at_once += u64::from(response.outcome == Outcome::Fail);
            if response.outcome.value().is_some() {
                let leads = moment.node().is_leader();
                self.leased_reads += u64::from(leads && leased);
                self.confirmed_reads += u64::from(leads && !leased);
                self.follower_reads += u64::from(!leads);
            }
        }
    }

    /// Counts the messages on behalf of clients.
    fn note_forwards(&mut self, moment: &Observation<'_>) {
        for effect in moment.effects {
            match effect {
                Effect::Send(Outbound::Forward { request, .. }) => {
                    self.forwarded += 1;
                    self.reads_passed_on += u64::from(request.command.is_read());
                }
                Effect::Send(Outbound::ReadIndex { message: ReadIndex::Response { index, .. }, .. }) => {
                    self.indexes_behind_entries += u64::from(*index > moment.node().commit_index());
                }
                _ => {}
            }
        }
    }
}

/// Whether a condition of this command did not hold.
fn is_unmet(command: &Command, reply: &Reply) -> bool {
    match command {
        Command::One(Operation::Set(set)) => set.condition.is_some() && *reply == Reply::Nil,
        Command::One(Operation::DeleteIfEqual { .. }) => *reply == Reply::Integer(0),
        _ => false,
    }
}

/// Whether an acknowledgement of this append rests on an earlier append, whose acknowledgement a
/// follower remembered.
fn recalls(acknowledged: &[Acknowledgement], sent_at: Micros) -> bool {
    acknowledged.iter().any(|acknowledgement| acknowledgement.sent_at < sent_at)
}

/// Whether a leader has an entry of an earlier term that a quorum has on disk and that the leader
/// has not committed.
fn is_figure_8(moment: &Observation<'_>) -> bool {
    let node = moment.node();
    let next = node.commit_index() + 1;
    let earlier = node.log().term_at(next).ok().filter(|&term| term < moment.term());
    earlier.is_some_and(|term| moment.copies_on_disk(next, term) >= moment.quorum())
}
