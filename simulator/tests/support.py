"""Tools for tests: a small scenario, runs of `run.py`, and a search for left processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from simulator import config

ROOT = Path(__file__).resolve().parents[2]
FAKE_REPLICA = Path(__file__).with_name("fake_replica.py")
FAKE_CHECKER = Path(__file__).with_name("fake_checker.py")

# More time than any step takes on the busiest machine; only a test that hangs waits so long.
HANG_SECONDS = 300.0

# Each ends a run in order. A process that a test starts ignores SIGHUP if the tests do.
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM) + (
    () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
)

# Stands in `SMALL` for a key that a scenario shall lack.
ABSENT = object()

SMALL: dict[str, Any] = {
    "lifetime": 5,
    "replicas": 3,
    "requests": 100,
    "mix": 0.4,
    "start_wait": 1,
    "end_wait": 1,
    "tests": {
        # How many requests are answered in time is up to the machine.
        "maximum_get_fail_fraction": 1,
        "maximum_put_fail_fraction": 1,
        "maximum_get_generation_fail_fraction": 1,
        "maximum_appends_batched_fraction": 1,
        "benchmarks": {
            "total_msgs": [500, 1000, 5000],
            "failures": [0, 1, 2],
            "duplicates": [0, 1, 2],
            "median_latency": [0.5, 1, 2],
        },
    },
}


def write_config(directory: Path, **changes: Any) -> Path:
    path = directory / "scenario.json"
    content = {key: value for key, value in (SMALL | changes).items() if value is not ABSENT}
    path.write_text(json.dumps(content))
    return path


def small_scenario(**changes: Any) -> config.Scenario:
    with tempfile.TemporaryDirectory() as directory:
        return config.load(write_config(Path(directory), **changes))


# Requests for as long as the events of a test need. After them a busy machine has time to answer.
TIMES: dict[str, Any] = {"lifetime": 12, "start_wait": 0.5, "end_wait": 8}


class Runs:
    """Whole runs by name, some at the same time: each takes its lifetime and little work."""

    AT_ONCE = 12  # Python processes that start at the same time keep each other from answering.

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.AT_ONCE)
        self._runs: dict[str, Future[Run]] = {}

    def add(self, name: str, *arguments: Any, **changes: Any) -> None:
        """Start `Run(*arguments, **changes)` when its turn comes."""
        self._runs[name] = self._pool.submit(lambda: Run(*arguments, **changes).finish())

    def finished(self, name: str) -> Run:
        return self._runs[name].result()

    def clean_up(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for run in self._runs.values():
            if not run.cancelled() and run.exception() is None:
                run.result().clean_up()


class Run:
    """A running `run.py` with fake replicas and checker, in a temporary directory of its own."""

    def __init__(
        self, behaviour: str, *arguments: str, transport: str = "seqpacket",
        program: Path = FAKE_REPLICA, stdout: int | IO[bytes] = subprocess.PIPE, checker: Path = FAKE_CHECKER,
        verdict: str = "linearizable", **changes: Any
    ) -> None:
        self.mark = uuid.uuid4().hex
        self._read = ""
        self.directory = Path(tempfile.mkdtemp())
        # The path of a socket has no room for this name.
        self.temporary = self.directory / ("tmp" * 50)
        self.temporary.mkdir()
        self.json = self.directory / "result.json"
        self.history = self.directory / "history.jsonl"
        self.process = subprocess.Popen(
            [
                sys.executable, str(ROOT / "run.py"), "--replica", str(program),
                "--checker", str(checker), "--transport", transport, "--json", str(self.json),
                "--history", str(self.history), "--join-seconds", str(HANG_SECONDS), *arguments,
                str(write_config(self.directory, **(TIMES | changes))),
            ],
            env=_surroundings() | {
                "FAKE_BEHAVIOUR": behaviour, "FAKE_VERDICT": verdict, "FAKE_MARK": self.mark,
                "TMPDIR": str(self.temporary),
            },
            stdout=stdout, stderr=subprocess.PIPE, text=True,
        )

    def wait_for_output(self, text: str) -> None:
        """Read stdout up to a line with `text`; fails at its end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._read += line
            if text in line:
                return
        raise AssertionError(f"{text!r} never appeared")

    def finish(self) -> Run:
        rest, self.stderr = self.process.communicate()
        self.stdout = self._read + (rest or "")
        self.exit_code = self.process.returncode
        return self

    def result(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.json.read_text())
        return result

    def survivors(self) -> list[int]:
        """The living processes of this run, which the mark in their environment shows."""
        return [
            int(entry.name) for entry in Path("/proc").iterdir()
            if entry.name.isdecimal() and self.mark.encode() in _environment(entry)
        ]

    def wait_for_end_of_survivors(self) -> None:
        """Return when no process of this run lives; fail after a long while."""
        deadline = time.monotonic() + HANG_SECONDS
        while survivors := self.survivors():
            if time.monotonic() > deadline:
                raise AssertionError(f"processes {survivors} are left")
            time.sleep(0.01)

    def leftovers(self) -> list[str]:
        return os.listdir(self.temporary)

    def clean_up(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for output in (self.process.stdout, self.process.stderr):
            if output is not None:
                output.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def _surroundings() -> dict[str, str]:
    """Our environment, without the variable that `run.py` must set for replicas in Python."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
