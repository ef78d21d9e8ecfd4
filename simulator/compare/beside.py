"""A pair of runs at the same time: two clusters in one run of `run.py --beside`."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator import build, config
from simulator.campaign import job, process, reading
from simulator.campaign.job import FAILED, PASSED, Job, Outcome
from simulator.compare.findings import PairOfRuns
from simulator.compare.runs import Refused, Setting
from simulator.compare.sides import Side
from simulator.compare.turns import Pair

# For the start, the end and two verdicts, on a machine that has other work, too.
_SPARE_SECONDS = 240.0
_BAD_USAGE = 2


def carry_out(pair: Pair[Path], sides: Sequence[Side], setting: Setting, directory: Path) -> PairOfRuns:
    """Run both sides. The side whose turn is first is the one whose requests go first."""
    first, second = (sides[index] for index in pair.order)
    asked = _job(first, second, pair, setting)
    outcomes = dict(zip(pair.order, _run(asked, directory), strict=True))
    return PairOfRuns(pair.scenario.stem, pair.seed, (outcomes[0], outcomes[1]))


def _job(first: Side, second: Side, pair: Pair[Path], setting: Setting) -> Job:
    # The options of the second side come as one word, which may be empty but must be there.
    beside = [f"--beside-options={shlex.join(second.options)}"]
    if second.program is not None:
        beside.append(f"--beside={second.program.resolve()}")
    return Job(
        pair.scenario, pair.seed, first.program, first.options, setting.transport,
        arguments=(*setting.arguments, *beside),
    )


def _run(asked: Job, directory: Path) -> list[Outcome]:
    """The outcomes of both clusters. Without a result, both have the same reason."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="run-") as place:
        results = Path(place).resolve() / "results.json"
        ended = process.run(
            [*asked.words(), "--silence", f"--json={results}"], build.REPOSITORY, {"TMPDIR": place},
            2 * config.load(asked.config).lifetime + _SPARE_SECONDS,
        )
        if ended.code == _BAD_USAGE:
            lines = ended.output.strip().splitlines()
            raise Refused(lines[-1] if lines else "bad usage")
        found = _found(results)
    if found is None or ended.timed_out:
        return [job.failure(asked, "one run with both sides left no result", ended)] * 2
    return [replace(_outcome(asked, one), seconds=ended.seconds / 2) for one in found]


def _found(results: Path) -> list[reading.Found] | None:
    """Both results, each as if it were that of a run of its own."""
    try:
        contents: list[Any] = json.loads(results.read_bytes())
        found = []
        for content in contents:
            results.write_text(json.dumps(content))
            found.append(reading.of_file(results))
    except (OSError, ValueError, TypeError):
        return None
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) == 2 else None


def _outcome(asked: Job, found: reading.Found) -> Outcome:
    reason = "; ".join(check["text"].partition("\n")[0] for check in found.failed)
    return Outcome(
        asked.key, asked.config_name, asked.seed, PASSED if found.correct else FAILED, reason,
        failed=found.failed, metrics=found.metrics, command=asked.command,
    )
