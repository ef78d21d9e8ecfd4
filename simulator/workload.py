"""The plan of a run: the time of each request, and every random choice that it will need.

All choices are drawn before the run, a fixed number per request. So neither the number of messages
nor the moment of an answer changes the draws for later requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from simulator.config import Scenario

CLIENTS = 8
REWRITE_PROBABILITY = 0.5


@dataclass(frozen=True)
class Intent:
    """A request to come. `choice`, in [0, 1), picks one of the keys that the client has by then.

    `write` is its operation if it is no get. It is always a put in a scenario without `operations`.
    """

    time: float
    client: int
    wants_get: bool
    wants_own_key: bool
    choice: float
    new_key: str
    value: str
    write: str = "put"


def _write_at(place: float, shares: Mapping[str, float]) -> str:
    """The operation whose share of the writes, side by side from 0 to 1, covers `place`."""
    for type, share in shares.items():
        if place < share:
            return type
        place -= share
    return "put"


def _lengthen(value: str, length: int) -> str:
    return (value * -(-length // len(value)))[:length]


def plan(scenario: Scenario, random: Random) -> list[Intent]:
    """Spread the requests evenly over the time between the two waits."""
    return [
        Intent(
            time=scenario.start_wait + scenario.seconds_per_request * number,
            client=random.randrange(CLIENTS),
            wants_get=random.random() < scenario.mix,
            wants_own_key=random.random() < REWRITE_PROBABILITY,
            choice=random.random(),
            new_key=f"{random.getrandbits(128):032x}",
            value=_lengthen(f"{random.getrandbits(128):032x}", scenario.value_bytes),
            # No draw without `operations`, so that a scenario without them keeps its requests.
            write=_write_at(random.random(), scenario.operations) if scenario.operations else "put",
        )
        for number in range(scenario.requests)
    ]
