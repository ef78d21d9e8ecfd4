"""The pairs of runs, and the order in which they take turns."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

MOST_SEEDS = 10_000
_RANGE = re.compile(r"(\d+)\.\.(\d+)")

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


def seeds(text: str) -> range:
    """The seeds that `N` or `A..B` names: `N` stands for `1..N`."""
    found = _RANGE.fullmatch(text)
    low, high = (found[1], found[2]) if found else ("1", text)
    if high.isdecimal() and 0 < len(high) < 20 and 0 <= int(high) - int(low) < MOST_SEEDS:
        return range(int(low), int(high) + 1)
    rule = f"must be a number of seeds, or a range such as 3..7, of 1 to {MOST_SEEDS:,} seeds"
    raise argparse.ArgumentTypeError(f"{text!r}: {rule}")
