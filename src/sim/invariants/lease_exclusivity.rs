//! Lease exclusivity: at every instant of true time, at most one replica may serve a read without a
//! round of messages.

use super::{Invariant, Knowledge, Observation};
use crate::micros::Micros;
use crate::sim::server::Server;

#[derive(Debug)]
pub(super) struct LeaseExclusivity {
    until: Vec<Micros>, // per replica, in true time; it changes in its own batches only
}

impl LeaseExclusivity {
    pub(super) fn new(replicas: usize) -> Self {
        Self { until: vec![0; replicas] }
    }
}

impl Invariant for LeaseExclusivity {
    fn name(&self) -> &'static str {
        "lease exclusivity"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let (at, now) = (moment.at, moment.now);
        self.until[at] = moment.servers[at].leased_until().unwrap_or(0);
        let leased = |until: &Micros| *until > now;
        if !leased(&self.until[at]) {
            return Ok(());
        }
        match (0..self.until.len()).find(|&other| other != at && leased(&self.until[other])) {
            Some(other) => {
                let (own, until) = (self.until[at], self.until[other]);
                Err(format!("its lease lasts until {own} us, that of {other:04X} until {until} us"))
            }
            None => Ok(()),
        }
    }

    fn crashed(&mut self, _: Micros, at: usize, _: &[Server]) {
        self.until[at] = 0;
    }
}
