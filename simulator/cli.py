"""The command line, and the exit code of the program."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from random import SystemRandom
from typing import Any

from simulator import build, commands, config, kept, options, output, report, suite
from simulator.advice import block
from simulator.arguments import FileError, UsageError, told_with
from simulator.config import ConfigError, Scenario
from simulator.console import Console
from simulator.live import wanted
from simulator.messages import printable
from simulator.options import ALL
from simulator.repeat import run_repeated
from simulator.replica import OptionsRefused, StartError
from simulator.result import Result
from simulator.runner import Finished, Runner
from simulator.setup import Setup, set_up
from simulator.signals import Signals

CORRECT, INCORRECT, BAD_USAGE = 0, 1, 2


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
        chosen = options.parse(arguments)
    except SystemExit as end:
        return BAD_USAGE if end.code else CORRECT
    try:
        options.check_combination(chosen)
        scenarios = _load(chosen)
        seeds = _seeds(chosen, scenarios)
        wanted.check(chosen.live)
        options.check_places(chosen, scenarios.values(), _labels(chosen, scenarios, seeds))
    except (ConfigError, UsageError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    try:
        return _run(chosen, scenarios, seeds, set_up(chosen))
    except OptionsRefused as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except (StartError, build.BuildError, FileError) as error:
        Console().error(str(error))
        return INCORRECT


def _load(chosen: argparse.Namespace) -> dict[str, Scenario]:
    if chosen.config == ALL:
        return suite.load(chosen.config_directory, chosen.dialect_year)
    mistake = commands.unknown(chosen.config, sorted(Path("configs").rglob("*.json")))
    if mistake is not None:
        raise UsageError(mistake)
    scenario = config.load(Path(chosen.config), chosen.dialect_year)
    return {scenario.name: scenario}


def _seeds(chosen: argparse.Namespace, scenarios: dict[str, Scenario]) -> list[int]:
    """The seeds of repeated runs."""
    if chosen.repeat is None:
        return []
    [scenario] = scenarios.values()
    first = next((s for s in (chosen.seed, scenario.seed) if s is not None), None)
    if first is None:
        first = SystemRandom().getrandbits(32)
    return list(range(first, first + chosen.repeat))


def _labels(
    chosen: argparse.Namespace, scenarios: dict[str, Scenario], seeds: list[int]
) -> list[str | None]:
    """The names by which the files of the runs and clusters are told apart."""
    if chosen.config == ALL:
        return list(scenarios)
    if chosen.repeat is not None:
        return [str(seed) for seed in seeds]
    return [None, "beside"] if chosen.beside else [None]


def _run(
    chosen: argparse.Namespace, scenarios: dict[str, Scenario], seeds: list[int], setup: Setup
) -> int:
    # Of several runs stdout has one line each; the trouble within one goes to stderr.
    is_one = chosen.config != ALL and chosen.repeat is None
    with Signals(finishes_first=chosen.repeat is not None) as signals, \
            wanted.console(chosen.live, sys.stdout if is_one else sys.stderr) as console:
        output.when_lost(signals.request_stop)
        if chosen.config == ALL:
            return _run_all(scenarios, chosen, setup, signals, console)
        [scenario] = scenarios.values()
        if chosen.repeat is not None:
            return _run_repeated(scenario, seeds, chosen, setup, signals, console)
        return _run_one(scenario, chosen, setup, signals, console)


def _run_one(
    scenario: Scenario, chosen: argparse.Namespace, setup: Setup, signals: Signals, console: Console
) -> int:

    def show(finished: list[Finished]) -> None:
        for cluster, one in zip(setup.clusters, finished, strict=True):
            if chosen.beside:
                console.line(f"\n# {report.title(cluster.name, one.result)}")
            console.line(report.render(one.result, coloured=console.is_terminal))
            _show_advice(one, console, has_page=setup.keep is not None)
        if chosen.beside:
            console.line(report.compare(*[one.result for one in finished]))

    labels = _labels(chosen, {scenario.name: scenario}, [])
    command = options.command_for(chosen, chosen.config)
    finished = Runner(setup, console, signals).run(scenario, chosen.seed, labels, command, show)
    contents = [one.to_json() for one in finished]
    _write_json(chosen.json, contents if chosen.beside else contents[0])
    return CORRECT if all(one.result.is_correct for one in finished) else INCORRECT


def _show_advice(one: Finished, console: Console, has_page: bool) -> None:
    if one.advice:
        console.line(block(one.advice))
    if one.kept is not None:
        console.notice(kept.tell(one.kept, has_page))


def _run_all(
    scenarios: dict[str, Scenario], chosen: argparse.Namespace, setup: Setup, signals: Signals,
    console: Console,
) -> int:
    runner = Runner(setup, console, signals)
    finished: dict[str, Finished] = {}

    def run(scenario: Scenario) -> Result:
        path = str(kept.shown(chosen.config_directory / f"{scenario.name}.json"))
        command = options.command_for(chosen, path)
        name = scenario.name

        def note(runs: list[Finished]) -> None:
            [finished[name]] = runs

        runner.run(scenario, chosen.seed, [name], command, note)
        return finished[name].result

    def tell(result: Result) -> None:
        name = result.scenario.name
        one = finished[name]
        for advice in one.advice[:1]:
            console.notice(f"{name}: {printable(advice.text)}")
        if one.kept is not None:
            console.notice(f"{name}: {kept.tell(one.kept, has_page=setup.keep is not None)}")

    results = suite.run_all(scenarios, run, console, lambda: signals.stop, tell)
    _write_json(chosen.json, [finished[result.scenario.name].to_json() for result in results])
    passed = len(results) == len(scenarios) and all(result.is_correct for result in results)
    return CORRECT if passed else INCORRECT


def _run_repeated(
    scenario: Scenario, seeds: list[int], chosen: argparse.Namespace, setup: Setup, signals: Signals,
    console: Console,
) -> int:
    runner = Runner(setup, console, signals)
    command = options.command_for(chosen, chosen.config)
    signals.when_asked = lambda: console.notice("the last run; a second Ctrl-C ends it at once")

    def run(seed: int) -> Finished:
        [one] = runner.run(scenario, seed, [str(seed)], command, lambda _: None)
        return one

    finished, have_passed = run_repeated(seeds, run, command, console, signals)
    _write_json(chosen.json, [one.to_json() for one in finished])
    return CORRECT if have_passed else INCORRECT


def _write_json(path: Path | None, content: Any) -> None:
    if path is not None:
        with told_with(path):
            path.write_text(json.dumps(content, indent=2) + "\n")
