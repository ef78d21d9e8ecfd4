"""The private directory of the replicas: made for one run, and removed after it however it ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "kvstore-simulator-"


@contextmanager
def private_directory() -> Iterator[Path]:
    """A fresh directory, named after this process to show a later start whether it is in use."""
    sweep()
    directory = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    try:
        yield Path(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep() -> None:
    """Remove the directories of simulators that were killed before they could clean up."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = directory.name[len(_PREFIX):].split("-")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            shutil.rmtree(directory, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
