"""The causes of a packet storm or of a circle of clients: kinds of messages, and their senders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from simulator.chronicle import Chronicle
from simulator.messages import UNKNOWN_LEADER, excerpt

# A replica may invent types without end, so all beyond so many kinds count as one kind.
_MOST_KINDS = 200
_SHOWN = 3
_OTHER_TYPES = "of other types"

# A client in a circle repeats one request at a time, with a growing pause.
FIRST_PAUSE_SECONDS = 0.004
LONGEST_PAUSE_SECONDS = 0.05
_PAUSE_GROWTH = 1.5


def is_in_circle(attempt: int, replicas: int) -> bool:
    """Whether a request goes round in circles when its `attempt`-th attempt, from 1, is declined.

    Each replica may decline a request once in good faith.
    """
    return attempt > replicas


def longer(pause: float) -> float:
    """The seconds of the pause that follows one of `pause` seconds; 0 stands for no pause yet."""
    return min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, pause * _PAUSE_GROWTH))


class Packets:
    """Messages between replicas by sender and type."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, sender: str, type: str, messages: int) -> None:
        """Count on the path of every message: a kind that was seen before costs one look-up."""
        try:
            self._counts[sender, type] += messages
        except KeyError:
            kind = (sender, type if len(self._counts) < _MOST_KINDS else _OTHER_TYPES)
            self._counts[kind] = self._counts.get(kind, 0) + messages

    def by_sender(self) -> Counter[str]:
        """The messages of each sender."""
        sums: Counter[str] = Counter()
        for (sender, _), count in self._counts.items():
            sums[sender] += count
        return sums

    def describe(self) -> str:
        """The most frequent kinds, in descending order."""
        return _list(
            (f"{count:,} {excerpt(type.encode(errors='replace'), 40)} from {sender}"
             for (sender, type), count in Counter(self._counts).most_common(_SHOWN)),
            len(self._counts),
        )


class Circles:
    """Requests declined more often than there are replicas, and the answers that did it."""

    def __init__(self, replicas: Iterable[str]) -> None:
        self._replicas = frozenset(replicas)
        self.requests = 0
        self._fails: Counter[str] = Counter()
        self._redirects: Counter[str] = Counter()

    def count(self, attempt: int, outcome: str, replica: str, leader: str) -> None:
        """An attempt was declined by `replica`, which names `leader`."""
        if not is_in_circle(attempt, len(self._replicas)):
            return
        self.requests += not is_in_circle(attempt - 1, len(self._replicas))
        if outcome == "fail":
            self._fails[replica] += 1
        else:
            named = leader in self._replicas or leader == UNKNOWN_LEADER
            self._redirects[leader if named else "an unknown replica"] += 1

    def describe(self, chronicle: Chronicle) -> str:
        """The answers that sent requests around, in words; empty without a circle."""
        parts = []
        if self._redirects:
            leader, most = self._redirects.most_common(1)[0]
            total = self._redirects.total()
            parts.append(f"{total:,} redirects, {_share(most, total)} to {chronicle.describe(leader)}")
        if self._fails:
            replica, most = self._fails.most_common(1)[0]
            total = self._fails.total()
            parts.append(f"{total:,} fails, {_share(most, total)} from {chronicle.describe(replica)}")
        return "; ".join(parts)


def _share(most: int, total: int) -> str:
    if most == total:
        return "all"
    return "mostly" if 2 * most > total else f"{most:,} of them"


def _list(shown: Iterable[str], kinds: int) -> str:
    rest = kinds - _SHOWN
    return ", ".join(shown) + (f", and {rest:,} more kinds" if rest > 0 else "")
