//! The checker agrees with brute force on drawn histories, and its contradictions are as small as
//! they should be.

use proptest::prelude::*;

use super::brute_force::{is_explained_by_some_order, latest_effect};
use super::*;

fn is_linearizable(operations: &[Operation]) -> bool {
    match check(operations, Limits::default()) {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable(_) => false,
        Verdict::Undecided { .. } => panic!("so few operations cost next to nothing"),
    }
}

/// The draw for one operation: put or get, value, start, duration, whether it is acknowledged, and
/// whether a later put repeats it.
type Draw = (bool, u8, u64, u64, bool, bool);

fn draws(values: u8, span: u64, length: u64) -> impl Strategy<Value = Vec<Draw>> {
    let draw = (any::<bool>(), 0..values, 0..span, 0..length, prop::bool::weighted(0.75), any::<bool>());
    prop::collection::vec(draw, 1..9)
}

/// Few values, so that many puts write the same; 0 is the empty text.
fn operation(place: usize, (is_get, value, invoked, length, is_answered, is_retried): Draw) -> Operation {
    let value: Arc<str> = if value == 0 { "".into() } else { value.to_string().into() };
    let kind = if is_get { Kind::Get { value } } else { Kind::Put { value } };
    let returned = Some(invoked + length).filter(|_| is_get || is_answered);
    let is_declined = returned.is_none() && is_retried;
    let declined = Declined { with: Refusal::Redirect, at: Some(invoked) };
    Operation {
        name: place.to_string().into(),
        client: "c".into(),
        key: "k".into(),
        kind,
        invoked,
        returned,
        declined: is_declined.then_some(declined),
        retry_of: None,
    }
}

fn operations(draws: Vec<Draw>) -> Vec<Operation> {
    with_retries(draws.into_iter().enumerate().map(|(place, draw)| operation(place, draw)).collect())
}

/// Makes the next put after each declined put a retry of it, unless that put already is a retry.
fn with_retries(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut order: Vec<usize> = (0..operations.len()).filter(|&place| !operations[place].is_get()).collect();
    order.sort_by_key(|&place| operations[place].invoked);
    for (at, &earlier) in order.iter().enumerate() {
        let retry = order[at + 1..].iter().find(|&&later| operations[later].retry_of.is_none());
        if let Some(&later) = retry.filter(|_| operations[earlier].declined.is_some()) {
            operations[later].retry_of = Some(Arc::clone(&operations[earlier].name));
        }
    }
    operations
}

/// Any history: now crowded, now sparse, with many values or few.
fn any_history() -> impl Strategy<Value = Vec<Operation>> {
    let shapes = prop_oneof![Just((2, 12, 10)), Just((3, 20, 12)), Just((3, 30, 30)), Just((4, 8, 8))];
    shapes.prop_flat_map(|(values, span, length)| draws(values, span, length)).prop_map(operations)
}

/// A history of some execution: each operation takes effect between its invocation and its return,
/// a pending put perhaps long after its invocation or never.
fn real_history() -> impl Strategy<Value = Vec<Operation>> {
    let moments = (0..40u64, 0..10u64, 0..10u64, 0..60u64);
    let draw = (draws(4, 40, 10), prop::collection::vec(moments, 9));
    draw.prop_map(|(draws, moments)| {
        let mut effects = Vec::new();
        let mut operations = Vec::new();
        for (place, (draw, (invoked, before, after, late))) in draws.into_iter().zip(moments).enumerate() {
            let mut operation = operation(place, draw);
            let effect = if operation.returned.is_some() { invoked + before } else { invoked + late };
            operation.invoked = invoked;
            operation.returned = operation.returned.map(|_| effect + after);
            effects.push((effect, place));
            operations.push(operation);
        }
        let mut operations = with_retries(operations);
        effects.sort_unstable();
        let mut state: Arc<str> = "".into();
        for (effect, place) in effects {
            let latest = latest_effect(&operations, &operations[place]).min(80);
            let operation = &mut operations[place];
            match &mut operation.kind {
                Kind::Get { value } => *value = Arc::clone(&state),
                Kind::Put { .. } if operation.returned.is_none() && effect > latest => {} // never
                Kind::Put { value } => state = Arc::clone(value),
            }
        }
        operations
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn history_is_linearizable_exactly_if_some_order_explains_it(operations in any_history()) {
        prop_assert_eq!(is_linearizable(&operations), is_explained_by_some_order(&operations));
    }

    #[test]
    fn history_of_an_execution_is_linearizable(operations in real_history()) {
        prop_assert!(is_linearizable(&operations));
    }

    #[test]
    fn changed_answer_is_refused_exactly_if_no_order_explains_it(
        mut operations in real_history(),
        place in any::<prop::sample::Index>(),
        other in 0..4u8,
    ) {
        let place = place.index(operations.len());
        if let Kind::Get { value } = &mut operations[place].kind {
            *value = other.to_string().into();
        }
        prop_assert_eq!(is_linearizable(&operations), is_explained_by_some_order(&operations));
    }

    /// A contradiction is a part of the history and contradicts itself. It needs all of its
    /// operations but puts that a get may have read.
    #[test]
    fn contradiction_contradicts_itself_and_needs_each_operation(operations in any_history()) {
        if let Verdict::NotLinearizable(found) = check(&operations, Limits::default()) {
            prop_assert!(found.operations.iter().all(|operation| operations.contains(operation)));
            prop_assert!(!is_explained_by_some_order(&found.operations));
            for place in 0..found.operations.len() {
                let mut fewer = found.operations.clone();
                let one = fewer.remove(place);
                let may_have_read = |get: &Operation| {
                    get.is_get() && get.value() == one.value() && get.returned >= Some(one.invoked)
                };
                if one.is_get() || !fewer.iter().any(may_have_read) {
                    prop_assert!(is_explained_by_some_order(&fewer));
                }
            }
        }
    }
}

#[test]
fn drawn_histories_have_both_verdicts_often() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut draw = || any_history().new_tree(&mut runner).expect("a history").current();
    let linearizable = (0..1_000).filter(|_| is_linearizable(&draw())).count();
    assert!((200..800).contains(&linearizable), "{linearizable} of 1000");
}
