//! The sessions of all clients, bounded in number and size.
//!
//! Beyond the bounds the session expires whose client has been away for the longest time, counted
//! in entries of the log, to within a sixteenth of the number of sessions. So it expires at the same
//! entry on every replica. A tombstone of a few bytes is left of it. The first request of the client
//! after that is refused with [`SessionExpired`](Refusal::SessionExpired), because it may have been
//! done before, and opens a new session. But a request whose number is greater than all that the
//! client used before cannot have been done: it opens a new session and is done at once. The numbers
//! of a client that counts stay refused up to the greatest, for ever.
//!
//! A client's ID has 16 bits, so there are at most 65,535 sessions and tombstones.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::after;
use super::session::{Fate, Request, Session, Tombstone};
use super::settings::SessionLimits;
use crate::id::Id;
use crate::operation::Revision;
use crate::reply::{Refusal, Reply};

/// A session is ordered anew by its use if that lies behind by one entry for so many sessions that
/// there may be. To order it anew with each request costs as much as the rest of the request.
const USE_PART: usize = 16;

/// The sessions. A clone is cheap and independent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    open: OrdMap<Id, Arc<Session>>,
    by_use: OrdSet<(Revision, Id)>, // the same ones, the one that was used least recently first
    tombstones: OrdMap<Id, Tombstone>, // of clients without a session
    bytes: usize,                   // of all sessions
}

impl Sessions {
    /// The reply to a request that is not new. The one that would be refused because its session
    /// expired is new here: the refusal opens a session, so it must stand in the log.
    pub fn remembered(&self, client: Id, request: &Request) -> Option<Reply> {
        self.open.get(&client)?.fate(request).into()
    }

    /// Takes a request from the log: returns the reply if it must not be done.
    pub fn admit(
        &mut self,
        at: Revision,
        client: Id,
        request: &Request,
        limits: &SessionLimits,
    ) -> Option<Reply> {
        if let Some(session) = self.open.get_mut(&client) {
            let session = Arc::make_mut(session);
            if at - session.last_used > (limits.count / USE_PART) as Revision {
                self.by_use.remove(&(session.last_used, client));
                self.by_use.insert((at, client));
                session.last_used = at;
            }
            return session.fate(request).into();
        }
        let tombstone = self.tombstones.remove(&client);
        let session = Session::new(at, tombstone.unwrap_or_default());
        self.bytes += session.bytes();
        self.open.insert(client, Arc::new(session));
        self.by_use.insert((at, client));
        let refused = tombstone.is_some_and(|tombstone| !tombstone.is_new(request));
        let refusal = refused.then_some(Reply::Error(Refusal::SessionExpired));
        if let Some(refusal) = &refusal {
            self.record(client, request, refusal, limits);
        }
        refusal
    }

    /// Remembers the reply to a request that was admitted.
    pub fn record(&mut self, client: Id, request: &Request, reply: &Reply, limits: &SessionLimits) {
        let Some(session) = self.open.get_mut(&client) else { return };
        let session = Arc::make_mut(session);
        debug_assert!(matches!(session.fate(request), Fate::New | Fate::Forgotten));
        self.bytes -= session.bytes();
        session.record(request, reply, limits.reply_bytes);
        self.bytes += session.bytes();
        while self.open.len() > 1 && (self.open.len() > limits.count || self.bytes > limits.bytes) {
            self.expire_one();
        }
    }

    /// How many sessions there are, and how many bytes they take, about.
    pub fn size(&self) -> (usize, usize) {
        (self.open.len(), self.bytes)
    }

    /// The sessions of clients after this one.
    pub fn after(&self, client: Option<Id>) -> impl Iterator<Item = (&Id, &Session)> {
        after(&self.open, client.as_ref()).map(|(client, session)| (client, &**session))
    }

    /// The tombstones of clients after this one.
    pub fn tombstones_after(&self, client: Option<Id>) -> impl Iterator<Item = (&Id, &Tombstone)> {
        after(&self.tombstones, client.as_ref())
    }

    /// The session of a client.
    pub fn get(&self, client: Id) -> Option<&Session> {
        self.open.get(&client).map(|session| &**session)
    }

    /// How many tombstones there are.
    pub fn tombstones(&self) -> usize {
        self.tombstones.len()
    }

    /// Adds the session of a client that has none.
    pub fn restore(&mut self, client: Id, session: Session) {
        self.bytes += session.bytes();
        self.by_use.insert((session.last_used, client));
        self.open.insert(client, Arc::new(session));
    }

    /// Adds the tombstone of a client that has none.
    pub fn restore_tombstone(&mut self, client: Id, tombstone: Tombstone) {
        self.tombstones.insert(client, tombstone);
    }

    /// Frees a session or a tombstone, and returns how many parts it had; 0 if there is none.
    pub fn free_one(&mut self) -> usize {
        if let Some((_, client)) = self.by_use.remove_max() {
            return self.open.remove(&client).map_or(1, |session| session.parts().len().max(1));
        }
        let last = self.tombstones.get_max().map(|(client, _)| *client);
        usize::from(last.is_some_and(|client| self.tombstones.remove(&client).is_some()))
    }

    /// Ends the session that was used least recently.
    fn expire_one(&mut self) {
        let Some((_, client)) = self.by_use.remove_min() else { return };
        let Some(session) = self.open.remove(&client) else { return };
        self.bytes -= session.bytes();
        self.tombstones.insert(client, session.tombstone());
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
