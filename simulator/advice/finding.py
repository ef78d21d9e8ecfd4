"""Advice: one line about a typical mistake of a replica, and where the trace shows it."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.messages import excerpt

# A line of advice is cut there. Only names that a replica has chosen make one so long.
MOST_CHARACTERS = 240
_LONGEST_NAME_BYTES = 32


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
        if len(self.text) > MOST_CHARACTERS:
            object.__setattr__(self, "text", f"{self.text[:MOST_CHARACTERS - 3]}...")


def name(text: object) -> str:
    """A name that a replica has chosen, such as the type of a message, made safe for a line."""
    return excerpt(str(text).encode(errors="replace"), _LONGEST_NAME_BYTES)


def at(seconds: float) -> str:
    return f"{max(0.0, seconds):.3f} s"


def times(count: int) -> str:
    """How often a mistake was seen, as an addition to its first place."""
    return "" if count == 1 else f", and {count - 1:,} times more"
