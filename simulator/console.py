"""What the user sees while it runs: replica output, errors, notices, and one progress line below them."""

from __future__ import annotations

import sys
from typing import TextIO

_MOST_ERRORS_SHOWN = 100
_CLEAR_LINE = "\r\x1b[K"


class Console:
    """Writes whole lines; on a terminal the progress line is wiped before and redrawn after each."""

    def __init__(self, out: TextIO = sys.stdout, errors: TextIO = sys.stdout) -> None:
        self.out = out
        self.is_terminal = out.isatty()
        self._error_stream = errors
        self._errors = 0
        self._progress = ""

    def line(self, text: str) -> None:
        self._write(self.out, text)

    def notice(self, text: str) -> None:
        """What helps the user but is no part of the output proper."""
        self._write(sys.stderr, text)

    def error(self, text: str) -> None:
        self._errors += 1
        if self._errors <= _MOST_ERRORS_SHOWN:
            self._write(self._error_stream, f"*** Simulator Error - {text}")
        elif self._errors == _MOST_ERRORS_SHOWN + 1:
            self.notice("further simulator errors are counted but not shown")

    def progress(self, text: str) -> None:
        if self.is_terminal:
            self._progress = text
            print(f"{_CLEAR_LINE}{text}", end="", file=self.out, flush=True)

    def _write(self, stream: TextIO, text: str) -> None:
        if self._progress:
            print(_CLEAR_LINE, end="", file=self.out, flush=True)
        print(text, file=stream, flush=True)
        if self._progress:
            print(self._progress, end="", file=self.out, flush=True)

    def end_progress(self) -> None:
        if self._progress:
            self._progress = ""
            print(_CLEAR_LINE, end="", file=self.out, flush=True)


class Labelled:
    """The same console for one cluster of several: each line says which."""

    def __init__(self, console: Console, label: str) -> None:
        self._console = console
        self._label = label

    def line(self, text: str) -> None:
        self._console.line(f"{self._label}: {text}")

    def notice(self, text: str) -> None:
        self._console.notice(f"{self._label}: {text}")

    def error(self, text: str) -> None:
        self._console.error(f"{self._label}: {text}")
