"""The records of a trace (docs/trace.md) that its page shows, up to the first damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.picture import shapes
from simulator.trace.reader import Reader, TraceError

# A later time would not fit into the exact numbers of a browser. 35 years are enough.
_MOST_MICROSECONDS = 1 << 50
_MOST_TERM = 0xFFFF_FFFF
# Of a malformed message. Random bytes do not compress, and a look at their start tells all.
_MOST_GARBAGE = 1_000
_MALFORMED = "malformed"


@dataclass(slots=True)
class Body:
    """The content of a message, as one line of ASCII, and the fields of it that are drawn."""

    text: str
    type: str
    mid: str
    leader: str
    term: int


@dataclass(slots=True)
class Message:
    """One message to one destination.

    `delay` is the time until its delivery or loss. `fate` is empty for a delivered message, `None`
    before its fate is known, and else the reason of its loss. `copies` has the delays of further
    deliveries, and `changed` the bodies with which it arrived if the network changed them.
    """

    sent: int
    sender: str
    receiver: str
    body: Body
    delay: int = 0
    fate: str | None = None
    copies: tuple[int, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(slots=True)
class Operation:
    """One request of a client with its end, if it has one."""

    invoked: int
    mid: str
    client: str
    call: dict[str, Any]
    returned: int | None = None
    outcome: str = ""
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """All records of a trace, in the order of the file. `damage` says where reading stopped."""

    head: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    events: list[list[Any]] = field(default_factory=list)
    output: list[list[Any]] = field(default_factory=list)
    faults: list[list[Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None
    damage: str | None = None

    def ids(self, key: str) -> list[str]:
        """The IDs of the "replicas" or the "clients"."""
        return shapes.ids(self.head.get(key))


def read(path: Path) -> Run:
    """The records of the trace at `path`; raises a TraceError for a file that is no trace."""
    reader = Reader(path)
    try:
        run = Run(_object(reader.heading))
    except ValueError:
        raise TraceError(f"{path}: line 1 has a number that is too large") from None
    taker = _Taker(run)
    for record in reader:
        if not taker.take(record):
            reader.stop("is no record of a trace")
            break
    run.damage = reader.damage
    try:
        run.end = reader.ending and shapes.ending(_object(reader.ending))
    except ValueError:
        run.damage = f"{path}: the last line has a number that is too large"
    return run


class _Taker:
    """Takes one record after the other into a run. A record that breaks a rule changes nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._messages: dict[int, Message] = {}
        self._operations: dict[str, Operation] = {}
        self._body: Body | None = None
        self._kinds: dict[str, Callable[[list[Any]], None]] = {
            "m": self._message, "d": self._delivered, "x": self._lost, "c": self._changed, "e": self._event,
            "q": self._invoked, "a": self._answered, "o": self._printed, "f": self._fault,
        }

    def take(self, record: list[Any]) -> bool:
        """Whether the record breaks no rule. One of a kind of the future is left out."""
        take = self._kinds.get(record[0])
        try:
            if take is not None:
                take(record)
        except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
            return False
        return True

    def _message(self, record: list[Any]) -> None:
        _, t, number, sender, receiver, content, *fate = record
        if fate and fate[0] == _MALFORMED and isinstance(content, str):
            content = _cut(content)
        body = self._body if content is None else _body(content)
        if body is None:
            raise ValueError("there is no previous message")
        message = Message(_time(t), _process(sender), _process(receiver), body)
        if fate and isinstance(fate[0], str):
            message.fate = fate[0] or "unknown"
        elif fate:
            message.delay, message.fate = _time(fate[0], least=0), ""
        self._body = body
        self._messages[number] = message
        self._run.messages.append(message)

    def _delivered(self, record: list[Any]) -> None:
        _, t, number = record
        message = self._messages[number]
        delay = max(0, _time(t) - message.sent)
        if message.fate is None:
            message.delay, message.fate = delay, ""
        else:
            message.copies += (delay,)

    def _lost(self, record: list[Any]) -> None:
        _, t, number, why = record
        message = self._messages[number]
        if message.fate is None:
            message.delay, message.fate = max(0, _time(t) - message.sent), str(why) or "unknown"

    def _changed(self, record: list[Any]) -> None:
        _, _, number, body = record
        self._messages[number].changed += (str(body),)

    def _event(self, record: list[Any]) -> None:
        _, t, kind, *rest = record
        self._run.events.append([_time(t), str(kind), shapes.event(_object(rest[0])) if rest else {}])

    def _invoked(self, record: list[Any]) -> None:
        _, t, mid, client, call = record
        operation = Operation(_time(t), str(mid), str(client), _object(call))
        self._operations[operation.mid] = operation
        self._run.operations.append(operation)

    def _answered(self, record: list[Any]) -> None:
        _, t, mid, outcome, *rest = record
        time, answer = _time(t), _object(rest[0]) if rest else {}
        operation = self._operations.get(str(mid))
        if operation is not None:
            operation.returned, operation.outcome, operation.answer = time, str(outcome), answer

    def _printed(self, record: list[Any]) -> None:
        _, t, replica, stream, text = record
        self._run.output.append([_time(t), str(replica), str(stream), str(text)])

    def _fault(self, record: list[Any]) -> None:
        _, t, text, *rest = record
        involved = _object(rest[0]) if rest and rest[0] else {}
        self._run.faults.append([_time(t), str(text), shapes.fault(involved)])


def _object(value: Any) -> dict[str, Any]:
    """An object that a browser can read: Python alone knows numbers that are not finite."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    json.dumps(value, allow_nan=False)
    return value


def _time(value: Any, least: int = -_MOST_MICROSECONDS) -> int:
    time = int(value) if isinstance(value, (int, float)) else None
    if time is None or not least <= time <= _MOST_MICROSECONDS:
        raise ValueError("not a time")
    return time


def _process(value: Any) -> str:
    """The ID of a process; a message that breaks the protocol may have none."""
    return value if isinstance(value, str) else "?"


def _cut(garbage: str) -> str:
    return garbage if len(garbage) <= _MOST_GARBAGE else f"{garbage[:_MOST_GARBAGE]}..."


def _body(content: Any) -> Body:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    if not isinstance(content, dict):
        return Body(text, "(malformed)", "", "", 0)
    type, mid, leader = (content.get(key) for key in ("type", "MID", "leader"))
    return Body(
        text, type if isinstance(type, str) else "(no type)", mid if isinstance(mid, str) else "",
        leader if isinstance(leader, str) else "", _term(content),
    )


def _term(content: dict[str, Any]) -> int:
    """The term of a message, or of the first message of a bundle; 0 if it has none."""
    parts = content.get("messages")
    if "term" not in content and isinstance(parts, list) and parts and isinstance(parts[0], dict):
        content = parts[0]
    term = content.get("term")
    return term if isinstance(term, int) and 0 < term <= _MOST_TERM else 0
