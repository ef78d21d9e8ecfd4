//! The checker for any model: histories by hand, and drawn ones against brute force.

use fastrand::Rng;

use crate::checker::task;
use crate::limits::Budget;
use crate::models::{CasAnswer, CasCall, CasRegister, Counter, CounterCall};
use crate::search::{Finding, search_from};
use crate::{Exhausted, Limits, Model, Operation, Outcome, Verdict, VerdictOf, check};

type Cas = Operation<CasCall, CasAnswer>;

/// The number in an environment variable.
pub fn from_environment(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn read(value: Option<&str>, invoked: u64, at: u64) -> Cas {
    let call = CasCall::Read("k".into());
    Operation::pending("reader", call, invoked).returned(at, CasAnswer::Value(value.map(Into::into)))
}

/// A write without an answer.
fn unanswered(value: &str, invoked: u64) -> Cas {
    Operation::pending("writer", CasCall::Write("k".into(), value.into()), invoked)
}

fn write(value: &str, invoked: u64, at: u64) -> Cas {
    unanswered(value, invoked).returned(at, CasAnswer::Written)
}

fn swap(expected: Option<&str>, value: &str, invoked: u64) -> Cas {
    let call = CasCall::CompareAndSet("k".into(), expected.map(Into::into), value.into());
    Operation::pending("swapper", call, invoked)
}

fn is_linearizable(history: &[Cas]) -> bool {
    match check(&CasRegister, history, Limits::default()) {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable(_) => false,
        Verdict::Undecided { .. } => panic!("so few operations cost next to nothing"),
    }
}

#[test]
fn compare_and_set_succeeds_once_for_one_expected_value() {
    let swap = |value, is_done| swap(None, value, 1).returned(9, CasAnswer::Swapped(is_done));
    assert!(is_linearizable(&[swap("a", true), swap("b", false)]));
    assert!(!is_linearizable(&[swap("a", true), swap("b", true)]));
    assert!(!is_linearizable(&[swap("a", false), swap("b", false)]));
    assert!(is_linearizable(&[swap("a", false), swap("b", false), write("c", 1, 2)]));
}

#[test]
fn pending_compare_and_set_takes_effect_late_or_never_but_not_twice() {
    let pending = swap(Some("a"), "b", 3);
    let seen = |values: &[&str]| {
        let reads = values.iter().zip(10..).map(|(value, at)| read(Some(value), 10 * at, 10 * at + 1));
        [write("a", 1, 2), pending.clone()].into_iter().chain(reads).collect::<Vec<Cas>>()
    };
    assert!(is_linearizable(&seen(&["a", "a"])));
    assert!(is_linearizable(&seen(&["a", "b", "b"])));
    assert!(!is_linearizable(&seen(&["b", "a"])));
}

#[test]
fn pending_write_takes_no_effect_after_its_last_moment() {
    let reads = [read(None, 10, 11), read(Some("a"), 20, 21)];
    let history = |write: Cas| [&[write], &reads[..]].concat();
    assert!(is_linearizable(&history(unanswered("a", 1))));
    assert!(is_linearizable(&history(unanswered("a", 1).pending_until(10))));
    assert!(!is_linearizable(&history(unanswered("a", 1).pending_until(9))));
}

#[test]
fn counter_that_loses_an_addition_is_refused() {
    let add = |number| Operation::pending("c", CounterCall::Add("k".into(), 2), 1).returned(5, number);
    let verdict = |history: &[Operation<CounterCall, i64>]| {
        check(&Counter, history, Limits::default()) == Verdict::Linearizable
    };
    assert!(verdict(&[add(4), add(2)]));
    assert!(!verdict(&[add(2), add(2)]));
    let pending = Operation::pending("c", CounterCall::Add("k".into(), 1), 1);
    assert!(verdict(&[add(3), pending.clone()]));
    assert!(!verdict(&[add(4), pending]));
}

#[test]
fn keys_are_judged_alone_and_the_first_bad_one_is_named() {
    let on = |key: &str, number, at| {
        Operation::pending("c", CounterCall::Add(key.into(), 1), at).returned(at + 1, number)
    };
    assert_eq!(check(&Counter, &[on("x", 1, 1), on("y", 1, 3)], Limits::default()), Verdict::Linearizable);
    let history = [on("x", 1, 1), on("y", 2, 3), on("z", 9, 5)];
    let Verdict::NotLinearizable(found) = check(&Counter, &history, Limits::default()) else {
        panic!("an addition of 1 cannot give 2");
    };
    assert_eq!((&*found.key, found.refused, found.operations.len()), ("y", 1, 1));
}

/// Pending additions of which each subset leads to another number, and a read of this one.
fn additions(pending: u32, read: i64) -> Vec<Operation<CounterCall, i64>> {
    let add = |n| Operation::pending("c", CounterCall::Add("k".into(), 1_i64 << n), u64::from(n));
    let read = Operation::pending("c", CounterCall::Read("k".into()), 100).returned(101, read);
    (0..pending).map(add).chain([read]).collect()
}

#[test]
fn search_beyond_its_limits_is_undecided_with_the_limit() {
    let history = additions(12, 5_000);
    let exhausted = |limits| match check(&Counter, &history, limits) {
        Verdict::Undecided { key, operations: 13, exhausted } if key == "k" => exhausted,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(exhausted(Limits { memory: u64::MAX, work: 1_000 }), Exhausted::Work);
    assert_eq!(exhausted(Limits { memory: 10_000, work: u64::MAX }), Exhausted::Memory);
    assert!(matches!(check(&Counter, &history, Limits::default()), Verdict::NotLinearizable(_)));
}

#[test]
fn attempt_of_any_width_reaches_the_same_verdict() {
    for (read, is_explained) in [(5_000, false), (0, true), (1, true), (0b1010_1010, true), (255, true)] {
        let history = additions(8, read);
        let tasks: Vec<_> = history.iter().map(|operation| task(&Counter, operation)).collect();
        for width in [1, 2, 16, usize::MAX] {
            let found = search_from(width, &Counter, &tasks, &mut Budget::new(Limits::default()));
            let expected = if is_explained { Finding::Explained } else { Finding::Contradiction(8) };
            assert_eq!(found, expected, "{read} with width {width}");
        }
    }
}

#[test]
fn pending_writes_that_are_overwritten_cost_little() {
    let history: Vec<Cas> = (0..100).map(|n| unanswered(&n.to_string(), n)).collect();
    let history = [&history[..], &[read(Some("lost"), 200, 201)]].concat();
    let limits = Limits { memory: 100_000, work: 100_000 };
    assert!(matches!(check(&CasRegister, &history, limits), Verdict::NotLinearizable(_)));
}

#[test]
fn contradiction_is_drawn_without_needless_reads_and_explained() {
    let history = [
        write("a", 1, 2),
        read(Some("a"), 3, 4),
        swap(Some("a"), "b", 5).returned(8, CasAnswer::Swapped(true)),
        read(Some("b"), 6, 7),
        read(Some("a"), 9, 10),
        write("c", 9, 20),
        read(Some("never seen"), 30, 31),
    ];
    let Verdict::NotLinearizable(found) = check(&CasRegister, &history, Limits::default()) else {
        panic!("the last read is stale");
    };
    let shown = found.to_string();
    let expected = r#"
  client   operation                                 time, not to scale  invoked      returned     id
  writer   Write("k", "a") → Written                 |-|                 0.000000001  0.000000002  #0
  swapper  CompareAndSet("k", S…b") → Swapped(true)      |-|             0.000000005  0.000000008  #2
  reader   Read("k") → Value(Some("a"))                      |-|         0.000000009  0.000000010  #4
  writer   Write("k", "c") → Written                         |---|       0.000000009  0.000000020  #5

No order of these 4 operations lets #4 end as it did (Read("k") → Value(Some("a"))). This order explains the others until then: #0 #2."#;
    assert_eq!(shown, expected.trim_start_matches('\n'));
    let places: Vec<usize> = found.operations.iter().map(|&(place, _)| place).collect();
    assert_eq!((places, found.refused, &found.order[..]), (vec![0, 2, 4, 5], 4, &[0, 2][..]));
}

#[test]
fn readme_shows_the_diagram_of_its_example() {
    let write = |value: &str, from, to| {
        let call = CasCall::Write("x".into(), value.into());
        Operation::pending("alice", call, from).returned(to, CasAnswer::Written)
    };
    let read = |value: &str, from, to| {
        let call = CasCall::Read("x".into());
        Operation::pending("bob", call, from).returned(to, CasAnswer::Value(Some(value.into())))
    };
    let history = [write("a", 1, 2), write("b", 3, 9), read("b", 4, 5), read("a", 6, 7)];
    let Verdict::NotLinearizable(found) = check(&CasRegister, &history, Limits::default()) else {
        panic!("the second read is stale");
    };
    let shown = found.to_string();
    let (diagram, _) = shown.split_once("\n\n").expect("a diagram and a sentence");
    assert!(include_str!("../README.md").contains(diagram), "{shown}");
}

#[test]
fn long_history_without_pending_operations_costs_little() {
    let history: Vec<Cas> = (0..2_000)
        .flat_map(|n| {
            let value = n.to_string();
            [write(&value, 10 * n, 10 * n + 12), read(Some(&value), 10 * n + 13, 10 * n + 14)]
        })
        .collect();
    let limits = Limits { memory: 10_000, work: 100_000 };
    assert_eq!(check(&CasRegister, &history, limits), Verdict::Linearizable);
}

/// Whether some order explains these operations. It tries each operation that no other one precedes
/// as the next one, and may leave out pending ones. `now` is the latest invocation of the
/// operations so far.
fn some_order_explains<M: Model>(
    model: &M,
    state: &M::State,
    now: u64,
    left: &[&Operation<M::Call, M::Answer>],
) -> bool {
    if left.iter().all(|operation| operation.answer().is_none()) {
        return true;
    }
    let ends = left.iter().filter(|operation| operation.answer().is_some());
    let first_end = ends.filter_map(|operation| operation.latest_effect()).min();
    (0..left.len()).any(|place| {
        let operation = left[place];
        let is_late = first_end.is_some_and(|end| end < operation.invoked)
            || operation.latest_effect().is_some_and(|end| end < now);
        let next = || model.step(state, &operation.call, operation.answer());
        let others = || [&left[..place], &left[place + 1..]].concat();
        let explains = |next| some_order_explains(model, &next, now.max(operation.invoked), &others());
        !is_late && next().is_some_and(explains)
    })
}

/// A history of up to seven operations on one key. Each takes effect at a moment within its time
/// and is answered accordingly, but for an answer or two.
fn draw<M: Model>(
    model: &M,
    rng: &mut Rng,
    call: impl Fn(&mut Rng) -> M::Call,
    answer: impl Fn(&mut Rng, &M::State, &M::Call) -> M::Answer,
) -> Vec<Operation<M::Call, M::Answer>> {
    let (span, length) = (rng.u64(2..30), rng.u64(1..20));
    let mut moments: Vec<(u64, u64, u64)> = (0..rng.usize(1..=7))
        .map(|_| {
            let invoked = rng.u64(..span);
            let effect = invoked + rng.u64(..length);
            (effect, invoked, effect + rng.u64(..length))
        })
        .collect();
    moments.sort_unstable();
    let mut state = model.initial();
    let operation = |(effect, invoked, at): (u64, u64, u64)| {
        let call = call(rng);
        let answer = answer(rng, &state, &call);
        if let Some(next) = model.step(&state, &call, None).filter(|_| rng.u8(..10) > 0) {
            state = next;
        }
        let outcome = match rng.u8(..6) {
            0 => Outcome::Pending { until: None },
            1 => Outcome::Pending { until: Some(effect) },
            _ => Outcome::Returned { at, answer },
        };
        Operation { client: "c".into(), call, invoked, outcome }
    };
    moments.into_iter().map(operation).collect()
}

/// The number of drawn histories that are linearizable.
fn agreements<M: Model>(
    model: &M,
    count: usize,
    mut draw: impl FnMut() -> Vec<Operation<M::Call, M::Answer>>,
) -> usize
where
    M::Call: std::fmt::Debug + Clone,
    M::Answer: std::fmt::Debug + Clone,
{
    let explained = |history: &[Operation<M::Call, M::Answer>]| {
        some_order_explains(model, &model.initial(), 0, &history.iter().collect::<Vec<_>>())
    };
    let mut linearizable = 0;
    for _ in 0..count {
        let history = draw();
        let verdict: VerdictOf<'_, M> = check(model, &history, Limits::default());
        match verdict {
            Verdict::Linearizable => {
                assert!(explained(&history), "{history:#?}");
                linearizable += 1;
            }
            Verdict::NotLinearizable(found) => {
                assert!(!explained(&history), "{history:#?}");
                let shown: Vec<_> = found.operations.iter().map(|&(_, shown)| shown.clone()).collect();
                assert!(!explained(&shown), "{shown:#?}");
            }
            Verdict::Undecided { .. } => panic!("so few operations cost next to nothing"),
        }
    }
    linearizable
}

#[test]
fn checker_agrees_with_brute_force_on_drawn_histories_of_registers() {
    let rng = &mut Rng::with_seed(1);
    let value = |rng: &mut Rng| ["a", "b", "c"][rng.usize(..3)].to_owned();
    let call = |rng: &mut Rng| match rng.u8(..3) {
        0 => CasCall::Read("k".into()),
        1 => CasCall::Write("k".into(), value(rng)),
        _ => {
            let expected = rng.bool().then(|| value(rng));
            CasCall::CompareAndSet("k".into(), expected, value(rng))
        }
    };
    let answer = |rng: &mut Rng, state: &Option<String>, call: &CasCall| match call {
        CasCall::Read(_) if rng.u8(..3) == 0 => CasAnswer::Value(Some(value(rng))),
        CasCall::Read(_) => CasAnswer::Value(state.clone()),
        CasCall::Write(..) => CasAnswer::Written,
        CasCall::CompareAndSet(_, expected, _) => {
            CasAnswer::Swapped((expected == state) ^ (rng.u8(..3) == 0))
        }
    };
    let count = 4_000;
    let linearizable = agreements(&CasRegister, count, || draw(&CasRegister, rng, call, answer));
    assert!((count / 5..count * 4 / 5).contains(&linearizable), "{linearizable} of {count}");
}

#[test]
fn checker_agrees_with_brute_force_on_drawn_histories_of_counters() {
    let rng = &mut Rng::with_seed(1);
    let call = |rng: &mut Rng| match rng.u8(..3) {
        0 => CounterCall::Read("k".into()),
        _ => CounterCall::Add("k".into(), rng.i64(-1..=2)),
    };
    let answer = |rng: &mut Rng, state: &i64, call: &CounterCall| {
        let error = if rng.u8(..4) == 0 { rng.i64(-1..=1) } else { 0 };
        match call {
            CounterCall::Read(_) => state + error,
            CounterCall::Add(_, amount) => state + amount + error,
        }
    };
    let count = 4_000;
    let linearizable = agreements(&Counter, count, || draw(&Counter, rng, call, answer));
    assert!((count / 5..count * 4 / 5).contains(&linearizable), "{linearizable} of {count}");
}
