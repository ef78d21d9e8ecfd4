"""The network: messages on their way, with their delays, the cuts between nodes, and counts."""

from __future__ import annotations

import heapq
import random

from simulator.maelstrom.cuts import CUTS, Deaf
from simulator.maelstrom.message import Broken, Message
from simulator.maelstrom.settings import Settings


class Network:
    """Nodes and clients have names. Only messages between nodes are delayed and cut."""

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._nodes = set(settings.names)
        self._clients: set[str] = set()
        self._on_the_way: list[tuple[float, int, Message]] = []
        self._deaf: Deaf = {}
        self.sent = 0
        self.sent_between_nodes = 0
        self.lost = 0

    def add_client(self, name: str) -> None:
        self._clients.add(name)

    def send(self, now: float, message: Message) -> None:
        """Take a message; an unknown destination is `Broken`."""
        if message.dest not in self._nodes and message.dest not in self._clients:
            raise Broken(f"{message.src} sent a message to an unknown node: {message.dest!r}")
        self.sent += 1
        delay = 0.0
        if self._is_between_nodes(message):
            self.sent_between_nodes += 1
            delay = self._delay()
        heapq.heappush(self._on_the_way, (now + delay, message.id, message))

    def next_arrival(self) -> float | None:
        return self._on_the_way[0][0] if self._on_the_way else None

    def arrived(self, now: float) -> list[Message]:
        """Messages that reach their destination by now, in order."""
        messages = []
        while self._on_the_way and self._on_the_way[0][0] <= now:
            message = heapq.heappop(self._on_the_way)[2]
            if message.src in self._deaf.get(message.dest, ()):
                self.lost += 1
            else:
                messages.append(message)
        return messages

    def cut(self, kind: str) -> str:
        """Cut the network in this way; returns a description of the cut."""
        nodes = self._settings.names
        self._deaf = CUTS[kind](nodes, self._rng)
        groups = {tuple(node for node in nodes if node not in self._deaf[hearer]) for hearer in nodes}
        return f"{kind}: " + " | ".join(" ".join(group) for group in sorted(groups))

    def heal(self) -> None:
        self._deaf = {}

    def _is_between_nodes(self, message: Message) -> bool:
        return message.src in self._nodes and message.dest in self._nodes

    def _delay(self) -> float:
        mean = self._settings.latency
        if mean == 0 or self._settings.distribution == "constant":
            return mean
        if self._settings.distribution == "uniform":
            return self._rng.uniform(0, 2 * mean)
        return self._rng.expovariate(1 / mean)
