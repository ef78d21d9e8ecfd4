//! Puts that are pending, declined or repeated.

use super::*;

#[test]
fn pending_put_takes_effect_at_once_late_or_never() {
    accepts([pending("a", 1), get("", 2, 3), get("", 1_000, 1_001)]);
    accepts([pending("a", 1), get("", 2, 3), get("a", 1_000, 1_001), get("a", 1_002, 1_003)]);
    accepts([pending("a", 1), get("a", 2, 3), put("b", 4, 5), get("b", 6, 7)]);
    accepts([pending("a", 1), put("b", 2, 3), get("b", 4, 5), get("a", 6, 7), get("a", 8, 9)]);
    // Although a get may have read it.
    accepts([put("a", 1, 2), get("a", 3, 20), put("b", 5, 6), pending("a", 10), get("b", 30, 31)]);
}

#[test]
fn pending_put_takes_effect_at_most_once() {
    assert_eq!(refused([pending("a", 1), get("a", 2, 3), get("", 4, 5)]), "0 1 2");
    let unseen = [pending("a", 1), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)];
    assert_eq!(refused(unseen), "0 1 2 3");
    accepts([pending("a", 1), pending("a", 1), get("a", 2, 3), put("b", 4, 5), get("a", 6, 7)]);
}

#[test]
fn declined_put_takes_no_effect_after_its_retry_is_acknowledged() {
    let [first, second] = retried("a", "a", 1);
    let late = [first, second.clone(), put("b", 20, 21), get("a", 30, 31)];
    assert!(matches!(check(&late, Limits::default()), Verdict::NotLinearizable(_)));
    // Without `retry_of` the two are different requests, and "a" may come back.
    let unrelated = late.clone().map(|operation| Operation { retry_of: None, ..operation });
    assert_eq!(check(&unrelated, Limits::default()), Verdict::Linearizable);
    // The retry of a put without an answer ends nothing: a copy of that put may still reach a
    // replica.
    let unanswered = late.map(|operation| Operation { declined: None, ..operation });
    assert_eq!(check(&unanswered, Limits::default()), Verdict::Linearizable);
}

#[test]
fn declined_put_takes_effect_before_its_retry_and_is_a_put_of_its_own() {
    let [first, second] = retried("a", "a", 1);
    // Once by each attempt, with another put between them.
    let both =
        [first.clone(), get("a", 2, 2), put("b", 3, 3), get("b", 3, 3), second.clone(), get("a", 9, 10)];
    assert_eq!(check(&both, Limits::default()), Verdict::Linearizable);
    // Or by the first alone while the second is unseen, up to the moment of its acknowledgement.
    let [first, second] = retried("a", "c", 1);
    let late = [first, second, put("b", 3, 5), get("b", 4, 5), get("a", 5, 20), get("a", 21, 22)];
    assert_eq!(check(&late, Limits::default()), Verdict::Linearizable);
}

#[test]
fn declined_put_ends_with_the_first_acknowledgement_of_its_chain() {
    let [first, second] = retried("a", "b", 1);
    let (name, declined) = ("between".into(), first.declined);
    let retry_of = second.retry_of.clone();
    let between = Operation { name, declined, retry_of, invoked: 2, ..pending("m", 2) };
    let second = Operation { retry_of: Some("between".into()), ..second };
    let late = |value: &str| [first.clone(), second.clone(), between.clone(), get(value, 9, 10)];
    for stale in ["a", "m"] {
        let mut late = late(stale).to_vec();
        assert_eq!(check(&late, Limits::default()), Verdict::Linearizable, "{stale} after b, both at 5");
        late.insert(0, get("b", 6, 7));
        assert!(
            matches!(check(&late, Limits::default()), Verdict::NotLinearizable(_)),
            "{stale} after b at 7"
        );
    }
}

#[test]
fn declined_put_without_an_acknowledged_retry_stays_pending() {
    let [first, second] = retried("a", "a", 1);
    let second = Operation { returned: None, declined: first.declined, ..second };
    let late = [first, second, put("b", 20, 21), get("a", 30, 31), put("c", 40, 41), get("a", 50, 51)];
    assert_eq!(check(&late, Limits::default()), Verdict::Linearizable);
    assert!(matches!(
        check(&[&late[..], &[put("d", 60, 61), get("a", 70, 71)]].concat(), Limits::default()),
        Verdict::NotLinearizable(_)
    ));
}
