//! Linearizability: one store that performs one operation at a time could have given all answers.
//! Each operation takes effect between its request and its answer (Herlihy and Wing, 1990).

use linearizability::{Limits, Verdict, command, key_value};

use super::Violation;
use crate::micros::Micros;
use crate::sim::clients::{Asked, Clients};
use crate::sim::history;

/// How much the judge of commands may spend on keys that are judged together: some milliseconds.
const COMMAND_LIMITS: Limits = Limits { memory: 20_000_000, work: 200_000 };

pub(in crate::sim) const NAME: &str = "linearizability";

/// Judges the history that the clients have seen until now, of replicas whose wall clocks differed
/// by so much at most. Returns whether the judge came to its end. It must, if clients only put and
/// get. Many requests without an answer on keys that share batches take it too long. The rule
/// "answers in order" has judged their answers, too, with knowledge of the log.
pub(super) fn check(now: Micros, clients: &Clients, clock_difference_ms: u64) -> Result<bool, Violation> {
    if clients.only_put_and_get() {
        check_values(now, clients)
    } else {
        check_commands(now, clients, clock_difference_ms)
    }
}

fn check_commands(now: Micros, clients: &Clients, clock_difference_ms: u64) -> Result<bool, Violation> {
    let difference = history::clock_difference(clock_difference_ms);
    match command::check(&clients.history_of_commands(), difference, COMMAND_LIMITS) {
        Verdict::Linearizable => Ok(true),
        Verdict::Undecided { .. } => Ok(false),
        Verdict::NotLinearizable(contradiction) => {
            let answered = contradiction.operations.iter().filter(|operation| operation.returned().is_some());
            let last = last_answer(answered.map(|operation| &*operation.name), clients);
            let (at_us, replica) = last.unwrap_or((now, None));
            Err(Violation::new(NAME, at_us, replica, format!("\n{contradiction}")))
        }
    }
}

fn check_values(now: Micros, clients: &Clients) -> Result<bool, Violation> {
    match key_value::check(&clients.history(), Limits::default()) {
        Verdict::Linearizable => Ok(true),
        Verdict::NotLinearizable(contradiction) => {
            let answered = contradiction.operations.iter().filter(|operation| operation.returned.is_some());
            let last = last_answer(answered.map(|operation| &*operation.name), clients);
            let (at_us, replica) = last.unwrap_or((now, None));
            Err(Violation::new(NAME, at_us, replica, format!("\n{contradiction}")))
        }
        Verdict::Undecided { key, operations, .. } => {
            let detail = format!("undecided for the {operations} operations on {key}");
            Err(Violation::new(NAME, now, None, detail))
        }
    }
}

/// The time of the last answer to these requests of a contradiction, and its replica. Without that
/// answer there is no contradiction.
fn last_answer<'a>(
    names: impl Iterator<Item = &'a str>,
    clients: &Clients,
) -> Option<(Micros, Option<usize>)> {
    let asked = names.filter_map(|name| clients.named(name));
    asked.filter_map(|asked: &Asked| Some((asked.returned?, asked.answered_by))).max()
}
