//! Linearizability: what all clients saw together could have come from one store that does one thing at a
//! time, each between its request and its answer (Herlihy and Wing, 1990).

use crate::history::{self, Verdict};
use crate::sim::clients::Clients;

pub(super) const NAME: &str = "linearizability";

pub(super) fn check(clients: &Clients) -> Result<(), String> {
    match history::check(&clients.history(), history::DEFAULT_BUDGET) {
        Verdict::Linearizable => Ok(()),
        Verdict::NotLinearizable(contradiction) => Err(format!("\n{contradiction}")),
        Verdict::OutOfBudget { key, operations } => {
            Err(format!("undecided for the {operations} operations on {key}"))
        }
    }
}
