use super::*;
use crate::command::Watch;
use crate::id::Id;
use crate::operation::{Condition, Deadline, DeadlineCondition, Expiry, Set};

/// A state machine, and its log.
struct Log {
    machine: StateMachine,
    index: u64,
}

impl Log {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        Self { machine: StateMachine::new(settings), index: 0 }
    }

    fn propose(&mut self, at: UnixMillis, request: Option<RequestId>, command: impl Into<Command>) -> Reply {
        self.index += 1;
        self.machine.apply(self.index, &Proposal { at, request, command: command.into() })
    }

    /// Applies an operation without a client, at the time that it is.
    fn apply(&mut self, operation: Operation) -> Reply {
        self.at(self.machine.time(), operation)
    }

    fn at(&mut self, at: UnixMillis, operation: Operation) -> Reply {
        self.propose(at, None, operation)
    }

    fn batch(&mut self, watches: &[(&str, Revision)], operations: &[Operation]) -> Reply {
        let watch = |&(key, unchanged_since): &(&str, Revision)| Watch { key: key.into(), unchanged_since };
        let watches = watches.iter().map(watch).collect();
        self.propose(
            self.machine.time(),
            None,
            Command::Batch(Batch { watches, operations: operations.into() }),
        )
    }

    fn read(&self, now: UnixMillis, operation: &Operation) -> Option<Reply> {
        self.machine.read(now, operation)
    }

    fn revision(&self, key: &str) -> Revision {
        match self.read(self.machine.time(), &Operation::Revision { key: key.into() }) {
            Some(Reply::Integer(revision)) => revision as Revision,
            reply => panic!("no revision: {reply:?}"),
        }
    }
}

fn text(text: &str) -> Reply {
    Reply::Bytes(text.into())
}

fn get(key: &str) -> Operation {
    Operation::get(key)
}

fn set(key: &str, value: &str) -> Operation {
    Operation::set(key, value)
}

fn set_until(key: &str, deadline: UnixMillis) -> Operation {
    Operation::Set(Set { expiry: Expiry::Set(Deadline::At(deadline)), ..Set::new(key, "v") })
}

fn delete(key: &str) -> Operation {
    Operation::Delete { keys: vec![key.into()] }
}

fn increment(key: &str) -> Operation {
    Operation::Increment { key: key.into(), by: 1 }
}

fn request(client: u16, mid: &str) -> RequestId {
    RequestId { client: Id::new(client).expect("not reserved"), mid: mid.into() }
}

#[test]
fn time_is_the_greatest_that_was_proposed() {
    let mut log = Log::new();
    for (at, time) in [(5, 5), (3, 5), (9, 9), (-1, 9)] {
        log.at(at, get("k"));
        assert_eq!(log.machine.time(), time);
    }
}

#[test]
fn key_expires_at_its_deadline_and_an_older_clock_does_not_bring_it_back() {
    let mut log = Log::new();
    log.at(100, set_until("k", 200));
    assert_eq!(log.at(199, get("k")), text("v"));
    assert_eq!(log.at(200, get("k")), Reply::Nil);
    assert_eq!(log.at(150, get("k")), Reply::Nil);
    assert_eq!(log.read(150, &get("k")), Some(Reply::Nil));
    assert_eq!(log.machine.len(), 0);
    assert_eq!(log.machine.next_deadline(), Some(200), "it is still to be removed");
}

#[test]
fn read_that_would_find_an_expiry_that_no_entry_has_must_be_proposed() {
    let mut log = Log::new();
    log.at(100, set_until("k", 200));
    log.at(100, set("other", "v"));
    let reads = |key: &str| {
        [
            get(key),
            Operation::GetMany { keys: vec!["absent".into(), key.into()] },
            Operation::Exists { keys: vec!["absent".into(), key.into()] },
            Operation::Strlen { key: key.into() },
            Operation::TimeToLive { key: key.into() },
            Operation::Revision { key: key.into() },
            Operation::Type { key: key.into() },
        ]
    };
    for read in reads("k")
        .into_iter()
        .chain([Operation::Count, Operation::Scan { cursor: 0, count: 9, pattern: None }])
    {
        assert!(log.read(199, &read).is_some(), "{read:?}");
        assert_eq!(log.read(200, &read), None, "{read:?}");
    }
    assert!(reads("other").iter().all(|read| log.read(200, read).is_some()));
    assert_eq!(log.at(200, get("k")), Reply::Nil);
    assert!(reads("k").iter().all(|read| log.read(200, read).is_some()));
    assert_eq!(log.read(0, &set("k", "v")), None, "it is no read");
}

#[test]
fn time_to_live_counts_from_the_clock_of_the_leader() {
    let mut log = Log::new();
    log.at(100, set_until("k", 200));
    let left = Operation::TimeToLive { key: "k".into() };
    assert_eq!(log.read(130, &left), Some(Reply::Integer(70)));
    assert_eq!(log.read(90, &left), Some(Reply::Integer(100)), "time does not go back");
    assert_eq!(log.at(150, left), Reply::Integer(50));
}

#[test]
fn expired_key_is_absent_to_writes() {
    let nx = |key: &str| Operation::Set(Set { condition: Some(Condition::Absent), ..Set::new(key, "new") });
    let cases = [
        (delete("k"), Reply::Integer(0)),
        (nx("k"), Reply::Ok),
        (increment("k"), Reply::Integer(1)),
        (Operation::Append { key: "k".into(), value: "x".into() }, Reply::Integer(1)),
        (Operation::GetDelete { key: "k".into() }, Reply::Nil),
        (Operation::Persist { key: "k".into() }, Reply::Integer(0)),
        (Operation::GetExpire { key: "k".into(), expiry: Expiry::Never }, Reply::Nil),
        (Operation::SetMany { pairs: vec![("k".into(), "x".into())], if_absent: true }, Reply::Integer(1)),
    ];
    for (operation, reply) in cases {
        let mut log = Log::new();
        log.at(100, set_until("k", 200));
        assert_eq!(log.at(300, operation.clone()), reply, "{operation:?}");
        let left = log.read(300, &Operation::TimeToLive { key: "k".into() });
        assert!(matches!(left, Some(Reply::Integer(-1 | -2))), "{operation:?} has no old deadline: {left:?}");
        assert_eq!(log.machine.next_deadline(), None, "{operation:?}");
    }
}

#[test]
fn key_without_a_deadline_counts_as_one_that_never_expires() {
    use DeadlineCondition::{Absent, Earlier, Later, Present, PresentAndEarlier, PresentAndLater};
    let cases: [(Option<UnixMillis>, &[DeadlineCondition]); 4] = [
        (None, &[Absent, Earlier]),
        (Some(199), &[Present, Later, PresentAndLater]),
        (Some(200), &[Present]),
        (Some(201), &[Present, Earlier, PresentAndEarlier]),
    ];
    for (old, holding) in cases {
        for condition in [Absent, Present, Later, Earlier, PresentAndLater, PresentAndEarlier] {
            let mut log = Log::new();
            log.at(100, old.map_or(set("k", "v"), |old| set_until("k", old)));
            let expire = Operation::Expire {
                key: "k".into(),
                deadline: Deadline::At(200),
                condition: Some(condition),
            };
            let holds = holding.contains(&condition);
            assert_eq!(log.apply(expire), Reply::Integer(i64::from(holds)), "{old:?} {condition:?}");
            let deadline = if holds { Some(200) } else { old };
            assert_eq!(log.machine.next_deadline(), deadline, "{old:?} {condition:?}");
        }
    }
}

#[test]
fn expired_keys_are_removed_in_small_steps_until_nothing_is_left_of_them() {
    let mut log = Log::with(Settings { deletions: 10, ..Settings::default() });
    for n in 0..5_000 {
        log.apply(set_until(&n.to_string(), 1_000 + n / 2));
    }
    log.at(1_000_000, set("k", "v"));
    assert_eq!((log.machine.len(), log.machine.next_deadline()), (1, Some(1_000)));
    assert_eq!(log.apply(Operation::RemoveExpired { limit: 10 }), Reply::Integer(10));
    let mut steps = 0;
    while log.machine.next_deadline().is_some() {
        let Reply::Integer(removed) = log.apply(Operation::RemoveExpired { limit: u32::MAX }) else {
            panic!()
        };
        assert!((1..=1_024).contains(&removed));
        steps += 1;
    }
    assert_eq!(steps, 5);
    assert_eq!(log.apply(Operation::RemoveExpired { limit: 10 }), Reply::Integer(0));
    let mut lone = Log::with(Settings { deletions: 10, ..Settings::default() });
    lone.at(1_000_000, set("k", "v"));
    assert_eq!(log.machine.keys.from(0).count(), 1);
    assert_eq!(log.machine.keys.deadlines(), lone.machine.keys.deadlines());
}

#[test]
fn revision_is_the_index_of_the_last_change_and_deletion_is_one() {
    let mut log = Log::new();
    log.apply(set("k", "1")); // 1
    assert_eq!(log.revision("k"), 1);
    log.apply(get("k")); // 2
    assert_eq!(log.revision("k"), 1);
    log.apply(increment("k")); // 3
    assert_eq!(log.revision("k"), 3);
    log.apply(Operation::Expire { key: "k".into(), deadline: Deadline::After(9), condition: None }); // 4
    assert_eq!(log.revision("k"), 4);
    log.apply(set("other", "v")); // 5
    log.apply(delete("k")); // 6
    log.apply(get("k")); // 7
    assert_eq!(log.revision("k"), 7, "absent: the last entry that the read covers");
    log.apply(set("k", "1")); // 8
    assert_eq!(log.revision("k"), 8);
    let fenced = |revision| {
        Operation::Set(Set { condition: Some(Condition::Revision(revision)), ..Set::new("k", "2") })
    };
    assert_eq!(log.apply(fenced(1)), Reply::Nil);
    assert_eq!(log.apply(fenced(8)), Reply::Ok);
}

#[test]
fn batch_takes_effect_only_if_no_watched_key_has_changed() {
    let changes: [(&str, Operation); 5] = [
        ("set", set("k", "v")),
        ("delete", delete("k")),
        ("flush", Operation::Flush),
        (
            "deadline in the past",
            Operation::Expire { key: "k".into(), deadline: Deadline::At(-1), condition: None },
        ),
        ("set into the past", set_until("k", 1)),
    ];
    for (name, change) in changes {
        let mut log = Log::new();
        log.at(100, set("k", "v"));
        let revision = log.revision("k");
        log.apply(set("other", "v"));
        assert_eq!(log.batch(&[("k", revision)], &[get("k")]), Reply::Array(vec![text("v")]), "{name}");
        log.apply(change);
        assert_eq!(log.batch(&[("k", revision)], &[set("k", "no")]), Reply::Nil, "{name}");
        assert_ne!(log.apply(get("k")), text("no"), "{name}");
        let revision = log.revision("k");
        assert_eq!(log.batch(&[("k", revision)], &[get("z")]), Reply::Array(vec![Reply::Nil]), "{name}");
    }
}

#[test]
fn watched_key_that_expired_has_changed() {
    let mut log = Log::new();
    log.at(100, set_until("k", 200));
    let revision = log.revision("k");
    log.at(200, set("other", "v"));
    assert_eq!(log.batch(&[("k", revision)], &[]), Reply::Nil);
    let revision = log.revision("k");
    assert_eq!(log.batch(&[("k", revision)], &[]), Reply::Array(vec![]));
}

#[test]
fn watch_of_a_key_whose_deletion_is_forgotten_fails_only_if_it_may_have_changed() {
    let mut log = Log::with(Settings { deletions: 2, ..Settings::default() });
    log.apply(set("k", "v")); // 1
    log.apply(delete("k")); // 2
    for key in ["a", "b", "c"] {
        log.apply(set(key, "v")); // 3, 5, 7
        log.apply(delete(key)); // 4, 6, 8
    }
    assert_eq!(log.batch(&[("k", 1)], &[]), Reply::Nil);
    assert_eq!(log.batch(&[("k", 3)], &[]), Reply::Nil, "the deletion of `a` is forgotten too");
    assert_eq!(log.batch(&[("k", 4)], &[]), Reply::Array(vec![]));
    assert_eq!(log.batch(&[("b", 5)], &[]), Reply::Nil);
    assert_eq!(log.batch(&[("b", 6)], &[]), Reply::Array(vec![]));
}

#[test]
fn operation_of_a_batch_that_is_refused_stops_no_other() {
    let mut log = Log::new();
    let refused = Operation::Increment { key: "k".into(), by: 1 };
    let reply = log.batch(&[], &[set("k", "a"), refused, set("l", "b"), get("k"), get("l")]);
    let expected = [Reply::Ok, Reply::Error(Refusal::NotAnInteger), Reply::Ok, text("a"), text("b")];
    assert_eq!(reply, Reply::Array(expected.into()));
    assert_eq!((log.revision("k"), log.revision("l")), (1, 1));
}

#[test]
fn value_beyond_the_limit_is_refused_and_changes_nothing() {
    let mut log = Log::with(Settings { max_value_bytes: 4, ..Settings::default() });
    log.apply(set("k", "1234"));
    let (key, value): (Bytes, Bytes) = ("k".into(), "12345".into());
    let operations = [
        set("k", "12345"),
        Operation::SetMany {
            pairs: vec![("new".into(), "v".into()), (key.clone(), value)],
            if_absent: false,
        },
        Operation::Append { key: key.clone(), value: "5".into() },
        Operation::Append { key: "new".into(), value: "12345".into() },
        Operation::SetRange { key: key.clone(), offset: 4, value: "5".into() },
        Operation::SetRange { key: key.clone(), offset: u64::MAX, value: "5".into() },
        Operation::IncrementFloat { key: key.clone(), by: "0.5".into() },
    ];
    for operation in operations {
        assert_eq!(log.apply(operation.clone()), Reply::Error(Refusal::TooLong), "{operation:?}");
        assert_eq!((log.revision("k"), log.machine.len()), (1, 1), "{operation:?}");
    }
}

#[test]
fn repeated_request_takes_effect_once_and_gets_its_reply_again() {
    let mut log = Log::new();
    assert_eq!(log.propose(1, Some(request(16, "m1")), increment("n")), Reply::Integer(1));
    assert_eq!(log.propose(1, Some(request(16, "m2")), increment("n")), Reply::Integer(2));
    assert_eq!(log.propose(1, Some(request(16, "m1")), increment("n")), Reply::Integer(1));
    assert_eq!(log.propose(1, Some(request(17, "m1")), increment("n")), Reply::Integer(3), "another client");
    let known = |request, operation: Operation| log.machine.remembered(&request, &operation.into());
    assert_eq!(known(request(16, "m2"), increment("n")), Some(Reply::Integer(2)));
    assert_eq!(known(request(16, "m3"), increment("n")), None);
    assert_eq!(known(request(16, "m2"), increment("o")), Some(Reply::Error(Refusal::Reused)));
    assert_eq!(known(request(16, "m2"), get("n")), None, "a read is never repeated");
}

#[test]
fn another_command_under_a_used_mid_is_refused() {
    let mut log = Log::new();
    log.propose(1, Some(request(16, "m")), set("k", "a"));
    for other in [set("k", "b"), set("l", "a"), set("ka", ""), delete("k")] {
        let reply = log.propose(1, Some(request(16, "m")), other.clone());
        assert_eq!(reply, Reply::Error(Refusal::Reused), "{other:?}");
    }
    assert_eq!((log.apply(get("k")), log.apply(get("l"))), (text("a"), Reply::Nil));
}

#[test]
fn read_in_the_log_leaves_no_trace_in_the_session() {
    let mut log = Log::new();
    log.propose(1, Some(request(16, "m")), get("k"));
    assert_eq!(log.machine.sessions().0, 0);
    assert_eq!(log.propose(1, Some(request(16, "m")), set("k", "v")), Reply::Ok);
    assert_eq!(log.propose(1, Some(request(16, "m")), get("k")), text("v"));
}

#[test]
fn refused_operation_is_remembered_too() {
    let mut log = Log::new();
    log.apply(set("k", "a"));
    let refusal = Reply::Error(Refusal::NotAnInteger);
    assert_eq!(log.propose(1, Some(request(16, "m")), increment("k")), refusal);
    log.apply(set("k", "1"));
    assert_eq!(log.propose(1, Some(request(16, "m")), increment("k")), refusal);
}

#[test]
fn scan_returns_each_key_that_exists_during_all_of_it() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut log = Log::new();
    for n in 0..500 {
        log.apply(set(&format!("stays{n}"), "v"));
    }
    let (mut cursor, mut found, mut steps) = (0, std::collections::BTreeSet::new(), 0);
    loop {
        let scan = Operation::Scan { cursor, count: 10, pattern: Some("stays*".into()) };
        let Some(Reply::Array(reply)) = log.read(0, &scan) else { panic!("no keys") };
        let [Reply::Bytes(next), Reply::Array(keys)] = &*reply else { panic!("{reply:?}") };
        assert!(keys.len() <= 10);
        found.extend(keys.iter().map(|key| key.to_string()));
        steps += 1;
        cursor = next.to_text().parse().expect("a number");
        if cursor == 0 {
            break;
        }
        for _ in 0..20 {
            let key = format!("comes{}", rng.u32(..300));
            log.apply(if rng.bool() { set(&key, "v") } else { delete(&key) });
        }
    }
    assert!((0..500).all(|n| found.contains(&format!("stays{n}"))));
    assert!(steps >= 50);
    for cursor in [1, u64::MAX, rng.u64(..)] {
        assert!(log.read(0, &Operation::Scan { cursor, count: 0, pattern: None }).is_some());
    }
}

#[test]
fn keys_with_the_same_digest_come_in_the_same_step() {
    let mut log = Log::new();
    for (digest, key) in [(7, "a"), (9, "b"), (7, "c"), (7, "d"), (u64::MAX, "e")] {
        let value = Value { bytes: "v".into(), deadline: None, revision: 1 };
        log.machine.keys.insert(Wanted { digest, key: &key.into() }, value);
    }
    let scan = |cursor| log.read(0, &Operation::Scan { cursor, count: 1, pattern: None });
    let step = |next: u64, keys: &[&str]| {
        let keys = keys.iter().map(|key| text(key)).collect();
        Some(Reply::Array(vec![text(&next.to_string()), Reply::Array(keys)]))
    };
    assert_eq!(scan(0), step(9, &["a", "c", "d"]));
    assert_eq!(scan(8), step(u64::MAX, &["b"]));
    assert_eq!(scan(10), step(0, &["e"]));
}

#[test]
fn step_of_a_scan_is_bounded() {
    let mut log = Log::new();
    for n in 0..3_000 {
        log.apply(set(&format!("{n:0100}"), "v"));
    }
    let keys = |count, pattern: Option<&str>| {
        let scan = Operation::Scan { cursor: 0, count, pattern: pattern.map(Bytes::from) };
        match log.read(0, &scan) {
            Some(Reply::Array(reply)) => match &reply[1] {
                Reply::Array(keys) => keys.len(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(keys(0, None), 1);
    assert_eq!(keys(9, None), 9);
    assert_eq!(keys(u32::MAX, None), 328, "by the bytes of the keys");
    assert_eq!(keys(u32::MAX, Some(&"*".repeat(1_000))), 42, "by the work");
}

#[test]
fn flush_deletes_all_keys_and_frees_them_later() {
    let mut log = Log::new();
    for n in 0..2_000 {
        log.apply(set_until(&n.to_string(), 1_000_000 + n));
    }
    let copy = log.machine.clone();
    assert_eq!(log.apply(Operation::Flush), Reply::Ok);
    assert_eq!((log.machine.len(), log.machine.next_deadline()), (0, None));
    assert_eq!(log.apply(get("7")), Reply::Nil);
    assert_eq!((copy.len(), copy.read(0, &get("7"))), (2_000, Some(text("v"))));
    let mut fresh = Log::new();
    fresh.index = log.index - 2;
    fresh.apply(Operation::Flush);
    fresh.apply(get("7"));
    assert_eq!(fresh.machine, log.machine, "what is still to be freed is no part of the state");
}
