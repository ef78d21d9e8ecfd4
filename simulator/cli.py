"""The command line: what was asked for, and the exit code that says how it went."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator import build, config, history, report, suite
from simulator.config import ConfigError, Scenario
from simulator.console import Console
from simulator.judge import judge
from simulator.replica import OptionsRefused, StartError
from simulator.result import Result
from simulator.signals import Signals
from simulator.simulation import Options, simulate
from simulator.transport import TRANSPORTS

CORRECT, INCORRECT, BAD_USAGE = 0, 1, 2
ALL = "all"


def main(arguments: list[str]) -> int:
    sys.stdout.reconfigure(errors="backslashreplace")
    chosen = _parse(arguments)
    try:
        if chosen.config == ALL:
            scenarios = suite.load(chosen.config_directory)
        else:
            scenario = config.load(Path(chosen.config))
        _check_writable(chosen.json, chosen.history)
        replica_options = _split(chosen.replica_options)
    except (ConfigError, UsageError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    try:
        options = _options(chosen, replica_options)
        with Signals() as signals:
            if chosen.config == ALL:
                return _run_all(scenarios, chosen, options, signals)
            return _run_one(scenario, chosen, options, signals)
    except OptionsRefused as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except (StartError, build.BuildError) as error:
        Console().error(str(error))
        return INCORRECT


class UsageError(Exception):
    """An argument that cannot be used."""


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Run replicas under a simulated network, check every answer and score the result.",
        epilog="Exit code: 0 all correctness checks hold, 1 one fails, 2 bad configuration or usage.",
    )
    parser.add_argument("config", help=f'a configuration file, or "{ALL}" for the seventeen scenarios')
    parser.add_argument(
        "--replica", type=Path, metavar="PATH",
        help="the program to run as replica (default: our own, built if needed)",
    )
    parser.add_argument(
        "--replica-options", default="", metavar="OPTIONS",
        help="options for it, as one word: --replica-options='--reads log --no-thrift'",
    )
    parser.add_argument(
        "--transport", choices=sorted(TRANSPORTS), default="seqpacket", help="default: seqpacket"
    )
    parser.add_argument(
        "--silence", action="store_true", help=f'drop replica output ("{ALL}" always does)'
    )
    parser.add_argument(
        "--config-directory", type=Path, default=build.REPOSITORY / "configs", metavar="DIRECTORY",
        help=f'where "{ALL}" finds its scenarios (default: configs)',
    )
    parser.add_argument("--seed", type=int, help="overrides the seed of the configuration")
    parser.add_argument(
        "--no-check", dest="check", action="store_false",
        help="do not check whether the history of the run is linearizable",
    )
    parser.add_argument(
        "--checker", type=Path, metavar="PATH",
        help="the program that checks it, called as PATH check HISTORY (default: our own)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything about the run")
    parser.add_argument(
        "--history", type=Path, metavar="FILE", help="write one JSON line per client request"
    )
    return parser.parse_args(arguments)


def _check_writable(*paths: Path | None) -> None:
    """Before the run, not after it."""
    for path in filter(None, paths):
        place = path if path.exists() else path.parent
        if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
            raise UsageError(f"{path}: must be a file that can be written")


def _split(replica_options: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(replica_options))
    except ValueError as error:
        raise UsageError(f"--replica-options: {replica_options!r}: {error}") from None


def _options(chosen: argparse.Namespace, replica_options: tuple[str, ...]) -> Options:
    """Finds both programs, or builds them, before the run, so that none is in vain."""
    return Options(
        program=_program(chosen.replica, "replica"),
        replica_options=replica_options,
        transport=chosen.transport,
        seed=chosen.seed,
        # One line per scenario is all that a suite prints on stdout.
        silence=chosen.silence or chosen.config == ALL,
        checker=_program(chosen.checker, "checker") if chosen.check else None,
    )


def _program(chosen: Path | None, role: str) -> Path:
    if chosen is None:
        return build.own_program()
    # Absolute, because replicas run in a directory of their own.
    program = chosen.resolve()
    if not program.is_file():
        raise StartError(f"{role} program not found: {chosen}")
    if not os.access(program, os.X_OK):
        raise StartError(f"{role} program is not executable: {chosen}")
    return program


def _run_one(
    scenario: Scenario, chosen: argparse.Namespace, options: Options, signals: Signals
) -> int:
    console = Console()
    result = _simulate(scenario, options, console, signals)
    console.line(report.render(result, coloured=console.is_terminal))
    if chosen.history:
        history.write(chosen.history, result.history)
    if chosen.json:
        _write_json(chosen.json, result.to_json())
    return CORRECT if result.is_correct else INCORRECT


def _run_all(
    scenarios: dict[str, Scenario], chosen: argparse.Namespace, options: Options, signals: Signals
) -> int:
    # One line per scenario on stdout; what goes wrong within one is told beside it.
    console = Console(errors=sys.stderr)

    def run(scenario: Scenario) -> Result:
        result = _simulate(scenario, options, console, signals)
        if chosen.history:
            history.write(history.path_for(chosen.history, scenario.name), result.history)
        return result

    results = suite.run_all(scenarios, run, console, lambda: signals.stop)
    if chosen.json:
        _write_json(chosen.json, [result.to_json() for result in results])
    passed = len(results) == len(scenarios) and all(result.is_correct for result in results)
    return CORRECT if passed else INCORRECT


def _simulate(
    scenario: Scenario, options: Options, console: Console, signals: Signals
) -> Result:
    """One run, and the verdict on its history if one is asked for."""
    result = simulate(scenario, options, console, signals)
    if options.checker is None:
        return result
    verdict = judge(options.checker, result.history)
    if verdict.linearizable is None:
        console.error(f"the history could not be checked: {verdict.explanation}")
        verdict = replace(verdict, explanation="")  # Told already, where errors are told.
    elif verdict.linearizable:
        requests = len(result.history)
        console.notice(f"{scenario.name}: the history of {requests} requests is linearizable")
    return replace(result, verdict=verdict)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
