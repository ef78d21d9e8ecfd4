"""One child process with all its descendants: its output kept in part, its time limited.

No process outlives the call. A killed caller takes the child along, and the child ends its own
children: `run.py` has a guard for them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulator import guard
from simulator.replica import die_with_simulator

# All descendants of a job have it in their environment, whatever session they are in.
_MARK = "KVSTORE_CAMPAIGN_JOB"
# Of the output: the last bytes, because the reason for an end stands there.
MOST_OUTPUT_BYTES = 32_768
# From SIGTERM to SIGKILL. `run.py` gives its replicas one second.
_GRACE_SECONDS = 5.0
_READ_BYTES = 65_536
# A descendant may hold the output open after the end of the child.
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Ended:
    """How a process ended. A negative code is the number of the signal that killed it."""

    code: int
    output: str
    seconds: float
    timed_out: bool = False


def run(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], seconds: float
) -> Ended:
    """Run a command to its end, or end it and its descendants after so many seconds."""
    mark = f"{_MARK}={uuid.uuid4().hex}"
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, **environment, **dict([mark.split("=")])},
        preexec_fn=die_with_simulator,  # noqa: PLW1509 (a worker has one thread)
    )
    output = _Output(process)
    is_over = False
    try:
        is_over = output.wait(start + seconds)
        if not is_over:
            process.terminate()
            output.wait(time.monotonic() + _GRACE_SECONDS)
    finally:
        output.close()
        if not (is_over and output.has_ended) or process.returncode < 0:
            _end_all(process, mark)
    return Ended(process.returncode, output.text(), time.monotonic() - start, not is_over)


def _end_all(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill the process, its group, and each process with its mark."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    guard.sweep(mark)


class _Output:
    """The last bytes that a process writes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process = process
        self._file = process.stdout
        self._kept = b""
        self.has_ended = False

    def wait(self, deadline: float) -> bool:
        """Read until the process ends; false if it still runs at the deadline."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._file, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                if selector.select(min(left, _POLL_SECONDS)):
                    self._read()
                elif self._process.poll() is not None:
                    return True
                if self.has_ended:
                    return self._wait_for_end(deadline)
        return False

    def _read(self) -> None:
        data = os.read(self._file.fileno(), _READ_BYTES)
        self.has_ended = not data
        self._kept = (self._kept + data)[-MOST_OUTPUT_BYTES:]

    def _wait_for_end(self, deadline: float) -> bool:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        self._file.close()

    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")
