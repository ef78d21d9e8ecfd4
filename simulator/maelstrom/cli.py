"""The command line of `./run.py maelstrom`."""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

from simulator import build
from simulator.arguments import UsageError, check_writable
from simulator.checks import Verdict
from simulator.console import Console
from simulator.judge import judge_file
from simulator.maelstrom import history, report
from simulator.maelstrom.clients import Operation
from simulator.maelstrom.cuts import CUTS
from simulator.maelstrom.loop import run
from simulator.maelstrom.settings import DISTRIBUTIONS, Settings
from simulator.replica import StartError
from simulator.signals import Signals
from simulator.workspace import private_directory

VALID, NOT_VALID, BAD_USAGE = 0, 1, 2
_ALL, _NONE = "all", "none"
_MOST = 1_000_000


def main(arguments: list[str]) -> int:
    try:
        chosen = _parse(arguments)
        check_writable(chosen.json, chosen.history)
        command, checker = _programs(chosen)
    except SystemExit as end:
        return BAD_USAGE if end.code else VALID
    except UsageError as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except (StartError, build.BuildError) as error:
        print(f"*** Simulator Error - {error}", file=sys.stderr)
        return NOT_VALID
    settings = _settings(chosen)
    console = Console()
    try:
        with Signals() as signals:
            outcome = run(settings, command, console, chosen.silence, signals)
        verdict = _judge(outcome.operations, checker) if checker else None
        console.line(report.render(settings, outcome, verdict))
        if chosen.history:
            history.write(chosen.history, outcome.operations)
        if chosen.json:
            content = report.to_json(settings, command, outcome, verdict)
            chosen.json.write_text(json.dumps(content, indent=2) + "\n")
    except (StartError, OSError) as error:
        console.error(str(error))
        return NOT_VALID
    return VALID if report.is_valid(outcome, verdict) and not outcome.is_interrupted else NOT_VALID


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py maelstrom",
        description="Run a program as nodes of Maelstrom's workload lin-kv, and judge its answers.",
        epilog="Exit code: 0 the run is valid, 1 it is not, 2 bad usage.",
    )
    parser.add_argument("--node-count", type=_number(1, 1000), default=5, metavar="NUMBER", help="default: 5")
    parser.add_argument(
        "--concurrency", type=_number(1, 1000), default=10, metavar="NUMBER", help="clients (default: 10)"
    )
    parser.add_argument(
        "--rate", type=_positive, default=100.0, metavar="NUMBER", help="operations per second (default: 100)"
    )
    parser.add_argument(
        "--time-limit", type=_positive, default=10.0, metavar="SECONDS",
        help="how long operations begin (default: 10)",
    )
    parser.add_argument(
        "--latency", type=_not_negative, default=0.0, metavar="MILLISECONDS",
        help="the mean delay between nodes (default: 0)",
    )
    parser.add_argument("--latency-dist", choices=DISTRIBUTIONS, default="constant", help="default: constant")
    parser.add_argument(
        "--cuts", type=_cuts, default=(), metavar="KINDS",
        help=f"kinds of cuts, with commas: {', '.join(CUTS)}, {_ALL}; default: {_NONE}",
    )
    parser.add_argument(
        "--interval", type=_positive, default=3.0, metavar="SECONDS",
        help="how long a cut lasts, and the time to the next one (default: 3)",
    )
    parser.add_argument(
        "--init-seconds", type=_positive, default=10.0, metavar="SECONDS",
        help="how long nodes may take to answer init (default: 10)",
    )
    for kind in ("reads", "writes", "cas"):
        parser.add_argument(
            f"--{kind}", type=_not_negative, default=1.0, metavar="WEIGHT", help="their share (default: 1)"
        )
    parser.add_argument("--seed", type=int, help="makes the choices of the run repeatable, not its times")
    parser.add_argument("--silence", action="store_true", help="drop what nodes print on stderr")
    parser.add_argument("--no-check", dest="check", action="store_false", help="do not judge the history")
    parser.add_argument(
        "--checker", type=Path, metavar="PATH",
        help="the program that judges it, called as PATH check HISTORY (default: our own)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything about the run")
    parser.add_argument("--history", type=Path, metavar="FILE", help="write one JSON line per operation")
    parser.add_argument(
        "program", type=Path, nargs="?", help="the program (default: kvstore maelstrom, built if needed)"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    chosen = parser.parse_args(arguments)
    if chosen.reads + chosen.writes + chosen.cas == 0:
        parser.error("one of --reads, --writes and --cas must be above 0")
    return chosen


def _settings(chosen: argparse.Namespace) -> Settings:
    return Settings(
        nodes=chosen.node_count,
        clients=chosen.concurrency,
        rate=chosen.rate,
        lifetime=chosen.time_limit,
        latency=chosen.latency / 1000,
        distribution=chosen.latency_dist,
        cuts=chosen.cuts if chosen.node_count > 1 else (),
        interval=chosen.interval,
        weights=(chosen.reads, chosen.writes, chosen.cas),
        init_seconds=chosen.init_seconds,
        seed=random.randrange(_MOST) if chosen.seed is None else chosen.seed,
    )


def _programs(chosen: argparse.Namespace) -> tuple[list[str], Path | None]:
    """The command of a node, and the checker."""
    if chosen.program is None:
        command = [str(build.own_program()), "maelstrom"]
    else:
        command = [str(_found(chosen.program)), *chosen.arguments]
    if not chosen.check:
        return command, None
    return command, _found(chosen.checker) if chosen.checker else build.own_program()


def _found(program: Path) -> Path:
    # The path must be absolute, because nodes run in a directory of their own.
    path = program.resolve()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise StartError(f"no program that can be run: {program}")
    return path


def _judge(operations: list[Operation], checker: Path) -> Verdict:
    """The checker refuses an empty history, which is linearizable."""
    if not any(True for _ in history.lines(operations)):
        return Verdict(True)
    with private_directory() as directory:
        path = directory / "history.jsonl"
        history.write(path, operations)
        return judge_file(checker, path)


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: must be a number from {least} to {most}")
        return int(text)

    return parse


def _not_negative(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 0 to {_MOST}")
    return number


def _positive(text: str) -> float:
    number = _not_negative(text)
    if number == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: must be above 0")
    return number


def _cuts(text: str) -> tuple[str, ...]:
    if text == _ALL:
        return tuple(CUTS)
    kinds = () if text == _NONE else tuple(text.split(","))
    for kind in kinds:
        if kind not in CUTS:
            raise argparse.ArgumentTypeError(f"{kind!r}: must be one of {', '.join([*CUTS, _ALL, _NONE])}")
    return kinds
