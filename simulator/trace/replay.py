"""A trace -> the result of its run, judged again without replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from simulator import config
from simulator.config import ConfigError
from simulator.figures import Figures, latency_figures
from simulator.operations import Count
from simulator.result import Result
from simulator.trace.evidence import BrokenRecord, Evidence
from simulator.trace.outline import RUN
from simulator.trace.reader import Reader, TraceError


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
    figures = _figures(told.get("figures"), evidence)
    result = Result(
        _scenario(path, reader.heading),
        _get(path, reader.heading, "seed", int),
        _get(path, reader.heading, "replica", str),
        str(told.get("transport", "unknown")),
        tuple(told.get("replica_options", ())),
        figures,
        list(evidence.requests.values()),
        happenings=tuple(evidence.happenings),
    )
    return Replayed(result, evidence.messages, reader.damage, _contradictions(figures, evidence))


def _get(path: Path, heading: Mapping[str, Any], key: str, type: type[Any]) -> Any:
    value = heading.get(key)
    if not isinstance(value, type):
        raise TraceError(f"{path}: line 1: {key!r} must be of type {type.__name__}")
    return value


def _scenario(path: Path, heading: Mapping[str, Any]) -> config.Scenario:
    if heading.get("source") != RUN:
        raise TraceError(f"{path}: is the trace of {heading.get('source')!r}, {RUN!r} judges its own")
    name = _get(path, heading, "scenario", str)
    try:
        return config.of_content(name, heading.get("settings"))
    except ConfigError as error:
        raise TraceError(f"{path}: line 1: settings of {error}") from None


def _told(reader: Reader) -> dict[str, Any]:
    """The result in the last line, if the trace is complete."""
    told = reader.ending.get("result") if reader.ending is not None and reader.damage is None else None
    return told if isinstance(told, dict) else {}


def _figures(told: Any, evidence: Evidence) -> Figures:
    """The figures of the last line, or else those that the records determine."""
    names = {field.name for field in fields(Figures)}
    try:
        values = {key: value for key, value in told.items() if key in names}
        values["operations"] = {type: Count(**count) for type, count in values.get("operations", {}).items()}
        for name in ("leaders", "failovers"):
            values[name] = tuple(values[name])
        return Figures(**values)
    except (AttributeError, TypeError, KeyError):
        return _counted(evidence)


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
