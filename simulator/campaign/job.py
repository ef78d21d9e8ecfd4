"""One run of a campaign: a scenario, a seed and a program, as a process of its own.

`run` starts `./run.py` for a `Job`, or the explorer for a virtual one, and turns its result into an
`Outcome`. That is one record of plain values for a line of JSON.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from simulator import build, config, kept
from simulator.campaign import process, reading
from simulator.campaign.process import Ended
from simulator.loop import JOIN_SECONDS
from simulator.messages import printable
from simulator.signals import name_of
from simulator.tiers import WORST_TIER

PASSED, FAILED, ERROR = "passed", "failed", "error"
VERDICTS = (PASSED, FAILED, ERROR)
BAD_USAGE = 2
RUNNER = build.REPOSITORY / "run.py"
EXPLORER = build.REPOSITORY / "target" / "release" / "explore"
# Beside its lifetime a run starts, joins, ends and judges its history, on a machine that has others
# to run, too.
_SPARE_SECONDS = 120.0
_VIRTUAL_SECONDS = 300.0
# Failed runs whose files a campaign keeps.
MOST_KEPT = 100
_MOST_REASON = 300
_MOST_LINES, _MOST_TEXT = 40, 8_000
# More than any metric of a run; the statistics take their squares.
_MOST_NUMBER = 1e15


@dataclass(frozen=True)
class Job:
    """A run that can be repeated: `arguments` are further ones of `run.py`, or of the explorer."""

    config: Path
    seed: int
    replica: Path | None = None
    options: tuple[str, ...] = ()
    transport: str = "seqpacket"
    virtual: bool = False
    arguments: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of the job in its campaign."""
        return f"{self.config_name}#{self.seed}"

    @property
    def config_name(self) -> str:
        return shown(self.config)

    @property
    def command(self) -> str:
        """The command that repeats the run, for a shell in the checkout."""
        program = shown(EXPLORER) if self.virtual else "./run.py"
        return shlex.join([program, *self._words(shown)])

    def words(self) -> list[str]:
        """The command for a process in any directory."""
        program = [str(EXPLORER)] if self.virtual else [sys.executable, str(RUNNER)]
        return [*program, *self._words(os.path.abspath)]

    def _words(self, named: Callable[[Path], str]) -> list[str]:
        if self.virtual:
            return ["--scenario", named(self.config), "--seed", str(self.seed), *self.arguments]
        words = [named(self.config), f"--seed={self.seed}"]
        if self.replica is not None:
            words.append(f"--replica={named(self.replica)}")
        if self.options:
            words.append(f"--replica-options={shlex.join(self.options)}")
        if self.transport != "seqpacket":
            words.append(f"--transport={self.transport}")
        return [*words, *self.arguments]

    def to_json(self) -> dict[str, Any]:
        replica = None if self.replica is None else os.path.abspath(self.replica)
        return asdict(self) | {"config": os.path.abspath(self.config), "replica": replica}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Job:
        replica = content["replica"]
        return cls(**content | {
            "config": Path(content["config"]),
            "replica": None if replica is None else Path(replica),
            "options": tuple(content["options"]),
            "arguments": tuple(content["arguments"]),
        })


def shown(path: Path) -> str:
    """A path within the checkout as seen from there; another one in full."""
    absolute = os.path.abspath(path)
    return absolute.removeprefix(f"{build.REPOSITORY}/")


@dataclass(frozen=True)
class Outcome:
    """The result of a job. Of a run that is not `passed`, `reason` tells why in one line."""

    key: str
    config: str
    seed: int
    verdict: str
    reason: str = ""
    failed: tuple[dict[str, str], ...] = ()  # each check that failed: its name and its text
    tiers: dict[str, int] = field(default_factory=dict)  # metric -> 0 (best) to 3
    metrics: dict[str, float | None] = field(default_factory=dict)
    advice: tuple[str, ...] = ()
    seconds: float = 0.0
    command: str = ""
    kept: str | None = None  # the directory with the files of the run
    said: str = ""  # the last lines of its output
    was_killed: bool = False  # by a signal that did not come from here, so the run shows nothing
    was_refused: bool = False  # its command is bad usage, as that of all other runs may be

    @property
    def passed(self) -> bool:
        return self.verdict == PASSED

    def to_json(self) -> dict[str, Any]:
        """The record as plain values, without those that say nothing."""
        content = asdict(self)
        del content["was_killed"], content["was_refused"]
        optional = ("reason", "failed", "tiers", "metrics", "advice", "kept", "said")
        return {name: value for name, value in content.items() if value or name not in optional}

    @classmethod
    def of_json(cls, content: Any) -> Outcome:
        """The outcome of a record; raises ValueError if it is none."""
        known = {one.name for one in fields(cls)}
        if type(content) is not dict or not content.keys() <= known:
            raise ValueError("no record of a run")
        for name, types in _TYPES.items():
            if name in content and not isinstance(content[name], types):
                raise ValueError(f"{name}: has another type")
        if not content.keys() >= {"key", "config", "seed", "verdict"} or content["verdict"] not in VERDICTS:
            raise ValueError("no record of a run")
        for name, fits in _PARTS.items():
            if name in content and not fits(content[name]):
                raise ValueError(f"{name}: has another content")
        tuples = {name: tuple(content[name]) for name in ("failed", "advice") if name in content}
        return cls(**content | tuples)


_TYPES: dict[str, type | tuple[type, ...]] = {
    "key": str, "config": str, "seed": int, "verdict": str, "reason": str, "failed": list,
    "tiers": dict, "metrics": dict, "advice": list, "seconds": (int, float), "command": str,
    "kept": str, "said": str, "was_killed": bool, "was_refused": bool,
}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _MOST_NUMBER


# The values whose types `_TYPES` has, further inside.
_PARTS: dict[str, Callable[[Any], bool]] = {
    "failed": lambda checks: all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("text"), str)
        for one in checks
    ),
    "tiers": lambda tiers: all(type(tier) is int and 0 <= tier <= WORST_TIER for tier in tiers.values()),
    "metrics": lambda metrics: all(value is None or _is_number(value) for value in metrics.values()),
    "advice": lambda advice: all(isinstance(line, str) for line in advice),
    "seconds": _is_number,
    # A name that no file can have is an error of this call.
    "kept": lambda path: bool(os.fsencode(path)),
}


def run(
    job: Job, directory: Path, *, limit: float | None = None, keep: Path | None = None
) -> Outcome:
    """Run a job to its end in a private part of `directory`, of which nothing is left.

    After `limit` seconds, or a time that follows from the lifetime of the scenario, the run is
    ended. A failed run leaves its files in `keep`, or where `run.py` leaves those of each failed
    run. Call it from the main thread of a process: the run ends if the calling thread ends.
    """
    try:
        seconds = limit or _limit(job)
        with tempfile.TemporaryDirectory(dir=directory, prefix="run-") as place:
            return _run(job, Path(place).resolve(), seconds, keep)
    except (config.ConfigError, OSError) as error:
        return failure(job, printable(str(error)))


def _limit(job: Job) -> float:
    if job.virtual:
        return _VIRTUAL_SECONDS
    lifetime = config.load(job.config).lifetime
    return lifetime + JOIN_SECONDS + max(_SPARE_SECONDS, lifetime)


def _run(job: Job, place: Path, seconds: float, keep: Path | None) -> Outcome:
    result = place / "result.json"
    words = job.words()
    environment = {"TMPDIR": str(place)}
    if job.virtual:
        words += ["--no-minimise", f"--save={place / 'plan.json'}"]
    else:
        words += ["--silence", f"--json={result}"]
    if keep is not None and not job.virtual:
        # `run.py` keeps few runs in one place, so each job has its own.
        environment[kept.PLACE] = str(keep.resolve() / f"{job.config.stem}-{job.seed}")
        words += ["--no-keep"] if _is_full(keep) else []
    ended = process.run(words, build.REPOSITORY, environment, seconds)
    if ended.timed_out:
        return failure(job, f"was ended after {seconds:g} s, because it had not ended by then", ended)
    if ended.code < 0:
        return failure(job, f"was killed by {name_of(-ended.code)}", ended, was_killed=True)
    if ended.code == BAD_USAGE:
        return replace(failure(job, _complaint(ended), ended), was_refused=True)
    return _virtual(job, ended) if job.virtual else _real(job, ended, result)


def _is_full(keep: Path) -> bool:
    return keep.exists() and sum(1 for _ in keep.iterdir()) >= MOST_KEPT


def failure(job: Job, reason: str, ended: Ended | None = None, *, was_killed: bool = False) -> Outcome:
    """The outcome of a run without a result."""
    return Outcome(
        job.key, job.config_name, job.seed, ERROR, reason[:_MOST_REASON], command=job.command,
        seconds=round(ended.seconds, 3) if ended else 0.0, said=_last_lines(ended), was_killed=was_killed,
    )


def _real(job: Job, ended: Ended, file: Path) -> Outcome:
    found = reading.of_file(file)
    if found is None or (ended.code == 0) != found.correct:
        return failure(job, _last_line(ended), ended)
    return _outcome(job, ended, found)


def _virtual(job: Job, ended: Ended) -> Outcome:
    if ended.code not in (0, 1):
        return failure(job, _last_line(ended), ended)
    return _outcome(job, ended, reading.of_explorer(ended.output, job.seed, ended.code == 0))


def _outcome(job: Job, ended: Ended, found: reading.Found) -> Outcome:
    # The lines below the first one of a text explain it.
    reason = "; ".join(check["text"].partition("\n")[0] for check in found.failed)
    return Outcome(
        job.key, job.config_name, job.seed,
        verdict=PASSED if found.correct else FAILED,
        reason="" if found.correct else (reason or _last_line(ended))[:_MOST_REASON],
        failed=found.failed, tiers=found.tiers, metrics=found.metrics, advice=found.advice,
        seconds=round(ended.seconds, 3),
        command=job.command,
        kept=_kept(ended.output),
        said="" if found.correct else _last_lines(ended),
    )


def _kept(output: str) -> str | None:
    place = reading.place_kept(output)
    return None if place is None else os.path.join(build.REPOSITORY, place)


def _lines(ended: Ended) -> Sequence[str]:
    return [printable(line) for line in ended.output.splitlines() if line.strip()]


def _last_line(ended: Ended) -> str:
    lines = _lines(ended)
    return lines[-1] if lines else f"ended with exit code {ended.code} and said nothing"


def _complaint(ended: Ended) -> str:
    """The line that names the bad usage: that of the explorer has advice below it."""
    return next((line for line in _lines(ended) if line.startswith("error: ")), _last_line(ended))


def _last_lines(ended: Ended | None) -> str:
    lines = [] if ended is None else _lines(ended)[-_MOST_LINES:]
    return "\n".join(lines)[-_MOST_TEXT:]
