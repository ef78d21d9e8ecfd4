"""The parameters of a run."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.maelstrom.cuts import CUTS

DISTRIBUTIONS = ("constant", "uniform", "exponential")
KINDS = ("read", "write", "cas")
_LEAST_TIMEOUT = 1.0
_LATENCIES_PER_TIMEOUT = 10


@dataclass(frozen=True)
class Settings:
    """What the user can choose; times are seconds."""

    nodes: int = 5
    clients: int = 10
    rate: float = 100
    lifetime: float = 10
    latency: float = 0
    distribution: str = "constant"
    cuts: tuple[str, ...] = ()
    interval: float = 3
    weights: tuple[float, float, float] = (1, 1, 1)
    seed: int = 0
    init_seconds: float = 10

    @property
    def timeout(self) -> float:
        """How long a client waits for an answer."""
        return max(_LEAST_TIMEOUT, _LATENCIES_PER_TIMEOUT * self.latency)

    @property
    def names(self) -> list[str]:
        return [f"n{number}" for number in range(1, self.nodes + 1)]


def describe(settings: Settings) -> str:
    cuts = "no cuts"
    if settings.cuts:
        kinds = "all cuts" if set(settings.cuts) == set(CUTS) else ", ".join(settings.cuts)
        cuts = f"{kinds}, a change every {settings.interval:g} s"
    return (
        f"{settings.nodes} nodes, {settings.clients} clients, {settings.rate:g} operations per second for "
        f"{settings.lifetime:g} s, {1000 * settings.latency:g} ms {settings.distribution} latency, {cuts}, "
        f"seed {settings.seed}"
    )
