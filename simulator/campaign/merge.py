"""`run.py merge`: the results of the shards of a campaign as one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from simulator.campaign import plan, session, store
from simulator.campaign.job import ERROR, FAILED, PASSED, Job, Outcome
from simulator.campaign.plan import CampaignError, Plan
from simulator.campaign.store import Records
from simulator.campaign.tally import Tally

ALL_PASSED, ONE_FAILED, BAD_USAGE = 0, 1, 2
_MOST_TOLD = 10
_WORSE = (PASSED, ERROR, FAILED)


def main(arguments: list[str]) -> int:
    try:
        chosen = _parse(arguments)
    except SystemExit as end:
        return BAD_USAGE if end.code else ALL_PASSED
    try:
        return _merge(chosen.shards, chosen.out)
    except CampaignError as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except OSError as error:
        print(f"{error.filename or chosen.out}: {error.strerror}", file=sys.stderr)
        return BAD_USAGE


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py merge",
        description="Join the results of the shards of a sweep, and tell which runs are missing.",
        epilog="Exit code: 0 all runs passed, 1 one did not, 2 runs are missing, the files are no results of "
        "one sweep, or bad usage.",
    )
    parser.add_argument(
        "shards", nargs="+", type=Path, metavar="DIR", help="a directory of `run.py sweep --out`"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for the results; new or empty"
    )
    return parser.parse_args(arguments)


def _merge(shards: list[Path], out: Path) -> int:
    whole = _common_plan(shards)
    found = _collect(whole, shards)
    if out.exists() and any(out.iterdir()):
        raise CampaignError(f"{out}: must be new or empty")
    out.mkdir(parents=True, exist_ok=True)
    plan.save(whole, out)
    tally = _write_results(whole, shards, found, out)
    session.write(tally, out)
    for line in _told("counted once, because several shards have them", found.duplicates):
        print(line)
    for line in _told("counted with the worse one of two verdicts", found.conflicts):
        print(line)
    missing = len(whole) - tally.verdicts.total()
    print(f"{session.verdict(tally)}; see {out / 'summary.html'}")
    if missing:
        names = islice((job.key for job in _missing(whole, tally)), _MOST_TOLD)
        print(_line("missing", missing, names), file=sys.stderr)
        return BAD_USAGE
    return ALL_PASSED if tally.verdicts[PASSED] == len(whole) else ONE_FAILED


def _common_plan(shards: list[Path]) -> Plan:
    """The campaign that all directories are shards of."""
    plans = [plan.load(directory) for directory in shards]
    whole = plans[0].whole()
    for directory, other in zip(shards, plans, strict=True):
        # Each machine may have built its own program.
        difference = whole.difference(replace(other.whole(), program=whole.program))
        if difference is not None:
            raise CampaignError(f"{directory}: is no shard of the campaign in {shards[0]}: {difference}")
        if other.program != whole.program:
            print(f"{directory}: had another program than {shards[0]}, if only another build of it")
    return whole


@dataclass
class _Found:
    """The place of each run's record, as the number of its file and the offset there."""

    places: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def _collect(whole: Plan, shards: list[Path]) -> _Found:
    found = _Found()
    files = [directory / store.FILE for directory in shards]
    earlier = Records(files)
    try:
        for number, path in enumerate(files):
            for offset, outcome in store.records(path):
                if not whole.has(outcome):
                    raise CampaignError(f"{path}: {outcome.key}: no run of this campaign")
                _take(found, outcome, (number, offset), earlier)
    finally:
        earlier.close()
    return found


def _take(found: _Found, outcome: Outcome, place: tuple[int, int], earlier: Records) -> None:
    """Note the place of a record; of two for one run, that with the worse verdict stays."""
    key = (outcome.config, outcome.seed)
    if key not in found.places:
        found.places[key] = place
        return
    other = earlier.at(*found.places[key])
    if other.verdict == outcome.verdict:
        found.duplicates.append(outcome.key)
        return
    found.conflicts.append(f"{outcome.key} ({other.verdict} and {outcome.verdict})")
    if _WORSE.index(outcome.verdict) > _WORSE.index(other.verdict):
        found.places[key] = place


def _write_results(whole: Plan, shards: list[Path], found: _Found, out: Path) -> Tally:
    """The results in the order of the campaign. Links lead to the files that the shards kept."""
    path = out / store.FILE
    tally = Tally(whole, [path])
    records = Records([directory / store.FILE for directory in shards])
    try:
        with path.open("wb") as file:
            for key in sorted(found.places, key=_order(whole)):
                number, offset = found.places[key]
                outcome = _moved(records.at(number, offset), shards[number], out)
                tally.add(outcome, (0, file.tell()))
                file.write(json.dumps(outcome.to_json(), separators=(",", ":")).encode() + b"\n")
    finally:
        records.close()
    return tally


def _order(whole: Plan) -> Callable[[tuple[str, int]], tuple[int, int]]:
    numbers = {name: number for number, name in enumerate(whole.scenarios)}
    return lambda key: (numbers[key[0]], key[1])


def _moved(outcome: Outcome, shard: Path, out: Path) -> Outcome:
    """The outcome with the place of its files as seen from the new directory."""
    if outcome.kept is None or os.path.isabs(outcome.kept):
        return outcome
    return replace(outcome, kept=os.path.relpath(shard / outcome.kept, out))


def _missing(whole: Plan, tally: Tally) -> Iterator[Job]:
    return (job for job in whole.jobs() if job.seed not in tally.scenarios[job.config_name].places)


def _told(words: str, names: list[str]) -> Iterator[str]:
    if names:
        yield _line(words, len(names), names[:_MOST_TOLD])


def _line(words: str, count: int, names: Iterable[str]) -> str:
    shown = ", ".join(names)
    return f"{count:,} {words}: {shown}{', ...' if count > _MOST_TOLD else ''}"
