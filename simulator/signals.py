"""Signals as events: a file descriptor that wakes the event loop, instead of exceptions out of nowhere."""

from __future__ import annotations

import signal
import socket


class Signals:
    """While entered, SIGINT and SIGTERM only set `stop`; they and SIGCHLD make `fd` readable."""

    def __enter__(self) -> Signals:
        self.stop = False
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self.fd = self._read.fileno()
        self._old_wakeup = signal.set_wakeup_fd(
            self._write.fileno(), warn_on_full_buffer=False
        )
        self._old_handlers = {
            signal.SIGINT: signal.signal(signal.SIGINT, self.request_stop),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self.request_stop),
            # The default disposition of SIGCHLD would not write to the wake-up descriptor.
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._read.close()
        self._write.close()

    def clear(self) -> None:
        """Make `fd` unreadable again; what happened is asked of `stop` and of the children."""
        try:
            while self._read.recv(4096):
                pass
        except BlockingIOError:
            pass

    def request_stop(self, *_: object) -> None:
        """End the run as if a signal had asked for it."""
        self.stop = True


def name_of(number: int) -> str:
    """As in `SIGTERM`; a real-time signal has none, so it is its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
