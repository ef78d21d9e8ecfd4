"""The process that draws: reads lines of JSON from the run, and owns the terminal meanwhile.

It ends when the run closes the pipe or is gone, and leaves the terminal as it was.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from simulator.live.view import View

_CHUNK_BYTES = 1 << 16


class Screen:
    """The view below the text of the run."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._console = Console(file=out, highlight=False)
        self._live: Live | None = None
        self._view = View()
        self._is_broken = False

    def take(self, orders: list[dict[str, Any]]) -> None:
        """Carry out all orders that have come, but only the last picture of them is drawn."""
        last = max((n for n, order in enumerate(orders) if "draw" in order), default=-1)
        for number, order in enumerate(orders):
            if "say" in order:
                self._say(order["say"])
            elif "clear" in order:
                self.clear()
            elif number == last and not self._is_broken:
                self._draw(order["draw"])
        self._out.flush()

    def _say(self, text: str) -> None:
        if self._live is None:
            self._out.write(f"{text}\n")
        else:
            self._console.print(Text.from_ansi(text), soft_wrap=True)

    def _draw(self, shown: dict[str, Any]) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        try:
            self._live.update(self._view.picture(shown), refresh=True)
        except OSError:
            raise
        except Exception:  # A picture that fails must not take text along.
            self.clear()
            self._is_broken = True

    def clear(self) -> None:
        """Remove the picture, and show the cursor again."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        self._view = View()


def orders(pipe: int) -> Iterator[list[dict[str, Any]]]:
    """Lists of the orders that have come meanwhile, until the pipe ends."""
    rest = b""
    while chunk := os.read(pipe, _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield [json.loads(line) for line in lines]


def main() -> None:
    out = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "replace", newline="\n")
    screen = Screen(out)
    try:
        for some in orders(0):
            screen.take(some)
    finally:
        screen.clear()
        out.flush()
