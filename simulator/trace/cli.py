"""`run.py replay`: judges the run in a trace again, without replicas."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from simulator import build, history, picture, report
from simulator.advice import advise, block
from simulator.arguments import FileError, UsageError, add_results, check_writable, told_with
from simulator.console import Console
from simulator.judge import judged
from simulator.trace import explored
from simulator.trace.reader import Reader, TraceError
from simulator.trace.replay import replay

CORRECT, INCORRECT, BAD_USAGE = 0, 1, 2


def main(arguments: list[str]) -> int:
    try:
        chosen = _parse(arguments)
    except SystemExit as end:
        return BAD_USAGE if end.code else CORRECT
    try:
        return _replay(chosen)
    except (TraceError, UsageError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except (build.BuildError, FileError, OSError) as error:
        Console().error(str(error))
        return INCORRECT


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py replay",
        description="Judge the run in a trace again, without replicas, and print its report.",
        epilog="Exit code: 0 all correctness checks hold, 1 one fails or the trace is damaged or contradicts "
        "itself, 2 no trace or bad usage.",
    )
    parser.add_argument("trace", type=Path, metavar="TRACE", help="a file that `run.py --trace` has written")
    add_results(parser)
    parser.add_argument(
        "--report", type=Path, metavar="FILE",
        help="draw the trace as one HTML page",
    )
    return parser.parse_args(arguments)


def _replay(chosen: argparse.Namespace) -> int:
    check_writable(chosen.json, chosen.history, chosen.report)
    console = Console()
    is_drawn = chosen.report is None or _draw(chosen, console)
    reader = Reader(chosen.trace)
    if reader.heading.get("source") == explored.SOURCE:
        is_correct = explored.judged_again(reader, _checker(chosen), console)
        _tell_advice(chosen.trace, console)
        return CORRECT if is_correct and is_drawn else INCORRECT
    reader.close()
    replayed = replay(chosen.trace)
    result = replayed.result
    console.notice(f"{result.scenario.name}: seed {result.seed}, a trace of {replayed.messages:,} messages")
    for happening in result.happenings:
        console.notice(str(happening))
    if replayed.damage is not None:
        console.error(replayed.damage)
    for contradiction in replayed.contradictions:
        console.error(f"{chosen.trace}: {contradiction}")
    checker = _checker(chosen)
    if checker is not None:
        result = judged(result, checker, console)
    console.line(report.render(result, coloured=console.is_terminal))
    _tell_advice(chosen.trace, console)
    if chosen.history:
        with told_with(chosen.history):
            history.write(chosen.history, result.history)
    if chosen.json:
        with told_with(chosen.json):
            chosen.json.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    is_sound = replayed.damage is None and not replayed.contradictions and is_drawn
    return CORRECT if is_sound and result.is_correct else INCORRECT


def _draw(chosen: argparse.Namespace, console: Console) -> bool:
    """Draw the page; a page that cannot be written does not hide the verdict."""
    try:
        with told_with(chosen.report):
            picture.write(chosen.trace, chosen.report)
    except FileError as error:
        console.error(str(error))
        return False
    console.notice(f"{chosen.report}: the picture of the run")
    return True


def _tell_advice(trace: Path, console: Console) -> None:
    found = advise(trace)
    if found:
        console.line(block(found))


def _checker(chosen: argparse.Namespace) -> Path | None:
    if not chosen.check:
        return None
    return build.own_program() if chosen.checker is None else Path(chosen.checker).resolve()
