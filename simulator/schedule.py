"""The events of a scenario, and the contradictions between those that last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

KILLS = ("kill_leader", "kill_non_leader", "kill_leader_on_ack")
RESTARTS = ("restart_leader", "restart_non_leader", "restart_all")
PAUSES = ("pause_leader", "pause_non_leader")
PARTITIONS = (
    "part_easy", "part_hard", "part_one_way", "part_bridge", "isolate_leader", "isolate_random",
    "part_end", "heal",
)
EVENT_TYPES = KILLS + RESTARTS + PAUSES + PARTITIONS
# The events with a duration, at whose end the replicas start again or continue.
LASTING = RESTARTS + PAUSES
# Longer than a cluster needs for the election of another leader.
DEFAULT_DURATION = 1.0
NEEDS_PERSIST = "needs persist, because a replica that forgets its vote and its log is unsafe"
_RESTART_ALL = "restart_all"


@dataclass(frozen=True, eq=False)
class Event:
    """An event, `time` seconds after the start wait. Two events of one type and time are two.

    A restart or pause lasts `duration` seconds. The other events have none.
    """

    type: str
    time: float
    duration: float | None = None

    @property
    def end(self) -> float:
        return self.time + (self.duration or 0)

    def __str__(self) -> str:
        return f"{self.type} at {self.time:g}" + ("" if self.duration is None else f" for {self.duration:g}")


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
    """The first event, in the order of time, that contradicts the scenario or an earlier event."""
    earlier: list[Event] = []
    for event in sorted(events, key=lambda event: event.time):
        refused = _refuse_alone(event, persist, end) or _refuse_among(event, earlier, replicas)
        if refused is not None:
            return refused
        earlier.append(event)
    return None


def _refuse_alone(event: Event, persist: bool, end: float) -> Refusal | None:
    if event.type in RESTARTS and not persist:
        return Refusal(event, "type", NEEDS_PERSIST)
    if event.type in LASTING and event.end >= end:
        return Refusal(event, "duration", f"must end before the run does, {end:g} seconds after start_wait")
    return None


def _refuse_among(event: Event, earlier: Sequence[Event], replicas: int) -> Refusal | None:
    if event.type in PARTITIONS:
        return None
    lasting = [other for other in earlier if other.type in LASTING and other.end > event.time]
    for other in lasting:
        if other.type == _RESTART_ALL:
            return Refusal(event, "time", f"no replica is up then, because of {other}")
        if event.type == _RESTART_ALL:
            return Refusal(event, "time", f"must not be before the end of {other}")
    killed = sum(other.type in KILLS for other in earlier)
    if event.type in LASTING and killed + len(lasting) >= replicas:
        rule = f"no replica is left, because {killed} are killed and {len(lasting)} down or paused by then"
        return Refusal(event, "time", rule)
    return None
