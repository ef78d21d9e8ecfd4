"""Packs a run for its page: columns of whole numbers, two texts, and the rest as JSON, compressed.

The first four bytes are the length of a JSON object, which follows. Its `columns` and `texts` say
where each block of bytes begins, counted from the end of that object. A column of n numbers of w
bytes has the lowest bytes of all numbers first, then the next ones: the high bytes are nearly all
zero and take no room once they are compressed. `script/reading.js` undoes all of it.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from simulator.picture.reading import Message, Operation, Run

# Values of the column of fates, before the reasons of losses.
DELIVERED, UNDECIDED, FIRST_REASON = 0, 1, 2

# A replica that floods its output, or breaks a rule with each message, makes no page too large.
_MOST_LINES = 20_000
_MOST_CHARACTERS = 2_000


class _Names:
    """Numbers names in the order in which they come."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        for name in names:
            self.number(name)

    def number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


class _Blocks:
    """Columns and texts, one after the other."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.columns: dict[str, tuple[int, int, int]] = {}
        self.texts: dict[str, tuple[int, int]] = {}

    def column(self, name: str, values: list[int]) -> None:
        """A column of whole numbers from 0 on: its place, its length, the bytes of each number."""
        width = max(1, (max(values, default=0).bit_length() + 7) // 8)
        numbers = array("Q", values)
        if sys.byteorder == "big":
            numbers.byteswap()
        raw = numbers.tobytes()
        self.columns[name] = len(self.bytes), len(values), width
        for place in range(width):
            self.bytes += raw[place::8]

    def text(self, name: str, lines: Iterable[str]) -> None:
        encoded = "\n".join(lines).encode("ascii")
        self.texts[name] = len(self.bytes), len(encoded)
        self.bytes += encoded


def pack(run: Run, advice: Sequence[dict[str, Any]] = ()) -> bytes:
    """The run and the advice to its author, as compressed bytes."""
    blocks = _Blocks()
    clients = _clients(run)
    processes = _Names([*clients, *run.ids("replicas")])
    mids = _Names([""])
    messages = sorted(run.messages, key=lambda message: message.sent)
    operations = sorted(run.operations, key=lambda operation: operation.invoked)
    header = {
        "head": run.head, "end": run.end, "damage": run.damage,
        "replicas": run.ids("replicas"), "clients": clients,
        "leftOut": {
            "lines of output": max(0, len(run.output) - _MOST_LINES),
            "faults": max(0, len(run.faults) - _MOST_LINES),
            "events": max(0, len(run.events) - _MOST_LINES),
        },
        "advice": list(advice),
        "events": _first(run.events), "output": _first(run.output), "faults": _first(run.faults),
    }
    header |= _messages(messages, blocks, processes, mids)
    header |= _operations(operations, blocks, processes, mids)
    header |= {"processes": processes.all(), "mids": mids.all()}
    header |= {"columns": blocks.columns, "texts": blocks.texts}
    encoded = json.dumps(header, separators=(",", ":")).encode("ascii")
    return zlib.compress(len(encoded).to_bytes(4, "little") + encoded + bytes(blocks.bytes), 9)


def _clients(run: Run) -> list[str]:
    """The clients of the first line, and others that ask: clients of explore take new IDs."""
    replicas = set(run.ids("replicas"))
    asking = (operation.client for operation in run.operations)
    return [id for id in dict.fromkeys([*run.ids("clients"), *asking]) if id not in replicas]


def _first(records: list[list[Any]]) -> list[list[Any]]:
    """The first records by their time, with texts of a length that a page can show."""
    kept = sorted(records, key=lambda record: record[0])[:_MOST_LINES]
    return [
        [field[:_MOST_CHARACTERS] if isinstance(field, str) else field for field in record]
        for record in kept
    ]


def _messages(
    messages: list[Message], blocks: _Blocks, processes: _Names, mids: _Names
) -> dict[str, Any]:
    types, reasons, leaders = _Names(), _Names(), _Names([""])
    blocks.column("sent", _steps([message.sent for message in messages]))
    blocks.column("from", [processes.number(message.sender) for message in messages])
    blocks.column("to", [processes.number(message.receiver) for message in messages])
    blocks.column("type", [types.number(message.body.type) for message in messages])
    blocks.column("fate", [_fate(message, reasons) for message in messages])
    blocks.column("delay", [message.delay for message in messages])
    blocks.column("leader", [leaders.number(message.body.leader) for message in messages])
    blocks.column("term", [message.body.term for message in messages])
    blocks.column("mid", [mids.number(message.body.mid) for message in messages])
    # A body that equals the one before is kept once, so this column says where one begins.
    news = [
        int(i == 0 or message.body.text != messages[i - 1].body.text)
        for i, message in enumerate(messages)
    ]
    blocks.column("news", news)
    blocks.text("bodies", (message.body.text for message, new in zip(messages, news, strict=True) if new))
    copies = [(i, delay) for i, message in enumerate(messages) for delay in message.copies]
    blocks.column("copy", [number for number, _ in copies])
    blocks.column("copyDelay", [delay for _, delay in copies])
    changed = [(i, body) for i, message in enumerate(messages) for body in message.changed]
    blocks.column("changed", [number for number, _ in changed])
    blocks.text("changedBodies", (json.dumps(body) for _, body in changed))
    first = messages[0].sent if messages else 0
    return {
        "firstSent": first, "types": types.all(), "reasons": reasons.all(), "leaders": leaders.all(),
    }


def _fate(message: Message, reasons: _Names) -> int:
    if message.fate is None:
        return UNDECIDED
    return FIRST_REASON + reasons.number(message.fate) if message.fate else DELIVERED


def _operations(
    operations: list[Operation], blocks: _Blocks, processes: _Names, mids: _Names
) -> dict[str, Any]:
    kinds, outcomes = _Names(), _Names([""])
    blocks.column("invoked", _steps([operation.invoked for operation in operations]))
    blocks.column("took", [_took(operation) for operation in operations])
    blocks.column("operationMid", [mids.number(operation.mid) for operation in operations])
    blocks.column("client", [processes.number(operation.client) for operation in operations])
    blocks.column("kind", [kinds.number(str(operation.call.get("type", "?"))) for operation in operations])
    blocks.column("outcome", [outcomes.number(operation.outcome) for operation in operations])
    blocks.text(
        "operations",
        (json.dumps([one.call, one.answer], separators=(",", ":")) for one in operations),
    )
    first = operations[0].invoked if operations else 0
    return {"firstInvoked": first, "kinds": kinds.all(), "outcomes": outcomes.all()}


def _took(operation: Operation) -> int:
    return 0 if operation.returned is None else max(0, operation.returned - operation.invoked)


def _steps(times: list[int]) -> list[int]:
    """The distance of each time from the one before."""
    return [0] * bool(times) + [after - before for before, after in pairwise(times)]
