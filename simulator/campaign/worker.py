"""A worker: takes jobs on standard input and answers with their outcomes, one JSON line each.

It is a process of its own, so that its death costs no more than the run that it had. It dies with
the campaign, and its run with it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from simulator.campaign import job
from simulator.campaign.job import Job, Outcome
from simulator.replica import die_with_simulator

_UNRECORDED = ("was_killed", "was_refused")


def main(parent: str, scratch: str, keep: str) -> None:
    die_with_simulator()
    if os.getppid() != int(parent):
        return  # The campaign died before the line above.
    # A run must not write into the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        outcome = job.run(Job.of_json(json.loads(line)), Path(scratch), keep=Path(keep))
        print(as_line(outcome), file=answers, flush=True)


def as_line(outcome: Outcome) -> str:
    """The line about an outcome, with the parts of it that no record has."""
    return json.dumps(outcome.to_json() | {name: getattr(outcome, name) for name in _UNRECORDED})


def answer(line: bytes) -> Outcome:
    """The outcome in a line of a worker."""
    return Outcome.of_json(json.loads(line))


if __name__ == "__main__":
    main(*sys.argv[1:])
