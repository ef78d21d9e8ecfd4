"""Runs a scenario once and writes the files that the run leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulator import history, kept, options, picture
from simulator.advice import Advice, advise, block
from simulator.arguments import FileError, told_with
from simulator.config import Scenario
from simulator.console import Console
from simulator.judge import judged
from simulator.kept import Left
from simulator.loop import simulate
from simulator.messages import identifier
from simulator.replica import OptionsRefused, StartError
from simulator.result import Result
from simulator.setup import Setup
from simulator.signals import Signals
from simulator.trace.outline import last_line
from simulator.trace.reader import TraceError
from simulator.trace.recorder import UNTRACED, Recorder, Trace
from simulator.trace.sink import Sink
from simulator.workspace import Workplace, private_directory, remove, without_sockets

# Of a trace that is written only because the run may fail.
AUTOMATIC_TRACE_BYTES = 256 << 20
# The name of a trace while it is written.
_TRACE = "run.trace"


@dataclass(frozen=True)
class Finished:
    """The run of one cluster, with the advice about it and the place where it is kept."""

    result: Result
    advice: list[Advice]
    kept: Path | None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.result.to_json(),
            "advice": [asdict(advice) for advice in self.advice],
            "kept": None if self.kept is None else str(self.kept),
        }


@dataclass(frozen=True)
class _Place:
    """Where one cluster runs. `label` tells its files from those of other clusters and runs."""

    label: str | None
    root: Path  # removed after the run, unless it is kept
    work: Workplace
    trace: Path | None

    def left(self, command: str, finished: Finished | None) -> Left:
        assert self.trace is not None  # A run without a trace is not kept.
        ours = (self.work.directory, self.work.data)
        return Left(
            self.trace, command,
            # A working directory that is the user's stays where it is.
            tuple(path for path in ours if path.parent == self.root and path.is_dir()),
            None if finished is None else finished.result.history,
            None if finished is None else finished.to_json(),
        )

    @property
    def has_trace(self) -> bool:
        """Whether the trace can be read again: one that went to a pipe cannot."""
        return self.trace is not None and self.trace.is_file() and self.trace.stat().st_size > 0


class Runner:
    """Runs a scenario once, for all clusters, and keeps the things that the run leaves."""

    def __init__(self, setup: Setup, console: Console, signals: Signals) -> None:
        self._setup = setup
        self._console = console
        self._signals = signals

    def run(
        self,
        scenario: Scenario,
        seed: int | None,
        labels: Sequence[str | None],
        command: str,
        show: Callable[[list[Finished]], None],
    ) -> list[Finished]:
        """The run of each cluster. `show` has the results before a file can fail to be written.

        `labels` tell the files of the clusters apart. `command` repeats the run when its `{seed}`
        is filled in.
        """
        with ExitStack() as stack:
            places = [self._place(stack, scenario, label) for label in labels]
            try:
                results = self._simulate(scenario, seed, places, command)
            except StartError:
                self._keep_without_result(scenario, places, command)
                raise
            except OptionsRefused:
                self._clear(places)
                raise
            finished = [
                self._finish(result, place, command) for result, place in zip(results, places, strict=True)
            ]
            show(finished)
            for one, place in zip(finished, places, strict=True):
                self._write_files(one, place, command)
            return finished

    # Before the run.

    def _place(self, stack: ExitStack, scenario: Scenario, label: str | None) -> _Place:
        try:
            root = self._root(stack, label)
            work = self._setup.working_directory or root / "work"
            work.mkdir(exist_ok=True)
        except OSError as error:
            raise StartError(f"the run could not be set up: {error}") from None
        stack.enter_context(without_sockets(work, map(identifier, range(scenario.replicas))))
        return _Place(label, root, Workplace(work, root / "data"), self._trace_file(root, label))

    def _root(self, stack: ExitStack, label: str | None) -> Path:
        if self._setup.keep is None:
            return stack.enter_context(private_directory())
        root = self._setup.keep / (self._of_cluster(label) or "")
        root.mkdir(exist_ok=True)
        return root

    def _of_cluster(self, label: str | None) -> str | None:
        """The label; of two clusters, the first has one here, too."""
        first = self._setup.clusters[0].name if len(self._setup.clusters) > 1 else None
        return label or first

    def _trace_file(self, root: Path, label: str | None) -> Path | None:
        if self._setup.trace is not None:
            return options.file_for(self._setup.trace, label)
        return root / _TRACE if self._setup.needs_trace else None

    def _record(self, path: Path | None, command: str) -> Trace:
        if path is None:
            return UNTRACED
        setup = self._setup
        if setup.trace or setup.report or setup.keep:
            with told_with(path):
                sink, tell = Sink(path), self._console.error
        else:
            try:
                sink, tell = Sink(path, AUTOMATIC_TRACE_BYTES), self._console.notice
            except OSError as error:
                self._console.notice(f"the run has no trace: {error.strerror}")
                return UNTRACED
        return Recorder(sink, command, lambda text: tell(self._named(text, path)))

    def _named(self, text: object, trace: Path) -> str:
        """`text` without the path of a trace that is gone after the run."""
        if self._setup.trace:
            return str(text)
        return str(text).replace(f"{trace}: the trace", "the trace").replace(str(trace), "the trace")

    # The run.

    def _simulate(
        self, scenario: Scenario, seed: int | None, places: Sequence[_Place], command: str
    ) -> list[Result]:
        """One run; a checker, if there is one, judges each history. Each trace gets its end."""
        setup = self._setup
        recorders = [self._record(place.trace, command) for place in places]
        try:
            results = simulate(
                scenario, setup.clusters, seed, self._console, self._signals, setup.join_seconds, recorders,
                [place.work for place in places],
            )
            if setup.checker is not None:
                results = [judged(result, setup.checker, self._console) for result in results]
            for recorder, result in zip(recorders, results, strict=True):
                recorder.end(last_line(result))
            return results
        finally:
            for recorder in recorders:
                recorder.close()

    # After the run. Advice and failed runs that are kept by themselves never change the verdict.

    def _finish(self, result: Result, place: _Place, command: str) -> Finished:
        finished = Finished(result, self._advice(result, place), self._setup.keep and place.root)
        if not self._is_kept_by_itself(result, place):
            return finished
        name = f"{result.scenario.name}-{result.seed}"
        if len(self._setup.clusters) > 1:
            name += f"-{self._of_cluster(place.label)}"
        left = place.left(command.replace("{seed}", str(result.seed)), finished)
        return Finished(result, finished.advice, self._keep_failed(left, name))

    def _advice(self, result: Result, place: _Place) -> list[Advice]:
        return [] if result.is_correct else self._advice_of_trace(place)

    def _advice_of_trace(self, place: _Place) -> list[Advice]:
        if not place.has_trace or place.trace is None:
            return []
        try:
            return advise(place.trace)
        except (OSError, TraceError) as error:
            self._console.notice(f"the trace tells no advice: {self._named(error, place.trace)}")
            return []

    def _is_kept_by_itself(self, result: Result, place: _Place) -> bool:
        if self._setup.keep or not self._setup.keeps_failed or not place.has_trace:
            return False
        # A run that the user ends early lacks the things that a minimum asks for.
        return any(
            not check.holds and not (self._signals.stop and check.is_minimum) for check in result.checks
        )

    def _keep_failed(self, left: Left, name: str) -> Path | None:
        try:
            return kept.keep_failed(left, name)
        except (OSError, TraceError) as error:
            self._console.notice(f"the failed run could not be kept: {error}")
            return None

    def _keep_without_result(
        self, scenario: Scenario, places: Sequence[_Place], command: str
    ) -> None:
        """Keep and draw the output of replicas that did not start."""
        command = command.replace(" --seed {seed}", "")
        for place in places:
            if not place.has_trace:
                continue
            if told := self._advice_of_trace(place):
                # Of several runs stdout has one line each.
                self._console.notice(block(told))
            self._report(place, has_end=False)
            left = place.left(command, None)
            directory: Path | None = place.root
            if self._setup.keep:
                with told_with(place.root):
                    kept.fill(place.root, left)
                    (place.root / _TRACE).unlink(missing_ok=True)
            elif self._setup.keeps_failed:
                directory = self._keep_failed(left, f"{scenario.name}-no-start")
            else:
                continue
            if directory is not None:
                self._console.notice(kept.tell(directory, has_page=False))

    def _clear(self, places: Sequence[_Place]) -> None:
        """Leave nothing of a run that was bad usage, so that the next one finds its place empty."""
        for place in places if self._setup.keep else ():
            remove(place.root)

    def _write_files(self, finished: Finished, place: _Place, command: str) -> None:
        setup, result = self._setup, finished.result
        if setup.history is not None:
            path = options.file_for(setup.history, place.label)
            with told_with(path):
                history.write(path, result.history)
        self._report(place)
        if setup.keep is not None:
            with told_with(place.root):
                kept.fill(place.root, place.left(command.replace("{seed}", str(result.seed)), finished))
            self._draw(place, place.root / kept.PAGE)
            (place.root / _TRACE).unlink(missing_ok=True)

    def _report(self, place: _Place, has_end: bool = True) -> None:
        if self._setup.report is None:
            return
        page = options.file_for(self._setup.report, place.label)
        self._draw(place, page, has_end)
        self._console.notice(f"{page}: the picture of the run")

    def _draw(self, place: _Place, page: Path, has_end: bool = True) -> None:
        if place.trace is None:
            return
        # A replica may put a pipe in its place, which would be read without an end.
        if not place.trace.is_file():
            raise FileError(f"{page}: could not be drawn: the trace is gone")
        with told_with(page):
            try:
                drawn = picture.write(place.trace, page)
            except TraceError as error:
                reason = self._named(error, place.trace)
                raise FileError(f"{page}: could not be drawn: {reason}") from None
        if drawn.damage is not None and has_end:
            self._console.error(self._named(drawn.damage, place.trace))
