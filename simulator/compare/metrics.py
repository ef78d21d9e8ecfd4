"""The figures of a run that are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

# The metrics of the outcome of a job; `None` for one that the run could not measure.
Figures = Mapping[str, float | None]


class Kind(Enum):
    RATIO = "ratio"  # B / A, of runs that passed
    COUNT = "count"  # B - A, because it is 0 in most runs


@dataclass(frozen=True)
class Metric:
    """`verb` says in words what B does, as in "B takes 5 % less"."""

    name: str
    kind: Kind
    of: Callable[[Figures], float | None]
    unit: str = ""
    scale: float = 1.0  # from the figure to the unit
    verb: str = "takes"
    less: str = "less"

    def shown(self, value: float | None) -> str:
        if value is None:
            return "unknown"
        scaled = value * self.scale
        digits = 0 if not self.unit and scaled >= 1000 else 2 if self.unit and scaled < 100 else 1
        text = f"{scaled:,.{digits}f}"
        if not self.unit and "." in text:
            text = text.rstrip("0").rstrip(".")
        return f"{text} {self.unit}".rstrip()


def _failed(figures: Figures) -> float | None:
    """Answers `fail`. The failures of an outcome are these and the unanswered requests."""
    failures, unanswered = figures.get("failures"), figures.get("unanswered")
    return None if failures is None or unanswered is None else failures - unanswered


METRICS = (
    Metric("messages", Kind.RATIO, lambda figures: figures.get("total_msgs"), verb="sends", less="fewer"),
    Metric("median latency", Kind.RATIO, lambda figures: figures.get("median_latency"), "ms", 1000),
    Metric("p99 latency", Kind.RATIO, lambda figures: figures.get("p99_latency"), "ms", 1000),
    Metric("failover time", Kind.RATIO, lambda figures: figures.get("failover"), "ms", 1000),
    Metric("fail answers", Kind.COUNT, _failed),
    Metric("unanswered requests", Kind.COUNT, lambda figures: figures.get("unanswered")),
)
