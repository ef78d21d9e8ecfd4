//! The object again, written in another way: keys that are there, and the windows in which they end.

use std::collections::BTreeMap;

use super::*;

/// A key that is there.
#[derive(Clone)]
pub struct Living {
    pub value: String,
    /// The first and the last moment at which it ends.
    pub end: Option<(u64, u64)>,
}

pub type Store = BTreeMap<Arc<str>, Living>;

/// Performs an operation. A key that is given this time to live ends in this window. `None` if a
/// watched key has another value.
pub fn perform(
    store: &mut Store,
    operation: &Operation,
    window: impl Fn(Duration) -> (u64, u64),
) -> Option<Vec<Reply>> {
    let is_seen = |(key, seen): &(Arc<str>, Option<Arc<str>>)| {
        store.get(key).map(|living| &*living.value) == seen.as_deref()
    };
    let commands = operation.commands.iter();
    let all = operation.watched.iter().all(is_seen);
    all.then(|| commands.map(|(key, command)| perform_one(store, key, command, &window)).collect())
}

fn perform_one(
    store: &mut Store,
    key: &Arc<str>,
    command: &Command,
    window: impl Fn(Duration) -> (u64, u64),
) -> Reply {
    let (old, end) = match store.get(key) {
        Some(living) => (Some(living.value.clone()), living.end),
        None => (None, None),
    };
    let meets = |when: &When| match when {
        When::Always => true,
        When::Absent => old.is_none(),
        When::Present => old.is_some(),
        When::Is(own) => old.as_deref() == Some(own),
        When::AbsentOr(own) => old.is_none() || old.as_deref() == Some(own),
        When::IsNot(own) => old.as_deref() != Some(own),
    };
    let mut put = |value: String, end| drop(store.insert(Arc::clone(key), Living { value, end }));
    match (command, old.clone()) {
        (Command::Get, old) => Reply::Value(old.map(Into::into)),
        (Command::Set { value, when, ttl }, _) => {
            let end = match ttl {
                Ttl::Unlimited => None,
                Ttl::Keep => end,
                Ttl::After(ttl) => Some(window(*ttl)),
            };
            if meets(when) {
                put(value.to_string(), end);
            }
            Reply::Done(meets(when))
        }
        (Command::Delete { when }, _) => Reply::Done(meets(when) && store.remove(key).is_some()),
        (Command::Increment { by }, old) => match old.unwrap_or("0".to_owned()).parse::<i64>() {
            Ok(number) => {
                put((number + by).to_string(), end);
                Reply::Number(number + by)
            }
            Err(_) => Reply::Refused,
        },
        (Command::Append { value }, old) => {
            let whole = old.unwrap_or_default() + value;
            put(whole.clone(), end);
            Reply::Number(whole.len() as i64)
        }
        (Command::Expire { .. } | Command::Persist, None) => Reply::Done(false),
        (Command::Expire { ttl }, Some(old)) => {
            put(old, Some(window(*ttl)));
            Reply::Done(true)
        }
        (Command::Persist, Some(old)) => {
            put(old, None);
            Reply::Done(end.is_some())
        }
    }
}
