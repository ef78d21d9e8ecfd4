//! Histories that cost much or little, and searches that end at their limits.

use super::super::search::{Finding, search_from};
use super::*;
use crate::Exhausted;

/// When "y" takes effect, an intermediate put of "x" may or may not be right.
fn ambiguous() -> Vec<Operation> {
    let puts = [put("x", 1, 50), put("x", 2, 60), put("y", 4, 10)];
    named(puts.into_iter().chain([get("x", 3, 40), get("x", 20, 30)]))
}

#[test]
fn state_that_a_coming_get_needs_is_kept_without_cost() {
    let mut operations = vec![put("u", 1, 5), get("u", 60, 61)];
    for n in 0..20 {
        let value = format!("v{n}");
        operations.push(put(&value, 2, 10 + n)); // could become effective if no get of "u" were to come
        operations.push(put(&value, 100 + 10 * n, 105 + 10 * n));
        operations.push(get(&value, 106 + 10 * n, 108 + 10 * n));
    }
    assert_eq!(check(&named(operations), Limits::of_memory(0)), Verdict::Linearizable);
}

#[test]
fn ambiguity_that_ends_costs_little() {
    let later = |n: u64, operation: &Operation| Operation {
        invoked: operation.invoked + 100 * n,
        returned: operation.returned.map(|end| end + 100 * n),
        ..operation.clone()
    };
    let mut episode = ambiguous();
    episode.push(put("end", 70, 71));
    let episodes = (0..50).flat_map(|n| episode.iter().map(move |operation| later(n, operation)));
    let operations: Vec<Operation> = episodes.collect();
    assert_eq!(check(&operations, Limits::of_memory(50_000)), Verdict::Linearizable);
}

#[test]
fn search_beyond_its_limits_is_undecided() {
    assert_eq!(check(&ambiguous(), Limits::of_memory(1_000)), Verdict::Linearizable);
    assert_eq!(
        check(&ambiguous(), Limits::of_memory(0)),
        Verdict::Undecided { key: "k".into(), operations: 5, exhausted: Exhausted::Work }
    );
}

#[test]
fn contradiction_of_another_key_is_found_after_a_limit_is_reached() {
    let mut operations = ambiguous();
    operations.push(Operation { key: "other".into(), ..get("x", 1, 2) });
    let Verdict::NotLinearizable(found) = check(&operations, Limits::of_memory(0)) else {
        panic!("a certain contradiction")
    };
    assert_eq!(&*found.key, "other");
}

/// Values that are put twice. A get of each is open when "y" takes effect, which makes a choice for
/// each value.
fn many_choices(values: u64) -> Vec<Operation> {
    let mut operations = vec![put("y", 4, 10)];
    for n in 0..values {
        let value = format!("v{n}");
        operations.extend([put(&value, 1, 200 + n), put(&value, 1, 300 + n), get(&value, 2, 100 + n)]);
        operations.push(get(&value, 20 + n, 21 + n));
    }
    operations
}

#[test]
fn each_key_has_limits_of_its_own() {
    // The order of the keys does not matter, although the hard key spends all that it has.
    let on = |key: &str, operation: Operation| Operation { key: key.into(), ..operation };
    let hard: Vec<Operation> = many_choices(30).into_iter().map(|operation| on("hard", operation)).collect();
    assert!(matches!(check(&hard, Limits::of_memory(20_000)), Verdict::Undecided { .. }));
    let easy: Vec<Operation> = ambiguous().into_iter().map(|operation| on("easy", operation)).collect();
    let puts = [pending("q", 70), pending("q", 70), put("r", 82, 83), put("s", 86, 87)];
    let twice = puts.into_iter().chain([80, 84, 88].map(|at| get("q", at, at + 1)));
    let easy: Vec<Operation> = easy.into_iter().chain(twice.map(|operation| on("easy", operation))).collect();
    assert!(matches!(check(&named(easy.clone()), Limits::of_memory(0)), Verdict::Undecided { .. }));
    for operations in [[&hard[..], &easy].concat(), [&easy[..], &hard].concat()] {
        let Verdict::NotLinearizable(found) = check(&named(operations), Limits::of_memory(20_000)) else {
            panic!("read twice")
        };
        assert_eq!(&*found.key, "easy");
    }
}

#[test]
fn value_that_no_put_can_have_written_is_found_in_a_hard_history() {
    let hard = || many_choices(30).into_iter();
    let invented = || hard().chain([get("?", 400, 401)]);
    let Verdict::NotLinearizable(found) = check(&named(invented()), Limits::of_memory(20_000)) else {
        panic!("certain")
    };
    assert!(found.operations.iter().any(|operation| &**operation.value() == "?"));
    assert!(matches!(check(&named(hard()), Limits::of_memory(20_000)), Verdict::Undecided { .. }));
}

#[test]
fn contradiction_without_ambiguity_is_found_in_a_hard_history() {
    let twice = [pending("q", 400), get("q", 410, 411), put("r", 420, 421), get("q", 430, 431)];
    let operations = named(many_choices(30).into_iter().chain(twice));
    let Verdict::NotLinearizable(found) = check(&operations, Limits::of_memory(20_000)) else {
        panic!("read twice")
    };
    assert_eq!(found.operations.len(), 4);
}

#[test]
fn choices_that_lead_to_the_same_future_cost_little() {
    // Two to the power of forty ways to begin.
    assert_eq!(
        check(&named(many_choices(40)), Limits::of_memory(Limits::DEFAULT_MEMORY / 10)),
        Verdict::Linearizable
    );
}

#[test]
fn search_stops_when_its_memory_is_spent() {
    let operations = named(many_choices(10));
    let all: Vec<&Operation> = operations.iter().collect();
    // The first attempt keeps all configurations, and only memory is limited.
    let found = |memory| search_from(usize::MAX, &all, &mut Budget { work: u64::MAX, memory });
    assert_eq!(found(100_000), Finding::Undecided(Exhausted::Memory));
    assert_eq!(found(u64::MAX), Finding::Explained);
}

#[test]
fn events_cost_work_for_each_configuration_that_they_leave_alone() {
    let far = |operation: Operation| Operation {
        invoked: operation.invoked * 100_000,
        returned: operation.returned.map(|end| end * 100_000),
        ..operation
    };
    let choices: Vec<Operation> = many_choices(8).into_iter().map(far).collect();
    let calm = (0..20_000).map(|n| get("y", 1_100_000 + 20 * n, 1_100_010 + 20 * n));
    let found = |operations: Vec<Operation>| {
        let operations = named(operations);
        let all: Vec<&Operation> = operations.iter().collect();
        search_from(usize::MAX, &all, &mut Budget { work: 500_000, memory: u64::MAX })
    };
    assert_eq!(found(choices.clone()), Finding::Explained);
    assert_eq!(found(choices.into_iter().chain(calm).collect()), Finding::Undecided(Exhausted::Work));
}

#[test]
fn puts_of_one_text_that_no_get_can_confuse_cost_nothing() {
    let mut operations = Vec::new();
    for n in 0..500 {
        let (value, at) = (format!("v{}", n % 2), 100 * n);
        operations.extend([put(&value, at, at + 30), put(&value, at + 1, at + 20)]);
        operations.extend([get(&value, at + 40, at + 90), get(&value, at + 45, at + 95)]);
    }
    assert_eq!(check(&named(operations), Limits::of_memory(20_000)), Verdict::Linearizable);
}

#[test]
fn unambiguous_history_with_many_pending_puts_costs_nothing() {
    let puts = (0..300).map(|n| pending(&format!("v{n}"), n));
    let gets = (0..300).rev().map(|n| get(&format!("v{n}"), 2_000 - n, 3_000 - n));
    assert_eq!(check(&named(puts.chain(gets)), Limits::of_memory(0)), Verdict::Linearizable);
}
