"""`--repeat`: the same scenario with one seed after the other, one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulator import kept
from simulator.advice import Advice
from simulator.console import Console
from simulator.messages import printable
from simulator.replica import StartError
from simulator.report import describe_failure
from simulator.runner import Finished
from simulator.signals import Signals

_MOST_SHOWN = 100


def run_repeated(
    seeds: Sequence[int], run: Callable[[int], Finished], command: str, console: Console, signals: Signals
) -> tuple[list[Finished], bool]:
    """Run every seed and count the runs that pass; returns the runs, and whether all have passed.

    `command` repeats a run when its `{seed}` is filled in. A run that the user cuts off does not
    count.
    """
    finished: list[Finished] = []
    failed: list[int] = []
    completed = 0
    for seed in seeds:
        if signals.wants_end:
            break
        advices: list[Advice] = []
        try:
            one = run(seed)
        except StartError as error:
            line = f"FAILED: {error}"
        else:
            if signals.stop:
                break
            finished.append(one)
            advices = one.advice
            line = "passed" if one.result.is_correct else _failure(one)
        completed += 1
        if line != "passed":
            failed.append(seed)
        console.line(f"seed {seed}: {line}")
        for advice in advices[:1]:
            console.notice(f"seed {seed}: {printable(advice.text)}")
    _summarize(len(seeds), completed, failed, command, console)
    return finished, completed == len(seeds) and not failed


def _failure(one: Finished) -> str:
    checks = "; ".join(describe_failure(check) for check in one.result.checks if not check.holds)
    place = "" if one.kept is None else f", kept in {kept.shown(one.kept)}"
    return f"FAILED: {checks}{place}"


def _summarize(
    planned: int, completed: int, failed: Sequence[int], command: str, console: Console
) -> None:
    if completed < planned:
        console.line(f"Interrupted: {completed:,} of {planned:,} run")
    console.line(f"passed {completed - len(failed):,} of {completed:,}")
    if failed:
        more = len(failed) - _MOST_SHOWN
        shown = " ".join(map(str, failed[:_MOST_SHOWN])) + (f" and {more:,} more" if more > 0 else "")
        console.line(f"failed: {shown}")
        console.line(f"again: {command.replace('{seed}', str(failed[0]))}")
