"""`all`: the seventeen scenarios, one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from simulator import config
from simulator.config import METRICS, Scenario
from simulator.console import Console
from simulator.replica import StartError
from simulator.report import describe_failure
from simulator.result import Result
from simulator.tiers import WORST_TIER

SECTIONS = {
    "Basic tests": {
        "simple-1": "No drops, no failures, 80% get",
        "simple-2": "No drops, no failures, 20% get",
    },
    "Unreliable network tests": {
        "unreliable-1": "5% drops, no failures, 20% get",
        "unreliable-2": "10% drops, no failures, 20% get",
        "unreliable-3": "15% drops, no failures, 20% get",
    },
    "Crash failure tests": {
        "crash-1": "No drops, 1 replica failure, 20% get",
        "crash-2": "No drops, 2 replica failures, 20% get",
        "crash-3": "No drops, 1 leader failure, 20% get",
        "crash-4": "No drops, 2 leader failures, 20% get",
    },
    "Partition tests": {
        "partition-1": "No drops, 1 easy partition, 20% get",
        "partition-2": "No drops, 2 easy partitions, 20% get",
        "partition-3": "No drops, 1 hard partition, 20% get",
        "partition-4": "No drops, 2 hard partitions, 20% get",
    },
    "Advanced tests": {
        "advanced-1": "10% drops, 2 hard partitions, 1 leader failure, 20% get",
        "advanced-2": "15% drops, 2 leader failures, 20% get",
        "advanced-3": "30% drops, 1 leader failure, 20% get",
        "advanced-4": "10% drops, 3 hard partitions, 1 leader failure, 20% get",
    },
}
_WIDTH = 58


def load(directory: Path, defaults: config.Defaults = config.OURS) -> dict[str, Scenario]:
    """All scenarios, checked before the first one starts."""
    names = [name for scenarios in SECTIONS.values() for name in scenarios]
    return {name: config.load(directory / f"{name}.json", defaults) for name in names}


def run_all(
    scenarios: dict[str, Scenario],
    run: Callable[[Scenario], Result],
    console: Console,
    is_stopped: Callable[[], bool],
    tell_more: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run every scenario and print its line; an interrupted one is the last and has none.

    `tell_more` comes after the failures of a scenario.
    """
    results: list[Result] = []
    completed = 0
    for heading, descriptions in SECTIONS.items():
        if is_stopped():
            break
        console.line(f"{heading}:")
        for name, description in descriptions.items():
            result = _run_one(scenarios[name], run, console)
            if is_stopped():
                break
            if result is not None:
                results.append(result)
                _tell_failures(result, console)
                tell_more(result)
            console.line(_line(description, result))
            completed += 1
    if is_stopped():
        console.line(f"Interrupted: {completed} of {len(scenarios)} run")
    passed = sum(result.is_correct for result in results)
    console.line(f"Passed {passed} out of {len(scenarios)} tests")
    return results


def _run_one(
    scenario: Scenario, run: Callable[[Scenario], Result], console: Console
) -> Result | None:
    """The result of a scenario; `None` if the replicas do not start."""
    try:
        return run(scenario)
    except StartError as error:
        console.error(str(error))
        return None


def _tell_failures(result: Result, console: Console) -> None:
    for check in result.checks:
        if not check.holds:
            console.notice(f"{result.scenario.name}: {describe_failure(check)}")
            if check.explanation:
                console.notice(check.explanation)


def _line(description: str, result: Result | None) -> str:
    """The worst tier everywhere, for a scenario that is not correct or did not even start."""
    verdict, tiers = "[FAIL]", [WORST_TIER] * len(METRICS)
    if result is not None and result.is_correct:
        verdict, tiers = "[PASS]", [rating.tier for rating in result.ratings]
    return f"     {description:<{_WIDTH}} {verdict} {' '.join(map(str, tiers))}"
