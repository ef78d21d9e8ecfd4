"""The effects of events: kills, restarts, pauses, partitions, flaps, slow replicas, their ends."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from simulator.clients import Clients
from simulator.network import Network
from simulator.schedule import (
    FLAP,
    HEALED,
    KILLED,
    LEADER,
    NON_LEADER,
    PARTITIONED,
    PAUSES,
    RANDOM,
    SLOW,
    Event,
)
from simulator.trace.recorder import UNTRACED, Trace

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
        self,
        network: Network,
        clients: Clients,
        random: Random,
        processes: Processes,
        trace: Trace = UNTRACED,
        occur: Callable[[str], None] = lambda condition: None,
    ) -> None:
        """`occur` hears of the conditions of other events that an event meets."""
        self._network = network
        self._clients = clients
        self._random = random
        self._processes = processes
        self._trace = trace
        self._occur = occur
        self._down: dict[Event, list[str]] = {}
        self._paused: dict[Event, tuple[str, Callable[[], bool]]] = {}
        self._flapping: dict[Event, str] = {}
        self._cut_off: set[Event] = set()  # the flaps whose replicas have no links now
        self._slowed: dict[Event, str] = {}
        self.armed = 0

    def begin(self, event: Event) -> str:
        """Carry out an event; returns its effect in words for the user."""
        act: Callable[[Event], str] = getattr(self, f"_{event.type}")
        return act(event)

    def end(self, event: Event) -> str | None:
        """End an event that lasts; returns the effect, if any."""
        if event.type == FLAP:
            return self._end_flap(event)
        if event.type == SLOW:
            return self._end_slow(event)
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
        self._occur(KILLED)
        return f"killed {leader}"

    def _kill_non_leader(self, _: Event) -> str:
        others = self._others()
        if not others:
            return "no replica left to kill"
        victim = self._random.choice(others)
        self._processes.kill(victim)
        self._occur(KILLED)
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
        self._occur(KILLED)
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
        for _ in victims:
            self._occur(KILLED)
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
        return self._parted(self._sides())

    def _part_hard(self, _: Event) -> str:
        self._network.partition(self._random, with_leader=False)
        self._clients.forget_leader()
        return self._parted(self._sides())

    def _part_one_way(self, _: Event) -> str:
        self._network.split_one_way(self._random)
        return self._parted(f"{self._sides()} no longer hears the others, which hear it")

    def _part_bridge(self, _: Event) -> str:
        bridge = self._network.bridge(self._random)
        left, right = (" ".join(sorted(side)) for side in self._network.cuts[0])
        return self._parted(f"{left} and {right} hear each other only through {bridge}")

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
        return self._parted(f"isolated {replica}")

    def _sides(self) -> str:
        return f"majority side {' '.join(sorted(self._network.majority_side or ()))}"

    def _parted(self, effect: str) -> str:
        self._trace_cuts()
        self._occur(PARTITIONED)
        return effect

    def _part_end(self, _: Event) -> str:
        slow = sorted(self._network.slowness)
        self._network.heal()
        for ended in (self._flapping, self._cut_off, self._slowed):
            ended.clear()
        self._trace_cuts()
        for replica in slow:
            self._trace.event("slow_end", replica=replica)
        self._occur(HEALED)
        return "healed"

    _heal = _part_end

    def _trace_cuts(self) -> None:
        """The cuts replace those before them, if there are any."""
        network = self._network
        self._trace.event("heal")
        is_split = len(network.cuts) == 2 and network.majority_side is not None
        if is_split:
            self._trace.event("partition", side=sorted(network.majority_side or ()))
        for senders, targets in network.all_cuts():
            if not is_split or (senders, targets) not in network.cuts:
                self._trace.event("one_way", **{"from": sorted(senders), "to": sorted(targets)})

    def _flap(self, event: Event) -> str:
        replica = self._choose(event.replica)
        if replica is None:
            return f"no replica flaps, {self._reason(event.replica)}"
        self._flapping[event] = replica
        self.turn(event)
        return f"{replica} loses and regains its links each {event.period:g} s, for {event.duration:g} s"

    def turn(self, event: Event) -> bool:
        """Cut or connect the replica of a flap; false if the flap has ended."""
        if event in self._flapping:
            self._cut_off ^= {event}
            self._show_flaps()
        return event in self._flapping

    def _show_flaps(self) -> None:
        self._network.flap(self._flapping.values(), (self._flapping[event] for event in self._cut_off))
        self._trace_cuts()

    def _end_flap(self, event: Event) -> str | None:
        replica = self._flapping.pop(event, None)
        if replica is None:
            return None
        self._cut_off.discard(event)
        self._show_flaps()
        return f"{replica} keeps its links"

    def _slow(self, event: Event) -> str:
        replica = self._choose(event.replica)
        if replica is None:
            return f"no replica is slow, {self._reason(event.replica)}"
        self._slowed[event] = replica
        self._show_slowness(replica)
        return f"messages from and to {replica} take {event.by:g} s longer, for {event.duration:g} s"

    def _end_slow(self, event: Event) -> str | None:
        replica = self._slowed.pop(event, None)
        if replica is None:
            return None
        self._show_slowness(replica)
        return f"messages from and to {replica} are as fast as before"

    def _show_slowness(self, replica: str) -> None:
        """The slowness of several events adds up."""
        seconds = [event.by or 0.0 for event, slow in self._slowed.items() if slow == replica]
        if seconds:
            self._network.slowness[replica] = sum(seconds)
            self._trace.event("slow", replica=replica, by=sum(seconds))
        else:
            self._network.slowness.pop(replica, None)
            self._trace.event("slow_end", replica=replica)

    def _choose(self, wanted: str) -> str | None:
        """The replica of a flap or a slow one; `None` if none is possible."""
        network = self._network
        possible = {
            LEADER: [network.leader] if network.leader in network.living else [],
            NON_LEADER: self._others(), RANDOM: network.living,
        }.get(wanted, [wanted] if wanted in (*network.living, *network.down) else [])
        return self._random.choice(possible) if possible else None

    def _reason(self, wanted: str) -> str:
        """Why no replica can be chosen."""
        if wanted == LEADER:
            return f"the leader is {self._network.leader}"
        return "no such one lives" if wanted in (NON_LEADER, RANDOM) else f"{wanted} is dead"
