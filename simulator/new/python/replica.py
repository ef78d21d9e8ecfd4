#!/usr/bin/env python3
"""A replica of a key-value store that speaks the protocol, and trusts nothing but its own memory.

`Replica` decides: `step` takes the messages that have arrived, and returns the messages to send.
`Connection` carries them. docs/tour.md leads from here to a correct replica.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

Message = dict[str, Any]

UNKNOWN = "FFFF"


class Replica:
    """One replica. It has no clock, no sockets and no files: `step` is all of it."""

    def __init__(self, id: str, others: Sequence[str], random: Random) -> None:
        self.id = id
        self.others = others
        self.leader = id
        self.now = 0.0
        self.outbox: list[Message] = []
        self.store: dict[str, str] = {}

    def step(self, now: float, arrived: Iterable[Message]) -> list[Message]:
        """Take all messages that have arrived, do all that is due, and return what to send."""
        self.now = now
        for message in arrived:
            self.take(message)
        outbox, self.outbox = self.outbox, []
        return outbox

    def deadline(self) -> float:
        """The time at which `step` must run again, even if no message has arrived."""
        return self.now + 1.0

    def take(self, message: Message) -> None:
        if message["src"] not in self.others:
            self.take_request(message)

    def send(self, destination: str, type: str, **fields: Any) -> None:
        common = {"src": self.id, "dst": destination, "leader": self.leader, "type": type}
        self.outbox.append(common | fields)

    def take_request(self, request: Message) -> None:
        if request["type"] not in ("get", "put"):
            self.answer(request, "fail", error="this replica knows get and put alone")
        else:
            self.serve(request)

    def answer(self, request: Message, type: str, **fields: Any) -> None:
        self.send(request["src"], type, MID=request["MID"], **fields)

    def serve(self, request: Message) -> None:
        if request["type"] == "get":
            self.answer(request, "ok", value=self.store.get(request["key"], ""))
        else:
            self.store[request["key"]] = request["value"]
            self.answer(request, "ok")


class Connection:
    """The socket to the simulator: UDP if the arguments begin with a port, else SOCK_SEQPACKET."""

    def __init__(self, arguments: list[str]) -> None:
        is_datagram = len(arguments[0]) != 4
        self.id, *self.others = arguments[1:] if is_datagram else arguments
        if is_datagram:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.connect(("127.0.0.1", int(arguments[0])))
            self.send({"src": self.id, "dst": UNKNOWN, "leader": UNKNOWN, "type": "hello"})
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.connect(self.id)

    def send(self, message: Message) -> None:
        if message["dst"] in self.others:
            message["sum"] = checksum(message)
        self.socket.send(json.dumps(message).encode())

    def receive(self, seconds: float) -> list[Message]:
        """All messages that are there, or the first that comes in time; EOFError at the end."""
        arrived: list[Message] = []
        while select.select([self.socket], [], [], 0 if arrived else max(0.0, seconds))[0]:
            raw = self.socket.recv(65_536)
            if not raw:
                raise EOFError
            message = self.decoded(raw)
            if message is not None:
                arrived.append(message)
        return arrived

    def decoded(self, raw: bytes) -> Message | None:
        """The message, unless it is damaged. Those between replicas have a checksum."""
        try:
            message: Message = json.loads(raw)
            if message["src"] in self.others or "sum" in message:
                is_sound = message.pop("sum", None) == checksum(message)
            else:
                names = ("src", "MID", "key", "value" if message["type"] == "put" else "type")
                is_sound = all(isinstance(message[name], str) for name in names)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return message if is_sound else None


def checksum(message: Message) -> int:
    return zlib.crc32(json.dumps(message).encode())


def main() -> None:
    connection = Connection(sys.argv[1:])
    replica = Replica(connection.id, connection.others, Random())
    arrived: list[Message] = []
    while True:
        for message in replica.step(time.monotonic(), arrived):
            connection.send(message)
        try:
            arrived = connection.receive(replica.deadline() - time.monotonic())
        except EOFError:
            return


if __name__ == "__main__":
    main()
