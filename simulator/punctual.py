"""A selector that waits for parts of a millisecond, as delays and conditions need it."""

from __future__ import annotations

import math
import select
import selectors
import time

_TICK_SECONDS = 0.001


class PunctualSelector(selectors.EpollSelector):
    """Waits as long as it is told.

    epoll counts in milliseconds, and Python rounds up. So this selector waits for the last part of
    a millisecond with `select`, which costs two more calls of the kernel at the end of a wait.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        end = time.monotonic() + timeout
        ready = super().select(math.floor(timeout / _TICK_SECONDS) * _TICK_SECONDS)
        left = end - time.monotonic()
        if not ready and left > 0:
            select.select([self.fileno()], (), (), left)
            ready = super().select(0)
        return ready
