"""The directories of the replicas: private ones are removed after the run however it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "kvstore-simulator-"


@dataclass(frozen=True)
class Workplace:
    """Where the replicas of a cluster run, and where each has a directory for its data."""

    directory: Path
    data: Path


@contextmanager
def without_sockets(directory: Path, replicas: Iterable[str]) -> Iterator[None]:
    """Remove the sockets of the replicas from a directory that stays."""
    try:
        yield
    finally:
        for path in (directory / replica for replica in replicas):
            if path.is_socket():
                path.unlink(missing_ok=True)


@contextmanager
def private_directory() -> Iterator[Path]:
    """A fresh directory, named after this process to show a later start whether it is in use."""
    sweep()
    directory = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    try:
        yield Path(directory)
    finally:
        remove(directory)


def remove(directory: str | Path) -> None:
    """Remove a directory of replicas as far as possible, however deep they have nested others."""
    try:
        shutil.rmtree(directory, ignore_errors=True)
    except RecursionError:
        with contextlib.suppress(OSError):
            _flatten(Path(directory))
        shutil.rmtree(directory, ignore_errors=True)


def _flatten(top: Path) -> None:
    """Move all directories below `top` directly into it."""
    waiting = [top]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    moved = top / uuid.uuid4().hex
                    os.rename(entry.path, moved)
                    waiting.append(moved)


def sweep() -> None:
    """Remove the directories of simulators that were killed before they could clean up."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = directory.name[len(_PREFIX):].split("-")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            remove(directory)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
