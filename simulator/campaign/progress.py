"""The line that tells how far a campaign is, and when it may end."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from simulator.campaign.job import ERROR, FAILED, PASSED, Outcome
from simulator.console import Console

_TERMINAL_SECONDS = 0.5
_PLAIN_SECONDS = 30.0


class Progress:
    """Counts of finished runs, and an estimate for the rest from the runs that were measured."""

    def __init__(self, runs: dict[str, int], lifetimes: dict[str, float], size: int = 1) -> None:
        """`runs` has the number of jobs of each scenario; `size` is how many run at a time."""
        self._lifetimes = lifetimes
        self._left = Counter(runs)
        self._whole = sum(runs.values())
        self.size = size
        # Of the measured runs of each scenario.
        self._seconds: dict[str, float] = {}
        self._measured: Counter[str] = Counter()
        self._finished_here = 0
        self.verdicts: Counter[str] = Counter()

    @property
    def finished(self) -> int:
        return self.verdicts.total()

    @property
    def left(self) -> int:
        return self._whole - self.finished

    def count(self, outcome: Outcome, *, is_new: bool) -> None:
        """Count a finished run, of this start of the campaign or of an earlier one."""
        self.verdicts[outcome.verdict] += 1
        self._left[outcome.config] -= 1
        self._finished_here += is_new
        # A run that was refused or killed took another time than a whole one.
        if outcome.verdict != ERROR:
            self._seconds[outcome.config] = self._seconds.get(outcome.config, 0) + outcome.seconds
            self._measured[outcome.config] += 1

    def estimate(self) -> float | None:
        """The seconds that the rest may take; `None` before each worker has finished a run."""
        if self._measured.total() < self.size:
            return None
        # A scenario without a measured run takes as much of its lifetime as others of theirs.
        measured = sum(self._lifetimes[name] * runs for name, runs in self._measured.items())
        share = sum(self._seconds.values()) / measured
        seconds = sum(
            left * (self._seconds[name] / self._measured[name] if name in self._seconds
                    else self._lifetimes[name] * share)
            for name, left in self._left.items()
        )
        return seconds / min(self.size, max(1, self.left))

    def line(self, elapsed: float) -> str:
        """The state after `elapsed` seconds of this start."""
        counts = " ".join(f"{verdict} {self.verdicts[verdict]:,}" for verdict in (PASSED, FAILED, ERROR))
        line = f"{self.finished:,}/{self._whole:,} {counts}, {self.size} at a time"
        if not self._finished_here:
            return f"{line}, no estimate yet"
        line += f", {_rate(self._finished_here / max(elapsed, 1e-9))}"
        estimate = self.estimate()
        return f"{line}, {'no estimate yet' if estimate is None else f'about {_duration(estimate)} left'}"


def _rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.1f} per second"
    return f"{per_second * 60:.1f} per minute"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


class Display:
    """Shows the line again and again: in its place on a terminal, elsewhere every 30 seconds."""

    def __init__(self, clock: Callable[[], float], out: TextIO | None = None) -> None:
        self._console = Console(out or sys.stdout)
        self._clock = clock
        self._start = clock()
        self._period = _TERMINAL_SECONDS if self._console.is_terminal else _PLAIN_SECONDS
        self._next = self._start + (0 if self._console.is_terminal else _PLAIN_SECONDS)

    def tick(self, progress: Progress) -> None:
        """Show the progress if its time has come."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._period
        line = progress.line(now - self._start)
        if self._console.is_terminal:
            self._console.progress(line)
        else:
            self._console.line(line)

    def line(self, text: str) -> None:
        """A line that stays."""
        self._console.line(text)

    def end(self) -> None:
        self._console.end_progress()
