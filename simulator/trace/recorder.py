"""The records of a run in progress.

The router calls `message` for each message and destination, so that function does little: records
become lines when nothing else happens, or when many of them wait. A line that was made at once
would hold up the next message, and add to the latency that the run measures.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from simulator.client import Request
from simulator.trace.sink import Sink

# The message waits for a replica that does not read. It is delivered, or lost, later.
WAITS = "waits"
# The same for a message that the network delays. Such messages may overtake each other.
LATER = "later"
# Some parsers do not take an object with more brackets, which may be nested.
_MOST_BRACKETS = 400
# Records that wait. More of them would hold up a message for longer when they are written.
_MOST_RECORDS = 64
# Records before the clock starts wait in memory. The rest of a flood is lost.
_MOST_EARLY_BYTES = 64 << 20
# Of the Python objects of one record, beside its text.
_EARLY_RECORD_BYTES = 500
# The field with the answer to a request of each type.
ANSWERS = {"get": "value", "cas": "done", "delete": "done", "increment": "result", "append": "result"}
_Message = tuple[float, int, str, str, bytes | None, str | float]
_MID = re.compile(r"(?<!\w)[0-9a-f]{8}(?!\w)")
_ID = re.compile(r"(?<=\breplica )[0-9A-F]{4}\b")


class Trace:
    """A trace that is not wanted: it records nothing. `Recorder` writes a file."""

    is_on = False

    def begin(self, heading: Mapping[str, Any]) -> None:
        """Write the first line of the trace."""

    def start(self, clock: Callable[[], float], origin: float) -> None:
        """From now on `clock` tells the time, whose zero is `origin` of `time.monotonic`."""

    def message(
        self, sent: float, sender: str, target: str, raw: bytes | None, fate: str | None
    ) -> int:
        """A message for one destination; `fate` says why it is lost, or when it is decided.

        It is `None` if the message is delivered. Without `raw` it is the message before, for
        another destination. Returns the number of the message.
        """
        return 0

    def next_number(self) -> int:
        """The number of the next message."""
        return 0

    def settle(self, number: int, target: str, fate: str | None) -> None:
        """A message that the network has delayed gets its fate, or a copy of it does."""

    def change(self, number: int, raw: bytes) -> None:
        """A message, or its next copy, arrives with these bytes instead of its own."""

    def response(self, sent: float, sender: str, client: str, raw: bytes, fate: str | None) -> None:
        """A message to a client, which may turn out to be a stray one."""

    def stray(self, sender: str | None, raw: bytes) -> None:
        """A message that breaks the protocol, so that it has no destination."""

    def passed(self, replica: str, messages: int) -> None:
        """So many messages that have waited for a replica are delivered, the oldest first."""

    def event(self, kind: str, **fields: Any) -> None:
        """An event in the cluster or its network."""

    def note(self, text: str) -> None:
        """An event in words."""

    def request(self, request: Request) -> None:
        """A client begins an attempt."""

    def answer(self, request: Request, leader: str) -> None:
        """An attempt has its answer, which names `leader`."""

    def output(self, replica: str, stream: str, line: str) -> None:
        """A line of a process on "out" or "err"."""

    def fault(self, text: str) -> None:
        """A mistake of a replica."""

    def end(self, last: Mapping[str, Any]) -> None:
        """Write the last line."""

    @property
    def is_behind(self) -> bool:
        """Whether records wait to be written."""
        return False

    def write(self) -> None:
        """Write the records that wait, because nothing else happens."""

    def close(self) -> None:
        """Write all that is left. A run that did not end leaves a trace without a last line."""


UNTRACED = Trace()


class Recorder(Trace):
    """Writes each record as one line of JSON."""

    is_on = True

    def __init__(self, sink: Sink, command: str, when_lost: Callable[[str], None]) -> None:
        """`command` repeats the run when its `{seed}` is filled in.

        `when_lost` hears why the file can take no more.
        """
        sink.when_lost = when_lost
        self._sink = sink
        # Each is the value of a line, or a message: when it was sent, its number, sender, receiver
        # and body, and its fate, or when it arrived.
        self._records: list[_Message | dict[str, Any] | list[Any]] = []
        self._command = command
        self._count = 0
        self._answer: bytes | None = None  # the last message to a client
        self._waiting: dict[str, deque[int]] = {}
        self._clock: Callable[[], float] | None = None
        self._origin = 0.0
        self._early: list[tuple[float, str, tuple[Any, ...]]] = []
        self._early_room = _MOST_EARLY_BYTES

    def begin(self, heading: Mapping[str, Any]) -> None:
        self._write({**heading, "command": self._command.replace("{seed}", str(heading["seed"]))})

    def start(self, clock: Callable[[], float], origin: float) -> None:
        self._clock = clock
        self._origin = origin
        early, self._early = self._early, []
        for moment, type, rest in early:
            self._write([type, int(1e6 * (moment - origin)), *rest])

    def _write(self, value: Any) -> None:
        self._records.append(value)
        if len(self._records) >= _MOST_RECORDS:
            self.write()

    @property
    def is_behind(self) -> bool:
        return bool(self._records)

    def write(self) -> None:
        self._sink.write([
            self._line(record) if isinstance(record, tuple)
            else f"{json.dumps(record, separators=(',', ':'), ensure_ascii=False)}\n"
            for record in self._records
        ])
        self._records.clear()

    def _line(self, record: _Message) -> str:
        sent, number, sender, target, raw, fate = record
        if raw is None:
            body = "null"
        else:
            body = raw.decode()
            if len(body) > _MOST_BRACKETS and body.count("[") + body.count("{") > _MOST_BRACKETS:
                body = json.dumps(body)
        time = int(1e6 * sent)
        if isinstance(fate, float):
            took = int(1e6 * (fate - self._origin)) - time
            return f'["m",{time},{number},"{sender}","{target}",{body},{took}]\n'
        if fate in (WAITS, LATER):
            return f'["m",{time},{number},"{sender}","{target}",{body}]\n'
        return f'["m",{time},{number},"{sender}","{target}",{body},"{fate}"]\n'

    def _record(self, type: str, *rest: Any, at: float | None = None) -> None:
        """Write a record of this moment, or keep it until the time is known."""
        if self._clock is None:
            texts = sum(len(value) for value in rest if isinstance(value, str))
            self._early_room -= texts + _EARLY_RECORD_BYTES
            if self._early_room >= 0:
                self._early.append((monotonic(), type, rest))
        else:
            self._write([type, int(1e6 * (self._clock() if at is None else at)), *rest])

    def message(
        self, sent: float, sender: str, target: str, raw: bytes | None, fate: str | None
    ) -> int:
        number = self._count
        self._count = number + 1
        if fate == WAITS:
            self._waiting.setdefault(target, deque()).append(number)
        self._records.append((sent, number, sender, target, raw, monotonic() if fate is None else fate))
        if len(self._records) >= _MOST_RECORDS:
            self.write()
        return number

    def next_number(self) -> int:
        return self._count

    def settle(self, number: int, target: str, fate: str | None) -> None:
        if fate is None:
            self._record("d", number)
        elif fate == WAITS:
            self._waiting.setdefault(target, deque()).append(number)
        else:
            self._record("x", number, fate)

    def change(self, number: int, raw: bytes) -> None:
        self._record("c", number, raw.decode("utf-8", "backslashreplace"))

    def response(self, sent: float, sender: str, client: str, raw: bytes, fate: str | None) -> None:
        self.message(sent, sender, client, raw, fate)
        self._answer = raw

    def stray(self, sender: str | None, raw: bytes) -> None:
        if raw is self._answer:
            return  # It is recorded as a message that has arrived.
        self._record("m", self._count, sender, None, raw.decode("utf-8", "backslashreplace"), "malformed")
        self._count += 1

    def passed(self, replica: str, messages: int) -> None:
        waiting = self._waiting.get(replica, deque())
        for _ in range(min(messages, len(waiting))):
            self._record("d", waiting.popleft())

    def event(self, kind: str, **fields: Any) -> None:
        self._record("e", kind, fields)
        if kind in ("kill", "restart", "end"):
            for number in self._waiting.pop(fields["replica"], ()):
                self._record("x", number, "down" if kind == "restart" else "dead")

    def note(self, text: str) -> None:
        self.event("note", text=text)

    def request(self, request: Request) -> None:
        asked = {"type": request.type, "key": request.key, **request.call.arguments}
        if request.before is not None:
            asked["before"] = request.before.mid
        self._record("q", request.mid, request.client, asked, at=request.invoked)

    def answer(self, request: Request, leader: str) -> None:
        told: dict[str, Any] = {"replica": request.answered_by, "leader": leader}
        if request.outcome == "ok" and request.type in ANSWERS:
            told[ANSWERS[request.type]] = request.answer
        self._record("a", request.mid, request.outcome, told, at=request.returned)

    def output(self, replica: str, stream: str, line: str) -> None:
        self._record("o", replica, stream, line)

    def fault(self, text: str) -> None:
        involved = {"mids": _MID.findall(text), "replicas": _ID.findall(text)}
        self._record("f", text, {name: list(dict.fromkeys(ids)) for name, ids in involved.items() if ids})

    def end(self, last: Mapping[str, Any]) -> None:
        self._write(last)
        self.close()

    def close(self) -> None:
        if self._clock is None:
            self.start(monotonic, monotonic())
        if self._records:
            self.write()
        self._sink.close()
