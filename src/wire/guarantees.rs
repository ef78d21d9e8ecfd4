//! The guarantees of the decoder for any bytes, written down once for two users. `properties.rs`
//! damages good datagrams at random. The fuzz target `decode` looks for bytes that lead the decoder
//! to new places.
//!
//! * It never panics.
//! * A refused datagram leaves the messages that were decoded before it as they were; an accepted
//!   one adds to them.
//! * An accepted message is within the bounds that everything behind `wire` relies on.
//! * A peer's message, written again, takes no more bytes than it came in, and no more than
//!   predicted. The decoder then reads it as the same message.
//! * With checksums it accepts no other message than without. It accepts each peer's message that is
//!   written again with its checksum.
//! * The decoder remembers nothing: after any datagram it reads the next one like a new decoder.

use std::collections::BTreeSet;

use raft::message::{Acknowledgement, AppendOutcome, RequestVote};
use raft::types::{EntryId, Index, MAX_NUMBER, Term};

use super::decode::{Decoder, MAX_ENTRY_MID_BYTES, MAX_MID_BYTES, Malformed};
use super::encode::{encode_peer, encode_sealed};
use super::size::{BUNDLE_ENVELOPE_BYTES, message_len_at_most};
use crate::dialect::Decode;
use crate::exchange::Inbound;
use crate::id::Id;
use crate::replication::{AppendEntries, Body, Entry, LogTail, Message, Payload};
use crate::request::{Request, RequestId};
use crate::testkit::{self, entry, id, noop, proposal};

/// The replica that decodes.
pub const OWN: Id = id(0);
/// A replica that it listens to.
pub const PEER: Id = id(1);
/// All replicas that it listens to.
pub const PEERS: [Id; 3] = [PEER, id(2), id(3)];

const CLIENT: Id = id(0x10);

/// If one of them breaks a guarantee.
pub fn check(datagram: &[u8]) {
    let good = good_messages();
    let good_datagram = encoded(&good);
    let good: Vec<Inbound> = good.into_iter().map(from_peer).collect();

    let mut decoder = Decoder::new(OWN, PEERS);
    let result = read(&mut decoder, datagram);
    assert_eq!(read(&mut decoder, &good_datagram).as_ref(), Ok(&good), "after {result:?}");
    assert_eq!(read(&mut decoder, datagram), result, "the second time");
    let strict = read(&mut decoder.with_checksums(), datagram);
    assert!(strict.is_err() || strict == result, "{strict:?} instead of {result:?}");
    if let Ok(said) = result {
        check_accepted(datagram, &said);
    }
}

/// The messages of one datagram. A message that was decoded before must stay as it is.
pub fn read(decoder: &mut dyn Decode, datagram: &[u8]) -> Result<Vec<Inbound>, Malformed> {
    let earlier = [Inbound::Client(testkit::get(CLIENT, "earlier", "k"))];
    let mut out = earlier.to_vec();
    let result = decoder.decode(&mut datagram.to_vec(), &mut out);
    assert!(out.starts_with(&earlier), "{result:?} left {out:?}");
    let said = out.split_off(earlier.len());
    assert_eq!(result.is_ok(), !said.is_empty(), "{result:?} added {said:?}");
    result.map(|()| said)
}

/// Two messages that use all of the decoder's buffers: several levels, and texts with and without
/// escapes.
fn good_messages() -> [Message; 2] {
    let command = proposal(CLIENT, "\"m\"\n", "k", "\u{1F600}\\ and so on ".repeat(8));
    let append = AppendEntries {
        prev_log_index: 0,
        prev_log_term: 0,
        leader_commit: MAX_NUMBER,
        sent_at: 7,
        entries: vec![noop(1, 2), entry(2, 2, command)],
    };
    let vote =
        RequestVote { pre_vote: true, transfer: false, campaign: 3, last_log_index: 2, last_log_term: 2 };
    [testkit::append(2, append), Message { term: 3, body: Body::RequestVote(vote) }]
}

fn encoded(messages: &[Message]) -> Vec<u8> {
    encoded_from(PEER, messages)
}

fn encoded_from(sender: Id, messages: &[Message]) -> Vec<u8> {
    let mut datagram = Vec::new();
    encode_peer(&mut datagram, sender, OWN, None, messages);
    datagram
}

fn from_peer(message: Message) -> Inbound {
    Inbound::Peer { from: PEER, message }
}

fn check_accepted(datagram: &[u8], said: &[Inbound]) {
    if let [Inbound::Client(Request { id, .. })] = said {
        check_name(id, MAX_MID_BYTES);
        return;
    }
    let message = |inbound: &Inbound| match inbound {
        Inbound::Peer { from, message } if PEERS.contains(from) => message.clone(),
        other => panic!("{other:?} among the messages of a peer"),
    };
    let messages: Vec<Message> = said.iter().map(message).collect();
    let sender = sender(said);
    messages.iter().for_each(|message| check_message(sender, message));
    let again = encoded_from(sender, &messages);
    assert!(again.len() <= datagram.len(), "{} bytes became {}", datagram.len(), again.len());
    let predicted: usize = messages.iter().map(message_len_at_most).sum();
    assert!(again.len() <= BUNDLE_ENVELOPE_BYTES + predicted, "{} bytes, not {predicted}", again.len());
    assert_eq!(read(&mut Decoder::new(OWN, PEERS), &again).as_deref(), Ok(said), "written and read again");
    let mut sealed = Vec::new();
    encode_sealed(&mut sealed, sender, OWN, None, &messages);
    let mut strict = Decoder::new(OWN, PEERS).with_checksums();
    assert_eq!(read(&mut strict, &sealed).as_deref(), Ok(said), "with a checksum");
}

fn sender(said: &[Inbound]) -> Id {
    match said {
        [Inbound::Peer { from, .. }, ..] => *from,
        other => panic!("{other:?} without a sender"),
    }
}

fn check_message(sender: Id, message: &Message) {
    let term = message.term;
    check_numbers(&[term]);
    match &message.body {
        Body::RequestVote(vote) => {
            check_numbers(&[vote.campaign]);
            check_log_end(vote.last_log_index, vote.last_log_term);
            assert!(vote.last_log_term < term, "{message:?}");
            assert!(!vote.pre_vote || !vote.transfer, "{message:?}");
        }
        Body::RequestVoteResponse(response) => check_numbers(&[response.campaign]),
        Body::AppendEntries(append) => check_append(term, append),
        Body::AppendEntriesResponse(response) => {
            check_numbers(&[response.sent_at]);
            assert!(term > 0, "{message:?}");
            check_outcome(term, response.outcome);
        }
        Body::LogTail(tail) => {
            let LogTail { prev_log_index, prev_log_term, entries } = tail;
            assert!(!entries.is_empty(), "{message:?}");
            check_entries(term, (*prev_log_index, *prev_log_term), entries);
        }
        Body::InstallSnapshot(install) => {
            check_numbers(&[install.sent_at, install.chunk]);
            check_snapshot(term, install.snapshot);
        }
        Body::StaleTerm | Body::TimeoutNow => assert!(term > 0, "{message:?}"),
        Body::RelayEntries(relay) => {
            check_append(term, &relay.append);
            let mut ids = vec![relay.leader];
            ids.extend(check_acknowledged(&relay.acknowledged));
            assert_eq!(ids.last(), Some(&sender), "{message:?}");
            ids.extend(&relay.way);
            check_replicas(&ids);
        }
        Body::RelayEntriesResponse(response) => {
            check_numbers(&[response.sent_at, response.match_index]);
            assert!(term > 0 && !response.acknowledged.is_empty(), "{message:?}");
            check_replicas(&check_acknowledged(&response.acknowledged));
        }
    }
}

fn check_snapshot(term: Term, snapshot: EntryId) {
    check_numbers(&[snapshot.index]);
    assert!(snapshot.index > 0 && (1..=term).contains(&snapshot.term), "{snapshot} in term {term}");
}

/// Returns the IDs of the replicas.
fn check_acknowledged(acknowledged: &[Acknowledgement]) -> Vec<Id> {
    acknowledged.iter().for_each(|one| check_numbers(&[one.sent_at]));
    acknowledged.iter().map(|one| one.id).collect()
}

/// Others of this cluster, each once.
fn check_replicas(ids: &[Id]) {
    assert!(ids.iter().all(|id| PEERS.contains(id)), "{ids:?}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

fn check_append(term: Term, append: &AppendEntries) {
    let &AppendEntries { prev_log_index, prev_log_term, leader_commit, sent_at, .. } = append;
    check_numbers(&[leader_commit, sent_at]);
    check_entries(term, (prev_log_index, prev_log_term), &append.entries);
}

fn check_entries(term: Term, (prev_log_index, prev_log_term): (Index, Term), entries: &[Entry]) {
    check_log_end(prev_log_index, prev_log_term);
    assert!(term > 0 && prev_log_term <= term, "{entries:?} in term {term}");
    let mut last = (prev_log_index, prev_log_term);
    for entry in entries {
        check_log_end(entry.index, entry.term);
        assert_eq!(entry.index, last.0 + 1, "{entries:?}");
        assert!((last.1..=term).contains(&entry.term), "{entries:?} in term {term}");
        last = (entry.index, entry.term);
        if let Payload::Command(proposal) = &entry.payload {
            proposal.request.iter().for_each(|request| check_name(request, MAX_ENTRY_MID_BYTES));
            assert!(proposal.command.is_within_limits(), "{proposal}");
        }
    }
}

fn check_outcome(term: Term, outcome: AppendOutcome) {
    match outcome {
        AppendOutcome::Matched { match_index } => check_numbers(&[match_index]),
        AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
            check_numbers(&[prev_log_index, conflict_term, conflict_index]);
            assert!(conflict_term <= term, "{outcome:?} in term {term}");
            assert!((1..=prev_log_index).contains(&conflict_index), "{outcome:?}");
        }
        AppendOutcome::Receiving { snapshot, chunks } => {
            check_numbers(&[chunks]);
            check_snapshot(term, snapshot);
        }
    }
}

fn check_name(name: &RequestId, longest: usize) {
    assert!(name.client != OWN && !PEERS.contains(&name.client), "{name:?}");
    assert!(name.mid.len() <= longest, "{name:?}");
}

fn check_log_end(index: Index, term: Term) {
    check_numbers(&[index, term]);
    assert_eq!(index == 0, term == 0, "{index}@{term}");
}

fn check_numbers(numbers: &[u64]) {
    assert!(numbers.iter().all(|number| *number <= MAX_NUMBER), "{numbers:?}");
}
