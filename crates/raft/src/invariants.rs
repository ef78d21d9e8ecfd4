//! The invariants of each replica after every batch, and of all replicas of a cluster together
//! (paper, figure 3). The core asserts those of one replica on itself in debug builds; tests check
//! both.

use std::collections::BTreeMap;

use super::log::Absent;
use super::node::{Node, Role};
use super::types::{Command, Entry, EntryId, Index, Term};
use crate::id::Id;

/// A broken invariant, in words.
pub type Violation = String;

/// Checks one replica by its own state. Of its log it checks the entries after `checked_to`:
/// earlier calls have checked the others, which have not changed since.
pub fn check<C: Command>(node: &Node<C>, checked_to: Index) -> Result<(), Violation> {
    let last_index = node.log.last_index();
    let (commit_index, known_committed) = (node.commit_index, node.known_committed);
    let base = node.log.base();
    if base.index > commit_index || commit_index > known_committed || known_committed > last_index {
        return Err(format!(
            "{} committed {commit_index}, knows of {known_committed}, and its log is {base} to {last_index}",
            node.id
        ));
    }
    if node.log.last_term() > node.hard_state.current_term {
        return Err(format!("{} has an entry of term {}", node.id, node.log.last_term()));
    }
    if node.is_leader() && node.hard_state.voted_for != Some(node.id) {
        return Err(format!("{} leads term {} without its own vote", node.id, node.hard_state.current_term));
    }
    if let Some(leader) = node.leader().filter(|_| node.failed_campaigns > 0) {
        // Otherwise the first attempt after this leader's end would wait as long as the last of
        // many.
        return Err(format!("{} counts {} failed campaigns under {leader}", node.id, node.failed_campaigns));
    }
    if let Role::Leader(leader) = &node.role {
        leader.check(last_index).map_err(|violation| format!("{}, of {violation}", node.id))?;
    }
    let unchecked = node.log.entries().partition_point(|entry| entry.index < checked_to);
    let base = Some(base).filter(|_| unchecked == 0);
    let ids = || base.into_iter().chain(node.log.entries()[unchecked..].iter().map(Entry::id));
    match ids().zip(ids().skip(1)).find(|(a, b)| b.index != a.index + 1 || b.term < a.term) {
        Some((a, b)) => Err(format!("{} has {a} before {b}", node.id)),
        None => Ok(()),
    }
}

/// Checks the invariants of a cluster, and remembers earlier states for the next check.
#[derive(Debug, Default)]
pub struct ClusterInvariants {
    leaders: BTreeMap<Term, Id>,
    committed: BTreeMap<Index, Term>,
    seen: BTreeMap<Id, (Term, Index)>,
}

impl ClusterInvariants {
    /// Checks the present state of a cluster against all earlier ones.
    pub fn check<'a, C: Command + 'a>(
        &mut self,
        nodes: impl Iterator<Item = &'a Node<C>> + Clone,
    ) -> Result<(), Violation> {
        for node in nodes.clone() {
            check(node, 0)?;
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

    /// A replica starts again, and has to learn its commit index anew.
    pub fn restarted(&mut self, id: Id) {
        self.seen.remove(&id);
    }

    /// Terms and commit indexes never decrease.
    fn check_monotone<C: Command>(&mut self, node: &Node<C>) -> Result<(), Violation> {
        let now = (node.hard_state.current_term, node.commit_index);
        let before = self.seen.insert(node.id, now).unwrap_or_default();
        if now.0 < before.0 || now.1 < before.1 {
            return Err(format!("{} went back from (term, commit) {before:?} to {now:?}", node.id));
        }
        Ok(())
    }

    /// Election safety: at most one leader in a term.
    fn check_election_safety<C: Command>(&mut self, node: &Node<C>) -> Result<(), Violation> {
        if !node.is_leader() {
            return Ok(());
        }
        let term = node.hard_state.current_term;
        match *self.leaders.entry(term).or_insert(node.id) {
            leader if leader == node.id => Ok(()),
            leader => Err(format!("term {term} has two leaders, {leader} and {}", node.id)),
        }
    }

    /// State machine safety: all replicas commit the same entry at an index.
    fn check_committed<C: Command>(&mut self, node: &Node<C>) -> Result<(), Violation> {
        let committed = |entry: &EntryId| entry.index <= node.commit_index;
        let base = Some(node.log.base()).filter(|base| base.index > 0);
        let entries = node.log.entries().iter().map(Entry::id).take_while(committed);
        for entry in base.into_iter().chain(entries) {
            let term = *self.committed.entry(entry.index).or_insert(entry.term);
            if term != entry.term {
                let EntryId { index, term: other } = entry;
                return Err(format!("{index} was committed with term {term}, by {} with {other}", node.id));
            }
        }
        Ok(())
    }

    /// Leader completeness: the leader of the latest term has every entry that was committed.
    fn check_leader_completeness<C: Command>(&self, node: &Node<C>) -> Result<(), Violation> {
        let latest =
            self.leaders.last_key_value().is_some_and(|(term, _)| *term == node.hard_state.current_term);
        if !latest || !node.is_leader() {
            return Ok(());
        }
        let has = |index: Index, term: Term| match node.log.term_at(index) {
            Ok(there) => there == term,
            Err(absent) => absent == Absent::Compacted,
        };
        match self.committed.iter().find(|(index, term)| !has(**index, **term)) {
            Some((index, term)) => Err(format!("leader {} lacks committed {index} of term {term}", node.id)),
            None => Ok(()),
        }
    }
}

/// Log matching: entries of the same index and term are the same, and so are all entries before
/// them.
fn check_log_matching<'a, C: Command>(a: &'a Node<C>, b: &'a Node<C>) -> Result<(), Violation> {
    let first = a.log.base().index.max(b.log.base().index) + 1;
    let from_first = |node: &'a Node<C>| {
        let skipped = first - node.log.base().index - 1;
        node.log.entries().iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX))
    };
    let pairs = || from_first(a).zip(from_first(b));
    let Some((agree, _)) = pairs().filter(|(x, y)| x.term == y.term).last() else { return Ok(()) };
    match pairs().take_while(|(x, _)| x.index <= agree.index).find(|(x, y)| x != y) {
        Some((x, _)) => Err(format!("{} and {} differ at {} before {}", a.id, b.id, x.index, agree.index)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Input;
    use crate::harness::{Cluster, Entry, Log, Node, SETTINGS, id, put};
    use crate::leader::Leader;
    use crate::types::Payload;

    fn log(entries: &[(Index, Term)]) -> Log {
        let entry = |&(index, term): &(Index, Term)| Entry { index, term, payload: Payload::Noop };
        Log::restore(EntryId::default(), entries.iter().map(entry).collect(), SETTINGS.weigh)
    }

    /// A cluster of three whose replicas 1, 2 and 3 have these logs, and are in term 9.
    fn cluster(logs: [&[(Index, Term)]; 3]) -> Cluster {
        let mut cluster = Cluster::new(3, 1, SETTINGS);
        for (number, entries) in (1..).zip(logs) {
            cluster.node(id(number)).log = log(entries);
            cluster.node(id(number)).hard_state.current_term = 9;
        }
        cluster
    }

    /// Makes a replica the leader of its term.
    fn lead(cluster: &mut Cluster, number: u16) {
        let node = cluster.node(id(number));
        node.hard_state.voted_for = Some(id(number));
        node.become_leader();
    }

    /// A replica has committed, and handed out, its log up to `index`.
    fn commit(cluster: &mut Cluster, number: u16, index: Index) {
        let node = cluster.node(id(number));
        (node.commit_index, node.known_committed) = (index, index);
    }

    fn check_own(change: impl Fn(&mut Node)) -> Result<(), Violation> {
        let mut cluster = cluster([&[(1, 1), (2, 3)], &[], &[]]);
        change(cluster.node(id(1)));
        check(&cluster.nodes[&id(1)], 0)
    }

    #[test]
    fn entry_that_was_checked_before_is_not_checked_again() {
        let entries = [(1, 1), (2, 3), (3, 2), (4, 4), (5, 4)];
        let cluster = cluster([&entries, &[], &[]]);
        let passes = |checked_to| check(&cluster.nodes[&id(1)], checked_to).is_ok();
        assert!(!passes(0) && !passes(1) && !passes(2), "3@2 follows 2@3");
        assert!(passes(3) && passes(5));
    }

    #[test]
    fn replica_that_breaks_an_invariant_of_its_own_is_refused() {
        assert_eq!(check_own(|_| ()), Ok(()));
        let commits = |commit_index, known_committed| {
            check_own(|node| (node.commit_index, node.known_committed) = (commit_index, known_committed))
        };
        assert_eq!((commits(1, 2), commits(2, 2)), (Ok(()), Ok(())));
        assert!(commits(2, 1).is_err() && commits(2, 3).is_err() && commits(3, 3).is_err());
        assert_eq!(check_own(|node| node.hard_state.current_term = 3), Ok(()));
        assert!(check_own(|node| node.hard_state.current_term = 2).is_err());
        assert!(check_own(|node| node.become_leader()).is_err());
        assert!(check_own(|node| node.log = log(&[(1, 1), (3, 1)])).is_err());
        assert!(check_own(|node| node.log = log(&[(1, 1), (1, 1)])).is_err());
        assert!(check_own(|node| node.log = log(&[(1, 2), (2, 1)])).is_err());
    }

    #[test]
    fn leader_checks_its_view_of_each_follower() {
        let check_leader = |change: &dyn Fn(&mut Leader)| {
            check_own(|node| {
                (node.hard_state.current_term, node.hard_state.voted_for) = (9, Some(id(1)));
                node.become_leader();
                let Role::Leader(leader) = &mut node.role else { unreachable!("it leads") };
                change(leader);
            })
        };
        assert_eq!(check_leader(&|_| ()), Ok(()));
        let match_all = |leader: &mut Leader, index| {
            leader.followers.values_mut().for_each(|progress| progress.matched(index));
        };
        assert_eq!(check_leader(&|leader| match_all(leader, 3)), Ok(()));
        assert!(check_leader(&|leader| match_all(leader, 4)).is_err());
    }

    fn check_all(cluster: &Cluster) -> Result<(), Violation> {
        ClusterInvariants::default().check(cluster.nodes.values())
    }

    #[test]
    fn term_and_commit_index_never_decrease_without_a_restart() {
        let mut cluster = cluster([&[(1, 1), (2, 1)], &[], &[]]);
        commit(&mut cluster, 1, 2);
        let mut invariants = ClusterInvariants::default();
        assert_eq!(invariants.check(cluster.nodes.values()), Ok(()));
        assert_eq!(invariants.check(cluster.nodes.values()), Ok(()));
        commit(&mut cluster, 1, 1);
        assert!(invariants.check(cluster.nodes.values()).is_err());
        cluster.node(id(2)).hard_state.current_term = 8;
        invariants.restarted(id(1));
        assert!(invariants.check(cluster.nodes.values()).is_err());
        invariants.restarted(id(2));
        assert_eq!(invariants.check(cluster.nodes.values()), Ok(()));
    }

    #[test]
    fn two_leaders_of_one_term_are_refused() {
        let mut cluster = cluster([&[], &[], &[]]);
        lead(&mut cluster, 1);
        assert_eq!(check_all(&cluster), Ok(()));
        lead(&mut cluster, 2);
        assert!(check_all(&cluster).is_err());
        cluster.node(id(2)).hard_state.current_term = 10;
        assert_eq!(check_all(&cluster), Ok(()));
    }

    #[test]
    fn two_committed_entries_at_one_index_are_refused() {
        let mut cluster = cluster([&[(1, 1), (2, 2)], &[(1, 1), (2, 3)], &[]]);
        commit(&mut cluster, 1, 2);
        commit(&mut cluster, 2, 1);
        assert_eq!(check_all(&cluster), Ok(()));
        commit(&mut cluster, 2, 2);
        assert!(check_all(&cluster).is_err());
    }

    #[test]
    fn latest_leader_without_a_committed_entry_is_refused() {
        let mut cluster = cluster([&[(1, 1), (2, 2)], &[(1, 1)], &[(1, 1)]]);
        commit(&mut cluster, 1, 2);
        cluster.node(id(2)).hard_state.current_term = 7;
        lead(&mut cluster, 2);
        lead(&mut cluster, 1);
        assert_eq!(check_all(&cluster), Ok(()), "2 leads an earlier term");
        cluster.node(id(2)).hard_state.current_term = 10;
        assert!(check_all(&cluster).is_err());
    }

    #[test]
    fn logs_that_agree_at_an_index_but_not_before_it_are_refused() {
        let agree = |logs| check_all(&cluster(logs)).is_ok();
        assert!(agree([&[(1, 1), (2, 2)], &[(1, 1), (2, 3)], &[(1, 1)]]));
        assert!(!agree([&[(1, 1), (2, 4)], &[(1, 2), (2, 4)], &[]]));
        assert!(agree([&[(1, 1), (2, 4)], &[(1, 2), (2, 5)], &[]]));
    }

    #[test]
    fn two_entries_of_one_index_and_term_are_refused() {
        let mut cluster = cluster([&[(1, 1)], &[], &[]]);
        let Input::Propose(command) = put("k", "v") else { unreachable!("a put is a proposal") };
        let other = Entry { index: 1, term: 1, payload: Payload::Command(command) };
        cluster.node(id(2)).log = Log::restore(EntryId::default(), vec![other], SETTINGS.weigh);
        assert!(check_all(&cluster).is_err());
    }
}
