"""Writes: acknowledged too early."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.advice.finding import Advice, at, times
from simulator.advice.scene import WRITES, Message, Operation, Rule, Scene


class EarlyAnswer(Rule):
    """A write is acknowledged before its replica can know that a majority has it.

    The rule follows messages, not their meaning: it holds for every format, and a correct replica
    cannot break it.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._count = 0
        self._first: tuple[Message, Operation, int] | None = None

    def responded(self, operation: Operation, message: Message) -> None:
        if message.type != "ok" or operation.type not in WRITES:
            return
        holders = self.scene.knowledge.holders(operation.number, message.sender)
        if holders is None or holders >= self.scene.majority:
            return
        self._count += 1
        if self._first is None:
            self._first = message, operation, holders

    def advice(self) -> Iterable[Advice]:
        if self._first is None:
            return
        message, operation, holders = self._first
        replica, mid = message.sender, str(message.body["MID"])
        yield Advice(
            "early-answer",
            f"{replica} acknowledged {operation.type} {mid} at {at(message.time)}{times(self._count)}, when "
            f"it could know of only {holders} of {len(self.scene.replicas)} replicas that had it: answer "
            "after a majority has stored it (Raft 5.3)",
            message.time, (mid,), (replica,),
        )
