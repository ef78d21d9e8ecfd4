"""Several workers on this machine. The job of a worker that dies goes to another one.

    jobs --> pool --one line--> worker --> run.py --> replicas
                  <--one line--

A job that has cost three workers or runs their lives ends as an error, because a fourth time would
hardly be better.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from simulator import build
from simulator.campaign import worker
from simulator.campaign.job import Job, Outcome, failure
from simulator.guard import Guard
from simulator.signals import Signals, name_of

MOST_ATTEMPTS = 3
MARK = "KVSTORE_CAMPAIGN"
TICK_SECONDS = 0.5
_READ_BYTES = 65_536


class Pool:
    """While entered, workers stand by; afterwards none of their processes is left."""

    def __init__(
        self, size: int, scratch: Path, keep: Path, signals: Signals, command: list[str] | None = None
    ) -> None:
        self.size = size
        self._signals = signals
        # Each run has a guard of its own. This one serves if the campaign itself is killed.
        self._guard = Guard(MARK)
        self._command = command or [sys.executable, "-m", worker.__name__]
        self._arguments = [str(os.getpid()), str(scratch), str(keep)]
        self._workers: list[_Worker] = []

    def __enter__(self) -> Pool:
        self._guard.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._workers:
            one.kill()
        self._guard.__exit__()

    def outcomes(self, jobs: Iterator[Job]) -> Iterator[Outcome | None]:
        """The outcome of each job as it comes, and `None` from time to time; ends at a signal."""
        waiting: deque[tuple[Job, int]] = deque()
        with selectors.DefaultSelector() as selector:
            selector.register(self._signals.fd, selectors.EVENT_READ)
            while not self._signals.stop:
                self._hand_out(waiting, jobs, selector)
                if not any(one.job for one in self._workers):
                    return
                ready = selector.select(TICK_SECONDS)
                yield None
                for key, _ in ready:
                    if isinstance(key.data, _Worker):
                        yield from self._hear(key.data, waiting, selector)
                    else:
                        self._signals.clear()

    def _hand_out(
        self, waiting: deque[tuple[Job, int]], jobs: Iterator[Job], selector: selectors.BaseSelector
    ) -> None:
        """Give a job to each idle worker, and start workers up to the size of the pool."""
        for place in range(self.size):
            if place < len(self._workers) and self._workers[place].job is not None:
                continue
            if not waiting:
                waiting.extend((job, 1) for job in _next(jobs))
            if not waiting:
                return
            if place == len(self._workers):
                one = _Worker([*self._command, *self._arguments], self._guard.environment)
                self._workers.append(one)
                selector.register(one.answers, selectors.EVENT_READ, one)
            self._workers[place].give(*waiting.popleft())

    def _hear(
        self, one: _Worker, waiting: deque[tuple[Job, int]], selector: selectors.BaseSelector
    ) -> Iterator[Outcome]:
        line = one.read()
        if line is None:
            return
        job, attempt = one.job, one.attempt
        one.job = None
        if not line:
            selector.unregister(one.answers)
            self._workers.remove(one)
        end = one.end() if not line else ""
        if job is None:
            return
        outcome = worker.answer(line) if line else failure(job, end, was_killed=True)
        if not outcome.was_killed:
            yield outcome
        elif attempt < MOST_ATTEMPTS:
            waiting.appendleft((job, attempt + 1))
        else:
            yield replace(outcome, reason=f"{outcome.reason}, as were {MOST_ATTEMPTS - 1} attempts before")


def _next(jobs: Iterator[Job]) -> list[Job]:
    job = next(jobs, None)
    return [] if job is None else [job]


class _Worker:
    """One worker, with the job that it has."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        # A session of its own, because Ctrl-C reaches the whole group of the campaign.
        self._process = subprocess.Popen(
            command, cwd=build.REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True, env={**os.environ, **environment},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._jobs, self.answers = self._process.stdin, self._process.stdout
        self._heard = b""
        self.job: Job | None = None
        self.attempt = 0

    def give(self, job: Job, attempt: int) -> None:
        self.job, self.attempt = job, attempt
        # A dead worker takes no job, as its answers will show.
        with contextlib.suppress(BrokenPipeError):
            self._jobs.write(json.dumps(job.to_json()).encode() + b"\n")
            self._jobs.flush()

    def read(self) -> bytes | None:
        """A line of answer; empty if the worker is dead; `None` if the line is not complete."""
        data = os.read(self.answers.fileno(), _READ_BYTES)
        if not data:
            return b""
        self._heard += data
        if not self._heard.endswith(b"\n"):
            return None
        line, self._heard = self._heard, b""
        return line

    def end(self) -> str:
        """How the dead worker ended."""
        code = self._process.wait()
        self._close()
        how = f"was killed by {name_of(-code)}" if code < 0 else f"ended with exit code {code}"
        return f"its worker {how}"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self.answers.close()
        # Some bytes of a job may be left.
        with contextlib.suppress(BrokenPipeError):
            self._jobs.close()
