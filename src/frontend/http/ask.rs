//! Questions for the store, and the wait for their answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::command::Command;
use crate::frontend::store::{Freshness, Question, Store};
use crate::request::{Outcome, RequestId};

/// The store, as the requests of one server ask it.
#[derive(Clone)]
pub(super) struct Asker {
    store: Arc<dyn Store>,
    limit: Duration,
}

impl Asker {
    /// Asks this store, and waits so long for each answer.
    pub fn new(store: Arc<dyn Store>, limit: Duration) -> Self {
        Self { store, limit }
    }

    /// Asks a question. An outcome that does not come in time is unknown: the store may still do the
    /// command.
    async fn ask(&self, question: Question) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let deliver = move |outcome| {
            // The request may have been given up meanwhile.
            let _given_up = answer.send(outcome);
        };
        self.store.ask(question, Box::new(deliver));
        match timeout(self.limit, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Outcome::Unknown,
        }
    }

    /// Asks for a read.
    pub async fn read(&self, command: impl Into<Command>, freshness: Freshness) -> Outcome {
        self.ask(Question { command: command.into(), name: None, freshness }).await
    }

    /// Asks for a write.
    pub async fn write(&self, command: Command, name: Option<RequestId>) -> Outcome {
        self.ask(Question { command, name, freshness: Freshness::Linearizable }).await
    }
}
