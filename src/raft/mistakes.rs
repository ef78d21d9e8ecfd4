//! Planted bugs that take more than a line. No replica makes these mistakes.

use super::leader::Leader;
use super::message::{AppendEntriesResponse, AppendOutcome};
use super::progress::Progress;
use crate::id::Id;

#[cfg(any(test, feature = "planted-bugs"))]
use super::node::{Node, Role};
#[cfg(any(test, feature = "planted-bugs"))]
use super::types::Command;
#[cfg(any(test, feature = "planted-bugs"))]
use crate::planted::Bug;

impl Leader {
    /// An answer that says nothing new counts for another follower.
    pub(super) fn count_twice(&mut self, from: Id, response: AppendEntriesResponse) {
        let AppendOutcome::Matched { match_index } = response.outcome else { return };
        let known = self.followers.get(&from).is_some_and(|progress| progress.match_index == match_index);
        let mut others = self.followers.values_mut();
        if known && let Some(other) = others.find(|progress| progress.match_index < match_index) {
            other.matched(match_index);
        }
    }

    /// An answer counts also for one that was asked, did not answer in time, and is no longer asked.
    pub(super) fn count_replaced(&mut self, response: AppendEntriesResponse) {
        let AppendOutcome::Matched { match_index } = response.outcome else { return };
        let is_replaced = |progress: &&mut Progress| progress.is_late() && progress.goal < match_index;
        if let Some(other) = self.followers.values_mut().find(is_replaced) {
            other.matched(match_index);
        }
    }
}

#[cfg(any(test, feature = "planted-bugs"))]
impl<C: Command> Node<C> {
    /// What a leader knows of its followers is kept when it steps down.
    pub(super) fn keep_followers(&mut self) {
        if self.planted(Bug::ResumesLeadership)
            && let Role::Leader(leader) = &mut self.role
        {
            self.followers_before = std::mem::take(&mut leader.followers);
        }
    }

    /// It is taken for true when the same replica is elected again.
    pub(super) fn resume_followers(&mut self) {
        let last_index = self.log.last_index();
        let Role::Leader(leader) = &mut self.role else { return };
        for (id, before) in std::mem::take(&mut self.followers_before) {
            if let Some(progress) = leader.followers.get_mut(&id) {
                progress.matched(before.match_index.min(last_index));
                progress.next_index = before.next_index.min(last_index + 1);
            }
        }
    }
}
