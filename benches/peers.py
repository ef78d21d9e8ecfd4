#!/usr/bin/env python3
"""Measures three replicas of kvstore beside etcd and Redis on this machine.

    cargo build --release
    benches/peers.py                             all systems, some minutes on a quiet machine
    benches/peers.py --systems kvstore,etcd --clients 64 --rounds 1
    benches/peers.py --json FILE --plot docs/peers.svg --into docs/performance.md
    benches/peers.py --from FILE --plot docs/peers.svg      no run: draws and prints an earlier one

One system runs at a time, each time with fresh directories under target/peers, and the systems take
turns in rounds. Prints tables of medians over the rounds. docs/performance.md says why the settings
are fair.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import drawing
import systems
from load import KEYS, VALUE_BYTES, Generator, Target
from report import TITLES, WORKLOADS, report
from systems import PeersError, Programs, System

_PARTS = ("load", "followers", "failover")
# The systems of which clients may ask a follower, and the numbers of those clients.
_FOLLOWERS = ("kvstore", "etcd")
_FOLLOWER_CLIENTS = (1, 64)
# The numbers of clients that share a connection.
_SHARING_CLIENTS = (64, 256)
# Reads alone differ from those of kvstore.
_ONLY_READS = ("kvstore-read-index",)
# A leader that changes while a cell is measured spoils the cell.
_ATTEMPTS = 3
# A machine with a greater load has other work.
_QUIET_LOAD = 0.5
# Between these lines of a document stand the tables.
_BEGIN, _END = "<!-- tables of benches/peers.py -->", "<!-- end of the tables -->"


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = _parse(arguments)
    try:
        measured = json.loads(chosen.source.read_text()) if chosen.source else Comparison(chosen).run()
        _publish(chosen, measured)
    except KeyboardInterrupt:
        return _refuse("interrupted, all servers are stopped", 130)
    except PeersError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename or 'a server'}: {error.strerror or error}")
    except (KeyError, ValueError, TypeError) as error:
        return _refuse(f"unusable measurements: {error}")
    return 0


def _refuse(reason: str, status: int = 1) -> int:
    print(f"peers.py: {reason}", file=sys.stderr)
    return status


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="peers.py", description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--systems", type=_words(TITLES), default=list(TITLES), help=f"some of {','.join(TITLES)}")
    add("--clients", type=_counts, default=[1, 16, 64, 256], metavar="N,N", help="default: 1,16,64,256")
    add("--seconds", type=_positive, default=2.0, help="for each cell [default: %(default)s]")
    add("--rounds", type=_count, default=3, help="default: %(default)s")
    add("--kills", type=_count, default=2, help="of leaders per system and round [default: %(default)s]")
    add("--recovery-seconds", type=_positive, default=5.0,
        help="how long clients write around a kill [default: %(default)s]")
    add("--keys", type=_count, default=KEYS, help="default: %(default)s")
    add("--only", type=_words(_PARTS), default=list(_PARTS), metavar="PARTS",
        help=f"some of {','.join(_PARTS)}")
    add("--json", type=Path, metavar="FILE", help="writes each figure there")
    add("--plot", type=Path, metavar="FILE.svg",
        help="draws the rates there, and for dark pages in FILE-dark.svg")
    add("--into", type=Path, metavar="DOCUMENT", help="replaces the tables of this document")
    add("--from", type=Path, metavar="FILE", dest="source",
        help="measures nothing, takes the figures of an earlier --json")
    for name in ("kvstore", "etcd", "redis"):
        add(f"--{name}", type=Path, metavar="PROGRAM", help=f"the program of {name}")
    return parser.parse_args(arguments)


def _words(known: Any) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        words = text.split(",")
        for word in words:
            if word not in known:
                raise argparse.ArgumentTypeError(f"{word!r} is none of {','.join(known)}")
        return words

    return parse


def _counts(text: str) -> list[int]:
    return sorted({_count(word) for word in text.split(",")})


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return float(text)


@dataclass
class Figures:
    """The figures of all rounds so far."""

    cells: list[dict[str, Any]]
    memory: list[dict[str, Any]]
    failovers: list[dict[str, Any]]


class Comparison:
    """One run over all systems."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        needed = {name.split("-")[0] for name in chosen.systems}
        self._programs = Programs(
            systems.find_kvstore(chosen.kvstore) if "kvstore" in needed else None,
            systems.find_etcd(chosen.etcd) if "etcd" in needed else None,
            systems.find_redis(chosen.redis) if "redis" in needed else None,
        )
        self._versions = self._programs.versions()
        self._generator = Generator.build(chosen.keys)
        self._figures = Figures([], [], [])
        # Each key is written once in all failovers of a system.
        self._next_key = chosen.keys

    def run(self) -> dict[str, Any]:
        """All rounds, each beginning with another system."""
        load_before = os.getloadavg()[0]
        if load_before > _QUIET_LOAD:
            busy = f"other programs load this machine ({load_before:.1f}), so the figures mean little"
            print(f"peers.py: {busy}", file=sys.stderr)
        names = self._chosen.systems
        for number in range(self._chosen.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                self._round(name, number)
        settings = ("rounds", "seconds", "clients", "keys", "kills")
        return {
            "versions": self._versions,
            "cores": os.cpu_count(),
            "load_before": load_before,
            "value_bytes": VALUE_BYTES,
            **{name: getattr(self._chosen, name) for name in settings},
            **vars(self._figures),
        }

    def _round(self, name: str, number: int) -> None:
        """All parts of one system, alone on the machine."""
        parts = self._chosen.only
        with self._running(name) as system:
            self._tell(number, name, "starts")
            self._generator.fill(_target(system, "shared"))
            self._weigh(system, name, number, "filled")
            counts = self._chosen.clients
            if "load" in parts:
                workloads = ["reads"] if name in _ONLY_READS else list(WORKLOADS)
                self._load(system, name, number, "leader", (counts, workloads))
                self._weigh(system, name, number, "end")
                if system.can_share and name not in _ONLY_READS:
                    many = [count for count in counts if count in _SHARING_CLIENTS]
                    self._load(system, name, number, "shared", (many, ["writes", "reads"]))
            if "followers" in parts and name in _FOLLOWERS:
                few = [count for count in counts if count in _FOLLOWER_CLIENTS]
                self._load(system, name, number, "follower", (few, ["writes", "reads"]))
            if "failover" in parts and system.has_failover and name not in _ONLY_READS:
                for _ in range(self._chosen.kills):
                    self._failover(system, name, number)

    @contextmanager
    def _running(self, name: str) -> Iterator[System]:
        # The files of the system before reach the disk before the next one starts.
        os.sync()
        system = self._system(name)
        try:
            system.start()
            yield system
        finally:
            system.close()

    def _system(self, name: str) -> System:
        programs = self._programs
        if programs.etcd and name == "etcd":
            return systems.Etcd(name, programs.etcd)
        if programs.redis and name.startswith("redis"):
            return systems.Redis(name, programs.redis, has_replica=name == "redis-wait")
        assert programs.kvstore
        options = ("--reads", "read-index") if name == "kvstore-read-index" else ()
        return systems.Kvstore(name, programs.kvstore, options)

    def _load(
        self, system: System, name: str, number: int, way: str, loads: tuple[list[int], list[str]]
    ) -> None:
        """All of these numbers of clients with all of these workloads."""
        for clients, workload in itertools.product(*loads):
            cell = self._cell(system, way, clients, WORKLOADS[workload], number)
            about = {"system": name, "way": way, "workload": workload, "clients": clients}
            self._figures.cells.append({**about, "round": number, **cell})
            rate = f"{cell['rate']:,.0f} per second, p99 {cell['p99_us'] / 1e3:.2f} ms"
            self._tell(number, name, f"{workload}, way {way}, clients {clients}: {rate}")

    def _cell(self, system: System, way: str, clients: int, reads: int, seed: int) -> dict[str, Any]:
        for _ in range(_ATTEMPTS):
            leader = system.leader()
            cell = self._generator.run(_target(system, way), clients, reads, self._chosen.seconds, seed)
            if system.leader() == leader:
                return cell
        raise PeersError(f"the leader of {system.directory.name} changes in each of {_ATTEMPTS} attempts")

    def _weigh(self, system: System, name: str, number: int, moment: str) -> None:
        entry = {"system": name, "round": number, "moment": moment, "bytes": system.memory_bytes()}
        self._figures.memory.append(entry)

    def _failover(self, system: System, name: str, number: int) -> None:
        leader = system.leader()
        target = Target(system.protocol, system.addresses)
        seconds = self._chosen.recovery_seconds
        kill = system.servers[leader].kill
        found = self._generator.failover(target, seconds, self._next_key, kill)
        self._next_key = found["next_key"]
        self._figures.failovers.append({"system": name, "round": number, **found})
        gap = f"{found['longest_gap_ms'] / 1e3:.2f} s without service, {found['lost']} writes lost"
        self._tell(number, name, f"leader killed: {gap}")
        system.servers[leader].start()
        system.wait()

    def _tell(self, number: int, name: str, text: str) -> None:
        print(f"round {number + 1} of {self._chosen.rounds}, {name}: {text}", file=sys.stderr, flush=True)


def _target(system: System, way: str) -> Target:
    """The server that clients ask, and how: at the `leader`, at a `follower`, or `shared`."""
    leader = system.leader()
    place = leader if way != "follower" else (leader + 1) % len(system.addresses)
    return Target(system.protocol, [system.addresses[place]], is_shared=way == "shared")


def _publish(chosen: argparse.Namespace, measured: dict[str, Any]) -> None:
    if chosen.json:
        chosen.json.write_text(json.dumps(measured, indent=1) + "\n")
    tables = report(measured)
    print(tables)
    names = {}
    if chosen.plot:
        for suffix, picture in drawing.draw(measured).items():
            names[suffix] = chosen.plot.with_name(f"{chosen.plot.stem}{suffix}.svg")
            names[suffix].write_text(picture)
    if chosen.into:
        shown = _show(names, chosen.into) + tables
        chosen.into.write_text(_replace_tables(chosen.into.read_text(), shown, chosen.into))


def _show(names: dict[str, Path], document: Path) -> str:
    """The lines of the document that show the picture, if there is one."""
    if not names:
        return ""
    light, dark = (os.path.relpath(names[suffix], document.parent) for suffix in ("", "-dark"))
    return (
        f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="{dark}">\n'
        f'  <img src="{light}" alt="{drawing.TITLE}">\n</picture>\n\n'
    )


def _replace_tables(document: str, tables: str, name: Path) -> str:
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise PeersError(f"{name} has no lines {_BEGIN} and {_END}")
    return f"{before}{begin}\n\n{tables}\n{end}{after}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
