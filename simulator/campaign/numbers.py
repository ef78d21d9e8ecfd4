"""Seeds and shards as the command line has them: `1..1000`, `1,5,9`, `2/4`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_JOBS = 1_000_000
_GREATEST_SEED = (1 << 63) - 1
_MOST_SHARDS = 10_000
_RANGE = re.compile(r"(\d{1,19})(?:\.\.(\d{1,19}))?", re.ASCII)
_SHARD = re.compile(r"(\d{1,5})/(\d{1,5})", re.ASCII)


@dataclass(frozen=True)
class Seeds:
    """Seeds in ranges that rise and do not touch; both ends belong to a range."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, text: str) -> Seeds:
        """Read `1..1000`, `1,5,9` or both; raises ValueError with the rule that the text breaks."""
        ranges: list[tuple[int, int]] = []
        for first, last in sorted(_range(part.strip()) for part in text.split(",")):
            if ranges and first <= ranges[-1][1]:
                raise ValueError(f"names the seed {first} twice")
            if ranges and first == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], last)
            else:
                ranges.append((first, last))
        seeds = cls(tuple(ranges))
        if len(seeds) > MOST_JOBS:
            raise ValueError(f"must name at most {MOST_JOBS:,} seeds")
        return seeds

    @classmethod
    def of_option(cls, text: str) -> Seeds:
        """Read the value of `--seeds`: a lone number N is a count, and stands for `1..N`."""
        return cls.of(f"1..{text}" if text.isdecimal() and text.strip("0") else text)

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}..{last}" for first, last in self.ranges)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def place(self, seed: int) -> int | None:
        """How many seeds come before this one; `None` if it is none of them."""
        before = 0
        for first, last in self.ranges:
            if first <= seed <= last:
                return before + seed - first
            before += last - first + 1
        return None

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)


def _range(text: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError("must be seeds such as 1..1000 or 1,5,9")
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise ValueError(f"{text}: the lesser seed must come first")
    if last > _GREATEST_SEED:
        raise ValueError(f"a seed must be at most {_GREATEST_SEED}")
    return first, last


@dataclass(frozen=True)
class Shard:
    """Every `of`-th job, from the `number`-th on, which counts from 1."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `2/4`; raises ValueError."""
        found = _SHARD.fullmatch(text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]) <= _MOST_SHARDS:
            raise ValueError(f"must be i/n with 1 <= i <= n <= {_MOST_SHARDS:,}, such as 1/4")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, place: int) -> bool:
        """Whether the job at this place, from 0 on, belongs to the shard."""
        return place % self.of == self.number - 1
