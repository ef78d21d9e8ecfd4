"""A pass over all results of a campaign: the counts and metrics of each scenario, the failures."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from simulator.campaign.job import PASSED, Outcome
from simulator.campaign.plan import Plan
from simulator.campaign.store import Records


@dataclass
class Scenario:
    """The results of one scenario."""

    name: str
    verdicts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    metrics: dict[str, array[float]] = field(default_factory=dict)
    # seed -> the place of its record
    places: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        return self.verdicts.total()

    @property
    def passed_all(self) -> bool:
        return self.verdicts[PASSED] == self.runs

    def add(self, outcome: Outcome, place: tuple[int, int]) -> None:
        self.places[outcome.seed] = place
        self.verdicts[outcome.verdict] += 1
        self.seconds += outcome.seconds
        for name, value in outcome.metrics.items():
            if value is not None:
                self.metrics.setdefault(name, array("d")).append(value)


class Tally:
    """All results by scenario, of one plan; the records themselves stay in their files."""

    def __init__(self, plan: Plan, paths: list[Path]) -> None:
        self.plan = plan
        self.scenarios = {name: Scenario(name) for name in plan.scenarios}
        self._paths = paths

    def add(self, outcome: Outcome, place: tuple[int, int]) -> None:
        """Add a result, whose record is in the file and at the offset of `place`."""
        self.scenarios[outcome.config].add(outcome, place)

    @property
    def verdicts(self) -> Counter[str]:
        return sum((one.verdicts for one in self.scenarios.values()), Counter[str]())

    def outcomes(self, names: Iterable[str] | None = None) -> Iterator[Outcome]:
        """The results in the order of the plan's scenarios, then of their seeds."""
        records = Records(self._paths)
        try:
            for name in names or self.scenarios:
                for _, place in sorted(self.scenarios[name].places.items()):
                    yield records.at(*place)
        finally:
            records.close()
