"""The tables of the page: the pass rate of each scenario, and the distribution of each metric."""

from __future__ import annotations

import html
from array import array
from collections.abc import Iterable

from simulator.campaign.job import ERROR, FAILED, PASSED
from simulator.campaign.statistics import bins, quantile, wilson
from simulator.campaign.summary import charts
from simulator.campaign.tally import Scenario

_BINS = 24
# metric -> its name on the page, and the factor to its unit there.
_METRICS = {
    "total_msgs": ("messages between replicas", 1),
    "failures": ("failures and unanswered requests", 1),
    "unanswered": ("unanswered requests", 1),
    "duplicates": ("duplicate responses", 1),
    "median_latency": ("median latency (ms)", 1000),
    "p99_latency": ("99th percentile of latency (ms)", 1000),
    "failover": ("failover after the kill of a leader (ms)", 1000),
}


def rates(scenarios: Iterable[Scenario]) -> str:
    """A row per scenario: its counts, and the pass rate with its interval."""
    rows = "".join(_rate_row(one) for one in scenarios if one.runs)
    return (
        "<table><thead><tr><th scope=col>scenario<th scope=col>runs<th scope=col>passed<th scope=col>failed"
        "<th scope=col>error<th scope=col>pass rate<th scope=col>95 % interval<th scope=col>"
        f"<th scope=col>mean time</thead><tbody>{rows}</tbody></table>"
    )


def _rate_row(one: Scenario) -> str:
    passed = one.verdicts[PASSED]
    rate = passed / one.runs
    low, high = wilson(passed, one.runs)
    counts = "".join(
        f'<td class="{verdict if one.verdicts[verdict] else "none"}">{one.verdicts[verdict]:,}'
        for verdict in (PASSED, FAILED, ERROR)
    )
    return (
        f"<tr><th scope=row>{html.escape(one.name)}<td>{one.runs:,}{counts}<td>{rate:.1%}"
        f"<td>{low:.1%} to {high:.1%}<td>{charts.interval(rate, low, high)}"
        f"<td>{one.seconds / one.runs:.2f} s</tr>"
    )


def distributions(scenarios: Iterable[Scenario]) -> str:
    """For each scenario a table of its metrics, if its runs have some."""
    return "".join(_distribution(one) for one in scenarios if one.metrics)


def _distribution(one: Scenario) -> str:
    rows = "".join(
        _metric_row(label, one.metrics[name], factor)
        for name, (label, factor) in _METRICS.items() if name in one.metrics
    )
    return (
        f"<h3>{html.escape(one.name)}</h3><div class=wide><table><thead><tr><th scope=col>metric"
        "<th scope=col>runs<th scope=col>least<th scope=col>median<th scope=col>95th percentile"
        f"<th scope=col>greatest<th scope=col>distribution</thead><tbody>{rows}</tbody></table></div>"
    )


def _metric_row(label: str, values: array[float], factor: int) -> str:
    ordered = sorted(value * factor for value in values)
    shown = "".join(f"<td>{number(quantile(ordered, share))}" for share in (0, 0.5, 0.95, 1))
    drawn = charts.histogram(bins(ordered, _BINS))
    return f"<tr><th scope=row>{label}<td>{len(ordered):,}{shown}<td>{drawn}</tr>"


def number(value: float) -> str:
    """A whole or great number without a fraction; another one with three digits that count."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"
