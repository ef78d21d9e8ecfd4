//! The replicas that a fault hits, among those that are up when it begins.

use super::cluster::Cluster;
use super::plan::Target;
use crate::replica::Replica;

impl Cluster {
    pub(super) fn resolve(&mut self, target: Target) -> Option<usize> {
        match target {
            Target::Replica(at) => (at < self.servers.len()).then_some(at),
            Target::Leader => self.leader(),
            Target::Follower => {
                let leader = self.leader();
                let followers: Vec<usize> = self.living().filter(|&at| Some(at) != leader).collect();
                self.rng.choice(followers)
            }
            Target::Any => {
                let living: Vec<usize> = self.living().collect();
                self.rng.choice(living)
            }
        }
    }

    /// The leader of the latest term that has a leader.
    pub(super) fn leader(&self) -> Option<usize> {
        let nodes = self.servers.iter().map(|server| server.replica().map(Replica::node));
        let leaders = nodes.enumerate().filter_map(|(at, node)| Some((at, node.filter(|n| n.is_leader())?)));
        leaders.max_by_key(|(_, node)| node.hard_state().current_term).map(|(at, _)| at)
    }

    /// The replicas that are up.
    fn living(&self) -> impl Iterator<Item = usize> {
        (0..self.servers.len()).filter(|&at| self.servers[at].replica().is_some())
    }

    /// All replicas in an order that is drawn, those that are down last. So they only fill up a side
    /// of a partition when too few live: a majority that cannot elect a leader would test nothing.
    pub(super) fn shuffled(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        self.rng.shuffle(&mut order);
        order.sort_by_key(|&at| self.servers[at].replica().is_none());
        order
    }
}
