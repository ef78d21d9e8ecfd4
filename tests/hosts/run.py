#!/usr/bin/env python3
"""Runs real replicas on hosts of their own, under real Redis clients, with faults from a seed.

    tests/hosts/run.py --plan kill-leader --rounds 50
    tests/hosts/run.py --plan everything --replicas 5 --seconds 120 --seed 7
    tests/hosts/run.py --no-namespaces --plan kills

Each host is a network namespace, which takes root, iproute2 and nftables. Without them the run is
skipped; with --no-namespaces all replicas are on loopback, and plans have the faults of processes
alone. The clients are redis-py, installed under target/ at the first run. The history of all
operations must be linearizable, no acknowledged write may be lost, and all replicas must agree at
the end. Exit code 1 if not; then the history and the logs stay in a directory.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clients import libraries

from hosts import history, network, plans, processes, report, rules
from hosts.faults import Fault, Injector
from hosts.network import Loopback, Namespaces, Network, NetworkError
from hosts.plans import PlanError, Step
from hosts.replicas import Cluster, ReplicaError
from hosts.report import Result

_HERE = Path(__file__).resolve().parent
_CLIENTS = 12
_SECONDS = 60.0
# The clients may take so long to start, and to read all keys at the end.
_LOAD_S = 300.0
# The judge may take so long. More operations than it can judge are a mistake of the plan.
_JUDGE_S = 600.0


class LoadError(Exception):
    """The clients ended by themselves."""


class Load:
    """The program with the clients, on a host of its own."""

    def __init__(
        self, chosen: argparse.Namespace, network_: Network, addresses: list[str], place: Path
    ) -> None:
        self._records, self._faults = place / "records.jsonl", place / "clients.json"
        command = [str(libraries.python()), str(_HERE / "load.py")]
        command += ["--clients", str(chosen.clients), "--seed", str(chosen.seed)]
        command += ["--records", str(self._records), "--faults", str(self._faults)]
        inside = network_.inside(rules.CLIENTS, [*command, *addresses])
        self._process = processes.start(inside, subprocess.PIPE, piped=True)
        self._expect("ready")

    def _expect(self, word: str) -> None:
        """Waits for this line. Clients that hang are ended."""
        assert self._process.stdout
        guard = threading.Timer(_LOAD_S, self._process.kill)
        guard.start()
        line = self._process.stdout.readline()
        guard.cancel()
        if line.strip() != word:
            raise LoadError(f"the clients ended with status {self._process.wait()}: {line.strip()}")

    def stop(self) -> tuple[list[history.Record], list[str]]:
        """The records of all operations, and faults of the replicas that clients have seen."""
        assert self._process.stdin
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()
        self._expect("done")
        return history.read(self._records), json.loads(self._faults.read_text())

    def close(self) -> None:
        processes.end(self._process)


def main() -> int:
    chosen = _arguments()
    signal.signal(signal.SIGTERM, _interrupted)
    if chosen.namespaces and (reason := network.missing()):
        print(f"skipped: {reason}; --no-namespaces has the faults of processes alone")
        return 0
    try:
        steps = plans.draw(
            chosen.plan, chosen.seed, chosen.seconds, chosen.rounds, has_network=chosen.namespaces
        )
        libraries.python()
    except libraries.MissingError as error:
        print(f"skipped: redis-py cannot be installed here: {error}")
        return 0
    except PlanError as error:
        print(f"skipped: {error}")
        return 0
    about = f"plan {chosen.plan}, seed {chosen.seed}, {chosen.replicas} replicas, {len(steps)} faults"
    print(about, flush=True)
    result = Result(chosen.plan, chosen.seed, chosen.replicas, chosen.namespaces)
    place = processes.directory()
    try:
        _run(chosen, steps, place, result)
    except (NetworkError, ReplicaError, LoadError, OSError) as error:
        result.problems.append(str(error))
    except KeyboardInterrupt:
        shutil.rmtree(place)
        print("interrupted")
        return 130
    for line in report.lines(result):
        print(line)
    if chosen.json:
        chosen.json.write_text(json.dumps(result.as_json(), indent=1) + "\n")
    _put_away(place, failed=bool(result.problems))
    return 1 if result.problems else 0


def _arguments() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", choices=plans.PLANS, default="everything", help="[default: %(default)s]")
    parser.add_argument("--replicas", type=int, choices=(3, 5), default=3, help="[default: %(default)s]")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="how long [default: %(default)s]")
    parser.add_argument("--rounds", type=int, help="so many faults, however long they take")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--clients", type=int, default=_CLIENTS, help="[default: %(default)s]")
    parser.add_argument("--most-seconds", type=float, help="fail if no write succeeds for longer")
    parser.add_argument(
        "--no-namespaces", dest="namespaces", action="store_false", help="all replicas on loopback"
    )
    program = libraries.REPOSITORY / "target" / "release" / "kvstore"
    parser.add_argument("--binary", type=Path, default=program, help="the replica [default: %(default)s]")
    parser.add_argument("--checker", type=Path, help="the program that judges [default: the replica]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the result there")
    parser.add_argument("--option", action="append", default=[], help="of kvstore serve (repeatable)")
    chosen = parser.parse_args()
    if not chosen.binary.exists():
        parser.error(f"{chosen.binary} is not there: cargo build --release")
    return chosen


def _interrupted(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _run(chosen: argparse.Namespace, steps: list[Step], place: Path, result: Result) -> None:
    """The whole run. Everything is ended and removed when it is left."""
    with ExitStack() as stack:
        network_ = stack.enter_context(closing(_network(chosen)))
        cluster = Cluster(chosen.binary.resolve(), network_, place, chosen.option)
        stack.enter_context(closing(cluster)).start()
        load = stack.enter_context(closing(Load(chosen, network_, cluster.addresses(), place)))
        began = time.monotonic()
        faults = _carry_out(steps, Injector(cluster, network_))
        ended = time.monotonic()
        cluster.wait_until_all_serve()
        records, seen = load.stop()
        cluster.check_processes()
    result.seconds = ended - began
    result.problems += seen
    sent = [record for record in records if record["client"] != history.END]
    report.count(result, sent, faults, ended)
    _judge(chosen, records, place, result)


def _network(chosen: argparse.Namespace) -> Network:
    if not chosen.namespaces:
        return Loopback(chosen.replicas)
    relay = [sys.executable, str(_HERE / "relay.py")] if plans.needs_relays(chosen.plan) else None
    return Namespaces(chosen.replicas, relay)


def _carry_out(steps: list[Step], injector: Injector) -> list[Fault]:
    faults: list[Fault] = []
    for number, step in enumerate(steps, 1):
        fault = injector.carry_out(step)
        faults.append(fault)
        since_s = fault.began - faults[0].began
        print(f"[{since_s:7.3f}] {number}/{len(steps)} {fault.name}: {fault.detail}", flush=True)
        time.sleep(step.calm_s)
    return faults


def _judge(chosen: argparse.Namespace, records: list[history.Record], place: Path, result: Result) -> None:
    final = {record["key"]: record["value"] for record in records if record["client"] == history.END}
    lost, risen = history.misplaced(records, final)
    if lost:
        result.problems.append(f"{len(lost)} acknowledged writes are lost, such as {lost[0]}")
    if risen:
        result.problems.append(f"{len(risen)} refused writes took effect, such as {risen[0]}")
    if chosen.most_seconds is not None and result.worst_gap_s() > chosen.most_seconds:
        result.problems.append(f"no write succeeded for {result.worst_gap_s():.3f} s")
    path = place / "history.jsonl"
    history.write(path, history.judged(records))
    checker = (chosen.checker or chosen.binary).resolve()
    try:
        done = subprocess.run(
            [str(checker), "check", str(path)], capture_output=True, check=False, text=True, timeout=_JUDGE_S
        )
    except subprocess.TimeoutExpired:
        result.problems.append(f"the history is not judged after {_JUDGE_S:.0f} s")
        return
    result.checker = (done.stdout or done.stderr).strip()
    if done.returncode != 0:
        result.problems.append("the history is not linearizable, or could not be judged")


def _put_away(place: Path, *, failed: bool) -> None:
    """Removes the state of the run. After a failure the history and the logs stay, elsewhere."""
    if failed:
        kept = libraries.REPOSITORY / "target" / "hosts" / place.name
        kept.mkdir(parents=True, exist_ok=True)
        for path in [*place.glob("*.log"), *place.glob("*.json*")]:
            shutil.move(path, kept)
        print(f"the history and the logs are in {kept}")
    shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(main())
