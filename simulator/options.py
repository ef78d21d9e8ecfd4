"""The arguments of a run: declared, and checked before anything starts."""

from __future__ import annotations

import argparse
import math
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simulator import build, commands, config, history
from simulator.arguments import UsageError, add_results, add_transport, check_writable, split_words
from simulator.config import Scenario
from simulator.loop import JOIN_SECONDS
from simulator.messages import identifier

ALL = "all"
# Stands for our own program where a missing option means something else.
OWN = Path("our own program")
MOST_RUNS = 10_000


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Run replicas under a simulated network, check every answer and score the result.",
        epilog=f"Other commands: {', '.join(commands.COMMANDS)}; each has --help. "
        "Exit code: 0 all correctness checks hold, 1 one fails, 2 bad configuration or usage.",
    )
    parser.add_argument(
        "config", metavar="CONFIG", help=f'a scenario file, or "{ALL}" for the seventeen'
    )
    _add_programs(parser)
    _add_runs(parser)
    add_results(parser)
    _add_records(parser)
    chosen = parser.parse_args(arguments)
    if chosen.beside is None and chosen.beside_options is not None:
        chosen.beside = OWN
    return chosen


def _add_programs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replica", type=Path, metavar="PATH",
        help="the program to run as replica (default: our own, built if needed)",
    )
    parser.add_argument(
        "--replica-options", default="", metavar="OPTIONS",
        help="its options, as one word: --replica-options='--reads log --no-thrift'",
    )
    parser.add_argument(
        "--replica-cwd", type=Path, metavar="DIR",
        help="run the replicas in this directory, for programs that read files beside them "
        "(default: a private one)",
    )
    parser.add_argument(
        "--beside", type=Path, nargs="?", const=OWN, metavar="PATH",
        help="the program of a second cluster, which runs beside the first: their requests take turns, "
        "and a disturbance of the machine affects both (default: our own)",
    )
    parser.add_argument(
        "--beside-options", metavar="OPTIONS",
        help="its options, as one word; without --beside it is our own program",
    )
    add_transport(parser)
    parser.add_argument(
        "--join-seconds", type=_seconds, default=JOIN_SECONDS, metavar="SECONDS",
        help=f"how long replicas may take to join (default: {JOIN_SECONDS:g})",
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--silence", action="store_true", help=f'drop replica output ("{ALL}" and --repeat always do)'
    )
    parser.add_argument(
        "--live", action=argparse.BooleanOptionalAction, default=None,
        help="a table of the replicas on the terminal during the run (default: if rich is installed)",
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
    parser.add_argument(
        "--repeat", type=_runs, metavar="N",
        help="run N times, with the seed and those after it, and tell how many runs passed",
    )


def _add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trace", type=Path, metavar="FILE",
        help='write all messages and events while the run goes on; "run.py replay FILE" judges them again',
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE",
        help="draw the run as one HTML page, which shows it from the whole run down to one request",
    )
    keep = parser.add_mutually_exclusive_group()
    keep.add_argument(
        "--keep", type=Path, metavar="DIR",
        help="keep all of the run in a new or empty directory: trace, page, history, result, the output "
        "and the working directories of the replicas",
    )
    keep.add_argument(
        "--no-keep", dest="keeps_failed", action="store_false",
        help="do not keep a run that fails (default: in target/failed, the last ten)",
    )


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


def _runs(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(MOST_RUNS)) or not 1 <= int(text) <= MOST_RUNS:
        raise argparse.ArgumentTypeError(f"{text!r}: must be an integer from 1 to {MOST_RUNS:,}")
    return int(text)


def check_combination(chosen: argparse.Namespace) -> None:
    """Refuse options that contradict each other, or that cannot be split into words."""
    for option, is_given in (("--beside", chosen.beside), ("--repeat", chosen.repeat)):
        if is_given and chosen.config == ALL:
            raise UsageError(f'{option}: takes one configuration, not "{ALL}"')
    if chosen.beside and chosen.repeat:
        raise UsageError("--repeat: not with --beside; run.py compare compares two programs over many runs")
    if chosen.beside and chosen.replica_cwd:
        raise UsageError("--replica-cwd: not with --beside, whose replicas have the same names")
    for name in ("replica_options", "beside_options"):
        split(chosen, name)


def check_places(
    chosen: argparse.Namespace, scenarios: Iterable[Scenario], labels: Iterable[str | None]
) -> None:
    """Refuse files and directories that cannot be used. `labels` tell the files of runs apart."""
    check_writable(chosen.json, *(
        path and file_for(path, label)
        for label in labels for path in (chosen.history, chosen.trace, chosen.report)
    ))
    _check_trace(chosen)
    _check_working_directory(chosen.replica_cwd, chosen.transport, scenarios)
    _check_keep(chosen.keep)


def split(chosen: argparse.Namespace, name: str) -> tuple[str, ...]:
    """The words of `replica_options` or `beside_options`."""
    return split_words(f"--{name.replace('_', '-')}", getattr(chosen, name) or "")


def file_for(path: Path, label: str | None) -> Path:
    """The file of one run of several, or of one cluster of two; `path` itself without a label."""
    return path if label is None else history.path_for(path, label)


def _check_trace(chosen: argparse.Namespace) -> None:
    """A pipe takes a trace, but the page of the run must read it once more."""
    trace = chosen.trace
    if trace and trace.exists() and not trace.is_file() and (chosen.report or chosen.keep):
        option = "--report" if chosen.report else "--keep"
        raise UsageError(f"{trace}: must be a regular file, because {option} reads the trace again")


def _check_working_directory(
    directory: Path | None, transport: str, scenarios: Iterable[Scenario]
) -> None:
    if directory is None:
        return
    if not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"--replica-cwd: {directory}: must be a directory that takes new files")
    if transport == "udp":
        return
    for number in range(max(scenario.replicas for scenario in scenarios)):
        socket = directory / identifier(number)
        if os.path.lexists(socket):
            more = "; if another run has left it, remove it" if socket.is_socket() else ""
            reason = f"exists, but the socket of a replica needs its name{more}"
            raise UsageError(f"--replica-cwd: {socket}: {reason}")


def _check_keep(directory: Path | None) -> None:
    """Make the directory, because only that shows that it can be made."""
    if directory is None:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        is_empty = not any(directory.iterdir())
    except OSError as error:
        raise UsageError(f"--keep: {directory}: must be a new or empty directory: {error.strerror}") from None
    if not is_empty or not os.access(directory, os.W_OK | os.X_OK):
        reason = "takes no new file" if is_empty else "is not empty"
        raise UsageError(f"--keep: {directory}: must be a new or empty directory: it {reason}")


def command_for(chosen: argparse.Namespace, path: str) -> str:
    """The command that runs the scenario at `path` again, once its `{seed}` is filled in."""
    words = ["./run.py", path]
    words += _given("--replica", chosen.replica) + _given("--replica-options", chosen.replica_options)
    words += _given("--replica-cwd", chosen.replica_cwd)
    if chosen.beside is OWN:
        words += ["--beside"]
    else:
        words += _given("--beside", chosen.beside)
    words += _given("--beside-options", chosen.beside_options)
    if chosen.transport != "seqpacket":
        words += ["--transport", chosen.transport]
    if chosen.join_seconds != JOIN_SECONDS:
        words += ["--join-seconds", f"{chosen.join_seconds:g}"]
    if chosen.dialect_year is not config.OURS:
        words += ["--dialect-year", str(chosen.dialect_year.since)]
    if not chosen.check:
        words += ["--no-check"]
    words += _given("--checker", chosen.checker)
    return f"{shlex.join(words)} --seed {{seed}}"


def _given(name: str, value: Any) -> list[str]:
    """An option as one word, so that its value may begin with a dash."""
    return [f"{name}={value}"] if value else []
