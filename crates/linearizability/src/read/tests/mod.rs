//! Histories from texts, good and bad.

mod commands;

use std::io;

use proptest::prelude::*;

use super::*;
use crate::key_value::{Declined, Kind, Operation, Refusal};

const GET: &str = r#"{"id":"1","client":"0010","type":"get","key":"k","value":"v","invoked":1.5,"returned":2.25,"outcome":"ok"}"#;

fn read_text(text: &str) -> Result<Vec<Operation>, ReadError> {
    match read(text.as_bytes())? {
        History::KeyValue(operations) => Ok(operations),
        History::Commands(operations) => panic!("no puts and gets: {operations:#?}"),
    }
}

/// The refusal of a history of one line after a replacement.
fn refusal(from: &str, to: &str) -> String {
    assert!(GET.contains(from));
    read_text(&GET.replace(from, to)).expect_err("it makes no sense").to_string()
}

#[test]
fn line_with_all_keys_is_read_as_an_operation() {
    let put = GET.replace("get", "put").replace(r#""1""#, r#""2""#);
    let operations = read_text(&format!("{GET}\n\n  {put}  ")).expect("a good history");
    let (name, client, key): (Arc<str>, Arc<str>, Arc<str>) = ("1".into(), "0010".into(), "k".into());
    let value: Arc<str> = "v".into();
    let kind = Kind::Get { value: Arc::clone(&value) };
    let (invoked, returned) = (1_500_000_000, Some(2_250_000_000));
    let get = Operation { name, client, key, kind, invoked, returned, declined: None, retry_of: None };
    let put = Operation { name: "2".into(), kind: Kind::Put { value }, ..get.clone() };
    assert_eq!(operations, [get, put]);
}

#[test]
fn get_without_ok_is_left_out_and_put_without_ok_is_pending() {
    for outcome in ["fail", "redirect", "unknown"] {
        for returned in ["2.25", "null"] {
            let get = GET.replace(r#""ok""#, &format!("\"{outcome}\"")).replace("2.25", returned);
            assert_eq!(read_text(&get).expect("a good history"), []);
            let put = read_text(&get.replace("get", "put")).expect("a good history");
            assert_eq!((put.len(), put[0].returned), (1, None));
        }
    }
    let unanswered = r#"{"id":"1","client":"c","type":"get","key":"k","invoked":1,"outcome":"unknown"}"#;
    assert_eq!(read_text(unanswered).expect("a good history"), []);
}

/// A line per attempt: its ID, its outcome, when it was invoked and answered, and the attempt
/// before it.
fn attempts(lines: &[(&str, &str, u64, u64, Option<&str>)]) -> String {
    let line = |&(id, outcome, invoked, returned, retry_of): &(&str, &str, u64, u64, Option<&str>)| {
        serde_json::json!({
            "id": id, "client": "c", "type": "put", "key": "k", "value": "v", "invoked": invoked,
            "returned": returned, "outcome": outcome, "retry_of": retry_of,
        })
        .to_string()
    };
    lines.iter().map(line).collect::<Vec<String>>().join("\n")
}

#[test]
fn retry_names_the_attempt_before_it_in_any_order_of_lines() {
    let text = attempts(&[
        ("3", "ok", 5, 6, Some("2")),
        ("1", "redirect", 1, 2, None),
        ("2", "fail", 3, 4, Some("1")),
    ]);
    let operations = read_text(&text).expect("a good history");
    let retries: Vec<Option<&str>> =
        operations.iter().map(|operation| operation.retry_of.as_deref()).collect();
    assert_eq!(retries, [Some("2"), None, Some("1")]);
    let refusals: Vec<Option<Declined>> = operations.iter().map(|operation| operation.declined).collect();
    let declined = |with, at| Some(Declined { with, at: Some(at) });
    let expected = [None, declined(Refusal::Redirect, 2_000_000_000), declined(Refusal::Fail, 4_000_000_000)];
    assert_eq!(refusals, expected);
    // A get that is left out is still a request.
    read_text(&text.replace("put", "get")).expect("a good history");
}

#[test]
fn retry_that_fits_no_attempt_is_refused() {
    let refused = |text: &str| read_text(text).expect_err("it makes no sense").to_string();
    let first = ("1", "redirect", 1, 2, None);
    let second = |retry_of| ("2", "ok", 2, 3, Some(retry_of));
    read_text(&attempts(&[first, second("1")])).expect("a good history");
    let text = attempts(&[first, second("7\n")]);
    assert_eq!(refused(&text), r#"line 2: `retry_of` names "7\n", which no line has"#);
    let text = attempts(&[first, second("1")]).replacen("\"k\"", "\"j\"", 1);
    assert_eq!(refused(&text), r#"line 2: `retry_of` names "1", which has another key"#);
    let text = attempts(&[first, second("1")]).replacen("put", "get", 1);
    assert_eq!(refused(&text), r#"line 2: `retry_of` names "1", which has another type"#);
    let text = attempts(&[("1", "redirect", 1, 3, None), second("1")]);
    assert_eq!(
        refused(&text),
        r#"line 2: `retry_of` names "1", which was answered or invoked only after this"#
    );
    let text = text.replacen("\"returned\":3", "\"returned\":null", 1);
    read_text(&text).expect("a good history");
    let text = text.replacen("\"invoked\":1", "\"invoked\":3", 1);
    assert_eq!(
        refused(&text),
        r#"line 2: `retry_of` names "1", which was answered or invoked only after this"#
    );
    let text = attempts(&[first, second("1")]).replace(r#""retry_of":"1""#, r#""retry_of":1"#);
    assert!(refused(&text).starts_with("line 2: invalid type: integer `1`, expected a string"), "{text}");
}

#[test]
fn attempts_that_repeat_each_other_are_refused() {
    let at_once = |id, retry_of| (id, "redirect", 1, 1, Some(retry_of));
    let error = read_text(&attempts(&[at_once("1", "1")])).expect_err("a circle");
    assert_eq!(error.to_string(), r#"line 1: `retry_of` names "1", which itself comes after this"#);
    let text = attempts(&[at_once("0", "1"), at_once("1", "2"), at_once("2", "3"), at_once("3", "1")]);
    let error = read_text(&text).expect_err("a circle");
    assert_eq!(error.to_string(), r#"line 2: `retry_of` names "2", which itself comes after this"#);
}

#[test]
fn long_chain_of_attempts_is_read_in_a_moment() {
    let mut text = String::new();
    for n in 0..20_000 {
        let (id, before) = (n.to_string(), (n + 1).to_string());
        let retry_of = (n < 19_999).then_some(&*before);
        text += &attempts(&[(&id, "redirect", 30_000 - n, 30_000 - n, retry_of)]);
        text.push('\n');
    }
    assert_eq!(read_text(&text).expect("a good history").len(), 20_000);
}

#[test]
fn unknown_keys_are_ignored_and_escapes_are_read() {
    let line = GET.replace(r#""k""#, r#""\u00e4\n", "more": {"deep": [1, null]}"#);
    let operations = read_text(&line).expect("a good history");
    assert_eq!(&*operations[0].key, "ä\n");
}

#[test]
fn malformed_line_is_refused_with_its_reason() {
    let out_of_range = |key: &str| format!("line 1: `{key}` is out of range (0 to 18446744073 seconds)");
    assert_eq!(refusal("get", "swap"), r#"line 1: unknown type "swap""#);
    assert_eq!(refusal(r#""ok""#, r#""maybe\n""#), r#"line 1: unknown outcome "maybe\n""#);
    assert_eq!(refusal("1.5", "-1.5"), out_of_range("invoked"));
    assert_eq!(refusal("2.25", "2e10"), out_of_range("returned"));
    assert_eq!(refusal("2.25", "1.25"), "line 1: returned before it was invoked");
    assert_eq!(refusal("2.25", "null"), r#"line 1: outcome "ok" without `returned`"#);
    assert_eq!(refusal(r#""v""#, "null"), "line 1: no `value`");
    assert_eq!(refusal(r#""value":"v","#, ""), "line 1: no `value`");
    assert_eq!(refusal("{", "[{"), "line 1: not a JSON object");
    assert_eq!(refusal(r#""id":"1","#, ""), "line 1: missing field `id` (column 97)");
    assert_eq!(
        refusal(r#""key":"k""#, r#""key":7"#),
        "line 1: invalid type: integer `7`, expected a string (column 46)"
    );
    assert_eq!(refusal("1.5", r#""now""#), r#"line 1: invalid type: string "now", expected f64 (column 76)"#);
    for (from, to) in [("1.5", "NaN"), ("1.5", "Infinity"), ("1.5", "1e999"), ("}", ""), ("}", "}}")] {
        assert!(refusal(from, to).ends_with(')'), "{to}");
    }
    assert_eq!(refusal(r#""key""#, r#""id":"2","key""#), "line 1: duplicate field `id` (column 43)");
}

#[test]
fn refusal_names_the_line() {
    let error = read_text(&format!("{GET}\n\n{GET}\n")).expect_err("the same twice");
    assert_eq!(error.to_string(), r#"line 3: id "1" is given twice"#);
    let error = read(&b"\n\xFF\n"[..]).expect_err("no text");
    assert_eq!(error.to_string(), "line 2: not UTF-8");
}

#[test]
fn endless_line_is_refused_before_its_end() {
    let error = read(io::BufReader::new(io::repeat(b' '))).expect_err("too long");
    assert!(matches!(error, ReadError::Malformed { line: 1, reason: Malformed::TooLong }), "{error}");
}

#[test]
fn complaint_about_a_long_text_is_short_and_of_one_line() {
    let refusal = refusal("1.5", &format!(r#""\n{}""#, "x".repeat(10_000)));
    assert!(refusal.len() < 250 && refusal.lines().count() == 1, "{refusal}");
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _any = read(&bytes[..]);
    }

    /// Damaged lines get further into the parser than noise does.
    #[test]
    fn line_with_damaged_bytes_is_read_or_refused_in_one_line(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = GET.as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Err(error) = read(&bytes[..]) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
