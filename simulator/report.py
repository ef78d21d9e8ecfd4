"""The blocks of text at the end of a run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable

from simulator.checks import Check
from simulator.figures import Figures, median_latency
from simulator.operations import Count
from simulator.result import Result
from simulator.tiers import Rating

_MOST_LEADERS_SHOWN = 30
_INDENT = "     "
_GREEN, _YELLOW, _RED, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
_TIER_COLOURS = (_GREEN, _GREEN, _YELLOW, _RED)
_METRIC_LABELS = {
    "total_msgs": "Total Messages Between Replicas",
    "failures": "Total Failures and Unanswered Requests",
    "duplicates": "Duplicate Responses to Clients",
    "median_latency": "Median Response Latency to Clients",
}

_COMPARED: dict[str, Callable[[Result], float | None]] = {
    "Total Messages Between Replicas": lambda result: result.figures.total_messages,
    "Median Response Latency (seconds)": lambda result: result.figures.median_latency,
    "Median Latency of get()": lambda result: median_latency(result.history, "get"),
    "Median Latency of put()": lambda result: median_latency(result.history, "put"),
    "99th Percentile of Latency": lambda result: result.figures.p99_latency,
}


def render(result: Result, coloured: bool) -> str:
    lines = ["# Simulation Finished", "", "## Useful Information and Statistics"]
    lines += [_INDENT + line for line in _statistics(result.figures)]
    lines += ["", "## Correctness Checks"]
    lines += [(_INDENT + line).rstrip() for line in _check_lines(result, coloured)]
    lines += [""]
    if result.is_correct and not result.ratings:
        lines += ["## No Performance Tests, because the configuration has no benchmarks"]
    elif result.is_correct:
        lines += ["## Performance Tests", "## <test metric>: <your score> <benchmark score>, <test result>"]
        lines += [_INDENT + _rating_line(rating, coloured) for rating in result.ratings]
    else:
        lines += ["## Correctness Checks Failed, Skipping Performance Tests"]
    return "\n".join(lines)


def title(name: str, result: Result) -> str:
    """A cluster, and the program of its replicas."""
    return f"{name}: {shlex.join([result.program, *result.replica_options])}"


def compare(result: Result, beside: Result) -> str:
    """The figures of two clusters in the same run, and their ratios."""
    lines = ["", "# Side by Side: replica / beside"]
    lines += [_INDENT + title("replica", result), _INDENT + title("beside", beside)]
    for name, measure in _COMPARED.items():
        lines.append(f"{_INDENT}{name}: {_ratio(measure(result), measure(beside))}")
    return "\n".join(lines)


def _ratio(value: float | None, beside: float | None) -> str:
    ratio = f" = {value / beside:.3f}" if value is not None and beside else ""
    return f"{_known(value)} / {_known(beside)}{ratio}"


def _known(value: float | None) -> str:
    return "unknown" if value is None else _number(value)


def _statistics(figures: Figures) -> list[str]:
    mean, median = _latency(figures.mean_latency), _latency(figures.median_latency)
    lines = [
        f"Leaders: {_leaders(figures)}",
        f"Replicas that died/were killed: {figures.replicas_died}/{figures.replicas_killed}",
        f"Total messages sent: {figures.total_messages}",
        f"Total messages dropped: {figures.dropped}",
        f"Total client get()/put() requests: {figures.gets}/{figures.puts}",
        f"Total duplicate responses: {figures.duplicates}",
        f"Total unanswered get()/put() requests: {figures.unanswered_gets}/{figures.unanswered_puts}",
        f"Total redirects: {figures.redirects}",
        f"Total get()/put() failures: {figures.failed_gets}/{figures.failed_puts}",
        f"Total get() with incorrect response: {figures.incorrect_gets}",
        f"Mean/Median query latency: {mean}/{median}",
    ]
    if figures.restarts or figures.pauses:
        lines.append(f"Replicas that were restarted/paused: {figures.restarts}/{figures.pauses}")
    if figures.sent_to_down:
        lines.append(f"Total messages lost to replicas that were down: {figures.sent_to_down}")
    if figures.corrupted:
        lines.append(f"Total messages with a changed byte: {figures.corrupted}")
    if figures.overflowed:
        lines.append(f"Total messages lost at links that were full: {figures.overflowed}")
    lines += [_operation_line(type, count) for type, count in figures.operations.items()]
    if figures.failovers:
        lines.append(f"Failover time: {' '.join(map(_latency, figures.failovers))}")
    if figures.requests_in_circles:
        lines.append(f"Requests sent in circles: {figures.requests_in_circles}, by {figures.circles}")
    return lines


def _operation_line(type: str, count: Count) -> str:
    answers = f"{count.done}/{count.not_met}/{count.refused}"
    return f"Total {type} requests: {count.requests}, done/condition not met/refused: {answers}"


def _leaders(figures: Figures) -> str:
    shown = figures.leaders[:_MOST_LEADERS_SHOWN]
    further = figures.leader_changes + 1 - len(shown)
    return " ".join(shown) + (f" and {further} more" if further else "")


def _latency(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.6f}sec"


def _check_lines(result: Result, coloured: bool) -> list[str]:
    failed = [check for check in result.checks if not check.holds]
    if not failed:
        return [_paint("All correctness tests passed", _GREEN, coloured)]
    lines = []
    for check in failed:
        lines.append(_paint(describe_failure(check), _RED, coloured))
        lines += check.explanation.splitlines()
    return lines


def describe_failure(check: Check) -> str:
    """The failed check, and by how much it failed. Limits are whole, because requests are."""
    if check.words:
        return f"{check.name}: {check.words}"
    if check.is_minimum:
        least = math.ceil(check.limit)
        shortfall = _number(least - check.value)
        return f"{check.name}: {_number(check.value)}, at least {least} needed, {shortfall} too few"
    most = math.floor(check.limit)
    allowed = f"at most {most} allowed" if most else "none allowed"
    return f"{check.name}: {_number(check.value)}, {allowed}, {_number(check.value - most)} too many"


def _rating_line(rating: Rating, coloured: bool) -> str:
    relation = "<" if rating.value < rating.benchmark else ">="
    score = f"{_number(rating.value)} {relation} {_number(rating.benchmark)}"
    verdict = _paint(rating.verdict, _TIER_COLOURS[rating.tier], coloured)
    return f"{_METRIC_LABELS[rating.metric]}: {score}, {verdict}"


def _number(value: float) -> str:
    """At most six decimals, so that a latency below a benchmark never reads as equal to it."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _paint(text: str, colour: str, coloured: bool) -> str:
    return f"{colour}{text}{_PLAIN}" if coloured else text
