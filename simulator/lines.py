"""The output of a process: bytes -> lines that are safe to show. A flood is only counted."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from typing import IO

from simulator.messages import printable

# Of one replica over all its lives; a page of a run draws as many lines. Output comes before the
# clock starts, too, and waits in memory until then.
MOST_LINES = 20_000
MOST_BYTES = 4 << 20
# After a flood, the last lines of each read are still looked at: the end of a process explains it.
LAST_LINES = 5
_LONGEST_LINE_BYTES = 16_384
_CHUNK_BYTES = 65_536
# Of a line in a flood, because a long one of escape sequences takes milliseconds to make safe.
_MOST_OF_A_FLOOD = 1_000
# The kernel gives a pipe at most 1 MiB. More output at the end is that of a process which lives.
_MOST_CHUNKS_AT_END = 32


class Printed:
    """How many lines a replica has printed, and how many of them are kept: the first ones."""

    def __init__(self) -> None:
        self.lines = 0
        self.kept = 0
        self._room = MOST_BYTES

    @property
    def is_flood(self) -> bool:
        return self.kept >= MOST_LINES or self._room <= 0

    def admit(self, length: int) -> bool:
        """Count a line; whether it is to be kept."""
        self.lines += 1
        if self.is_flood:
            return False
        self.kept += 1
        self._room -= length
        return True


class Pipe:
    """The lines of one output of a replica."""

    def __init__(
        self,
        file: IO[bytes],
        selector: selectors.BaseSelector,
        printed: Printed,
        take: Callable[[str, bool], None],
    ) -> None:
        """`take` hears each line and whether to keep it. Of a flood it hears the last lines."""
        self._file = file
        self._selector = selector
        self._printed = printed
        self._take = take
        self._partial = b""
        os.set_blocking(file.fileno(), False)
        selector.register(file, selectors.EVENT_READ, lambda _: self.read())

    def read(self) -> bool:
        """Read once; false when there is nothing (more) to read."""
        if self._file.closed:
            return False
        try:
            data = os.read(self._file.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        *lines, self._partial = self._split(self._partial + data)
        if len(self._partial) > _LONGEST_LINE_BYTES:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self._hear(line)
        return True

    def _split(self, text: bytes) -> list[bytes]:
        """All lines of `text`; in a flood the last ones, without a look at those before."""
        if not self._printed.is_flood:
            return text.split(b"\n")
        first, *lines = text.rsplit(b"\n", LAST_LINES + 1)
        if len(lines) <= LAST_LINES:
            return [first, *lines]
        self._printed.lines += 1 + first.count(b"\n")
        return lines

    def _hear(self, line: bytes) -> None:
        is_kept = self._printed.admit(len(line))
        self._take(_shown(line if is_kept else line[:_MOST_OF_A_FLOOD]), is_kept)

    def drain(self) -> None:
        """Read the rest of a process that is gone. A child of it may still hold the pipe."""
        for _ in range(_MOST_CHUNKS_AT_END):
            if not self.read():
                return

    def close(self) -> None:
        if self._file.closed:
            return
        if self._partial:
            self._hear(self._partial)
        self._selector.unregister(self._file)
        self._file.close()


def _shown(line: bytes) -> str:
    """A line of output that is safe for a terminal: it cannot move the cursor or set the title."""
    return printable(line.decode("utf-8", "backslashreplace").rstrip("\r").expandtabs())
