//! The sessions of clients that a state machine keeps, by the rule alone: those of the clients that
//! used one most recently. The rest of a session is of no interest here.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Id;
use crate::request::RequestId;

/// The sessions, by the log.
#[derive(Debug)]
pub(in crate::sim::invariants) struct Sessions {
    most: usize,
    open: Vec<Id>,                  // the one that was used least recently first
    requests: BTreeMap<Id, usize>,  // how many writes of each client stand in the log
    expired: BTreeMap<Id, usize>,   // how often a session of each client has expired
    refusable: BTreeSet<RequestId>, // requests that came when the session of their client had expired
}

impl Sessions {
    /// None so far, and never more than `most`.
    pub fn new(most: usize) -> Self {
        let (open, refusable) = (Vec::new(), BTreeSet::new());
        Self { most: most.max(1), open, requests: BTreeMap::new(), expired: BTreeMap::new(), refusable }
    }

    /// A write stands in the log.
    pub fn note(&mut self, request: &RequestId) {
        let client = request.client;
        *self.requests.entry(client).or_default() += 1;
        match self.open.iter().position(|open| *open == client) {
            Some(place) => drop(self.open.remove(place)),
            None if self.expired.contains_key(&client) => drop(self.refusable.insert(request.clone())),
            None => {}
        }
        self.open.push(client);
        if self.open.len() > self.most {
            let client = self.open.remove(0);
            *self.expired.entry(client).or_default() += 1;
        }
    }

    /// How many sessions have expired.
    pub fn expirations(&self) -> usize {
        self.expired.values().sum()
    }

    /// Whether a session of this client has ever expired.
    pub fn has_expired(&self, client: Id) -> bool {
        self.expired.contains_key(&client)
    }

    /// Whether this request stands in the log at a place where its client had no session any more.
    pub fn may_be_refused(&self, request: &RequestId) -> bool {
        self.refusable.contains(request)
    }

    /// How many writes of this client stand in the log.
    pub fn requests(&self, client: Id) -> usize {
        self.requests.get(&client).copied().unwrap_or(0)
    }
}
