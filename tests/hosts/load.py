"""Real Redis clients that put load on the replicas of a run, and record all that they see.

    load.py --clients N --seed N --records FILE --final FILE ADDRESS...

Prints `ready` once each client has seen a write acknowledged. At the line `stop` on standard input
the clients stop, every key is read at every replica, and the records are written. The end of the
input ends the program without records.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from hosts import history
from hosts.operations import Operations

# A client of one replica waits longer than the replica does before it answers `-UNKNOWN`; the
# others give up first, as impatient clients do.
_PATIENT_S, _IMPATIENT_S = 7.0, 1.0
_PAUSE_S = 0.02
# Keys that are read at once at the end, and how long the replicas may take until they agree.
_CHUNK = 500
_AGREEMENT_S = 60.0

_Item = TypeVar("_Item")


def connect(address: str, number: int, timeout_s: float) -> redis.Redis:
    """A client that repeats nothing, of the one or the other version of the protocol."""
    host, port = address.rsplit(":", 1)
    return redis.Redis(
        host=host,
        port=int(port),
        protocol=2 + number % 2,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=_IMPATIENT_S,
    )


class Pinned:
    """Stays with one replica."""

    def __init__(self, number: int, addresses: list[str]) -> None:
        self.redis = connect(addresses[number % len(addresses)], number, _PATIENT_S)

    def move_on(self) -> None:
        time.sleep(_PAUSE_S)


class Roaming:
    """Has connections to all replicas, and goes to another one after an error."""

    def __init__(self, number: int, addresses: list[str]) -> None:
        self._clients = [connect(address, number, _IMPATIENT_S) for address in addresses]
        self._random = random.Random(number)
        self.redis = self._random.choice(self._clients)

    def move_on(self) -> None:
        time.sleep(_PAUSE_S)
        self.redis = self._random.choice(self._clients)


class Guided:
    """Asks the replicas as sentinels for the leader, and again after an error."""

    def __init__(self, number: int, addresses: list[str]) -> None:
        self._number = number
        self._name = ""
        self._first = connect(addresses[0], number, _IMPATIENT_S)
        self.redis = self._first
        places = [(host, int(port)) for host, _, port in (each.rpartition(":") for each in addresses)]
        impatient = {"retry": Retry(NoBackoff(), 0), "socket_timeout": _IMPATIENT_S}
        self._sentinel = Sentinel(places, sentinel_kwargs=impatient)
        self.move_on()

    def move_on(self) -> None:
        time.sleep(_PAUSE_S)
        try:
            self._name = self._name or next(iter(self._first.sentinel_masters()))
            host, port = self._sentinel.discover_master(self._name)
        except RedisError:
            return  # The next error asks again.
        self.redis.close()
        self.redis = connect(f"{host}:{port}", self._number, _IMPATIENT_S)


_KINDS: tuple[type[Pinned | Roaming | Guided], ...] = (Pinned, Roaming, Pinned, Guided)


class Load:
    """All clients, each with a thread, and their records."""

    def __init__(self, addresses: list[str], clients: int, seed: int) -> None:
        self._addresses = addresses
        self._stopped = threading.Event()
        self._started = time.monotonic()
        self.records: list[list[history.Record]] = [[] for _ in range(clients)]
        self.faults: list[str] = []
        self._threads = [
            threading.Thread(target=self._work, args=(number, seed), daemon=True) for number in range(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def is_warm(self) -> bool:
        """Whether each client has seen a write acknowledged."""
        return all(history.acknowledgements(list(records)) for records in self.records)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int, seed: int) -> None:
        try:
            client = _KINDS[number // len(self._addresses) % len(_KINDS)](number, self._addresses)
            record = self.records[number].append
            operations = Operations(number, seed * 1_000 + number, self._started, record)
            while not self._stopped.is_set():
                try:
                    operations.step(client.redis)
                except RedisError:
                    client.move_on()
            operations.finish()
        except Exception as error:  # An answer that no client expects, or a mistake of ours.
            self.faults.append(f"client {number}: {type(error).__name__}: {error}")


def read_all(addresses: list[str], keys: list[str], faults: list[str]) -> Iterator[history.Record]:
    """Reads all keys at all replicas in turn, as the history's last operations. Then each replica's
    own state must become the same."""
    clients = [connect(address, 0, _PATIENT_S) for address in addresses]
    final: dict[str, str | None] = {}
    for number, chunk in enumerate(_chunks(keys, _CHUNK)):
        client = clients[number % len(clients)]
        invoked = time.monotonic()
        found = _values(client, chunk)
        common: dict[str, Any] = {"client": history.END, "type": "get", "outcome": history.OK}
        common |= {"invoked": invoked, "returned": time.monotonic()}
        for key, value in zip(chunk, found, strict=True):
            if not key.startswith(history.LOCK):
                final[key] = value
            found_here = {"value": value or "", "exists": value is not None}
            yield {"id": f"end/{key}", "key": key} | found_here | common
    for address, client in zip(addresses, clients, strict=True):
        client.close()
        if differing := _differing(address, final):
            faults.append(f"{address} has another value of {len(differing)} keys, such as {differing[0]}")


def _values(client: redis.Redis, keys: list[str]) -> list[str | None]:
    """Asks until there is an answer, which may take long on a busy machine."""
    deadline = time.monotonic() + _AGREEMENT_S
    while True:
        try:
            found: Any = client.mget(keys)
            return list(found)
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)


def _differing(address: str, final: dict[str, str | None]) -> list[str]:
    """The keys that have another value in this replica's own state, which may lag at first."""
    host, port = address.rsplit(":", 1)
    deadline = time.monotonic() + _AGREEMENT_S
    place: dict[str, Any] = {"host": host, "port": int(port), "single_connection_client": True}
    with redis.Redis(**place, decode_responses=True) as client:
        client.readonly()
        keys = list(final)
        while True:
            differing = []
            for chunk in _chunks(keys, _CHUNK):
                found = _values(client, chunk)
                differing += [key for key, value in zip(chunk, found, strict=True) if value != final[key]]
            if not differing or time.monotonic() > deadline:
                return differing
            keys = differing
            time.sleep(_PAUSE_S)


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--faults", type=Path, required=True)
    parser.add_argument("addresses", nargs="+")
    chosen = parser.parse_args()
    load = Load(chosen.addresses, chosen.clients, chosen.seed)
    load.start()
    while not load.is_warm() and not load.faults:
        time.sleep(_PAUSE_S)
    print("ready", flush=True)
    if sys.stdin.readline() != "stop\n":
        return 1
    load.stop()
    records = [record for records in load.records for record in records]
    try:
        records += read_all(chosen.addresses, history.keys(records), load.faults)
    except RedisError as error:
        load.faults.append(f"the last reads: {type(error).__name__}: {error}")
    history.write(chosen.records, records)
    chosen.faults.write_text(json.dumps(load.faults))
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
