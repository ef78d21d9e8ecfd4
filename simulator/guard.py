"""Ends every process of a run with the run, however the run ends.

A signal to the process group of a replica misses a descendant in a session of its own. A killed
simulator can send no signal. So each run has a guard: a process that waits on a pipe for the end of
the run, or of the simulator. Then it kills each process that has the mark of the run in its
environment, and all descendants of those.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

_MARK = "KVSTORE_SIMULATOR_RUN"
# A process in an uninterruptible sleep dies some time after the kill. The guard does not wait for
# ever.
_MOST_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


class Guard:
    """While entered, a guard stands by to kill every process started with `environment`."""

    def __init__(self, variable: str = _MARK) -> None:
        """`variable` holds the mark. A guard within the run of another one needs its own."""
        self._mark = f"{variable}={uuid.uuid4().hex}"
        self.environment = dict([self._mark.split("=")])

    def __enter__(self) -> Guard:
        # A session of its own, because Ctrl-C and a hang-up reach the whole group of the simulator.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, self._mark], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Return when no process of the run is left."""
        self._process.communicate()


def sweep(mark: str) -> None:
    """Kill the processes with this mark and their descendants, until there are none."""
    deadline = time.monotonic() + _MOST_SECONDS
    while (family := _family(mark.encode())) and time.monotonic() < deadline:
        for pid in family:
            # The process may be gone already, or belong to another user.
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)


def _family(mark: bytes) -> set[int]:
    """The living processes with this mark in their environment, and all descendants of those."""
    children: dict[int, list[int]] = {}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        pid = int(entry.name)
        try:
            # The name of the program, in parentheses, may hold any byte; state and parent follow
            # it.
            state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
            if state in (b"Z", b"X"):
                continue
            children.setdefault(int(parent), []).append(pid)
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            pass  # The process is gone already, or belongs to another user.
    family: set[int] = set()
    while found:
        pid = found.pop()
        if pid not in family:
            family.add(pid)
            found += children.get(pid, [])
    return family


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()  # Returns when the simulator closes the pipe or ends.
    sweep(sys.argv[1])


if __name__ == "__main__":
    main()
