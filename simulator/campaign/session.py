"""One start of a campaign: reads what is done, runs what is left, and writes all results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from simulator import output
from simulator.campaign import junit, plan, store
from simulator.campaign.job import ERROR, FAILED, Job, Outcome
from simulator.campaign.plan import CampaignError, Plan
from simulator.campaign.progress import Display, Progress
from simulator.campaign.store import Store
from simulator.campaign.summary import page
from simulator.campaign.tally import Tally
from simulator.signals import Signals

KEPT = "kept"

Outcomes = Callable[[Iterator[Job]], Iterator[Outcome | None]]


class RefusedError(Exception):
    """A run is bad usage, so that more of them would show nothing."""


class Session:
    """The campaign of a plan in its directory."""

    def __init__(self, planned: Plan, directory: Path) -> None:
        """Open the directory, which is new, empty, or has an earlier part of the same campaign."""
        self.plan = planned
        self.directory = directory
        _open(planned, directory)
        self._store = Store(directory)
        self.tally = Tally(planned, [self._store.path])
        self.progress = Progress(planned.runs_of_each(), planned.lifetimes())
        self.display = Display(time.monotonic)
        self._read()

    def _read(self) -> None:
        for offset, outcome in store.records(self._store.path):
            if not self.plan.has(outcome):
                raise CampaignError(f"{self._store.path}: {outcome.key}: no run of this campaign")
            if outcome.seed in self.tally.scenarios[outcome.config].places:
                raise CampaignError(f"{self._store.path}: {outcome.key}: has two records")
            self._count(outcome, offset, is_new=False)

    def _count(self, outcome: Outcome, offset: int, *, is_new: bool) -> None:
        self.tally.add(outcome, (0, offset))
        self.progress.count(outcome, is_new=is_new)

    def left(self) -> Iterator[Job]:
        """The jobs that have no record."""
        for job in self.plan.jobs():
            if job.seed not in self.tally.scenarios[job.config_name].places:
                yield job

    def run(self, outcomes: Outcomes, size: int, signals: Signals) -> None:
        """Run what is left, `size` jobs at a time, until the end or a signal."""
        self.progress.size = size
        output.when_lost(signals.request_stop)
        try:
            for outcome in outcomes(self.left()):
                if outcome is not None:
                    self._finish(outcome)
                self.display.tick(self.progress)
        finally:
            self.display.end()

    def _finish(self, outcome: Outcome) -> None:
        if outcome.was_refused:
            raise RefusedError(f"{outcome.command}: {outcome.reason}")
        if outcome.kept is not None:
            outcome = replace(outcome, kept=_as_seen_from(self.directory, outcome.kept))
        self._count(outcome, self._store.append(outcome), is_new=True)
        if not outcome.passed:
            said = f"{outcome.verdict}: {outcome.key}: {outcome.reason}"
            self.display.line(f"{said}; repeat: {outcome.command}")

    def write(self) -> None:
        """Write the outputs with all that is done."""
        write(self.tally, self.directory)

    def close(self) -> None:
        self._store.close()


def write(tally: Tally, directory: Path) -> None:
    """Write the files that are made of the results."""
    junit.write(tally, directory)
    page.write(tally, directory)


def verdict(tally: Tally) -> str:
    """The counts in one line."""
    verdicts = tally.verdicts
    return f"passed {verdicts.total() - verdicts[FAILED] - verdicts[ERROR]:,} of {verdicts.total():,}"


def _open(planned: Plan, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / plan.FILE).exists():
        difference = planned.difference(plan.load(directory))
        if difference is not None:
            raise CampaignError(f"{directory}: has another campaign: {difference}")
    elif any(directory.iterdir()):
        raise CampaignError(f"{directory}: must be new, empty, or have an earlier part of the same campaign")
    else:
        plan.save(planned, directory)


def _as_seen_from(directory: Path, place: str) -> str:
    """A place within the directory as seen from there, so that both may move together."""
    base = os.path.abspath(directory)
    return os.path.relpath(place, base) if place.startswith(f"{base}/") else place
