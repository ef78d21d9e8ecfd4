"""The call in a request: its operation, the key, and the arguments of the operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Call:
    """The part of a request that tells a replica its task. A repeated request keeps it."""

    type: str
    key: str
    arguments: Mapping[str, str | int] = field(default_factory=dict)


def put(key: str, value: str) -> Call:
    return Call("put", key, {"value": value})
