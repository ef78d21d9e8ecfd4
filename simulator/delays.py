"""Messages that arrive late or twice: the way between their sender and their receiver."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random
from typing import Any

from simulator.config import Delay
from simulator.network import DOWN, Network
from simulator.trace.recorder import LATER, Trace
from simulator.transport import Transport


class Way:
    """The messages on their way, in a network that delays or duplicates."""

    def __init__(
        self,
        delay: Delay,
        random: Random,
        network: Network,
        transport: Transport,
        trace: Trace,
        clock: Callable[[], float],
    ) -> None:
        self._delay = delay
        self._random = random
        self._network = network
        self._transport = transport
        self._trace = trace
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}  # the last arrival of each link
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def carry(self, now: float, sender: str, destination: str, raw: bytes) -> None:
        """Carry a message from a replica to one or all others."""
        body: bytes | None = raw
        for target, loss in self._network.route(sender, destination):
            number = self._trace.message(now, sender, target, body, loss or LATER)
            body = None
            if loss is None:
                for _ in range(1 + self._network.duplicates()):
                    due = self._in_order(sender, target, self._draw(now))
                    self._add(due, self._arrival(number, target, raw))
        self.deliver()

    def ask(self, target: str, raw: bytes) -> str:
        """Carry a request of a client; returns its fate for the trace."""
        self._add(self._draw(self._clock()), self._arrival(self._trace.next_number(), target, raw))
        return LATER

    def answer(self, now: float, arrive: Callable[[], None]) -> None:
        """Carry a response to a client, which `arrive` receives."""
        self._add(self._draw(now), arrive)
        self.deliver()

    def next_arrival(self) -> float:
        return self._waiting[0][0] if self._waiting else math.inf

    def deliver(self) -> None:
        """Let all messages arrive that are due."""
        now = self._clock()
        while self._waiting and self._waiting[0][0] <= now:
            heapq.heappop(self._waiting)[2]()

    def _draw(self, now: float) -> float:
        return now + self._random.uniform(self._delay.least, self._delay.most)

    def _in_order(self, sender: str, target: str, due: float) -> float:
        if not self._delay.reorder:
            due = self._last[sender, target] = max(due, self._last.get((sender, target), 0.0))
        return due

    def _add(self, due: float, arrive: Callable[[], Any]) -> None:
        heapq.heappush(self._waiting, (due, next(self._numbers), arrive))

    def _arrival(self, number: int, target: str, raw: bytes) -> Callable[[], None]:
        return partial(self._arrive, number, target, self._network.lives[target], raw)

    def _arrive(self, number: int, target: str, life: int, raw: bytes) -> None:
        """A replica that has ended meanwhile or lives again gets no message of its earlier life."""
        network = self._network
        is_same = life == network.lives[target]
        if is_same and target in network.living:
            fate = self._transport.send(target, raw)
        else:
            fate = "dead" if is_same and target not in network.down else DOWN
        self._trace.settle(number, target, fate)
