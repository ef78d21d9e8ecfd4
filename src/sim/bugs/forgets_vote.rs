//! The vote is missing on the disk of a replica that restarts.

use super::Adapter;
use crate::replication::PersistentState;

#[derive(Debug)]
pub(super) struct ForgetsVote;

impl Adapter for ForgetsVote {
    fn start(&mut self, saved: &mut PersistentState) {
        saved.hard_state.voted_for = None;
    }
}
