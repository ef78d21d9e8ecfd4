//! The replicated state machine: a map, and a session per client so that a write
//! takes effect at most once however often it stands in the log.
//!
//! What is found by name is in hash tables, because this is where a write spends most of its time. Nobody goes through
//! them, so the order in them, which differs from process to process, reaches no output.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::id::Id;
use crate::planted::{Bug, Planted};
use crate::request::RequestId;

/// How many of a client's latest writes its session remembers. A repetition is
/// recognised as long as fewer other writes of the same client came between; every
/// replica forgets the same ones, because the log decides the order.
pub const SESSION_WINDOW: usize = 1024;

/// A client's write, as the log carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who asked, and under which name.
    pub request: RequestId,
    /// The key to set.
    pub key: Arc<str>,
    /// The value to set it to.
    pub value: Arc<str>,
}

/// What an application did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The command took effect.
    Now,
    /// The same request had taken effect before; nothing changed.
    Before,
}

/// The state that every replica reaches by applying the same log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kv {
    values: HashMap<Arc<str>, Arc<str>>,
    sessions: BTreeMap<Id, Session>,
    planted: Planted,
}

/// The latest writes of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Session {
    done: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>, // the same names as `done`, oldest first; at most SESSION_WINDOW
}

impl Session {
    /// Remembers a write; false if it is remembered already.
    fn record(&mut self, mid: &Arc<str>) -> bool {
        if !self.done.insert(Arc::clone(mid)) {
            return false;
        }
        if self.order.len() == SESSION_WINDOW
            && let Some(oldest) = self.order.pop_front()
        {
            self.done.remove(&oldest);
        }
        self.order.push_back(Arc::clone(mid));
        true
    }
}

impl Kv {
    /// An empty state, with a bug if a test wants one.
    pub fn new(planted: Planted) -> Self {
        Self { planted, ..Self::default() }
    }

    /// The planted bug of a replica that restarts without its sessions.
    pub(crate) fn lose_sessions(&mut self) {
        self.sessions.clear();
    }

    /// The value of a key; `None` if it was never put.
    pub fn get(&self, key: &str) -> Option<&Arc<str>> {
        self.values.get(key)
    }

    /// Whether this write has taken effect, as far as its client's session remembers.
    pub fn has_applied(&self, request: &RequestId) -> bool {
        if self.planted.has(Bug::AppliesRetryTwice) {
            return false;
        }
        self.sessions.get(&request.client).is_some_and(|session| session.done.contains(&request.mid))
    }

    /// Applies a committed command, unless the same request was applied before.
    pub fn apply(&mut self, command: &Command) -> Applied {
        let session = self.sessions.entry(command.request.client).or_default();
        if !session.record(&command.request.mid) && !self.planted.has(Bug::AppliesRetryTwice) {
            return Applied::Before;
        }
        self.values.insert(Arc::clone(&command.key), Arc::clone(&command.value));
        Applied::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(client: u16, mid: &str, key: &str, value: &str) -> Command {
        let client = Id::new(client).expect("not reserved");
        Command { request: RequestId { client, mid: mid.into() }, key: key.into(), value: value.into() }
    }

    #[test]
    fn a_repeated_request_takes_effect_once() {
        let mut kv = Kv::default();
        assert_eq!(kv.apply(&put(16, "m1", "k", "old")), Applied::Now);
        assert_eq!(kv.apply(&put(16, "m2", "k", "new")), Applied::Now);
        assert_eq!(kv.apply(&put(16, "m1", "k", "old")), Applied::Before);
        assert_eq!(kv.get("k").map(|v| &**v), Some("new"));
    }

    #[test]
    fn two_clients_may_use_the_same_name() {
        let mut kv = Kv::default();
        assert_eq!(kv.apply(&put(16, "m", "k", "a")), Applied::Now);
        assert_eq!(kv.apply(&put(17, "m", "k", "b")), Applied::Now);
        assert_eq!(kv.get("k").map(|v| &**v), Some("b"));
    }

    #[test]
    fn a_session_remembers_the_window_and_no_more() {
        let mut kv = Kv::default();
        for n in 0..=SESSION_WINDOW {
            kv.apply(&put(16, &n.to_string(), "k", "v"));
        }
        let known = |n: usize| kv.has_applied(&put(16, &n.to_string(), "", "").request);
        assert!(!known(0));
        assert!(known(1));
        assert!(known(SESSION_WINDOW));
        assert_eq!(kv.sessions.values().map(|s| s.done.len()).sum::<usize>(), SESSION_WINDOW);
    }
}
