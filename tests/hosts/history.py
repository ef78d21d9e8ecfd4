"""The records of all operations of the clients, the history for `kvstore check`, and figures.

A record is a line that the checker reads, but for one more outcome: `refused`, of an operation that
certainly had no effect. Refused operations are no part of the history. So a refused write that took
effect all the same shows as a contradiction, since its value is unique.
"""

from __future__ import annotations

import itertools
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Record = dict[str, Any]

OK, UNKNOWN, REFUSED = "ok", "unknown", "refused"

# Each key of the ledger is written once, so that no later write hides that it is lost.
LEDGER = "w"
# The client that reads all keys at the end.
END = "end"
# Keys of locks have times to live, so two reads of one may differ.
LOCK = "l"


def is_write(record: Record) -> bool:
    return bool(record["type"] != "get")


def judged(records: Iterable[Record]) -> Iterator[Record]:
    """The history: operations that told something, or that may have had an effect. A transaction
    that was aborted did neither: it may be aborted although the watched value is the same."""
    for record in records:
        is_aborted = record.get("aborted", False)
        may_have_effect = record["outcome"] == UNKNOWN and is_write(record)
        if may_have_effect or (record["outcome"] == OK and not is_aborted):
            yield record


def keys(records: Iterable[Record]) -> list[str]:
    """All keys that the records name, each once."""
    found: dict[str, None] = {}
    for record in records:
        for operation in record.get("ops", [record]):
            found[operation["key"]] = None
    return list(found)


def misplaced(
    records: Iterable[Record], final: Mapping[str, str | None]
) -> tuple[list[str], list[str]]:
    """The keys of the ledger whose acknowledged value is not there at the end, and those whose
    refused value is."""
    lost, risen = [], []
    for record in records:
        key = record.get("key") or ""
        if record["type"] != "put" or not key.startswith(LEDGER):
            continue
        is_there = final.get(key) == record["value"]
        if record["outcome"] == OK and not is_there:
            lost.append(key)
        if record["outcome"] == REFUSED and is_there:
            risen.append(key)
    return lost, risen


def acknowledgements(records: Iterable[Record]) -> list[float]:
    """When writes were acknowledged, in order."""
    return sorted(record["returned"] for record in records if is_write(record) and record["outcome"] == OK)


def longest_gap(acknowledged: list[float], start: float, end: float) -> float:
    """The longest time without an acknowledged write between two moments."""
    inside = acknowledged[bisect_left(acknowledged, start) : bisect_right(acknowledged, end)]
    moments = [start, *inside, end]
    return max(later - earlier for earlier, later in itertools.pairwise(moments))


def write(path: Path, records: Iterable[Record]) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def read(path: Path) -> list[Record]:
    with path.open() as file:
        return [json.loads(line) for line in file]
