//! The search agrees with one that tries every order: on all histories of a few operations, and on
//! many drawn ones of a few more.
//!
//! `cargo test` takes four operations and some thousand draws. Two environment variables ask for
//! more, in a release build: `HISTORY_OPERATIONS=5 HISTORY_DRAWS=5000000 cargo test --release -p
//! linearizability brute_force` takes some minutes. `HISTORY_SEED` chooses the draws.

use fastrand::Rng;

use super::search::{Finding, search_from};
use super::*;
use crate::tests::from_environment;
use crate::{Model, Outcome};

/// Whether some order explains these operations. It tries each operation that no other one precedes
/// as the next one, and may leave out puts that are not acknowledged.
pub fn is_explained_by_some_order(operations: &[Operation]) -> bool {
    let left: Vec<(&Operation, u64)> =
        operations.iter().map(|operation| (operation, latest_effect(operations, operation))).collect();
    some_order_explains("", 0, &left)
}

/// `now` is the latest invocation of the operations so far.
fn some_order_explains(state: &str, now: u64, left: &[(&Operation, u64)]) -> bool {
    if left.iter().all(|(operation, _)| operation.returned.is_none()) {
        return true;
    }
    let first_end = left.iter().filter_map(|(operation, _)| operation.returned).min();
    (0..left.len()).any(|place| {
        let (operation, latest) = left[place];
        let is_late = first_end.is_some_and(|end| end < operation.invoked) || latest < now;
        let now = now.max(operation.invoked);
        let others = || [&left[..place], &left[place + 1..]].concat();
        match &operation.kind {
            _ if is_late => false,
            Kind::Get { value } => &**value == state && some_order_explains(state, now, &others()),
            Kind::Put { value } => some_order_explains(value, now, &others()),
        }
    })
}

/// The last moment at which an operation can take effect. Follows every acknowledged put back to
/// it.
pub fn latest_effect(operations: &[Operation], operation: &Operation) -> u64 {
    let find = |name: &str| operations.iter().find(|other| *other.name == *name);
    let repeats = |later: &Operation| {
        let mut attempt = later.retry_of.as_deref().and_then(find);
        // No chain is longer than the history.
        for _ in 0..operations.len() {
            match attempt {
                Some(earlier) if earlier.name == operation.name => return true,
                Some(earlier) => attempt = earlier.retry_of.as_deref().and_then(find),
                None => return false,
            }
        }
        false
    };
    let is_declined = operation.declined.is_some();
    let later = operations.iter().filter(|later| is_declined && !later.is_get() && repeats(later));
    later.filter_map(|later| later.returned).chain(operation.returned).min().unwrap_or(u64::MAX)
}

/// The kind of an operation, and its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Get,
    Put,
    Declined,
}

/// A history whose operations are numbered by time of invocation.
#[derive(Clone)]
struct Draft {
    times: Vec<(u64, u64)>, // of invocation and of return
    does: Vec<Does>,
    values: Vec<usize>,
    repeats: Vec<Option<usize>>, // the attempt before
}

impl Draft {
    fn operations(&self, texts: &[Arc<str>]) -> Vec<Operation> {
        let operation = |n: usize| {
            let (invoked, end) = self.times[n];
            let value = Arc::clone(&texts[self.values[n]]);
            let is_declined = self.does[n] == Does::Declined;
            let declined = Declined { with: Refusal::Redirect, at: Some(invoked) };
            Operation {
                name: Arc::clone(&texts[n + 1]),
                client: Arc::clone(&texts[0]),
                key: Arc::clone(&texts[0]),
                kind: if self.does[n] == Does::Get { Kind::Get { value } } else { Kind::Put { value } },
                invoked,
                returned: (!is_declined).then_some(end),
                declined: is_declined.then_some(declined),
                retry_of: self.repeats[n].map(|before| Arc::clone(&texts[before + 1])),
            }
        };
        (0..self.times.len()).map(operation).collect()
    }
}

/// Value 0 is the empty text, the others are letters.
fn texts() -> Vec<Arc<str>> {
    ["", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"].map(Arc::from).to_vec()
}

/// The same object for the checker of any model.
struct PutGet;

impl Model for PutGet {
    type Call = Kind;
    type Answer = ();
    type State = Arc<str>;
    type Key = ();

    fn key(&self, _: &Kind) {}

    fn initial(&self) -> Arc<str> {
        "".into()
    }

    fn step(&self, state: &Arc<str>, call: &Kind, _: Option<&()>) -> Option<Arc<str>> {
        match call {
            Kind::Put { value } => Some(Arc::clone(value)),
            Kind::Get { value } => (value == state).then(|| Arc::clone(state)),
        }
    }

    fn is_read(&self, call: &Kind, _: Option<&()>) -> bool {
        matches!(call, Kind::Get { .. })
    }
}

fn is_linearizable_for_the_model(operations: &[Operation]) -> bool {
    let convert = |operation: &Operation| {
        let until = Some(latest_effect(operations, operation)).filter(|&until| until < u64::MAX);
        crate::Operation {
            client: Arc::clone(&operation.client),
            call: operation.kind.clone(),
            invoked: operation.invoked,
            outcome: match operation.returned {
                Some(at) => Outcome::Returned { at, answer: () },
                None => Outcome::Pending { until },
            },
        }
    };
    let history: Vec<crate::Operation<Kind, ()>> = operations.iter().map(convert).collect();
    crate::check(&PutGet, &history, Limits::default()) == crate::Verdict::Linearizable
}

fn assert_agreement(operations: &[Operation]) -> bool {
    let all: Vec<&Operation> = operations.iter().collect();
    let expected = is_explained_by_some_order(operations);
    // So few operations have few configurations, but not when one must do.
    for width in [1, 16] {
        let found = search_from(width, &all, &mut Budget::new(Limits::default()));
        assert!(!matches!(found, Finding::Undecided(_)), "{operations:#?}");
        assert_eq!(found == Finding::Explained, expected, "{operations:#?}");
    }
    expected
}

/// All ways to order the invocations and returns of so many operations: each invocation comes
/// before its return, and the invocations come in order.
fn all_times(count: usize) -> Vec<Vec<(u64, u64)>> {
    let mut all = Vec::new();
    let mut times = vec![(0, 0); count];
    extend_times(&mut times, 0, 0, &mut all);
    all
}

fn extend_times(times: &mut Vec<(u64, u64)>, invoked: usize, now: u64, all: &mut Vec<Vec<(u64, u64)>>) {
    let count = times.len();
    if now as usize == 2 * count {
        all.push(times.clone());
        return;
    }
    if invoked < count {
        times[invoked] = (now, 0);
        extend_times(times, invoked + 1, now + 1, all);
    }
    for open in (0..invoked).filter(|&open| times[open].1 == 0).collect::<Vec<usize>>() {
        times[open].1 = now;
        extend_times(times, invoked, now + 1, all);
        times[open].1 = 0;
    }
}

/// Calls `see` with this draft, in all ways to choose the operations from `n` on.
fn extend(draft: &mut Draft, n: usize, values: usize, see: &mut impl FnMut(&Draft)) {
    if n == draft.times.len() {
        see(draft);
        return;
    }
    let (invoked, end) = draft.times[n];
    for does in [Does::Get, Does::Put, Does::Declined] {
        // A declined put has no return, so one of its ends stands for all.
        if does == Does::Declined && end != invoked + 1 {
            continue;
        }
        draft.does[n] = does;
        // The values come in order, so that no two histories differ only by their names.
        for value in 0..=values {
            draft.values[n] = value;
            let values = values.max(value + 1);
            draft.repeats[n] = None;
            extend(draft, n + 1, values, see);
            if does == Does::Get {
                continue;
            }
            for before in
                (0..n).filter(|&before| draft.does[before] == Does::Declined).collect::<Vec<usize>>()
            {
                draft.repeats[n] = Some(before);
                extend(draft, n + 1, values, see);
            }
        }
    }
}

#[test]
fn search_agrees_with_brute_force_on_all_small_histories() {
    let count = from_environment("HISTORY_OPERATIONS", 4);
    let texts = texts();
    let (mut linearizable, mut all) = (0_u64, 0_u64);
    for times in all_times(count) {
        let mut draft =
            Draft { does: vec![Does::Get; count], values: vec![0; count], repeats: vec![None; count], times };
        extend(&mut draft, 0, 1, &mut |draft| {
            all += 1;
            linearizable += u64::from(assert_agreement(&draft.operations(&texts)));
        });
    }
    println!("{all} histories of {count} operations, {linearizable} of them linearizable");
    assert!(all > 0 && linearizable * 5 > all && linearizable < all);
}

/// A history of up to nine operations: crowded or sparse, of few values or many, with ties. Some of
/// them come from an execution, but for an answer or two.
fn draw(rng: &mut Rng) -> Draft {
    let count = rng.usize(2..=9);
    let (span, length, kinds) = (rng.u64(4..40), rng.u64(1..30), rng.usize(1..=4));
    let (gets, declined) = (rng.f64(), rng.f64() * 0.7);
    let mut times: Vec<(u64, u64)> = Vec::new();
    for _ in 0..count {
        let invoked = rng.u64(..span);
        times.push((invoked, invoked + rng.u64(..length)));
    }
    times.sort_unstable();
    let mut draft = Draft { times, does: Vec::new(), values: Vec::new(), repeats: vec![None; count] };
    for n in 0..count {
        let does = match (rng.f64() < gets, rng.f64() < declined) {
            (true, _) => Does::Get,
            (false, true) => Does::Declined,
            (false, false) => Does::Put,
        };
        let open: Vec<usize> = (0..n).filter(|&before| draft.does[before] == Does::Declined).collect();
        draft.repeats[n] = if does == Does::Get || rng.bool() { None } else { rng.choice(open) };
        draft.does.push(does);
        draft.values.push(rng.usize(..=kinds));
    }
    if rng.bool() {
        answer(&mut draft, rng);
    }
    draft
}

/// Lets each operation take effect at a moment between its invocation and its end, and gives most
/// gets the value of that moment.
fn answer(draft: &mut Draft, rng: &mut Rng) {
    let texts = texts();
    let operations = draft.operations(&texts);
    let mut effects: Vec<(u64, usize)> = Vec::new();
    for (n, operation) in operations.iter().enumerate() {
        let latest = latest_effect(&operations, operation).min(80);
        if operation.returned.is_some() || (latest >= operation.invoked && rng.u8(..4) > 0) {
            effects.push((rng.u64(operation.invoked..=latest), n));
        }
    }
    effects.sort_unstable();
    let mut state = 0;
    for (_, n) in effects {
        match draft.does[n] {
            Does::Get if rng.u8(..12) > 0 => draft.values[n] = state,
            Does::Get => {}
            Does::Put | Does::Declined => state = draft.values[n],
        }
    }
}

#[test]
fn search_for_any_model_agrees_with_brute_force_on_drawn_histories() {
    let mut rng = Rng::with_seed(2);
    let texts = texts();
    for _ in 0..4_000 {
        let operations = draw(&mut rng).operations(&texts);
        let expected = is_explained_by_some_order(&operations);
        assert_eq!(is_linearizable_for_the_model(&operations), expected, "{operations:#?}");
    }
}

#[test]
fn search_agrees_with_brute_force_on_drawn_histories() {
    let count = from_environment("HISTORY_DRAWS", 20_000);
    let seed = from_environment("HISTORY_SEED", 1) as u64;
    let mut rng = Rng::with_seed(seed);
    let texts = texts();
    let linearizable = (0..count).filter(|_| assert_agreement(&draw(&mut rng).operations(&texts))).count();
    println!("{count} drawn histories from seed {seed}, {linearizable} of them linearizable");
    assert!(linearizable * 5 > count && linearizable * 5 < count * 4);
}
