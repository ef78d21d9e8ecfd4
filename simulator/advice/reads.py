"""Reads: answered with a value that was overwritten before the read began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from simulator.advice.finding import Advice, Tally, at
from simulator.advice.rule import Message, Operation, Rule
from simulator.advice.scene import Scene
from simulator.messages import UNKNOWN_LEADER
from simulator.trace.recorder import ANSWERS


@dataclass(slots=True)
class _Key:
    """The puts of one key. It is `mixed` if there were other operations that change it."""

    is_mixed: bool = False
    puts: dict[str, Operation] = field(default_factory=dict)  # by value
    latest: Operation | None = None  # of the acknowledged puts, the one that began last


@dataclass(frozen=True, slots=True)
class _Stale:
    read: Operation
    overwritten_by: Operation
    replica: str
    leader: str
    leads_since: float | None
    is_retried: bool  # the put of the value had a further attempt
    is_of_follower: bool  # the put was acknowledged by a follower of the replica
    restarts: int  # of replicas, between the put and the read


class StaleRead(Rule):
    """A get is answered with a value that an acknowledged put had overwritten before it began."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._keys: dict[str, _Key] = {}
        self._required: dict[int, Operation] = {}  # by the number of a get in progress
        self._stale: list[_Stale] = []
        self._invented: list[Operation] = []
        self._leaders: dict[int, str] = {}  # as the acknowledgement of each put has named it
        self._restarts: list[tuple[float, str]] = []
        self._are_all_mixed = False  # there are operations whose keys are not known

    def began(self, operation: Operation) -> None:
        key = self._keys.setdefault(operation.key, _Key())
        if operation.type == "get":
            if operation.attempts == 1 and key.latest is not None:
                self._required[operation.number] = key.latest
        elif operation.type == "put" and operation.value is not None:
            if operation.attempts == 1 and operation.value in key.puts:
                key.is_mixed = True
            key.puts[operation.value] = operation
        else:
            key.is_mixed = True
            self._are_all_mixed |= operation.type not in ANSWERS and operation.type != "put"

    def event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "restart":
            self._restarts.append((time, str(fields.get("replica"))))

    def finished(self, operation: Operation, leader: str) -> None:
        if not operation.is_done:
            return
        key = self._keys[operation.key]
        if operation.type == "put":
            self._leaders[operation.number] = leader
            if key.latest is None or key.latest.invoked < operation.invoked:
                key.latest = operation
        elif operation.type == "get":
            required = self._required.pop(operation.number, None)
            if not key.is_mixed:
                self._judge(operation, leader, key, required)

    def _judge(self, read: Operation, leader: str, key: _Key, required: Operation | None) -> None:
        source = key.puts.get(str(read.answer))
        if source is None and read.answer not in ("", None):
            self._invented.append(read)
            return
        if required is None or required is source:
            return
        if source is not None and not (
            source.is_done and source.returned is not None and source.returned < required.invoked
        ):
            return
        replica = str(read.answered_by)
        self._stale.append(_Stale(
            read, required, replica, leader, self.scene.reign.get(replica),
            source is not None and source.attempts > 1,
            required.answered_by != replica == self._leaders.get(required.number),
            len({id for time, id in self._restarts if (required.returned or 0) <= time <= self.scene.now}),
        ))

    def _is_certain(self, read: Operation) -> bool:
        return not self._are_all_mixed and not self._keys[read.key].is_mixed

    def advice(self) -> Iterable[Advice]:
        invented: Tally[Operation] = Tally()
        for read in filter(self._is_certain, self._invented):
            invented.add(read)
        if invented:
            read = invented.first()
            yield Advice(
                "wrong-value",
                f"{read.answered_by} answered get {read.mid} at {at(read.returned or 0)}{invented.more} "
                "with a value that no client has put to this key: answer with the very value, byte for "
                "byte",
                read.returned, (read.mid,), (str(read.answered_by),),
            )
        stale: Tally[_Stale] = Tally()
        for found in self._stale:
            # A declined attempt may take effect late, as long as the checker does not object.
            is_judged = not found.is_retried or found.read.mid in self.scene.contradicting
            if is_judged and self._is_certain(found.read):
                stale.add(found)
        if stale:
            yield self._advise(stale)

    def _advise(self, stale: Tally[_Stale]) -> Advice:
        found = stale.first(lambda found: found.read.mid in self.scene.contradicting)
        read, put, replica = found.read, found.overwritten_by, found.replica
        kind, role, advice = _cause(found, self.scene.majority)
        by = "it" if put.answered_by == replica else str(put.answered_by)
        by += ", its follower," if kind == "follower-write" else ""
        return Advice(
            kind,
            f"{replica}{role} answered get {read.mid} at {at(read.returned or 0)}{stale.more} with a value "
            f"older than put {put.mid}, which {by} had acknowledged: {advice}",
            read.returned, (read.mid, put.mid), tuple(dict.fromkeys((replica, str(put.answered_by)))),
        )


def _cause(found: _Stale, majority: int) -> tuple[str, str, str]:
    """The kind of the mistake, the role of the replica that answered, and what to do."""
    put, since = found.overwritten_by, found.leads_since or 0.0
    if found.leader != found.replica:
        followed = "" if found.leader == UNKNOWN_LEADER else f" of {found.leader}"
        return "stale-follower", f", a follower{followed},", "redirect gets to the leader (Raft 8)"
    if found.is_of_follower:
        advice = "append only after an entry of the same index and term (Raft 5.3)"
        return "follower-write", ", the leader,", advice
    if put.answered_by != found.replica and since < (put.returned or 0.0):
        advice = "before each read, hear from a majority (Raft 8)"
        return "stale-leader", ", a leader that was deposed,", advice
    if found.is_retried:
        return "late-write", "", "never let an attempt that was declined take effect later"
    if found.restarts >= majority:
        advice = "store entries before you acknowledge them, and read them at the start (Raft 5.3)"
        return "lost-write", ", after restarts,", advice
    if put.answered_by != found.replica:
        advice = "vote for no older log than your own, and commit a no-op before you read (Raft 5.4.1, 8)"
        return "lost-write", ", a newer leader,", advice
    return "lost-write", "", "apply all in the order of the log, and undo nothing (Raft 5.3)"


class AppliedTwice(Rule):
    """A put comes back over a later one, because a replica applies its repetition, too."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._arrivals: Counter[int] = Counter()  # of each put
        self._begun: dict[int, float] = {}  # the last attempt of each operation

    def began(self, operation: Operation) -> None:
        self._begun[operation.number] = self.scene.now

    def asked(self, operation: Operation, message: Message) -> None:
        if operation.type == "put":
            self._arrivals[operation.number] += 1

    def advice(self) -> Iterable[Advice]:
        known = self.scene.operations
        named = {known[mid].number: mid for mid in sorted(self.scene.contradicting) if mid in known}
        operations = [known[mid] for mid in named.values()]
        for put in operations:
            if put.type != "put" or self._arrivals[put.number] < 2:
                continue
            gets = [one for one in operations if one.type == "get" and one.is_done]
            reads = [get for get in gets if get.answer == put.value]
            between = self._between(reads, operations)
            if between is not None:
                again, other = between
                mid, next_mid, last_mid = (named[one.number] for one in (put, other, again))
                yield Advice(
                    "applied-twice",
                    f"put {mid} reached replicas {self._arrivals[put.number]} times, and get {last_mid} "
                    f"found its value again after put {next_mid}: apply each MID once, also when a new "
                    "leader has it in its log (Raft 8)",
                    again.returned, (mid, next_mid, last_mid), (str(again.answered_by),),
                )
                return

    def _between(
        self, reads: list[Operation], operations: list[Operation]
    ) -> tuple[Operation, Operation] | None:
        """The second of two reads of one value with another put between them, and that put."""
        puts = [one for one in operations if one.type == "put" and one.is_done]
        for first, again in permutations(reads, 2):
            for other in puts:
                is_later = self._begun[other.number] > (first.returned or 0)
                is_before = (other.returned or 0) < self._begun[again.number]
                if is_later and is_before and other.value != again.answer:
                    return again, other
        return None
