"""A series of pairs of runs: its order, its progress and its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simulator.campaign.job import ERROR, Outcome
from simulator.compare import beside
from simulator.compare.estimate import Estimate
from simulator.compare.findings import PairOfRuns, why
from simulator.compare.runs import Refused, Setting, carry_out, runner
from simulator.compare.sides import Side
from simulator.compare.turns import Pair
from simulator.console import Console
from simulator.workspace import private_directory

# A side whose first runs all end before anything is simulated will not do better later.
_MOST_ERRORS = 3


class Series:
    """All pairs of a comparison."""

    def __init__(
        self, sides: tuple[Side, Side], pairs: Sequence[Pair[Path]], setting: Setting,
        estimate: Estimate, console: Console,
    ) -> None:
        self._sides = sides
        self._pairs = pairs
        self._setting = setting
        # The scenario of each run that is left.
        self._left = [pair.scenario.stem for pair in self._pairs for _ in sides]
        self._estimate = estimate
        self._console = console
        self._errors = {side.name: 0 for side in sides}
        self._able: set[str] = set()  # the sides that have simulated something
        self.done: list[PairOfRuns] = []
        self.stopped = ""  # the reason for an end before the last pair
        self.was_refused = False  # because of bad usage

    def play(self) -> None:
        """Carry out pairs until Ctrl-C, or until a side cannot run. A half pair does not count."""
        try:
            with private_directory() as directory:
                for pair in self._pairs:
                    self._show_progress(pair.scenario.stem, pair.seed)
                    self.done.append(self._carry_out(pair, directory))
                    self._tell_pair(self.done[-1])
                    if self.stopped:
                        return
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        except Refused as error:
            self.stopped, self.was_refused = str(error), True
            if self._setting.is_virtual:
                self.stopped += "; with --virtual the options are those of the explorer: see explore --help"
        finally:
            self._console.end_progress()

    def _carry_out(self, pair: Pair[Path], directory: Path) -> PairOfRuns:
        if not self._setting.is_beside:
            return carry_out(pair, self._sides, self._setting, runner(directory), self._has_run)
        runs = beside.carry_out(pair, self._sides, self._setting, directory)
        for side, outcome in zip(self._sides, runs.runs, strict=True):
            self._has_run(side, outcome)
        return runs

    def _show_progress(self, scenario: str, seed: int) -> None:
        done = len(self.done)
        self._console.progress(
            f"pair {done + 1} of {len(self._pairs)}, {scenario} with seed {seed}, "
            f"{self._estimate.words(self._left)}"
        )

    def _has_run(self, side: Side, outcome: Outcome) -> None:
        self._estimate.add(self._left.pop(0), outcome.seconds)
        if outcome.verdict != ERROR:
            self._able.add(side.name)
        self._errors[side.name] += outcome.verdict == ERROR
        if side.name not in self._able and self._errors[side.name] >= _MOST_ERRORS:
            self.stopped = f"{side.name} does not run: {outcome.reason}"

    def _tell_pair(self, pair: PairOfRuns) -> None:
        words = [
            f"{side.name} {run.verdict}{f' ({why(run)})' if run.reason else ''}"
            for side, run in zip(self._sides, pair.runs, strict=True)
        ]
        left = f"; {self._estimate.words(self._left)}" if self._left else ""
        self._console.notice(f"{pair.scenario}, seed {pair.seed}: {', '.join(words)}{left}")
