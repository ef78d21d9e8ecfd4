"""`run.py lint`: starts a replica in two small clusters, and tells which manners it has."""

from __future__ import annotations

import argparse
import json
import selectors
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from simulator import build
from simulator.arguments import FileError, UsageError, add_transport, check_writable, told_with, unusable
from simulator.config import MOST_SECONDS
from simulator.console import Console
from simulator.diagnosis import dialect_of
from simulator.guard import Guard
from simulator.lint.cluster import REPLICAS, Cluster
from simulator.lint.ends import Ends
from simulator.lint.finding import FAIL, NOTE, OK, SKIPPED, Finding
from simulator.lint.limits import Limits
from simulator.lint.script import Stage
from simulator.lint.talk import Talk
from simulator.replica import StartError
from simulator.signals import Signals
from simulator.workspace import private_directory

CORRECT, INCORRECT, BAD_USAGE = 0, 1, 2
_LIMITS = Limits()
_MOST_PATIENCE = 100.0


def main(arguments: list[str]) -> int:
    try:
        chosen = _parse(arguments)
        options = shlex.split(chosen.replica_options)
    except SystemExit as end:
        return BAD_USAGE if end.code else CORRECT
    except ValueError as error:
        print(f"--replica-options: {error}", file=sys.stderr)
        return BAD_USAGE
    refusal = _refusal(chosen)
    if refusal is not None:
        print(refusal, file=sys.stderr)
        return BAD_USAGE
    console = Console()
    try:
        program = build.own_program() if chosen.replica is None else chosen.replica.resolve()
        return _lint(chosen, [str(program), *options], console)
    except (build.BuildError, StartError, FileError, OSError) as error:
        console.error(str(error))
        return INCORRECT


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py lint",
        description="Check in less than ten seconds whether a replica keeps the manners of the protocol.",
        epilog="Exit code: 0 all manners hold, 1 one does not, 2 bad usage. A note breaks no rule.",
    )
    parser.add_argument(
        "--replica", type=Path, metavar="PATH", help="the program (default: our own, built if needed)"
    )
    parser.add_argument(
        "--replica-options", default="", metavar="OPTIONS", help="its options, as one word"
    )
    add_transport(parser)
    parser.add_argument(
        "--join-seconds", type=float, metavar="SECONDS",
        help=f"how long replicas may take to join (default: {_LIMITS.join:g})",
    )
    parser.add_argument(
        "--patience", type=float, default=1.0, metavar="FACTOR",
        help="wait so many times as long for everything, on a slow machine (default: 1)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings")
    return parser.parse_args(arguments)


def _refusal(chosen: argparse.Namespace) -> str | None:
    """Why the arguments are of no use, if they are not."""
    program, path = chosen.replica, chosen.json
    if program is not None and (reason := unusable(program)) is not None:
        return reason
    if not 0 < chosen.patience <= _MOST_PATIENCE:
        return f"--patience: must be a number above 0, and at most {_MOST_PATIENCE:g}"
    if chosen.join_seconds is not None and not 0 <= chosen.join_seconds <= MOST_SECONDS:
        return f"--join-seconds: must be a number from 0 to {MOST_SECONDS}"
    try:
        check_writable(path)
    except UsageError as error:
        return str(error)
    return None


def _lint(chosen: argparse.Namespace, command: Sequence[str], console: Console) -> int:
    begun = time.monotonic()
    limits = _LIMITS.times(chosen.patience)
    if chosen.join_seconds is not None:
        later = max(0.0, chosen.join_seconds - limits.join)
        limits = replace(limits, join=chosen.join_seconds, total=limits.total + later)
    with Signals() as signals:
        findings = _findings(command, chosen.transport, limits, signals)
        is_stopped = signals.stop
    if is_stopped:
        console.error("stopped before the end, so nothing is known")
        return INCORRECT
    for finding in findings:
        console.line(str(finding))
    seconds = time.monotonic() - begun
    outcomes = Counter(finding.outcome for finding in findings)
    holds = not (outcomes[FAIL] or outcomes[SKIPPED])
    notes = f" ({outcomes[NOTE]} with a note)" if outcomes[NOTE] else ""
    kept = outcomes[OK] + outcomes[NOTE]
    console.line(f"{kept} of {len(findings)} manners hold{notes}, seen in {seconds:.1f} s")
    if chosen.json is not None:
        content = {
            "replica": command[0], "transport": chosen.transport, "passed": holds, "seconds": seconds,
            "manners": [vars(finding) for finding in findings],
        }
        with told_with(chosen.json):
            chosen.json.write_text(json.dumps(content, indent=2) + "\n")
    return CORRECT if holds else INCORRECT


def _findings(
    command: Sequence[str], dialect: str, limits: Limits, signals: Signals
) -> list[Finding]:
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.EpollSelector())
        selector.register(signals.fd, selectors.EVENT_READ, lambda _: signals.clear())
        directories = [stack.enter_context(private_directory()) for _ in range(2)]
        # The guard ends first, so no process still uses the directories when they are removed.
        guard = stack.enter_context(Guard())
        clusters = [
            Cluster(command, dialect, directory, selector, guard.environment, prefix)
            for directory, prefix in zip(directories, "ab", strict=True)
        ]
        for cluster in clusters:
            stack.callback(cluster.stop)
        stage = Stage(selector, limits.total, lambda: signals.stop)
        talk = Talk(stage, clusters[0], dialect, limits)
        ends = Ends(stage, clusters[1], dialect, limits)
        stage.add(talk.script())
        stage.add(ends.script())
        stage.run()
        if not talk.has_joined and not signals.stop:
            other = dialect_of(command, REPLICAS, dialect, guard.environment, limits.dialect)
            if other is not None:
                talk.findings.append(Finding("dialect", FAIL, f"it joins with --transport {other}"))
    return [*talk.findings, *ends.findings]
