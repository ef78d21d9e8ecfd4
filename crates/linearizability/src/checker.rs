//! The checker for any model: it judges each key of a history alone.

use std::collections::HashMap;

use crate::contradiction::{self, Contradiction, Smallest};
use crate::limits::{Budget, Exhausted};
use crate::search::{Effect, Finding, Task, Traits, search};
use crate::{Limits, Model, Operation, Verdict};

/// The work that shrinking a contradiction may take, beside that of so many searches of the whole.
const LEAST_WORK: u64 = 1_000_000;
const SEARCHES: u64 = 12;

/// The verdict of [`check`] for a model.
pub type VerdictOf<'a, M> = Verdict<<M as Model>::Key, ContradictionOf<'a, M>>;

/// The contradiction that [`check`] finds for a model.
pub type ContradictionOf<'a, M> =
    Contradiction<'a, <M as Model>::Key, <M as Model>::Call, <M as Model>::Answer>;

/// Judges a history, in any order, of any keys.
///
/// The checker looks at the keys in order of first appearance. It stops at the first key that is
/// not linearizable. Each key may spend the whole `limits`, and as much again to shrink a
/// contradiction. The same history always gets the same verdict.
///
/// The search takes exponential time in the worst case, most of all in the number of pending
/// operations. [`key_value::check`](crate::key_value::check) is far faster on histories of puts and
/// gets.
pub fn check<'a, M: Model>(
    model: &M,
    history: &'a [Operation<M::Call, M::Answer>],
    limits: Limits,
) -> VerdictOf<'a, M> {
    let mut undecided = None;
    for (key, places) in by_key(model, history) {
        let tasks: Vec<Task<'a, M::Call, M::Answer>> =
            places.iter().map(|&place| task(model, &history[place])).collect();
        match judge(model, &tasks, limits) {
            Ok(None) => {}
            Ok(Some(found)) => {
                let place = |task: usize| (places[task], &history[places[task]]);
                return Verdict::NotLinearizable(Contradiction {
                    key,
                    operations: found.tasks.into_iter().map(place).collect(),
                    refused: places[found.refused],
                    order: found.order.into_iter().map(|task| places[task]).collect(),
                });
            }
            Err(exhausted) => {
                undecided.get_or_insert((key, places.len(), exhausted));
            }
        }
    }
    match undecided {
        Some((key, operations, exhausted)) => Verdict::Undecided { key, operations, exhausted },
        None => Verdict::Linearizable,
    }
}

/// Judges one part of a history. Finds its contradiction, if it has one.
pub fn judge<M: Model>(
    model: &M,
    tasks: &[Task<'_, M::Call, M::Answer>],
    limits: Limits,
) -> Result<Option<Smallest>, Exhausted> {
    let mut budget = Budget::new(limits);
    match search(model, tasks, &mut budget) {
        Finding::Explained => Ok(None),
        Finding::Contradiction(last) => {
            let spent = limits.work - budget.work;
            let work = LEAST_WORK.saturating_add(SEARCHES.saturating_mul(spent));
            let budget = Budget { work: work.min(limits.work), ..budget };
            Ok(Some(contradiction::smallest(model, tasks, last, budget)))
        }
        Finding::Undecided(exhausted) => Err(exhausted),
    }
}

/// The places of each key's operations, keys in order of first appearance. Pending reads are left
/// out: they say nothing.
fn by_key<M: Model>(model: &M, history: &[Operation<M::Call, M::Answer>]) -> Vec<(M::Key, Vec<usize>)> {
    let mut numbers: HashMap<M::Key, usize> = HashMap::new();
    let mut keys: Vec<(M::Key, Vec<usize>)> = Vec::new();
    for (place, operation) in history.iter().enumerate() {
        if operation.answer().is_none() && model.is_read(&operation.call, None) {
            continue;
        }
        let key = model.key(&operation.call);
        let number = *numbers.entry(key.clone()).or_insert(keys.len());
        if number == keys.len() {
            keys.push((key, Vec::new()));
        }
        keys[number].1.push(place);
    }
    keys
}

pub fn task<'a, M: Model>(
    model: &M,
    operation: &'a Operation<M::Call, M::Answer>,
) -> Task<'a, M::Call, M::Answer> {
    let (call, answer) = (&operation.call, operation.answer());
    let effect = if model.is_read(call, answer) { Effect::Nothing } else { Effect::Any };
    let (invoked, end) = (operation.invoked, operation.latest_effect());
    Task { call, answer, invoked, end, traits: Traits { effect, ..Traits::default() } }
}
