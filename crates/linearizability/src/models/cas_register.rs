//! Registers with compare-and-set.

use crate::Model;

/// Registers, one for each key, which clients read, write, and compare and set.
///
/// A register that was never written has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CasRegister;

/// The requests to a [`CasRegister`]. The first field of each is the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasCall {
    /// Asks for the value.
    Read(String),
    /// Sets the value to the second field.
    Write(String, String),
    /// Sets the value to the third field if it is the second one; `None` is the value of a register
    /// that was never written.
    CompareAndSet(String, Option<String>, String),
}

/// The answers of a [`CasRegister`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasAnswer {
    /// To a read: the value, or `None` if the register was never written.
    Value(Option<String>),
    /// To a write.
    Written,
    /// To a compare-and-set: whether it has set the value.
    Swapped(bool),
}

impl Model for CasRegister {
    type Call = CasCall;
    type Answer = CasAnswer;
    type State = Option<String>;
    type Key = String;

    fn key(&self, call: &CasCall) -> String {
        let (CasCall::Read(key) | CasCall::Write(key, _) | CasCall::CompareAndSet(key, ..)) = call;
        key.clone()
    }

    fn initial(&self) -> Option<String> {
        None
    }

    fn step(
        &self,
        state: &Option<String>,
        call: &CasCall,
        answer: Option<&CasAnswer>,
    ) -> Option<Option<String>> {
        let (next, own) = match call {
            CasCall::Read(_) => (state.clone(), CasAnswer::Value(state.clone())),
            CasCall::Write(_, value) => (Some(value.clone()), CasAnswer::Written),
            CasCall::CompareAndSet(_, expected, value) if expected == state => {
                (Some(value.clone()), CasAnswer::Swapped(true))
            }
            CasCall::CompareAndSet(..) => (state.clone(), CasAnswer::Swapped(false)),
        };
        answer.is_none_or(|answer| *answer == own).then_some(next)
    }

    fn is_read(&self, call: &CasCall, answer: Option<&CasAnswer>) -> bool {
        matches!((call, answer), (CasCall::Read(_), _) | (_, Some(CasAnswer::Swapped(false))))
    }
}
