"""Writes: acknowledged too early, or lost by a later leader."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

from simulator.advice.finding import Advice, Tally, at
from simulator.advice.rule import Message, Operation, Rule
from simulator.advice.scene import WRITES, Scene

# Leaderships that are checked; replicas may name new leaders without end.
_MOST_REIGNS = 300
# Writes of one key that are remembered.
_LATEST = 8
_SNAPSHOT = re.compile("snap|install", re.I)

# When, which replica, which write under which MID, and how many replicas could have it.
_Early = tuple[float, str, Operation, str, int]


class EarlyAnswer(Rule):
    """A write is acknowledged before its replica can know that a majority has it.

    The rule follows messages, not their meaning: it holds for every format, and a correct replica
    cannot break it. Where values are visible, it also asks which replicas hold the value.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._sure: Tally[_Early] = Tally()
        self._by_copies: Tally[_Early] = Tally()

    def responded(self, operation: Operation, message: Message) -> None:
        if message.type != "ok" or operation.type not in WRITES:
            return
        scene = self.scene
        holders = scene.knowledge.holders(operation.number, message.sender)
        if holders is None:
            return
        mid = str(message.body["MID"])
        if holders < scene.majority:
            operation.is_early = True
            self._sure.add((message.time, message.sender, operation, mid, holders))
        elif 0 < (copies := scene.copies.count(operation.number)) < scene.majority:
            self._by_copies.add((message.time, message.sender, operation, mid, copies))

    def advice(self) -> Iterable[Advice]:
        early = self._sure
        if not early and self.scene.copies.are_visible:
            early = self._by_copies
        if not early:
            return
        contradicting = self.scene.contradicting
        time, replica, operation, mid, holders = early.first(lambda found: found[3] in contradicting)
        yield Advice(
            "early-answer",
            f"{replica} acknowledged {operation.type} {mid} at {at(time)}{early.more}, when only {holders} "
            f"of {len(self.scene.replicas)} replicas could have it: answer after a majority has stored it "
            "(Raft 5.3)",
            time, (mid,), (replica,),
        )


class LostWrite(Rule):
    """A replica becomes leader and acknowledges writes, but lacks an earlier acknowledged write.

    The leader needs the votes of a majority, and one of the voters has the write. So a voter has
    granted its vote to a candidate with an older log. Only the latest write of each key counts, and
    only if the leader has none that may have taken effect after it, since a snapshot has one alone.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._latest: dict[str, deque[Operation]] = {}  # by key
        self._mixed: set[str] = set()  # keys with writes that have no value of their own
        self._restored: set[str] = set()  # replicas that have installed a snapshot, in any encoding
        self._reigns = 0
        self._lacking: dict[str, tuple[float, list[Operation]]] = {}  # by leader, since when
        self._lost: Tally[tuple[float, str, Operation]] = Tally()

    def began(self, operation: Operation) -> None:
        if operation.type == "get" or operation.attempts > 1:
            return
        if operation.type != "put":
            self._mixed.add(operation.key)
        self._latest.setdefault(operation.key, deque(maxlen=_LATEST)).append(operation)

    def delivered(self, message: Message) -> None:
        if _SNAPSHOT.search(message.type):
            self._restored.add(message.target)

    def reigns(self, time: float, replica: str) -> None:
        self._lacking.pop(replica, None)
        self._reigns += 1
        if self._reigns > _MOST_REIGNS or replica in self._restored:
            return
        lost = [
            write for key, writes in self._latest.items()
            if key not in self._mixed and (write := self._find_lost(writes, replica)) is not None
        ]
        if lost:
            self._lacking[replica] = time, lost

    def responded(self, operation: Operation, message: Message) -> None:
        """A leader that acknowledges a write has been elected indeed."""
        leader = message.sender
        if message.type != "ok" or operation.type not in WRITES or leader not in self._lacking:
            return
        since, lost = self._lacking.pop(leader)
        if since == self.scene.reign.get(leader):
            for write in lost:
                self._lost.add((since, leader, write))

    def _find_lost(self, writes: Iterable[Operation], leader: str) -> Operation | None:
        """The latest acknowledged write of a key, if the leader lacks it."""
        done = [write for write in writes if write.is_done]
        if not done:
            return None
        latest = max(done, key=lambda write: write.invoked)
        copies = self.scene.copies
        later = [write for write in writes if not write.is_done or (write.returned or 0) >= latest.invoked]
        if latest.is_early or copies.count(latest.number) == 0:
            return None
        return None if any(copies.has(leader, write.number) for write in later) else latest

    def advice(self) -> Iterable[Advice]:
        if not self._lost or not self.scene.copies.are_visible:
            return
        time, leader, write = self._lost.first(lambda found: found[2].mid in self.scene.contradicting)
        yield Advice(
            "vote-check",
            f"{leader} leads from {at(time)} on without {write.type} {write.mid}{self._lost.more}, "
            f"acknowledged by {write.answered_by} at {at(write.returned or 0)}: refuse votes to candidates "
            "with an older log than the voter's (Raft 5.4.1)",
            time, (write.mid,), (leader, str(write.answered_by)),
        )
