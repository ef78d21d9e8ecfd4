"""How long the rest of a series of runs takes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping


class Estimate:
    """Each scenario takes as long as its earlier runs, or its lifetime and the usual rest."""

    def __init__(self, lifetimes: Mapping[str, float]) -> None:
        """A lifetime of 0 is unknown: a scenario in virtual time takes as long as it takes."""
        self._lifetimes = lifetimes
        self._measured: dict[str, list[float]] = defaultdict(list)

    def add(self, scenario: str, seconds: float) -> None:
        self._measured[scenario].append(seconds)

    def left(self, scenarios: Iterable[str]) -> float:
        """The seconds for one run of each of `scenarios`, in which one may stand several times."""
        rest = self._rest()
        return sum(
            statistics.fmean(self._measured[scenario]) if self._measured.get(scenario)
            else self._lifetimes[scenario] + rest
            for scenario in scenarios
        )

    def _rest(self) -> float:
        """The seconds that a run takes beside its lifetime, by the runs so far."""
        beside = [
            seconds - self._lifetimes[scenario]
            for scenario, all_seconds in self._measured.items() for seconds in all_seconds
        ]
        return statistics.fmean(beside) if beside else 0.0

    def words(self, scenarios: Iterable[str]) -> str:
        seconds = self.left(scenarios)
        if self._measured:
            return f"about {duration(seconds)} left"
        return f"at least {duration(seconds)}" if seconds else "no estimate yet"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
