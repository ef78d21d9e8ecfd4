//! Requests that repeat others: the retries of a history must fit the attempts before them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Malformed, ReadError, Type};
use crate::text::legible;

/// The part of a line that its retries must fit.
pub struct Request {
    pub line: usize,
    /// `None` for a transaction.
    pub key: Option<Arc<str>>,
    pub of_type: Type,
    pub invoked: u64,
    pub answered: Option<u64>,
    pub retry_of: Option<Arc<str>>,
}

/// All requests by their IDs.
#[derive(Default)]
pub struct Requests {
    all: HashMap<Arc<str>, Request>,
    retries: Vec<Arc<str>>, // the IDs of requests that repeat others, in order of lines
}

impl Requests {
    pub fn contains(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    pub fn insert(&mut self, name: Arc<str>, request: Request) {
        if request.retry_of.is_some() {
            self.retries.push(Arc::clone(&name));
        }
        self.all.insert(name, request);
    }

    /// Checks all retries when the history is complete, since the lines may be in any order.
    pub fn check(&self) -> Result<(), ReadError> {
        for name in &self.retries {
            let retry = &self.all[name];
            let fits = self.check_retry(retry);
            fits.map_err(|reason| ReadError::Malformed { line: retry.line, reason })?;
        }
        self.check_cycles()
    }

    fn check_retry(&self, retry: &Request) -> Result<(), Malformed> {
        let Some(name) = retry.retry_of.as_deref() else { return Ok(()) };
        let earlier = self.all.get(name).ok_or_else(|| Malformed::UnknownAttempt(legible(name)))?;
        if earlier.key != retry.key {
            Err(Malformed::OtherKey(legible(name)))
        } else if earlier.of_type != retry.of_type {
            Err(Malformed::OtherType(legible(name)))
        } else if earlier.answered.unwrap_or(earlier.invoked) > retry.invoked {
            Err(Malformed::LateAttempt(legible(name)))
        } else {
            Ok(())
        }
    }

    /// The times rule out all cycles but those of a single moment.
    fn check_cycles(&self) -> Result<(), ReadError> {
        let mut ends_somewhere: HashSet<&str> = HashSet::new();
        for name in &self.retries {
            let mut chain: HashSet<&str> = HashSet::new();
            let mut next: Option<&str> = Some(name);
            while let Some(name) = next.filter(|&name| !ends_somewhere.contains(name)) {
                let request = &self.all[name];
                if !chain.insert(name) {
                    let earlier = legible(request.retry_of.as_deref().unwrap_or_default());
                    let reason = Malformed::CyclicAttempts(earlier);
                    return Err(ReadError::Malformed { line: request.line, reason });
                }
                next = request.retry_of.as_deref();
            }
            ends_somewhere.extend(chain);
        }
        Ok(())
    }
}
