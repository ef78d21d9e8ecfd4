"""Where the values of writes are, in formats of messages that have them as strings.

A replica holds a value once it was in a message that reached the replica. Values that replicas
encode in another way are not found. So a rule that concludes from a missing copy asks first whether
nearly all acknowledged values reached a majority in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Shorter values may be equal to something else by chance.
_SHORTEST_VALUE = 8
# The share of acknowledged values that must have been seen on their way to a majority.
_VISIBLE_SHARE = 0.9
_MOST_DEPTH = 50


class Copies:
    """The replicas that hold each value."""

    def __init__(self, replicas: tuple[str, ...]) -> None:
        self._bit = {replica: 1 << number for number, replica in enumerate(replicas)}
        self._of_value: dict[str, int] = {}
        self._holders: dict[int, int] = {}
        self._carried: dict[int, int] = {}  # the same without the receivers of the client's request
        self._acknowledged: dict[int, str] = {}  # the replica that has answered each write first

    def begin(self, write: int, value: str | None) -> None:
        """Look out for the value of a write from now on."""
        if value is not None and len(value) >= _SHORTEST_VALUE:
            self._of_value.setdefault(value, write)
            self._holders.setdefault(write, 0)

    def acknowledge(self, write: int, replica: str) -> None:
        """A replica answers a write."""
        if write in self._holders:
            self._acknowledged.setdefault(write, replica)

    def find(self, body: Mapping[str, Any]) -> tuple[int, ...]:
        """The writes whose values a message between replicas has."""
        found: list[int] = []
        self._search(body, found, 0)
        return tuple(found)

    def _search(self, value: Any, found: list[int], depth: int) -> None:
        if isinstance(value, str):
            write = self._of_value.get(value)
            if write is not None:
                found.append(write)
        elif depth < _MOST_DEPTH and isinstance(value, (list, dict)):
            for part in value if isinstance(value, list) else value.values():
                self._search(part, found, depth + 1)

    def add(self, replica: str, writes: Iterable[int]) -> None:
        """Values reach a replica in a message of another replica."""
        bit = self._bit[replica]
        for write in writes:
            self._holders[write] |= bit
            self._carried[write] = self._carried.get(write, 0) | bit

    def receive(self, replica: str, write: int) -> None:
        """A replica receives the request of a client."""
        if write in self._holders:
            self._holders[write] |= self._bit[replica]

    def has(self, replica: str, write: int) -> bool:
        return bool(self._holders.get(write, 0) & self._bit[replica])

    def count(self, write: int) -> int:
        """How many replicas hold the value of a write."""
        return self._holders.get(write, 0).bit_count()

    @property
    def are_visible(self) -> bool:
        """Whether a copy that was not seen is missing indeed.

        A request that a follower forwards to the leader brings no copy to another replica.
        """
        others = len(self._bit) // 2
        seen = sum(
            (self._carried.get(write, 0) & ~self._bit[replica]).bit_count() >= others
            for write, replica in self._acknowledged.items()
        )
        return seen > 0 and seen >= _VISIBLE_SHARE * len(self._acknowledged)
