"""The results of a campaign: one line of JSON per finished run, on disk before it counts.

A record is appended with one write and synced. So a crash leaves whole lines and at most a part of
one at the end, which the next start cuts off: that run had not finished, and is done again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from simulator.campaign.job import Outcome
from simulator.campaign.plan import CampaignError

FILE = "results.jsonl"
# Of one record: its texts are bounded, so a longer line is none.
_MOST_LINE_BYTES = 1 << 20
_READ_BYTES = 1 << 16


class Store:
    """The file of results, locked against a second campaign in the same directory."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise CampaignError(f"{directory}: another campaign is running there") from None
        self._cut_off_half_line()

    def _cut_off_half_line(self) -> None:
        end = os.fstat(self._descriptor).st_size
        while end:
            start = max(0, end - _READ_BYTES)
            found = os.pread(self._descriptor, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        os.ftruncate(self._descriptor, end)

    def append(self, outcome: Outcome) -> int:
        """Add a record, and return its offset; it then survives a loss of power."""
        offset = os.fstat(self._descriptor).st_size
        line = json.dumps(outcome.to_json(), separators=(",", ":")).encode() + b"\n"
        written = os.write(self._descriptor, line)
        if written < len(line):
            # The disk is full. Without the part the file can be read, also without a new start.
            os.ftruncate(self._descriptor, offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._descriptor)
        return offset

    def close(self) -> None:
        os.close(self._descriptor)


def records(path: Path) -> Iterator[tuple[int, Outcome]]:
    """Each record of a file with its offset. A part of a line at the end is no record."""
    offset = 0
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MOST_LINE_BYTES):
            number += 1
            if not line.endswith(b"\n"):
                if file.read(1):
                    raise CampaignError(f"{path}: line {number}: too long for the record of a run")
                return
            yield offset, _parsed(line, path, number)
            offset += len(line)


def _parsed(line: bytes, path: Path, number: int) -> Outcome:
    try:
        return Outcome.of_json(json.loads(line))
    except (ValueError, RecursionError):
        raise CampaignError(f"{path}: line {number}: no record of a run") from None


class Records:
    """Random access to the records of files, one at a time."""

    def __init__(self, paths: list[Path]) -> None:
        self._files = [path.open("rb") for path in paths]

    def at(self, file: int, offset: int) -> Outcome:
        self._files[file].seek(offset)
        return Outcome.of_json(json.loads(self._files[file].readline()))

    def close(self) -> None:
        for file in self._files:
            file.close()
