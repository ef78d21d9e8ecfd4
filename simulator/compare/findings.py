"""The pairs of runs -> what they show: a difference, noise, or nothing because they are too few."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from simulator.campaign.job import Outcome
from simulator.compare import interval
from simulator.compare.metrics import METRICS, Kind, Metric

PASSES = "passes"
ALL = "all scenarios"
# In one table in twenty a difference shows by chance.
_CHANCE = 1 - interval.CONFIDENCE
# A coin falls so often to the same side by chance in 3 % of all cases, five times in 6 %.
_ENOUGH_ALIKE = 6


@dataclass(frozen=True)
class PairOfRuns:
    """The outcomes of A and B with the same scenario and seed."""

    scenario: str
    seed: int
    runs: tuple[Outcome, Outcome]


def why(run: Outcome) -> str:
    """The first reason why a run did not pass, and how many more there are."""
    first = run.reason.partition("; ")[0]
    more = len(run.failed) - 1
    return f"{first}; and {more} more" if more > 0 else first


class Verdict(Enum):
    DIFFERENT = "different"
    NOISE = "noise"
    SAME = "same"  # equal in each pair
    TOO_FEW = "too few pairs"


@dataclass(frozen=True)
class Finding:
    """One metric in one scenario.

    `values` are the figures of A and B in each pair that counts. `estimate` is B / A for a ratio
    and B - A for a count, between `low` and `high` with 95 % confidence. `needed` pairs would tell
    a difference as large as the estimate.
    """

    scenario: str
    metric: str
    kind: Kind
    verdict: Verdict
    text: str
    values: tuple[tuple[float, float], ...]
    a: str
    b: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    needed: int | None = None

    @property
    def pairs(self) -> int:
        return len(self.values)

    @property
    def ratios(self) -> list[float]:
        return [b / a for a, b in self.values] if self.kind is Kind.RATIO else []

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "kind": self.kind.value, "verdict": self.verdict.value, "pairs": self.pairs,
        }


def findings(pairs: Sequence[PairOfRuns]) -> list[Finding]:
    """The findings of each scenario, then those of all pairs if there are more scenarios."""
    names = list(dict.fromkeys(pair.scenario for pair in pairs))
    groups: Mapping[str, list[PairOfRuns]] = {
        name: [pair for pair in pairs if pair.scenario == name] for name in names
    }
    if len(names) > 1:
        groups = {**groups, ALL: list(pairs)}
    return [finding for name, group in groups.items() for finding in _of_group(name, group)]


def _of_group(name: str, pairs: Sequence[PairOfRuns]) -> list[Finding]:
    found = [_passes(name, pairs)]
    for metric in METRICS:
        values = _values(metric, pairs)
        if values:
            found.append((_ratio if metric.kind is Kind.RATIO else _count)(name, metric, values))
    return found


def _values(metric: Metric, pairs: Sequence[PairOfRuns]) -> list[tuple[float, float]]:
    """The figures of both runs; for a ratio only if both passed, or its speed says nothing."""
    values = []
    for pair in pairs:
        if metric.kind is Kind.RATIO and not all(run.passed for run in pair.runs):
            continue
        a, b = (metric.of(run.metrics) for run in pair.runs)
        if a is None or b is None or (metric.kind is Kind.RATIO and min(a, b) <= 0):
            continue
        values.append((float(a), float(b)))
    return values


def left_out(pairs: Sequence[PairOfRuns]) -> int:
    """How many pairs no ratio counts, because a run of them did not pass."""
    return sum(not all(run.passed for run in pair.runs) for pair in pairs)


def _ratio(name: str, metric: Metric, values: list[tuple[float, float]]) -> Finding:
    """The interval of the mean of log(B / A), so its end points are those of a geometric mean.

    The figures of the sides are geometric means as well: their ratio is the estimate.
    """
    logs = [math.log(b / a) for a, b in values]
    sides = [metric.shown(statistics.geometric_mean(side)) for side in zip(*values, strict=True)]
    estimate = math.exp(statistics.fmean(logs))
    found = interval.of_mean(logs)
    if found is None:
        return _told(name, metric, Verdict.TOO_FEW, values, sides, estimate)
    if not any(logs):
        return _told(name, metric, Verdict.SAME, values, sides, 1.0, (1.0, 1.0))
    change = f"{_rounded(100 * abs(estimate - 1))} % {metric.less if estimate < 1 else 'more'}"
    text = f"B {metric.verb} {change}"
    return _told(
        name, metric, _verdict(found, len(values)), values, sides, estimate,
        (math.exp(found.low), math.exp(found.high)), found, text,
    )


def _count(name: str, metric: Metric, values: list[tuple[float, float]]) -> Finding:
    """The interval of the mean of B - A, because numbers that may be 0 have no ratio."""
    differences = [b - a for a, b in values]
    sides = [metric.shown(statistics.fmean(side)) for side in zip(*values, strict=True)]
    estimate = statistics.fmean(differences)
    found = interval.of_mean(differences)
    if found is None:
        return _told(name, metric, Verdict.TOO_FEW, values, sides, estimate)
    if not any(differences):
        return _told(name, metric, Verdict.SAME, values, sides, 0.0, (0.0, 0.0))
    text = f"B has {_rounded(abs(estimate))} {'fewer' if estimate < 0 else 'more'} per run"
    return _told(
        name, metric, _verdict(found, len(values)), values, sides, estimate,
        (found.low, found.high), found, text,
    )


def _verdict(found: interval.Interval, pairs: int) -> Verdict:
    """Values that are all alike have an interval without width, so their number must convince."""
    if not found.excludes_zero:
        return Verdict.NOISE
    if found.deviation == 0 and pairs < _ENOUGH_ALIKE:
        return Verdict.TOO_FEW
    return Verdict.DIFFERENT


def _told(
    name: str,
    metric: Metric,
    verdict: Verdict,
    values: list[tuple[float, float]],
    sides: list[str],
    estimate: float,
    ends: tuple[float | None, float | None] = (None, None),
    found: interval.Interval | None = None,
    text: str = "",
) -> Finding:
    needed = None
    if verdict is Verdict.NOISE and found is not None:
        needed = interval.needed(found.mean, found.deviation)
        text = f"noise ({_pairs_needed(needed)})"
    elif verdict is Verdict.SAME:
        text = "equal in each pair"
    elif verdict is Verdict.TOO_FEW and found is not None:
        needed = _ENOUGH_ALIKE
        text = f"alike in each pair, and {needed} such pairs would tell"
    elif verdict is Verdict.TOO_FEW:
        text = f"too few pairs to tell: {len(values)}"
    return Finding(
        name, metric.name, metric.kind, verdict, text, tuple(values), sides[0], sides[1],
        estimate, ends[0], ends[1], needed,
    )


def _pairs_needed(needed: int | None) -> str:
    if needed is None:
        return f"more than {interval.MOST_NEEDED:,} pairs are needed to tell"
    return f"about {needed:,} pairs are needed to tell"


def _rounded(value: float) -> str:
    """Two digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _passes(name: str, pairs: Sequence[PairOfRuns]) -> Finding:
    """Pairs in which both runs pass, or both fail, say nothing about a difference."""
    values = [(float(a.passed), float(b.passed)) for a, b in (pair.runs for pair in pairs)]
    wins = sum(b > a for a, b in values)
    losses = sum(b < a for a, b in values)
    chance = interval.by_chance(wins, losses)
    if wins == losses == 0:
        verdict, text = Verdict.SAME, "equal in each pair"
    elif len(pairs) < interval.FEWEST:
        verdict, text = Verdict.TOO_FEW, f"too few pairs to tell: {len(pairs)}"
    elif chance >= _CHANCE:
        verdict, text = Verdict.NOISE, f"noise (it comes by chance in {_rounded(100 * chance)} %)"
    else:
        verdict, text = Verdict.DIFFERENT, f"B passes {'more' if wins > losses else 'less'} often"
    passed = [sum(side) for side in zip(*values, strict=True)]
    shown = [f"{count:.0f} of {len(pairs)}" for count in passed]
    return Finding(
        name, PASSES, Kind.COUNT, verdict, text, tuple(values), shown[0], shown[1],
        (passed[1] - passed[0]) / len(pairs),
    )
