"""Advice told from the trace of a run: the typical mistakes of replicas, in one line each.

`docs/advice.md` lists them.

    finding     one line of advice
    scene       the records of a trace -> what the rules see
    knowledge   what each replica can know of each write in progress
    processes   replicas that did not join or died, and messages that break the protocol
    writes      writes that are acknowledged too early
"""

from __future__ import annotations

from pathlib import Path

from simulator.advice.finding import Advice
from simulator.advice.processes import BrokenMessages, Deaths
from simulator.advice.scene import Rule, Scene
from simulator.advice.writes import EarlyAnswer
from simulator.trace.reader import Reader

__all__ = ["MOST_LINES", "Advice", "advise"]

# More lines would hide the important ones: a mistake breaks other rules, too.
MOST_LINES = 5

# The cause comes before its effects: the order is that of the advice.
_RULES: tuple[type[Rule], ...] = (Deaths, BrokenMessages, EarlyAnswer)


def advise(trace: Path) -> list[Advice]:
    """The advice for the run in `trace`, the most probable cause first.

    A run that has passed gets advice about its manners only. Of a damaged trace the lines before
    the damage count. Raises a TraceError for a file that is no trace.
    """
    reader = Reader(trace)
    scene = Scene(reader.heading)
    rules = [rule(scene) for rule in _RULES]
    scene.watch(rules)
    for record in reader:
        scene.take(record)
    scene.ending = reader.ending
    has_passed = reader.ending is not None and reader.ending.get("verdict") == "passed"
    found = [advice for rule in rules if rule.is_manner or not has_passed for advice in rule.advice()]
    return found[:MOST_LINES]
