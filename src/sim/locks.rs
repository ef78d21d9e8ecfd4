//! Clients that hold locks.
//!
//! ```text
//!  acquire   set lock-0 to the owner if absent, with a deadline; read its revision in the same batch
//!            -> the revision is the fencing token
//!  work      set work-0 to a value with the token, if lock-0 has not changed since the token
//!  release   delete lock-0 if it has the value of the owner
//! ```
//!
//! A lock may expire before its owner works, because the owner waits for answers or the clocks jump.
//! Another client may have the lock then. The watch refuses the work of the first one: that is the
//! fence. The rule "locks are fenced" says whether it holds.

use fastrand::Rng;

use super::operations::{self, Task};
use crate::bytes::Bytes;
use crate::command::{Batch, Command, Watch};
use crate::operation::{Condition, Deadline, Expiry, Operation, Revision, Set};
use crate::reply::Reply;

/// The number of locks.
const LOCKS: usize = 2;

/// How long a lock lives at most, in milliseconds: as long as some requests take.
const LONGEST_MS: i64 = 2_000;

/// How often a client works under one lock at most.
const MOST_WORK: u8 = 3;

/// The request of a client that wants or holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It wants the lock.
    Acquire {
        /// The number of the lock.
        lock: usize,
        /// How often it will work.
        times: u8,
    },
    /// It works under the lock.
    Work {
        /// The number of the lock.
        lock: usize,
        /// The lock's value.
        owner: Bytes,
        /// The fencing token.
        token: Revision,
        /// How often it will work after that.
        times: u8,
    },
    /// It gives the lock back.
    Release,
}

fn lock_key(lock: usize) -> Bytes {
    format!("lock-{lock}").into()
}

fn task(watches: Vec<Watch>, operations: Vec<Operation>, step: Step) -> Task {
    let command = Command::Batch(Batch { watches, operations });
    Task { command, step: operations::Step::Lock(step) }
}

/// A client tries to get a lock.
pub(super) fn acquire(rng: &mut Rng) -> Task {
    let (lock, times) = (rng.usize(0..LOCKS), rng.u8(1..=MOST_WORK));
    let key = lock_key(lock);
    let expiry = Expiry::Set(Deadline::After(rng.i64(1..LONGEST_MS)));
    let set = Set { condition: Some(Condition::Absent), expiry, ..Set::new(key.clone(), "") };
    let operations = vec![Operation::Set(set), Operation::Revision { key }];
    task(Vec::new(), operations, Step::Acquire { lock, times })
}

fn work(lock: usize, owner: Bytes, token: Revision, times: u8) -> Task {
    let watches = vec![Watch { key: lock_key(lock), unchanged_since: token }];
    let operations = vec![Operation::set(format!("work-{lock}"), "")];
    task(watches, operations, Step::Work { lock, owner, token, times })
}

/// The request that follows on this answer: the client has the lock, or has worked under it.
pub(super) fn next(step: Step, command: &Command, reply: &Reply) -> Option<Task> {
    match step {
        Step::Acquire { lock, times } => {
            let (owner, token) = acquired(command, reply)?;
            Some(work(lock, owner, token, times - 1))
        }
        Step::Work { lock, owner, token, times } => match reply {
            Reply::Array(_) if times > 0 => Some(work(lock, owner, token, times - 1)),
            Reply::Array(_) => {
                let operation = Operation::DeleteIfEqual { key: lock_key(lock), value: owner };
                Some(Task { command: operation.into(), step: operations::Step::Lock(Step::Release) })
            }
            _ => None, // the lock was lost
        },
        Step::Release => None,
    }
}

/// The value and the token of a lock that this client has now.
fn acquired(command: &Command, reply: &Reply) -> Option<(Bytes, Revision)> {
    let [Operation::Set(set), _] = command.operations() else { return None };
    let Reply::Array(replies) = reply else { return None };
    let [Reply::Ok, Reply::Integer(token)] = replies[..] else { return None };
    Some((set.value.clone(), Revision::try_from(token).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_works_under_its_lock_and_gives_it_back() {
        let mut task = acquire(&mut Rng::with_seed(1));
        operations::stamp(&mut task.command, &"owner".into());
        let mut replies = vec![Reply::Array(vec![Reply::Ok, Reply::Integer(7)])];
        let mut work = 0;
        loop {
            let operations::Step::Lock(step) = task.step.clone() else { panic!("{task:?}") };
            let reply = replies.pop().unwrap_or_else(|| Reply::Array(vec![Reply::Ok]));
            let nil = next(step.clone(), &task.command, &Reply::Nil);
            let Some(then) = next(step.clone(), &task.command, &reply) else { break };
            assert!(nil.is_none(), "a client without the lock stops");
            if let Command::Batch(Batch { watches, .. }) = &then.command {
                assert_eq!(watches[0].unchanged_since, 7, "the token is the revision of the lock");
                work += 1;
            }
            task = then;
        }
        assert!(work > 0);
        let Command::One(Operation::DeleteIfEqual { value, .. }) = task.command else { panic!("{task:?}") };
        assert_eq!(value, "owner".into());
    }
}
