"""How long lint waits for what."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """All in seconds. A replica that keeps its manners is done long before."""

    join: float = 4.0
    election: float = 4.0
    answer: float = 2.0
    agree: float = 1.0  # on one leader, after the first answers
    end: float = 1.0  # a run waits so long between SIGTERM and SIGKILL
    failover: float = 5.0
    later: float = 0.3  # for the effect of garbage
    dialect: float = 1.0  # to join in another dialect
    total: float = 8.5

    def times(self, patience: float) -> Limits:
        return Limits(*(patience * getattr(self, field.name) for field in fields(self)))
