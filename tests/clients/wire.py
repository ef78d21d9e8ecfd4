"""Questions of the suite itself to a server, without a library."""

from __future__ import annotations

import socket
from typing import Any

# An answer that takes longer never comes.
PATIENCE_S = 10.0


class Refused(Exception):
    """The server answered with an error."""


def ask(address: str, *words: str) -> Any:
    """The reply to one command, on a connection of its own. Texts come as `str`."""
    host, port = address.rsplit(":", 1)
    request = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(request.encode())
        with connection.makefile("rb") as lines:
            return _reply(lines)


def _reply(lines: Any) -> Any:
    line = lines.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the connection ended within a reply")
    kind, rest = line[:1], line[1:-2].decode()
    if kind == b"+":
        return rest
    if kind == b"-":
        raise Refused(rest)
    if kind == b":":
        return int(rest)
    if int(rest) < 0:
        return None
    if kind == b"$":
        return lines.read(int(rest) + 2)[:-2].decode()
    if kind == b"*":
        return [_reply(lines) for _ in range(int(rest))]
    raise ConnectionError(f"no reply of RESP2: {line!r}")


def leads(address: str) -> bool:
    """Whether this server calls itself the master. A server that does not answer does not lead."""
    try:
        role = ask(address, "ROLE")
    except (OSError, Refused):
        return False
    return bool(role[0] == "master")
