"""Standard output and standard error, which may be closed or full.

The streams drop output that they cannot write. So no write fails in the middle of a run, and the
processes of the run end in order. `when_lost` gives immediate notice of a loss, and `lost` tells of
it at the end.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable

_IN, _OUT, _ERROR = 0, 1, 2


class _Stream(io.RawIOBase):
    """A descriptor that accepts all output; after the first error it writes nothing more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.lost: OSError | None = None
        self.when_lost: Callable[[], None] = lambda: None
        if _open_if_closed(descriptor):
            self.lost = OSError(errno.EBADF, "closed")

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: bytes) -> int:  # type: ignore[override]
        left = memoryview(data)
        while left and self.lost is None:
            try:
                left = left[os.write(self._descriptor, left):]
            except OSError as error:
                self.lost = error
                self.when_lost()
        return len(data)


_streams: dict[int, _Stream] = {}


def prepare() -> None:
    """Put the streams in place, before a socket can get the number of a closed one."""
    _open_if_closed(_IN)
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    for name, descriptor in (("stdout", _OUT), ("stderr", _ERROR)):
        stream = _streams[descriptor] = _Stream(descriptor)
        wrapper = io.TextIOWrapper(
            stream, encoding, "backslashreplace", write_through=True  # type: ignore[type-var]
        )
        setattr(sys, name, wrapper)


def lost() -> str | None:
    """Why standard output was lost, or `None`. The loss of standard error is no error."""
    stream = _streams.get(_OUT)
    if stream is None or stream.lost is None:
        return None
    return f"standard output: {stream.lost.strerror}"


def when_lost(act: Callable[[], None]) -> None:
    """Call `act` as soon as standard output is lost."""
    if _OUT in _streams:
        _streams[_OUT].when_lost = act


def _open_if_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
        return False
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        return True
