"""The events of a scenario's file, and the refusal of those that contradict each other."""

from __future__ import annotations

from simulator import schedule
from simulator.config.section import Section
from simulator.schedule import DEFAULT_DURATION, EVENT_TYPES, LASTING, Event


def read_events(file: Section, lifetime: float) -> list[Event]:
    """The events in the order of the file."""
    events = []
    for item in file.sections("events"):
        type, time = item.choice("type", EVENT_TYPES), item.number("time", 0, lifetime)
        duration = item.number("duration", 0, lifetime, DEFAULT_DURATION) if type in LASTING else None
        events.append(Event(type, time, duration))
        item.refuse_unknown()
    return events


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
    if restarts and any(event.type in LASTING for event in events):
        file.refuse("restarts", restarts, "needs events without restarts and pauses of their own")
