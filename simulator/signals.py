"""Signals as events: a file descriptor wakes the event loop, and no signal raises an exception."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Signals:
    """While entered, SIGINT, SIGTERM and SIGHUP only set `stop`; they and SIGCHLD wake `fd`.

    With `finishes_first`, the first SIGINT only sets `wants_end`: the present run is the last.
    """

    def __init__(self, finishes_first: bool = False) -> None:
        self._finishes_first = finishes_first
        self.when_asked: Callable[[], None] = lambda: None

    def __enter__(self) -> Signals:
        self.stop = False
        self.wants_end = False
        self._is_told = False
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self.fd = self._read.fileno()
        self._old_wakeup = signal.set_wakeup_fd(
            self._write.fileno(), warn_on_full_buffer=False
        )
        self._old_handlers = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupt),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self.request_stop),
            # The default disposition of SIGCHLD would not write to the wake-up descriptor.
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
        }
        if not _is_under_nohup():
            self._old_handlers[signal.SIGHUP] = signal.signal(signal.SIGHUP, self.request_stop)
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
        if self.wants_end and not self.stop and not self._is_told:
            self._is_told = True
            self.when_asked()

    def _interrupt(self, *_: object) -> None:
        if self._finishes_first and not self.wants_end:
            self.wants_end = True
        else:
            self.request_stop()

    def request_stop(self, *_: object) -> None:
        """End the run as a signal would."""
        self.wants_end = True
        self.stop = True


def end_in_order() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, so that its temporary files go."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not _is_under_nohup():
        signal.signal(signal.SIGHUP, signal.default_int_handler)


@contextmanager
def held() -> Iterator[None]:
    """Let the signals that end the program wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_under_nohup() -> bool:
    """Whether the program is to outlive its terminal."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def name_of(number: int) -> str:
    """The name, as in `SIGTERM`; a real-time signal has no name, so it is the number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
