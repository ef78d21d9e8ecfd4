"""The queue of the bytes that the full socket of a replica refuses, until the socket drains."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

# Messages that wait for a replica that does not read. A replica that pauses for ten seconds under
# the heaviest load of `configs` misses less, and a deaf one costs no more memory.
MOST_WAITING_BYTES = 8 << 20
# The fates of a message that does not leave at once, as a trace has them.
WAITS, OVERFLOW = "waits", "overflow"


class Outbox:
    """A queue that sends in order; bytes that do not fit wait until the socket is writable again.

    At most `MOST_WAITING_BYTES` wait. The queue drops each message beyond that as a whole, and
    counts it.
    """

    def __init__(
        self,
        transmit: Callable[[bytes], int],
        blocked: Callable[[], None],
        dropped: int = 0,
        passed: Callable[[int], None] = lambda messages: None,
    ) -> None:
        """`transmit` returns how many bytes it took; `blocked` runs when messages start to wait.

        Earlier lives of the replica have lost `dropped` messages. `passed` takes the number of
        messages that have waited and leave.
        """
        self._transmit = transmit
        self._blocked = blocked
        self._passed = passed
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self.dropped = dropped

    def send(self, raw: bytes) -> str | None:
        """Send a message; returns its fate, which is `None` if it leaves at once."""
        if not self._waiting:
            raw = self._try(raw)
            if not raw:
                return None
            self._blocked()
        elif self._waiting_bytes + len(raw) > MOST_WAITING_BYTES:
            self.dropped += 1
            return OVERFLOW
        self._waiting.append(raw)
        self._waiting_bytes += len(raw)
        return WAITS

    def flush(self) -> bool:
        """Send the waiting messages; true when the queue is empty."""
        before = len(self._waiting)
        while self._waiting:
            first = self._waiting[0]
            rest = self._try(first)
            self._waiting_bytes -= len(first) - len(rest)
            if rest:
                self._waiting[0] = rest
                break
            self._waiting.popleft()
        self._passed(before - len(self._waiting))
        return not self._waiting

    def clear(self) -> None:
        """Lose the waiting messages, because their receiver is gone."""
        self._waiting.clear()
        self._waiting_bytes = 0

    def _try(self, raw: bytes) -> bytes:
        """Send as much as the socket takes; returns the rest."""
        try:
            return raw[self._transmit(raw):]
        except BlockingIOError:
            return raw
        except (BrokenPipeError, ConnectionResetError):
            return b""  # The replica is gone. The code that sees its exit deals with that.
