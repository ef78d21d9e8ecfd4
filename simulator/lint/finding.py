"""What was seen of one manner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OK, FAIL, NOTE, SKIPPED = "ok", "FAIL", "note", "-"


@dataclass(frozen=True)
class Finding:
    """A manner and its outcome. `note` is of interest and breaks no rule; `-` was not checked."""

    manner: str
    outcome: str
    text: str

    def __str__(self) -> str:
        return f"{self.outcome:<5}{self.manner:<12}{self.text}"


def verdict(manner: str, holds: bool, seen: str, rule: str, is_late: bool = False) -> Finding:
    """`ok` with what was seen, or `FAIL` with it and the rule that it breaks.

    A failure that is late is none, because nothing was waited for.
    """
    if holds:
        return Finding(manner, OK, seen)
    if is_late:
        return Finding(manner, SKIPPED, f"no time was left, --patience 2 gives more; {seen}")
    return Finding(manner, FAIL, f"{seen}; {rule}")


def listed(names: Iterable[object]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    *most, last = map(str, names)
    return f"{', '.join(most)} and {last}" if most else last
