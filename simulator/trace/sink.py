"""The file of a trace. A file that can take no more ends the trace, but not the run."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

# A replica that floods the simulator does not fill the disk.
MOST_BYTES = 4 << 30
_GZIP = 31
_FASTEST = 1


class Sink:
    """A file of lines, compressed if its name ends in `.gz`."""

    def __init__(self, path: Path, most_bytes: int | None = None) -> None:
        """Create the file, or raise an OSError. It ends after `most_bytes` before compression."""
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._descriptor: int | None = os.open(path, flags, 0o666)
        self._compressor = zlib.compressobj(_FASTEST, wbits=_GZIP) if path.suffix == ".gz" else None
        self._most = MOST_BYTES if most_bytes is None else most_bytes
        self._left = self._most
        self.when_lost: Callable[[str], None] = lambda reason: None

    def write(self, lines: list[str]) -> None:
        """Write lines, each with its end. White space between tokens may contain further ends.

        A lone surrogate, which UTF-8 lacks, is written as the escape sequence of JSON for it.
        """
        text = "".join(lines)
        if text.count("\n") != len(lines) or "\r" in text:
            text = "".join(map(_in_one_line, lines))
        data = text.encode("utf-8", "backslashreplace")
        self._left -= len(data)
        if self._left < 0:
            self._lose(f"it would be longer than {self._most:,} bytes")
            return
        self._write(data if self._compressor is None else self._compressor.compress(data))

    def close(self) -> None:
        """End the file; a second call changes nothing."""
        if self._compressor is not None and self._descriptor is not None:
            self._write(self._compressor.flush())
        self._close()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left and self._descriptor is not None:
            try:
                left = left[os.write(self._descriptor, left):]
            except OSError as error:
                self._lose(str(error.strerror))

    def _lose(self, reason: str) -> None:
        if self._descriptor is not None:
            self._close()
            self.when_lost(f"{self._path}: the trace ends here: {reason}")

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _in_one_line(line: str) -> str:
    """`line` with spaces for the ends of lines within it, which JSON has between tokens only."""
    return line[:-1].replace("\n", " ").replace("\r", " ") + "\n"
