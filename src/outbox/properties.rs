//! Merging and packing change neither the log nor the knowledge with which the receiver ends.

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::{datagrams, messages};
use super::*;
use crate::testkit::{id, noop, noops};

/// The final knowledge of the two ends of an append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Knowledge {
    current_term: Term,
    log: Vec<Entry>,
    committed: Index,
    followed: BTreeMap<Term, (Index, u64)>, // per leader's term: the match index, and the latest `sent_at`
    others: Vec<Message>,                   // messages that must arrive as they were sent
}

impl Knowledge {
    fn receive(&mut self, message: Message) {
        if message.term < self.current_term {
            return;
        }
        self.current_term = message.term;
        match &message.body {
            Body::AppendEntries(append) => self.follow(message.term, append),
            Body::AppendEntriesResponse(AppendEntriesResponse {
                sent_at,
                outcome: AppendOutcome::Matched { match_index },
            }) => self.note(message.term, *match_index, *sent_at),
            _ if self.others.last() == Some(&message) && matches!(message.body, Body::RequestVote(_)) => {}
            _ => self.others.push(message),
        }
    }

    /// Paper, figure 2: the receiver of an AppendEntries.
    fn follow(&mut self, term: Term, append: &AppendEntries) {
        let prev = append.prev_log_index as usize;
        let has_prev = prev == 0 || self.log.get(prev - 1).is_some_and(|e| e.term == append.prev_log_term);
        if !has_prev {
            return self.note(term, 0, append.sent_at);
        }
        for entry in &append.entries {
            let at = entry.index as usize - 1;
            if self.log.get(at).is_some_and(|mine| mine.term != entry.term) {
                self.log.truncate(at);
            }
            if self.log.len() == at {
                self.log.push(entry.clone());
            }
        }
        self.committed = self.committed.max(append.leader_commit.min(append.last_index()));
        self.note(term, append.last_index(), append.sent_at);
    }

    fn note(&mut self, term: Term, match_index: Index, sent_at: u64) {
        let known = self.followed.entry(term).or_default();
        *known = (known.0.max(match_index), known.1.max(sent_at));
    }
}

/// A step of the sender, with numbers that are fitted to its log.
#[derive(Clone, Copy, Debug)]
enum Step {
    Grow(u64),
    NextTerm,
    Commit(u64),
    Continue(u64),
    Repeat { back: u64, length: u64 },
    Matched(u64),
    Conflict(u64),
    Vote(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4u64).prop_map(Step::Grow),
        1 => Just(Step::NextTerm),
        2 => (0..4u64).prop_map(Step::Commit),
        8 => (0..4u64).prop_map(Step::Continue),
        4 => (0..8u64, 0..8u64).prop_map(|(back, length)| Step::Repeat { back, length }),
        3 => (0..20u64).prop_map(Step::Matched),
        1 => (1..20u64).prop_map(Step::Conflict),
        1 => (0..2u64).prop_map(Step::Vote),
    ]
}

/// The messages of a replica that takes these steps, and whose log only grows while it leads.
fn sender(steps: &[Step]) -> Vec<Message> {
    let (mut term, mut log, mut committed, mut sent, mut now) = (3, Vec::<Entry>::new(), 0, 0, 0);
    let mut messages = Vec::new();
    for &step in steps {
        now += 1;
        let last = log.len() as u64;
        let append = |prev: u64, length: u64| {
            let to = (prev + length).min(last);
            let entries = log[prev as usize..to as usize].to_vec();
            let prev_log_term = if prev == 0 { 0 } else { log[prev as usize - 1].term };
            let append = AppendEntries {
                prev_log_index: prev,
                prev_log_term,
                leader_commit: committed,
                sent_at: now,
                entries,
            };
            (Body::AppendEntries(append), to)
        };
        let response = |outcome| Body::AppendEntriesResponse(AppendEntriesResponse { sent_at: now, outcome });
        let body = match step {
            Step::Grow(by) => {
                log.extend(noops(last + 1..=last + by, term));
                continue;
            }
            Step::NextTerm => {
                // Another leader came and went; it may have truncated entries that were not
                // committed.
                term += 2;
                log.truncate((committed as usize).max(log.len() / 2));
                sent = sent.min(log.len() as u64);
                continue;
            }
            Step::Commit(by) => {
                committed = (committed + by).min(last);
                continue;
            }
            Step::Continue(length) => {
                let (body, to) = append(sent, length);
                sent = to;
                body
            }
            Step::Repeat { back, length } => append(sent.saturating_sub(back), length).0,
            Step::Matched(match_index) => response(AppendOutcome::Matched { match_index }),
            Step::Conflict(index) => response(AppendOutcome::Conflict {
                prev_log_index: index,
                conflict_term: 0,
                conflict_index: index,
            }),
            Step::Vote(campaign) => Body::RequestVote(raft::message::RequestVote {
                pre_vote: true,
                transfer: false,
                campaign,
                last_log_index: 0,
                last_log_term: 0,
            }),
        };
        messages.push(Message { term, body });
    }
    messages
}

proptest! {
    #[test]
    fn receiver_of_merged_messages_ends_with_the_same_log_and_knowledge(
        steps in vec(step(), 0..60),
        limit in 450..2_000usize,
        foreign in 0..6u64,
    ) {
        let sent = sender(&steps);
        // The receiver begins with some entries that no leader will confirm.
        let log = (1..=foreign).map(|index| noop(index, 1 + u64::from(index > 3)));
        let mut one_by_one = Knowledge { log: log.collect(), ..Knowledge::default() };
        let mut merged = one_by_one.clone();

        let (datagrams, counts) = datagrams(limit, sent.iter().map(|message| {
            Outbound::Peer { to: id(1), leader: None, message: message.clone() }
        }));
        let arrived: Vec<Message> = datagrams.iter().flat_map(|datagram| messages(datagram, 1)).collect();
        prop_assert_eq!(counts.oversized, 0);
        prop_assert_eq!(arrived.len() as u64 + counts.merged, sent.len() as u64);
        prop_assert_eq!(datagrams.len() as u64 + counts.packed, arrived.len() as u64);

        let sent_committed = sent.iter().filter_map(|message| match &message.body {
            Body::AppendEntries(append) => Some(append.leader_commit),
            _ => None,
        });
        let sent_committed = sent_committed.max().unwrap_or(0);
        sent.into_iter().for_each(|message| one_by_one.receive(message));
        arrived.into_iter().for_each(|message| merged.receive(message));

        // A commit index may be of use earlier, together with the entries that it is about.
        prop_assert!(merged.committed >= one_by_one.committed);
        prop_assert!(merged.committed <= sent_committed.min(merged.log.len() as u64));
        merged.committed = one_by_one.committed;
        prop_assert_eq!(merged, one_by_one);
    }
}
