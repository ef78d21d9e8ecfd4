//! Histories by hand: every classic anomaly, and what looks like one. Times are small numbers, the key is
//! always `k`, and an operation's name is its place in the list.

use super::*;

fn operation(kind: Kind, invoked: u64, returned: Option<u64>) -> Operation {
    Operation {
        name: "".into(),
        client: "c".into(),
        key: "k".into(),
        kind,
        invoked,
        returned,
        declined: None,
        retry_of: None,
    }
}

fn put(value: &str, invoked: u64, returned: u64) -> Operation {
    operation(Kind::Put { value: value.into() }, invoked, Some(returned))
}

fn get(value: &str, invoked: u64, returned: u64) -> Operation {
    operation(Kind::Get { value: value.into() }, invoked, Some(returned))
}

/// A put of unknown outcome.
fn maybe(value: &str, invoked: u64) -> Operation {
    operation(Kind::Put { value: value.into() }, invoked, None)
}

fn named(operations: impl IntoIterator<Item = Operation>) -> Vec<Operation> {
    let name = |(place, operation): (usize, Operation)| Operation {
        name: place.to_string().into(),
        client: format!("c{place}").into(),
        ..operation
    };
    operations.into_iter().enumerate().map(name).collect()
}

fn accepts(operations: impl IntoIterator<Item = Operation>) {
    assert_eq!(check(&named(operations), DEFAULT_BUDGET), Verdict::Linearizable);
}

/// The names of the operations that contradict each other.
fn refused(operations: impl IntoIterator<Item = Operation>) -> String {
    let contradiction = contradiction(&named(operations));
    let names: Vec<&str> = contradiction.operations.iter().map(|operation| &*operation.name).collect();
    names.join(" ")
}

fn contradiction(operations: &[Operation]) -> Contradiction {
    match check(operations, DEFAULT_BUDGET) {
        Verdict::NotLinearizable(contradiction) => contradiction,
        verdict => panic!("{verdict:?}"),
    }
}

fn reason(operations: impl IntoIterator<Item = Operation>) -> String {
    contradiction(&named(operations)).reason()
}

#[test]
fn nothing_contradicts_nothing() {
    accepts([]);
}

#[test]
fn a_key_that_was_never_put_reads_as_empty() {
    accepts([get("", 1, 2), put("a", 3, 4), get("a", 5, 6)]);
    accepts([put("a", 1, 4), get("", 2, 3)]);
    accepts([put("a", 1, 2), put("", 3, 4), get("", 5, 6)]);
}

#[test]
fn overlapping_operations_may_take_effect_in_either_order() {
    accepts([put("a", 1, 9), put("b", 2, 8), get("a", 10, 11)]);
    accepts([put("a", 1, 9), put("b", 2, 8), get("b", 10, 11)]);
    accepts([put("a", 1, 9), get("", 2, 3), get("a", 4, 5), get("a", 6, 7)]);
    accepts([put("a", 1, 2), put("b", 3, 9), get("a", 4, 8), get("b", 4, 8), get("a", 4, 8)]);
}

#[test]
fn equal_times_are_concurrent() {
    accepts([put("a", 1, 2), get("", 2, 3)]);
    accepts([get("a", 1, 2), put("a", 2, 3)]);
    accepts([put("a", 2, 2), put("b", 2, 2), get("a", 2, 2), get("b", 2, 2), get("", 2, 2)]);
    refused([put("a", 1, 2), get("", 3, 3)]);
}

#[test]
fn a_stale_read_is_refused() {
    let stale = [put("a", 1, 2), put("b", 3, 4), get("a", 5, 6)];
    assert_eq!(refused(stale.clone()), "0 1 2");
    assert_eq!(
        reason(stale),
        "get 2 returned \"a\" although put 1 had put \"b\", which is newer, before it was invoked."
    );
}

#[test]
fn a_lost_update_is_refused() {
    let lost = [put("a", 1, 2), get("", 3, 4)];
    assert_eq!(refused(lost.clone()), "0 1");
    assert_eq!(reason(lost), "get 1 returned \"\" although put 0 had put \"a\" before it was invoked.");
    assert_eq!(refused([put("a", 1, 9), put("b", 2, 8), get("", 10, 11)]), "1 2");
}

#[test]
fn a_value_that_nobody_wrote_is_refused() {
    let invented = [put("a", 1, 2), get("x", 3, 4)];
    assert_eq!(refused(invented.clone()), "1");
    assert_eq!(
        reason(invented),
        "get 1 returned \"x\" although no put of that value was invoked before it returned."
    );
}

#[test]
fn a_read_from_the_future_is_refused() {
    assert_eq!(refused([get("a", 1, 2), put("a", 3, 4)]), "0");
    assert_eq!(refused([get("a", 1, 2), maybe("a", 3)]), "0");
    // With a later get of the same value, too.
    assert_eq!(refused([get("a", 1, 2), put("a", 3, 4), get("a", 5, 6)]), "0");
}

#[test]
fn new_then_old_is_refused_even_between_two_readers() {
    let inversion = [put("a", 1, 2), put("b", 3, 20), get("b", 4, 5), get("a", 6, 7)];
    assert_eq!(refused(inversion.clone()), "0 1 2 3");
    assert_eq!(
        reason(inversion),
        "get 3 returned \"a\" although get 2 had returned \"b\", which is newer, before it was invoked."
    );
    assert_eq!(refused([put("b", 3, 20), get("b", 4, 5), get("", 6, 7)]), "0 1 2");
}

#[test]
fn two_readers_that_see_two_writes_in_different_orders_are_refused() {
    let gets = [get("a", 3, 4), get("b", 5, 6), get("a", 7, 8)];
    assert_eq!(refused([put("a", 1, 20), put("b", 1, 20)].into_iter().chain(gets)), "0 1 2 3 4");
    let gets = [get("a", 10, 11), get("b", 12, 13)];
    accepts([put("a", 1, 20), put("b", 1, 20)].into_iter().chain(gets));
}

#[test]
fn a_put_of_unknown_outcome_may_take_effect_never_late_or_at_once() {
    accepts([maybe("a", 1), get("", 2, 3), get("", 1_000, 1_001)]);
    accepts([maybe("a", 1), get("", 2, 3), get("a", 1_000, 1_001), get("a", 1_002, 1_003)]);
    accepts([maybe("a", 1), get("a", 2, 3), put("b", 4, 5), get("b", 6, 7)]);
    accepts([maybe("a", 1), put("b", 2, 3), get("b", 4, 5), get("a", 6, 7), get("a", 8, 9)]);
    // Although somebody may have read it.
    accepts([put("a", 1, 2), get("a", 3, 20), put("b", 5, 6), maybe("a", 10), get("b", 30, 31)]);
}

#[test]
fn a_put_of_unknown_outcome_takes_effect_at_most_once() {
    assert_eq!(refused([maybe("a", 1), get("a", 2, 3), get("", 4, 5)]), "0 1 2");
    let unseen = [maybe("a", 1), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)];
    assert_eq!(refused(unseen), "0 1 2 3");
    accepts([maybe("a", 1), maybe("a", 1), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)]);
}

#[test]
fn a_write_that_takes_effect_twice_is_refused() {
    let twice = [put("a", 1, 2), get("a", 3, 4), put("b", 5, 6), get("b", 7, 8), get("a", 9, 10)];
    assert_eq!(refused(twice), "0 2 4");
}

#[test]
fn the_same_value_written_twice_may_be_seen_twice_but_not_three_times() {
    let asked_again = [maybe("a", 1), put("a", 2, 3), put("b", 4, 5), get("b", 6, 7)];
    accepts(asked_again.clone().into_iter().chain([get("a", 8, 9)]));
    let again = [get("a", 8, 9), put("c", 10, 11), get("a", 12, 13)];
    assert_eq!(refused(asked_again.into_iter().chain(again)), "0 1 2 4 5 6");
}

#[test]
fn of_two_puts_of_a_value_the_one_that_has_to_be_used_first_is() {
    // The second "a" must be left for the last get.
    accepts([
        put("a", 1, 9),
        put("a", 2, 30),
        get("a", 3, 4),
        put("b", 10, 11),
        get("b", 12, 13),
        get("a", 14, 15),
    ]);
    refused([
        put("a", 1, 9),
        put("a", 2, 9),
        get("a", 3, 4),
        put("b", 10, 11),
        get("b", 12, 13),
        get("a", 14, 15),
    ]);
}

#[test]
fn keys_do_not_concern_each_other_and_the_first_bad_one_is_shown() {
    let on = |key: &str, operation: Operation| Operation { key: key.into(), ..operation };
    let fine = [on("x", put("a", 1, 2)), on("y", get("", 3, 4))];
    accepts(fine.clone());
    let bad = [on("y", put("b", 1, 2)), on("z", get("?", 1, 2))];
    assert_eq!(&*contradiction(&named(fine.into_iter().chain(bad))).key, "y");
}

#[test]
fn of_a_long_history_only_what_contradicts_itself_is_shown() {
    let mut operations = Vec::new();
    for n in 0..200 {
        let value = format!("v{n}");
        operations.push(put(&value, 10 * n, 10 * n + 5));
        operations.push(get(&value, 10 * n + 6, 10 * n + 8));
    }
    operations.insert(250, get("v100", 1_247, 1_248));
    let shown = refused(operations);
    assert_eq!(shown.split(' ').count(), 3, "{shown}");
    assert!(shown.starts_with("200 ") && shown.ends_with(" 250"), "{shown}");
}

#[test]
fn a_put_that_may_have_been_read_is_always_shown() {
    // Without the first put the last get would seem to return what nobody wrote.
    let operations = [put("a", 1, 2), put("b", 3, 4), get("b", 5, 6), get("a", 7, 8)];
    assert_eq!(refused(operations), "0 1 3");
}

#[test]
fn a_get_without_an_answer_says_nothing() {
    accepts([Operation { returned: None, ..get("x", 1, 2) }]);
}

/// When "y" takes effect, it may or may not be right to let an "x" do so before.
fn ambiguous() -> Vec<Operation> {
    let puts = [put("x", 1, 50), put("x", 2, 60), put("y", 4, 10)];
    named(puts.into_iter().chain([get("x", 3, 40), get("x", 20, 30)]))
}

#[test]
fn a_value_that_is_still_to_be_read_and_not_put_again_is_not_left() {
    let mut operations = vec![put("u", 1, 5), get("u", 60, 61)];
    for n in 0..20 {
        let value = format!("v{n}");
        operations.push(put(&value, 2, 10 + n)); // could be switched to, if "u" could be left
        operations.push(put(&value, 100 + 10 * n, 105 + 10 * n));
        operations.push(get(&value, 106 + 10 * n, 108 + 10 * n));
    }
    assert_eq!(check(&named(operations), 0), Verdict::Linearizable);
}

#[test]
fn what_is_ambiguous_only_for_a_while_costs_little() {
    let later = |n: u64, operation: &Operation| Operation {
        invoked: operation.invoked + 100 * n,
        returned: operation.returned.map(|end| end + 100 * n),
        ..operation.clone()
    };
    let mut episode = ambiguous();
    episode.push(put("end", 70, 71));
    let episodes = (0..50).flat_map(|n| episode.iter().map(move |operation| later(n, operation)));
    let operations: Vec<Operation> = episodes.collect();
    assert_eq!(check(&operations, 50_000), Verdict::Linearizable);
}

#[test]
fn of_two_pasts_that_owe_different_gets_none_is_given_up() {
    // At 10 "x" could be visited for the first get, and then "z" again by its second put; or, with that put, "y"
    // be visited at 20. Only the first is right, for only "y" is put again in time.
    accepts([
        put("z", 1, 6),
        put("x", 3, 10),
        put("y", 3, 20),
        put("z", 3, 60),
        get("x", 7, 40),
        get("z", 12, 15),
        get("y", 16, 50),
        get("z", 22, 25),
        put("y", 28, 32),
        put("x", 45, 46),
        get("x", 47, 48),
    ]);
}

#[test]
fn of_several_contradictions_the_first_in_time_is_shown() {
    let first = [put("a", 1, 2), get("", 3, 4)];
    let second = [put("b", 5, 6), get("?", 7, 8), put("c", 9, 10), get("b", 11, 12)];
    assert_eq!(refused(first.into_iter().chain(second)), "0 1");
}

#[test]
fn a_budget_that_ends_is_no_pass() {
    assert_eq!(check(&ambiguous(), 1_000), Verdict::Linearizable);
    assert_eq!(check(&ambiguous(), 0), Verdict::OutOfBudget { key: "k".into(), operations: 5 });
}

#[test]
fn a_contradiction_elsewhere_is_found_although_the_budget_has_ended() {
    let mut operations = ambiguous();
    operations.push(Operation { key: "other".into(), ..get("x", 1, 2) });
    let Verdict::NotLinearizable(found) = check(&operations, 0) else { panic!("a certain contradiction") };
    assert_eq!(&*found.key, "other");
}

/// Values each of which is put twice, while each is waited for when "y" takes effect: a choice for each.
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
fn each_key_has_a_budget_of_its_own() {
    // Whichever comes first; the hard key leaves nothing of its budget.
    let on = |key: &str, operation: Operation| Operation { key: key.into(), ..operation };
    let hard: Vec<Operation> = many_choices(30).into_iter().map(|operation| on("hard", operation)).collect();
    assert!(matches!(check(&hard, 20_000), Verdict::OutOfBudget { .. }));
    let easy: Vec<Operation> = ambiguous().into_iter().map(|operation| on("easy", operation)).collect();
    let puts = [maybe("q", 70), maybe("q", 70), put("r", 82, 83), put("s", 86, 87)];
    let twice = puts.into_iter().chain([80, 84, 88].map(|at| get("q", at, at + 1)));
    let easy: Vec<Operation> = easy.into_iter().chain(twice.map(|operation| on("easy", operation))).collect();
    assert!(matches!(check(&named(easy.clone()), 0), Verdict::OutOfBudget { .. }));
    for operations in [[&hard[..], &easy].concat(), [&easy[..], &hard].concat()] {
        let Verdict::NotLinearizable(found) = check(&named(operations), 20_000) else { panic!("read twice") };
        assert_eq!(&*found.key, "easy");
    }
}

#[test]
fn value_that_no_put_can_have_written_is_found_in_a_hard_history() {
    let hard = || many_choices(30).into_iter();
    let invented = || hard().chain([get("?", 400, 401)]);
    let Verdict::NotLinearizable(found) = check(&named(invented()), 20_000) else { panic!("certain") };
    assert!(found.operations.iter().any(|operation| &**operation.value() == "?"));
    assert!(matches!(check(&named(hard()), 20_000), Verdict::OutOfBudget { .. }));
}

#[test]
fn contradiction_without_ambiguity_is_found_in_a_hard_history() {
    let twice = [maybe("q", 400), get("q", 410, 411), put("r", 420, 421), get("q", 430, 431)];
    let operations = named(many_choices(30).into_iter().chain(twice));
    let Verdict::NotLinearizable(found) = check(&operations, 20_000) else { panic!("read twice") };
    assert_eq!(found.operations.len(), 4);
}

#[test]
fn choices_that_do_not_matter_cost_next_to_nothing() {
    // Two to the power of sixty ways to begin.
    assert_eq!(check(&named(many_choices(60)), DEFAULT_BUDGET / 10), Verdict::Linearizable);
}

#[test]
fn search_stops_when_its_memory_is_spent() {
    use super::frontier::Budget;
    use super::search::{Finding, search_from};

    let operations = named(many_choices(12));
    let all: Vec<&Operation> = operations.iter().collect();
    // All configurations from the start, whatever they cost but memory.
    let found = |memory| search_from(usize::MAX, &all, &mut Budget { work: u64::MAX, memory });
    assert_eq!(found(100_000), Finding::OutOfBudget);
    assert_eq!(found(usize::MAX), Finding::Explained);
}

#[test]
fn events_cost_work_for_each_configuration_that_they_leave_alone() {
    use super::frontier::Budget;
    use super::search::{Finding, search_from};

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
        search_from(usize::MAX, &all, &mut Budget { work: 500_000, memory: usize::MAX })
    };
    assert_eq!(found(choices.clone()), Finding::Explained);
    assert_eq!(found(choices.into_iter().chain(calm).collect()), Finding::OutOfBudget);
}

#[test]
fn puts_of_one_text_that_no_get_can_confuse_cost_nothing() {
    let mut operations = Vec::new();
    for n in 0..500 {
        let (value, at) = (format!("v{}", n % 2), 100 * n);
        operations.extend([put(&value, at, at + 30), put(&value, at + 1, at + 20)]);
        operations.extend([get(&value, at + 40, at + 90), get(&value, at + 45, at + 95)]);
    }
    assert_eq!(check(&named(operations), 20_000), Verdict::Linearizable);
}

#[test]
fn unambiguous_histories_cost_no_steps_however_many_outcomes_are_unknown() {
    let puts = (0..300).map(|n| maybe(&format!("v{n}"), n));
    let gets = (0..300).rev().map(|n| get(&format!("v{n}"), 2_000 - n, 3_000 - n));
    assert_eq!(check(&named(puts.chain(gets)), 0), Verdict::Linearizable);
}

#[test]
fn the_diagram_shows_who_overlapped_whom() {
    let long = "0123456789ABCDEF".repeat(2);
    let mut operations = named([put(&long, 1, 2), maybe("b", 2), get("b", 3, 4), get(&long, 5, 5)]);
    operations[1].client = "\u{1b}[31m".into();
    let shown = Contradiction { key: "k".into(), operations }.to_string();
    let expected = r#"
  client      operation                     time, not to scale          invoked      returned     id
  c0          put "0123456789…789ABCDEF"    |----|                      0.000000001  0.000000002  0
  \u{1b}[31m  put "b"                            |------------------->  0.000000002  unknown      1
  c2          get → "b"                               |----|            0.000000003  0.000000004  2
  c3          get → "0123456789…789ABCDEF"                      |       0.000000005  0.000000005  3

get 3 returned "0123456789…789ABCDEF" although get 2 had returned "b", which is newer, before it was invoked."#;
    assert_eq!(shown.trim_start(), expected.trim_start());
}

/// A put that a replica declined and the attempt that repeats it, which is acknowledged.
fn retried(first: &str, second: &str, from: u64) -> [Operation; 2] {
    let declined = Some(Declined { with: Refusal::Redirect, at: Some(from + 1) });
    let first = Operation { name: format!("first of {from}").into(), declined, ..maybe(first, from) };
    let retry_of = Some(Arc::clone(&first.name));
    let second = put(second, from + 2, from + 4);
    [first, Operation { name: format!("second of {from}").into(), retry_of, ..second }]
}

#[test]
fn declined_put_takes_no_effect_after_its_retry_is_acknowledged() {
    let [first, second] = retried("a", "a", 1);
    let late = [first, second.clone(), put("b", 20, 21), get("a", 30, 31)];
    assert!(matches!(check(&late, DEFAULT_BUDGET), Verdict::NotLinearizable(_)));
    // Without the word of the client that they are one request, "a" may come back.
    let unrelated = late.clone().map(|operation| Operation { retry_of: None, ..operation });
    assert_eq!(check(&unrelated, DEFAULT_BUDGET), Verdict::Linearizable);
    // The retry of a put without an answer ends nothing: that put may still be on its way.
    let unanswered = late.map(|operation| Operation { declined: None, ..operation });
    assert_eq!(check(&unanswered, DEFAULT_BUDGET), Verdict::Linearizable);
}

#[test]
fn declined_put_takes_effect_before_its_retry_and_is_a_put_of_its_own() {
    let [first, second] = retried("a", "a", 1);
    // Once by each attempt, with another put between them.
    let both =
        [first.clone(), get("a", 2, 2), put("b", 3, 3), get("b", 3, 3), second.clone(), get("a", 9, 10)];
    assert_eq!(check(&both, DEFAULT_BUDGET), Verdict::Linearizable);
    // Or by the first alone while the second is unseen, up to the moment of its acknowledgement.
    let [first, second] = retried("a", "c", 1);
    let late = [first, second, put("b", 3, 5), get("b", 4, 5), get("a", 5, 20), get("a", 21, 22)];
    assert_eq!(check(&late, DEFAULT_BUDGET), Verdict::Linearizable);
}

#[test]
fn declined_put_ends_with_the_first_acknowledgement_of_its_chain() {
    let [first, second] = retried("a", "b", 1);
    let (name, declined) = ("between".into(), first.declined);
    let retry_of = second.retry_of.clone();
    let between = Operation { name, declined, retry_of, invoked: 2, ..maybe("m", 2) };
    let second = Operation { retry_of: Some("between".into()), ..second };
    let late = |value: &str| [first.clone(), second.clone(), between.clone(), get(value, 9, 10)];
    for stale in ["a", "m"] {
        let mut late = late(stale).to_vec();
        assert_eq!(check(&late, DEFAULT_BUDGET), Verdict::Linearizable, "{stale} after b, both at 5");
        late.insert(0, get("b", 6, 7));
        assert!(matches!(check(&late, DEFAULT_BUDGET), Verdict::NotLinearizable(_)), "{stale} after b at 7");
    }
}

#[test]
fn declined_put_without_an_acknowledged_retry_stays_open() {
    let [first, second] = retried("a", "a", 1);
    let second = Operation { returned: None, declined: first.declined, ..second };
    let late = [first, second, put("b", 20, 21), get("a", 30, 31), put("c", 40, 41), get("a", 50, 51)];
    assert_eq!(check(&late, DEFAULT_BUDGET), Verdict::Linearizable);
    assert!(matches!(
        check(&[&late[..], &[put("d", 60, 61), get("a", 70, 71)]].concat(), DEFAULT_BUDGET),
        Verdict::NotLinearizable(_)
    ));
}

#[test]
fn value_put_once_and_read_on_both_sides_of_another_is_explained() {
    // The put of "a" has not ended when "b" comes, so that "a" need not be older.
    let twice = [put("a", 1, 20), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)];
    assert_eq!(reason(twice), "get 1 and get 3 can both only have read put 0, and put 2 came between.");
    let unknown = [maybe("a", 1), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)];
    assert_eq!(
        reason(unknown),
        "get 1 and get 3 can both only have read put 0, and put 2 came between, as if that put were applied twice."
    );
}

#[test]
fn split_brain_is_explained() {
    let disputed = [put("a", 1, 5), put("b", 2, 6), get("a", 10, 20), get("b", 11, 21)];
    assert_eq!(
        reason(disputed),
        "get 2 returned \"a\" and get 3 returned \"b\", each after both put 0 and put 1 had ended: they disagree \
         on which put came last."
    );
}

#[test]
fn values_that_come_before_each_other_are_explained() {
    let circle =
        [put("a", 1, 30), put("b", 1, 30), get("a", 2, 3), get("b", 5, 6), get("b", 2, 4), get("a", 5, 7)];
    assert_eq!(
        reason(circle),
        "\"a\" was put once and so was \"b\", but \"a\" came before \"b\" (get 2 ended before get 3) and \"b\" before \
         \"a\" (get 4 ended before get 5)."
    );
}

#[test]
fn declined_put_that_comes_late_is_explained_and_drawn_with_its_answer() {
    let [first, second] = retried("a", "a", 1);
    let found = contradiction(&[first, second, put("b", 20, 21), get("a", 30, 31)]);
    let shown = found.to_string();
    assert!(shown.contains("  0.000000002 redirect  first of 1\n"), "{shown}");
    let sentence = "get  returned \"a\" although put  had put \"b\", which is newer, before it was invoked, as if put \
                    first of 1, which put second of 1 repeats, were applied twice.";
    assert_eq!(found.reason(), sentence);
}

#[test]
fn contradiction_without_a_name_is_told_by_its_size() {
    let twice = [maybe("a", 1), maybe("a", 1), maybe("b", 1), maybe("b", 1)];
    let gets =
        ["a", "b", "a", "b", "a"].into_iter().zip(1..).map(|(value, n)| get(value, 10 * n, 10 * n + 1));
    let reason = reason(twice.into_iter().chain(gets));
    assert!(reason.starts_with("No order of these "), "{reason}");
}

#[test]
fn puts_that_are_overwritten_before_all_gets_are_not_shown() {
    let mut operations = Vec::new();
    for n in 0..2_000 {
        operations.push(put(&format!("v{}", n % 3), 10 * n, 10 * n + 5));
    }
    operations.extend([put("v0", 30_000, 30_001), put("v1", 30_002, 30_003), get("v0", 30_004, 30_005)]);
    assert_eq!(refused(operations), "2000 2001 2002");
}

#[test]
fn diagram_of_many_operations_shows_some_and_counts_the_others() {
    // A hundred puts can have been seen a hundred times, but not once more.
    let puts = (0..100).map(|n| maybe("x", n));
    let seen =
        (0..101).flat_map(|n| [put("y", 200 + 9 * n, 202 + 9 * n), get("x", 204 + 9 * n, 206 + 9 * n)]);
    let found = contradiction(&named(puts.chain(seen)));
    assert!(found.operations.len() > 250, "{}", found.operations.len());
    let shown = found.to_string();
    assert_eq!(shown.lines().count(), 1 + 40 + 1 + 2, "{shown}");
    let hidden = format!("  … and {} more operations", found.operations.len() - 40);
    assert!(shown.lines().any(|line| line == hidden), "{shown}");
}

#[test]
fn diagram_of_many_moments_stays_narrow() {
    let gets = (0..30).map(|n| get("x", 100 + 7 * n, 103 + 7 * n));
    let operations = named([put("x", 1, 90)].into_iter().chain(gets));
    let shown = Contradiction { key: "k".into(), operations }.to_string();
    let widest = shown.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest < 160), "{shown}");
}

#[test]
fn diagram_of_few_operations_fits_a_hundred_columns() {
    let [red, blue] = ["b1946ac92492d2347c6235b4d2611184", "591785b794601e212b260e25925636fd"];
    let ms = 1_000_000;
    let mut operations = named([
        put(red, 12_345 * ms + 1, 12_346 * ms),
        put(red, 12_347 * ms, 12_348 * ms),
        put(blue, 12_349 * ms, 12_350 * ms),
        get(red, 12_351 * ms, 12_352 * ms + 999),
    ]);
    for (n, operation) in (1..).zip(&mut operations) {
        operation.name = format!("MID0000{n}A0015").into();
    }
    let declined = Declined { with: Refusal::Redirect, at: Some(12_346 * ms) };
    operations[0] = Operation { returned: None, declined: Some(declined), ..operations[0].clone() };
    operations[1].retry_of = Some(Arc::clone(&operations[0].name));
    let shown = Contradiction { key: "k".into(), operations }.to_string();
    let expected = r#"
  client  operation                     time, not to scale  invoked  returned         id
  c0      put "b1946ac924…4d2611184"    |---|               12.345   12.346 redirect  MID00001A0015
  c1      put "b1946ac924…4d2611184"      |-|               12.347   12.348           MID00002A0015
  c2      put "591785b794…5925636fd"          |-|           12.349   12.350           MID00003A0015
  c3      get → "b1946ac924…4d2611184"            |-|       12.351   12.352           MID00004A0015
"#;
    let rows: Vec<&str> = shown.lines().take(5).collect();
    assert_eq!(rows, expected.trim_matches('\n').lines().collect::<Vec<&str>>());
    assert!(shown.lines().take(5).all(|row| row.chars().count() <= 100), "{shown}");
}

#[test]
fn wide_characters_do_not_shift_the_diagram() {
    let operations = named([put("鍵鍵", 1, 2), get("", 3, 4)]);
    let shown = Contradiction { key: "k".into(), operations }.to_string();
    let rows: Vec<&str> = shown.lines().take(3).collect();
    let expected = [
        "  client  operation   time, not to scale         invoked      returned     id",
        "  c0      put \"鍵鍵\"  |-------|                  0.000000001  0.000000002  0",
        "  c1      get → \"\"                    |-------|  0.000000003  0.000000004  1",
    ];
    assert_eq!(rows, expected);
}
