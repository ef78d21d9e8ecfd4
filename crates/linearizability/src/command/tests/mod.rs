//! Histories of commands by hand, and drawn ones against brute force.

mod brute_force;
mod draw;
mod object;

use super::*;
use crate::key_value::{Declined, Refusal};

fn on(key: &str, command: Command, invoked: u64) -> Operation {
    Operation::new(format!("{key} {invoked}"), "c", key, command, invoked)
}

fn get(value: Option<&str>, invoked: u64, at: u64) -> Operation {
    on("k", Command::Get, invoked).replied(at, Reply::Value(value.map(Into::into)))
}

fn increment(invoked: u64) -> Operation {
    on("k", Command::Increment { by: 1 }, invoked)
}

fn verdict(operations: &[Operation]) -> Verdict {
    check(operations, Duration::from_nanos(10), Limits::default())
}

fn is_linearizable(operations: &[Operation]) -> bool {
    match verdict(operations) {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable(_) => false,
        Verdict::Undecided { .. } => panic!("so few operations cost next to nothing"),
    }
}

/// A key that lives for 100 ns from a moment between 0 and 20 on. The clocks differ by 10 ns.
fn living() -> Operation {
    let ttl = Ttl::After(Duration::from_nanos(100));
    on("k", Command::Set { value: "v".into(), when: When::Always, ttl }, 0).replied(20, Reply::Done(true))
}

#[test]
fn key_with_a_time_to_live_is_present_then_either_then_absent() {
    let at = |value, from, to| is_linearizable(&[living(), get(value, from, to)]);
    let answers = |from, to| (at(Some("v"), from, to), at(None, from, to));
    assert_eq!(answers(21, 89), (true, false));
    assert_eq!(answers(21, 90), (true, true));
    assert_eq!(answers(130, 140), (true, true));
    assert_eq!(answers(131, 140), (false, true));
}

#[test]
fn key_that_was_seen_absent_does_not_come_back_by_itself() {
    let history = |last| [living(), get(None, 100, 105), last];
    assert!(!is_linearizable(&history(get(Some("v"), 110, 115))));
    assert!(is_linearizable(&history(get(None, 110, 115))));
    let again = on("k", Command::set("v"), 106).replied(107, Reply::Done(true));
    assert!(is_linearizable(&[&history(get(Some("v"), 110, 115))[..], &[again]].concat()));
    // An operation that counts on the absent key has seen it, too.
    let absent = on("k", Command::cas(None, "w"), 100).replied(105, Reply::Done(true));
    assert!(!is_linearizable(&[living(), absent, get(Some("v"), 110, 115)]));
}

#[test]
fn later_command_ends_or_keeps_a_time_to_live() {
    let after = |command, reply| {
        let change = on("k", command, 30).replied(40, reply);
        [Some("v"), Some("w"), None]
            .map(|value| is_linearizable(&[living(), change.clone(), get(value, 200, 210)]))
    };
    assert_eq!(after(Command::set("w"), Reply::Done(true)), [false, true, false]);
    assert_eq!(after(Command::Persist, Reply::Done(true)), [true, false, false]);
    assert_eq!(after(Command::Append { value: "".into() }, Reply::Number(1)), [false, false, true]);
    let keep = Command::Set { value: "w".into(), when: When::Always, ttl: Ttl::Keep };
    assert_eq!(after(keep, Reply::Done(true)), [false, false, true]);
    let longer = Command::Expire { ttl: Duration::from_nanos(300) };
    assert_eq!(after(longer, Reply::Done(true)), [true, false, false]);
    let absent = on("k", Command::Persist, 150).replied(160, Reply::Done(false));
    assert!(is_linearizable(&[living(), absent]));
}

#[test]
fn time_to_live_of_a_pending_put_has_no_known_end() {
    let pending = Operation { outcome: Outcome::Unknown, ..living() };
    for (value, is_right) in [(Some("v"), true), (None, true)] {
        assert_eq!(is_linearizable(&[pending.clone(), get(value, 10_000, 10_001)]), is_right);
    }
    // It cannot end before it begins, nor early.
    let seen = get(Some("v"), 30, 40);
    assert!(!is_linearizable(&[pending, seen, get(None, 50, 60)]));
}

#[test]
fn declined_increment_runs_no_later_than_the_answer_to_its_retry() {
    let first = increment(0).declined(Refusal::Redirect, Some(5));
    let retry = increment(10).replied(20, Reply::Number(1)).retrying("k 0");
    let history = |retry: &Operation, at| {
        [first.clone(), retry.clone(), get(Some("1"), at, at), get(Some("2"), at + 1, at + 1)]
    };
    assert!(is_linearizable(&history(&retry, 19)));
    assert!(!is_linearizable(&history(&retry, 21)));
    assert!(is_linearizable(&history(&Operation { retry_of: None, ..retry }, 21)));
}

#[test]
fn contradiction_shows_the_retry_that_ends_an_attempt_even_if_it_changes_nothing() {
    let swap = |invoked| on("k", Command::cas(None, "v"), invoked);
    let first = swap(0).declined(Refusal::Redirect, Some(5));
    let retry = swap(10).replied(20, Reply::Done(false)).retrying("k 0");
    let history = [first, retry, get(None, 30, 31), get(Some("v"), 40, 41)];
    let Verdict::NotLinearizable(found) = verdict(&history) else { panic!("the attempt is over") };
    assert!(matches!(verdict(&found.operations), Verdict::NotLinearizable(_)), "{found}");
}

#[test]
fn transaction_is_seen_whole_or_not_at_all() {
    let both = ["x", "y"].map(|key| (key, Command::set("1")));
    let both = Operation::transaction("both", "c", both, 0).replied_all(50, [true, true].map(Reply::Done));
    let look = |name: &str, key: &str, value: Option<&str>, at| {
        Operation::new(name, "c", key, Command::Get, at).replied(at + 1, Reply::Value(value.map(Into::into)))
    };
    let seen = |x, y| is_linearizable(&[both.clone(), look("1", "x", x, 10), look("2", "y", y, 20)]);
    assert!(seen(Some("1"), Some("1")) && seen(None, None) && seen(None, Some("1")));
    assert!(!seen(Some("1"), None));
    let alone =
        Operation::transaction("x alone", "c", [("x", Command::set("1"))], 0).replied(50, Reply::Done(true));
    assert!(is_linearizable(&[alone, look("1", "x", Some("1"), 10), look("2", "y", None, 20)]));
}

#[test]
fn read_of_two_keys_stands_between_changes_of_each() {
    let one = |name: &str, key: &str, from, to| {
        Operation::new(name, "c", key, Command::Increment { by: 1 }, from).replied(to, Reply::Number(1))
    };
    let look = Operation::transaction("look", "c", ["x", "y"].map(|key| (key, Command::Get)), 5)
        .replied_all(28, [Reply::Value(Some("1".into())), Reply::Value(None)]);
    assert!(is_linearizable(&[one("x", "x", 0, 22), look, one("y", "y", 13, 20)]));
}

#[test]
fn transaction_takes_effect_only_with_the_values_that_it_watches() {
    let write = |value, at| on("k", Command::set(value), at).replied(at + 1, Reply::Done(true));
    let watching = on("k", Command::set("mine"), 10).watching("k", Some("a"));
    let done = watching.clone().replied(11, Reply::Done(true));
    assert!(is_linearizable(&[write("a", 0), done.clone(), get(Some("mine"), 20, 21)]));
    assert!(!is_linearizable(&[write("a", 0), write("b", 5), done]));
    let aborted = watching.clone().aborted(11);
    assert!(is_linearizable(&[write("a", 0), write("b", 5), aborted.clone(), get(Some("b"), 20, 21)]));
    assert!(!is_linearizable(&[write("a", 0), aborted, get(Some("mine"), 20, 21)]));
    for value in ["a", "mine"] {
        assert!(is_linearizable(&[write("a", 0), watching.clone(), get(Some(value), 20, 21)]));
    }
    assert!(!is_linearizable(&[write("b", 0), watching, get(Some("mine"), 20, 21)]));
}

#[test]
fn keys_that_share_no_transaction_are_judged_apart() {
    let pair = |name: &str, one, other| {
        let commands = [(one, Command::Increment { by: 1 }), (other, Command::Increment { by: 1 })];
        Operation::transaction(name, "c", commands, 0)
    };
    let history = [
        pair("1", "a", "b"),
        pair("2", "c", "d"),
        pair("3", "b", "e"),
        on("f", Command::Persist, 0),
        get(None, 0, 1),
    ];
    let keys: Vec<Vec<&str>> = divide(&history, &[None; 5])
        .iter()
        .map(|part| part.keys.iter().map(|key| &***key).collect())
        .collect();
    assert_eq!(keys, [vec!["a", "b", "e"], vec!["c", "d"], vec!["f"], vec!["k"]]);
}

#[test]
fn equal_pending_commands_cost_little() {
    let pending: Vec<Operation> = (0..200).map(|n| increment(n).declined(Refusal::Fail, None)).collect();
    let limits = Limits { memory: 1_000_000, work: 200_000 };
    for (read, is_right) in [("0", false), ("1", true), ("200", true), ("201", false)] {
        let history = [&pending[..], &[get(Some(read), 300, 301)]].concat();
        let expected = check(&history, Duration::ZERO, limits);
        assert_eq!(expected == Verdict::Linearizable, is_right, "{read}");
        assert!(!matches!(expected, Verdict::Undecided { .. }), "{read}");
    }
}

#[test]
fn number_of_replies_is_that_of_the_commands() {
    let get = on("k", Command::Get, 0);
    for replies in [vec![], vec![Reply::Value(None); 2]] {
        assert!(!is_linearizable(&[get.clone().replied_all(1, replies)]));
    }
}

#[test]
fn puts_and_gets_have_the_verdict_of_their_own_checker() {
    use crate::key_value::{self, Kind};
    let mut rng = fastrand::Rng::with_seed(3);
    let mut linearizable = 0;
    for _ in 0..2_000 {
        let mut operations = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f"] {
            let value: Arc<str> = ["", "1", "2"][rng.usize(..3)].into();
            let (invoked, is_get) = (rng.u64(..20), rng.bool());
            let returned = (is_get || rng.u8(..4) > 0).then(|| invoked + rng.u64(..12));
            operations.push(key_value::Operation {
                name: name.into(),
                client: "c".into(),
                key: "k".into(),
                kind: if is_get { Kind::Get { value } } else { Kind::Put { value } },
                invoked,
                returned,
                declined: None,
                retry_of: None,
            });
        }
        let own: Vec<Operation> = operations.iter().cloned().map(Into::into).collect();
        let expected = key_value::check(&operations, Limits::default()) == key_value::Verdict::Linearizable;
        assert_eq!(is_linearizable(&own), expected, "{own:#?}");
        linearizable += usize::from(expected);
    }
    assert!((400..1_600).contains(&linearizable), "{linearizable}");
}

#[test]
fn contradiction_is_drawn_with_the_window_of_a_time_to_live() {
    let take = |name: &str, at| {
        let ttl = Ttl::After(Duration::from_nanos(100));
        let command = Command::Set { value: name.into(), when: When::Absent, ttl };
        Operation::new(name, name, "lock", command, at).replied(at + 10, Reply::Done(true))
    };
    let history = [take("a", 0), take("b", 60)];
    let Verdict::NotLinearizable(found) = check(&history, Duration::from_nanos(20), Limits::default()) else {
        panic!("the lock is still taken");
    };
    let shown = found.to_string();
    let (diagram, _) = shown.split_once("\n\n").expect("a diagram and a sentence");
    assert!(include_str!("../../../README.md").contains(diagram), "{shown}");
    assert_eq!(
        (&*found.keys[0], found.operations.len(), found.refused, &found.order[..]),
        ("lock", 2, 1, &[0][..])
    );
}

#[test]
fn contradiction_of_several_keys_names_them() {
    let both = [("x", Command::set("1")), ("y", Command::delete())];
    let both = Operation::transaction("t", "c", both, 0).watching("x", None);
    let both = both.replied_all(5, [Reply::Done(true), Reply::Done(true)]);
    let Verdict::NotLinearizable(found) = verdict(&[both]) else { panic!("y was never there") };
    assert_eq!(
        found.reason(),
        "The operation t cannot end as it did (\"x\" is absent; \"x\": put \"1\"; \"y\": delete → done)."
    );
}

#[test]
fn put_that_returns_first_and_is_read_last_costs_little() {
    let mut history = Vec::new();
    for round in (0..20).map(|round| 1_000 * round) {
        for place in 0..7 {
            let put = on("k", Command::set(format!("{round} {place}")), round + place);
            history.push(put.replied(round + 100 + place, Reply::Done(true)));
        }
        history.push(get(Some(&format!("{round} 0")), round + 500, round + 501));
    }
    let limits = Limits { memory: 1_000_000, work: 60_000 };
    assert_eq!(check(&history, Duration::ZERO, limits), Verdict::Linearizable);
}
