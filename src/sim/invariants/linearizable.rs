//! Linearizability: one store that performs one operation at a time could have given all answers.
//! Each operation takes effect between its request and its answer (Herlihy and Wing, 1990).

use linearizability::Limits;
use linearizability::key_value::{self, Contradiction, Verdict};

use super::Violation;
use crate::micros::Micros;
use crate::sim::clients::{Asked, Clients};

const NAME: &str = "linearizability";

/// Judges the history that the clients have seen until now.
pub(super) fn check(now: Micros, clients: &Clients) -> Result<(), Violation> {
    match key_value::check(&clients.history(), Limits::default()) {
        Verdict::Linearizable => Ok(()),
        Verdict::NotLinearizable(contradiction) => {
            let last = last_answer(&contradiction, clients);
            let (at_us, replica) = last.unwrap_or((now, None));
            Err(Violation::new(NAME, at_us, replica, format!("\n{contradiction}")))
        }
        Verdict::Undecided { key, operations, .. } => {
            let detail = format!("undecided for the {operations} operations on {key}");
            Err(Violation::new(NAME, now, None, detail))
        }
    }
}

/// The time of the last answer in a contradiction, and its replica. Without that answer there is no
/// contradiction.
fn last_answer(contradiction: &Contradiction, clients: &Clients) -> Option<(Micros, Option<usize>)> {
    let answered = contradiction.operations.iter().filter(|operation| operation.returned.is_some());
    let asked = answered.filter_map(|operation| clients.named(&operation.name));
    asked.filter_map(|asked: &Asked| Some((asked.returned?, asked.answered_by))).max()
}
