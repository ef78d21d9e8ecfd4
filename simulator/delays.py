"""The delay of a message: the distribution of its seconds, and the links that have their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

# Of one message. Elections take less time, so more would show nothing but silence.
MOST_DELAY = 10
# The name of all clients in a link.
CLIENTS = "clients"


def _constant(_: Random, seconds: float) -> float:
    return seconds


def _uniform(random: Random, least: float, most: float) -> float:
    return random.uniform(least, most)


def _normal(random: Random, mean: float, deviation: float) -> float:
    return min(max(random.normalvariate(mean, deviation), 0.0), MOST_DELAY)


def _pareto(random: Random, least: float, shape: float) -> float:
    """The quotient may exceed every number: its divisor may be too small to differ from 0."""
    divisor = (1 - random.random()) ** (1 / shape)
    return least / divisor if least < MOST_DELAY * divisor else MOST_DELAY * bool(least)


_DRAWS: dict[str, Callable[..., float]] = {
    "constant": _constant, "uniform": _uniform, "normal": _normal, "pareto": _pareto,
}
DISTRIBUTIONS = tuple(_DRAWS)


@dataclass(frozen=True)
class Distribution:
    """A distribution of seconds, with the numbers that its kind has in a scenario."""

    kind: str
    numbers: tuple[float, ...]

    def draw(self, random: Random) -> float:
        return _DRAWS[self.kind](random, *self.numbers)

    def __bool__(self) -> bool:
        """Whether any message is late."""
        return any(self.numbers[:1] if self.kind == "pareto" else self.numbers)

    def as_file(self) -> dict[str, Any]:
        return {self.kind: self.numbers[0] if self.kind == "constant" else list(self.numbers)}


NO_DELAY = Distribution("constant", (0.0,))


@dataclass(frozen=True)
class Link:
    """The delay of messages from some processes to others; `None` stands for all processes."""

    senders: tuple[str, ...] | None
    receivers: tuple[str, ...] | None
    distribution: Distribution

    def has(self, sender: str, receiver: str) -> bool:
        return (self.senders is None or sender in self.senders) and (
            self.receivers is None or receiver in self.receivers
        )

    def as_file(self) -> dict[str, Any]:
        ends = {"from": self.senders, "to": self.receivers}
        named = {key: list(ids) for key, ids in ends.items() if ids is not None}
        return {**named, **self.distribution.as_file()}


@dataclass(frozen=True)
class Delay:
    """The seconds that the network adds to each message: those of the first link that has it.

    Messages from one replica to another stay in order, unless they may overtake each other.
    """

    distribution: Distribution = NO_DELAY
    links: tuple[Link, ...] = ()
    reorder: bool = False

    def __bool__(self) -> bool:
        return bool(self.distribution) or any(link.distribution for link in self.links)

    def between(self, sender: str, receiver: str) -> Distribution:
        """The distribution for a message between two replicas, or a replica and `CLIENTS`."""
        own = (link.distribution for link in self.links if link.has(sender, receiver))
        return next(own, self.distribution)

    def as_file(self) -> dict[str, Any]:
        main = self.distribution.as_file() if self.distribution else {}
        return {**main, **({"links": [link.as_file() for link in self.links]} if self.links else {})}
