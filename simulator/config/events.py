"""The events of a scenario's file, and the refusal of those that contradict each other."""

from __future__ import annotations

from collections.abc import Sequence

from simulator import schedule
from simulator.config.section import Section, nearest
from simulator.delays import MOST_DELAY
from simulator.schedule import (
    AWAY,
    CONDITIONS,
    DEFAULT_DURATION,
    DEFAULT_PERIOD,
    DEFAULT_SLOWNESS,
    EVENT_TYPES,
    FLAP,
    LASTING,
    LEADER,
    MESSAGE_SENT,
    NON_LEADER,
    RANDOM,
    SLOW,
    Event,
    When,
)

# Of a flap. The real time of a shorter one would be up to the machine.
LEAST_PERIOD = 0.01
# More occurrences than any run has.
MOST_OCCURRENCES = 1_000_000
_MOST_TYPE_LETTERS = 100


def read_events(file: Section, lifetime: float, replicas: Sequence[str]) -> list[Event]:
    """The events in the order of the file."""
    return [_event(item, lifetime, replicas) for item in file.sections("events")]


def _event(item: Section, lifetime: float, replicas: Sequence[str]) -> Event:
    type = item.choice("type", EVENT_TYPES)
    time, when = None, None
    if "when" in item:
        when = _when(item.section("when"), lifetime)
        if "time" in item:
            item.refuse("time", item.take("time"), "must not be there beside when")
    else:
        time = item.number("time", 0, lifetime)
        item.know("when")
    event = Event(
        type, time, when=when,
        duration=item.number("duration", 0, lifetime, DEFAULT_DURATION) if type in LASTING else None,
        replica=_replica(item, replicas) if type in (FLAP, SLOW) else RANDOM,
        period=item.number("period", LEAST_PERIOD, lifetime, DEFAULT_PERIOD) if type == FLAP else None,
        by=item.number("by", 0, MOST_DELAY, DEFAULT_SLOWNESS) if type == SLOW else None,
    )
    item.refuse_unknown()
    return event


def _replica(item: Section, replicas: Sequence[str]) -> str:
    known = (LEADER, NON_LEADER, RANDOM)
    replica = item.take("replica", RANDOM)
    if replica not in (*known, *replicas):
        rule = f"must be {', '.join(known)} or the ID of a replica, {replicas[0]} to {replicas[-1]}"
        item.refuse("replica", replica, f"{rule}{nearest(replica, (*known, *replicas))}")
    return str(replica)


def _when(item: Section, lifetime: float) -> When:
    on = item.choice("on", CONDITIONS)
    message = None
    if on == MESSAGE_SENT:
        rule = "must be the type of a message between replicas"
        message = item.take("message", rule=rule)
        if not isinstance(message, str) or not 0 < len(message) <= _MOST_TYPE_LETTERS:
            item.refuse("message", message, rule)
    when = When(
        on,
        item.number("after", 0, lifetime, 0),
        item.number("from", 0, lifetime, 0),
        item.number("count", 1, MOST_OCCURRENCES, 1, whole=True),
        message,
    )
    item.refuse_unknown()
    return when


def check_schedule(
    file: Section, events: list[Event], *, replicas: int, persist: bool, restarts: int, end: float
) -> None:
    """Refuse events that cannot be in a run that ends `end` seconds after the start wait."""
    refused = schedule.refusal(events, replicas, persist, end)
    if refused is not None:
        number = events.index(refused.event)
        value = getattr(refused.event, refused.key)
        file.refuse(f"events[{number}].{refused.key}", value, refused.rule)
    if restarts and not persist:
        file.refuse("restarts", restarts, schedule.NEEDS_PERSIST)
    if restarts and any(event.type in AWAY for event in events):
        file.refuse("restarts", restarts, "needs events without restarts and pauses of their own")
