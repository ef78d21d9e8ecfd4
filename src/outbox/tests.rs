//! Each rule of merging and packing, and each pair of messages that must stay apart.

use raft::message::{Acknowledgement, RelayEntriesResponse, RequestVote, RequestVoteResponse};

use super::*;
use crate::exchange::Inbound;
use crate::replication::RelayEntries;
use crate::testkit::{self, CLIENT, FAIL, REDIRECT, STORED, append_response, id, noops, response, value};
use crate::wire::{CHECKSUM_BYTES, Decoder, message_len_at_most};

const LIMIT: usize = 1_000;

/// An append of term 5 that shows the entries after `prev` up to `last`, all of term 5.
fn append(prev: Index, last: Index, leader_commit: Index, sent_at: u64) -> Message {
    let prev_log_term = if prev == 0 { 0 } else { 5 };
    let entries = noops(prev + 1..=last, 5);
    testkit::append(5, AppendEntries { prev_log_index: prev, prev_log_term, leader_commit, sent_at, entries })
}

fn matched(match_index: Index, sent_at: u64) -> Message {
    append_response(5, sent_at, AppendOutcome::Matched { match_index })
}

fn conflict(prev_log_index: Index, sent_at: u64) -> Message {
    let outcome = AppendOutcome::Conflict { prev_log_index, conflict_term: 0, conflict_index: 1 };
    append_response(5, sent_at, outcome)
}

fn vote(campaign: u64) -> Message {
    let vote =
        RequestVote { pre_vote: false, transfer: false, campaign, last_log_index: 1, last_log_term: 1 };
    Message { term: 5, body: Body::RequestVote(vote) }
}

fn of_term(term: Term, message: Message) -> Message {
    Message { term, ..message }
}

fn to(number: u16, message: Message) -> Outbound {
    Outbound::Peer { to: id(number), leader: None, message }
}

fn answer(mid: &str, outcome: Outcome) -> Outbound {
    Outbound::Client(response(CLIENT, mid, outcome))
}

/// All datagrams of an outbox into which these are pushed. None is beyond the limit, which leaves out
/// their checksums.
pub(super) fn datagrams(
    limit: usize,
    outbound: impl IntoIterator<Item = Outbound>,
) -> (Vec<Vec<u8>>, Counts) {
    let mut outbox = Outbox::new(id(0), limit + CHECKSUM_BYTES, true);
    outbound.into_iter().for_each(|outbound| outbox.push(outbound));
    let (mut buffer, mut datagrams) = (Vec::new(), Vec::new());
    while outbox.next(&mut buffer).is_some() {
        assert!(buffer.len() <= limit + CHECKSUM_BYTES, "{} bytes", buffer.len());
        datagrams.push(buffer.clone());
    }
    assert!(outbox.peers.values().all(|pending| pending.messages.is_empty()) && outbox.order.is_empty());
    (datagrams, outbox.counts())
}

pub(super) fn messages(datagram: &[u8], to: u16) -> Vec<Message> {
    let mut out = Vec::new();
    Decoder::new(id(to), [id(0), id(2)]).decode(&mut datagram.to_vec(), &mut out).expect("well formed");
    let message = |inbound| match inbound {
        Inbound::Peer { message, .. } => message,
        other => panic!("no message of a replica: {other:?}"),
    };
    out.into_iter().map(message).collect()
}

/// The messages that replica 1 reads, per datagram, when these are pushed for it.
fn read(limit: usize, pushed: impl IntoIterator<Item = Message>) -> Vec<Vec<Message>> {
    let (datagrams, _) = datagrams(limit, pushed.into_iter().map(|message| to(1, message)));
    datagrams.iter().map(|datagram| messages(datagram, 1)).collect()
}

fn merges(pushed: [Message; 2], merged: Message) {
    assert_eq!(read(LIMIT, pushed), [[merged]]);
}

/// The two travel as one datagram, both as they are and in their order.
fn stays_apart(pushed: [Message; 2]) {
    assert_eq!(read(LIMIT, pushed.clone()), [pushed]);
}

#[test]
fn append_continues_the_one_before() {
    merges([append(3, 5, 2, 10), append(5, 6, 4, 11)], append(3, 6, 4, 11));
    merges([append(0, 0, 0, 10), append(0, 2, 0, 11)], append(0, 2, 0, 11));
}

#[test]
fn heartbeat_is_merged_into_an_append_before_or_after_it() {
    merges([append(3, 5, 2, 10), append(5, 5, 4, 11)], append(3, 5, 4, 11));
    merges([append(5, 5, 2, 10), append(5, 7, 4, 11)], append(5, 7, 4, 11));
    merges([append(3, 5, 2, 10), append(3, 3, 4, 11)], append(3, 5, 4, 11));
}

#[test]
fn append_that_shows_more_replaces_the_one_before() {
    merges([append(3, 5, 2, 10), append(2, 5, 2, 11)], append(2, 5, 2, 11));
    merges([append(3, 5, 2, 10), append(3, 7, 2, 11)], append(3, 7, 2, 11));
    merges([append(3, 5, 2, 10), append(3, 5, 2, 11)], append(3, 5, 2, 11));
}

#[test]
fn overlapping_appends_are_joined() {
    merges([append(3, 6, 2, 10), append(4, 8, 5, 11)], append(3, 8, 5, 11));
    merges([append(3, 6, 2, 10), append(4, 5, 5, 11)], append(3, 6, 5, 11));
}

#[test]
fn merged_append_keeps_the_higher_commit_index_and_the_later_time() {
    merges([append(3, 5, 4, 11), append(5, 6, 2, 10)], append(3, 6, 4, 11));
    merges([append(3, 5, 4, 11), append(3, 6, 2, 10)], append(3, 6, 4, 11));
}

#[test]
fn many_appends_become_one() {
    let pushed = (0..9).map(|index| append(index, index + 1, index, 100 + index));
    assert_eq!(read(LIMIT, pushed), [[append(0, 9, 8, 108)]]);
}

#[test]
fn appends_with_a_gap_between_them_stay_apart() {
    stays_apart([append(3, 5, 2, 10), append(6, 7, 2, 11)]);
    stays_apart([append(5, 6, 2, 10), append(3, 4, 2, 11)]);
    stays_apart([append(5, 8, 2, 10), append(3, 6, 2, 11)]);
}

#[test]
fn append_that_contradicts_the_one_before_stays_apart() {
    let mut other = append(5, 6, 4, 11);
    let Body::AppendEntries(body) = &mut other.body else { panic!("an append") };
    body.prev_log_term = 4;
    stays_apart([append(3, 5, 2, 10), other]);
}

#[test]
fn relayed_appends_and_their_answers_are_not_merged() {
    let relay = |prev, last| {
        let Body::AppendEntries(append) = append(prev, last, 2, 10 + last).body else { panic!("an append") };
        let relay = RelayEntries { leader: id(0), way: vec![id(2)], acknowledged: vec![], append };
        Message { term: 5, body: Body::RelayEntries(relay) }
    };
    stays_apart([relay(3, 5), relay(5, 6)]);
    stays_apart([relay(3, 5), relay(3, 5)]);
    stays_apart([append(3, 5, 2, 10), relay(5, 6)]);
    stays_apart([relay(3, 5), append(5, 6, 2, 11)]);
    let answer = |match_index| {
        let acknowledged = vec![Acknowledgement { id: id(2), sent_at: match_index }];
        let response = RelayEntriesResponse { sent_at: match_index, match_index, acknowledged };
        Message { term: 5, body: Body::RelayEntriesResponse(response) }
    };
    stays_apart([answer(5), answer(6)]);
    stays_apart([matched(5, 10), answer(6)]);
}

#[test]
fn messages_of_different_terms_stay_apart_and_in_order() {
    for (first, second) in [(5, 6), (6, 5)] {
        stays_apart([of_term(first, append(3, 5, 2, 10)), of_term(second, append(5, 6, 2, 11))]);
        stays_apart([of_term(first, append(3, 5, 2, 10)), of_term(second, append(3, 6, 2, 11))]);
        stays_apart([of_term(first, matched(3, 10)), of_term(second, matched(4, 11))]);
        stays_apart([of_term(first, vote(1)), of_term(second, vote(1))]);
    }
}

#[test]
fn successes_become_the_higher_index_and_the_later_time() {
    merges([matched(3, 10), matched(5, 11)], matched(5, 11));
    merges([matched(5, 10), matched(3, 11)], matched(5, 11));
    merges([matched(3, 11), matched(5, 10)], matched(5, 11));
}

#[test]
fn conflicts_are_never_merged() {
    stays_apart([conflict(5, 10), conflict(5, 11)]);
    stays_apart([conflict(5, 10), conflict(5, 10)]);
    stays_apart([conflict(5, 10), matched(5, 11)]);
    stays_apart([matched(5, 10), conflict(5, 11)]);
    assert_eq!(
        read(LIMIT, [matched(5, 10), conflict(7, 11), matched(6, 12)]),
        [[matched(5, 10), conflict(7, 11), matched(6, 12)]]
    );
}

#[test]
fn vote_requests_are_merged_only_if_they_are_identical() {
    merges([vote(1), vote(1)], vote(1));
    stays_apart([vote(1), vote(2)]);
    let granted = |granted| {
        let body = Body::RequestVoteResponse(RequestVoteResponse { pre_vote: false, campaign: 1, granted });
        Message { term: 5, body }
    };
    stays_apart([granted(false), granted(true)]);
}

#[test]
fn merging_does_not_look_past_the_last_message() {
    let pushed = [append(3, 5, 2, 10), matched(1, 1), append(5, 6, 2, 11)];
    assert_eq!(read(LIMIT, pushed.clone()), [pushed]);
}

#[test]
fn appends_that_together_exceed_the_limit_are_two_datagrams() {
    let pushed = || (0..150).map(|index| append(index, index + 1, 0, 100 + index));
    let read = read(LIMIT, pushed());
    assert!(read.len() > 1);
    let entries = read.iter().flatten().flat_map(|message| match &message.body {
        Body::AppendEntries(append) => append.entries.clone(),
        _ => Vec::new(),
    });
    assert_eq!(entries.collect::<Vec<_>>(), noops(1..=150, 5), "nothing is lost or repeated");
}

#[test]
fn append_that_replaced_a_shorter_one_counts_with_its_own_length() {
    let limit = MESSAGE_ENVELOPE_BYTES + message_len_at_most(&append(3, 20, 2, 11));
    let pushed = [append(3, 5, 2, 10), append(3, 20, 2, 11), append(20, 26, 2, 12)];
    assert_eq!(read(limit, pushed), [[append(3, 20, 2, 11)], [append(20, 26, 2, 12)]]);
}

#[test]
fn datagram_is_filled_to_the_last_byte_that_is_safe() {
    let pair = [append(3, 5, 2, 10), append(5, 6, 2, 11)];
    let merged = append(3, 6, 2, 11);
    let least = MESSAGE_ENVELOPE_BYTES + message_len_at_most(&merged);
    assert_eq!(read(least, pair.clone()).len(), 1);
    assert_eq!(read(least - 1, pair).len(), 2);
    let pair = [matched(3, 10), conflict(3, 10)];
    let least = BUNDLE_ENVELOPE_BYTES + pair.iter().map(message_len_at_most).sum::<usize>();
    assert_eq!(read(least, pair.clone()).len(), 1);
    assert_eq!(read(least - 1, pair).len(), 2);
}

#[test]
fn message_that_no_datagram_can_carry_is_counted_and_dropped() {
    let (datagrams, counts) = datagrams(LIMIT, [to(1, append(0, 200, 0, 10)), to(1, matched(1, 1))]);
    assert_eq!(messages(&datagrams[0], 1), [matched(1, 1)]);
    assert_eq!((datagrams.len(), counts.oversized), (1, 1));
}

#[test]
fn destinations_have_their_turn_in_the_order_of_the_first_push() {
    let pushed = [
        to(2, matched(1, 1)),
        answer("a", STORED),
        to(1, vote(1)),
        to(2, vote(2)),
        answer("b", FAIL),
        to(1, vote(3)),
    ];
    let (datagrams, counts) = datagrams(LIMIT, pushed);
    assert_eq!(messages(&datagrams[0], 2), [matched(1, 1), vote(2)]);
    assert!(String::from_utf8_lossy(&datagrams[1]).contains(r#""MID":"a""#));
    assert_eq!(messages(&datagrams[2], 1), [vote(1), vote(3)]);
    assert!(String::from_utf8_lossy(&datagrams[3]).contains(r#""MID":"b""#));
    assert_eq!(datagrams.len(), 4);
    assert_eq!(counts, Counts { merged: 0, packed: 2, oversized: 0 });
}

#[test]
fn messages_beyond_one_datagram_go_before_the_next_destination() {
    let long = |prev| append(prev, prev + 60, 0, 10 + prev);
    let (datagrams, _) = datagrams(LIMIT, [to(1, long(0)), to(2, vote(1)), to(1, long(60))]);
    assert_eq!(messages(&datagrams[0], 1), [long(0)]);
    assert_eq!(messages(&datagrams[1], 1), [long(60)]);
    assert_eq!(messages(&datagrams[2], 2), [vote(1)]);
}

#[test]
fn answers_are_never_merged_reordered_or_dropped() {
    let mids = ["b", "a", "a", "c"];
    let (datagrams, _) = datagrams(LIMIT, mids.map(|mid| answer(mid, REDIRECT)));
    let texts = datagrams.iter().map(|datagram| String::from_utf8_lossy(datagram).into_owned());
    for (text, mid) in texts.zip(mids) {
        assert!(text.contains(&format!(r#""type":"redirect","MID":"{mid}""#)), "{text}");
    }
    assert_eq!(datagrams.len(), mids.len());
}

#[test]
fn answer_that_does_not_fit_becomes_a_refusal() {
    let (datagrams, counts) = datagrams(LIMIT, [answer("m", value("v".repeat(LIMIT)))]);
    assert!(String::from_utf8_lossy(&datagrams[0]).contains(r#""type":"fail","MID":"m""#));
    assert_eq!((datagrams.len(), counts.oversized), (1, 1));
}

#[test]
fn datagram_names_the_leader_of_the_last_push() {
    let said = [Some(id(2)), None, Some(id(3))];
    let push = |leader, campaign| Outbound::Peer { to: id(1), leader, message: vote(campaign) };
    let (datagrams, _) = datagrams(LIMIT, said.into_iter().zip(0..).map(|(leader, n)| push(leader, n)));
    assert!(datagrams[0].starts_with(br#"{"src":"0000","dst":"0001","leader":"0003","type":"bundle""#));
}

#[test]
fn merged_and_packed_messages_are_counted() {
    let pushed = [append(3, 5, 2, 10), append(5, 6, 2, 11), matched(1, 1), matched(2, 2), vote(1)];
    let (_, counts) = datagrams(LIMIT, pushed.map(|message| to(1, message)));
    assert_eq!(counts, Counts { merged: 2, packed: 2, oversized: 0 });
}
