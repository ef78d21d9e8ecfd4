"""The events of a scenario: kills, restarts, pauses, partitions, and the ends of some of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from simulator.clients import Clients
from simulator.network import Network
from simulator.schedule import PAUSES, Event

KILL_LEADER_ON_ACK = "kill_leader_on_ack"


class Processes(Protocol):
    """The processes of living replicas, in the hands of the events."""

    def kill(self, replica: str) -> None: ...

    def take_down(self, replica: str) -> None:
        """Kill a replica that is to start again."""

    def start_again(self, replica: str) -> None: ...

    def is_paused(self, replica: str) -> bool: ...

    def pause(self, replica: str) -> Callable[[], bool]:
        """Stop a replica. The function returned lets it continue, and tells whether it does."""


class Events:
    """Carry out events."""

    def __init__(
        self, network: Network, clients: Clients, random: Random, processes: Processes
    ) -> None:
        self._network = network
        self._clients = clients
        self._random = random
        self._processes = processes
        self._down: dict[Event, list[str]] = {}
        self._paused: dict[Event, tuple[str, Callable[[], bool]]] = {}
        self.armed = 0

    def begin(self, event: Event) -> str:
        """Carry out an event; returns its effect in words for the user."""
        act: Callable[[Event], str] = getattr(self, f"_{event.type}")
        return act(event)

    def end(self, event: Event) -> str | None:
        """End a restart or a pause; returns the effect, if any."""
        if event.type in PAUSES:
            replica, resume = self._paused.pop(event, ("", lambda: False))
            return f"continued {replica}" if resume() else None
        replicas = self._down.pop(event, [])
        for replica in replicas:
            self._processes.start_again(replica)
        return f"started {' '.join(replicas)} again" if replicas else None

    def _kill_leader(self, _: Event) -> str:
        leader = self._network.leader
        if leader not in self._network.living:
            return f"no replica killed, the leader is {leader}"
        self._processes.kill(leader)
        self._clients.lose_leader(leader)
        return f"killed {leader}"

    def _kill_non_leader(self, _: Event) -> str:
        others = self._others()
        if not others:
            return "no replica left to kill"
        victim = self._random.choice(others)
        self._processes.kill(victim)
        return f"killed {victim}"

    def _others(self) -> list[str]:
        return [r for r in self._network.living if r != self._network.leader]

    def _kill_leader_on_ack(self, _: Event) -> str:
        self.armed += 1
        return "armed"

    def acknowledged(self, replica: str) -> str | None:
        """Carry out an armed kill after an acknowledged put; returns its effect, if any."""
        if not self.armed:
            return None
        self.armed -= 1
        self._processes.kill(replica)
        self._clients.lose_leader(replica)
        return f"struck, killed {replica}"

    def _restart_leader(self, event: Event) -> str:
        leader = self._network.leader
        if leader not in self._network.living:
            return f"no replica restarted, the leader is {leader}"
        return self._restart(event, [leader])

    def _restart_non_leader(self, event: Event) -> str:
        others = self._others()
        return self._restart(event, [self._random.choice(others)] if others else [])

    def _restart_all(self, event: Event) -> str:
        return self._restart(event, list(self._network.living))

    def _restart(self, event: Event, victims: list[str]) -> str:
        if not victims:
            return "no replica left to restart"
        for victim in victims:
            self._processes.take_down(victim)
        if self._network.leader in victims:
            self._clients.lose_leader(self._network.leader)
        self._down[event] = victims
        return f"killed {' '.join(victims)}, down for {event.duration:g} s"

    def _pause_leader(self, event: Event) -> str:
        leader = self._network.leader
        if leader not in self._network.living:
            return f"no replica paused, the leader is {leader}"
        if self._processes.is_paused(leader):
            return f"no replica paused, the leader {leader} is paused already"
        return self._pause(event, leader)

    def _pause_non_leader(self, event: Event) -> str:
        others = [r for r in self._others() if not self._processes.is_paused(r)]
        return self._pause(event, self._random.choice(others)) if others else "no replica left to pause"

    def _pause(self, event: Event, victim: str) -> str:
        self._paused[event] = victim, self._processes.pause(victim)
        return f"paused {victim} for {event.duration:g} s"

    def _part_easy(self, _: Event) -> str:
        self._network.partition(self._random, with_leader=True)
        return self._sides()

    def _part_hard(self, _: Event) -> str:
        self._network.partition(self._random, with_leader=False)
        self._clients.forget_leader()
        return self._sides()

    def _part_one_way(self, _: Event) -> str:
        self._network.split_one_way(self._random)
        return f"{self._sides()} no longer hears the others, which hear it"

    def _part_bridge(self, _: Event) -> str:
        bridge = self._network.bridge(self._random)
        left, right = (" ".join(sorted(side)) for side in self._network.cuts[0])
        return f"{left} and {right} hear each other only through {bridge}"

    def _isolate_leader(self, _: Event) -> str:
        leader = self._network.leader
        if leader not in self._network.living:
            return f"no replica isolated, the leader is {leader}"
        return self._isolate(leader)

    def _isolate_random(self, _: Event) -> str:
        living = self._network.living
        return self._isolate(self._random.choice(living)) if living else "no replica left to isolate"

    def _isolate(self, replica: str) -> str:
        self._network.split(other for other in self._network.replicas if other != replica)
        return f"isolated {replica}"

    def _part_end(self, _: Event) -> str:
        self._network.heal()
        return "healed"

    _heal = _part_end

    def _sides(self) -> str:
        return f"majority side {' '.join(sorted(self._network.majority_side or ()))}"
