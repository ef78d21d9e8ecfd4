//! The facts for a connection: clock, cluster, other connections, memory.

use std::hash::{BuildHasher, RandomState};

use rustix::time::{ClockId, clock_gettime};

use super::super::facts::ClusterFacts;
use super::super::redis::facts::{Description, Facts, Member, Section};
use super::counters::ServerCounters;
use super::info;
use super::link::{Link, Links};
use super::options::ServerOptions;
use crate::clock::BootTime;

/// The surroundings of one connection while the server works on it.
pub(super) struct Surroundings<'a> {
    pub options: &'a ServerOptions,
    pub cluster: &'a dyn ClusterFacts,
    pub counters: &'a ServerCounters,
    pub links: &'a Links, // all but that of the connection
    pub port: u16,
    pub started: BootTime,
    pub has_memory: bool,
}

/// The wall clock, in microseconds since 1970.
pub(super) fn wall_clock_us() -> i64 {
    let time = clock_gettime(ClockId::Realtime);
    1_000_000 * time.tv_sec + time.tv_nsec / 1_000
}

impl Facts for Surroundings<'_> {
    fn now_us(&self) -> i64 {
        wall_clock_us()
    }

    fn random(&mut self) -> u64 {
        // The standard library takes the keys of its hash tables from the system.
        RandomState::new().hash_one(())
    }

    fn members(&self) -> Vec<Member> {
        members(self.cluster)
    }

    fn info(&self) -> Vec<Section> {
        info::sections(self)
    }

    fn configuration(&self) -> Vec<(String, String)> {
        info::configuration(self)
    }

    fn others(&self) -> Vec<Description> {
        let now_us = wall_clock_us();
        self.links.iter().map(|link: &Link| link.connection.describe(now_us)).collect()
    }

    fn has_memory(&self) -> bool {
        self.has_memory
    }

    fn is_full(&self) -> bool {
        self.cluster.view().is_full()
    }

    fn note_reply(&mut self, command: &'static str, since_us: i64) {
        let took_us = (wall_clock_us() - since_us).max(0).cast_unsigned();
        self.counters.note_reply(command, took_us);
    }
}

/// All replicas. This replica knows the progress of the others if it leads.
fn members(cluster: &dyn ClusterFacts) -> Vec<Member> {
    let (own, view) = (cluster.own(), cluster.view());
    let leader = if view.leads { Some(own) } else { view.leader };
    let member = |member: super::super::facts::MemberFacts| {
        let follower = view.followers.iter().find(|follower| follower.id == member.id);
        let is_own = member.id == own;
        Member {
            id: member.id.to_string(),
            host: member.redis.host,
            port: member.redis.port,
            applied: if is_own { view.applied } else { follower.map_or(0, |follower| follower.match_index) },
            leads: leader == Some(member.id),
            is_up: is_own || member.is_up,
            is_own,
        }
    };
    cluster.members().into_iter().map(member).collect()
}
