//! The messages that wait to be sent, per destination. The outbox merges two messages if one can
//! carry the content of both, packs the others for one destination into one datagram, and never
//! delays, truncates or exceeds the limit.
//!
//! Merging looks only at the last message for a destination, so messages that are not merged leave
//! in the order in which they were pushed. Two messages are merged only if they have the same term,
//! because only within one term do they describe the same leader's log (paper, 5.2 and 5.3: one
//! leader per term, and a leader never changes its entries). A relayed append and its answer are
//! never merged: they name the followers that have acknowledged, and another relay takes other
//! hops. They are packed like all messages.

use std::collections::{BTreeMap, VecDeque};

use raft::message::{AppendEntriesResponse, AppendOutcome};
use raft::types::{Index, Term};

use crate::dialect::{Encode, Simulators};
use crate::exchange::{Outbound, ReadIndex};
use crate::id::Id;
use crate::replication::{AppendEntries, Body, Entry, Message};
use crate::request::{Outcome, Request, Response};
use crate::transport::Address;
use crate::wire::{BUNDLE_ENVELOPE_BYTES, Form, MESSAGE_ENVELOPE_BYTES};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The messages that an [`Outbox`] has saved and dropped so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that disappeared into another one.
    pub merged: u64,
    /// Messages that travelled in another one's datagram.
    pub packed: u64,
    /// Messages that were dropped because no datagram can carry them. The core splits its appends
    /// so that there are none.
    pub oversized: u64,
}

/// The content of one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// To another replica.
    Peer {
        /// That replica.
        to: Id,
        /// The leader as this replica knew it last.
        leader: Option<Id>,
        /// At least one message.
        messages: Vec<Message>,
    },
    /// To a client.
    Client(Response),
    /// To the leader, which answers the client.
    Forward {
        /// The leader.
        to: Id,
        /// The client's request.
        request: Request,
    },
    /// To another replica, about reads that a follower serves.
    ReadIndex {
        /// That replica.
        to: Id,
        /// The message.
        message: ReadIndex,
    },
}

/// All messages that one replica has to send.
#[derive(Debug)]
pub struct Outbox {
    encoder: Box<dyn Encode>,
    form: Form,
    max_datagram: usize, // without the envelope of the dialect
    coalesces: bool,
    order: VecDeque<Next>,
    peers: BTreeMap<Id, Pending>, // a replica with pending messages is in `order` once
    counts: Counts,
}

/// A turn to send.
#[derive(Debug)]
enum Next {
    Client(Response),
    Forward { to: Id, request: Request },
    ReadIndex { to: Id, message: ReadIndex },
    Peer(Id),
}

/// The messages that wait for one replica.
#[derive(Debug, Default)]
struct Pending {
    leader: Option<Id>, // as the latest push had it
    messages: VecDeque<Message>,
    lengths: VecDeque<usize>, // of each message, as `Form::message_len_at_most` has it
}

impl Outbox {
    /// An empty outbox of the replica `own` for datagrams of at most `max_datagram` bytes. One that
    /// does not coalesce neither merges nor packs.
    pub fn new(own: Id, max_datagram: usize, coalesces: bool) -> Self {
        Self::with_encoder(Box::new(Simulators::new(own)), max_datagram, coalesces)
    }

    /// The same in another dialect than that of the simulators.
    pub fn with_encoder(encoder: Box<dyn Encode>, max_datagram: usize, coalesces: bool) -> Self {
        let (order, peers, counts) = (VecDeque::new(), BTreeMap::new(), Counts::default());
        let max_datagram = max_datagram.saturating_sub(encoder.envelope_bytes());
        let form = encoder.form();
        Self { encoder, form, max_datagram, coalesces, order, peers, counts }
    }

    /// Takes over a message.
    pub fn push(&mut self, outbound: Outbound) {
        let (to, leader, message) = match outbound {
            Outbound::Client(response) => return self.order.push_back(Next::Client(response)),
            Outbound::Forward { to, request } => {
                return self.order.push_back(Next::Forward { to, request });
            }
            Outbound::ReadIndex { to, message } => {
                return self.order.push_back(Next::ReadIndex { to, message });
            }
            Outbound::Peer { to, leader, message } => (to, leader, message),
        };
        let length = self.form.message_len_at_most(&message);
        if !fits_alone(length, self.max_datagram) {
            self.counts.oversized += 1;
            return;
        }
        let pending = self.peers.entry(to).or_default();
        if pending.messages.is_empty() {
            self.order.push_back(Next::Peer(to));
        }
        pending.leader = leader;
        let last = pending.messages.back_mut().zip(pending.lengths.back_mut()).filter(|_| self.coalesces);
        match merge(last, message, length, (self.max_datagram, self.form)) {
            None => self.counts.merged += 1,
            Some(message) => {
                pending.messages.push_back(message);
                pending.lengths.push_back(length);
            }
        }
    }

    /// Writes the next datagram into `buffer`, whose old content is lost, and returns its
    /// destination; `None` if no datagram waits. Destinations have their turn in the order of the
    /// first push for each.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> Option<Address> {
        let next = self.order.pop_front()?;
        Some(self.write(buffer, next))
    }

    /// As [`next`](Self::next), but only messages for clients and on their behalf have their turn:
    /// answers, requests, and those about reads.
    pub fn next_answer(&mut self, buffer: &mut Vec<u8>) -> Option<Address> {
        // Each replica is there once at most, so this does not search for long.
        let at = self.order.iter().position(|next| !matches!(next, Next::Peer(_)))?;
        let next = self.order.remove(at)?;
        Some(self.write(buffer, next))
    }

    /// The next datagram, as [`next`](Self::next) would write it.
    pub fn take(&mut self) -> Option<Datagram> {
        let to = match self.order.pop_front()? {
            Next::Client(response) => return Some(Datagram::Client(response)),
            Next::Forward { to, request } => return Some(Datagram::Forward { to, request }),
            Next::ReadIndex { to, message } => return Some(Datagram::ReadIndex { to, message }),
            Next::Peer(to) => to,
        };
        let (max_datagram, coalesces) = (self.max_datagram, self.coalesces);
        let pending = self.peers.entry(to).or_default();
        let count = pending.next_count(max_datagram, coalesces);
        let (leader, messages) = (pending.leader, pending.messages.drain(..count).collect());
        let is_empty = pending.messages.is_empty();
        self.have_taken(to, count, is_empty);
        Some(Datagram::Peer { to, leader, messages })
    }

    /// The messages that were saved and dropped so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn write(&mut self, buffer: &mut Vec<u8>, next: Next) -> Address {
        match next {
            Next::Client(response) => self.write_response(buffer, response),
            Next::Forward { to, request } => self.write_forward(buffer, to, request),
            Next::ReadIndex { to, message } => {
                self.encoder.read_index(buffer, to, &message);
                Address::Peer(to)
            }
            Next::Peer(to) => self.write_messages(buffer, to),
        }
    }

    fn write_response(&mut self, buffer: &mut Vec<u8>, response: Response) -> Address {
        let to = Address::Client(response.id.client);
        self.encoder.response(buffer, &response);
        // A replica answers with no reply that is too long (`wire::Limits`). Should one come from
        // elsewhere, the client is still owed an answer.
        if self.is_too_long(buffer) {
            let refusal = Response { outcome: Outcome::Fail, ..response };
            self.encoder.response(buffer, &refusal);
        }
        to
    }

    /// Writes a request for the leader. If it is too long, no replica can store it either, and its
    /// client gets a refusal.
    fn write_forward(&mut self, buffer: &mut Vec<u8>, to: Id, request: Request) -> Address {
        self.encoder.forward(buffer, to, &request);
        if self.is_too_long(buffer) {
            let refusal = Response { id: request.id, outcome: Outcome::Fail, leader: Some(to) };
            return self.write_response(buffer, refusal);
        }
        Address::Peer(to)
    }

    /// Whether a datagram is longer than the network carries; it is counted then.
    fn is_too_long(&mut self, datagram: &[u8]) -> bool {
        let is_too_long = datagram.len() > self.max_datagram + self.encoder.envelope_bytes();
        self.counts.oversized += u64::from(is_too_long);
        is_too_long
    }

    fn write_messages(&mut self, buffer: &mut Vec<u8>, to: Id) -> Address {
        let (max_datagram, coalesces) = (self.max_datagram, self.coalesces);
        let pending = self.peers.entry(to).or_default();
        let count = pending.next_count(max_datagram, coalesces);
        let messages = &pending.messages.make_contiguous()[..count];
        self.encoder.peer(buffer, to, pending.leader, messages);
        debug_assert!(
            buffer.len() <= max_datagram + self.encoder.envelope_bytes(),
            "a message is longer than predicted"
        );
        pending.messages.drain(..count);
        let is_empty = pending.messages.is_empty();
        self.have_taken(to, count, is_empty);
        Address::Peer(to)
    }

    /// Takes the news that so many messages for this replica were taken. If any are left, they have
    /// the next turn.
    fn have_taken(&mut self, to: Id, count: usize, is_empty: bool) {
        self.counts.packed += count as u64 - 1;
        if !is_empty {
            self.order.push_front(Next::Peer(to));
        }
    }
}

impl Pending {
    /// How many messages the next datagram takes, at least one. Forgets their lengths.
    fn next_count(&mut self, max_datagram: usize, coalesces: bool) -> usize {
        let mut room = max_datagram.saturating_sub(BUNDLE_ENVELOPE_BYTES);
        let fits = |length: &&usize| {
            let left = room.checked_sub(**length);
            room = left.unwrap_or(0);
            left.is_some()
        };
        // One always fits, since it fits without the envelope of a bundle.
        let most = if coalesces { self.lengths.len() } else { 1 };
        let count = self.lengths.iter().take(most).take_while(fits).count().max(1);
        self.lengths.drain(..count);
        count
    }
}

/// Whether a message of this length fits into a datagram that is no bundle.
fn fits_alone(length: usize, max_datagram: usize) -> bool {
    MESSAGE_ENVELOPE_BYTES + length <= max_datagram
}

/// Merges `message` into the one that was pushed before it, or gives it back.
fn merge(
    last: Option<(&mut Message, &mut usize)>,
    message: Message,
    length: usize,
    room: (usize, Form),
) -> Option<Message> {
    let Some((last, last_length)) = last.filter(|(last, _)| last.term == message.term) else {
        return Some(message);
    };
    let term = message.term;
    match (&mut last.body, message.body) {
        (Body::AppendEntries(earlier), Body::AppendEntries(later)) => {
            merge_appends((earlier, last_length), (later, length), room)
                .map(|later| Message { term, body: Body::AppendEntries(later) })
        }
        (Body::AppendEntriesResponse(earlier), Body::AppendEntriesResponse(later)) => {
            merge_append_responses(earlier, later)
                .map(|later| Message { term, body: Body::AppendEntriesResponse(later) })
        }
        (Body::RequestVote(earlier), Body::RequestVote(later)) if *earlier == later => None,
        (_, body) => Some(Message { term, body }),
    }
}

/// Two appends of one term show parts of the same log. If the parts touch, one append can show
/// both, with the later commit index and the later `sent_at`. The answer to the merged append
/// implies the answer to each part: by the log matching property (paper, 5.3), a follower that
/// accepts the merged append has both parts, and a follower that refuses it would have refused at
/// least the part with the lower `prev_log_index`.
fn merge_appends(
    (earlier, earlier_length): (&mut AppendEntries, &mut usize),
    (mut later, later_length): (AppendEntries, usize),
    (max_datagram, form): (usize, Form),
) -> Option<AppendEntries> {
    let leader_commit = earlier.leader_commit.max(later.leader_commit);
    let sent_at = earlier.sent_at.max(later.sent_at);
    if later.prev_log_index <= earlier.prev_log_index && later.last_index() >= earlier.last_index() {
        *earlier = later; // it shows all that the earlier one does
        *earlier_length = later_length;
    } else if term_at(earlier, later.prev_log_index) == Some(later.prev_log_term) {
        let known = (earlier.last_index() - later.prev_log_index) as usize;
        let new = later.entries.get(known..).unwrap_or_default();
        let length = *earlier_length + new.iter().map(form.entry_len()).sum::<usize>();
        if !fits_alone(length, max_datagram) {
            return Some(later);
        }
        earlier.entries.extend(later.entries.drain(known.min(later.entries.len())..));
        *earlier_length = length;
    } else {
        return Some(later);
    }
    earlier.leader_commit = leader_commit;
    earlier.sent_at = sent_at;
    None
}

/// The term at an index that the append shows, `prev_log_index` included.
fn term_at(append: &AppendEntries, index: Index) -> Option<Term> {
    match index.checked_sub(append.prev_log_index)? {
        0 => Some(append.prev_log_term),
        nth => append.entries.get(nth as usize - 1).map(|entry: &Entry| entry.term),
    }
}

/// Two successes of one term become one with the higher match index and the later time. Both stay
/// true, although no single append may have carried both. The follower's log equals the leader's up
/// to the match index for the whole term, because the leader only appends and the follower removes
/// only entries that differ. And the follower followed the leader at `sent_at` or later, which
/// stays true for ever. A conflict does not stay true: the leader must see each.
fn merge_append_responses(
    earlier: &mut AppendEntriesResponse,
    later: AppendEntriesResponse,
) -> Option<AppendEntriesResponse> {
    use AppendOutcome::Matched;
    let (Matched { match_index }, Matched { match_index: other }) = (earlier.outcome, later.outcome) else {
        return Some(later);
    };
    let sent_at = earlier.sent_at.max(later.sent_at);
    let outcome = Matched { match_index: match_index.max(other) };
    *earlier = AppendEntriesResponse { sent_at, outcome };
    None
}
