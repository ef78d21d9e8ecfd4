"""`run.py sweep`: scenarios times seeds, some runs at a time; goes on where it stopped."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from simulator import build, config, suite
from simulator.arguments import unusable
from simulator.campaign.cluster import Cluster
from simulator.campaign.job import Job
from simulator.campaign.numbers import MOST_JOBS, Seeds, Shard
from simulator.campaign.plan import CampaignError, Plan
from simulator.campaign.pool import Pool
from simulator.campaign.session import KEPT, RefusedError, Session, verdict
from simulator.config import ConfigError
from simulator.signals import Signals
from simulator.transport import TRANSPORTS
from simulator.workspace import private_directory

PASSED, FAILED, BAD_USAGE = 0, 1, 2
ALL = "all"
_MOST_WORKERS = 1_024
# dask itself leaves a client behind that it cannot close when it does not know the scheme.
_ADDRESS = re.compile(r"((tcp|tls|ucx|wss?)://)?[^\s/]+:\d{1,5}/?", re.ASCII)
_Parsed = TypeVar("_Parsed")


def main(arguments: list[str]) -> int:
    try:
        chosen = _parse(arguments)
    except SystemExit as end:
        return BAD_USAGE if end.code else PASSED
    try:
        plan = _plan(chosen)
        session = Session(plan, chosen.out)
    except (ConfigError, CampaignError, build.BuildError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    except OSError as error:
        print(f"{error.filename or chosen.out}: {error.strerror}", file=sys.stderr)
        return BAD_USAGE
    try:
        return _run(session, chosen, shlex.join(["./run.py", "sweep", *arguments]))
    except (CampaignError, RefusedError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE if isinstance(error, RefusedError) else FAILED
    except OSError as error:
        print(f"{chosen.out}: {error.strerror}; what is finished is kept", file=sys.stderr)
        return FAILED
    finally:
        session.close()


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py sweep",
        description="Run scenarios with many seeds, and tell how many runs pass. The same command goes on "
        "where it stopped.",
        epilog="Exit code: 0 all runs passed, 1 one did not or the sweep was interrupted, 2 bad usage.",
    )
    parser.add_argument(
        "configs", nargs="+", metavar="CONFIG", help=f'scenario files, or "{ALL}" for the seventeen'
    )
    _add_jobs(parser)
    _add_program(parser)
    chosen = parser.parse_args(arguments)
    if chosen.virtual and (chosen.replica or chosen.replica_options or chosen.transport or chosen.scheduler):
        parser.error("--virtual: runs our own program in virtual time, here, and without a transport")
    if chosen.explore_options and not chosen.virtual:
        parser.error("--explore-options: needs --virtual")
    return chosen


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seeds", type=_checked(Seeds.of_option), required=True, metavar="SEEDS",
        help="1..1000, or 1,5,9, or both; N alone stands for 1..N",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR",
        help="for results.jsonl, junit.xml, summary.html and the files of failed runs",
    )
    parser.add_argument(
        "--jobs", type=_count, metavar="N",
        help="how many runs at a time (default: half of the processors, because runs need quiet; with "
        "--scheduler one per worker)",
    )
    parser.add_argument(
        "--shard", type=_checked(Shard.parse), default=Shard(), metavar="I/N",
        help='run only the I-th of N parts; "run.py merge" joins them',
    )
    parser.add_argument(
        "--scheduler", type=_address, metavar="ADDRESS",
        help="run the jobs on the workers of this scheduler of dask"
    )


def _add_program(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--replica", type=Path, metavar="PATH", help="as for a run, and so are these")
    parser.add_argument("--replica-options", default="", type=_options, metavar="OPTIONS")
    parser.add_argument("--transport", choices=sorted(TRANSPORTS))
    parser.add_argument("--run-options", default="", type=_options, metavar="OPTIONS",
                        help="further options of each run, as one word: --run-options='--join-seconds 20'")
    parser.add_argument(
        "--virtual", action="store_true",
        help="run our own program in virtual time, with the explorer, hundreds of times faster",
    )
    parser.add_argument("--explore-options", default="", type=_options, metavar="OPTIONS",
                        help="further options of the explorer, as one word")


def _checked(parse: Callable[[str], _Parsed]) -> Callable[[str], _Parsed]:
    """`parse` with its complaint as one of the command line."""
    def checked(text: str) -> _Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text[:80]!r}: {error}") from None
    return checked


@_checked
def _options(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


def _address(text: str) -> str:
    if _ADDRESS.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: must be an address such as tcp://host:8786")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or not 1 <= int(text) <= _MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: must be an integer from 1 to {_MOST_WORKERS:,}")
    return int(text)


def _plan(chosen: argparse.Namespace) -> Plan:
    """The plan of a command line, for which all files are read and all programs are built."""
    configs = _configs(chosen.configs)
    if len(configs) * len(chosen.seeds) > MOST_JOBS:
        raise CampaignError(f"--seeds: {len(configs)} scenarios give more than {MOST_JOBS:,} runs")
    template = Job(
        configs[0], 0, chosen.replica, chosen.replica_options, chosen.transport or "seqpacket",
        chosen.virtual, chosen.explore_options if chosen.virtual else chosen.run_options,
    )
    if chosen.replica is not None and (reason := unusable(chosen.replica)) is not None:
        raise CampaignError(f"--replica: {reason}")
    program = build.explorer() if chosen.virtual else build.own_program()
    return Plan.of(configs, chosen.seeds, chosen.shard, template, chosen.replica or program)


def _configs(named: list[str]) -> list[Path]:
    """The scenario files, each read once, so that a bad one is refused before the first run."""
    found: list[Path] = []
    for name in named:
        names = [one for section in suite.SECTIONS.values() for one in section] if name == ALL else []
        found += [build.REPOSITORY / "configs" / f"{one}.json" for one in names] or [Path(name)]
    seen: set[str] = set()
    for path in found:
        config.load(path)
        if os.path.abspath(path) in seen:
            raise CampaignError(f"{path}: is named twice")
        seen.add(os.path.abspath(path))
    return found


def _workers(
    plan: Plan, chosen: argparse.Namespace, signals: Signals, stack: ExitStack
) -> Pool | Cluster:
    # The workers run in the checkout, whatever the current directory is.
    keep = (chosen.out / KEPT).absolute()
    if chosen.scheduler:
        files = plan.files()
        return stack.enter_context(Cluster(chosen.scheduler, chosen.jobs, keep, signals, files))
    scratch = stack.enter_context(private_directory())
    size = chosen.jobs or max(1, len(os.sched_getaffinity(0)) // 2)
    return stack.enter_context(Pool(size, scratch, keep, signals))


def _run(session: Session, chosen: argparse.Namespace, command: str) -> int:
    done = session.progress.finished
    if done:
        session.display.line(f"{chosen.out}: goes on after {done:,} of {len(session.plan):,} runs")
    with Signals() as signals:
        with ExitStack() as stack:
            workers = _workers(session.plan, chosen, signals, stack)
            session.run(workers.outcomes, workers.size, signals)
        session.write()
        if session.progress.left:
            how_far = f"{session.progress.finished:,} of {len(session.plan):,} runs"
            session.display.line(f"interrupted after {how_far}; go on with: {command}")
            return FAILED
    session.display.line(f"{verdict(session.tally)}; see {chosen.out / 'summary.html'}")
    return PASSED if all(one.passed_all for one in session.tally.scenarios.values()) else FAILED
