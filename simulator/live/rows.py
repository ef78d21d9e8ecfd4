"""Two snapshots of a cluster -> the cells of its table."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Snapshot = Mapping[str, Any]

UNKNOWN_LEADER = "FFFF"
# Rates are over this time, or since the start of the run.
WINDOW_SECONDS = 1.0
HEARS, CUT_OFF, GONE = "●", "·", " "
# The states of replicas whose processes live and are connected.
_UP = ("alive", "paused", "slow")


@dataclass(frozen=True)
class Row:
    """A replica. `hears` has one character for each replica, in order."""

    id: str
    state: str
    role: str
    term: str
    received: str
    sent: str
    side: str
    hears: str
    is_leader: bool  # names itself as the leader
    is_deposed: bool  # the same, but a majority follows another one


class Rows:
    """The rows of one cluster, over time."""

    def __init__(self) -> None:
        self._past: deque[Snapshot] = deque()
        self._terms: dict[str, int] = {}

    def add(self, snapshot: Snapshot) -> list[Row]:
        """The rows at this moment. A snapshot of an earlier moment begins a new run."""
        if self._past and snapshot["seconds"] < self._past[-1]["seconds"]:
            self.__init__()  # type: ignore[misc]
        self._past.append(snapshot)
        while len(self._past) > 2 and self._past[1]["seconds"] <= snapshot["seconds"] - WINDOW_SECONDS:
            self._past.popleft()
        before = {replica["id"]: replica for replica in self._past[0]["replicas"]}
        seconds = snapshot["seconds"] - self._past[0]["seconds"]
        return [
            self._row(replica, before[replica["id"]], seconds, snapshot)
            for replica in snapshot["replicas"]
        ]

    def _row(
        self, replica: Mapping[str, Any], before: Mapping[str, Any], seconds: float, now: Snapshot
    ) -> Row:
        id, state = replica["id"], replica["state"]
        if replica["term"] is not None:
            self._terms[id] = replica["term"]
        is_up = state in _UP
        is_leader = is_up and replica["leader"] == id
        term = self._terms.get(id)
        return Row(
            id, state.replace(" at ", " "), _role(replica["leader"], id) if is_up else "",
            str(term) if is_up and term is not None else "",
            _rate(replica["in"] - before["in"], seconds) if is_up else "",
            _rate(replica["out"] - before["out"], seconds) if is_up else "",
            _side(id, now), _hears(id, now) if is_up else "", is_leader,
            is_leader and now["leader"] not in (id, UNKNOWN_LEADER),
        )


def _role(leader: str | None, id: str) -> str:
    if leader in (None, UNKNOWN_LEADER):
        return "knows no leader"
    return "leads" if leader == id else f"follows {leader}"


def _rate(messages: int, seconds: float) -> str:
    return f"{messages / seconds:,.0f}" if seconds > 0 else ""


def _side(id: str, now: Snapshot) -> str:
    if not now["majority"]:
        return ""
    return "majority" if id in now["majority"] else "minority"


def _hears(id: str, now: Snapshot) -> str:
    """A mark for each replica whose messages arrive at this one, also for itself."""
    deaf_to = {sender for senders, targets in now["cuts"] if id in targets for sender in senders}
    return "".join(
        GONE if replica["state"] not in _UP
        else CUT_OFF if replica["id"] in deaf_to else HEARS
        for replica in now["replicas"]
    )


def of_clients(now: Snapshot) -> str:
    """One line about the requests."""
    clients = now["clients"]
    open_requests = clients["asked"] - clients["answered"]
    line = f"{clients['answered']:,} of {clients['asked']:,} requests answered, {open_requests:,} open"
    if clients["redirected"] or clients["failed"]:
        line += f"; {clients['redirected']:,} redirects, {clients['failed']:,} fails"
    if clients["latency"] is not None:
        line += f"; latency {1000 * clients['latency']:.2f} ms"
    return line
