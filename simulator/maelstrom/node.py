"""One node: a process that reads messages from its stdin and prints messages on its stdout."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from simulator.maelstrom.message import Broken
from simulator.messages import printable
from simulator.replica import StartError, die_with_simulator, inherited_environment
from simulator.signals import name_of

_LAST_LINES = 5
_LONGEST_LINE_BYTES = 1024 * 1024
# A node that leaves so much unread has stopped reading.
_MOST_UNREAD_BYTES = 64 * 1024 * 1024
_READ_BYTES = 65_536


class Node:
    """A process in a session of its own, so that its end is that of all that it starts."""

    def __init__(
        self,
        name: str,
        command: list[str],
        directory: Path,
        selector: selectors.BaseSelector,
        environment: Mapping[str, str],
        take: Callable[[str, bytes], None],
        show: Callable[[str, str], None],
    ) -> None:
        """`take` gets the name and each line of stdout, `show` the name and each line of stderr."""
        self.name = name
        self._selector = selector
        self._unsent = bytearray()
        self._last_errors: deque[str] = deque(maxlen=_LAST_LINES)
        try:
            self._process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, start_new_session=True,
                env={**inherited_environment(), **environment},
                preexec_fn=die_with_simulator,  # noqa: PLW1509 (the simulator has one thread)
            )
        except OSError as error:
            raise StartError(f"cannot run {command[0]}: {error.strerror}") from None
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin = self._process.stdin
        os.set_blocking(self._stdin.fileno(), False)

        def take_error(line: bytes) -> None:
            text = printable(line.decode("utf-8", "backslashreplace").expandtabs())
            self._last_errors.append(text)
            show(name, text)

        self._outputs = [
            _Output(self._process.stdout, selector, lambda line: take(name, line)),
            _Output(self._process.stderr, selector, take_error),
        ]

    def send(self, line: bytes) -> None:
        """Write a line, now or when the process has room for it."""
        if len(self._unsent) > _MOST_UNREAD_BYTES:
            raise Broken(f"{self.name} has stopped reading its messages")
        waits = bool(self._unsent)
        self._unsent += line
        if not waits:
            self._write()
            if self._unsent:
                self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write_more)

    def check(self) -> None:
        """`Broken` if the process has ended."""
        code = self._process.poll()
        if code is None:
            return
        for output in self._outputs:
            output.drain()
        how = f"by {name_of(-code)}" if code < 0 else f"with exit code {code}"
        said = "".join(f"\n    {line}" for line in self._last_errors)
        last = f", last lines of stderr:{said}" if said else ", nothing on stderr"
        raise Broken(f"{self.name} ended {how}{last}")

    def kill(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for file in (self._stdin, *(output.file for output in self._outputs)):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(file)
            with contextlib.suppress(OSError):
                file.close()

    def _write(self) -> None:
        try:
            written = os.write(self._stdin.fileno(), self._unsent)
        except BlockingIOError:
            return
        except BrokenPipeError:
            written = len(self._unsent)  # `check` says how it ended
        del self._unsent[:written]

    def _write_more(self) -> None:
        self._write()
        if not self._unsent:
            self._selector.unregister(self._stdin)


class _Output:
    """The lines of one output of a process."""

    def __init__(
        self, file: IO[bytes], selector: selectors.BaseSelector, take: Callable[[bytes], None]
    ) -> None:
        self.file = file
        self._selector = selector
        self._take = take
        self._partial = b""
        os.set_blocking(file.fileno(), False)
        selector.register(file, selectors.EVENT_READ, self.read)

    def read(self) -> bool:
        """Read once; false at the end of the output, and when there is nothing to read."""
        try:
            data = os.read(self.file.fileno(), _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            with contextlib.suppress(KeyError):
                self._selector.unregister(self.file)
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._partial) > _LONGEST_LINE_BYTES:
            raise Broken(f"a line of output has more than {_LONGEST_LINE_BYTES:,} bytes")
        return True

    def drain(self) -> None:
        while self.read():
            pass
