"""Plans: which faults follow each other, drawn from a seed.

A step has one fault or two, holds them for some time, heals them, and leaves the replicas alone
for some time. The targets of a fault are drawn when it begins, since they depend on the leader, by
a random number that the step carries. So a seed gives the same steps each time, while the leader
is that of the run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

# Faults of processes. They need no rights.
KILL_LEADER = "kill-leader"
KILL_FOLLOWER = "kill-follower"
KILL_ALL = "kill-all"
RESTART_ALL = "restart-all"
PAUSE_LEADER = "pause-leader"
PAUSE_FOLLOWER = "pause-follower"
PAUSE_MAJORITY = "pause-majority"
# Faults of the network between the replicas. They need a namespace for each host.
HALVES = "halves"
LEADER_ALONE = "leader-alone"
ISOLATE_LEADER = "isolate-leader"
LEADER_MUTE = "leader-mute"
LEADER_DEAF = "leader-deaf"
BRIDGE = "bridge"
LOSS = "loss"
DELAY = "delay"

_KILLS = (KILL_LEADER, KILL_FOLLOWER, KILL_ALL)
_PAUSES = (PAUSE_LEADER, PAUSE_FOLLOWER, PAUSE_MAJORITY)
_PARTITIONS = (HALVES, LEADER_ALONE, ISOLATE_LEADER, LEADER_MUTE, LEADER_DEAF, BRIDGE)
_PROCESSES = (*_KILLS, RESTART_ALL, *_PAUSES)
_NETWORK = (*_PARTITIONS, LOSS, DELAY)

PLANS: dict[str, tuple[str, ...]] = {
    "kill-leader": (KILL_LEADER,),
    "kills": (*_KILLS, KILL_LEADER),
    "restarts": (RESTART_ALL,),
    "pauses": _PAUSES,
    "partitions": _PARTITIONS,
    "loss": (LOSS,),
    "delay": (DELAY,),
    "everything": (*_PROCESSES, *_NETWORK),
}

# A replica that is killed comes back after this time: before and after the others have noticed.
_AWAY_S = (0.1, 1.5)
# A pause or a partition lasts from less than an election to more than the silence after which a
# replica takes a connection for lost.
_HOLD_S = (0.3, 6.0)
_CALM_S = (0.3, 1.5)
# In the plan of everything, every other network fault goes along with a fault of a process.
_ACCOMPANIED = 0.5


class PlanError(Exception):
    """A plan cannot run here."""


@dataclass(frozen=True)
class Step:
    """Faults at one time: how long they hold, how long the replicas then have peace, and the random
    number that draws the targets."""

    faults: tuple[str, ...]
    hold_s: float
    calm_s: float
    seed: int

    def __str__(self) -> str:
        return " + ".join(self.faults)


def draw(name: str, seed: int, seconds: float, rounds: int | None, *, has_network: bool) -> list[Step]:
    """The steps of a plan: so many rounds, or as many as fill the time. Without a network of its
    own a plan has the faults of processes alone."""
    faults = [fault for fault in PLANS[name] if has_network or fault not in _NETWORK]
    if not faults:
        raise PlanError(f"the plan {name} needs a namespace for each host")
    random_ = random.Random(f"{name} {seed}")
    steps: list[Step] = []
    left_s = seconds
    while len(steps) < rounds if rounds is not None else left_s > 0:
        # Each fault comes once before one comes again.
        if len(steps) % len(faults) == 0:
            random_.shuffle(faults)
        steps.append(_step(faults[len(steps) % len(faults)], name, random_, has_network))
        left_s -= steps[-1].hold_s + steps[-1].calm_s
    return steps


def _step(fault: str, plan: str, random_: random.Random, has_network: bool) -> Step:
    faults = [fault]
    if plan == "everything" and fault in _NETWORK and random_.random() < _ACCOMPANIED:
        faults.append(random_.choice(_KILLS + _PAUSES))
    is_short = all(each in _KILLS for each in faults)
    hold_s = random_.uniform(*(_AWAY_S if is_short else _HOLD_S))
    return Step(tuple(faults), round(hold_s, 3), round(random_.uniform(*_CALM_S), 3), random_.getrandbits(32))


def needs_relays(name: str) -> bool:
    """Whether a plan delays messages. A relay costs time, so other plans have none."""
    return DELAY in PLANS[name]
