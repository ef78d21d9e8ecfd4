//! Histories of commands.

use std::time::Duration;

use super::*;
use crate::command::{Command, Operation, Outcome, Reply, Ttl, When};

/// A line with the outcome `ok` and these keys.
fn line(keys: &str) -> String {
    format!(r#"{{"id":"1","client":"c",{keys},"invoked":1,"returned":2,"outcome":"ok"}}"#)
}

fn operations(text: &str) -> Vec<Operation> {
    match read(text.as_bytes()).expect("a good history") {
        History::Commands(operations) => operations,
        History::KeyValue(operations) => panic!("only puts and gets: {operations:#?}"),
    }
}

/// The command and the reply of a line with these keys.
fn command(keys: &str) -> (Command, Reply) {
    let [operation] = &operations(&line(&format!(r#""key":"k",{keys}"#)))[..] else { panic!("one line") };
    let (key, command) = &operation.commands[0];
    assert_eq!((&**key, operation.commands.len(), operation.returned()), ("k", 1, Some(2_000_000_000)));
    (command.clone(), operation.replies().expect("an answer")[0].clone())
}

fn refusal(keys: &str) -> String {
    let error = read(line(keys).as_bytes()).expect_err("it makes no sense").to_string();
    error.strip_prefix("line 1: ").expect("the number of the line").to_owned()
}

#[test]
fn command_is_read_with_its_arguments_and_its_result() {
    let set = |when, ttl| Command::Set { value: "v".into(), when, ttl };
    let ms = |ms| Ttl::After(Duration::from_millis(ms));
    let value = |value: &str| Reply::Value(Some(value.into()));
    for (keys, expected) in [
        (r#""type":"get","exists":false"#, (Command::Get, Reply::Value(None))),
        (r#""type":"get","exists":false,"value":"""#, (Command::Get, Reply::Value(None))),
        (r#""type":"get","exists":true,"value":"""#, (Command::Get, value(""))),
        (r#""type":"get","exists":true,"value":"v""#, (Command::Get, value("v"))),
        (
            r#""type":"put","value":"v","if":"absent","done":true"#,
            (set(When::Absent, Ttl::Unlimited), Reply::Done(true)),
        ),
        (
            r#""type":"put","value":"v","if":"present","done":false"#,
            (set(When::Present, Ttl::Unlimited), Reply::Done(false)),
        ),
        (r#""type":"put","value":"v","ttl_ms":500"#, (set(When::Always, ms(500)), Reply::Done(true))),
        (r#""type":"put","value":"v","keep_ttl":true"#, (set(When::Always, Ttl::Keep), Reply::Done(true))),
        (
            r#""type":"cas","from":null,"to":"v","done":true"#,
            (set(When::Absent, Ttl::Unlimited), Reply::Done(true)),
        ),
        (
            r#""type":"cas","from":"u","to":"v","done":false"#,
            (set(When::Is("u".into()), Ttl::Unlimited), Reply::Done(false)),
        ),
        (
            r#""type":"cas","from":"u","to":"v","create":true,"ttl_ms":1,"done":true"#,
            (set(When::AbsentOr("u".into()), ms(1)), Reply::Done(true)),
        ),
        (r#""type":"delete","done":true"#, (Command::delete(), Reply::Done(true))),
        (
            r#""type":"delete","from":"u","done":false"#,
            (Command::Delete { when: When::Is("u".into()) }, Reply::Done(false)),
        ),
        (r#""type":"increment","result":1"#, (Command::Increment { by: 1 }, Reply::Number(1))),
        (r#""type":"increment","by":-2,"result":-1"#, (Command::Increment { by: -2 }, Reply::Number(-1))),
        (r#""type":"increment","error":"no integer""#, (Command::Increment { by: 1 }, Reply::Refused)),
        (
            r#""type":"append","value":"v","result":3"#,
            (Command::Append { value: "v".into() }, Reply::Number(3)),
        ),
        (
            r#""type":"expire","ttl_ms":20,"done":true"#,
            (Command::Expire { ttl: Duration::from_millis(20) }, Reply::Done(true)),
        ),
        (r#""type":"persist","done":false"#, (Command::Persist, Reply::Done(false))),
    ] {
        assert_eq!(command(keys), expected, "{keys}");
    }
}

#[test]
fn transaction_is_read_with_the_results_of_its_operations() {
    let keys = r#""type":"transaction","watched":[{"key":"x","value":"1"},{"key":"y","value":null}],
        "ops":[{"type":"put","key":"x","value":"2"},{"type":"get","key":"y","value":""}]"#;
    let keys = keys.replace('\n', " ");
    let commands = [("x", Command::set("2")), ("y", Command::Get)];
    let pending = Operation::transaction("1", "c", commands, 1_000_000_000);
    let pending = pending.watching("x", Some("1")).watching("y", None);
    let done = pending.clone().replied_all(2_000_000_000, [Reply::Done(true), Reply::Empty]);
    assert_eq!(operations(&line(&keys)), [done]);
    let aborted = line(&format!(r#"{keys},"aborted":true"#)).replace(r#","value":""}"#, "}");
    assert_eq!(operations(&aborted), [pending.clone().aborted(2_000_000_000)]);
    assert_eq!(operations(&line(&keys).replace(r#""ok""#, r#""unknown""#)), [pending]);
}

#[test]
fn outcome_other_than_ok_needs_no_result() {
    let keys = r#""type":"increment","key":"k""#;
    for (outcome, expected) in [
        ("unknown", Outcome::Unknown),
        ("fail", Outcome::Declined(Declined { with: Refusal::Fail, at: Some(2_000_000_000) })),
        ("redirect", Outcome::Declined(Declined { with: Refusal::Redirect, at: Some(2_000_000_000) })),
    ] {
        assert_eq!(
            operations(&line(keys).replace(r#""ok""#, &format!("\"{outcome}\"")))[0].outcome,
            expected
        );
    }
}

#[test]
fn puts_and_gets_beside_a_command_mean_what_they_mean_alone() {
    let get = GET.replace(r#""id":"1""#, r#""id":"2""#).replace(r#""v""#, r#""""#);
    let put = GET.replace(r#""id":"1""#, r#""id":"3""#).replace("get", "put");
    let own = line(r#""type":"persist","key":"k","done":false"#);
    let replies: Vec<Option<Vec<Reply>>> = (operations(&format!("{own}\n{get}\n{put}")).iter())
        .map(|operation| operation.replies().cloned())
        .collect();
    assert_eq!(replies[1..], [Some(vec![Reply::Empty]), Some(vec![Reply::Done(true)])]);
}

#[test]
fn line_that_makes_no_sense_is_refused_with_its_reason() {
    for (keys, reason) in [
        (r#""type":"get","exists":false"#, "no `key`"),
        (r#""type":"get","key":"k","exists":true"#, "no `value`"),
        (r#""type":"get","key":"k","exists":false,"value":"v""#, "`exists` is false, but there is a `value`"),
        (r#""type":"put","key":"k","value":"v","if":"new""#, r#"unknown `if` "new" (absent or present)"#),
        (r#""type":"put","key":"k","value":"v","if":"absent""#, "no `done`"),
        (r#""type":"put","key":"k","value":"v","ttl_ms":0"#, "`ttl_ms` is 0"),
        (r#""type":"put","key":"k","value":"v","ttl_ms":1,"keep_ttl":true"#, "both `ttl_ms` and `keep_ttl`"),
        (r#""type":"cas","key":"k","from":"u","done":true"#, "no `to`"),
        (r#""type":"cas","key":"k","from":"u","to":"v""#, "no `done`"),
        (r#""type":"delete","key":"k""#, "no `done`"),
        (r#""type":"increment","key":"k""#, "no `result`"),
        (r#""type":"append","key":"k","result":1"#, "no `value`"),
        (r#""type":"append","key":"k","value":"v""#, "no `result`"),
        (r#""type":"expire","key":"k","done":true"#, "no `ttl_ms`"),
        (r#""type":"persist","key":"k""#, "no `done`"),
        (r#""type":"transaction","key":"k""#, "no `ops`"),
        (r#""type":"transaction","ops":[]"#, "`ops` is empty"),
        (
            r#""type":"transaction","ops":[{"type":"get","key":"k","value":"v"},{"type":"persist","key":"k"}]"#,
            "`ops[1]`: no `done`",
        ),
        (
            r#""type":"transaction","ops":[{"type":"transaction","key":"k"}]"#,
            "`ops[0]`: a transaction in a transaction",
        ),
        (r#""type":"transaction","ops":[{"type":"swap","key":"k"}]"#, r#"`ops[0]`: unknown type "swap""#),
    ] {
        assert_eq!(refusal(keys), reason, "{keys}");
    }
    for keys in [
        r#""type":"increment","key":"k","by":9223372036854775808,"result":0"#,
        r#""type":"increment","key":"k","by":1.5,"result":0"#,
        r#""type":"put","key":"k","value":"v","ttl_ms":-1"#,
        r#""type":"transaction","ops":{}"#,
        r#""type":"transaction","ops":[[]]"#,
        r#""type":"transaction","ops":[{"key":"k"}]"#,
        r#""type":"transaction","ops":[],"watched":[{"value":"v"}]"#,
    ] {
        let reason = refusal(keys);
        assert!(reason.lines().count() == 1 && reason.contains("(column "), "{reason}");
    }
}

#[test]
fn retry_repeats_an_attempt_of_the_same_type_and_key() {
    let attempts = |first: &str, second: &str| {
        let first = line(first).replace(r#""ok""#, r#""fail""#);
        let second =
            line(second).replace(r#""id":"1""#, r#""id":"2","retry_of":"1""#).replace("1,\"ret", "2,\"ret");
        read(format!("{first}\n{second}").as_bytes())
    };
    let persist = r#""type":"persist","key":"k","done":true"#;
    let delete = r#""type":"delete","key":"k","done":true"#;
    let transaction = format!(r#""type":"transaction","ops":[{{{persist}}}]"#);
    assert!(attempts(persist, persist).is_ok());
    assert!(attempts(&transaction, &transaction).is_ok());
    let refused = |first: &str, second: &str| attempts(first, second).expect_err("no retry").to_string();
    assert_eq!(refused(persist, delete), r#"line 2: `retry_of` names "1", which has another type"#);
    assert_eq!(
        refused(persist, &persist.replace("\"k\"", "\"j\"")),
        r#"line 2: `retry_of` names "1", which has another key"#
    );
}

proptest! {
    /// Damaged lines get further into the parser than noise does.
    #[test]
    fn line_with_damaged_bytes_is_read_or_refused_in_one_line(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let ops = r#""type":"transaction","ops":[{"type":"put","key":"x","value":"2"},{"type":"cas","key":"y","from":null,"to":"v","done":true}]"#;
        let mut bytes = line(ops).into_bytes();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Err(error) = read(&bytes[..]) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
