"""The clients: each has a node that it always asks, and one request at a time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from simulator.maelstrom.message import Broken, Message

# Errors that say that the operation did not take place and never will.
DEFINITE = {1, 10, 11, 12, 14, 20, 21, 22, 30}
# Errors that are the result of an operation.
ABSENT, DIFFERS = 20, 22
_OK_KEYS = {
    "read": {"type", "msg_id", "in_reply_to", "value"},
    "write": {"type", "msg_id", "in_reply_to"},
    "cas": {"type", "msg_id", "in_reply_to"},
}

OK, FAIL, UNKNOWN = "ok", "fail", "unknown"


@dataclass
class Operation:
    """A request and, once it has ended, its result."""

    client: str
    msg_id: int
    body: dict[str, Any]
    invoked: float
    returned: float | None = None
    outcome: str = UNKNOWN
    code: int | None = None
    value: Any = None

    @property
    def kind(self) -> str:
        return str(self.body["type"])

    @property
    def is_served(self) -> bool:
        """Whether the store has said the result, also if that is an absent key or another value."""
        return self.outcome == OK or (self.outcome == FAIL and self.code in (ABSENT, DIFFERS))


class Clients:
    """All clients, and every operation in the order of its invocation."""

    def __init__(self, number: int, nodes: list[str], timeout: float) -> None:
        self._timeout = timeout
        self._msg_ids = itertools.count(1)
        self._nodes = {f"c{client}": nodes[client % len(nodes)] for client in range(number)}
        self._pending: dict[str, Operation] = {}
        self.operations: list[Operation] = []
        self.late = 0

    @property
    def names(self) -> list[str]:
        return list(self._nodes)

    def idle(self) -> list[str]:
        return [client for client in self._nodes if client not in self._pending]

    def invoke(self, now: float, client: str, request: dict[str, Any], id: int) -> Message:
        """The message by which a client invokes this operation."""
        msg_id = next(self._msg_ids)
        body = request | {"msg_id": msg_id}
        operation = Operation(client, msg_id, body, now)
        self._pending[client] = operation
        self.operations.append(operation)
        return Message(id, client, self._nodes[client], body)

    def next_timeout(self) -> float | None:
        return min((one.invoked + self._timeout for one in self._pending.values()), default=None)

    def give_up(self, now: float) -> None:
        """End the operations that have waited too long: their outcome is unknown."""
        for client, operation in list(self._pending.items()):
            if now >= operation.invoked + self._timeout:
                del self._pending[client]

    def is_waiting(self) -> bool:
        return bool(self._pending)

    def take(self, now: float, message: Message) -> None:
        """Take an answer. One that comes after its client has given up says nothing."""
        body, client = message.body, message.dest
        operation = self._pending.get(client)
        if operation is None or body.get("in_reply_to") != operation.msg_id:
            self._check_late(message)
            return
        operation.returned = now
        del self._pending[client]
        if body["type"] == "error":
            self._take_error(operation, message)
            return
        expected = f"{operation.kind}_ok"
        if body["type"] != expected:
            raise Broken(f"{message.src} answered a {operation.kind} with {body['type']!r}")
        if not set(body) <= _OK_KEYS[operation.kind] or ("value" not in body and operation.kind == "read"):
            raise Broken(f"{message.src} sent a {expected} with the wrong keys: {sorted(body)}")
        operation.outcome = OK
        operation.value = body.get("value")

    def _take_error(self, operation: Operation, message: Message) -> None:
        code = message.body.get("code")
        if type(code) is not int:
            raise Broken(f"{message.src} sent an error without a code: {message.body}")
        operation.code = code
        operation.outcome = FAIL if code in DEFINITE else UNKNOWN

    def _check_late(self, message: Message) -> None:
        in_reply_to, client = message.body.get("in_reply_to"), message.dest
        known = any(one.client == client and one.msg_id == in_reply_to for one in self.operations)
        if not known:
            raise Broken(f"{message.src} answered a request that {client} never sent: {message.body}")
        self.late += 1
