"""The statistics of a summary: an interval around a pass rate, and quantiles of a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Of the normal distribution, for a probability of 95 % between both sides.
_Z = 1.959963984540054


def wilson(passed: int, runs: int) -> tuple[float, float]:
    """The interval of Wilson in which the pass rate lies with a probability of 95 %.

    It is also right for few runs and near 0 and 1: ten of ten passed runs give 0.72 to 1.
    """
    if runs == 0:
        return 0.0, 1.0
    rate, square = passed / runs, _Z * _Z
    centre = (rate + square / (2 * runs)) / (1 + square / runs)
    half = _Z / (1 + square / runs) * math.sqrt(rate * (1 - rate) / runs + square / (4 * runs * runs))
    # Rounding must not exclude the rates 0 and 1.
    return max(0.0, min(centre - half, rate)), min(1.0, max(centre + half, rate))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which this share of the rising values lies, between two of them if needed."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def bins(ordered: Sequence[float], count: int) -> list[int]:
    """How many of the rising values lie in each of `count` equal parts from least to greatest."""
    least, greatest = ordered[0], ordered[-1]
    found = [0] * count
    width = (greatest - least) / count
    for value in ordered:
        found[min(count - 1, int((value - least) / width)) if width else 0] += 1
    return found
