"""The pairs of runs, and the order in which they take turns."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from simulator.campaign.numbers import Seeds

MOST_SEEDS = 10_000

S = TypeVar("S")


@dataclass(frozen=True)
class Pair(Generic[S]):
    """Both sides run `scenario` with `seed`; `order` has the side that runs first in front."""

    number: int
    scenario: S
    seed: int
    order: tuple[int, int]


def pairs(scenarios: Sequence[S], seeds: Sequence[int]) -> Iterator[Pair[S]]:
    """All pairs. Each scenario has its turn before the next seed, so an early end leaves balance.

    The sides take turns as A B B A. So a machine that grows slower or faster steadily does the
    same to both: each side has as many early turns as late ones.
    """
    number = 0
    for index, seed in enumerate(seeds):
        for scenario in scenarios:
            yield Pair(number, scenario, seed, (1, 0) if index % 2 else (0, 1))
            number += 1


def seeds(text: str) -> list[int]:
    """The seeds that an option names, as for a sweep."""
    try:
        named = Seeds.of_option(text)
        if text.strip("0") and len(named) <= MOST_SEEDS:
            return list(named)
        reason = f"must name 1 to {MOST_SEEDS:,} seeds"
    except ValueError as error:
        reason = str(error)
    raise argparse.ArgumentTypeError(f"{text[:80]!r}: {reason}") from None
