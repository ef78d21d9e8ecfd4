"""The events of a scenario with their conditions, and the contradictions between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from simulator.messages import printable

KILLS = ("kill_leader", "kill_non_leader", "kill_leader_on_ack")
RESTARTS = ("restart_leader", "restart_non_leader", "restart_all")
PAUSES = ("pause_leader", "pause_non_leader")
FLAP, SLOW = "flap", "slow"
ENDS = ("part_end", "heal")
PARTITIONS = (
    "part_easy", "part_hard", "part_one_way", "part_bridge", "isolate_leader", "isolate_random", *ENDS,
)
EVENT_TYPES = (*KILLS, *RESTARTS, *PAUSES, *PARTITIONS, FLAP, SLOW)
# The events that take a replica away for a duration, at whose end it starts again or continues.
AWAY = RESTARTS + PAUSES
LASTING = (*AWAY, FLAP, SLOW)
# Longer than a cluster needs for the election of another leader.
DEFAULT_DURATION = 1.0
DEFAULT_PERIOD = 0.2
DEFAULT_SLOWNESS = 0.05
LEADER, NON_LEADER, RANDOM = "leader", "non_leader", "random"
# The occurrences that an event may wait for.
WRITE_ACKNOWLEDGED, GET_ANSWERED, MESSAGE_SENT = "write_acknowledged", "get_answered", "message_sent"
LEADER_CHANGED = "leader_changed"
KILLED, REJOINED, PARTITIONED, HEALED = "killed", "rejoined", "partitioned", "healed"
OF_MESSAGES = (WRITE_ACKNOWLEDGED, GET_ANSWERED, MESSAGE_SENT)
CONDITIONS = (*OF_MESSAGES, LEADER_CHANGED, KILLED, REJOINED, PARTITIONED, HEALED)
NEEDS_PERSIST = "needs persist, because a replica that forgets its vote and its log is unsafe"
_RESTART_ALL = "restart_all"


@dataclass(frozen=True)
class When:
    """The condition of an event: `after` seconds after the `count`-th occurrence.

    Occurrences earlier than `start` seconds after the start wait do not count.
    """

    on: str
    after: float = 0.0
    start: float = 0.0
    count: int = 1
    message: str | None = None  # the type of the message, for `message_sent`

    def __str__(self) -> str:
        parts = [self.on if self.message is None else f"{self.on} {printable(self.message)}"]
        if self.count > 1:
            parts.append(f"{self.count} times")
        if self.start:
            parts.append(f"from {self.start:g} s on")
        return " ".join(parts) + (f", then {self.after:g} s" if self.after else "")

    def as_file(self) -> dict[str, Any]:
        content = {**asdict(self), "from": self.start}
        del content["start"]
        return {key: value for key, value in content.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Event:
    """An event, `time` seconds after the start wait. Two events of one type and time are two.

    An event with a condition has no time. A restart, a pause, a flap or a slow replica lasts
    `duration` seconds. The other events have none.
    """

    type: str
    time: float | None
    duration: float | None = None
    when: When | None = None
    replica: str = RANDOM  # of a flap or a slow replica: one of three words, or an ID
    period: float | None = None  # of a flap
    by: float | None = None  # so many seconds slower

    @property
    def start(self) -> float:
        """The time; an event with a condition comes after all others."""
        return math.inf if self.time is None else self.time

    @property
    def end(self) -> float:
        return self.start + (self.duration or 0)

    def __str__(self) -> str:
        moment = f"when {self.when}" if self.time is None else f"at {self.time:g}"
        return f"{self.type} {moment}" + ("" if self.duration is None else f" for {self.duration:g}")

    def as_file(self) -> dict[str, Any]:
        content = {**asdict(self), "when": self.when and self.when.as_file()}
        if self.type not in (FLAP, SLOW):
            del content["replica"]
        return {key: value for key, value in content.items() if value is not None}


def draw_restarts(count: int, seconds: float, random: Random) -> Iterator[Event]:
    """Restarts of random kinds and lengths at random moments of the first `seconds`.

    Each begins in the first half of its part of the time, and ends within that part. So no two
    overlap, and the replicas serve clients in between. Short ones are more likely than long ones.
    """
    half = seconds / max(1, count) / 2
    for number in range(count):
        type = random.choice(RESTARTS)
        yield Event(type, (2 * number + random.random()) * half, random.random() ** 2 * half)


@dataclass(frozen=True)
class Refusal:
    """The event of a schedule that cannot be, and the rule that it breaks."""

    event: Event
    key: str
    rule: str


def refusal(events: Iterable[Event], replicas: int, persist: bool, end: float) -> Refusal | None:
    """The first event, in the order of time, that contradicts the scenario or an earlier event.

    An event with a condition has no known time, so it contradicts no other event.
    """
    killed = 0
    away: list[Event] = []  # the restarts and pauses that last
    for event in sorted(events, key=lambda event: event.start):
        refused = _refuse_alone(event, persist, end)
        if refused is None and event.time is not None:
            away = [other for other in away if other.end > event.time]
            refused = _refuse_among(event, away, killed, replicas)
        if refused is not None:
            return refused
        killed += event.type in KILLS
        if event.type in AWAY:
            away.append(event)
    return None


def _refuse_alone(event: Event, persist: bool, end: float) -> Refusal | None:
    if event.type in RESTARTS and not persist:
        return Refusal(event, "type", NEEDS_PERSIST)
    if event.type in LASTING and event.time is not None and event.end >= end:
        return Refusal(event, "duration", f"must end before the run does, {end:g} seconds after start_wait")
    return None


def _refuse_among(
    event: Event, away: Sequence[Event], killed: int, replicas: int
) -> Refusal | None:
    if event.type in (*PARTITIONS, FLAP, SLOW):
        return None
    for other in away:
        if other.type == _RESTART_ALL:
            return Refusal(event, "time", f"no replica is up then, because of {other}")
        if event.type == _RESTART_ALL:
            return Refusal(event, "time", f"must not be before the end of {other}")
    if event.type in AWAY and killed + len(away) >= replicas:
        rule = f"no replica is left, because {killed} are killed and {len(away)} down or paused by then"
        return Refusal(event, "time", rule)
    return None
