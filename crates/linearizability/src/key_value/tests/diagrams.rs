//! The pictures of contradictions.

use super::*;

#[test]
fn diagram_shows_which_operations_overlap() {
    let long = "0123456789ABCDEF".repeat(2);
    let mut operations = named([put(&long, 1, 2), pending("b", 2), get("b", 3, 4), get(&long, 5, 5)]);
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

#[test]
fn diagram_of_many_operations_shows_some_and_counts_the_others() {
    // A hundred puts can have been seen a hundred times, but not once more.
    let puts = (0..100).map(|n| pending("x", n));
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
