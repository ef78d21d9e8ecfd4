"""A trace -> the output of each replica in a file of its own, with time stamps."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from simulator.messages import printable
from simulator.trace.reader import Reader


def write(trace: Path, directory: Path) -> None:
    """Write `0000.log` and so on: seconds since all replicas had joined, stream, text.

    Of a damaged trace the lines before the damage count.
    """
    reader = Reader(trace)
    with ExitStack() as stack:
        files = {
            replica: stack.enter_context((directory / f"{replica}.log").open("w", encoding="utf-8"))
            for replica in reader.heading.get("replicas", ())
        }
        for record in reader:
            match record:
                case ["o", int(time), str(replica), str(stream), str(text)] if replica in files:
                    files[replica].write(f"{time / 1e6:10.6f} {stream} {printable(text)}\n")
