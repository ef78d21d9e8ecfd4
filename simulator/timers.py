"""Acts whose time becomes known during the run: arrivals of messages, and parts of events."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count


class Timers:
    """Acts in the order of their times; those of one time in the order in which they came."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.now = clock
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def add(self, due: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._waiting, (due, next(self._numbers), act))

    def next_due(self) -> float:
        return self._waiting[0][0] if self._waiting else math.inf

    def run_due(self) -> None:
        """Carry out all acts that are due."""
        now = self.now()
        while self._waiting and self._waiting[0][0] <= now:
            heapq.heappop(self._waiting)[2]()
