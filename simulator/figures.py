"""All numbers of a run in one record, which the checks, the tiers and the report read."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator.chronicle import Chronicle
from simulator.client import Request
from simulator.clients import Clients
from simulator.network import Network
from simulator.operations import Count


@dataclass(frozen=True)
class Figures:
    seconds: float
    leaders: tuple[str, ...]
    leader_changes: int
    replicas_died: int
    replicas_killed: int
    total_messages: int
    dropped_by_chance: int
    dropped_by_partition: int
    sent_to_dead: int
    client_messages_dropped: int
    kernel_drops: int
    queue_drops: int
    gets: int
    puts: int
    gets_not_generated: int
    gets_withheld: int  # of those, the ones that a working replica would have made possible
    sent_again: int
    duplicates: int
    unanswered_gets: int
    unanswered_puts: int
    redirects: int
    requests_in_circles: int  # declined more often than there are replicas
    circles: str  # the answers that sent them around, in words; empty if there are none
    failed_gets: int
    failed_puts: int
    acknowledged_puts: int
    incorrect_gets: int
    # answered right, but after the acknowledgement of the put that overwrote the value
    overtaken_gets: int
    incorrect_messages: int
    mean_latency: float | None
    median_latency: float | None
    p99_latency: float | None
    # seconds from the kill of a leader to the first ok from another replica
    failovers: tuple[float, ...]
    operations: dict[str, Count] = field(default_factory=dict)  # those beside get and put, if used
    restarts: int = 0
    pauses: int = 0
    sent_to_down: int = 0  # messages of replicas and of clients to a replica between two lives
    corrupted: int = 0  # messages between replicas that arrived with a changed byte
    overflowed: int = 0  # messages that a link of limited bandwidth could not send in time

    @property
    def dropped(self) -> int:
        return self.dropped_by_chance + self.dropped_by_partition

    @property
    def failures(self) -> int:
        return self.failed_gets + self.failed_puts + self.unanswered_gets + self.unanswered_puts

    def metric(self, name: str) -> Any:
        """The figure that the benchmark of this name rates."""
        return {
            "total_msgs": self.total_messages,
            "failures": self.failures,
            "duplicates": self.duplicates,
            "median_latency": self.median_latency,
        }[name]


def collect(
    network: Network,
    clients: Clients,
    chronicle: Chronicle,
    *,
    seconds: float,
    died: int,
    killed: int,
    restarts: int,
    pauses: int,
    incorrect_messages: int,
    kernel_drops: int,
    queue_drops: int,
) -> Figures:
    latencies = clients.latencies
    return Figures(
        seconds=seconds,
        leaders=tuple(network.leaders),
        leader_changes=network.leader_changes,
        replicas_died=died,
        replicas_killed=killed,
        total_messages=network.sent,
        dropped_by_chance=network.dropped_by_chance,
        dropped_by_partition=network.dropped_by_partition,
        sent_to_dead=network.sent_to_dead,
        client_messages_dropped=network.client_messages_dropped,
        kernel_drops=kernel_drops,
        queue_drops=queue_drops,
        gets=clients.generated.get,
        puts=clients.generated.put,
        gets_not_generated=clients.gets_not_generated,
        gets_withheld=clients.gets_withheld,
        sent_again=clients.sent_again,
        duplicates=clients.duplicates,
        unanswered_gets=clients.generated.get - clients.answered.get,
        unanswered_puts=clients.generated.put - clients.answered.put - clients.operations.refused,
        redirects=clients.redirects,
        requests_in_circles=clients.circles.requests,
        circles=clients.circles.describe(chronicle),
        failed_gets=clients.failures.get,
        failed_puts=clients.failures.put,
        acknowledged_puts=clients.answered.put,
        incorrect_gets=clients.incorrect_gets,
        overtaken_gets=clients.overtaken_gets,
        incorrect_messages=incorrect_messages + clients.unexpected,
        **latency_figures(latencies),
        failovers=tuple(clients.failovers),
        operations=clients.operations.used(),
        restarts=restarts,
        pauses=pauses,
        sent_to_down=network.sent_to_down,
        corrupted=network.corrupted,
        overflowed=network.overflowed,
    )


def latency_figures(latencies: list[float]) -> dict[str, Any]:
    return {
        "mean_latency": statistics.fmean(latencies) if latencies else None,
        "median_latency": _median(latencies),
        "p99_latency": sorted(latencies)[len(latencies) * 99 // 100] if latencies else None,
    }


def median_latency(requests: Iterable[Request], type: str) -> float | None:
    """The median in seconds over the answered requests of one type, if there are any."""
    latencies = [
        request.returned - request.invoked
        for request in requests if request.type == type and request.returned is not None
    ]
    return _median(latencies)


def _median(latencies: list[float]) -> float | None:
    return statistics.median(latencies) if latencies else None
