//! The operations that a contradiction shows.

use super::*;

#[test]
fn contradiction_of_the_first_bad_key_is_shown() {
    let on = |key: &str, operation: Operation| Operation { key: key.into(), ..operation };
    let fine = [on("x", put("a", 1, 2)), on("y", get("", 3, 4))];
    accepts(fine.clone());
    let bad = [on("y", put("b", 1, 2)), on("z", get("?", 1, 2))];
    assert_eq!(&*contradiction(&named(fine.into_iter().chain(bad))).key, "y");
}

#[test]
fn contradiction_in_a_long_history_shows_three_operations() {
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
fn put_that_a_get_may_have_read_is_always_shown() {
    // Without the first put the last get would seem to return a value that no put wrote.
    let operations = [put("a", 1, 2), put("b", 3, 4), get("b", 5, 6), get("a", 7, 8)];
    assert_eq!(refused(operations), "0 1 3");
}

#[test]
fn contradiction_that_comes_first_is_shown() {
    let first = [put("a", 1, 2), get("", 3, 4)];
    let second = [put("b", 5, 6), get("?", 7, 8), put("c", 9, 10), get("b", 11, 12)];
    assert_eq!(refused(first.into_iter().chain(second)), "0 1");
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
