"""The knowledge of each replica about each write in progress, without the meaning of messages.

A message carries at most what its sender knows. So a replica can know that another one has a write
only if messages lead from the arrival of the request to that other replica, and from there back.
"""

from __future__ import annotations

# Writes in progress that are followed at once. Clients have 8 requests in flight, unless replicas
# leave requests without an answer. Older ones are given up.
MOST_WRITES = 64


class Knowledge:
    """For each replica and write: the replicas that, as it can know, may have the write."""

    def __init__(self, replicas: tuple[str, ...]) -> None:
        self._bit = {replica: 1 << number for number, replica in enumerate(replicas)}
        self._known: dict[str, dict[int, int]] = {replica: {} for replica in replicas}
        self._copies: dict[str, dict[int, int]] = {}
        self._open: dict[int, None] = {}
        self._closed: set[int] = set()

    def arrive(self, write: int, replica: str) -> None:
        """The request of a write reaches a replica."""
        if write in self._closed:
            return  # It is repeated.
        if write not in self._open:
            if len(self._open) >= MOST_WRITES:
                self.close(next(iter(self._open)))
            self._open[write] = None
        self._add(replica, {write: 0})

    def copy(self, replica: str) -> dict[int, int]:
        """All that a message of this replica can carry now."""
        if replica not in self._copies:
            self._copies[replica] = self._known[replica].copy()
        return self._copies[replica]

    def merge(self, replica: str, carried: dict[int, int]) -> None:
        """A message that carries so much reaches a replica."""
        known = self._known[replica]
        bit = self._bit[replica]
        news = {
            write: mask for write, mask in carried.items()
            if write in self._open and (mask | bit) & ~known.get(write, 0)
        }
        if news:
            self._add(replica, news)

    def _add(self, replica: str, news: dict[int, int]) -> None:
        known = self._known[replica]
        for write, mask in news.items():
            known[write] = known.get(write, 0) | mask | self._bit[replica]
        self._copies.pop(replica, None)

    def holders(self, write: int, replica: str) -> int | None:
        """How many replicas may have the write, as `replica` can know.

        `None` if the write is not followed.
        """
        if write not in self._open:
            return None
        return self._known[replica].get(write, 0).bit_count()

    def close(self, write: int) -> None:
        """The write has its answer, or is given up."""
        self._closed.add(write)
        if self._open.pop(write, write) is None:
            for replica, known in self._known.items():
                if known.pop(write, None) is not None:
                    self._copies.pop(replica, None)
