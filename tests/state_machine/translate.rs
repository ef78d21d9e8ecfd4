//! Operations as commands of Redis.

use kvstore::bytes::Bytes;
use kvstore::operation::{Condition, Deadline, DeadlineCondition, Expiry, Operation, Set};

type Words = Vec<Vec<u8>>;

/// The command of Redis 7.0 that an operation is.
pub fn words(operation: &Operation) -> Words {
    let of = |name: &str, words: &[&[u8]]| -> Words {
        [name.as_bytes()].iter().chain(words).map(|word| word.to_vec()).collect()
    };
    let many = |name: &str, keys: &[Bytes]| -> Words {
        let keys = keys.iter().map(|key| key.to_vec());
        std::iter::once(name.into()).chain(keys).collect()
    };
    let text = |number: &dyn ToString| number.to_string().into_bytes();
    match operation {
        Operation::Get { key } => of("GET", &[key]),
        Operation::GetRange { key, start, end } => of("GETRANGE", &[key, &text(start), &text(end)]),
        Operation::Strlen { key } => of("STRLEN", &[key]),
        Operation::GetMany { keys } => many("MGET", keys),
        Operation::Exists { keys } => many("EXISTS", keys),
        Operation::Type { key } => of("TYPE", &[key]),
        Operation::TimeToLive { key } => of("PTTL", &[key]),
        Operation::Deadline { key } => of("PEXPIRETIME", &[key]),
        Operation::Count => of("DBSIZE", &[]),
        Operation::Set(set) => set_words(set),
        Operation::SetMany { pairs, if_absent } => {
            let pairs = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
            many(if *if_absent { "MSETNX" } else { "MSET" }, &pairs.collect::<Vec<_>>())
        }
        Operation::GetDelete { key } => of("GETDEL", &[key]),
        Operation::GetExpire { key, expiry } => {
            let option = match expiry {
                Expiry::Never => vec![b"PERSIST".to_vec()],
                Expiry::Keep => vec![],
                Expiry::Set(deadline) => deadline_words(*deadline, "PX", "PXAT"),
            };
            [of("GETEX", &[key]), option].concat()
        }
        Operation::Delete { keys } => many("DEL", keys),
        Operation::Increment { key, by } => of("INCRBY", &[key, &text(by)]),
        Operation::IncrementFloat { key, by } => of("INCRBYFLOAT", &[key, by]),
        Operation::Append { key, value } => of("APPEND", &[key, value]),
        Operation::SetRange { key, offset, value } => of("SETRANGE", &[key, &text(offset), value]),
        Operation::Expire { key, deadline, condition } => {
            let mut words = deadline_words(*deadline, "PEXPIRE", "PEXPIREAT");
            words.insert(1, key.to_vec());
            words.extend(condition_words(*condition).iter().map(|word| word.as_bytes().to_vec()));
            words
        }
        Operation::Persist { key } => of("PERSIST", &[key]),
        Operation::Flush => of("FLUSHALL", &[]),
        Operation::Revision { .. }
        | Operation::GetWithRevision { .. }
        | Operation::Scan { .. }
        | Operation::DeleteIfEqual { .. }
        | Operation::RemoveExpired { .. } => panic!("Redis 7.0 has no {operation:?}"),
    }
}

fn deadline_words(deadline: Deadline, after: &str, at: &str) -> Words {
    let (name, millis) = match deadline {
        Deadline::After(millis) => (after, millis),
        Deadline::At(millis) => (at, millis),
    };
    vec![name.into(), millis.to_string().into()]
}

fn condition_words(condition: Option<DeadlineCondition>) -> &'static [&'static str] {
    match condition {
        None => &[],
        Some(DeadlineCondition::Absent) => &["NX"],
        Some(DeadlineCondition::Present) => &["XX"],
        Some(DeadlineCondition::Later) => &["GT"],
        Some(DeadlineCondition::Earlier) => &["LT"],
        Some(DeadlineCondition::PresentAndLater) => &["XX", "GT"],
        Some(DeadlineCondition::PresentAndEarlier) => &["XX", "LT"],
    }
}

fn set_words(set: &Set) -> Words {
    let mut words = vec![b"SET".to_vec(), set.key.to_vec(), set.value.to_vec()];
    match &set.condition {
        None => {}
        Some(Condition::Absent) => words.push(b"NX".to_vec()),
        Some(Condition::Present) => words.push(b"XX".to_vec()),
        Some(condition) => panic!("Redis 7.0 has no {condition:?}"),
    }
    match set.expiry {
        Expiry::Never => {}
        Expiry::Keep => words.push(b"KEEPTTL".to_vec()),
        Expiry::Set(deadline) => words.extend(deadline_words(deadline, "PX", "PXAT")),
    }
    words.extend(set.get.then(|| b"GET".to_vec()));
    words
}
