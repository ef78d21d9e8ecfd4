//! The trait that tells the checker what an object does.

use std::hash::Hash;

/// A sequential object: the answers that it gives, and the states that it takes, when operations
/// come one at a time.
///
/// The checker asks a model for nothing else. [`models`](crate::models) has two of them, and the
/// documentation of the crate shows how to write another one.
pub trait Model {
    /// The request of a client.
    type Call;
    /// The answer to a request.
    type Answer;
    /// Everything on which later answers depend. Equal states have the same future.
    type State: Clone + Eq + Hash;
    /// The name of one part of the object.
    type Key: Clone + Eq + Hash;

    /// The part of the object that this call reads and writes.
    ///
    /// Calls with different keys must not influence each other's answers. Then the checker judges
    /// each key alone, which takes far less time: a history is linearizable if each key's part of
    /// it is (Herlihy and Wing 1990, theorem 1). An object that has no such parts has one key,
    /// `()`.
    fn key(&self, call: &Self::Call) -> Self::Key;

    /// The state of each key before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `call` has taken effect in `state` and has given `answer`. `None` if the
    /// object cannot give this answer in this state.
    ///
    /// `answer` is `None` if the client has seen no answer. Then any answer will do.
    fn step(
        &self,
        state: &Self::State,
        call: &Self::Call,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;

    /// Whether this call, if it gives this answer, leaves *every* state as it is.
    ///
    /// The checker then lets the operation take effect as early as it can, and may leave it out of
    /// a contradiction. `false` is always correct.
    fn is_read(&self, call: &Self::Call, answer: Option<&Self::Answer>) -> bool {
        let _ = (call, answer);
        false
    }

    /// The memory that a state owns outside of its own value, in bytes.
    ///
    /// [`Limits::memory`](crate::Limits::memory) bounds the memory of all states at one moment.
    /// Without this function it counts only the part of known size, so a search of states that own
    /// much can take more.
    fn state_bytes(&self, state: &Self::State) -> usize {
        let _ = state;
        0
    }

    /// The number of the value that a state is. Tasks of the search say by such numbers which values
    /// they need and make; only this crate makes tasks.
    #[doc(hidden)]
    fn value(&self, state: &Self::State) -> Option<usize> {
        let _ = state;
        None
    }
}
