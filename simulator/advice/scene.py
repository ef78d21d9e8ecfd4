"""The records of a trace, one after the other -> what the rules see.

A scene keeps what several rules need: the operations of the clients, the faults that are active,
the leader that each replica names, what each replica can know, and the values that it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from simulator.advice.copies import Copies
from simulator.advice.knowledge import Knowledge
from simulator.advice.rule import HEARD, Message, Operation, Rule
from simulator.messages import UNKNOWN_LEADER

# Operations that change a value whatever the value is.
WRITES = frozenset({"put", "append", "increment"})
# After a fault the replicas need some time to settle, which is no sign of a mistake.
SETTLE_SECONDS = 3.0
# The explorer has faults that show in a note only; the scene does not follow their ends.
_EXPLORED_FAULT = re.compile(r"fault \d+: ")
# Messages on their way that are remembered. More can wait only for a replica that does not read.
_MOST_WAITING = 50_000
_FAULTS = frozenset({
    "kill", "restart", "back", "pause", "resume", "end", "partition", "one_way", "heal", "slow", "slow_end",
})


class Scene:
    """Follows a run record by record, and tells the rules."""

    def __init__(self, heading: Mapping[str, Any]) -> None:
        listed = heading.get("replicas")
        self.heading = heading
        self.replicas = tuple(map(str, listed)) if isinstance(listed, list) else ()
        self.majority = len(self.replicas) // 2 + 1
        self.operations: dict[str, Operation] = {}  # by the MID of each attempt
        self.ending: Mapping[str, Any] | None = None
        self.now = 0.0
        self.living = set(self.replicas)
        self.paused: set[str] = set()
        self._slow: set[str] = set()
        self.cuts: list[tuple[frozenset[str], frozenset[str]]] = []
        self.named = dict.fromkeys(self.replicas, UNKNOWN_LEADER)
        self.reign: dict[str, float] = {}  # since when a replica names itself, without a break
        self.knowledge = Knowledge(self.replicas)
        self.copies = Copies(self.replicas)
        self._last_fault = 0.0
        self._is_spoiled = False
        self._is_replica = frozenset(self.replicas)
        clients = heading.get("clients")
        self._is_client = frozenset(map(str, clients)) if isinstance(clients, list) else frozenset()
        self._body: Any = None
        self._values: tuple[int, ...] = ()
        self._waiting: dict[int, Message] = {}
        self._rules: dict[str, list[Callable[..., None]]] = {}
        self._take: dict[str, Callable[..., None]] = {
            "m": self._message, "d": self._delivery, "x": self._loss, "e": self._event, "q": self._request,
            "a": self._answer, "o": self._output, "f": self._fault,
        }

    def watch(self, rules: Iterable[Rule]) -> None:
        """Tell these rules from now on. A rule hears only what it has a method for."""
        for name in HEARD:
            self._rules[name] = [
                getattr(rule, name) for rule in rules if getattr(type(rule), name) is not getattr(Rule, name)
            ]

    def take(self, record: list[Any]) -> None:
        """Take one record. A record without the fields of its type says nothing."""
        take = self._take.get(record[0])
        if take is None:
            return
        try:
            time = record[1] / 1e6
            self.now = max(self.now, time)
            take(time, *record[2:])
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError):
            return

    @property
    def is_calm(self) -> bool:
        """Whether no fault is active or has just been."""
        is_disturbed = self.cuts or self.paused or self._slow or self._is_spoiled
        return not is_disturbed and self.now - self._last_fault > SETTLE_SECONDS

    def is_cut(self, sender: str, target: str) -> bool:
        return any(sender in senders and target in targets for senders, targets in self.cuts)

    @property
    def is_failed(self) -> bool:
        """Whether the run has not passed, at its end; a run without an end has not."""
        return self.ending is None or self.ending.get("verdict") != "passed"

    @property
    def contradicting(self) -> frozenset[str]:
        """The MIDs of the operations that contradict each other, as the checker says."""
        verdict = (self.ending or {}).get("linearizability")
        mids = verdict.get("mids") if isinstance(verdict, dict) else None
        return frozenset(map(str, mids)) if isinstance(mids, list) else frozenset()

    @property
    def has_majority(self) -> bool:
        return len(self.living) >= self.majority

    def is_minority(self, replica: str) -> bool:
        """Whether a partition keeps a replica from exchanging messages with a majority."""
        reached = sum(
            not self.is_cut(replica, other) and not self.is_cut(other, replica)
            for other in self.living if other != replica
        )
        return reached + 1 < self.majority

    # Messages.

    def _message(
        self, time: float, number: int, sender: str | None, target: str | None, body: Any, fate: Any = None
    ) -> None:
        is_repeated = body is None
        self._body = body = self._body if is_repeated else body
        if not isinstance(body, dict) or sender is None or target is None:
            return
        message = Message(time, sender, target, body, is_repeated)
        if sender in self._is_replica:
            if not is_repeated:
                self._name(time, sender, str(body.get("leader")))
            if target not in self._is_replica:
                self._response(message)
                return
            message.carried = self.knowledge.copy(sender)
            if not is_repeated:
                self._values = self.copies.find(body)
            message.values = self._values
            self._tell("sent", message)
        elif target not in self._is_replica:
            return
        if isinstance(fate, str):
            self._lose(message, fate)
        elif fate is not None:
            self._deliver(message)
        else:
            self._waiting[number] = message
            if len(self._waiting) > _MOST_WAITING:
                del self._waiting[next(iter(self._waiting))]

    def _name(self, time: float, replica: str, leader: str) -> None:
        self.named[replica] = leader
        if leader != replica:
            self.reign.pop(replica, None)
        elif replica not in self.reign:
            self.reign[replica] = time
            self._tell("reigns", time, replica)

    def _delivery(self, time: float, number: int) -> None:
        # It may be delivered a second time.
        message = self._waiting.get(number)
        if message is not None:
            message.time = time
            self._deliver(message)

    def _loss(self, time: float, number: int, reason: str) -> None:
        message = self._waiting.pop(number, None)
        if message is not None:
            self._lose(message, reason)

    def _lose(self, message: Message, reason: str) -> None:
        if message.sender in self._is_replica:
            self._tell("lost", message, reason)

    def _deliver(self, message: Message) -> None:
        if message.carried is not None:
            self.knowledge.merge(message.target, message.carried)
            self.copies.add(message.target, message.values)
            self._tell("delivered", message)
            return
        operation = self.operations.get(str(message.body.get("MID")))
        if operation is None:
            return
        operation.arrived, operation.target = message.time, message.target
        if operation.type in WRITES and not operation.is_done:
            self.knowledge.arrive(operation.number, message.target)
            self.copies.receive(message.target, operation.number)
        self._tell("asked", operation, message)

    def _response(self, message: Message) -> None:
        if message.target in self._is_client:
            self._tell("to_client", message)
        mid = str(message.body.get("MID"))
        operation = self.operations.get(mid)
        if operation is None or operation.client != message.target:
            return
        self._tell("responded", operation, message)
        if mid == operation.mid:
            operation.responses += 1
        if message.type == "ok" and operation.type in WRITES:
            self.knowledge.close(operation.number)
            self.copies.acknowledge(operation.number, message.sender)

    # Clients.

    def _request(self, time: float, mid: str, client: str, asked: Mapping[str, Any]) -> None:
        operation = self.operations.get(str(asked.get("before")))
        if operation is None:
            operation = Operation(
                len(self.operations), str(asked["type"]), str(asked["key"]), time, mid, client
            )
        else:
            operation.mid, operation.outcome, operation.arrived = mid, None, None
            operation.attempts += 1
            operation.responses = 0
        value = asked.get("value")
        operation.value = value if isinstance(value, str) else None
        self.operations[mid] = operation
        if operation.type in WRITES:
            self.copies.begin(operation.number, operation.value)
        self._tell("began", operation)

    def _answer(self, time: float, mid: str, outcome: str, told: Mapping[str, Any]) -> None:
        operation = self.operations[mid]
        operation.outcome, operation.returned = outcome, time
        replica = told.get("replica")
        operation.answered_by = None if replica is None else str(replica)
        operation.answer = told.get("value")
        self._tell("finished", operation, str(told.get("leader")))

    # All else.

    def _event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        self._tell("event", time, kind, fields)
        self._is_spoiled |= kind == "note" and _EXPLORED_FAULT.match(str(fields.get("text"))) is not None
        if kind in _FAULTS:
            self._last_fault = time
        replica = str(fields.get("replica"))
        if kind in ("kill", "end", "restart"):
            self.living.discard(replica)
            self.paused.discard(replica)
            self.reign.pop(replica, None)
        elif kind == "back":
            self.living.add(replica)
        elif kind == "pause":
            self.paused.add(replica)
        elif kind == "resume":
            self.paused.discard(replica)
        elif kind == "slow":
            self._slow.add(replica)
        elif kind == "slow_end":
            self._slow.discard(replica)
        elif kind == "heal":
            self.cuts = []
        elif kind == "partition":
            side = frozenset(fields["side"])
            rest = self._is_replica - side
            self.cuts += [(side, rest), (rest, side)]
        elif kind == "one_way":
            self.cuts.append((frozenset(fields["from"]), frozenset(fields["to"])))

    def _output(self, time: float, replica: str, stream: str, text: str) -> None:
        self._tell("printed", time, replica, stream, text)

    def _fault(self, time: float, text: str, involved: Mapping[str, Any] | None = None) -> None:
        replicas = tuple(map(str, (involved or {}).get("replicas", ())))
        self._tell("fault", time, text, replicas)

    def _tell(self, name: str, *what: Any) -> None:
        for hear in self._rules.get(name, ()):
            hear(*what)
