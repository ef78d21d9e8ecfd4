//! A session in parts, as a snapshot carries it, and a session again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Chunk, NAMES_WINDOW, PAIRS, Remembered, SESSION_WINDOW, Session};
use crate::operation::Revision;

/// All of a session but its requests; the rest follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::state_machine) struct Parts {
    pub last_used: Revision,
    pub first: u64,
    pub settled: Option<u64>,
    pub greatest: Option<u64>,
    pub replies_from: u64,
    pub base: u64,        // the oldest request that a chunk holds
    pub chunks: Vec<u64>, // the number of requests in each chunk
}

impl Parts {
    /// How many requests the chunks hold.
    pub fn len(&self) -> usize {
        self.chunks.iter().fold(0, |sum: u64, len| sum.saturating_add(*len)) as usize
    }
}

impl Session {
    /// All but its requests.
    pub fn parts(&self) -> Parts {
        Parts {
            last_used: self.last_used,
            first: self.first,
            settled: self.settled,
            greatest: self.greatest,
            replies_from: self.replies_from,
            base: self.chunks.front().map_or(self.next, |chunk| chunk.base),
            chunks: self.chunks.iter().map(|chunk| chunk.len() as u64).collect(),
        }
    }

    /// The requests from this one on, which a chunk holds.
    pub fn requests(&self, from: u64) -> impl Iterator<Item = &Remembered> {
        let chunks = self.chunks.iter().skip(self.chunk_of(from));
        chunks.flat_map(move |chunk| chunk.requests(from))
    }

    /// The request after the last one.
    pub fn end(&self) -> u64 {
        self.next
    }

    /// The session with these parts and requests; `None` if no session has them.
    pub fn restore(parts: &Parts, requests: Vec<Remembered>) -> Option<Self> {
        let Parts { last_used, first, settled, greatest, replies_from, base, .. } = *parts;
        let next = base.checked_add(requests.len() as u64)?;
        let first_chunk = *parts.chunks.first()?;
        let remembered = next.checked_sub(first)? as usize;
        let before_replies = replies_from.checked_sub(base)? as usize;
        let possible = next < u64::MAX / 2
            && parts.len() == requests.len()
            && parts.chunks.iter().all(|len| *len > 0)
            && (base..base + first_chunk).contains(&first)
            && remembered <= NAMES_WINDOW
            && (first == 0 || remembered >= SESSION_WINDOW)
            && settled <= greatest
            && requests.iter().all(|request| request.number <= greatest)
            && requests.get(..before_replies)?.iter().all(|request| request.reply_bytes() == 0);
        if !possible {
            return None;
        }
        let mut chunks = VecDeque::with_capacity(parts.chunks.len());
        let (mut requests, mut base) = (requests.into_iter(), base);
        for len in &parts.chunks {
            let mut chunk = Chunk::new(base);
            requests.by_ref().take(*len as usize).for_each(|request| chunk.push(request));
            base = chunk.end();
            chunks.push_back(Arc::new(chunk));
        }
        let reply_bytes = chunks.iter().map(|chunk| chunk.reply_bytes).sum();
        let mut session =
            Self { last_used, chunks, first, next, rising: 0, settled, greatest, reply_bytes, replies_from };
        session.rising = session.count_rising();
        Some(session)
    }

    /// How many of the last `PAIRS` pairs rise. A session that has forgotten requests remembers both
    /// of each pair.
    fn count_rising(&self) -> usize {
        let pairs = PAIRS as u64;
        let later = self.next.saturating_sub(pairs).max(self.first + pairs)..self.next;
        later.filter(|later| self.is_rise(later - pairs, *later)).count()
    }
}
