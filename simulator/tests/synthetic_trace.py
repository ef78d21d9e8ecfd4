"""Traces of runs that never were: a leader copies puts to its followers, as long as it takes.

    python3 -m simulator.tests.synthetic_trace MESSAGES FILE

All of it follows from the number of messages: two calls write the same bytes.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPLICAS = [f"{number:04X}" for number in range(5)]
CLIENTS = [f"{number:04X}" for number in range(21, 29)]
SECONDS = 30
_DROPS = 0.05
_PUTS_SHARE = 0.5


class Synthesizer:
    """Writes the records of a run with a partition, a pause and the death of its leader."""

    def __init__(self, messages: int, *, violation: bool = False) -> None:
        self._random = random.Random(messages)
        self._most = messages
        self._violation = violation
        self._sent = 0
        self._requests = 0
        self._leader, self._term = 0, 1
        self._dead: set[int] = set()

    def lines(self) -> Iterator[str]:
        yield json.dumps(self._head())
        yield from map(json.dumps, self._records())
        yield json.dumps(self._end())

    def _head(self) -> dict[str, Any]:
        return {
            "kvstore_trace": 1, "source": "run.py", "scenario": "synthetic", "seed": 7,
            "replicas": REPLICAS, "clients": CLIENTS, "settings": {"replicas": 5},
            "command": "./run.py synthetic.json --seed 7", "replica": "none",
        }

    def _records(self) -> Iterator[list[Any]]:
        step = SECONDS * 1_000_000 / self._most
        events = iter([
            (0.2, ["e", "partition", {"side": REPLICAS[:3]}]), (0.4, ["e", "heal", {}]),
            (0.5, ["e", "pause", {"replica": "0003"}]), (0.55, ["e", "resume", {"replica": "0003"}]),
            (0.7, ["e", "kill", {"replica": "0000"}]), (2.0, []),
        ])
        due, event = next(events)
        while self._sent < self._most:
            now = int(self._sent * step)
            while self._sent >= due * self._most:
                kind, *rest = event
                yield [kind, now, *rest]
                if rest[0] == "kill":
                    self._dead.add(0)
                    self._leader, self._term = 1, 2
                    yield ["o", now + 40_000, "0001", "err", "election timeout, becoming leader of term 2"]
                due, event = next(events)
            yield from self._request(now)
        if self._violation:
            yield ["f", 20_000_000, "incorrect value: get 00000002 answered with an old value", {"mids": ["00000002"]}]

    def _request(self, now: int) -> Iterator[list[Any]]:
        self._requests += 1
        draw = self._random
        mid, client, leader = f"{self._requests:08x}", draw.choice(CLIENTS), REPLICAS[self._leader]
        key = f"ü{draw.getrandbits(16):04x}"
        call = {"type": "get", "key": key}
        if draw.random() < _PUTS_SHARE:
            call = {"type": "put", "key": key, "value": f"{draw.getrandbits(128):032x}"}
        yield ["q", now, mid, client, call]
        asked = {"src": client, "dst": leader, "leader": leader, "MID": mid} | call
        yield self._message(now, client, leader, asked)
        took = draw.randrange(80, 200)
        if call["type"] == "put":
            took += 400
            yield from self._copy(now + 100, call | {"MID": mid})
        answer = {"src": leader, "dst": client, "leader": leader, "type": "ok", "MID": mid, "value": ""}
        yield self._message(now + took, leader, client, answer)
        yield ["a", now + took + 20, mid, "ok", {"replica": leader, "value": ""}]

    def _copy(self, now: int, entry: dict[str, str]) -> Iterator[list[Any]]:
        leader = REPLICAS[self._leader]
        # Replicas name the requests that they copy in one way or another.
        named = [entry["MID"]] if self._requests % 2 else [entry["key"], entry["value"]]
        body: dict[str, Any] | None = {
            "src": leader, "dst": "FFFF", "leader": leader, "type": "append", "term": self._term,
            "index": self._requests, "entries": [[self._term, *named]],
        }
        fates = {number: self._fate(number) for number in range(len(REPLICAS)) if number != self._leader}
        for number, fate in fates.items():
            yield self._message(now, leader, REPLICAS[number], body, fate)
            body = None
        for number, fate in fates.items():
            if isinstance(fate, str):
                continue
            acknowledgement = {
                "src": REPLICAS[number], "dst": leader, "leader": leader, "type": "append_ack",
                "term": self._term, "index": self._requests, "ok": True,
            }
            yield self._message(now + fate + 30, REPLICAS[number], leader, acknowledgement)

    def _fate(self, follower: int) -> int | str:
        if follower in self._dead:
            return "dead"
        return "chance" if self._random.random() < _DROPS else self._random.randrange(40, 160)

    def _message(self, t: int, sender: str, receiver: str, body: Any, fate: int | str | None = None) -> list[Any]:
        self._sent += 1
        return ["m", t, self._sent - 1, sender, receiver, body, self._random.randrange(20, 60) if fate is None else fate]

    def _end(self) -> dict[str, Any]:
        failed = {"name": "Incorrect responses", "passed": False, "text": "Incorrect responses: 1, none allowed, 1 too many"}
        verdict = {"verdict": "linearizable", "text": "", "mids": []}
        if self._violation:
            verdict = {"verdict": "violation", "text": "get 00000003 is older than put 00000001", "mids": ["00000001", "00000003"]}
        checks = [
            failed if self._violation else {"name": "Incorrect responses", "passed": True, "text": ""},
            {"name": "Linearizable history", "passed": not self._violation, "text": verdict["text"]},
        ]
        tiers = [
            {"metric": "total_msgs", "value": 506, "benchmark": 1200, "tier": 0, "verdict": "Bonus!"},
            {"metric": "failures", "value": 0, "benchmark": 1, "tier": 1, "verdict": "Passed"},
            {"metric": "duplicates", "value": 3, "benchmark": 5, "tier": 2, "verdict": "Partial credit, needs improvement"},
            {"metric": "median_latency", "value": 0.025, "benchmark": 0.02, "tier": 3, "verdict": "Failed"},
        ]
        return {
            "end": True, "time": SECONDS * 1_000_000, "verdict": "failed" if self._violation else "passed",
            "checks": checks, "tiers": [] if self._violation else tiers, "linearizability": verdict, "result": {},
        }


def write(path: Path, messages: int, *, violation: bool = False) -> None:
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in Synthesizer(messages, violation=violation).lines())


if __name__ == "__main__":
    write(Path(sys.argv[2]), int(sys.argv[1]))
