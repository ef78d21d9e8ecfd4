"""Answers that clients wait for in vain, get twice, or that send them around in circles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.advice.finding import Advice, Tally, at
from simulator.advice.rule import Message, Operation, Rule
from simulator.advice.scene import WRITES, Scene

# A request that came so shortly before the end may still be answered.
_LATE_SECONDS = 1.0
# Requests that are declined so often for each replica go round in circles.
_MOST_DECLINES = 3
_MOST_LOSSES = 10_000
# A replica that has been sent so much since its own last message hangs.
_LEAST_UNHEARD = 20
_HANG_SECONDS = 1.0


def _more(count: int) -> str:
    return "" if count == 1 else f" (one of {count:,})"


class Unanswered(Rule):
    """A living replica has a request and never answers it."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._cut_off: set[int] = set()  # operations that reached a replica without a majority
        self._lives: Counter[str] = Counter()
        self._life: dict[int, int] = {}  # the life of the replica that an operation has reached
        self._losses: dict[tuple[int, str], Message] = {}  # copies that were lost, until one arrives
        self._spoke: dict[str, float] = {}  # when each replica has sent its last message
        self._unheard: Counter[str] = Counter()  # the messages to it since then
        self._broken: set[str] = set()  # replicas with answers that the simulator cannot read

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        if text.startswith(("malformed message", "unexpected MID")):
            self._broken.update(replicas)

    def sent(self, message: Message) -> None:
        self._speaks(message)

    def responded(self, operation: Operation, message: Message) -> None:
        self._speaks(message)

    def _speaks(self, message: Message) -> None:
        self._spoke[message.sender] = message.time
        self._unheard[message.sender] = 0

    def asked(self, operation: Operation, message: Message) -> None:
        self._unheard[message.target] += 1
        self._life[operation.number] = self._lives[message.target]
        if self.scene.is_minority(message.target):
            self._cut_off.add(operation.number)
        else:
            self._cut_off.discard(operation.number)

    def event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "restart":
            self._lives[str(fields.get("replica"))] += 1

    def lost(self, message: Message, reason: str) -> None:
        if message.values and reason in ("chance", "partition") and len(self._losses) < _MOST_LOSSES:
            for write in message.values:
                self._losses.setdefault((write, message.target), message)

    def delivered(self, message: Message) -> None:
        self._unheard[message.target] += 1
        for write in message.values:
            self._losses.pop((write, message.target), None)

    def _is_swallowed(self, operation: Operation) -> bool:
        return (
            operation.outcome is None and operation.arrived is not None and operation.responses == 0
            and operation.target in self.scene.living and operation.target not in self.scene.paused
            and not self.scene.is_minority(operation.target) and operation.target not in self._broken
            and self._life.get(operation.number) == self._lives[operation.target]
            and self.scene.now - operation.arrived > _LATE_SECONDS
        )

    def advice(self) -> Iterable[Advice]:
        if not self.scene.has_majority:
            return
        swallowed = {id(o): o for o in self.scene.operations.values() if self._is_swallowed(o)}.values()
        if not swallowed:
            return
        hanging = next((str(o.target) for o in swallowed if self._hangs(str(o.target))), None)
        if hanging is not None:
            yield self._hung(hanging, [o for o in swallowed if o.target == hanging])
            return
        forgotten = [o for o in swallowed if o.type in WRITES and self._loss_of(o) is not None]
        if forgotten and not self.scene.cuts:
            yield self._no_repetition(forgotten)
            return
        replica, _ = Counter(str(o.target) for o in swallowed).most_common(1)[0]
        its = [o for o in swallowed if o.target == replica]
        cut = [o for o in its if o.number in self._cut_off and self.scene.is_calm]
        yield self._swallowed(replica, its) if 2 * len(cut) < len(its) else self._kept(replica, cut)

    def _hangs(self, replica: str) -> bool:
        """Whether a replica has spoken once, and then no more whatever it was sent."""
        silence = self.scene.now - self._spoke.get(replica, self.scene.now)
        return silence > _HANG_SECONDS and self._unheard[replica] >= _LEAST_UNHEARD

    def _hung(self, replica: str, its: list[Operation]) -> Advice:
        since = self._spoke[replica]
        return Advice(
            "hung",
            f"{replica} sent nothing after {at(since)}, although {self._unheard[replica]:,} messages and "
            f"requests came, such as {its[0].type} {its[0].mid}: it hangs; never sleep, and never wait for "
            "one message alone",
            since, tuple(o.mid for o in its[:3]), (replica,),
        )

    def _loss_of(self, operation: Operation) -> Message | None:
        """A lost copy of a write that never reached a majority."""
        if self.scene.copies.count(operation.number) >= self.scene.majority:
            return None
        for replica in self.scene.replicas:
            if (operation.number, replica) in self._losses and replica in self.scene.living:
                return self._losses[operation.number, replica]
        return None

    def _no_repetition(self, forgotten: list[Operation]) -> Advice:
        operation = forgotten[0]
        loss = self._loss_of(operation)
        assert loss is not None
        return Advice(
            "no-repetition",
            f"{loss.sender} never sent {operation.type} {operation.mid}{_more(len(forgotten))} again to "
            f"{loss.target} after the network had lost it at {at(loss.time)}: repeat entries until they "
            "are acknowledged (Raft 5.3)",
            loss.time, (operation.mid,), (loss.sender, loss.target),
        )

    def _swallowed(self, replica: str, its: list[Operation]) -> Advice:
        operation = its[0]
        return Advice(
            "unanswered",
            f"{replica} never answered {operation.type} {operation.mid}{_more(len(its))}, which came at "
            f"{at(operation.arrived or 0)}: hold requests until a leader is known, then answer or redirect "
            "each",
            operation.arrived, tuple(o.mid for o in its[:3]), (replica,),
        )

    def _kept(self, replica: str, cut: list[Operation]) -> Advice:
        operation = cut[0]
        return Advice(
            "cut-off",
            f"{replica} never answered {operation.type} {operation.mid}{_more(len(cut))}, which came at "
            f"{at(operation.arrived or 0)} while it was cut off: step down without a majority, and "
            "redirect all that waits (dissertation 6.2)",
            operation.arrived, tuple(o.mid for o in cut[:3]), (replica,),
        )


class Circles(Rule):
    """Replicas decline a request again and again."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._worst: tuple[int, Operation] | None = None
        self._way: tuple[str, ...] = ()
        self._ways: dict[int, tuple[str, ...]] = {}  # the last declines of each operation
        self._declines: dict[int, int] = {}  # while there was no fault
        self._declined_at: dict[int, float] = {}
        self._count = 0
        self._to_itself: Counter[tuple[int, str]] = Counter()  # by operation and replica
        self._selfish: Tally[tuple[Operation, str]] = Tally()

    def finished(self, operation: Operation, leader: str) -> None:
        if operation.is_done:
            self._ways.pop(operation.number, None)
            self._declines.pop(operation.number, None)
            return
        if self._has_waited(operation):
            self._declines.pop(operation.number, None)
        self._note_itself(operation, leader)
        way = self._ways.get(operation.number, ())
        self._ways[operation.number] = (*way, f"{operation.answered_by} to {leader}")[-3:]
        limit = _MOST_DECLINES * len(self.scene.replicas)
        if not self.scene.is_calm or not self.scene.has_majority:
            return
        declines = self._declines[operation.number] = self._declines.get(operation.number, 0) + 1
        if declines == limit:
            self._count += 1
        if declines >= limit and (self._worst is None or declines > self._worst[0]):
            self._worst = declines, operation
            self._way = self._ways[operation.number]

    def _has_waited(self, operation: Operation) -> bool:
        """Whether the client has waited in vain since the last decline: a message was lost."""
        last = self._declined_at.get(operation.number, self.scene.now)
        self._declined_at[operation.number] = self.scene.now
        settings = self.scene.heading.get("settings")
        patience = settings.get("client_timeout") if isinstance(settings, dict) else None
        return isinstance(patience, (int, float)) and self.scene.now - last >= patience

    def _note_itself(self, operation: Operation, leader: str) -> None:
        if operation.outcome == "redirect" and leader == operation.answered_by:
            self._to_itself[operation.number, leader] += 1
            if self._to_itself[operation.number, leader] == _MOST_DECLINES:
                self._selfish.add((operation, leader))

    def advice(self) -> Iterable[Advice]:
        if self._selfish:
            operation, replica = self._selfish.first()
            count = self._to_itself[operation.number, replica]
            yield Advice(
                "circle",
                f"{replica} redirected {operation.type} {operation.mid}{self._selfish.more} {count:,} times "
                'to itself: a leader answers "ok", and another replica names the leader, or FFFF',
                operation.returned, (operation.mid,), (replica,),
            )
            return
        if self._worst is None:
            return
        attempts, operation = self._worst
        replicas = tuple(dict.fromkeys(step[:4] for step in self._way))
        yield Advice(
            "circle",
            f"{operation.type} {operation.mid}{_more(self._count)} was declined {attempts:,} times, at "
            f"last from {', '.join(self._way)}: name a leader only while you hear from it, and hold "
            "requests while there is none",
            operation.returned, (operation.mid,), replicas,
        )


class Duplicates(Rule):
    """A request gets a further answer, although its client has asked once."""

    is_manner = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._owed: dict[str, int] = {}  # answers by MID
        self._answered_by: dict[str, str] = {}
        self._found: Tally[tuple[float, str, str, str]] = Tally()

    def asked(self, operation: Operation, message: Message) -> None:
        mid = str(message.body["MID"])
        self._owed[mid] = self._owed.get(mid, 0) + 1

    def responded(self, operation: Operation, message: Message) -> None:
        mid = str(message.body["MID"])
        self._owed[mid] = owed = self._owed.get(mid, 0) - 1
        before = self._answered_by.get(mid)
        self._answered_by[mid] = message.sender
        if owed < 0 and before is not None:
            self._found.add((message.time, message.sender, mid, before))

    def advice(self) -> Iterable[Advice]:
        if not self._found:
            return
        time, replica, mid, before = self._found.first()
        yield Advice(
            "duplicate",
            f"{replica} answered {mid}{self._found.more} at {at(time)}, which {before} had answered "
            "already: remember answered MIDs, and answer each exactly once",
            time, (mid,), tuple(dict.fromkeys((replica, before))),
        )
