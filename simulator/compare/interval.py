"""Intervals for the mean of a few values, and the number of values that a claim needs.

All intervals are Student's: `mean ± t * s / sqrt(n)`, with the quantile `t` of n - 1 degrees of
freedom. A bootstrap of five pairs would be too sure of itself: its percentile interval holds the
truth in about 81 % of such samples, this one in 95 %.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

CONFIDENCE = 0.95
# A number of pairs is enough if it shows the difference in so many of all comparisons.
POWER = 0.8
# With two pairs the quantile is 12.7, and an interval says nothing.
FEWEST = 3
# A run takes seconds, so a larger number means never.
MOST_NEEDED = 10_000
# From here on Student's distribution is the normal one to three digits.
_NEARLY_NORMAL = 1000
_STEPS = 60


@dataclass(frozen=True)
class Interval:
    """The mean of `count` values with their standard deviation, and the interval of the mean."""

    count: int
    mean: float
    deviation: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def of_mean(values: Sequence[float]) -> Interval | None:
    """The interval that holds the mean with `CONFIDENCE`; `None` for too few values."""
    if len(values) < FEWEST:
        return None
    mean = statistics.fmean(values)
    deviation = statistics.stdev(values)
    half = quantile(len(values) - 1, CONFIDENCE) * deviation / math.sqrt(len(values))
    return Interval(len(values), mean, deviation, mean - half, mean + half)


def needed(mean: float, deviation: float) -> int | None:
    """How many values show such a mean to differ from 0, with `POWER`; `None` if none do.

    It is the smallest n with n >= ((t(0.975) + t(0.8)) * deviation / mean)^2, both with n - 1
    degrees of freedom.
    """
    if mean == 0:
        return None
    low, high = FEWEST, MOST_NEEDED
    if not _suffices(high, mean, deviation):
        return None
    while low < high:
        middle = (low + high) // 2
        if _suffices(middle, mean, deviation):
            high = middle
        else:
            low = middle + 1
    return high


def _suffices(count: int, mean: float, deviation: float) -> bool:
    # One side of 80 % is the middle 60 % of a symmetric distribution.
    reach = quantile(count - 1, CONFIDENCE) + quantile(count - 1, 2 * POWER - 1)
    return math.sqrt(count) * abs(mean) >= reach * deviation


@cache
def quantile(freedom: int, middle: float) -> float:
    """The `t` for which Student's distribution has the share `middle` between -t and t."""
    if freedom > _NEARLY_NORMAL:
        return statistics.NormalDist().inv_cdf((1 + middle) / 2)
    low, high = 0.0, math.pi / 2
    for _ in range(_STEPS):
        angle = (low + high) / 2
        low, high = (angle, high) if _share(angle, freedom) < middle else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def _share(angle: float, freedom: int) -> float:
    """The share of Student's distribution between -t and t, where t = sqrt(freedom) * tan(angle).

    The finite series 26.7.3 and 26.7.4 of Abramowitz and Stegun.
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2 == 1
    term = cosine if is_odd else 1.0
    total = term if freedom > 1 else 0.0
    for factor in range(3 if is_odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (factor - 1) / factor
        total += term
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


def by_chance(wins: int, losses: int) -> float:
    """How often a fair coin falls at least as unevenly as `wins` to `losses`, to either side.

    For pairs of which one run passes and the other one fails this is McNemar's exact test.
    """
    tosses = wins + losses
    if tosses == 0:
        return 1.0
    tail = sum(math.comb(tosses, count) for count in range(min(wins, losses) + 1))
    return min(1.0, float(2 * tail / 2**tosses))
