//! The checker agrees with one that tries every order, on drawn histories of each kind of command.
//! Half of them have one thing wrong: a reply, or the times of two operations.
//!
//! `cargo test` takes two thousand histories of each kind. `COMMAND_DRAWS=50000 cargo test --release
//! -p linearizability brute_force -- --nocapture` takes more, and `HISTORY_SEED` chooses them.

use fastrand::Rng;

use super::draw::{KINDS, draw, spoil};
use super::object::{Store, perform};
use super::*;
use crate::tests::from_environment;

/// Whether some order explains these operations. It tries each operation that no other one precedes
/// as the next one, and each key that may end, and may leave out operations without an answer.
fn some_order_explains(operations: &[Operation], clock_difference: Duration) -> bool {
    let told = operations.iter().filter(|operation| !matches!(operation.outcome, Outcome::Aborted { .. }));
    let left: Vec<(&Operation, u64)> =
        told.map(|operation| (operation, latest_effect(operations, operation))).collect();
    explains(&Store::new(), 0, &left, clock_difference)
}

/// `now` is the earliest moment of the next event.
fn explains(store: &Store, now: u64, left: &[(&Operation, u64)], clock_difference: Duration) -> bool {
    if left.iter().all(|(operation, _)| operation.returned().is_none()) {
        return true;
    }
    let key_ends = store.iter().any(|(key, living)| {
        let Some((from, to)) = living.end else { return false };
        let mut others = store.clone();
        others.remove(key);
        let now = now.max(from);
        now <= to.min(last_moment(&others, left)) && explains(&others, now, left, clock_difference)
    });
    let operation_is_next = |place: usize| {
        let (operation, latest) = left[place];
        let others = [&left[..place], &left[place + 1..]].concat();
        let now = now.max(operation.invoked);
        if now > latest.min(last_moment(store, &others)) {
            return false;
        }
        let window = |ttl: Duration| {
            let [shortest, longest] = [ttl.saturating_sub(clock_difference), ttl + clock_difference]
                .map(|ttl| ttl.as_nanos() as u64);
            (operation.invoked + shortest, latest.saturating_add(longest))
        };
        let mut next = store.clone();
        let replies = perform(&mut next, operation, window);
        let is_right = match (replies, operation.replies()) {
            (Some(replies), Some(seen)) => looks_like(&replies, seen),
            (None, Some(_)) => false,
            (_, None) => true,
        };
        is_right && explains(&next, now, &others, clock_difference)
    };
    key_ends || (0..left.len()).any(operation_is_next)
}

/// The last moment of the next event: then another operation returns, or a key has ended.
fn last_moment(store: &Store, left: &[(&Operation, u64)]) -> u64 {
    let returns = left.iter().filter(|(operation, _)| operation.returned().is_some()).map(|&(_, end)| end);
    let ends = store.values().filter_map(|living| Some(living.end?.1));
    returns.chain(ends).min().unwrap_or(u64::MAX)
}

fn looks_like(replies: &[Reply], seen: &[Reply]) -> bool {
    let same = |(reply, seen): (&Reply, &Reply)| match seen {
        Reply::Empty => [Reply::Value(None), Reply::Value(Some("".into()))].contains(reply),
        _ => reply == seen,
    };
    replies.len() == seen.len() && replies.iter().zip(seen).all(same)
}

/// The last moment at which an operation can take effect. Follows every answered attempt back to
/// it.
pub fn latest_effect(operations: &[Operation], operation: &Operation) -> u64 {
    let repeats = |later: &&Operation| {
        let mut attempt = *later;
        while let Some(before) = &attempt.retry_of {
            if *before == operation.name {
                return true;
            }
            match operations.iter().find(|other| other.name == *before) {
                Some(other) => attempt = other,
                None => return false,
            }
        }
        false
    };
    let is_declined = matches!(operation.outcome, Outcome::Declined(_));
    let later = operations.iter().filter(|later| is_declined && !later.is_get()).filter(repeats);
    later.filter_map(Operation::returned).chain(operation.returned()).min().unwrap_or(u64::MAX)
}

/// Whether a history is linearizable. The checker and brute force agree on it, and on the
/// contradiction.
fn agreed(operations: &[Operation], clock_difference: Duration) -> bool {
    let explained = some_order_explains(operations, clock_difference);
    match check(operations, clock_difference, Limits::default()) {
        Verdict::Linearizable => assert!(explained, "{clock_difference:?} {operations:#?}"),
        Verdict::NotLinearizable(found) => {
            assert!(!explained, "{clock_difference:?} {operations:#?}\n{found}");
            assert!(!some_order_explains(&found.operations, clock_difference), "{operations:#?}\n{found}");
        }
        Verdict::Undecided { .. } => panic!("so few operations cost next to nothing"),
    }
    explained
}

#[test]
fn checker_agrees_with_brute_force_on_drawn_histories_of_each_kind() {
    let count = from_environment("COMMAND_DRAWS", 2_000);
    let seed = from_environment("HISTORY_SEED", 1) as u64;
    for kind in KINDS {
        let rng = &mut Rng::with_seed(seed);
        let mut refused = 0;
        for number in 0..count {
            let clock_difference = rng.u64(..4);
            let mut operations = draw(rng, kind, clock_difference);
            let is_spoilt = number % 2 == 1;
            if is_spoilt {
                spoil(rng, &mut operations);
            }
            let is_linearizable = agreed(&operations, Duration::from_nanos(clock_difference));
            assert!(is_linearizable || is_spoilt, "an execution had this history: {operations:#?}");
            refused += usize::from(!is_linearizable);
        }
        println!("{count} histories of {} from seed {seed}, {refused} of them not linearizable", kind.0);
        assert!(refused * 8 > count, "{refused} of {count}: {}", kind.0);
    }
}
