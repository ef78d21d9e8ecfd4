"""Scripts: generators that yield conditions to wait for, so that several wait at the same time."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

_TICK_SECONDS = 0.01


@dataclass(frozen=True)
class Until:
    """Wait until the condition holds, at most so long. The script then gets whether it holds."""

    condition: Callable[[], bool]
    seconds: float


Script = Generator[Until, bool, None]


def never() -> bool:
    return False


class Stage:
    """Runs scripts side by side until all have ended, or until the time is over.

    After that no script waits any more: each condition is looked at once.
    """

    def __init__(
        self, selector: selectors.BaseSelector, seconds: float, stopped: Callable[[], bool] = never
    ) -> None:
        self._selector = selector
        self._end = time.monotonic() + seconds
        self._stopped = stopped
        self._waiting: list[tuple[Script, Until, float]] = []

    @property
    def is_over(self) -> bool:
        return self._stopped() or time.monotonic() >= self._end

    def add(self, script: Script) -> None:
        """Begin a script."""
        self._advance(script, None)

    def run(self) -> None:
        while self._waiting:
            for key, ready in self._selector.select(_TICK_SECONDS):
                key.data(ready)
            waiting, self._waiting = self._waiting, []
            for script, until, deadline in waiting:
                holds = until.condition()
                if holds or self.is_over or time.monotonic() >= deadline:
                    self._advance(script, holds)
                else:
                    self._waiting.append((script, until, deadline))

    def _advance(self, script: Script, holds: bool | None) -> None:
        try:
            until = next(script) if holds is None else script.send(holds)
        except StopIteration:
            return
        self._waiting.append((script, until, time.monotonic() + until.seconds))
