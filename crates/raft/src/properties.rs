//! Random schedules lose, repeat, reorder and delay messages, cut replicas off and restart them.
//! The invariants hold after every step, and a read sees all entries that were committed before it
//! arrived. Once the network is whole again the cluster makes progress, and all logs become equal.

use proptest::prelude::*;

use super::action::Input;
use super::harness::{Cluster, SETTINGS, id, put};
use crate::id::Id;

/// One event. Places and replicas are taken modulo their number.
#[derive(Clone, Debug)]
enum Event {
    Deliver(usize),
    Lose(usize),
    Repeat(usize),
    Timeout(u16),
    Elapse(u64),
    Restart(u16),
    TakeSnapshot(u16),
    Propose(u16),
    Read(u16),
    Transfer(u16),
    Partition(u8),
    Heal,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => (0..4_usize).prop_map(Event::Deliver),
        4 => any::<usize>().prop_map(Event::Deliver),
        4 => any::<usize>().prop_map(Event::Lose),
        2 => any::<usize>().prop_map(Event::Repeat),
        2 => any::<u16>().prop_map(Event::Timeout),
        4 => (1..400_000_u64).prop_map(Event::Elapse),
        1 => any::<u16>().prop_map(Event::Restart),
        3 => any::<u16>().prop_map(Event::TakeSnapshot),
        8 => any::<u16>().prop_map(Event::Propose),
        4 => any::<u16>().prop_map(Event::Read),
        2 => any::<u16>().prop_map(Event::Transfer),
        1 => any::<u8>().prop_map(Event::Partition),
        1 => Just(Event::Heal),
    ]
}

fn happen(cluster: &mut Cluster, size: u16, number: usize, event: &Event) {
    let waiting = cluster.network.len();
    let replica = |n: u16| id(n % size + 1);
    match *event {
        Event::Deliver(place) if waiting > 0 => cluster.deliver(place % waiting),
        Event::Lose(place) if waiting > 0 => drop(cluster.network.remove(place % waiting)),
        Event::Repeat(place) if waiting > 0 => {
            let again = cluster.network[place % waiting].clone();
            cluster.network.push_back(again);
        }
        Event::Timeout(n) => cluster.timeout(replica(n)),
        Event::Elapse(span_us) => cluster.elapse(span_us, false),
        Event::Restart(n) => cluster.restart(replica(n)),
        Event::TakeSnapshot(n) => cluster.take_snapshot(replica(n)),
        Event::Propose(n) => {
            let leader = cluster.leader().unwrap_or(replica(n));
            cluster.step(leader, [put("k", &number.to_string())]);
        }
        Event::Read(n) => cluster.step(replica(n), [Input::Read(number as u64)]),
        Event::Transfer(n) => {
            let leader = cluster.leader().unwrap_or(replica(n));
            cluster.step(leader, [Input::TransferLeadership]);
        }
        Event::Partition(mask) => {
            let (inside, outside): (Vec<Id>, Vec<Id>) =
                (1..=size).map(id).partition(|id| mask >> id.number() & 1 == 1);
            cluster.partition(&[inside, outside]);
        }
        Event::Heal => cluster.blocked.clear(),
        Event::Deliver(_) | Event::Lose(_) | Event::Repeat(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_is_safe_and_a_healed_cluster_is_live(
        size in prop_oneof![Just(2_u16), Just(3), Just(5)],
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 1..400),
    ) {
        let mut cluster = Cluster::new(size, seed, SETTINGS);
        for (number, event) in events.iter().enumerate() {
            happen(&mut cluster, size, number, event);
        }

        cluster.blocked.clear();
        cluster.stabilize();
        cluster.elapse(10 * SETTINGS.election_timeout_us, true);
        let leader = cluster.leader().expect("ten election time-outs are enough for a leader");
        cluster.step(leader, [put("last", "write")]);
        cluster.stabilize();
        cluster.elapse(2 * SETTINGS.heartbeat_interval_us, true);
        let applied = &cluster.applied[&leader];
        prop_assert!(applied.len() >= 2);
        for number in 1..=size {
            prop_assert_eq!(&cluster.applied[&id(number)], applied);
        }
    }
}
