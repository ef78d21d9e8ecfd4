"""Traces of runs that never were, told by tests: requests, messages, events."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from simulator.advice import Advice, advise

REPLICAS = ("0000", "0001", "0002")
CLIENT = "0013"


class Story:
    """Each method adds records at the time `now`, in seconds, and lets a little time pass."""

    def __init__(self, replicas: tuple[str, ...] = REPLICAS, **heading: Any) -> None:
        self.replicas = replicas
        self.now = 2.0
        self.leader = "0000"
        self.term = 1
        self._messages = 0
        self._requests = 0
        self._asked: dict[str, dict[str, Any]] = {}
        self.lines: list[Any] = [{
            "kvstore_trace": 1, "source": "run.py", "scenario": "story", "seed": 1,
            "replicas": list(replicas), "clients": [CLIENT], "settings": {"max_packets": 20_000}, **heading,
        }]

    def add(self, type: str, *rest: Any) -> None:
        self.now = round(self.now + 0.0001, 6)
        self.lines.append([type, int(self.now * 1e6), *rest])

    def lead(self, replica: str) -> None:
        """A new term begins, with this leader."""
        self.leader = replica
        self.term += 1

    def send(self, sender: str, target: str, type: str, fate: Any = 20, **fields: Any) -> None:
        """A message from one to one; `fate` is a number, or the reason of a loss."""
        fields = {"leader": self.leader} | fields
        body = {"src": sender, "dst": target, "type": type, **fields}
        self.add("m", self._messages, sender, target, body, fate)
        self._messages += 1

    def ask(self, replica: str, type: str = "put", key: str = "k", before: str | None = None, **more: Any) -> str:
        """A request reaches a replica; returns its MID."""
        mid = f"{self._requests:08x}"
        self._requests += 1
        asked = {"type": type, "key": key, **({"value": f"value-{mid}"} if type == "put" else {}), **more}
        self._asked[mid] = asked
        self.add("q", mid, CLIENT, asked | ({"before": before} if before else {}))
        self.send(CLIENT, replica, MID=mid, **asked)
        return mid

    def answer(self, replica: str, mid: str, outcome: str = "ok", **more: Any) -> None:
        """A response reaches its client."""
        leader = more.pop("leader", self.leader)
        self.send(replica, CLIENT, outcome, MID=mid, leader=leader, **more)
        self.add("a", mid, outcome, {"replica": replica, "leader": leader, **more})

    def replicate(self, leader: str, mid: str, *followers: str, acknowledge: bool = True) -> None:
        """A leader copies a write to followers, which acknowledge it."""
        entry = [self.term, self._asked[mid]["key"], self._asked[mid].get("value")]
        for follower in followers:
            self.send(leader, follower, "append", term=self.term, entries=[entry])
            if acknowledge:
                self.send(follower, leader, "appended", term=self.term, ok=True)

    def put(self, leader: str, key: str = "k", followers: tuple[str, ...] | None = None) -> str:
        """A put that is done as it should be."""
        mid = self.ask(leader, key=key)
        others = tuple(replica for replica in self.replicas if replica != leader)
        self.replicate(leader, mid, *(others if followers is None else followers))
        self.answer(leader, mid)
        return mid

    def get(self, replica: str, key: str, value: str, **more: Any) -> str:
        mid = self.ask(replica, "get", key)
        self.answer(replica, mid, value=value, **more)
        return mid

    def event(self, kind: str, **fields: Any) -> None:
        self.add("e", kind, fields)

    def end(self, verdict: str = "failed", **more: Any) -> None:
        time = int(self.now * 1e6)
        self.lines.append({"end": True, "time": time, "verdict": verdict, "checks": [], "tiers": [], **more})

    def write(self, path: Path) -> None:
        path.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines))

    def advice(self) -> list[Advice]:
        """The advice for this story; it ends as a failed run unless it has an end."""
        if not isinstance(self.lines[-1], dict) or len(self.lines) == 1:
            self.end()
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "story.trace"
            self.write(path)
            return advise(path)

    def kinds(self) -> list[str]:
        return [advice.kind for advice in self.advice()]
