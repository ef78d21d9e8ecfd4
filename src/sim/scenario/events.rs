//! The events of a scenario become faults.

use serde::Deserialize;

use super::file::micros;
use crate::sim::plan::{Condition, Fault, FaultKind, LEAST_PERIOD_US, Target, Trigger, When};

/// The longest time by which messages of a slow replica are late, in seconds.
const MAX_SLOWNESS: f64 = 10.0;

/// The names of the conditions.
pub(super) const CONDITIONS: [&str; 8] = [
    "write_acknowledged",
    "get_answered",
    "leader_changed",
    "killed",
    "rejoined",
    "partitioned",
    "healed",
    "message_sent",
];

/// An event at a time, or when its condition is met.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    r#type: EventType,
    time: Option<f64>,
    when: Option<Occurrence>,
    /// How long it lasts, in seconds.
    #[serde(default = "default_duration")]
    duration: f64,
    /// The replica of a flap or of a slow replica.
    #[serde(default = "default_replica")]
    replica: String,
    /// The period of a flap, in seconds.
    #[serde(default = "default_period")]
    period: f64,
    /// The seconds by which the messages of a slow replica are late.
    #[serde(default = "default_slowness")]
    by: f64,
}

/// The occurrence that an event waits for.
#[derive(Clone, Debug, Deserialize)]
struct Occurrence {
    on: String,
    message: Option<String>,
    #[serde(default)]
    after: f64,
    #[serde(default)]
    from: f64,
    #[serde(default = "default_count")]
    count: u32,
}

fn default_duration() -> f64 {
    1.0
}

fn default_replica() -> String {
    "random".to_owned()
}

fn default_period() -> f64 {
    0.2
}

fn default_slowness() -> f64 {
    0.05
}

fn default_count() -> u32 {
    1
}

/// Makes the enumeration and its names from one list.
macro_rules! event_types {
    ($($name:literal $kind:ident),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        pub(super) enum EventType {
            $(#[serde(rename = $name)] $kind,)+
        }

        impl EventType {
            /// All names.
            pub(super) const NAMES: [&str; [$($name),+].len()] = [$($name),+];
        }
    };
}

event_types!(
    "kill_leader" KillLeader,
    "kill_non_leader" KillNonLeader,
    "kill_leader_on_ack" KillLeaderOnAck,
    "restart_leader" RestartLeader,
    "restart_non_leader" RestartNonLeader,
    "restart_all" RestartAll,
    "pause_leader" PauseLeader,
    "pause_non_leader" PauseNonLeader,
    "part_easy" PartEasy,
    "part_hard" PartHard,
    "part_one_way" PartOneWay,
    "part_bridge" PartBridge,
    "isolate_leader" IsolateLeader,
    "isolate_random" IsolateRandom,
    "flap" Flap,
    "slow" Slow,
    "part_end" PartEnd,
    "heal" Heal,
);

impl EventType {
    pub(super) fn is_restart(self) -> bool {
        matches!(self, Self::RestartLeader | Self::RestartNonLeader | Self::RestartAll)
    }

    /// Whether it lasts as long as it says.
    fn lasts(self) -> bool {
        self.is_restart()
            || matches!(self, Self::PauseLeader | Self::PauseNonLeader | Self::Flap | Self::Slow)
    }

    /// Whether it makes or ends a partition.
    fn is_partition(self) -> bool {
        !self.lasts() && !matches!(self, Self::KillLeader | Self::KillNonLeader | Self::KillLeaderOnAck)
    }

    fn heals(self) -> bool {
        matches!(self, Self::PartEnd | Self::Heal)
    }
}

/// The faults of events, whose times count from `start_wait`, in a cluster of so many replicas.
pub(super) fn faults(events: &[Event], start_wait: f64, replicas: usize) -> Vec<Fault> {
    let mut timed: Vec<(f64, &Event)> =
        events.iter().filter_map(|event| Some((event.time?, event))).collect();
    timed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let is_known = events.iter().all(Event::is_known_beforehand);
    let conditional = events.iter().filter_map(|event| Some((event.when.as_ref()?, event)));
    let conditional = conditional.flat_map(|(when, event)| {
        let at_us = micros(start_wait + when.from);
        let waits = |kind| FaultKind::When(when.plan(), Box::new(kind));
        let for_us = event.lasting_us();
        event.kinds(replicas, is_known).into_iter().map(move |kind| Fault {
            at_us,
            for_us,
            kind: waits(kind),
        })
    });
    let at_times = timed.iter().enumerate().flat_map(|(number, (time, event))| {
        // A partition whose end is known lasts until the next event that makes or ends one.
        let end = timed[number + 1..].iter().find(|(_, other)| other.r#type.is_partition());
        let end = end.filter(|_| is_known && event.r#type.is_partition());
        let at_us = micros(start_wait + time);
        let for_us = event.lasting_us().or(end.map(|(end, _)| micros(end - time)));
        event.kinds(replicas, is_known).into_iter().map(move |kind| Fault { at_us, for_us, kind })
    });
    at_times.collect::<Vec<_>>().into_iter().chain(conditional).collect()
}

/// The kind of fault of a restart that is drawn.
pub(super) fn kinds_of(r#type: EventType, replicas: usize) -> Vec<FaultKind> {
    let kind = match r#type {
        EventType::KillLeader | EventType::RestartLeader => FaultKind::Crash(Target::Leader),
        EventType::KillNonLeader | EventType::RestartNonLeader => FaultKind::Crash(Target::Follower),
        EventType::KillLeaderOnAck => FaultKind::CrashOn(Trigger::Ack),
        EventType::PauseLeader => FaultKind::Pause(Target::Leader),
        EventType::PauseNonLeader => FaultKind::Pause(Target::Follower),
        EventType::PartEasy => FaultKind::Halve { with_leader: true },
        EventType::PartHard => FaultKind::Halve { with_leader: false },
        EventType::PartOneWay => FaultKind::OneWay,
        EventType::PartBridge => FaultKind::Bridge,
        EventType::IsolateLeader => FaultKind::Isolate(Target::Leader),
        EventType::IsolateRandom => FaultKind::Isolate(Target::Any),
        EventType::RestartAll => {
            return (0..replicas).map(|at| FaultKind::Crash(Target::Replica(at))).collect();
        }
        // The ends of others are no faults where their times are known, and these two have settings.
        EventType::PartEnd | EventType::Heal | EventType::Flap | EventType::Slow => return Vec::new(),
    };
    vec![kind]
}

impl Event {
    pub(super) fn is_restart(&self) -> bool {
        self.r#type.is_restart()
    }

    /// Whether the plan can tell when it ends: its time is known, and no event ends it earlier.
    fn is_known_beforehand(&self) -> bool {
        self.when.is_none() && !matches!(self.r#type, EventType::Flap | EventType::Slow)
    }

    fn lasting_us(&self) -> Option<u64> {
        self.r#type.lasts().then(|| micros(self.duration))
    }

    /// Where the times of ends are not known beforehand, the events that end others are faults, too.
    fn kinds(&self, replicas: usize, is_known: bool) -> Vec<FaultKind> {
        match self.r#type {
            EventType::Flap => vec![FaultKind::Flap(self.target(), micros(self.period))],
            EventType::Slow => vec![FaultKind::Slow(self.target(), micros(self.by))],
            r#type if r#type.heals() && !is_known => vec![FaultKind::Heal],
            r#type if r#type.is_partition() && !is_known => {
                [FaultKind::EndPartitions].into_iter().chain(kinds_of(r#type, replicas)).collect()
            }
            r#type => kinds_of(r#type, replicas),
        }
    }

    /// Its name was checked before.
    fn target(&self) -> Target {
        match self.replica.as_str() {
            "leader" => Target::Leader,
            "non_leader" => Target::Follower,
            id => usize::from_str_radix(id, 16).map_or(Target::Any, Target::Replica),
        }
    }

    /// Refuses values out of range.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub(super) fn check(&self, lifetime: f64) -> Result<(), &'static str> {
        let is_time = |time: f64| (0.0..=lifetime).contains(&time);
        let when_is_time = |when: &Occurrence| is_time(when.after) && is_time(when.from);
        match () {
            () if self.time.is_some() == self.when.is_some() => Err("an event needs either time or when"),
            () if !self.time.is_none_or(is_time)
                || !is_time(self.duration)
                || !self.when.as_ref().is_none_or(when_is_time) =>
            {
                Err("times must be 0 to lifetime")
            }
            () if !(0.01..=lifetime).contains(&self.period) || micros(self.period) < LEAST_PERIOD_US => {
                Err("period must be 0.01 seconds to lifetime")
            }
            () if !(0.0..=MAX_SLOWNESS).contains(&self.by) => Err("by must be 0 to 10 seconds"),
            () => self.when.as_ref().map_or(Ok(()), Occurrence::check),
        }
    }
}

impl Occurrence {
    fn check(&self) -> Result<(), &'static str> {
        if !(1..=1_000_000).contains(&self.count) {
            return Err("count must be 1 to 1000000");
        }
        if self.on == "message_sent" && self.message.as_ref().is_none_or(String::is_empty) {
            return Err("message_sent needs message, the type of a message between replicas");
        }
        Ok(())
    }

    fn plan(&self) -> When {
        let on = match self.on.as_str() {
            "write_acknowledged" => Condition::WriteAcknowledged,
            "get_answered" => Condition::GetAnswered,
            "leader_changed" => Condition::LeaderChanged,
            "killed" => Condition::Killed,
            "rejoined" => Condition::Rejoined,
            "partitioned" => Condition::Partitioned,
            "healed" => Condition::Healed,
            _ => Condition::MessageSent(self.message.clone().unwrap_or_default()),
        };
        When { on, count: self.count, after_us: micros(self.after) }
    }
}
