//! The cost of requests once a cluster runs at a steady load. The first part is left out, because
//! in it the cluster elects a leader and the clients find it.
//!
//! The measurement begins after a number of completed requests, and ends when all are completed.
//! Requests in progress at its begin are about as many as those that its end cuts off. Every rule
//! is checked here, too.

use super::clients::Asked;
use super::cluster::Cluster;
use super::invariants::Violation;
use super::operations::Operations;
use super::plan::{Bounds, ClockOrigin, Links, LogBounds, Network, Plan, Storage, Workload};
use super::scenario::{CLIENTS, DELAY_US, STAGE_US};
use super::traffic::Traffic;
use crate::micros::Micros;
use crate::operation::Operation;
use crate::replica::APPLIED_AT_ONCE;
use crate::transport::SEQPACKET_MAX_DATAGRAM;
use crate::tuning::{Detection, Reads, Topology, Tuning};
use crate::wire::CHECKSUM_BYTES;

/// From no choice to all of them: each row adds one choice.
pub const LADDER: [(&str, Tuning); 10] = {
    let naive = Tuning::NAIVE;
    let batching = Tuning { batch: true, ..naive };
    let coalescing = Tuning { coalesce: true, ..batching };
    let no_notices = Tuning { commit_notices: false, ..coalescing };
    let thrifty = Tuning { thrifty: true, ..no_notices };
    let read_index = Tuning { reads: Reads::ReadIndex, ..thrifty };
    let lease = Tuning { reads: Reads::Lease, ..read_index };
    let on_demand = Tuning { detection: Detection::OnDemand, ..lease };
    let relay = Tuning { topology: Topology::Relay, ..on_demand };
    let adaptive = Tuning { topology: Topology::Adaptive, ..relay };
    [
        ("naive", naive),
        ("+ batching", batching),
        ("+ coalescing", coalescing),
        ("+ no commit notices", no_notices),
        ("+ thrifty rotation", thrifty),
        ("+ read-index reads", read_index),
        ("+ lease reads", lease),
        ("+ on-demand detection", on_demand),
        ("+ relay", relay),
        ("+ relay only if lossy", adaptive),
    ]
};

/// The time of the first request: without on-demand detection the first leader needs two election
/// time-outs at most.
const START_US: Micros = 3_000_000;

/// The longest time that a run may take after the last request of an open loop.
const PATIENCE_US: Micros = 10_000_000;

/// The longest time of a closed loop.
const LONGEST_US: Micros = 3_600_000_000;

/// A steady load on a cluster whose only fault is lost messages.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// The number of replicas.
    pub replicas: usize,
    /// The tuning of the replicas.
    pub tuning: Tuning,
    /// The way in which clients send requests.
    pub load: Load,
    /// The share of gets. A get needs a key that its client has put, so the first requests are
    /// puts.
    pub gets: f64,
    /// The share of messages between replicas that are lost.
    pub loss: f64,
    /// The least and the greatest time that a message takes.
    pub delay_us: (Micros, Micros),
    /// The least and the greatest time that a stage takes to wake up and work.
    pub stage_us: (Micros, Micros),
    /// The number of requests that are measured.
    pub requests: usize,
}

/// The way in which clients send requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Eight clients together send so many requests per second, whether answers come or not.
    Open(usize),
    /// Each of so many clients sends its next request after the answer to the one before.
    Closed(usize),
}

/// The results of an [`Experiment`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The number of requests that were completed.
    pub requests: usize,
    /// The time that they took.
    pub span_us: Micros,
    /// The messages between replicas in that time.
    pub traffic: Traffic,
    /// The time of puts.
    pub puts: Latencies,
    /// The time of gets.
    pub gets: Latencies,
}

/// The time of requests of a kind, from the client's decision to its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// The number of requests.
    pub count: usize,
    /// The median.
    pub p50_us: Micros,
    /// The 99th percentile.
    pub p99_us: Micros,
}

impl Experiment {
    /// Puts on a healthy cluster on one machine, with the default tuning.
    pub fn new(replicas: usize, load: Load) -> Self {
        Self {
            replicas,
            tuning: Tuning::DEFAULT,
            load,
            gets: 0.0,
            loss: 0.0,
            delay_us: DELAY_US,
            stage_us: STAGE_US,
            requests: 2_000,
        }
    }

    /// The number of requests before the measurement: a second of an open loop or less, some rounds
    /// of a closed loop.
    fn warm_up(&self) -> usize {
        match self.load {
            Load::Open(per_second) => per_second.min(20_000),
            Load::Closed(outstanding) => 100 + 8 * outstanding,
        }
    }

    pub(super) fn plan(&self, seed: u64) -> Plan {
        let requests = self.warm_up() + self.requests;
        let span_us = match self.load {
            Load::Open(per_second) => requests as Micros * 1_000_000 / per_second as Micros,
            Load::Closed(_) => LONGEST_US,
        };
        let end_us = START_US + span_us;
        Plan {
            seed,
            replicas: self.replicas,
            lifetime_us: end_us + PATIENCE_US,
            network: Network {
                delay_us: self.delay_us,
                uneven: 1,
                slow: 0.0,
                loss: self.loss,
                duplicate: 0.0,
                echo_us: 0,
                wire: false,
                reorder: false,
                max_datagram: SEQPACKET_MAX_DATAGRAM - CHECKSUM_BYTES,
                stage_us: self.stage_us,
            },
            links: Links::default(),
            storage: Storage::Memory,
            clock_ppm: Vec::new(),
            clock_origin: ClockOrigin::Zero,
            wall_clocks: Vec::new(),
            bounds: Bounds::default(),
            log: LogBounds::default(),
            applied_at_once: APPLIED_AT_ONCE,
            forwards: false,
            tuning: self.tuning,
            workload: Workload {
                clients: if let Load::Closed(outstanding) = self.load { outstanding } else { CLIENTS },
                requests,
                closed_loop: matches!(self.load, Load::Closed(_)),
                burst: 1,
                start_us: START_US,
                end_us,
                gets: self.gets,
                shared_keys: 0,
                operations: Operations::default(),
                value_bytes: 32,
                loss: 0.0,
                timeout_us: None,
                wander: 0.0,
                fresh_ids: false,
                asks_the_dead: false,
                read_back: false,
                poll_us: 0,
            },
            faults: Vec::new(),
            liveness: None,
        }
    }

    /// Runs the experiment; the same seed always gives the same results.
    ///
    /// # Errors
    ///
    /// The first rule that was broken.
    pub fn run(&self, seed: u64) -> Result<Measured, Violation> {
        let plan = self.plan(seed);
        let (warm_up, all, end) = (self.warm_up(), plan.workload.requests, plan.lifetime_us);
        let mut cluster = Cluster::new(plan, None, false);
        cluster.count_bytes();
        cluster.run_while(end, |clients| clients.completed() < warm_up)?;
        cluster.traffic = Traffic::default();
        let since = cluster.now();
        cluster.run_while(end, |clients| clients.completed() < all)?;
        cluster.check_history()?;
        let clients = cluster.clients();
        Ok(Measured {
            requests: clients.completed().saturating_sub(warm_up),
            span_us: cluster.now() - since,
            traffic: cluster.traffic().clone(),
            puts: Latencies::of_puts(clients.all(), since),
            gets: Latencies::of_gets(clients.all(), since),
        })
    }
}

impl Measured {
    /// Datagrams between replicas per completed request.
    pub fn datagrams_per_request(&self) -> f64 {
        self.traffic.datagrams as f64 / self.requests.max(1) as f64
    }
}

impl Latencies {
    /// The latencies of puts that were acknowledged later than `since`.
    pub(super) fn of_puts(asked: &[Asked], since: Micros) -> Self {
        Self::of(asked, since, Asked::is_stored)
    }

    /// The latencies of gets that returned later than `since`.
    pub(super) fn of_gets(asked: &[Asked], since: Micros) -> Self {
        let is_get = |asked: &Asked| matches!(asked.request.command.operations(), [Operation::Get { .. }]);
        Self::of(asked, since, |asked| {
            is_get(asked) && asked.outcome.as_ref().is_some_and(|outcome| outcome.value().is_some())
        })
    }

    fn of(asked: &[Asked], since: Micros, counts: impl Fn(&Asked) -> bool) -> Self {
        let latency = |asked: &Asked| Some(asked.returned.filter(|&at| at > since)? - asked.wanted);
        let mut sorted: Vec<Micros> =
            asked.iter().filter(|asked| counts(asked)).filter_map(latency).collect();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or(0)
        };
        Self { count: sorted.len(), p50_us: at(50), p99_us: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One client, and a cluster whose only delays are those of the network.
    fn one_client() -> Experiment {
        let experiment = Experiment::new(5, Load::Closed(1));
        Experiment { delay_us: (1_000, 1_000), stage_us: (0, 0), requests: 500, ..experiment }
    }

    #[test]
    fn put_costs_two_followers_a_round_trip_and_nothing_else() {
        let measured = one_client().run(1).expect("no rule is broken");
        assert_eq!((measured.requests, measured.puts.count, measured.gets.count), (500, 500, 0));
        assert_eq!((measured.traffic.datagrams, measured.traffic.messages()), (2_000, 2_000));
        assert_eq!((measured.puts.p50_us, measured.puts.p99_us), (4_000, 4_000));
        assert_eq!(measured.span_us, 500 * 4_000);
        let mean = measured.traffic.mean_batch();
        assert!((1.9..=2.0).contains(&mean), "each follower's turn comes every other time: {mean}");
        assert!(measured.traffic.bytes > 100 * measured.traffic.datagrams);
    }

    #[test]
    fn gets_and_puts_are_counted_apart() {
        let measured = Experiment { gets: 1.0, ..one_client() }.run(1).expect("no rule is broken");
        assert_eq!((measured.puts.count, measured.gets.count), (0, 500));
        assert_eq!((measured.gets.p50_us, measured.gets.p99_us), (2_000, 2_000));
    }

    #[test]
    fn closed_loop_has_one_request_per_client_in_progress() {
        let measured = |clients| {
            let experiment = Experiment { load: Load::Closed(clients), ..one_client() };
            experiment.run(1).expect("no rule is broken")
        };
        let (one, ten) = (measured(1), measured(10));
        assert_eq!((one.span_us, ten.span_us), (500 * 4_000, 50 * 4_000));
        // Two batches of five puts, each to three followers, instead of ten puts, each to two
        // followers.
        assert!(3 * ten.traffic.datagrams < one.traffic.datagrams, "several at a time are one append");
    }

    #[test]
    fn open_loop_asks_whether_answers_come_or_not() {
        let measured =
            Experiment { load: Load::Open(2_000), ..one_client() }.run(1).expect("no rule is broken");
        assert!((249_000..=251_000).contains(&measured.span_us), "{}", measured.span_us);
        assert_eq!(measured.puts.p50_us, 4_000);
    }

    /// The leader and each follower hold their messages for one window, and a put passes both once.
    #[test]
    fn coalescing_window_costs_a_put_two_windows_and_a_get_none() {
        let tuning = Tuning { coalesce_window_us: 700, ..Tuning::DEFAULT };
        let puts = Experiment { tuning, ..one_client() }.run(1).expect("no rule is broken");
        assert_eq!((puts.puts.p50_us, puts.traffic.datagrams), (4_000 + 2 * 700, 2_000));
        let gets = Experiment { tuning, gets: 1.0, ..one_client() }.run(1).expect("no rule is broken");
        assert_eq!(gets.gets.p50_us, 2_000);
    }

    #[test]
    fn messages_of_one_coalescing_window_leave_as_one_datagram() {
        let datagrams = |coalesce_window_us| {
            let tuning = Tuning { coalesce_window_us, ..Tuning::DEFAULT };
            let experiment = Experiment { tuning, load: Load::Open(4_000), ..one_client() };
            experiment.run(1).expect("no rule is broken").traffic.datagrams
        };
        assert!(3 * datagrams(1_000) < 2 * datagrams(0), "{} {}", datagrams(1_000), datagrams(0));
    }

    #[test]
    fn ladder_goes_from_no_choice_to_the_default_tuning() {
        assert_eq!(LADDER[0].1, Tuning::NAIVE);
        assert_eq!(LADDER[LADDER.len() - 1].1, Tuning::DEFAULT);
        assert!(LADDER.iter().all(|(_, tuning)| tuning.check().is_ok()));
    }
}
