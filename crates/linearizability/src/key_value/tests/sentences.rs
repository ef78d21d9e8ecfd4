//! The sentences that explain a contradiction.

use super::*;

#[test]
fn value_put_once_and_read_on_both_sides_of_another_is_explained() {
    // The put of "a" has not ended when "b" comes, so that "a" need not be older.
    let twice = [put("a", 1, 20), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)];
    assert_eq!(reason(twice), "get 1 and get 3 can both only have read put 0, and put 2 came between.");
    let unknown = [pending("a", 1), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)];
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
fn contradiction_without_a_name_is_told_with_its_size() {
    let twice = [pending("a", 1), pending("a", 1), pending("b", 1), pending("b", 1)];
    let gets =
        ["a", "b", "a", "b", "a"].into_iter().zip(1..).map(|(value, n)| get(value, 10 * n, 10 * n + 1));
    let reason = reason(twice.into_iter().chain(gets));
    assert!(reason.starts_with("No order of these "), "{reason}");
}
