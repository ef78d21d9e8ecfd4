"""The workers of a scheduler of dask, in place of a pool on this machine.

Each task starts the same worker program as the pool does, for one job. The workers need the
checkout at the same path, which is checked before the first run. The scheduler gives the job of a
worker that dies to another one.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from simulator import build, guard
from simulator.campaign import worker
from simulator.campaign.job import Job, Outcome, failure
from simulator.campaign.plan import CampaignError, digest
from simulator.campaign.pool import MARK, MOST_ATTEMPTS, TICK_SECONDS
from simulator.signals import Signals

_CONNECT_SECONDS = 10
INSTALL = "pip install 'distributed>=2023.1'"
_VERSIONS = ("distributed", "cloudpickle")


class Cluster:
    """While entered, a scheduler runs jobs; a signal ends their processes on all workers."""

    def __init__(
        self, address: str, size: int | None, keep: Path, signals: Signals, files: list[Path]
    ) -> None:
        """Let `size` jobs run at a time, or one per worker. All workers must have these `files`."""
        self._signals = signals
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        self._keep = os.path.abspath(keep)
        self._client = _connect(address)
        try:
            _check_versions(self._client)
            workers = _check_files(self._client, files)
        except BaseException:
            self._client.close()
            raise
        self.size = size or workers
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        # A scheduler that is gone can reach no worker.
        with suppress(Exception):
            if self._signals.stop:
                self._client.run(_remote_sweep(), guard.__file__, self._mark)
        self._client.close()

    def outcomes(self, jobs: Iterator[Job]) -> Iterator[Outcome | None]:
        """The outcome of each job as it comes, and `None` from time to time; ends at a signal."""
        work = _remote_work()
        running: dict[str, tuple[Job, int, Any]] = {}
        while not self._signals.stop:
            while len(running) < self.size and (job := next(jobs, None)) is not None:
                self._submit(work, job, 1, running)
            if not running:
                return
            yield None
            with suppress(queue.Empty):
                key = self._ended.get(timeout=TICK_SECONDS)
                job, attempt, future = running.pop(key)
                outcome = self._outcome(job, future)
                if not outcome.was_killed or attempt == MOST_ATTEMPTS:
                    yield outcome
                else:
                    self._submit(work, job, attempt + 1, running)
            if self._client.status != "running":
                raise CampaignError("the scheduler is gone; what is finished is kept")

    def _submit(
        self, work: Callable[..., Any], job: Job, attempt: int, running: dict[str, tuple[Job, int, Any]]
    ) -> None:
        key = f"{self._mark}-{job.key}-{attempt}"
        line = json.dumps(job.to_json()) + "\n"
        future = self._client.submit(
            work, worker.__name__, str(build.REPOSITORY), self._keep, self._mark, line, key=key, pure=False
        )
        running[key] = (job, attempt, future)
        future.add_done_callback(lambda one: self._ended.put(key))

    def _outcome(self, job: Job, future: Any) -> Outcome:
        """The outcome of a task that has ended, whichever way."""
        try:
            code, line = future.result(timeout=_CONNECT_SECONDS)
        except (TimeoutError, asyncio.TimeoutError):
            # The worker has died before it could hand its result over.
            return failure(job, "its worker is gone", was_killed=True)
        except (Exception, asyncio.CancelledError) as error:  # dask tells lost tasks as exceptions.
            if self._client.status != "running":
                raise CampaignError("the scheduler is gone; what is finished is kept") from None
            return failure(job, f"the cluster could not run it: {type(error).__name__}: {error}")
        finally:
            # A result that is still held would be computed again if its worker dies.
            future.release()
        if not line:
            return failure(job, f"its worker ended with code {code}", was_killed=True)
        return worker.answer(line)


def _connect(address: str) -> Any:
    try:
        import distributed
    except ImportError:
        said = f"--scheduler: distributed is not installed; install it with: {INSTALL}"
        raise CampaignError(said) from None
    try:
        return distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # Also a ValueError for an address without sense.
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise CampaignError(f"--scheduler: {address}: cannot be reached: {said}") from None


def _check_versions(client: Any) -> None:
    """Refuse another Python or dask, because functions travel as their code."""
    found = client.get_versions()
    here = _versions(found["client"])
    others = {"the scheduler": found["scheduler"], **found["workers"]}
    for name, there in ((name, _versions(content)) for name, content in others.items()):
        if there != here:
            raise CampaignError(f"--scheduler: {name} has {_words(there)}, but here is {_words(here)}")


def _versions(content: Mapping[str, Any]) -> dict[str, str]:
    python = ".".join(str(content["host"]["python"]).split(".")[:2])
    return {"Python": python} | {name: str(content["packages"].get(name)) for name in _VERSIONS}


def _words(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _check_files(client: Any, files: list[Path]) -> int:
    """Refuse a worker that has not the same files at the same places; return how many there are."""
    paths = [os.path.abspath(path) for path in [*files, Path(worker.__file__)]]
    here = [digest(Path(path)) for path in paths]
    found = client.run(_remote_digests(), paths)
    if not found:
        raise CampaignError("--scheduler: it has no worker")
    for name, digests in found.items():
        for path, mine, other in zip(paths, here, digests, strict=True):
            if mine != other:
                has = "has not" if other is None else "has another"
                raise CampaignError(f"--scheduler: the worker {name} {has} {path}")
    return len(found)


# The functions for the workers are local ones. dask sends the code of such functions, so that a
# worker needs not be able to import this package.


def _remote_work() -> Callable[..., tuple[int, bytes]]:
    def work(module: str, root: str, keep: str, mark: str, line: str) -> tuple[int, bytes]:
        """Run one worker program for one job: its exit code, and its answer."""
        import os
        import subprocess
        import sys
        import tempfile

        # The name lets a later start of `run.py` remove it if this process is killed.
        with tempfile.TemporaryDirectory(prefix=f"kvstore-simulator-{os.getpid()}-") as scratch:
            done = subprocess.run(
                [sys.executable, "-m", module, str(os.getpid()), scratch, keep],
                cwd=root, env={**os.environ, **dict([mark.split("=")])},
                input=line.encode(), stdout=subprocess.PIPE, check=False,
            )
        return done.returncode, done.stdout
    return work


def _remote_digests() -> Callable[[list[str]], list[str | None]]:
    def digests(paths: list[str]) -> list[str | None]:
        """The SHA-256 of each file; `None` for one that is not there."""
        import hashlib

        found: list[str | None] = []
        for path in paths:
            try:
                with open(path, "rb") as file:
                    found.append(hashlib.sha256(file.read()).hexdigest())
            except OSError:
                found.append(None)
        return found
    return digests


def _remote_sweep() -> Callable[[str, str], None]:
    def sweep(guard: str, mark: str) -> None:
        """Let a guard end all processes of the campaign."""
        import subprocess
        import sys

        subprocess.run([sys.executable, "-I", "-S", guard, mark], stdin=subprocess.DEVNULL, check=False)
    return sweep
