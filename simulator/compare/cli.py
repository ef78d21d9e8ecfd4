"""`run.py compare`: the command line."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator import build, config, suite
from simulator.arguments import UsageError, add_transport, check_writable, split_words, unusable
from simulator.campaign.job import EXPLORER
from simulator.compare import page, table, turns
from simulator.compare.estimate import Estimate
from simulator.compare.findings import Finding, findings
from simulator.compare.runs import Setting
from simulator.compare.series import Series
from simulator.compare.sides import Side
from simulator.config import ConfigError
from simulator.console import Console

CORRECT, INCORRECT, BAD_USAGE = 0, 1, 2
ALL = "all"
DEFAULT_SEEDS = "5"


def main(arguments: list[str]) -> int:
    try:
        chosen = _parse(arguments)
    except SystemExit as end:
        return BAD_USAGE if end.code else CORRECT
    command = shlex.join(["./run.py", "compare", *arguments])
    try:
        sides = _sides(chosen)
        configs = _configs(chosen)
        # Two runs at the same time take one lifetime together.
        at_once = 2 if chosen.beside else 1
        lifetimes = {name: time / at_once for name, time in _lifetimes(configs, chosen.virtual).items()}
        check_writable(chosen.json, chosen.report)
        _check_programs(sides, chosen)
    except (ConfigError, UsageError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except build.BuildError as error:
        Console().error(str(error))
        return INCORRECT
    console = Console()
    pairs = list(turns.pairs(configs, chosen.seeds))
    series = Series(sides, pairs, _setting(chosen), Estimate(lifetimes), console)
    with _signals():
        series.play()
    return _tell(series, sides, len(pairs), chosen, command, console)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py compare",
        description="Run two programs, A and B, in turns under the same scenarios and seeds, and compare "
        "their figures. Without --replica both are our own program, so give them different options.",
        epilog="Exit code: 0 all runs passed, whatever the figures say; 1 a run did not pass, or was not "
        "made; 2 bad configuration or usage.",
    )
    parser.add_argument(
        "config", nargs="+", metavar="CONFIG", help=f'scenario files, or "{ALL}" for the seventeen'
    )
    parser.add_argument(
        "--replica", type=Path, action="append", default=[], metavar="PATH",
        help="the program of A; given twice, the second one is that of B (default: our own)",
    )
    for side in "AB":
        parser.add_argument(
            f"--options-{side.lower()}", default="", metavar="OPTIONS",
            help=f"options of {side}, as one word: --options-{side.lower()}='--reads log'",
        )
    parser.add_argument(
        "--replica-options", action="append", default=[], metavar="OPTIONS",
        help="options of both sides, in front of their own",
    )
    parser.add_argument(
        "--seeds", type=turns.seeds, default=turns.seeds(DEFAULT_SEEDS), metavar="SEEDS",
        help=f"1..1000, or 1,5,9, or both; N alone stands for 1..N (default: {DEFAULT_SEEDS})",
    )
    add_transport(parser)
    parser.add_argument(
        "--join-seconds", type=float, metavar="SECONDS", help="how long replicas may take to join"
    )
    at_once = parser.add_mutually_exclusive_group()
    at_once.add_argument(
        "--beside", action="store_true",
        help="both runs of a pair at the same time, as run.py --beside does (default: in turns)",
    )
    at_once.add_argument(
        "--virtual", action="store_true",
        help="in virtual time by the explorer, whose options are compared: --options-a='--tuning {...}'",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all runs")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page with a chart")
    return parser.parse_args(arguments)


def _sides(chosen: argparse.Namespace) -> tuple[Side, Side]:
    if len(chosen.replica) > 2:
        raise UsageError("--replica: may be given twice, for A and for B")
    if chosen.virtual and chosen.replica:
        raise UsageError("--virtual: the explorer runs no other program, so it takes no --replica")
    if len(chosen.replica_options) > 1:
        raise UsageError("--replica-options: is for both sides; --options-a and --options-b are for one")
    programs = [*chosen.replica, None, None]
    common = [word for text in chosen.replica_options for word in split_words("--replica-options", text)]
    sides = (
        Side("A", programs[0], (*common, *split_words("--options-a", chosen.options_a))),
        Side("B", programs[1], (*common, *split_words("--options-b", chosen.options_b))),
    )
    if str(sides[0]) == str(sides[1]):
        print("A and B are the same: so each difference is noise", file=sys.stderr)
    return sides


def _configs(chosen: argparse.Namespace) -> list[Path]:
    seventeen = [
        build.REPOSITORY / "configs" / f"{name}.json" for names in suite.SECTIONS.values() for name in names
    ]
    paths = [path for name in chosen.config for path in (seventeen if name == ALL else [Path(name)])]
    configs = list(dict.fromkeys(path.resolve() for path in paths))
    stems = [path.stem for path in configs]
    for stem in stems:
        if stems.count(stem) > 1:
            raise UsageError(f"two configurations have the name {stem}")
    return configs


def _lifetimes(configs: Sequence[Path], is_virtual: bool) -> dict[str, float]:
    """Read all configurations, so that a bad one is told before the first run."""
    if is_virtual:
        for path in configs:
            if not path.is_file():
                raise UsageError(f"{path}: no such file")
        return {path.stem: 0.0 for path in configs}
    return {path.stem: config.load(path).lifetime for path in configs}


def _setting(chosen: argparse.Namespace) -> Setting:
    join = [] if chosen.join_seconds is None else [f"--join-seconds={chosen.join_seconds:g}"]
    return Setting(chosen.transport, chosen.virtual, chosen.beside, tuple(join))


def _check_programs(sides: Sequence[Side], chosen: argparse.Namespace) -> None:
    """Find or build all programs, so that no run waits for them."""
    if chosen.virtual:
        if not EXPLORER.is_file():
            raise UsageError("--virtual: needs the explorer: cargo build --release")
        return
    for side in sides:
        if side.program is not None and (reason := unusable(side.program)) is not None:
            raise UsageError(f"--replica: {reason}")
    build.own_program()  # The judge of all histories, if not a replica.


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM ends the present run as Ctrl-C does."""
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _tell(
    series: Series, sides: Sequence[Side], planned: int, chosen: argparse.Namespace, command: str,
    console: Console,
) -> int:
    """Print and write the comparison as far as it got; returns the exit code."""
    done, found = series.done, findings(series.done)
    if done:
        console.line("\n" + table.render(sides, done, found))
    if series.stopped:
        console.error(f"{len(done)} of {planned} pairs were run: {series.stopped}")
    if series.was_refused:
        return BAD_USAGE
    try:
        if chosen.json:
            chosen.json.write_text(json.dumps(_to_json(series, sides, planned, found), indent=2) + "\n")
        if chosen.report and done:
            drawn = page.render(sides, done, found, command)
            chosen.report.write_text(drawn, encoding="utf-8", errors="backslashreplace")
            console.notice(f"{chosen.report}: the comparison with a chart")
    except OSError as error:
        console.error(f"{error.filename}: could not be written: {error.strerror}")
        return INCORRECT
    passed = all(run.passed for pair in done for run in pair.runs)
    return CORRECT if passed and not series.stopped else INCORRECT


def _to_json(
    series: Series, sides: Sequence[Side], planned: int, found: Sequence[Finding]
) -> dict[str, Any]:
    return {
        "sides": {side.name: str(side) for side in sides},
        "planned_pairs": planned,
        "stopped": series.stopped or None,
        "pairs": [
            {"scenario": pair.scenario, "seed": pair.seed}
            | {side.name: run.to_json() for side, run in zip(sides, pair.runs, strict=True)}
            for pair in series.done
        ],
        "findings": [finding.to_json() for finding in found],
    }
