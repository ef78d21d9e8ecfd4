"""Carries out pairs of runs as jobs of a campaign, one run after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simulator.campaign import job
from simulator.campaign.job import Job, Outcome
from simulator.compare.findings import PairOfRuns
from simulator.compare.sides import Side
from simulator.compare.turns import Pair

# The last line of a trace holds the texts of failed checks.
_MOST_LAST_LINE = 1 << 20

RunJob = Callable[[Job], Outcome]


class Refused(Exception):
    """The command of a side is bad usage, as those of its other runs would be."""


@dataclass(frozen=True)
class Setting:
    """The part of the command line that all runs have in common."""

    transport: str = "seqpacket"
    is_virtual: bool = False
    is_beside: bool = False  # both runs of a pair at the same time
    arguments: tuple[str, ...] = ()


def job_of(side: Side, config: Path, seed: int, setting: Setting) -> Job:
    if setting.is_virtual:
        return Job(config, seed, virtual=True, arguments=side.options)
    return Job(config, seed, side.program, side.options, setting.transport, arguments=setting.arguments)


def carry_out(
    pair: Pair[Path], sides: Sequence[Side], setting: Setting, run: RunJob,
    has_run: Callable[[Side, Outcome], None],
) -> PairOfRuns:
    """Run both sides in the order of the pair."""
    outcomes: dict[int, Outcome] = {}
    for index in pair.order:
        side = sides[index]
        outcomes[index] = run(job_of(side, pair.scenario, pair.seed, setting))
        if outcomes[index].was_refused:
            raise Refused(f"{side.name}: {outcomes[index].reason}")
        has_run(side, outcomes[index])
    return PairOfRuns(pair.scenario.stem, pair.seed, (outcomes[0], outcomes[1]))


def runner(directory: Path) -> RunJob:
    """Runs a job with its files in `directory`, of which nothing is left."""
    def run(asked: Job) -> Outcome:
        return _run_virtual(asked, directory) if asked.virtual else job.run(asked, directory)
    return run


def _run_virtual(asked: Job, directory: Path) -> Outcome:
    """The explorer tells the figures of a run in the last line of its trace only."""
    trace = directory / "run.trace"
    arguments = (*asked.arguments, "--trace-file", str(trace))
    try:
        outcome = job.run(replace(asked, arguments=arguments), directory)
        figures = _last_figures(trace)
    finally:
        trace.unlink(missing_ok=True)
    return replace(outcome, command=asked.command, metrics=_metrics(figures))


def _last_figures(trace: Path) -> dict[str, Any]:
    """Empty if the trace does not end as it should."""
    try:
        with trace.open("rb") as file:
            file.seek(max(0, trace.stat().st_size - _MOST_LAST_LINE))
            last = file.read().splitlines()[-1]
        figures = json.loads(last)["result"]["figures"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return figures if isinstance(figures, dict) else {}


def _metrics(figures: dict[str, Any]) -> dict[str, float | None]:
    """The names and units that runs in real time have. A failover of 0 us is none."""
    if not figures:
        return {}
    micro = {
        "median_latency": "median_latency_us", "p99_latency": "p99_latency_us", "failover": "recovery_us",
    }
    found: dict[str, float | None] = {
        name: figures[figure] / 1e6 if figures.get(figure) else None for name, figure in micro.items()
    }
    return found | {"total_msgs": figures.get("messages")}
