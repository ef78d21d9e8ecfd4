"""How the replicas of the tests reach the simulator, in either dialect."""

from __future__ import annotations

import json
import select
import socket
from typing import Any


class Endpoint:
    """The socket of one replica, made from its command line; it greets where the dialect wants that."""

    def __init__(self, arguments: list[str]) -> None:
        is_datagram = len(arguments[0]) != 4
        self.id, *self.others = arguments[1:] if is_datagram else arguments
        if is_datagram:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 0))
            self.socket.connect(("127.0.0.1", int(arguments[0])))
            self.send("FFFF", "hello", "FFFF")
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.connect(self.id)

    def send(self, destination: str, type: str, leader: str, **fields: Any) -> None:
        message = {"src": self.id, "dst": destination, "leader": leader, "type": type, **fields}
        self.socket.send(json.dumps(message).encode() + b"\n")

    def receive(self, within: float | None = None) -> dict[str, Any] | None:
        """The next message, None if there is none in time; raises EOFError when the simulator has hung up."""
        # Not a time-out of the socket, which would end a send that has to wait as well.
        readable, _, _ = select.select([self.socket], [], [], within)
        if not readable:
            return None
        raw = self.socket.recv(65536)
        if not raw:
            raise EOFError
        return json.loads(raw)
