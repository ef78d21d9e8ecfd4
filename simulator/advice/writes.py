"""Writes: acknowledged too early, or lost by a later leader."""

from __future__ import annotations

import re
from collections.abc import Iterable

from simulator.advice.finding import Advice, Tally, at
from simulator.advice.rule import Message, Operation, Rule
from simulator.advice.scene import WRITES, Scene

# Leaderships that are checked; replicas may name new leaders without end.
_MOST_REIGNS = 300
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
    """A replica acknowledges writes as leader, but never had an earlier acknowledged write.

    The leader needs the votes of a majority, and one of the voters has the write. So a voter has
    granted its vote to a candidate with an older log. Only the latest write of each key counts,
    since a snapshot leaves the others out. It must be clear which one that is.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._latest: dict[str, Operation] = {}
        self._overlapping: set[int] = set()
        self._restored: set[str] = set()  # replicas that have installed a snapshot, in any encoding
        self._checked: set[tuple[str, float]] = set()
        self._lost: Tally[tuple[float, str, Operation]] = Tally()

    def began(self, operation: Operation) -> None:
        if operation.type == "get" or operation.attempts > 1:
            return
        before = self._latest.get(operation.key)
        if before is not None and not (before.is_done and before.attempts == 1):
            self._overlapping.add(operation.number)
        self._latest[operation.key] = operation

    def delivered(self, message: Message) -> None:
        if _SNAPSHOT.search(message.type):
            self._restored.add(message.target)

    def responded(self, operation: Operation, message: Message) -> None:
        leader = message.sender
        since = self.scene.reign.get(leader)
        if message.type != "ok" or operation.type not in WRITES or since is None:
            return
        if (leader, since) in self._checked or len(self._checked) >= _MOST_REIGNS or leader in self._restored:
            return
        self._checked.add((leader, since))
        for write in self._latest.values():
            if self._is_lost(write, leader, since):
                self._lost.add((message.time, leader, write))

    def _is_lost(self, write: Operation, leader: str, since: float) -> bool:
        return (
            write.is_done and write.value is not None and write.returned is not None
            and write.returned < since and not write.is_early and write.number not in self._overlapping
            and not self.scene.copies.has(leader, write.number) and self.scene.copies.count(write.number) > 0
        )

    def advice(self) -> Iterable[Advice]:
        if not self._lost or not self.scene.copies.are_visible:
            return
        time, leader, write = self._lost.first(lambda found: found[2].mid in self.scene.contradicting)
        yield Advice(
            "vote-check",
            f"{leader} led at {at(time)} without {write.type} {write.mid}{self._lost.more}, acknowledged by "
            f"{write.answered_by} at {at(write.returned or 0)}: refuse votes to candidates with an older log "
            "than the voter's (Raft 5.4.1)",
            time, (write.mid,), (leader, str(write.answered_by)),
        )
