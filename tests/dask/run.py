#!/usr/bin/env python3
"""Sweeps on a real scheduler of dask with two workers, of which one is killed in the middle.

The script installs dask in `target`. A sweep of real runs must have each run once, its records must
be those of a sweep without dask, and no process may be left. Exit code 0 if all of that holds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from simulator import guard
from simulator.tests.support import ROOT, SMALL

DISTRIBUTED = "2026.8.0"
TOOLS = ROOT / "target" / f"tools-dask-{DISTRIBUTED}"
HANG_SECONDS = 300.0
SEEDS = 10


def main() -> int:
    python = install()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        scenario = directory / "five.json"
        scenario.write_text(json.dumps(SMALL))
        with cluster(python, directory) as (address, mark):
            check_sweep(python, directory, scenario, address, mark)
            check_interrupted_sweep(python, directory, scenario, address, mark)
            check_files(python, directory, scenario, address)
        check_errors(python, directory, scenario)
        ours = run(Path(sys.executable), "sweep", scenario, "--seeds=1", f"--out={directory / 'ours'}")
        expect("a sweep without dask passes", ours.returncode == 0, ours)
        one, other = records(directory / "ours")[0], records(directory / "killed")[0]
        expect("the records have the same keys", one.keys() == other.keys(), one, other)
    print("all checks hold")
    return 0


def install() -> Path:
    """The Python of an environment with dask."""
    python = TOOLS / "bin" / "python"
    if not (TOOLS / "bin" / "dask").exists():
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"distributed=={DISTRIBUTED}"], check=True)
    return python


@contextmanager
def cluster(python: Path, directory: Path) -> Iterator[tuple[str, str]]:
    """A scheduler with two workers: its address, and the mark of all its processes."""
    file = directory / "scheduler.json"
    mark = f"DASK_TEST={uuid.uuid4().hex}"
    environment = {**os.environ, **dict([mark.split("=")])}
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    dask = [str(python), "-m", "dask"]
    with (directory / "dask.log").open("w") as log:
        places = ["--local-directory", str(directory / "dask"), "--nthreads", "1"]
        for arguments in (
            ["scheduler", "--host", "127.0.0.1", "--port", "0", *common],
            ["worker", *common, *places], ["worker", *common, *places],
        ):
            subprocess.Popen([*dask, *arguments], env=environment, stdout=log, stderr=log)
        try:
            wait_until("the scheduler is there", lambda: file.exists() and b"}" in file.read_bytes())
            address = json.loads(file.read_text())["address"]
            wait_until("both workers are there", lambda: workers(python, address) == 2)
            yield address, mark
        except BaseException:
            print((directory / "dask.log").read_text()[-4_000:], file=sys.stderr)
            raise
        finally:
            guard.sweep(mark)


def workers(python: Path, address: str) -> int:
    script = "import distributed as d, sys; print(len(d.Client(sys.argv[1]).scheduler_info()['workers']))"
    done = subprocess.run([python, "-c", script, address], capture_output=True, check=False, text=True)
    return int(done.stdout or 0)


def check_sweep(python: Path, directory: Path, scenario: Path, address: str, mark: str) -> None:
    """A sweep in which a worker is killed has each run once."""
    out = directory / "killed"
    with started(python, scenario, out, address, SEEDS) as process:
        wait_until("the first runs have ended", lambda: len(records(out)) >= 2)
        victims = dask_workers(mark)
        os.kill(victims[0], signal.SIGKILL)
        said = process.communicate(timeout=HANG_SECONDS)[0]
    expect("two workers were there", len(victims) == 2, victims)
    expect("the sweep passes", process.returncode == 0, said)
    seeds = sorted(record["seed"] for record in records(out))
    expect("each run is there once", seeds == list(range(1, SEEDS + 1)), seeds)
    wait_until("no process of a run is left", lambda: not run_processes(mark))


def check_interrupted_sweep(
    python: Path, directory: Path, scenario: Path, address: str, mark: str
) -> None:
    """After Ctrl-C no run goes on, and the same command goes on with the sweep."""
    out = directory / "interrupted"
    wait_until("both workers are there again", lambda: workers(python, address) == 2)
    with started(python, scenario, out, address, 3) as process:
        wait_until("a run has ended", lambda: len(records(out)) >= 1)
        wait_until("another one runs", lambda: bool(run_processes(mark)))
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=HANG_SECONDS)[0]
    expect("no process of a run is left", not run_processes(mark), run_processes(mark))
    is_told = process.returncode == 1 and "go on with: ./run.py sweep" in said
    expect("the sweep says how to go on", is_told, said)
    with started(python, scenario, out, address, 3) as process:
        said = process.communicate(timeout=HANG_SECONDS)[0]
    expect("the sweep goes on", process.returncode == 0 and "goes on after" in said, said)
    expect("each run is there once", len({record["seed"] for record in records(out)}) == 3, records(out))


def check_files(python: Path, directory: Path, scenario: Path, address: str) -> None:
    """A replica that differs on the workers is told before the first run."""
    # This file has another content in each process.
    replica = "/proc/self/cmdline"
    done = run(python, "sweep", scenario, "--seeds=1", f"--out={directory / 'files'}",
               f"--scheduler={address}", f"--replica={replica}")
    is_told = one_line(done, f"has another {replica}") and not records(directory / "files")
    expect("another replica is refused in one line", is_told, done)


def check_errors(python: Path, directory: Path, scenario: Path) -> None:
    arguments = ["sweep", scenario, "--seeds=1", f"--out={directory / 'errors'}"]
    done = run(python, *arguments, "--scheduler=tcp://127.0.0.1:9")
    is_told = one_line(done, "cannot be reached")
    expect("a scheduler that is not there is told in one line", is_told, done)
    # This Python has no environment with dask, and must not find one that its user has.
    done = run(Path(sys.executable), *arguments, "--scheduler=tcp://127.0.0.1:9", isolated=True)
    expect("missing dask is told in one line", one_line(done, "distributed is not installed"), done)


def one_line(done: subprocess.CompletedProcess[str], words: str) -> bool:
    lines = [line for line in done.stderr.splitlines() if "going on without" not in line]
    return done.returncode == 1 and len(lines) == 1 and words in lines[0]


def run(python: Path, *arguments: Any, isolated: bool = False) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PYTHONNOUSERSITE": "1"} if isolated else {})
    return subprocess.run(
        [python, ROOT / "run.py", *arguments], capture_output=True, check=False, text=True, env=environment,
    )


@contextmanager
def started(
    python: Path, scenario: Path, out: Path, address: str, seeds: int
) -> Iterator[subprocess.Popen[str]]:
    command: list[str | Path] = [
        python, ROOT / "run.py", "sweep", scenario, f"--seeds=1..{seeds}", f"--out={out}",
        f"--scheduler={address}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def records(out: Path) -> list[dict[str, Any]]:
    file = out / "results.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def dask_workers(mark: str) -> list[int]:
    """The processes of the workers themselves, which run tasks; each has a nanny as parent."""
    return [pid for pid in marked(mark) if "spawn_main" in command_of(pid)]


def run_processes(mark: str) -> list[int]:
    return [pid for pid in marked(mark) if "run.py" in command_of(pid) or "kvstore" in command_of(pid)]


def marked(mark: str) -> list[int]:
    return sorted(guard._family(mark.encode()))


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def wait_until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: {what}, but not within {HANG_SECONDS:g} s")
        time.sleep(0.1)


def expect(what: str, holds: bool, *shown: Any) -> None:
    print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)
    if not holds:
        raise SystemExit("\n".join(map(str, shown)))


if __name__ == "__main__":
    sys.exit(main())
