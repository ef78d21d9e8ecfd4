//! The leader's own disk. A leader stores an entry as a follower does, and counts itself once its
//! disk has the entry (dissertation, 10.2.1). So it watches its disk as it watches a follower. A
//! disk that is slower than the followers' answers does not count, and the leader asks one follower
//! more at once. So a disk that hangs delays no write.

use std::collections::BTreeMap;

use super::leader::Leader;
use super::node::{Node, Role};
use super::progress::Progress;
use super::types::{Command, Index};
use crate::id::Id;
use crate::micros::Micros;

/// A leader's view of its own disk.
#[derive(Debug, Default)]
pub(super) struct OwnDisk {
    writing: Option<(Index, Micros)>, // the measured write: its last entry, and the time when it was handed out
    is_late: bool,                    // whether the last measured write took longer than an answer
}

impl OwnDisk {
    /// Notes the disk's progress. A write may take `limit_us`, which is asked for only if there is
    /// one.
    fn watch(
        &mut self,
        last_index: Index,
        durable_index: Index,
        now: Micros,
        limit_us: impl FnOnce() -> Micros,
    ) {
        if let Some((index, since)) = self.writing {
            let is_done = durable_index >= index;
            let is_over = now >= since + limit_us();
            self.is_late = is_over || (self.is_late && !is_done);
            self.writing = self.writing.filter(|_| !is_done);
        }
        if self.writing.is_none() && durable_index < last_index {
            self.writing = Some((last_index, now));
        }
    }

    /// The time at which the present write becomes late, if there is one.
    fn deadline(&self, limit_us: impl FnOnce() -> Micros) -> Option<Micros> {
        self.writing.filter(|_| !self.is_late).map(|(_, since)| since + limit_us())
    }
}

/// The time that the slowest responsive follower may take to answer; the leader's own disk may take
/// as long.
fn disk_limit_us(followers: &BTreeMap<Id, Progress>) -> Micros {
    let responsive = followers.values().filter(|progress| progress.is_responsive());
    responsive.map(Progress::answer_limit_us).max().unwrap_or(Micros::MAX / 2)
}

impl Leader {
    /// The time at which the leader's own disk becomes too late to count.
    pub(super) fn own_disk_deadline(&self) -> Option<Micros> {
        self.own_disk.deadline(|| disk_limit_us(&self.followers))
    }
}

impl<C: Command> Node<C> {
    /// The number of followers that must store the latest entry. They are a quorum with the leader,
    /// or without it if its own disk is late.
    pub(super) fn wanted_followers(&mut self) -> usize {
        let (last_index, durable_index) = (self.log.last_index(), self.log.durable_index());
        let quorum = self.configuration.quorum();
        let Role::Leader(leader) = &mut self.role else { return quorum };
        let Leader { own_disk, followers, .. } = leader;
        own_disk.watch(last_index, durable_index, self.now, || disk_limit_us(followers));
        quorum - usize::from(durable_index >= last_index || !leader.own_disk.is_late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Cluster, SETTINGS, id, put};

    /// A cluster of five in which the disk of 1, the leader, hangs from now on.
    fn led_by_1_whose_disk_hangs() -> Cluster {
        let mut cluster = Cluster::new(5, 1, SETTINGS);
        cluster.timeout(id(1));
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        cluster.slow_disks = true;
        cluster
    }

    /// Delivers all messages to replicas whose disks work.
    fn stabilize(cluster: &mut Cluster) {
        loop {
            cluster.stabilize();
            (2..=5).for_each(|number| cluster.sync(id(number)));
            if cluster.network.is_empty() {
                return;
            }
        }
    }

    fn is_committed(cluster: &Cluster) -> bool {
        let leader = &cluster.nodes[&id(1)];
        leader.commit_index() == leader.log().last_index()
    }

    #[test]
    fn leader_asks_one_follower_more_when_its_own_disk_is_late() {
        let mut cluster = led_by_1_whose_disk_hangs();
        cluster.step(id(1), [put("k", "v")]);
        assert_eq!(cluster.network.len(), 2);
        stabilize(&mut cluster);
        assert!(!is_committed(&cluster));
        let asked_at = cluster.now;
        cluster.timeout(id(1));
        assert_eq!(cluster.network.len(), 1);
        stabilize(&mut cluster);
        assert!(is_committed(&cluster));
        let waited_us = cluster.now - asked_at;
        assert!(waited_us < 10_000, "{waited_us}");
    }

    #[test]
    fn late_disk_does_not_count_until_a_write_is_in_time() {
        let mut cluster = led_by_1_whose_disk_hangs();
        let mut asks_for = |works_again: bool| {
            if works_again {
                cluster.sync(id(1));
            }
            cluster.step(id(1), [put("k", "v")]);
            let asked = cluster.network.len();
            stabilize(&mut cluster);
            cluster.elapse(10_000, true);
            stabilize(&mut cluster);
            if works_again {
                cluster.sync(id(1));
            }
            assert!(is_committed(&cluster));
            asked
        };
        assert_eq!([asks_for(false), asks_for(false)], [2, 3]);
        assert_eq!(asks_for(true), 3, "the write that hung took too long");
    }

    #[test]
    fn disk_is_late_from_a_write_beyond_its_limit_to_one_in_time() {
        let mut disk = OwnDisk::default();
        disk.watch(1, 0, 100, || 50);
        assert_eq!(disk.deadline(|| 50), Some(150));
        disk.watch(2, 0, 149, || 50);
        assert!(!disk.is_late);
        disk.watch(2, 0, 150, || 50);
        assert!(disk.is_late && disk.deadline(|| 50).is_none());
        disk.watch(2, 1, 170, || 50);
        assert!(disk.is_late, "it took too long");
        disk.watch(2, 2, 180, || 50);
        assert!(!disk.is_late);
        assert_eq!(disk.deadline(|| 50), None, "nothing is being written");
    }
}
