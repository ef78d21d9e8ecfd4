"""The directory of a run that is kept, and the place of the runs that are kept because they failed.

A kept run has its trace, its history, its result, the output of each replica and their working
directories. All of it is written after the verdict, which nothing here can change.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from simulator import build, history, logs
from simulator.client import Request
from simulator.trace.reader import TraceError
from simulator.workspace import remove

# Its first line shows that a directory was made here, so that it may be removed.
MARK = "run.txt"
_HEADING = "This run was kept by run.py."
RESULT, HISTORY, TRACE, PAGE = "result.json", "history.jsonl", "trace.gz", "report.html"
# Of runs that were kept because they failed; the oldest goes.
MOST_RUNS = 10
# Of each working directory of such a run, zeros not counted: logs are preallocated.
MOST_BYTES = 256 << 20
_MOST_BYTES_READ = 4 << 30
_CHUNK_BYTES = 64 << 10
# The variable that names another place for them.
PLACE = "KVSTORE_FAILED_DIR"
_FASTEST = 1


@dataclass(frozen=True)
class Left:
    """The things that the run of one cluster has left. A run that did not start has no result."""

    trace: Path
    command: str
    directories: tuple[Path, ...]
    history: list[Request] | None = None
    content: Mapping[str, Any] | None = None


def fill(directory: Path, left: Left) -> None:
    """Write a kept run; raises an OSError if that is not possible."""
    again, draw = f"    {left.command}", f"    {draw_command(directory)}"
    lines = [_HEADING, "", "Run it again:", again, "Draw it:", draw, ""]
    # The names of files may have bytes that are no UTF-8.
    (directory / MARK).write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    if left.history is not None:
        history.write(directory / HISTORY, left.history)
    if left.content is not None:
        (directory / RESULT).write_text(json.dumps(left.content, indent=2) + "\n")
    # A full disk may have left a trace without a first line.
    with contextlib.suppress(TraceError):
        logs.write(left.trace, directory)
    _pack(left.trace, directory / TRACE)
    for source in left.directories:
        _adopt(source, directory / source.name)


def draw_command(directory: Path) -> str:
    place = shown(directory)
    return shlex.join(["./run.py", "replay", str(place / TRACE), "--report", str(place / PAGE)])


def tell(directory: Path, has_page: bool) -> str:
    """The line about a kept run."""
    requests = "the history, " if has_page or (directory / HISTORY).exists() else ""
    contents = f"the trace, {requests}the output of each replica"
    drawn = f"the page {PAGE}" if has_page else f"draw it: {draw_command(directory)}"
    return f"kept in {shown(directory)}: {contents}; {drawn}"


def shown(path: Path) -> Path:
    """`path` as a user would type it."""
    try:
        return path.relative_to(Path.cwd())
    except (ValueError, OSError):
        return path


def _pack(trace: Path, target: Path) -> None:
    if trace.suffix == ".gz":
        shutil.copyfile(trace, target)
        return
    with trace.open("rb") as source, gzip.open(target, "wb", _FASTEST) as packed:
        shutil.copyfileobj(source, packed, 1 << 20)


def _adopt(source: Path, target: Path) -> None:
    """Copy a directory of the run without sockets and pipes. An empty one is no more than noise."""
    try:
        size = _size(source)
        if source == target:
            if size is None:
                remove(source)
            return
        if size is None:
            return
        if size > _MOST_BYTES_READ:
            raise _TooLarge
        shutil.copytree(source, target, symlinks=True, ignore=_special, copy_function=_Copier().copy)
    except shutil.Error as error:
        raise OSError(None, f"{len(error.args[0])} files could not be copied", str(source)) from None
    except (_TooLarge, RecursionError) as error:
        if source == target:
            return
        remove(target)
        reason = f"had more than {MOST_BYTES:,} bytes" if isinstance(error, _TooLarge) else "was too deep"
        target.with_suffix(".txt").write_text(f"Left out: it {reason}.\n")


class _TooLarge(Exception):
    """A directory with more bytes than are kept."""


class _Copier:
    """Copies the files of one directory. Blocks of zeros become holes, and count for nothing."""

    def __init__(self) -> None:
        self._left = MOST_BYTES

    def copy(self, source: str, target: str) -> str:
        with open(source, "rb") as data, open(target, "wb") as copied:
            while chunk := data.read(_CHUNK_BYTES):
                if not chunk.strip(b"\0"):
                    copied.seek(len(chunk), os.SEEK_CUR)
                    continue
                self._left -= len(chunk)
                if self._left < 0:
                    raise _TooLarge
                copied.write(chunk)
            copied.truncate()
        return target


def _size(directory: Path) -> int | None:
    """The bytes of the files in a directory; `None` if there is no file."""
    sizes = [file.stat(follow_symlinks=False).st_size for file in _files(directory)]
    return sum(sizes) if sizes else None


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif not _is_special(entry.stat(follow_symlinks=False).st_mode):
                yield entry


def _special(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if _is_special(os.lstat(os.path.join(directory, name)).st_mode)]


def _is_special(mode: int) -> bool:
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def keep_failed(left: Left, name: str) -> Path:
    """Keep a failed run in a new directory; raises an OSError if that is not possible."""
    parent = _failed_runs()
    _drop_oldest(parent)
    directory = _new_directory(parent, name)
    content = None if left.content is None else {**left.content, "kept": str(directory)}
    try:
        fill(directory, replace(left, content=content))
    except OSError:
        remove(directory)
        raise
    return directory


def _failed_runs() -> Path:
    """The place of failed runs: in the checkout, or among the temporary files of this user."""
    named = os.environ.get(PLACE)
    place = Path(named) if named else build.REPOSITORY / "target" / "failed"
    try:
        place.mkdir(parents=True, exist_ok=True)
        if named or os.access(place, os.W_OK | os.X_OK):
            return place
    except OSError:
        if named:
            raise
    place = Path(tempfile.gettempdir()) / f"run.py-failed-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    # Anybody may have made it before us.
    if place.is_symlink() or place.stat().st_uid != os.getuid():
        raise PermissionError(None, "belongs to another user", str(place))
    return place


def _drop_oldest(place: Path) -> None:
    """Make room for one more run. A directory that was not made here stays."""
    runs = sorted((path for path in place.iterdir() if _is_ours(path)), key=_age)
    for path in runs[:max(0, len(runs) - MOST_RUNS + 1)]:
        remove(path)


def _is_ours(path: Path) -> bool:
    try:
        with (path / MARK).open(encoding="utf-8", errors="replace") as file:
            return not path.is_symlink() and file.readline(len(_HEADING) + 1).rstrip() == _HEADING
    except OSError:
        return False


def _age(path: Path) -> float:
    try:
        return (path / MARK).stat().st_mtime
    except OSError:
        return 0.0


def _new_directory(place: Path, name: str) -> Path:
    """A directory that did not exist; a number tells runs of the same name apart."""
    for number in count(1):
        path = place / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            pass
    raise AssertionError("numbers do not end")
