"""Arguments that several commands share: the judge, the dialect, files, and their checks."""

from __future__ import annotations

import argparse
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.transport import TRANSPORTS


class UsageError(Exception):
    """An argument that cannot be used."""


class FileError(Exception):
    """A file that the user asked for could not be written after the run."""


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add `--no-check`, `--checker`, `--json` and `--history`."""
    parser.add_argument(
        "--no-check", dest="check", action="store_false",
        help="do not check whether the history of the run is linearizable",
    )
    parser.add_argument(
        "--checker", type=Path, metavar="PATH",
        help="the program that checks it, called as PATH check HISTORY (default: our own)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything about the run")
    parser.add_argument(
        "--history", type=Path, metavar="FILE", help="write one JSON line per client request"
    )


def add_transport(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--transport", choices=sorted(TRANSPORTS), default="seqpacket", help="default: seqpacket"
    )


def split_words(name: str, options: str) -> tuple[str, ...]:
    """The words of `options`, which the argument `name` takes as one word."""
    try:
        return tuple(shlex.split(options))
    except ValueError as error:
        raise UsageError(f"{name}: {options!r}: {error}") from None


def check_writable(*paths: Path | None) -> None:
    """Refuse before the run a file that could not be written after it."""
    for path in filter(None, paths):
        try:
            reason = _refusal(path)
        except OSError as error:
            reason = str(error.strerror)
        if reason is not None:
            raise UsageError(f"{path}: must be a file that can be written: {reason}")


def _refusal(path: Path) -> str | None:
    """Why no file can be written at `path`; or an OSError says so."""
    if path.is_dir():
        return "it is a directory"
    if path.exists():
        _try(path)
        return None
    parent = Path(os.path.realpath(path)).parent
    if not parent.is_dir():
        return f"there is no directory {parent}"
    return None if os.access(parent, os.W_OK | os.X_OK) else f"{parent} takes no new file"


def _try(path: Path) -> None:
    """Open a file for writing without a change of it. Devices may refuse even an empty write."""
    if stat.S_ISFIFO(path.stat().st_mode):
        return  # It can be opened as soon as there is a reader.
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"")
    finally:
        os.close(descriptor)


@contextmanager
def told_with(path: Path) -> Iterator[None]:
    """Turn an error of the operating system, such as a full disk, into one line."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path}: could not be written: {error.strerror}") from None


def unusable(program: Path, role: str = "replica") -> str | None:
    """Why a program cannot be run, in one line; `None` if it can."""
    if not program.is_file():
        return f"{role} program not found: {program}"
    if not os.access(program, os.X_OK):
        return f"{role} program is not executable: {program} (chmod +x makes it so)"
    return None
