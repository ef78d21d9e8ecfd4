"""Messages that arrive late, twice or damaged: the way between their sender and their receiver."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from random import Random

from simulator.delays import CLIENTS, Delay, Distribution
from simulator.network import DOWN, Network
from simulator.outbox import OVERFLOW
from simulator.timers import Timers
from simulator.trace.recorder import LATER, Trace
from simulator.transport import Transport

# Before a message leaves a link of limited bandwidth. A longer queue would only be more silence.
MOST_WAIT_SECONDS = 10.0


class Way:
    """The messages on their way, in a network that delays, duplicates or damages them."""

    def __init__(
        self,
        delay: Delay,
        bandwidth: float | None,
        random: Random,
        network: Network,
        transport: Transport,
        trace: Trace,
        timers: Timers,
    ) -> None:
        self._delay = delay
        self._bandwidth = bandwidth
        self._random = random
        self._network = network
        self._transport = transport
        self._trace = trace
        self._timers = timers
        self._distributions: dict[tuple[str, str], Distribution] = {}
        self._free: dict[tuple[str, str], float] = {}  # when each link has sent all before
        self._last: dict[tuple[str, str], float] = {}  # the last arrival of each link

    def carry(self, now: float, sender: str, destination: str, raw: bytes) -> None:
        """Carry a message from a replica to one or all others."""
        body: bytes | None = raw
        for target, loss in self._network.route(sender, destination):
            left = now
            if loss is None and self._bandwidth is not None:
                left = self._leave(now, (sender, target), len(raw) / self._bandwidth)
                loss = OVERFLOW if left == math.inf else None
            number = self._trace.message(now, sender, target, body, loss or LATER)
            body = None
            if loss is None:
                for _ in range(1 + self._network.duplicates()):
                    due = self._in_order(sender, target, left + self._draw(sender, target))
                    self._timers.add(due, self._arrival(number, target, raw, may_be_damaged=True))
        self._timers.run_due()

    def ask(self, target: str, raw: bytes) -> str:
        """Carry a request of a client; returns its fate for the trace."""
        due = self._timers.now() + self._draw(CLIENTS, target)
        self._timers.add(due, self._arrival(self._trace.next_number(), target, raw))
        return LATER

    def answer(self, now: float, sender: str, arrive: Callable[[], None]) -> None:
        """Carry a response to a client, which `arrive` receives."""
        self._timers.add(now + self._draw(sender, CLIENTS), arrive)
        self._timers.run_due()

    def _leave(self, now: float, link: tuple[str, str], seconds: float) -> float:
        """The time at which a message has left, which takes so long; never if it waits too long.

        A copy that the network makes takes no time of the link.
        """
        begins = max(now, self._free.get(link, now))
        if begins - now > MOST_WAIT_SECONDS:
            self._network.overflowed += 1
            return math.inf
        self._free[link] = begins + seconds
        return begins + seconds

    def _draw(self, sender: str, receiver: str) -> float:
        link = sender, receiver
        distribution = self._distributions.get(link)
        if distribution is None:
            distribution = self._distributions[link] = self._delay.between(sender, receiver)
        slowness = self._network.slowness
        late = distribution.draw(self._random)
        return late + slowness.get(sender, 0.0) + slowness.get(receiver, 0.0) if slowness else late

    def _in_order(self, sender: str, target: str, due: float) -> float:
        if not self._delay.reorder:
            due = self._last[sender, target] = max(due, self._last.get((sender, target), 0.0))
        return due

    def _arrival(
        self, number: int, target: str, raw: bytes, may_be_damaged: bool = False
    ) -> Callable[[], None]:
        return partial(self._arrive, number, target, self._network.lives[target], raw, may_be_damaged)

    def _arrive(self, number: int, target: str, life: int, raw: bytes, may_be_damaged: bool) -> None:
        """A replica that has ended meanwhile or lives again gets no message of its earlier life."""
        network = self._network
        is_same = life == network.lives[target]
        if is_same and target in network.living:
            damaged = network.damage(raw) if may_be_damaged else None
            if damaged is not None:
                self._trace.change(number, damaged)
            fate = self._transport.send(target, damaged or raw)
        else:
            fate = "dead" if is_same and target not in network.down else DOWN
        self._trace.settle(number, target, fate)
