"""Signals as events: a file descriptor wakes the event loop, and no signal raises an exception."""

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
        """Make `fd` unreadable again. The caller then looks at `stop` and at the children."""
        try:
            while self._read.recv(4096):
                pass
        except BlockingIOError:
            pass

    def request_stop(self, *_: object) -> None:
        """End the run as a signal would."""
        self.stop = True


def name_of(number: int) -> str:
    """The name, as in `SIGTERM`; a real-time signal has no name, so it is the number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
