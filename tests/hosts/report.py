"""The result of a run: a table of the faults, the verdict, and both as JSON."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from hosts import history
from hosts.faults import Fault
from hosts.history import Record

_OUTCOMES = (history.OK, history.UNKNOWN, history.REFUSED)


@dataclass
class Result:
    """All that a run has found out. `problems` has a line for each reason to fail."""

    plan: str
    seed: int
    replicas: int
    has_namespaces: bool
    operations: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    acknowledged_writes: int = 0
    seconds: float = 0.0
    faults: list[dict[str, Any]] = field(default_factory=list)
    checker: str = ""
    problems: list[str] = field(default_factory=list)

    def worst_gap_s(self) -> float:
        return max((fault["gap_s"] for fault in self.faults), default=0.0)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"worst_gap_s": self.worst_gap_s(), "passed": not self.problems}


def count(result: Result, records: list[Record], faults: list[Fault], ended: float) -> None:
    """Counts the operations of the run, and of each fault until the next one."""
    outcomes = Counter(record["outcome"] for record in records)
    result.operations = {how: outcomes[how] for how in _OUTCOMES}
    reasons = Counter(record["reason"] for record in records if "reason" in record)
    result.reasons = dict(reasons.most_common())
    acknowledged = history.acknowledgements(records)
    result.acknowledged_writes = len(acknowledged)
    ends = [fault.began for fault in faults[1:]] + [ended]
    spans = Counter[tuple[int, str]]()
    if faults:
        for record in records:
            place = _place(ends, record["invoked"]) if record["invoked"] >= faults[0].began else -1
            spans[place, record["outcome"]] += 1
    for number, (fault, end) in enumerate(zip(faults, ends, strict=True)):
        gap_s = round(history.longest_gap(acknowledged, fault.began, end), 3)
        counts = {how: spans[number, how] for how in _OUTCOMES}
        times = {"gap_s": gap_s, "whole_s": round(fault.whole - fault.healed, 3)}
        result.faults.append(asdict(fault) | counts | times)


def _place(ends: list[float], moment: float) -> int:
    """The fault in whose time an operation was sent; the number of faults after all of them."""
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if moment < ends[middle] else (middle + 1, high)
    return low


def lines(result: Result) -> Iterable[str]:
    """The report as it is printed."""
    heads = f"{'times':>5} {'answered':>9} {'unknown':>8} {'refused':>8}"
    yield f"{'fault':32} {heads} {'gap':>9} {'worst gap':>9} {'back in':>9}"
    by_name: dict[str, list[dict[str, Any]]] = {}
    for fault in result.faults:
        by_name.setdefault(fault["name"], []).append(fault)
    for name, faults in by_name.items():
        gaps = [fault["gap_s"] for fault in faults]
        sums = [sum(fault[how] for fault in faults) for how in _OUTCOMES]
        whole_s = max(fault["whole_s"] for fault in faults)
        yield (
            f"{name:32} {len(faults):5} {sums[0]:9} {sums[1]:8} {sums[2]:8}  "
            f"{statistics.median(gaps):7.3f} s {max(gaps):7.3f} s {whole_s:7.3f} s"
        )
    yield (
        "gap: the longest time without an acknowledged write, median and worst; "
        "back in: until every replica served again, worst"
    )
    if operations := result.operations:
        yield (
            f"{sum(operations.values())} operations in {result.seconds:.0f} s: "
            f"{operations[history.OK]} answered ({result.acknowledged_writes} writes), "
            f"{operations[history.UNKNOWN]} unknown, {operations[history.REFUSED]} refused"
        )
    if result.reasons:
        yield "not answered: " + ", ".join(f"{count} {reason}" for reason, count in result.reasons.items())
    if result.checker:
        yield result.checker
    yield from (f"FAILED  {problem}" for problem in result.problems)
    if not result.problems:
        yield "passed: no acknowledged write is lost, and all replicas agree"
