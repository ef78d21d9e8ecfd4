"""Advice told from the trace of a run: the typical mistakes of replicas, in one line each.

`docs/advice.md` lists them.

    finding     one line of advice
    rule        the interface of a rule
    scene       the records of a trace -> what the rules hear
    knowledge   what each replica can know of each write in progress
    copies      which replicas hold the value of each write
    processes   replicas that do not join, die or print a flood; broken messages
    traffic     packet storms, and floods to clients
    elections   two leaders or votes in a term, no leader, too many leaders
    writes      writes that are acknowledged too early, or lost
    reads       reads of old values
    answers     requests without an answer, with two, or in circles; replicas that hang
"""

from __future__ import annotations

from pathlib import Path

from simulator.advice.answers import Circles, Duplicates, Unanswered
from simulator.advice.elections import Changes, NoLeader, NoSuccessor, SplitBrain, Terms, TwoVotes
from simulator.advice.finding import Advice, block
from simulator.advice.processes import BrokenMessages, Deaf, Deaths, Flood, StrayMessages
from simulator.advice.reads import AppliedTwice, StaleRead
from simulator.advice.rule import Rule
from simulator.advice.scene import Scene
from simulator.advice.traffic import ClientFlood, Storm, ToItself
from simulator.advice.writes import EarlyAnswer, LostWrite
from simulator.trace.reader import Reader

__all__ = ["MOST_LINES", "Advice", "advise", "block"]

# More lines would hide the important ones: a mistake breaks other rules, too.
MOST_LINES = 5

# The cause comes before its effects: the order is that of the advice.
_RULES: tuple[type[Rule], ...] = (
    Deaths, BrokenMessages, ClientFlood, StrayMessages, Storm, TwoVotes, SplitBrain, NoSuccessor, EarlyAnswer,
    LostWrite, StaleRead, AppliedTwice, NoLeader, Terms, Changes, Unanswered, Circles, Deaf, Duplicates,
    ToItself, Flood,
)


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
    asked = [rule for rule in rules if rule.is_manner or scene.is_failed]
    found = [(advice, rule) for rule in asked for advice in rule.advice()]
    # The contradiction that the checker has found comes first.
    found.sort(key=lambda pair: pair[1].is_manner or scene.contradicting.isdisjoint(pair[0].mids))
    return [advice for advice, _ in found[:MOST_LINES]]
