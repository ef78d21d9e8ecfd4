//! The search against one that tries everything, on histories small enough for that.

use proptest::prelude::*;

use super::*;

/// Whether some order explains these operations: every operation that no other one precedes is tried next, and
/// puts of unknown outcome may be left over.
fn is_explained_by_some_order(state: &str, left: &[Operation]) -> bool {
    if left.iter().all(|operation| operation.returned.is_none()) {
        return true;
    }
    let first_end = left.iter().filter_map(|operation| operation.returned).min();
    (0..left.len()).any(|place| {
        let operation = &left[place];
        let is_late = first_end.is_some_and(|end| end < operation.invoked);
        let others = || [&left[..place], &left[place + 1..]].concat();
        match &operation.kind {
            _ if is_late => false,
            Kind::Get { value } => &**value == state && is_explained_by_some_order(state, &others()),
            Kind::Put { value } => is_explained_by_some_order(value, &others()),
        }
    })
}

fn is_linearizable(operations: &[Operation]) -> bool {
    match check(operations, DEFAULT_BUDGET) {
        Verdict::Linearizable => true,
        Verdict::NotLinearizable(_) => false,
        Verdict::OutOfBudget { .. } => panic!("so few operations cannot cost so many steps"),
    }
}

/// What is drawn for one operation: put or get, value, start, duration, and whether it is answered.
type Draw = (bool, u8, u64, u64, bool);

fn draws(values: u8, span: u64, length: u64) -> impl Strategy<Value = Vec<Draw>> {
    let draw = (any::<bool>(), 0..values, 0..span, 0..length, prop::bool::weighted(0.8));
    prop::collection::vec(draw, 1..9)
}

/// Few values, so that many puts write the same; 0 is the empty text.
fn operation(place: usize, (is_get, value, invoked, length, is_answered): Draw) -> Operation {
    let value: Arc<str> = if value == 0 { "".into() } else { value.to_string().into() };
    let kind = if is_get { Kind::Get { value } } else { Kind::Put { value } };
    let returned = Some(invoked + length).filter(|_| is_get || is_answered);
    Operation { name: place.to_string().into(), client: "c".into(), key: "k".into(), kind, invoked, returned }
}

fn operations(draws: Vec<Draw>) -> Vec<Operation> {
    draws.into_iter().enumerate().map(|(place, draw)| operation(place, draw)).collect()
}

/// Any history: now crowded, now sparse, with many values or few.
fn any_history() -> impl Strategy<Value = Vec<Operation>> {
    let shapes = prop_oneof![Just((2, 12, 10)), Just((3, 20, 12)), Just((3, 30, 30)), Just((4, 8, 8))];
    shapes.prop_flat_map(|(values, span, length)| draws(values, span, length)).prop_map(operations)
}

/// A history that some execution had: each operation takes effect somewhere between its invocation and its
/// return, an unanswered put perhaps long after or never.
fn real_history() -> impl Strategy<Value = Vec<Operation>> {
    let moments = (0..40u64, 0..10u64, 0..10u64, 0..60u64);
    let draw = (draws(4, 40, 10), prop::collection::vec(moments, 9));
    draw.prop_map(|(draws, moments)| {
        let mut effects: Vec<(u64, Operation)> = Vec::new();
        for (place, (draw, (invoked, before, after, late))) in draws.into_iter().zip(moments).enumerate() {
            let mut operation = operation(place, draw);
            let effect = if operation.returned.is_some() { invoked + before } else { invoked + late };
            operation.invoked = invoked;
            operation.returned = operation.returned.map(|_| effect + after);
            effects.push((effect, operation));
        }
        effects.sort_by_key(|&(effect, _)| effect);
        let mut state: Arc<str> = "".into();
        for (effect, operation) in &mut effects {
            match &mut operation.kind {
                Kind::Get { value } => *value = Arc::clone(&state),
                Kind::Put { .. } if operation.returned.is_none() && *effect > 80 => {} // never
                Kind::Put { value } => state = Arc::clone(value),
            }
        }
        effects.into_iter().map(|(_, operation)| operation).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_search_finds_an_order_if_there_is_one(operations in any_history()) {
        prop_assert_eq!(is_linearizable(&operations), is_explained_by_some_order("", &operations));
    }

    #[test]
    fn what_has_happened_is_linearizable(operations in real_history()) {
        prop_assert!(is_linearizable(&operations));
    }

    #[test]
    fn a_changed_answer_is_refused_if_nothing_explains_it(
        mut operations in real_history(),
        place in any::<prop::sample::Index>(),
        other in 0..4u8,
    ) {
        let place = place.index(operations.len());
        if let Kind::Get { value } = &mut operations[place].kind {
            *value = other.to_string().into();
        }
        prop_assert_eq!(is_linearizable(&operations), is_explained_by_some_order("", &operations));
    }

    /// What is shown is part of the history and contradicts itself, and nothing of it can be spared but puts that
    /// a get may have read.
    #[test]
    fn a_contradiction_is_real_and_without_ballast(operations in any_history()) {
        if let Verdict::NotLinearizable(found) = check(&operations, DEFAULT_BUDGET) {
            prop_assert!(found.operations.iter().all(|operation| operations.contains(operation)));
            prop_assert!(!is_explained_by_some_order("", &found.operations));
            for place in 0..found.operations.len() {
                let mut fewer = found.operations.clone();
                let one = fewer.remove(place);
                let may_have_read = |get: &Operation| {
                    get.is_get() && get.value() == one.value() && get.returned >= Some(one.invoked)
                };
                if one.is_get() || !fewer.iter().any(may_have_read) {
                    prop_assert!(is_explained_by_some_order("", &fewer));
                }
            }
        }
    }
}

#[test]
fn both_verdicts_are_common_among_the_histories_that_are_compared() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut draw = || any_history().new_tree(&mut runner).expect("a history").current();
    let linearizable = (0..1_000).filter(|_| is_linearizable(&draw())).count();
    assert!((200..800).contains(&linearizable), "{linearizable} of 1000");
}
