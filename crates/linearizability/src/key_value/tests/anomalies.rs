//! The classic anomalies, and histories that look like one.

use super::*;

#[test]
fn empty_history_is_linearizable() {
    accepts([]);
}

#[test]
fn key_that_was_never_put_reads_as_empty() {
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
fn stale_read_is_refused() {
    let stale = [put("a", 1, 2), put("b", 3, 4), get("a", 5, 6)];
    assert_eq!(refused(stale.clone()), "0 1 2");
    assert_eq!(
        reason(stale),
        "get 2 returned \"a\" although put 1 had put \"b\", which is newer, before it was invoked."
    );
}

#[test]
fn lost_update_is_refused() {
    let lost = [put("a", 1, 2), get("", 3, 4)];
    assert_eq!(refused(lost.clone()), "0 1");
    assert_eq!(reason(lost), "get 1 returned \"\" although put 0 had put \"a\" before it was invoked.");
    assert_eq!(refused([put("a", 1, 9), put("b", 2, 8), get("", 10, 11)]), "1 2");
}

#[test]
fn value_that_no_put_wrote_is_refused() {
    let invented = [put("a", 1, 2), get("x", 3, 4)];
    assert_eq!(refused(invented.clone()), "1");
    assert_eq!(
        reason(invented),
        "get 1 returned \"x\" although no put of that value was invoked before it returned."
    );
}

#[test]
fn get_that_returns_before_the_put_is_invoked_is_refused() {
    assert_eq!(refused([get("a", 1, 2), put("a", 3, 4)]), "0");
    assert_eq!(refused([get("a", 1, 2), pending("a", 3)]), "0");
    // With a later get of the same value, too.
    assert_eq!(refused([get("a", 1, 2), put("a", 3, 4), get("a", 5, 6)]), "0");
}

#[test]
fn old_value_after_the_new_one_is_refused_between_two_readers() {
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
fn put_that_takes_effect_twice_is_refused() {
    let twice = [put("a", 1, 2), get("a", 3, 4), put("b", 5, 6), get("b", 7, 8), get("a", 9, 10)];
    assert_eq!(refused(twice), "0 2 4");
}

#[test]
fn value_put_twice_comes_twice_but_not_three_times() {
    let asked_again = [pending("a", 1), put("a", 2, 3), put("b", 4, 5), get("b", 6, 7)];
    accepts(asked_again.clone().into_iter().chain([get("a", 8, 9)]));
    let again = [get("a", 8, 9), put("c", 10, 11), get("a", 12, 13)];
    assert_eq!(refused(asked_again.into_iter().chain(again)), "0 1 2 4 5 6");
}

#[test]
fn put_that_returns_first_is_the_first_of_its_value_to_be_effective() {
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
fn configurations_with_different_unlinearized_gets_are_all_followed() {
    // At 10 an intermediate put of "x" can linearize the first get, and the second put of "z" then
    // brings "z" back. Or that put of "z" comes before an intermediate put of "y" at 20. Only the
    // first way is right, because only "y" is put again in time.
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
fn get_without_an_answer_says_nothing() {
    accepts([Operation { returned: None, ..get("x", 1, 2) }]);
}
