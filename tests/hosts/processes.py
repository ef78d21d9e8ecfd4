"""Processes that end with this one, and the marks by which a later run knows what a killed run has
left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO

# Names of namespaces and directories begin so, and go on with the process of the run.
_MARK = "kvstore-hosts-"
# A parent that has ended before its child asks for the signal sends none.
_IF_STILL_THERE = '[ "$PPID" = "$0" ] && exec "$@"'


def mark() -> str:
    return f"{_MARK}{os.getpid()}"


def is_leftover(name: str) -> bool:
    """Whether a namespace or directory of this name belongs to a run that has ended."""
    number = name.removeprefix(_MARK).partition("-")[0]
    return name.startswith(_MARK) and number.isdecimal() and not _runs(int(number))


def _runs(process: int) -> bool:
    """Whether this process is a run of ours. Numbers of processes come again."""
    try:
        return b"run.py" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def start(
    command: list[str], output: int | IO[bytes], *, piped: bool = False
) -> subprocess.Popen[str]:
    """Starts a process that gets SIGKILL when the thread that calls this ends, and no Ctrl-C."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "sh", "-c", _IF_STILL_THERE, str(os.getpid()), *command],
        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if not piped else None,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    """kill -9. Also a paused process ends."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def directory() -> Path:
    """A new directory for the state of this run. Those of killed runs are removed."""
    for entry in Path(tempfile.gettempdir()).glob(f"{_MARK}*"):
        if is_leftover(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{mark()}-"))
