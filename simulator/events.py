"""The events of a scenario: kills, partitions and their ends."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from simulator.clients import Clients
from simulator.network import Network

KILL_LEADER_ON_ACK = "kill_leader_on_ack"


class Events:
    """Carry out events. `kill` ends the process of a replica and takes it off the network."""

    def __init__(
        self, network: Network, clients: Clients, random: Random, kill: Callable[[str], None]
    ) -> None:
        self._network = network
        self._clients = clients
        self._random = random
        self._kill = kill
        self.armed = 0

    def happen(self, type: str) -> str:
        """Carry out an event of this type; returns its effect in words for the user."""
        act: Callable[[], str] = getattr(self, f"_{type}")
        return act()

    def _kill_leader(self) -> str:
        leader = self._network.leader
        if leader not in self._network.living:
            return f"no replica killed, the leader is {leader}"
        self._kill(leader)
        self._clients.lose_leader(leader)
        return f"killed {leader}"

    def _kill_non_leader(self) -> str:
        others = [r for r in self._network.living if r != self._network.leader]
        if not others:
            return "no replica left to kill"
        victim = self._random.choice(others)
        self._kill(victim)
        return f"killed {victim}"

    def _kill_leader_on_ack(self) -> str:
        self.armed += 1
        return "armed"

    def acknowledged(self, replica: str) -> str | None:
        """Carry out an armed kill after an acknowledged put; returns its effect, if any."""
        if not self.armed:
            return None
        self.armed -= 1
        self._kill(replica)
        self._clients.lose_leader(replica)
        return f"struck, killed {replica}"

    def _part_easy(self) -> str:
        self._network.partition(self._random, with_leader=True)
        return self._sides()

    def _part_hard(self) -> str:
        self._network.partition(self._random, with_leader=False)
        self._clients.forget_leader()
        return self._sides()

    def _part_end(self) -> str:
        self._network.heal()
        return "healed"

    def _sides(self) -> str:
        return f"majority side {' '.join(sorted(self._network.majority_side or ()))}"
