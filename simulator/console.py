"""The terminal: replica output, errors, events, and one progress line below them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TextIO

_MOST_SHOWN = 3
_CLEAR_LINE = "\r\x1b[K"
_DEFAULT_COLUMNS = 80


class Output:
    """The sink for the text of a run. `write` takes a line, and whether it belongs to the log."""

    def __init__(self, write: Callable[[str, bool], None]) -> None:
        self._write_line = write
        self._remarks: Counter[str] = Counter()

    def line(self, text: str) -> None:
        """A part of the output proper, such as the report."""
        self._write_line(text, False)

    def notice(self, text: str) -> None:
        """A line of replica output, an event, or other help for the user."""
        self._write_line(text, True)

    def error(self, text: str) -> None:
        """An error that stops the simulator; `fault` is for a mistake of a replica."""
        self.notice(f"*** Simulator Error - {text}")

    def fault(self, time: float, kind: str, detail: str = "") -> None:
        """A mistake of a replica, `time` seconds into the run."""
        self.remark(time, f"*** Replica Error - {kind}", detail)

    def remark(self, time: float, kind: str, detail: str = "") -> None:
        """A remark that may come again and again: each kind is shown three times."""
        self._remarks[kind] += 1
        if self._remarks[kind] <= _MOST_SHOWN:
            self.notice(f"[{time:7.3f}] {kind}" + (f": {detail}" if detail else ""))

    def tell_repeated(self, time: float) -> None:
        """At the end of a run, tell the count of each kind of remark that was not always shown."""
        for kind, count in self._remarks.items():
            if count > _MOST_SHOWN:
                self.notice(f"[{time:7.3f}] {kind}: {count:,} times in all, of which {_MOST_SHOWN} are shown")
        self._remarks.clear()


class Shown(Protocol):
    """A cluster in a run, for the terminal."""

    def progress(self) -> str:
        """Its progress in a few words."""

    def snapshot(self) -> dict[str, Any]:
        """All counters of its live view."""


class Console(Output):
    """Write whole lines. On a terminal, each wipes the progress line and draws it again below."""

    refresh_seconds = 0.25

    def __init__(self, out: TextIO = sys.stdout, log: TextIO = sys.stdout) -> None:
        super().__init__(self._write)
        self.out = out
        self.is_terminal = out.isatty()
        self._log = log
        self._progress = ""

    def show_run(self, name: str, seconds_left: float, shown: Sequence[Shown]) -> None:
        """Show how far a run is."""
        progress = "; ".join(one.progress() for one in shown)
        self.progress(f"{name}: {seconds_left:.0f} s left, {progress}")

    def progress(self, text: str) -> None:
        """Show `text` below all lines, cut to the terminal's width: a second line would stay."""
        if self.is_terminal:
            self._progress = text[:_columns(self.out) - 1]
            print(f"{_CLEAR_LINE}{self._progress}", end="", file=self.out, flush=True)

    def _write(self, text: str, is_log: bool) -> None:
        if self._progress:
            print(_CLEAR_LINE, end="", file=self.out, flush=True)
        print(text, file=self._log if is_log else self.out, flush=True)
        if self._progress:
            print(self._progress, end="", file=self.out, flush=True)

    def end_progress(self) -> None:
        if self._progress:
            self._progress = ""
            print(_CLEAR_LINE, end="", file=self.out, flush=True)


class Labelled(Output):
    """The same console for one of several clusters: each line names the cluster."""

    def __init__(self, console: Console, label: str) -> None:
        super().__init__(lambda text, is_log: console._write(f"{label}: {text}", is_log))


def _columns(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or _DEFAULT_COLUMNS
    except (OSError, ValueError):
        return _DEFAULT_COLUMNS
