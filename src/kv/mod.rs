//! The replicated state machine: a map, and a session per client. By the session a write takes
//! effect at most once, however often it stands in the log.
//!
//! A copy of it is cheap: it shares what neither side changes.

mod session;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::command::Command;
use crate::id::Id;

pub use session::{Fate, NAMES_WINDOW, SESSION_WINDOW};
use session::{Put, Session};
use values::Values;

/// The state that every replica reaches by applying the same log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kv {
    values: Values,
    sessions: BTreeMap<Id, Arc<Session>>,
}

impl Kv {
    /// The value of a key; `None` if it was never put.
    pub fn get(&self, key: &str) -> Option<&Arc<str>> {
        self.values.get(key)
    }

    /// The fate of a write that may be new or repeated, by the session of its client.
    pub fn fate(&self, command: &Command) -> Fate {
        let session = self.sessions.get(&command.request.client);
        session.map_or(Fate::New, |session| session.fate(&Put::of(command)))
    }

    /// Applies a committed command if its request is new, and returns the fate that it had. A
    /// command of any other fate changes nothing.
    pub fn apply(&mut self, command: &Command) -> Fate {
        let session = self.sessions.entry(command.request.client).or_default();
        let fate = Arc::make_mut(session).record(&Put::of(command));
        if fate == Fate::New {
            self.values.insert(&command.key, &command.value);
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{command, id};

    fn put(client: u16, mid: &str, key: &str, value: &str) -> Command {
        command(id(client), mid, key, value)
    }

    #[test]
    fn repeated_request_takes_effect_once() {
        let mut kv = Kv::default();
        assert_eq!(kv.apply(&put(16, "m1", "k", "old")), Fate::New);
        assert_eq!(kv.apply(&put(16, "m2", "k", "new")), Fate::New);
        assert_eq!(kv.apply(&put(16, "m1", "k", "old")), Fate::Applied);
        assert_eq!(kv.get("k").map(|v| &**v), Some("new"));
    }

    #[test]
    fn another_put_under_a_used_mid_is_refused() {
        let mut kv = Kv::default();
        kv.apply(&put(16, "m", "k", "a"));
        for other in [put(16, "m", "k", "b"), put(16, "m", "l", "a"), put(16, "m", "ka", "")] {
            assert_eq!(kv.fate(&other), Fate::Reused, "{other:?}");
            assert_eq!(kv.apply(&other), Fate::Reused, "{other:?}");
        }
        assert_eq!(kv.get("k").map(|v| &**v), Some("a"));
        assert_eq!(kv.get("l"), None);
    }

    #[test]
    fn put_whose_fate_is_forgotten_is_refused() {
        let mut kv = Kv::default();
        for n in 0..2 * SESSION_WINDOW {
            kv.apply(&put(16, &n.to_string(), "k", "v"));
        }
        assert_eq!(kv.fate(&put(16, "0", "k", "v")), Fate::Forgotten);
        assert_eq!(kv.apply(&put(16, "0", "k", "again")), Fate::Forgotten);
        assert_eq!(kv.get("k").map(|v| &**v), Some("v"));
    }

    #[test]
    fn two_clients_may_use_the_same_mid() {
        let mut kv = Kv::default();
        assert_eq!(kv.apply(&put(16, "m", "k", "a")), Fate::New);
        assert_eq!(kv.apply(&put(17, "m", "k", "b")), Fate::New);
        assert_eq!(kv.get("k").map(|v| &**v), Some("b"));
    }
}
