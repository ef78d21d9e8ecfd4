"""A trace -> the result of its run, judged again without replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import config
from simulator.config import ConfigError
from simulator.figures import Figures, latency_figures
from simulator.messages import printable
from simulator.result import Result
from simulator.trace.evidence import BrokenRecord, Evidence, text_of
from simulator.trace.outline import RUN
from simulator.trace.reader import Reader, TraceError
from simulator.trace.told import figures_in


@dataclass(frozen=True)
class Replayed:
    """The result before the check of its history, and the reasons to doubt the trace."""

    result: Result
    messages: int
    damage: str | None
    contradictions: list[str]


def replay(path: Path) -> Replayed:
    """The result of the run in the trace at `path`; raises a TraceError if it is of no use."""
    reader = Reader(path)
    evidence = Evidence(reader.heading)
    try:
        evidence.take_all(reader)
    except BrokenRecord as error:
        reader.stop(str(error))
    told = _told(reader)
    told_figures = figures_in(told.get("figures"))
    figures = _counted(evidence) if told_figures is None else told_figures
    result = Result(
        _scenario(path, reader.heading),
        _get(path, reader.heading, "seed", int),
        _get(path, reader.heading, "replica", str),
        str(told.get("transport", "unknown")),
        _texts(told.get("replica_options")),
        figures,
        list(evidence.requests.values()),
        happenings=tuple(evidence.happenings),
    )
    contradictions = _contradictions(figures, evidence)
    if reader.damage is None and told_figures is None:
        contradictions.append("the last line lacks the figures of a run; those of the records are shown")
    return Replayed(result, evidence.messages, reader.damage, contradictions)


def _get(path: Path, heading: Mapping[str, Any], key: str, type: type[Any]) -> Any:
    value = heading.get(key)
    if not isinstance(value, type):
        raise TraceError(f"{path}: line 1: {key!r} must be of type {type.__name__}")
    return value


def _scenario(path: Path, heading: Mapping[str, Any]) -> config.Scenario:
    if heading.get("source") != RUN:
        source = text_of(heading.get("source"))
        raise TraceError(f"{path}: is the trace of {source!r}, {RUN!r} judges its own")
    name = printable(_get(path, heading, "scenario", str))
    try:
        return config.of_content(name, heading.get("settings"))
    except ConfigError as error:
        raise TraceError(f"{path}: line 1: settings of {error}") from None


def _told(reader: Reader) -> dict[str, Any]:
    """The result in the last line, if the trace is complete."""
    told = reader.ending.get("result") if reader.ending is not None and reader.damage is None else None
    return told if isinstance(told, dict) else {}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _counted(evidence: Evidence) -> Figures:
    latencies = [
        request.returned - request.invoked
        for request in evidence.requests.values() if request.returned is not None
    ]
    counts: dict[str, Any] = evidence.figures()
    return Figures(
        seconds=evidence.last_moment, leaders=tuple(evidence.leaders), kernel_drops=0, queue_drops=0,
        requests_in_circles=0, circles="", overtaken_gets=0, failovers=(),
        **latency_figures(latencies), **counts,
    )


def _contradictions(figures: Figures, evidence: Evidence) -> list[str]:
    """The figures that differ from the counts of the records."""
    return [
        f"{name.replace('_', ' ')}: {getattr(figures, name)} in the result, {count} in the records"
        for name, count in evidence.figures().items() if getattr(figures, name) != count
    ]
