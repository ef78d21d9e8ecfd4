"""The performance tiers: each metric against its three thresholds, all comparisons strict."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.config import Scenario
from simulator.figures import Figures

VERDICTS = ("Bonus!", "Passed", "Partial credit, needs improvement", "Failed")
WORST_TIER = len(VERDICTS) - 1


@dataclass(frozen=True)
class Rating:
    """`benchmark` is the threshold above `value`; in the worst tier, the last threshold."""

    metric: str
    value: float
    benchmark: float
    tier: int

    @property
    def verdict(self) -> str:
        return VERDICTS[self.tier]


def rate(scenario: Scenario, figures: Figures) -> list[Rating]:
    return [
        _rate(metric, figures.metric(metric), thresholds)
        for metric, thresholds in scenario.tests.benchmarks.items()
    ]


def _rate(metric: str, value: float, thresholds: tuple[float, ...]) -> Rating:
    for tier, threshold in enumerate(thresholds):
        if value < threshold:
            return Rating(metric, value, threshold, tier)
    return Rating(metric, value, thresholds[-1], WORST_TIER)
