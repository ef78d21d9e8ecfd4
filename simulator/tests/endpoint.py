"""The connection of a test's replica to the simulator, in each dialect."""

from __future__ import annotations

import errno
import json
import select
import socket
import time
from typing import Any

# In the stream dialect messages travel in pieces of this size; no message has it.
PIECE_BYTES = 7


class Endpoint:
    """The socket of one replica, made from its command line; greets if the dialect wants it."""

    def __init__(self, arguments: list[str]) -> None:
        is_datagram = len(arguments[0]) != 4
        self.id, *self.others = arguments[1:] if is_datagram else arguments
        self._is_stream = False
        self._begun = b""
        if is_datagram:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 0))
            self.socket.connect(("127.0.0.1", int(arguments[0])))
            self.send("FFFF", "hello", "FFFF")
        else:
            self._connect()

    def _connect(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.socket.connect(self.id)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            self.socket.close()
            self._is_stream = True
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.connect(self.id)

    def send(self, destination: str, type: str, leader: str, **fields: Any) -> None:
        message = {"src": self.id, "dst": destination, "leader": leader, "type": type, **fields}
        self.send_raw(json.dumps(message).encode())

    def send_raw(self, raw: bytes) -> None:
        if not self._is_stream:
            self.socket.send(raw)
            return
        line = raw + b"\n"
        for start in range(0, len(line), PIECE_BYTES):
            self.socket.sendall(line[start:start + PIECE_BYTES])

    def receive(self, within: float | None = None) -> dict[str, Any] | None:
        """The next message, or `None` after a time-out; raises EOFError after a hang-up."""
        if not self._is_stream:
            raw = self._read(65536, within)
            return None if raw is None else json.loads(raw)
        deadline = None if within is None else time.monotonic() + within
        while b"\n" not in self._begun:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            raw = self._read(PIECE_BYTES, left)
            if raw is None:
                return None
            self._begun += raw
        line, self._begun = self._begun.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def _read(self, size: int, within: float | None) -> bytes | None:
        # The socket itself has no time-out: that would also end a send that has to wait.
        readable, _, _ = select.select([self.socket], [], [], within)
        if not readable:
            return None
        raw = self.socket.recv(size)
        if not raw:
            raise EOFError
        return raw
