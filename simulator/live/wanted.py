"""Whether a run has a live view."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from simulator.arguments import UsageError
from simulator.console import Console
from simulator.live.console import LiveConsole
from simulator.live.link import Link

_LIBRARY = "rich"


def check(asked: bool | None) -> None:
    """Refuse before the run a view that is asked for and not possible."""
    reason = _obstacle(sys.stdout)
    if asked and reason is not None:
        raise UsageError(f"--live: {reason}")


@contextmanager
def console(asked: bool | None, log: TextIO | None = None) -> Iterator[Console]:
    """The console of a run: with a live view if it is possible, unless `asked` is false.

    `log` takes replica output and events; it is standard output if `None`.
    """
    out = sys.stdout
    log = out if log is None else log
    if asked is False or _obstacle(out) is not None:
        yield Console(out, log)
        return
    with Link(out) as link:
        yield LiveConsole(link, out, log)


def _obstacle(out: TextIO) -> str | None:
    if not out.isatty():
        return "standard output is no terminal"
    if os.environ.get("TERM", "dumb") == "dumb":
        return "this terminal cannot move its cursor"
    if importlib.util.find_spec(_LIBRARY) is None:
        return f"needs the library {_LIBRARY}: pip install {_LIBRARY}"
    return None
