"""From a line of a node to a checked message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from simulator.messages import printable

_SHOWN = 200


class Broken(Exception):
    """A node breaks a rule of the protocol; the run ends with this line."""


@dataclass(frozen=True)
class Message:
    """A message on its way; `id` tells it from all others."""

    id: int
    src: str
    dest: str
    body: dict[str, Any]

    def to_line(self) -> bytes:
        content = {"id": self.id, "src": self.src, "dest": self.dest, "body": self.body}
        return json.dumps(content).encode() + b"\n"


def read(line: bytes, node: str, id: int) -> Message:
    """The message on this line of a node, or `Broken`."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise Broken(f"{node} printed a line that is not JSON: {_shown(line)}") from None
    if not isinstance(content, dict) or set(content) != {"src", "dest", "body"}:
        raise Broken(f'{node} printed no object of "src", "dest" and "body": {_shown(line)}')
    src, dest, body = content["src"], content["dest"], content["body"]
    if src != node:
        raise Broken(f"{node} sent a message in the name of another: {_shown(line)}")
    if not isinstance(dest, str):
        raise Broken(f"{node} sent a message to what is no name: {_shown(line)}")
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise Broken(f"{node} sent a body without a type: {_shown(line)}")
    for key in ("msg_id", "in_reply_to"):
        if key in body and type(body[key]) is not int:
            raise Broken(f'{node} sent a "{key}" that is no integer: {_shown(line)}')
    return Message(id, src, dest, body)


def _shown(line: bytes) -> str:
    text = printable(line.decode("utf-8", "backslashreplace"))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(line)} bytes)"
