//! The findings of the clients, for those that judge and measure a run.

use linearizability::{command as judge, key_value as history};

use super::{Asked, Clients, PROBE};
use crate::bytes::Bytes;
use crate::id::Id;
use crate::request::RequestId;

impl Clients {
    /// The number of the request with this name.
    pub(super) fn number(&self, id: &RequestId) -> Option<usize> {
        let number = usize::from_str_radix(&id.mid, 16).ok()?;
        (self.asked.get(number)?.request.id == *id).then_some(number)
    }

    /// The request with this name in the history.
    pub fn named(&self, name: &str) -> Option<&Asked> {
        self.asked.get(usize::from_str_radix(name, 16).ok()?)
    }

    /// The request with this ID.
    pub fn asked(&self, id: &RequestId) -> Option<&Asked> {
        self.asked.get(self.number(id)?)
    }

    /// The IDs with which clients begin.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.clients.iter().map(|client| client.id)
    }

    /// The leader that the client of this request believes in.
    pub fn leader_of(&self, number: usize) -> Option<usize> {
        self.clients[self.asked[number].client].leader
    }

    /// All requests that were made.
    pub fn all(&self) -> &[Asked] {
        &self.asked
    }

    /// Whether a replica has acknowledged the probe.
    pub fn is_probe_acknowledged(&self) -> bool {
        let stored = self.asked.iter().filter(|asked| asked.is_stored());
        stored.rev().any(|asked| asked.request.command.operations()[0].keys() == [&Bytes::from(PROBE)])
    }

    /// Number of acknowledgements of writes, also of those that a client has repeated since.
    pub fn stored(&self) -> usize {
        self.stored
    }

    /// Number of requests that were served.
    pub fn completed(&self) -> usize {
        self.completed
    }

    /// Number of second answers to requests that were sent once.
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// Number of requests that a replica redirected.
    pub fn redirects(&self) -> usize {
        self.redirects
    }

    /// Number of gets of a client's own keys that returned another value than that of the last
    /// acknowledged put.
    pub fn early_reads(&self) -> usize {
        self.early_reads
    }

    /// Whether clients only put and get.
    pub fn only_put_and_get(&self) -> bool {
        self.workload.operations.is_none()
    }

    /// The history that the clients saw, for the linearizability checker of puts and gets.
    pub fn history(&self) -> Vec<history::Operation> {
        self.asked.iter().filter_map(super::super::history::of_values).collect()
    }

    /// The history that the clients saw, for the checker that knows other operations, too.
    pub fn history_of_commands(&self) -> Vec<judge::Operation> {
        // Clients that delete all keys leave no history of a key.
        let judged = if self.workload.operations.all < 1.0 { &self.asked[..] } else { &[] };
        judged.iter().filter_map(super::super::history::of_commands).collect()
    }
}
