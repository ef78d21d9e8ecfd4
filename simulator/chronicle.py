"""The events of a cluster with their times; reports and explanations refer to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulator.messages import UNKNOWN_LEADER


@dataclass(frozen=True)
class Happening:
    """An event of the scenario or the end of a replica, `time` seconds after all had joined."""

    time: float
    text: str

    def __str__(self) -> str:
        return f"[{self.time:7.3f}] {self.text}"


class Chronicle:
    """All events of a run. It grows with events of the scenario and ends of replicas only."""

    def __init__(self, heard: Callable[[str], None] = lambda text: None) -> None:
        """`heard` takes the text of each event at once."""
        self.happenings: list[Happening] = []
        self._heard = heard
        self._ends: dict[str, str] = {}

    def tell(self, time: float, text: str) -> Happening:
        happening = Happening(time, text)
        self.happenings.append(happening)
        self._heard(text)
        return happening

    def end(self, replica: str, how: str, time: float) -> None:
        """Note that `replica` was "killed" or "restarted", or "died"."""
        self._ends[replica] = f"{how} at {time:.3f}"

    def end_of(self, replica: str) -> str | None:
        """How and when a replica ended last, if it has ended."""
        return self._ends.get(replica)

    def describe(self, leader: str) -> str:
        """The leader that a message names, and its end if it has ended."""
        if leader == UNKNOWN_LEADER:
            return f"{leader}, which is no leader"
        return f"{leader}, {self._ends[leader]}" if leader in self._ends else leader
