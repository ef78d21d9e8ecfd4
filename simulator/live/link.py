"""The pipe to the process that draws. A run never waits for a picture."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, TextIO

_ROOT = Path(__file__).resolve().parents[2]
# The process finds what the simulator finds, whatever the working directory is.
_START = "import sys; sys.path[:] = sys.argv[1:]; from simulator.live.screen import main; main()"
# Text beyond this waits for the terminal, as it does without a view.
MOST_WAITING_BYTES = 1 << 20
_END_SECONDS = 5.0
_SHOW_CURSOR = "\x1b[?25h"


def _ignore_signals() -> None:
    """Only the end of the pipe ends the process, so that it shows all that it was told."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class Link:
    """While entered, a process draws on the terminal `out`; `is_up` says whether it still does."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._waiting = bytearray()
        self.is_up = False

    def __enter__(self) -> Link:
        # A session of its own, because Ctrl-C reaches the whole group of the simulator.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(_ROOT), *sys.path], stdin=subprocess.PIPE,
            stdout=self._out.fileno(), stderr=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=_ignore_signals,  # noqa: PLW1509 (the simulator has one thread)
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)
        self.is_up = True
        return self

    def __exit__(self, *_: object) -> None:
        """Return when the terminal is as it was, and all text is on it."""
        was_up = self.is_up and self._flush(everything=True)
        self.is_up = False
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if was_up and self._process.returncode:
            self._restore()

    def _restore(self) -> None:
        """Undo what the process has left behind: a hidden cursor, in the middle of a picture."""
        print(_SHOW_CURSOR, file=self._out, flush=True)

    def draw(self, picture: dict[str, Any]) -> None:
        """Draw the picture, or leave it out if an earlier one still waits."""
        if self.is_up and (not self._waiting or self._flush()) and not self._waiting:
            self._send({"draw": picture})

    def say(self, text: str) -> bool:
        """Show a line above the picture. False: the process is gone, and has not shown it."""
        return self.is_up and self._send({"say": text})

    def clear(self) -> None:
        if self.is_up:
            self._send({"clear": True})

    def _send(self, content: dict[str, Any]) -> bool:
        self._waiting += json.dumps(content).encode() + b"\n"
        return self._flush(everything=len(self._waiting) > MOST_WAITING_BYTES)

    def _flush(self, everything: bool = False) -> bool:
        """Write as much as the pipe takes. False: the process has ended."""
        while self._waiting:
            try:
                del self._waiting[:os.write(self._pipe, self._waiting)]
            except BlockingIOError:
                if not everything:
                    break
                select.select([], [self._pipe], [])
            except OSError:
                self._end()
                return False
        return True

    def _end(self) -> None:
        """Go on without a picture: show here the text that the process has not taken."""
        self.is_up = False
        self._restore()
        lines, self._waiting = self._waiting.split(b"\n"), bytearray()
        for line in lines[:-2]:  # The last one is that of the caller.
            try:
                content = json.loads(line)
            except ValueError:
                continue  # A part of it has left.
            if "say" in content:
                print(content["say"], file=self._out, flush=True)
