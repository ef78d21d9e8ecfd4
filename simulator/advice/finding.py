"""Advice: one line about a typical mistake of a replica, and where the trace shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from simulator.messages import excerpt, printable

# A line of advice is cut there. Only names that a replica has chosen make one so long.
MOST_CHARACTERS = 220
_LONGEST_NAME_BYTES = 32
# Breaches of one rule that are kept; all are counted.
_MOST_KEPT = 200

Breach = TypeVar("Breach")


@dataclass(frozen=True)
class Advice:
    """One line: what happened, where, and what to do about it.

    `time` is in seconds, as the report has it. `mids` and `replicas` lead to the place in the
    picture of the run.
    """

    kind: str
    text: str
    time: float | None = None
    mids: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A trace may come from anywhere.
        text = printable(self.text)
        if len(text) > MOST_CHARACTERS:
            text = f"{text[:MOST_CHARACTERS - 3]}..."
        object.__setattr__(self, "text", text)


def block(found: Sequence[Advice]) -> str:
    """The block of the report with the advice, or nothing if there is none."""
    return "".join(["\n## Advice", *(f"\n     {advice.text}" for advice in found)]) if found else ""


def name(text: object) -> str:
    """A name that a replica has chosen, such as the type of a message, made safe for a line."""
    return excerpt(str(text).encode(errors="replace"), _LONGEST_NAME_BYTES)


def at(seconds: float) -> str:
    return f"{max(0.0, seconds):.3f} s"


class Tally(Generic[Breach]):
    """The breaches of a rule: their number, and the first of them."""

    def __init__(self) -> None:
        self.kept: list[Breach] = []
        self.count = 0

    def add(self, breach: Breach) -> None:
        self.count += 1
        if len(self.kept) < _MOST_KEPT:
            self.kept.append(breach)

    def first(self, preferred: Callable[[Breach], bool] = lambda _: False) -> Breach:
        """The first breach that is preferred, or else the first one."""
        return next(filter(preferred, self.kept), self.kept[0])

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def more(self) -> str:
        """How often the mistake was seen, as an addition to one place."""
        return "" if self.count == 1 else f" (one of {self.count:,})"
