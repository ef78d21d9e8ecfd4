"""Carries out the steps of a plan on a cluster and its network."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from hosts import plans, rules
from hosts.network import Namespaces, Network
from hosts.plans import Step
from hosts.replicas import Cluster, Replica

# Percents of the packets, and milliseconds for each way. From a bad line to one around the world.
_LOSS_PERCENT = (2, 30)
_DELAY_MS = (1.0, 150.0)


@dataclass(frozen=True)
class Fault:
    """A step as it was carried out, with the moments of the clock that all clients share."""

    name: str
    detail: str
    began: float
    healed: float
    # When each replica had answered a write after that.
    whole: float


class Injector:
    """Brings faults and heals them."""

    def __init__(self, cluster: Cluster, network: Network) -> None:
        self._cluster = cluster
        self._network = network
        self._random = random.Random()
        self._deeds: dict[str, Callable[[], str]] = {
            plans.KILL_LEADER: lambda: self._kill([self._cluster.leader()]),
            plans.KILL_FOLLOWER: lambda: self._kill([self._follower()]),
            plans.KILL_ALL: lambda: self._kill(self._cluster.replicas),
            plans.RESTART_ALL: self._restart_all,
            plans.PAUSE_LEADER: lambda: self._pause([self._cluster.leader()]),
            plans.PAUSE_FOLLOWER: lambda: self._pause([self._follower()]),
            plans.PAUSE_MAJORITY: lambda: self._pause(self._majority()),
            plans.HALVES: lambda: self._cut(rules.halves(self._numbers(), self._random)),
            plans.LEADER_ALONE: lambda: self._cut(rules.alone(self._leader(), self._numbers())),
            plans.ISOLATE_LEADER: lambda: self._cut(rules.isolated(self._leader(), self._numbers())),
            plans.LEADER_MUTE: lambda: self._cut(rules.mute(self._leader(), self._numbers())),
            plans.LEADER_DEAF: lambda: self._cut(rules.deaf(self._leader(), self._numbers())),
            plans.BRIDGE: lambda: self._cut(rules.bridge(self._numbers(), self._random)),
            plans.LOSS: self._lose,
            plans.DELAY: self._delay,
        }

    def carry_out(self, step: Step) -> Fault:
        """Brings the faults of a step, waits, heals them, and waits until all replicas serve."""
        self._random.seed(step.seed)
        began = time.monotonic()
        details = [self._deeds[fault]() for fault in step.faults]
        time.sleep(step.hold_s)
        self._cluster.check_processes()
        self.heal()
        healed = time.monotonic()
        self._cluster.wait_until_all_serve()
        return Fault(str(step), "; ".join(details), began, healed, time.monotonic())

    def heal(self) -> None:
        """Ends all faults. Replicas that are down start."""
        if isinstance(self._network, Namespaces):
            self._network.disturb(rules.NONE, 0)
            self._network.delay(0, 0)
        for replica in self._cluster.replicas:
            replica.resume()
            if replica.process is None:
                replica.start()

    def _numbers(self) -> list[int]:
        return [replica.number for replica in self._cluster.replicas]

    def _leader(self) -> int:
        return self._cluster.leader().number

    def _follower(self) -> Replica:
        leader = self._cluster.leader()
        return self._random.choice([replica for replica in self._cluster.replicas if replica is not leader])

    def _majority(self) -> list[Replica]:
        replicas = self._cluster.replicas
        return self._random.sample(replicas, len(replicas) // 2 + 1)

    def _kill(self, replicas: list[Replica]) -> str:
        for replica in replicas:
            replica.kill()
        return f"kills {_names(replicas)}"

    def _pause(self, replicas: list[Replica]) -> str:
        for replica in replicas:
            replica.pause()
        return f"pauses {_names(replicas)}"

    def _restart_all(self) -> str:
        """One after the other, the next one when the last one serves, in an order that is drawn."""
        replicas = self._random.sample(self._cluster.replicas, len(self._cluster.replicas))
        for replica in replicas:
            replica.stop()
            replica.start()
            self._cluster.wait_until_all_serve()
        return f"restarts {_names(replicas)}"

    def _cut(self, ways: rules.Ways) -> str:
        self._namespaces().disturb(ways, 0)
        return f"cuts {' '.join(f'{source}>{target}' for source, target in sorted(ways))}"

    def _lose(self) -> str:
        percent = self._random.randint(*_LOSS_PERCENT)
        self._namespaces().disturb(rules.NONE, percent)
        return f"loses {percent} %"

    def _delay(self) -> str:
        least_ms, most_ms = sorted(round(self._random.uniform(*_DELAY_MS), 1) for _ in range(2))
        self._namespaces().delay(least_ms, most_ms)
        return f"delays by {least_ms} to {most_ms} ms"

    def _namespaces(self) -> Namespaces:
        assert isinstance(self._network, Namespaces), "plans without namespaces have no such faults"
        return self._network


def _names(replicas: list[Replica]) -> str:
    return " ".join(replica.name for replica in replicas)
