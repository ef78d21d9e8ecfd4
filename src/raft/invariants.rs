//! What must hold of every replica after every batch, and of all replicas of a cluster together
//! (paper, figure 3). The core asserts the first on itself in debug builds; tests check both.

use std::collections::BTreeMap;

use super::node::Node;
use super::types::{Index, Term};
use crate::id::Id;

/// A broken invariant, in words.
pub type Violation = String;

/// What one replica can know of itself.
pub fn check(node: &Node) -> Result<(), Violation> {
    let last_index = node.log.last_index();
    if node.commit_index > last_index {
        return Err(format!("{} committed {} but its log ends at {last_index}", node.id, node.commit_index));
    }
    if node.log.last_term() > node.hard_state.current_term {
        return Err(format!("{} has an entry of term {}", node.id, node.log.last_term()));
    }
    if node.is_leader() && node.hard_state.voted_for != Some(node.id) {
        return Err(format!("{} leads term {} without its own vote", node.id, node.hard_state.current_term));
    }
    let mut neighbours = node.log.entries().windows(2);
    if let Some(pair) =
        neighbours.find(|pair| pair[1].index != pair[0].index + 1 || pair[1].term < pair[0].term)
    {
        return Err(format!("{} has {:?} before {:?}", node.id, pair[0], pair[1]));
    }
    Ok(())
}

/// What holds across a cluster, remembered from one check to the next.
#[derive(Debug, Default)]
pub struct ClusterInvariants {
    leaders: BTreeMap<Term, Id>,
    committed: BTreeMap<Index, Term>,
    seen: BTreeMap<Id, (Term, Index)>,
}

impl ClusterInvariants {
    /// Checks a cluster as it is now against all that was seen of it before.
    pub fn check<'a>(&mut self, nodes: impl Iterator<Item = &'a Node> + Clone) -> Result<(), Violation> {
        for node in nodes.clone() {
            check(node)?;
            self.check_monotone(node)?;
            self.check_election_safety(node)?;
            self.check_committed(node)?;
        }
        for node in nodes.clone() {
            self.check_leader_completeness(node)?;
            nodes.clone().try_for_each(|other| check_log_matching(node, other))?;
        }
        Ok(())
    }

    /// A replica starts again: what it had committed it has to learn anew.
    pub fn restarted(&mut self, id: Id) {
        self.seen.remove(&id);
    }

    /// Terms and commit indexes never decrease.
    fn check_monotone(&mut self, node: &Node) -> Result<(), Violation> {
        let now = (node.hard_state.current_term, node.commit_index);
        let before = self.seen.insert(node.id, now).unwrap_or_default();
        if now.0 < before.0 || now.1 < before.1 {
            return Err(format!("{} went back from (term, commit) {before:?} to {now:?}", node.id));
        }
        Ok(())
    }

    /// Election safety: at most one leader in a term.
    fn check_election_safety(&mut self, node: &Node) -> Result<(), Violation> {
        if !node.is_leader() {
            return Ok(());
        }
        let term = node.hard_state.current_term;
        match *self.leaders.entry(term).or_insert(node.id) {
            leader if leader == node.id => Ok(()),
            leader => Err(format!("term {term} has two leaders, {leader} and {}", node.id)),
        }
    }

    /// State machine safety: an index is committed with one entry only, on whichever replica.
    fn check_committed(&mut self, node: &Node) -> Result<(), Violation> {
        let committed = |entry: &&super::types::Entry| entry.index <= node.commit_index;
        for entry in node.log.entries().iter().take_while(committed) {
            let term = *self.committed.entry(entry.index).or_insert(entry.term);
            if term != entry.term {
                let index = entry.index;
                return Err(format!(
                    "{index} was committed with term {term}, by {} with {}",
                    node.id, entry.term
                ));
            }
        }
        Ok(())
    }

    /// Leader completeness: the leader of the latest term has every entry that was committed.
    fn check_leader_completeness(&self, node: &Node) -> Result<(), Violation> {
        let latest =
            self.leaders.last_key_value().is_some_and(|(term, _)| *term == node.hard_state.current_term);
        if !latest || !node.is_leader() {
            return Ok(());
        }
        match self.committed.iter().find(|(index, term)| node.log.term_at(**index) != Some(**term)) {
            Some((index, term)) => Err(format!("leader {} lacks committed {index} of term {term}", node.id)),
            None => Ok(()),
        }
    }
}

/// Log matching: entries of the same index and term are the same, and so is all before them.
fn check_log_matching(a: &Node, b: &Node) -> Result<(), Violation> {
    let pairs = || a.log.entries().iter().zip(b.log.entries());
    let Some(agree) = pairs().rposition(|(x, y)| x.term == y.term) else { return Ok(()) };
    match pairs().take(agree + 1).find(|(x, y)| x != y) {
        Some((x, _)) => Err(format!("{} and {} differ at {} before {}", a.id, b.id, x.index, agree + 1)),
        None => Ok(()),
    }
}
