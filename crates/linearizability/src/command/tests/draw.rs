//! Drawn histories of executions, and one change to a history.

use fastrand::Rng;

use super::brute_force::latest_effect;
use super::object::{Living, Store, perform};
use super::*;

/// A kind of histories: a name, the number of keys, and a command.
pub type Drawn = (&'static str, usize, fn(&mut Rng) -> Command);

/// The kinds of histories.
pub const KINDS: [Drawn; 8] = [
    ("compare-and-set", 1, |rng| match rng.u8(..4) {
        0 | 1 => Command::Get,
        2 => Command::set(text(rng)),
        _ => Command::cas(rng.bool().then(|| text(rng)), text(rng)),
    }),
    ("delete", 1, |rng| match rng.u8(..5) {
        0 | 1 => Command::Get,
        2 => Command::set(text(rng)),
        3 => Command::delete(),
        _ => Command::Delete { when: When::Is(text(rng).into()) },
    }),
    ("counter", 1, |rng| match rng.u8(..8) {
        0 | 1 => Command::Get,
        2 => Command::set(["7", "a"][rng.usize(..2)]),
        _ => Command::Increment { by: rng.i64(-1..=2) },
    }),
    ("append", 1, |rng| match rng.u8(..6) {
        0 | 1 => Command::Get,
        2 => Command::set(text(rng)),
        _ => Command::Append { value: ["", "a", "bb"][rng.usize(..3)].into() },
    }),
    ("set if absent", 1, |rng| match rng.u8(..6) {
        0 | 1 => Command::Get,
        2 => Command::delete(),
        _ => Command::Set { value: text(rng).into(), when: condition(rng), ttl: Ttl::Unlimited },
    }),
    ("expiry", 1, |rng| match rng.u8(..10) {
        0..4 => Command::Get,
        4 => Command::Expire { ttl: time_to_live(rng) },
        5 => Command::Persist,
        6 => Command::delete(),
        7 => Command::Set { value: text(rng).into(), when: condition(rng), ttl: lifetime(rng) },
        _ => Command::Set { value: text(rng).into(), when: When::Always, ttl: lifetime(rng) },
    }),
    ("transactions", 3, |rng| match rng.u8(..6) {
        0 | 1 => Command::Get,
        2 => Command::set(text(rng)),
        3 => Command::cas(rng.bool().then(|| text(rng)), text(rng)),
        4 => Command::delete(),
        _ => Command::Increment { by: 1 },
    }),
    ("all commands", 3, |rng| {
        let (_, _, command) = KINDS[rng.usize(..7)];
        command(rng)
    }),
];

fn text(rng: &mut Rng) -> &'static str {
    ["", "a", "1"][rng.usize(..3)]
}

fn condition(rng: &mut Rng) -> When {
    let own = text(rng).into();
    match rng.u8(..6) {
        0 => When::Present,
        1 => When::Is(own),
        2 => When::AbsentOr(own),
        3 => When::IsNot(own),
        _ => When::Absent,
    }
}

fn time_to_live(rng: &mut Rng) -> Duration {
    Duration::from_nanos(rng.u64(1..15))
}

fn lifetime(rng: &mut Rng) -> Ttl {
    match rng.u8(..6) {
        0 => Ttl::Unlimited,
        1 => Ttl::Keep,
        _ => Ttl::After(time_to_live(rng)),
    }
}

/// The moment at which an operation takes effect; `None` for never.
type Effect = Option<u64>;

/// A history of up to six operations of this kind, as an execution could have had it.
pub fn draw(rng: &mut Rng, (_, keys, command): Drawn, clock_difference: u64) -> Vec<Operation> {
    let (span, length) = (rng.u64(2..40), rng.u64(1..20));
    let mut operations: Vec<Operation> = Vec::new();
    let mut effects: Vec<(Effect, u64, usize)> = Vec::new(); // with the moment of the return
    for place in 0..rng.usize(1..=6) {
        let invoked = rng.u64(..span);
        let count = if keys > 1 && rng.bool() { rng.usize(1..=3) } else { 1 };
        let commands: Vec<_> =
            (0..count).map(|_| (["k", "j", "i"][rng.usize(..keys)], command(rng))).collect();
        let mut operation = Operation::transaction(place.to_string(), "c", commands, invoked);
        let (before, after) = (rng.u64(..length), rng.u64(..length));
        let mut effect = Some(invoked + before);
        if rng.u8(..5) == 0 {
            if rng.bool() {
                operation = operation.declined(Refusal::Redirect, Some(invoked + before));
            }
            effect = rng.bool().then(|| invoked + rng.u64(..2 * span));
        } else {
            // The replies come when the operation takes effect.
            operation = operation.replied_all(invoked + before + after, []);
        }
        operations.push(operation);
        effects.push((effect, invoked + before + after, place));
    }
    retry(rng, &mut operations);
    execute(rng, &mut operations, effects, clock_difference, keys > 1);
    operations
}

/// Lets some operations repeat declined ones.
fn retry(rng: &mut Rng, operations: &mut [Operation]) {
    for place in 0..operations.len() {
        let Outcome::Declined(Declined { at: Some(at), .. }) = operations[place].outcome else { continue };
        let later = (0..operations.len()).filter(|&later| {
            let Operation { invoked, retry_of, .. } = &operations[later];
            later != place && *invoked > at && retry_of.is_none()
        });
        if let Some(later) = rng.choice(later.collect::<Vec<_>>()).filter(|_| rng.u8(..4) > 0) {
            operations[later].commands = operations[place].commands.clone();
            operations[later].retry_of = Some(Arc::clone(&operations[place].name));
        }
    }
}

fn execute(
    rng: &mut Rng,
    operations: &mut [Operation],
    mut effects: Vec<(Effect, u64, usize)>,
    clock_difference: u64,
    may_watch: bool,
) {
    effects.sort_unstable();
    let mut store = Store::new();
    for (effect, at, place) in effects {
        let latest = latest_effect(operations, &operations[place]);
        let Some(effect) = effect.filter(|&effect| effect <= latest) else { continue };
        store.retain(|_, living: &mut Living| living.end.is_none_or(|(end, _)| end > effect));
        let mut operation = operations[place].clone();
        if may_watch && rng.u8(..4) == 0 {
            let key: Arc<str> = ["k", "j", "i"][rng.usize(..3)].into();
            let value = store.get(&key).map(|living| living.value.as_str());
            operation = operation.clone().watching(key, value.filter(|_| rng.u8(..4) > 0));
        }
        let skew = rng.u64(..=2 * clock_difference);
        let end = |ttl: Duration| {
            let end = (effect + ttl.as_nanos() as u64 + skew).saturating_sub(clock_difference).max(effect);
            (end, end)
        };
        let replies = perform(&mut store, &operation, end);
        operations[place] = match (replies, operation.returned()) {
            (Some(replies), Some(_)) => {
                let blank = [Reply::Value(None), Reply::Value(Some("".into()))];
                let is_blank = rng.u8(..4) == 0;
                let seen = replies.into_iter();
                let seen =
                    seen.map(|reply| if is_blank && blank.contains(&reply) { Reply::Empty } else { reply });
                operation.replied_all(at, seen.collect::<Vec<_>>())
            }
            (None, Some(_)) => operation.aborted(at),
            (_, None) => operation,
        };
    }
}

/// Changes one reply, or lets two operations change their times.
pub fn spoil(rng: &mut Rng, operations: &mut [Operation]) {
    if rng.u8(..4) == 0 {
        let is_alone = |operation: &Operation| {
            operation.retry_of.is_none() && matches!(operation.outcome, Outcome::Replied { .. })
        };
        let (one, other) = (rng.usize(..operations.len()), rng.usize(..operations.len()));
        let [one, other] =
            [one, other].map(|place| Some(place).filter(|&place| is_alone(&operations[place])));
        if let (Some(one), Some(other)) = (one, other) {
            let times = [one, other].map(|place| (operations[place].invoked, operations[place].returned()));
            for (place, (invoked, returned)) in [(one, times[1]), (other, times[0])] {
                operations[place].invoked = invoked;
                if let (Outcome::Replied { at, .. }, Some(returned)) =
                    (&mut operations[place].outcome, returned)
                {
                    *at = returned;
                }
            }
            return;
        }
    }
    let replies: Vec<&mut Reply> = (operations.iter_mut())
        .filter_map(|operation| match &mut operation.outcome {
            Outcome::Replied { replies, .. } => Some(replies),
            _ => None,
        })
        .flatten()
        .collect();
    if let Some(reply) = rng.choice(replies) {
        *reply = match reply {
            Reply::Value(_) | Reply::Empty => {
                Reply::Value([None, Some("a".into()), Some("1".into())][rng.usize(..3)].clone())
            }
            Reply::Done(is_done) => Reply::Done(!*is_done),
            Reply::Number(number) => Reply::Number(*number + [-1, 1][rng.usize(..2)]),
            Reply::Refused => Reply::Number(0),
        };
    }
}
