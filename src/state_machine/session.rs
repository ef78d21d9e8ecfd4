//! A client's session remembers the requests that were done, with their replies, so that no request
//! is done twice (dissertation, 6.3).
//!
//! # Guarantees
//!
//! A client repeats a request under the MID that the request had. A session recognises the
//! repetition as long as it remembers the MID. Its size is bounded, so it cannot remember all. The
//! guarantee beyond that depends on the MIDs, which the client chooses:
//!
//! * **A client that numbers its requests**, each with a greater number than the one before: at most
//!   once, without limit. The session remembers the last [`SESSION_WINDOW`] requests, and of all
//!   earlier ones the greatest number. A request that it does not remember and whose number is not
//!   greater may have been done. So it is [`Forgotten`](Fate::Forgotten): the session refuses it for
//!   ever. Numbers may have gaps and may come out of order. A session refuses a request only if more
//!   than `SESSION_WINDOW` later ones were done before it.
//! * **A client that invents its MIDs** (at random, say): the session remembers its last
//!   [`NAMES_WINDOW`] requests. A MID without order does not show its age. So the session takes a
//!   request that comes again after more than so many others for a new one. A client that takes a
//!   new MID for each attempt never notices.
//!
//! A MID is a number if it has up to 16 hexadecimal digits, decimal ones included, or is a decimal
//! number up to 2^64 - 1. Leading zeros do not count. The session sees from the requests whether a
//! client numbers them. It compares numbers that are half of `SESSION_WINDOW` requests apart, and of
//! the last 512 such pairs three quarters must rise. Of random numbers half of the pairs rise; the
//! chance that 384 of 512 do is below 10^-29. With a quarter of the requests delayed by a lost
//! message three quarters still rise. The log alone decides, so all replicas see the same.
//!
//! # Costs
//!
//! A session keeps MIDs and commands as digests of 64 bits, so it does not grow with the length of
//! a client's texts. It keeps replies up to a number of bytes, and drops the oldest beyond that. The
//! requests stand in chunks ([`chunk`](super::chunk)), which copies of the session share.

#[path = "session_parts.rs"]
mod parts;

use std::collections::VecDeque;
use std::sync::Arc;

use super::chunk::{Chunk, REQUEST_BYTES, Remembered, reply_bytes};
use crate::command::Command;
use crate::digest::digest;
use crate::operation::Revision;
use crate::reply::{Refusal, Reply};
use crate::request::RequestId;

pub(super) use parts::Parts;

/// How many of a client's latest requests its session remembers at least.
pub const SESSION_WINDOW: usize = 1_024;

/// How many it remembers of a client whose MIDs have no order.
pub const NAMES_WINDOW: usize = 65_536;

/// The distance of the requests whose numbers a session compares, and the number of such pairs that
/// it looks at.
const PAIRS: usize = SESSION_WINDOW / 2;

/// How many of these pairs rise if a client numbers its requests.
const RISING: usize = PAIRS / 4 * 3;

/// A session with fewer requests does not show whether its client counts.
const SHORT: usize = 32;

/// How many requests a session forgets at most when it records one: more than one, so that it
/// shrinks when its client begins to count.
const FORGOTTEN_AT_ONCE: usize = 2;

/// A chunk is full at so many requests, or at this part of all that the session remembers. So a
/// session has some forty chunks while it grows, and ten when it has grown.
const CHUNK: usize = 256;
const CHUNK_PART: usize = 8;

/// The bytes that a session takes without its requests, with its places in the maps.
const SESSION_BYTES: usize = 512;

/// The fate of a request, by the session of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not done before: it may be.
    New,
    /// It was done before, with this reply: a repetition changes nothing and is answered like the
    /// first. `None` if the reply is forgotten.
    Done(Option<Reply>),
    /// Another request was done under its MID: it is refused.
    Reused,
    /// It may have been done and forgotten: it is refused.
    Forgotten,
}

/// A request as a session knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    mid: u64,            // the digest of its MID
    number: Option<u64>, // the number that its MID is
    content: u64,        // the digest of its command
}

/// The remains of a session that expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub settled: Option<u64>,  // no number up to this one may be done
    pub greatest: Option<u64>, // no greater number was done
}

/// The requests of one client that were done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub last_used: Revision,      // the index of a late entry of this client (`sessions`)
    chunks: VecDeque<Arc<Chunk>>, // the requests that are remembered, oldest first, and some forgotten ones
    first: u64,                   // the oldest request that is remembered; requests are counted from 0
    next: u64,                    // the next request; at most NAMES_WINDOW after `first`
    rising: usize,                // how many of the last PAIRS pairs rise
    settled: Option<u64>,         // every number up to this one is remembered or refused; never decreases
    greatest: Option<u64>,        // of all requests that were done; never decreases
    reply_bytes: usize,           // of the replies in `chunks`
    replies_from: u64,            // all earlier requests have no replies with bytes
}

impl Request {
    /// The part of this request that a session keeps.
    pub fn of(id: &RequestId, command: &Command) -> Self {
        Self { mid: digest(&[id.mid.as_bytes()]), number: number(&id.mid), content: command.digest() }
    }
}

impl Tombstone {
    /// Whether no session of the client can have done this request.
    pub fn is_new(&self, request: &Request) -> bool {
        request.number.is_some() && request.number > self.greatest
    }
}

impl Session {
    /// The session of a client, with the remains of an earlier one.
    pub fn new(last_used: Revision, Tombstone { settled, greatest }: Tombstone) -> Self {
        Self {
            last_used,
            chunks: VecDeque::new(),
            first: 0,
            next: 0,
            rising: 0,
            settled,
            greatest: greatest.max(settled),
            reply_bytes: 0,
            replies_from: 0,
        }
    }

    /// The fate of this request.
    pub fn fate(&self, request: &Request) -> Fate {
        // A MID always is the same number, so a greater one than all is not remembered.
        if request.number > self.greatest {
            return Fate::New;
        }
        match self.find(request.mid) {
            Some(found) if found.content == request.content => Fate::Done(found.reply.clone()),
            Some(_) => Fate::Reused,
            None if request.number.is_some() && request.number <= self.settled => Fate::Forgotten,
            None => Fate::New,
        }
    }

    /// Remembers a new request that was just done.
    pub fn record(&mut self, request: &Request, reply: &Reply, max_reply_bytes: usize) {
        let bytes = reply_bytes(reply);
        let kept = bytes <= max_reply_bytes;
        let remembered = Remembered {
            mid: request.mid,
            content: request.content,
            number: request.number,
            reply: kept.then(|| reply.clone()),
        };
        self.reply_bytes += if kept { bytes } else { 0 };
        self.open_chunk().push(remembered);
        self.next += 1;
        self.greatest = self.greatest.max(request.number);
        self.rising += usize::from(self.rises(0));
        self.rising -= usize::from(self.rises(PAIRS));
        self.forget();
        self.drop_replies(max_reply_bytes);
    }

    /// How many bytes it takes, about: the same on all replicas.
    pub fn bytes(&self) -> usize {
        let held = self.chunks.front().map_or(0, |chunk| self.next - chunk.base) as usize;
        SESSION_BYTES + held * REQUEST_BYTES + self.reply_bytes
    }

    /// Its remains when it expires.
    ///
    /// The numbers of a client that counts are settled. A short session does not show whether they
    /// rise, because a lost message delays a request behind later ones. So the numbers of a short
    /// session are settled, too. If its client invents its MIDs as numbers, later requests with
    /// smaller numbers are refused. The other choice would be to do a request twice.
    pub fn tombstone(&self) -> Tombstone {
        let greatest = self.greatest;
        let len = self.len();
        let distance = (len / 2).min(PAIRS) as u64;
        let pairs = (self.next - (len as u64 - distance).min(PAIRS as u64))..self.next;
        let rising = pairs.clone().filter(|n| self.is_rise(n - distance, *n)).count();
        let counts = len < SHORT || 4 * rising >= 3 * pairs.count();
        Tombstone { settled: if counts { greatest } else { self.settled }, greatest }
    }

    fn len(&self) -> usize {
        (self.next - self.first) as usize
    }

    /// The request with this MID.
    fn find(&self, mid: u64) -> Option<&Remembered> {
        let (n, found) = self.chunks.iter().rev().find_map(|chunk| chunk.find(mid))?;
        (n >= self.first).then_some(found)
    }

    /// The chunk of this request, counted from the oldest.
    fn chunk_of(&self, n: u64) -> usize {
        // Most requests that are looked up stand in the first chunk or in one of the last.
        match self.chunks.get(1) {
            Some(second) if second.base <= n => self.chunks.iter().rposition(|chunk| chunk.base <= n),
            _ => Some(0),
        }
        .expect("a request that is remembered has a chunk")
    }

    /// The number of a request that is remembered.
    fn number(&self, n: u64) -> Option<u64> {
        self.chunks[self.chunk_of(n)].request(n).number
    }

    fn is_rise(&self, earlier: u64, later: u64) -> bool {
        let numbers = self.number(earlier).zip(self.number(later));
        numbers.is_some_and(|(earlier, later)| earlier < later)
    }

    /// Whether the number of the request before the last `back` requests is greater than that of
    /// `PAIRS` requests before.
    fn rises(&self, back: usize) -> bool {
        if self.len() <= back + PAIRS {
            return false;
        }
        let later = self.next - 1 - back as u64;
        self.is_rise(later - PAIRS as u64, later)
    }

    /// The chunk for the next request.
    fn open_chunk(&mut self) -> &mut Chunk {
        let full = CHUNK.max(self.len() / CHUNK_PART);
        if self.chunks.back().is_none_or(|chunk| chunk.len() >= full) {
            self.chunks.push_back(Arc::new(Chunk::new(self.next)));
        }
        Arc::make_mut(self.chunks.back_mut().expect("it was just added"))
    }

    /// Forgets the oldest requests that are too many. A number is settled only if it is behind those
    /// of the latest requests. Otherwise a number far ahead, from before the client began to count,
    /// would make the session refuse all others.
    fn forget(&mut self) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            if self.len() <= SESSION_WINDOW {
                return;
            }
            let number = self.number(self.first);
            let latest = self.number(self.next - 1 - PAIRS as u64);
            let settled = number.filter(|_| self.rising >= RISING && number < latest);
            if settled.is_none() && self.len() <= NAMES_WINDOW {
                return;
            }
            self.settled = self.settled.max(settled);
            self.first += 1;
            if self.chunks.front().is_some_and(|chunk| chunk.end() <= self.first)
                && let Some(chunk) = self.chunks.pop_front()
            {
                self.reply_bytes -= chunk.reply_bytes;
                self.replies_from = self.replies_from.max(chunk.end());
            }
        }
    }

    /// Drops the oldest replies that take too many bytes.
    fn drop_replies(&mut self, max_bytes: usize) {
        while self.reply_bytes > max_bytes {
            let chunk = self.chunk_of(self.replies_from);
            let has_bytes = self.chunks[chunk].request(self.replies_from).reply_bytes() > 0;
            if has_bytes {
                self.reply_bytes -= Arc::make_mut(&mut self.chunks[chunk]).drop_reply(self.replies_from);
            }
            self.replies_from += 1;
        }
    }
}

/// The number that a MID is, if it is one.
fn number(mid: &str) -> Option<u64> {
    if !mid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match mid.trim_start_matches('0') {
        "" => (!mid.is_empty()).then_some(0),
        digits if digits.len() <= 16 => u64::from_str_radix(digits, 16).ok(),
        digits => digits.parse().ok(),
    }
}

impl From<Fate> for Option<Reply> {
    /// The reply to a request that is not new.
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::New => None,
            Fate::Done(reply) => Some(reply.unwrap_or(Reply::Error(Refusal::ReplyForgotten))),
            Fate::Reused => Some(Reply::Error(Refusal::Reused)),
            Fate::Forgotten => Some(Reply::Error(Refusal::Forgotten)),
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
