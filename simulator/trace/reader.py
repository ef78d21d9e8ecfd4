"""A trace file -> its first line, its records and its last line, up to the first damage."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from simulator import messages
from simulator.trace.outline import VERSION
from simulator.trace.sink import MOST_BYTES

MARK = "kvstore_trace"
_GZIP_MAGIC = b"\x1f\x8b"
# The longest line is the last one: it has the result, and the explanation of a violation.
_LONGEST_LINE_BYTES = 64 << 20
# The longest run has half as many. A small file may unpack to any number of lines, and each takes
# up to a kilobyte of memory.
_MOST_LINES = 4_000_000


class TraceError(Exception):
    """A file that is no trace, so that nothing of it can be used."""


class Reader:
    """The records of a trace file.

    `heading` is the first line. After the last record, `ending` is the last line if the file is
    complete. `damage` says where the file is damaged or ends too early, if it does.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and read its first line, or raise a TraceError."""
        self._path = path
        self._line = 0
        self._left = MOST_BYTES
        self.damage: str | None = None
        self.ending: dict[str, Any] | None = None
        try:
            self._file = _open(path)
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            self.heading = self._heading()
        except TraceError:
            self._file.close()
            raise

    def _heading(self) -> dict[str, Any]:
        path, heading = self._path, self._next()
        if not isinstance(heading, dict) or MARK not in heading:
            raise TraceError(f"{path}: is not a trace: its first line must be an object with {MARK!r}")
        version = heading[MARK]
        if version != VERSION:
            shown = version if isinstance(version, (int, float)) else "unknown"
            raise TraceError(f"{path}: has version {shown} of the format, {VERSION} is known")
        return heading

    def __iter__(self) -> Iterator[list[Any]]:
        """All records, each with its type first."""
        with self._file:
            while (value := self._next()) is not None:
                if isinstance(value, list) and value and isinstance(value[0], str):
                    yield value
                elif isinstance(value, dict) and value.get("end") is True:
                    self.ending = value
                    return
                else:
                    self.stop("is no record")
                    return

    def close(self) -> None:
        self._file.close()

    def stop(self, what: str) -> None:
        """Note damage at the line that was read last."""
        self.damage = f"{self._path}: line {self._line:,} {what}; the lines before it are used"

    def _next(self) -> Any:
        self._line += 1
        if self._line > _MOST_LINES:
            self.stop(f"is beyond the {_MOST_LINES:,} lines that are read")
            return None
        try:
            line = self._file.readline(_LONGEST_LINE_BYTES)
        except (OSError, EOFError, zlib.error):
            self.stop("cannot be read")
            return None
        self._left -= len(line)
        if self._left < 0:
            self.stop(f"is beyond the {MOST_BYTES:,} bytes that are read")
            return None
        if not line.endswith(b"\n"):
            self.stop("is cut off" if line else "is missing, so the trace has no end")
            return None
        try:
            return messages.decode_any(line)
        except (ValueError, RecursionError):
            self.stop("is not JSON")
            return None


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return cast(IO[bytes], gzip.open(path)) if is_compressed else path.open("rb")
