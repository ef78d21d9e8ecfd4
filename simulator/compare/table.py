"""The findings as text: a table, and a chart of the ratios with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

from simulator.compare import interval
from simulator.compare.findings import PASSES, Finding, PairOfRuns, Verdict, left_out, why
from simulator.compare.metrics import Kind
from simulator.compare.sides import Side

_INDENT = "     "
_CHART = 51  # columns, of which the middle one stands for 1
# Failed runs that are listed.
_MOST_FAILURES = 20
# The end of the scale: the smallest of these that holds all intervals.
_SCALES = (1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100, 1000)


def render(sides: Sequence[Side], pairs: Sequence[PairOfRuns], found: Sequence[Finding]) -> str:
    lines = ["# Comparison", ""]
    lines += [f"{_INDENT}{side.name}: {side}" for side in sides]
    for scenario, group in by_scenario(found):
        lines += ["", *_table(scenario, group)]
        lines += _chart(group)
    lines += ["", *[f"{_INDENT}{line}" for line in remarks(pairs, found)]]
    return "\n".join(lines)


def by_scenario(found: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    return [(name, list(group)) for name, group in groupby(found, attrgetter("scenario"))]


def _table(scenario: str, group: Sequence[Finding]) -> list[str]:
    pairs = next(finding.pairs for finding in group if finding.metric == PASSES)
    lines = [f"## {scenario}, {counted(pairs, 'pair')}"]
    lines.append(f"{'':<25}{'A':>10} {'B':>10}  B / A, or B - A with a sign")
    for finding in group:
        row = f"{_INDENT}{finding.metric:<20}{finding.a:>10} {finding.b:>10}  {estimate(finding):<27}"
        lines.append(f"{row}{finding.text}".rstrip())
    return lines


def estimate(finding: Finding) -> str:
    """A ratio as it is, a difference with its sign, each with its interval."""
    if finding.estimate is None or finding.metric == PASSES or finding.verdict is Verdict.SAME:
        return ""
    form = "{:.3f}" if finding.kind is Kind.RATIO else "{:+.1f}"
    text = form.format(finding.estimate)
    if finding.low is None or finding.high is None:
        return text
    return f"{text} ({form.format(finding.low)} to {form.format(finding.high)})"


def scale_of(found: Iterable[Finding], has_pairs: bool = False) -> float:
    """The largest ratio that a chart shows, also of single pairs; its inverse is the smallest."""
    ratios = [
        ratio for finding in found if finding.kind is Kind.RATIO
        for ratio in (finding.low, finding.estimate, finding.high, *(finding.ratios if has_pairs else ()))
        if ratio
    ]
    reach = max((max(ratio, 1 / ratio) for ratio in ratios), default=1)
    return next((scale for scale in _SCALES if scale >= reach), _SCALES[-1])


def _chart(group: Sequence[Finding]) -> list[str]:
    drawn = [finding for finding in group if finding.kind is Kind.RATIO and finding.low is not None]
    if not drawn:
        return []
    scale = scale_of(drawn)
    axis = f"{f'1/{scale:g}':<{_CHART // 2}}1{f'{scale:g}':>{_CHART // 2}}"
    lines = [f"{_INDENT}{finding.metric:<20}{_bar(finding, scale)}".rstrip() for finding in drawn]
    return ["", *lines, f"{_INDENT}{'B / A':<20}{axis}"]


def _bar(finding: Finding, scale: float) -> str:
    cells = [" "] * _CHART
    cells[_column(1, scale)] = "|"
    if finding.low is not None and finding.high is not None and finding.estimate is not None:
        low, high = _column(finding.low, scale), _column(finding.high, scale)
        cells[low:high + 1] = "-" * (high - low + 1)
        cells[low], cells[high] = "[", "]"
        cells[_column(finding.estimate, scale)] = "o"
    return "".join(cells)


def _column(ratio: float, scale: float) -> int:
    share = (math.log(ratio) / math.log(scale) + 1) / 2
    return round((_CHART - 1) * min(1.0, max(0.0, share)))


def remarks(pairs: Sequence[PairOfRuns], found: Sequence[Finding]) -> list[str]:
    """The lines that a reader must know beside the figures."""
    lines = []
    judged = [f for f in found if f.verdict in (Verdict.DIFFERENT, Verdict.NOISE) and f.metric != PASSES]
    different = [finding for finding in judged if finding.verdict is Verdict.DIFFERENT]
    if judged:
        chance = (1 - interval.CONFIDENCE) * len(judged)
        lines.append(
            f"{len(different)} of {counted(len(judged), 'figure')} differ; about {chance:.1f} would by "
            "chance alone."
        )
    if 0 < len(pairs) < interval.FEWEST:
        lines.append(f"No difference is claimed with fewer than {interval.FEWEST} pairs.")
    if left_out(pairs):
        lines.append(
            f"The ratios leave out {counted(left_out(pairs), 'pair')} in which a run did not pass:"
        )
        lines += _failures(pairs)
    return lines


def _failures(pairs: Sequence[PairOfRuns]) -> list[str]:
    failed = [
        (pair, name, run) for pair in pairs for name, run in zip("AB", pair.runs, strict=True)
        if not run.passed
    ]
    lines = [
        f"{pair.scenario}, seed {pair.seed}: {name}: {why(run)}"
        + (f" (kept in {run.kept})" if run.kept else "")
        for pair, name, run in failed
    ]
    if len(lines) > _MOST_FAILURES:
        lines[_MOST_FAILURES:] = [f"and {len(lines) - _MOST_FAILURES:,} more"]
    return lines


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
