"""The console of a run with a live view: all that the terminal shows goes through one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from simulator.console import Console, Shown
from simulator.live.link import Link

REFRESH_SECONDS = 0.2


class LiveConsole(Console):
    """As soon as the process that draws is gone, this is a console like any other."""

    refresh_seconds = REFRESH_SECONDS

    def __init__(self, link: Link, out: TextIO, log: TextIO) -> None:
        super().__init__(out, log)
        self._link = link

    def show_run(self, name: str, seconds_left: float, shown: Sequence[Shown]) -> None:
        if not self._link.is_up:
            super().show_run(name, seconds_left, shown)
            return
        clusters = [one.snapshot() for one in shown]
        self._link.draw({"name": name, "left": seconds_left, "clusters": clusters})

    def _write(self, text: str, is_log: bool) -> None:
        stream = self._log if is_log else self.out
        # A log in a file, or on another terminal, has nothing to do with the view.
        if not (stream is self.out or stream.isatty()) or not self._link.say(text):
            super()._write(text, is_log)

    def end_progress(self) -> None:
        self._link.clear()
        super().end_progress()
