"""The findings as one HTML page with a chart, which needs nothing beside itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from simulator.compare import table
from simulator.compare.findings import Finding, PairOfRuns, Verdict, why
from simulator.compare.metrics import Kind
from simulator.compare.sides import Side

_WIDTH, _ROW, _TOP = 520, 30, 8
_LABEL = 120  # the part of the width in which the metrics are named
_MARGIN = 16
# Dots of single pairs in one row.
_MOST_DOTS = 200
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dae1; --paper: #fff;
  --good: #0b6e4f; --noise: #66707f; --dot: #3b6fd4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #a3adbb; --line: #39424f;
  --paper: #14181e; --good: #4fd1a5; --noise: #9aa5b4; --dot: #7fa8ff; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff;
  --good: #0b6e4f; --noise: #555; --dot: #3b6fd4; } section { break-inside: avoid; } }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
code { font-family: ui-monospace, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.2rem 0.8rem; } dd { margin: 0; }
dt { font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
td.number, th.number { text-align: right; }
td.text { white-space: normal; min-width: 8rem; } thead th { color: var(--soft); font-weight: 400; }
.different { color: var(--good); font-weight: 600; } .noise, .same, .few { color: var(--noise); }
svg { display: block; width: 100%; max-width: 40rem; height: auto; margin: 0.8rem 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .axis { fill: var(--soft); }
svg line { stroke: var(--line); } svg .one { stroke: var(--soft); }
svg .interval { stroke: var(--noise); stroke-width: 3; } svg .mean { fill: var(--noise); }
svg .different .interval { stroke: var(--good); } svg .different .mean { fill: var(--good); }
svg .pair { fill: var(--dot); opacity: 0.35; }
"""
_CLASSES = {
    Verdict.DIFFERENT: "different", Verdict.NOISE: "noise", Verdict.SAME: "same", Verdict.TOO_FEW: "few",
}


def render(
    sides: Sequence[Side], pairs: Sequence[PairOfRuns], found: Sequence[Finding], command: str
) -> str:
    parts = ["<h1>Comparison</h1>", "<dl>"]
    parts += [f"<dt>{side.name}</dt><dd><code>{escape(str(side))}</code></dd>" for side in sides]
    parts += [f"<dt>Again</dt><dd><code>{escape(command)}</code></dd>", "</dl>"]
    parts += [f"<p>{escape(line)}</p>" for line in table.remarks(pairs, found)]
    for scenario, group in table.by_scenario(found):
        parts += [f"<section><h2>{escape(scenario)}</h2>", _chart(group), _table(group), "</section>"]
    parts += ["<section><h2>The runs</h2>", _runs(pairs), "</section>"]
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Comparison</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style>'
    )
    return "\n".join([head, "<main>", *parts, "</main></html>", ""])


def _table(group: Sequence[Finding]) -> str:
    rows = [
        f"<tr><th scope='row'>{finding.metric}</th>"
        f"<td class='text {_CLASSES[finding.verdict]}'>{escape(finding.text)}</td>"
        f"{_number(finding.a)}{_number(finding.b)}<td>{table.estimate(finding)}</td></tr>"
        for finding in group
    ]
    head = (
        "<thead><tr><th></th><th></th><th class='number'>A</th><th class='number'>B</th>"
        "<th>B / A, or B - A with a sign</th></tr></thead>"
    )
    return f"<div class='wide' tabindex='0'><table>{head}{''.join(rows)}</table></div>"


def _number(text: str) -> str:
    return f"<td class='number'>{escape(text)}</td>"


def _chart(group: Sequence[Finding]) -> str:
    """Per ratio its interval on a logarithmic scale, and a dot for each pair."""
    drawn = [finding for finding in group if finding.kind is Kind.RATIO and finding.low is not None]
    if not drawn:
        return ""
    scale = table.scale_of(drawn, has_pairs=True)
    bottom = _TOP + _ROW * len(drawn)
    marks = [
        f"<line class='{'one' if ratio == 1 else 'tick'}' x1='{_x(ratio, scale):.1f}' y1='{_TOP}' "
        f"x2='{_x(ratio, scale):.1f}' y2='{bottom}'/>"
        f"<text class='axis' text-anchor='middle' x='{_x(ratio, scale):.1f}' y='{bottom + 16}'>{text}</text>"
        for ratio, text in ((1 / scale, f"1/{scale:g}"), (1.0, "B = A"), (scale, f"{scale:g}"))
    ]
    rows = [_row(finding, scale, _TOP + _ROW * number) for number, finding in enumerate(drawn)]
    told = "; ".join(f"{finding.metric}: {table.estimate(finding)}" for finding in drawn)
    return (
        f"<svg viewBox='0 0 {_WIDTH} {bottom + 22}' role='img' "
        f"aria-label='B / A with 95 % intervals: {escape(told)}'>{''.join(marks)}{''.join(rows)}</svg>"
    )


def _row(finding: Finding, scale: float, top: int) -> str:
    y = top + _ROW / 2
    dots = "".join(
        f"<circle class='pair' cx='{_x(ratio, scale):.1f}' cy='{y + (6 if index % 2 else -6)}' r='2.5'/>"
        for index, ratio in enumerate(finding.ratios[:_MOST_DOTS])
    )
    low, mean, high = (_x(ratio or 1, scale) for ratio in (finding.low, finding.estimate, finding.high))
    return (
        f"<g class='{_CLASSES[finding.verdict]}'><title>{finding.metric}: {escape(finding.text)}</title>"
        f"<text x='0' y='{y + 4}'>{finding.metric}</text>{dots}"
        f"<line class='interval' x1='{low:.1f}' y1='{y}' x2='{high:.1f}' y2='{y}'/>"
        f"<circle class='mean' cx='{mean:.1f}' cy='{y}' r='5'/></g>"
    )


def _x(ratio: float, scale: float) -> float:
    share = (math.log(ratio) / math.log(scale) + 1) / 2
    return _LABEL + (_WIDTH - _LABEL - _MARGIN) * min(1.0, max(0.0, share))


def _runs(pairs: Sequence[PairOfRuns]) -> str:
    rows = [
        f"<tr><td>{escape(pair.scenario)}</td>{_number(str(pair.seed))}<td>{name}</td>"
        f"<td>{'passed' if run.passed else escape(why(run))}</td>"
        f"<td><code>{escape(run.command)}</code></td></tr>"
        for pair in pairs for name, run in zip("AB", pair.runs, strict=True)
    ]
    head = (
        "<thead><tr><th>scenario</th><th class='number'>seed</th><th>side</th><th>result</th>"
        "<th>the same run again</th></tr></thead>"
    )
    return f"<div class='wide' tabindex='0'><table>{head}{''.join(rows)}</table></div>"
