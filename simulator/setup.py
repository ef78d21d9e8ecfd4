"""The part of the command line that every run needs, with all programs found or built."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from simulator import build, options
from simulator.arguments import unusable
from simulator.lives import Cluster
from simulator.options import ALL, OWN
from simulator.replica import StartError


@dataclass(frozen=True)
class Setup:
    """The clusters, their judge, and the files that a run is to leave."""

    clusters: list[Cluster]
    join_seconds: float
    checker: Path | None
    working_directory: Path | None
    trace: Path | None
    report: Path | None
    history: Path | None
    keep: Path | None
    keeps_failed: bool

    @property
    def needs_trace(self) -> bool:
        return bool(self.trace or self.report or self.keep or self.keeps_failed)


def set_up(chosen: argparse.Namespace) -> Setup:
    """Find or build all programs before the run, so that a missing one does not waste the run."""
    # A suite prints nothing but one line per scenario on stdout, and repeated runs one line each.
    silence = chosen.silence or chosen.config == ALL or chosen.repeat is not None
    asked = [("replica", chosen.replica, "replica_options")]
    if chosen.beside:
        asked.append(("beside", chosen.beside, "beside_options"))
    clusters = [
        Cluster(
            _program(program, name), name, options.split(chosen, words), chosen.transport, silence,
            is_own=program is None or program is OWN,
        )
        for name, program, words in asked
    ]
    return Setup(
        clusters=clusters,
        join_seconds=chosen.join_seconds,
        checker=_program(chosen.checker, "checker") if chosen.check else None,
        working_directory=chosen.replica_cwd and chosen.replica_cwd.resolve(),
        trace=chosen.trace,
        report=chosen.report,
        history=chosen.history,
        keep=chosen.keep and chosen.keep.resolve(),
        keeps_failed=chosen.keeps_failed,
    )


def _program(chosen: Path | None, role: str) -> Path:
    if chosen is None or chosen is OWN:
        return build.own_program()
    # The path must be absolute, because replicas run in a directory of their own.
    reason = unusable(chosen, role)
    if reason is not None:
        raise StartError(reason)
    return chosen.resolve()
