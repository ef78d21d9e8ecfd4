"""The command line, and the exit code of the program."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import build, commands, config, history, output, picture, report, suite
from simulator.arguments import add_results
from simulator.config import ConfigError, Scenario
from simulator.console import Console
from simulator.judge import judged
from simulator.lives import Cluster
from simulator.loop import JOIN_SECONDS, simulate
from simulator.replica import OptionsRefused, StartError
from simulator.result import Result
from simulator.signals import Signals
from simulator.trace.outline import last_line
from simulator.trace.reader import TraceError
from simulator.trace.recorder import Recorder, Trace
from simulator.trace.sink import Sink
from simulator.transport import TRANSPORTS
from simulator.workspace import private_directory

CORRECT, INCORRECT, BAD_USAGE = 0, 1, 2
ALL = "all"
# Stands for our own program where a missing option means something else.
_OWN = Path("our own program")
# What the names of the files of two clusters have before their suffix.
_NAMES = (None, "beside")


def main(arguments: list[str]) -> int:
    if output.lost() is not None:
        print(output.lost(), file=sys.stderr)
        return BAD_USAGE
    code = _main(arguments)
    if output.lost() is not None:
        print(output.lost(), file=sys.stderr)
        return code or INCORRECT
    return code


def _main(arguments: list[str]) -> int:
    command = commands.find(arguments)
    if command is not None:
        return command(arguments[1:])
    try:
        chosen = _parse(arguments)
    except SystemExit as end:
        return BAD_USAGE if end.code else CORRECT
    try:
        if chosen.config == ALL:
            scenarios = suite.load(chosen.config_directory, chosen.dialect_year)
        else:
            scenario = config.load(Path(chosen.config), chosen.dialect_year)
        _check_writable(chosen.json, chosen.history, chosen.trace, chosen.report)
        if chosen.config == ALL and chosen.beside:
            raise UsageError(f'--beside: takes one configuration, not "{ALL}"')
        replica_options = _split("--replica-options", chosen.replica_options)
        beside_options = _split("--beside-options", chosen.beside_options or "")
    except (ConfigError, UsageError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    try:
        setup = _set_up(chosen, replica_options, beside_options, _command(arguments))
        with Signals() as signals:
            output.when_lost(signals.request_stop)
            if chosen.config == ALL:
                return _run_all(scenarios, chosen, setup, signals)
            return _run_one(scenario, chosen, setup, signals)
    except OptionsRefused as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except (StartError, build.BuildError, FileError) as error:
        Console().error(str(error))
        return INCORRECT


class UsageError(Exception):
    """An argument that cannot be used."""


class FileError(Exception):
    """A file that the user asked for could not be written after the run."""


@dataclass(frozen=True)
class Setup:
    """The part of the command line that a run needs beside the scenario."""

    clusters: list[Cluster]
    seed: int | None
    join_seconds: float
    checker: Path | None
    trace: Path | None
    report: Path | None
    command: str  # repeats the run when its `{seed}` is filled in


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Run replicas under a simulated network, check every answer and score the result.",
        epilog=f"Other commands: {', '.join(commands.COMMANDS)}; each has --help. "
        "Exit code: 0 all correctness checks hold, 1 one fails, 2 bad configuration or usage.",
    )
    parser.add_argument("config", help=f'a configuration file, or "{ALL}" for the seventeen scenarios')
    parser.add_argument(
        "--replica", type=Path, metavar="PATH",
        help="the program to run as replica (default: our own, built if needed)",
    )
    parser.add_argument(
        "--replica-options", default="", metavar="OPTIONS",
        help="its options, as one word: --replica-options='--reads log --no-thrift'",
    )
    parser.add_argument(
        "--beside", type=Path, nargs="?", const=_OWN, metavar="PATH",
        help="the program of a second cluster, which runs beside the first: their requests take turns, "
        "and a disturbance of the machine affects both (default: our own)",
    )
    parser.add_argument(
        "--beside-options", metavar="OPTIONS",
        help="its options, as one word; without --beside it is our own program",
    )
    parser.add_argument(
        "--transport", choices=sorted(TRANSPORTS), default="seqpacket", help="default: seqpacket"
    )
    parser.add_argument(
        "--join-seconds", type=_seconds, default=JOIN_SECONDS, metavar="SECONDS",
        help=f"how long replicas may take to join (default: {JOIN_SECONDS:g})",
    )
    parser.add_argument(
        "--silence", action="store_true", help=f'drop replica output ("{ALL}" always does)'
    )
    parser.add_argument(
        "--config-directory", type=Path, default=build.REPOSITORY / "configs", metavar="DIRECTORY",
        help=f'where "{ALL}" finds its scenarios (default: configs)',
    )
    parser.add_argument(
        "--dialect-year", type=_defaults_of, default=config.OURS, metavar="YEAR",
        help="read the configuration as the simulators of this family did in that year",
    )
    parser.add_argument("--seed", type=int, help="overrides the seed of the configuration")
    add_results(parser)
    parser.add_argument(
        "--trace", type=Path, metavar="FILE",
        help='write all messages and events while the run goes on; "run.py replay FILE" judges them again',
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE",
        help="draw the run as one HTML page, which shows it from the whole run down to one request",
    )
    chosen = parser.parse_args(arguments)
    if chosen.beside is None and chosen.beside_options is not None:
        chosen.beside = _OWN
    return chosen


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= config.MOST_SECONDS:
        rule = f"must be a number from 0 to {config.MOST_SECONDS}"
        raise argparse.ArgumentTypeError(f"{text!r}: {rule}")
    return seconds


def _defaults_of(year: str) -> config.Defaults:
    if len(year) != 4 or not year.isdecimal() or int(year) < config.FIRST_YEAR:
        rule = f"must be a year of four digits, from {config.FIRST_YEAR} on"
        raise argparse.ArgumentTypeError(f"{year!r}: {rule}")
    return config.defaults_of(int(year))


def _check_writable(*paths: Path | None) -> None:
    """Refuse before the run a file that could not be written after it."""
    for path in filter(None, paths):
        place = path if path.exists() else path.parent
        if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
            raise UsageError(f"{path}: must be a file that can be written")


def _split(name: str, options: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(options))
    except ValueError as error:
        raise UsageError(f"{name}: {options!r}: {error}") from None


def _command(arguments: list[str]) -> str:
    """The command that repeats a run, for its traces."""
    return f"{shlex.join(['./run.py', *arguments])} --seed {{seed}}"


def _set_up(
    chosen: argparse.Namespace,
    replica_options: tuple[str, ...],
    beside_options: tuple[str, ...],
    command: str,
) -> Setup:
    """Find or build all programs before the run, so that a missing one does not waste the run."""
    # A suite prints nothing but one line per scenario on stdout.
    silence = chosen.silence or chosen.config == ALL
    asked = [("replica", chosen.replica, replica_options)]
    if chosen.beside:
        asked.append(("beside", chosen.beside, beside_options))
    clusters = [
        Cluster(
            _program(program, name), name, options, chosen.transport, silence,
            is_own=program is None or program is _OWN,
        )
        for name, program, options in asked
    ]
    checker = _program(chosen.checker, "checker") if chosen.check else None
    return Setup(clusters, chosen.seed, chosen.join_seconds, checker, chosen.trace, chosen.report, command)


def _program(chosen: Path | None, role: str) -> Path:
    if chosen is None or chosen is _OWN:
        return build.own_program()
    # The path must be absolute, because replicas run in a directory of their own.
    program = chosen.resolve()
    if not program.is_file():
        raise StartError(f"{role} program not found: {chosen}")
    if not os.access(program, os.X_OK):
        raise StartError(f"{role} program is not executable: {chosen}")
    return program


def _run_one(
    scenario: Scenario, chosen: argparse.Namespace, setup: Setup, signals: Signals
) -> int:
    with _traces(setup, _NAMES[:len(setup.clusters)]) as traces:
        return _run_traced(scenario, chosen, setup, signals, traces)


def _run_traced(
    scenario: Scenario, chosen: argparse.Namespace, setup: Setup, signals: Signals, traces: list[Path]
) -> int:
    console = Console()
    results = _simulate(scenario, setup, console, signals, traces)
    for cluster, result in zip(setup.clusters, results, strict=True):
        if chosen.beside:
            console.line(f"\n# {report.title(cluster.name, result)}")
        console.line(report.render(result, coloured=console.is_terminal))
    if chosen.history:
        _write_history(chosen.history, results[0])
    if chosen.beside:
        console.line(report.compare(*results))
        if chosen.history:
            _write_history(history.path_for(chosen.history, "beside"), results[1])
    if chosen.json:
        contents = [result.to_json() for result in results]
        _write_json(chosen.json, contents if chosen.beside else contents[0])
    _draw(setup.report, _NAMES, traces, console)
    return CORRECT if all(result.is_correct for result in results) else INCORRECT


def _run_all(
    scenarios: dict[str, Scenario], chosen: argparse.Namespace, setup: Setup, signals: Signals
) -> int:
    # stdout has one line per scenario; the trouble within a scenario goes to stderr.
    console = Console(log=sys.stderr)

    def run(scenario: Scenario) -> Result:
        with _traces(setup, [scenario.name]) as traces:
            [result] = _simulate(scenario, setup, console, signals, traces)
            _draw(setup.report, [scenario.name], traces, console)
        if chosen.history:
            _write_history(history.path_for(chosen.history, scenario.name), result)
        return result

    results = suite.run_all(scenarios, run, console, lambda: signals.stop)
    if chosen.json:
        _write_json(chosen.json, [result.to_json() for result in results])
    passed = len(results) == len(scenarios) and all(result.is_correct for result in results)
    return CORRECT if passed else INCORRECT


@contextmanager
def _traces(setup: Setup, names: Sequence[str | None]) -> Iterator[list[Path]]:
    """The files of the traces, one per name; in a private place if only pages need them."""
    if setup.report is None or setup.trace is not None:
        yield _named(setup.trace, names)
        return
    with private_directory() as directory:
        yield [directory / f"{number}.trace" for number in range(len(names))]


def _named(path: Path | None, names: Sequence[str | None]) -> list[Path]:
    """The file of each name: `path` itself for `None`. Without a path there is none."""
    if path is None:
        return []
    return [path if name is None else history.path_for(path, name) for name in names]


def _draw(
    path: Path | None, names: Sequence[str | None], traces: list[Path], console: Console
) -> None:
    for page, file in zip(_named(path, names), traces, strict=False):
        with _told_with(page):
            try:
                drawn = picture.write(file, page)
            except TraceError as error:
                raise FileError(f"{page}: could not be drawn: {error}") from None
        if drawn.damage is not None:
            console.error(drawn.damage)
        console.notice(f"{page}: the picture of the run")


def _simulate(
    scenario: Scenario, setup: Setup, console: Console, signals: Signals, traces: list[Path]
) -> list[Result]:
    """One run, with the verdict on each history if a checker is set, and a trace per cluster."""
    recorders: list[Trace] = [_record(path, setup.command, console) for path in traces]
    try:
        results = simulate(
            scenario, setup.clusters, setup.seed, console, signals, setup.join_seconds, recorders
        )
        if setup.checker is not None:
            results = [judged(result, setup.checker, console) for result in results]
        for recorder, result in zip(recorders, results, strict=False):
            recorder.end(last_line(result))
        return results
    finally:
        for recorder in recorders:
            recorder.close()


def _record(path: Path, command: str, console: Console) -> Recorder:
    try:
        return Recorder(Sink(path), command, console.error)
    except OSError as error:
        raise FileError(f"{path}: could not be written: {error.strerror}") from None


def _write_history(path: Path, result: Result) -> None:
    with _told_with(path):
        history.write(path, result.history)


def _write_json(path: Path, content: Any) -> None:
    with _told_with(path):
        path.write_text(json.dumps(content, indent=2) + "\n")


@contextmanager
def _told_with(path: Path) -> Iterator[None]:
    """Turn an error of the operating system, such as a full disk, into one line."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{path}: could not be written: {error.strerror}") from None
