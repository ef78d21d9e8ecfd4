//! Counters.

use crate::Model;

/// Counters, one for each key, which start at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter;

/// The requests to a [`Counter`], each of which is answered with the number that the counter then
/// has. The first field of each is the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CounterCall {
    /// Asks for the number.
    Read(String),
    /// Adds the second field.
    Add(String, i64),
}

impl Model for Counter {
    type Call = CounterCall;
    type Answer = i64;
    type State = i64;
    type Key = String;

    fn key(&self, call: &CounterCall) -> String {
        let (CounterCall::Read(key) | CounterCall::Add(key, _)) = call;
        key.clone()
    }

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, call: &CounterCall, answer: Option<&i64>) -> Option<i64> {
        let next = match call {
            CounterCall::Read(_) => *state,
            CounterCall::Add(_, amount) => state.wrapping_add(*amount),
        };
        answer.is_none_or(|&answer| answer == next).then_some(next)
    }

    fn is_read(&self, call: &CounterCall, _: Option<&i64>) -> bool {
        matches!(call, CounterCall::Read(_))
    }
}
