"""The counters of one cluster at a moment, as plain values for the process that draws."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from simulator.causes import Packets
from simulator.chronicle import Chronicle
from simulator.clients import Clients
from simulator.lives import Lives
from simulator.network import Network

# The median is over so many latest answers.
LATENCIES = 100
_EVENTS = 3
_EVENT_CHARACTERS = 200
# No election counts further; a replica may send any number.
_LARGEST_TERM = 10**15


class Heard:
    """The latest messages of each replica, which the router stores as they come."""

    def __init__(self) -> None:
        self.latest: dict[str, Mapping[str, Any]] = {}  # to any destination
        self.between: dict[str, Mapping[str, Any]] = {}  # to a replica, so it may have a term


def take(
    name: str,
    seconds: float,
    network: Network,
    lives: Lives,
    clients: Clients,
    chronicle: Chronicle,
    packets: Packets,
    heard: Heard,
) -> dict[str, Any]:
    sent = packets.by_sender()
    return {
        "name": name,
        "seconds": seconds,
        "leader": network.leader,
        "replicas": [
            {
                "id": id,
                "state": _state(id, network, lives, chronicle),
                "leader": heard.latest[id]["leader"] if id in heard.latest else None,
                "term": _term(heard.between.get(id, {})),
                "in": network.arrived[id],
                "out": sent.get(id, 0),
            }
            for id in network.replicas
        ],
        "cuts": [[sorted(senders), sorted(targets)] for senders, targets in network.all_cuts()],
        "majority": sorted(network.majority_side or ()),
        "clients": _requests(clients),
        "events": [str(happening)[:_EVENT_CHARACTERS] for happening in chronicle.happenings[-_EVENTS:]],
    }


def _state(id: str, network: Network, lives: Lives, chronicle: Chronicle) -> str:
    if id in network.down:
        return "down"
    if id not in network.living:
        return chronicle.end_of(id) or "dead"
    if lives.is_paused(id):
        return "paused"
    return "slow" if network.slowness.get(id) else "alive"


def _term(message: Mapping[str, Any]) -> int | None:
    term = message.get("term")
    return term if type(term) is int and 0 <= term < _LARGEST_TERM else None


def _requests(clients: Clients) -> dict[str, Any]:
    latencies = clients.latencies[-LATENCIES:]
    return {
        "asked": clients.generated.total,
        "answered": clients.answered.total,
        "failed": clients.failures.total,
        "redirected": clients.redirects,
        "latency": statistics.median(latencies) if latencies else None,
    }
