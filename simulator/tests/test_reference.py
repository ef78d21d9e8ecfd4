"""The reference replica in a network of virtual time that loses, repeats, reorders and splits.

Each seed is one cluster. Its rules are those of the paper's figure 3. One check of all histories
decides whether the answers are linearizable.
"""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from simulator.examples.replica import LEADER, UNKNOWN, Connection, Entry, Message, Replica, checksum

SEEDS = range(int(os.environ.get("REFERENCE_SEEDS", "60")))
LIFETIME_SECONDS = 6.0
QUIET_SECONDS = 3.0  # at the end, without faults
CLIENTS = ("C000", "C001", "C002", "C003")
KEYS = ("a", "b")


class Node:
    """A replica, the disk that survives it, and the messages that wait while it stands still."""

    def __init__(self, id: str, others: list[str], random: Random) -> None:
        self.id = id
        self.others = others
        self.random = random
        self.disk: list[Message] = []
        self.waiting: list[Message] = []
        self.is_up = True
        self.is_paused = False
        self.start()

    def start(self) -> None:
        self.replica = Replica(self.id, self.others, self.random)
        self.replica.restore(json.loads(json.dumps(self.disk)))
        self.is_up = True

    def step(self, now: float) -> list[Message]:
        arrived, self.waiting = self.waiting, []
        sent = self.replica.step(now, arrived)
        self.disk += self.replica.unsaved
        self.replica.unsaved = []
        return sent


class Client:
    """Sends one request after the other, repeats those without an answer, and keeps a history."""

    def __init__(self, cluster: Cluster, id: str) -> None:
        self.cluster = cluster
        self.id = id
        self.numbers = count()
        self.history: list[dict[str, Any]] = []
        self.sent = self.answered = 0

    def begin(self) -> None:
        random = self.cluster.random
        key = random.choice(KEYS)
        type = random.choice(("get", "put"))
        value = {"value": f"{self.id}-{len(self.history)}".ljust(self.cluster.value_bytes)} if type == "put" else {}
        self.attempt({"type": type, "key": key, **value}, UNKNOWN)

    def attempt(self, call: Message, target: str, retry_of: str | None = None) -> None:
        self.call = call
        self.mid = f"{next(self.numbers):08x}"
        self.history.append({
            "id": f"{self.cluster.seed}-{self.id}-{self.mid}", "client": f"{self.cluster.seed}-{self.id}",
            "type": call["type"], "key": f"{self.cluster.seed}-{call['key']}", "value": call.get("value"),
            "invoked": self.cluster.now, "returned": None, "outcome": "unknown",
            **({} if retry_of is None else {"retry_of": retry_of}),
        })
        self.sent = self.answered = 0
        self.transmit(target)

    def transmit(self, target: str) -> None:
        if target == UNKNOWN:
            target = self.cluster.random.choice(self.cluster.ids)
        self.sent += 1
        request = {"src": self.id, "dst": target, "leader": UNKNOWN, "MID": self.mid, **self.call}
        self.cluster.carry(request)
        mid = self.mid
        self.cluster.after(self.cluster.random.choice((0.03, 0.1, 0.7)), lambda: self.repeat(mid))

    def repeat(self, mid: str) -> None:
        if mid == self.mid and not self.answered:
            self.transmit(UNKNOWN)

    def receive(self, message: Message) -> None:
        if message["MID"] != self.mid:
            return
        self.answered += 1
        assert self.answered <= self.sent, "a request was answered more often than it was sent"
        if self.answered > 1:
            return
        last = self.history[-1]
        last |= {"outcome": message["type"], "returned": self.cluster.now}
        if message["type"] == "ok":
            if last["type"] == "get":
                last["value"] = message["value"]
            self.cluster.after(0.02 * self.cluster.random.random(), self.begin)
        else:
            call, target = self.call, message["leader"]
            # A copy elsewhere may yet take effect.
            declined = last["id"] if self.sent == 1 else None
            self.cluster.after(0.005, lambda: self.attempt(call, target, declined))


class Cluster:
    """Five replicas and three clients of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.now = 0.0
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.ids = [f"{number:04X}" for number in range(self.random.choice((3, 5)))]
        self.nodes = {
            id: Node(id, [other for other in self.ids if other != id], Random(self.random.random()))
            for id in self.ids
        }
        self.clients = {id: Client(self, id) for id in CLIENTS}
        self.drops = self.random.choice((0.0, 0.1, 0.3))
        self.repeats = self.random.choice((0.0, 0.1))
        self.slowness = self.random.choice((0.002, 0.02, 0.1))
        self.value_bytes = self.random.choice((1, 1, 1, 4000))
        self.side: set[str] = set(self.ids)
        self.leaders: dict[int, str] = {}
        self.committed: dict[int, Entry] = {}
        self.terms: dict[str, int] = dict.fromkeys(self.ids, 0)
        self.wakes: dict[str, float] = dict.fromkeys(self.ids, 0.0)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.due, (self.now + seconds, next(self.numbers), act))

    def run(self) -> Cluster:
        for id in self.ids:
            self.after(0.0, lambda id=id: self.step(id))
        for client in self.clients.values():
            self.after(1.0, client.begin)
        self.after(1.0, self.disturb)
        while self.due and self.due[0][0] < LIFETIME_SECONDS + QUIET_SECONDS:
            self.now, _, act = heapq.heappop(self.due)
            act()
        return self

    def disturb(self) -> None:
        """Do one harm after the other, then heal all."""
        if self.now > LIFETIME_SECONDS:
            self.side = set(self.ids)
            self.drops = 0.0
            self.bring_back(1.0)
            return
        node = self.nodes[self.random.choice(self.ids)]
        harm = self.random.choice((self.split, self.heal, self.kill, self.pause, self.hurry, self.usurp))
        harm(node)
        self.bring_back(0.5)
        self.after(self.random.choice((0.01, 0.1, 0.5)), self.disturb)

    def split(self, _: Node) -> None:
        self.side = set(self.random.sample(self.ids, len(self.ids) // 2))

    def heal(self, _: Node) -> None:
        self.side = set(self.ids)

    def kill(self, node: Node) -> None:
        if all(other.is_up for other in self.nodes.values()):
            node.is_up = False
            node.waiting.clear()

    def pause(self, node: Node) -> None:
        node.is_paused = True

    def hurry(self, node: Node) -> None:
        """A replica campaigns although it hears its leader: no answer may depend on time."""
        if node.replica.role != LEADER:
            node.replica.election_deadline = self.now
            self.after(0.0, lambda: self.step(node.id))

    def usurp(self, _: Node) -> None:
        """Cut a leader off with a minority, and let another replica campaign."""
        leaders = [id for id, node in self.nodes.items() if node.replica.role == LEADER]
        if leaders:
            leader = self.random.choice(leaders)
            others = self.random.sample(self.nodes[leader].others, len(self.ids) // 2)
            self.side = {leader, *others[1:]}
            self.hurry(self.nodes[self.random.choice([id for id in self.ids if id not in self.side])])

    def bring_back(self, chance: float) -> None:
        """Start replicas that are down and continue those that stand still: all, or some."""
        for node in self.nodes.values():
            if (node.is_up and not node.is_paused) or self.random.random() > chance:
                continue
            if not node.is_up:
                node.start()
                self.terms[node.id] = 0
            node.is_paused = False
            self.after(0.0, lambda id=node.id: self.step(id))

    def carry(self, message: Message) -> None:
        """Deliver a message later, twice, or not at all. Messages overtake each other."""
        is_between_replicas = message["src"] in self.nodes and message["dst"] in self.nodes
        if is_between_replicas:
            assert len(json.dumps(message)) <= 16_384
            if (message["src"] in self.side) != (message["dst"] in self.side):
                return
        copies = 1
        if self.random.random() < self.drops / (1 if is_between_replicas else 3):
            copies = 0
        elif is_between_replicas and self.random.random() < self.repeats:
            copies = 2
        raw = json.dumps(message)
        for _ in range(copies):
            self.after(self.slowness * self.random.random(), lambda: self.deliver(json.loads(raw)))

    def deliver(self, message: Message) -> None:
        if message["dst"] in self.clients:
            self.clients[message["dst"]].receive(message)
            return
        node = self.nodes[message["dst"]]
        if node.is_up:
            node.waiting.append(message)
            self.step(node.id)

    def step(self, id: str) -> None:
        node = self.nodes[id]
        if not node.is_up or node.is_paused:
            return
        for message in node.step(self.now):
            self.carry(message)
        self.check(node)
        wake = node.replica.deadline()
        assert wake > self.now, "a replica would never sleep"
        if self.wakes[id] <= self.now or wake < self.wakes[id]:
            self.wakes[id] = wake
            self.after(wake - self.now, lambda: self.step(id))

    def check(self, node: Node) -> None:
        """The rules that hold at each moment, after a step of this replica (figure 3)."""
        replica = node.replica
        assert replica.term >= self.terms[node.id], "a term went back"
        self.terms[node.id] = replica.term
        if replica.role == LEADER:
            leader = self.leaders.setdefault(replica.term, node.id)
            assert leader == node.id, f"election safety: two leaders of term {replica.term}"
            for index, entry in self.committed.items():
                if entry.term < replica.term:
                    assert replica.log[index - 1: index] == [entry], f"leader completeness: {index}"
        assert replica.applied == replica.commit_index <= len(replica.log)
        for index in range(len(self.committed) + 1, replica.commit_index + 1):
            self.committed[index] = replica.log[index - 1]
        last = replica.commit_index
        assert not last or self.committed[last] == replica.log[last - 1], f"state machine safety: {last}"

    def check_logs(self) -> None:
        """Log matching: two logs with an entry of the same index and term are equal up to it."""
        logs = [node.replica.log for node in self.nodes.values()]
        for one in logs:
            for other in logs:
                equal = [index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a.term == b.term]
                if equal:
                    assert one[: equal[-1] + 1] == other[: equal[-1] + 1], "log matching"


class Faults(unittest.TestCase):
    def test_rules_of_raft_hold_and_answers_are_linearizable_on_each_seed(self) -> None:
        history: list[dict[str, Any]] = []
        for seed in SEEDS:
            with self.subTest(seed=seed):
                cluster = Cluster(seed).run()
                cluster.check_logs()
                answered = 0
                for client in cluster.clients.values():
                    history += client.history
                    late = [one for one in client.history if (one["returned"] or 0) > LIFETIME_SECONDS + 2.5]
                    answered += sum(one["outcome"] == "ok" for one in late)
                self.assertGreater(answered, 0, "no answer after the network has healed")
        self.assertGreater(len(history), 50 * len(SEEDS))
        checker = os.environ.get("KVSTORE")
        if not checker:
            self.skipTest("KVSTORE names no program that checks the history")
        self.assertEqual(judged(checker, history), (0, ""))


def asked(type: str, source: str, **fields: Any) -> Message:
    return {"src": source, "dst": "0000", "leader": UNKNOWN, "type": type, **fields}


def put(mid: str, value: str) -> Message:
    return asked("put", "C000", MID=mid, key="k", value=value)


def started(*records: Message) -> Replica:
    """Replica 0000 of three, with what an earlier life has saved."""
    replica = Replica("0000", ["0001", "0002"], Random(1))
    replica.restore(records)
    replica.step(0.0, [])
    return replica


def elected(*records: Message) -> Replica:
    """The same as a leader, at the time 10."""
    replica = started(*records)
    replica.step(10.0, [])
    vote = asked("vote", "0001", term=replica.term, granted=True)
    replica.step(10.0, [vote])
    return replica


def appended(replica: Replica, source: str, index: int) -> Message:
    return asked("appended", source, term=replica.term, round=replica.round, matches=True, index=index)


class Rules(unittest.TestCase):
    def test_leader_commits_no_entry_of_an_earlier_term_by_counting(self) -> None:
        replica = elected({"term": 2, "voted_for": None}, {"previous": 0, "entries": [[2, put("1", "a")]]})
        replica.step(10.1, [appended(replica, "0001", 1)])
        self.assertEqual(replica.commit_index, 0)
        replica.step(10.1, [appended(replica, "0001", 2)])
        self.assertEqual((replica.commit_index, replica.store), (2, {"k": "a"}))

    def test_put_that_is_twice_in_the_log_is_done_once(self) -> None:
        puts = [[1, put("1", "a")], [1, put("2", "b")], [1, put("1", "a")]]
        replica = elected({"term": 1, "voted_for": None}, {"previous": 0, "entries": puts})
        replica.step(10.1, [appended(replica, "0001", 4)])
        self.assertEqual((replica.commit_index, replica.store), (4, {"k": "b"}))

    def test_vote_binds_the_next_life(self) -> None:
        first = started()
        request = {"term": 1, "last_index": 0, "last_term": 0}
        self.assertTrue(first.step(0.1, [asked("request_vote", "0001", **request)])[0]["granted"])
        second = started(*first.unsaved)
        self.assertTrue(second.step(0.2, [asked("request_vote", "0001", **request)])[0]["granted"])
        self.assertFalse(second.step(0.2, [asked("request_vote", "0002", **request)])[0]["granted"])

    def test_leader_without_a_quorum_sends_its_clients_away(self) -> None:
        replica = elected()
        replica.step(10.0, [put("1", "a"), asked("get", "C001", MID="1", key="k")])
        replica.step(12.0, [])
        self.assertEqual((replica.role, replica.leader), ("follower", UNKNOWN))
        sent = replica.step(20.0, [])
        told = [(one["dst"], one["type"], one["leader"]) for one in sent if "MID" in one]
        self.assertEqual(told, [("C000", "redirect", UNKNOWN), ("C001", "redirect", UNKNOWN)])

    def test_other_operations_and_puts_that_are_too_long_are_refused(self) -> None:
        replica = elected()
        sent = replica.step(10.0, [asked("cas", "C000", MID="1", key="k"), put("2", "x" * 15_000)])
        self.assertEqual([one["type"] for one in sent if "MID" in one], ["fail", "fail"])


class Damage(unittest.TestCase):
    def test_message_with_a_flipped_byte_is_dropped_and_an_intact_one_is_not(self) -> None:
        connection = object.__new__(Connection)
        connection.others = ["0001"]
        message = asked("append", "0001", term=3, entries=[[1, put("1", "a")]])
        raw = json.dumps(message | {"sum": checksum(message)}).encode()
        self.assertEqual(connection.decoded(raw), message)
        for place in range(len(raw)):
            for bit in (0x01, 0x20, 0x80):
                damaged = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1:]
                self.assertIsNone(connection.decoded(damaged), damaged)

    def test_message_that_is_no_object_is_dropped_and_a_request_needs_no_checksum(self) -> None:
        connection = object.__new__(Connection)
        connection.others = ["0001"]
        no_value = json.dumps(asked("put", "C000", MID="1", key="k")).encode()
        for raw in (b"no json", b"[1]", b"7", b"{}", b"\xff", no_value):
            self.assertIsNone(connection.decoded(raw), raw)
        self.assertEqual(connection.decoded(json.dumps(put("1", "a")).encode()), put("1", "a"))


def judged(checker: str, history: list[dict[str, Any]]) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "history.jsonl"
        history = sorted(history, key=lambda one: one["invoked"])
        path.write_text("".join(json.dumps(one) + "\n" for one in history))
        done = subprocess.run([checker, "check", str(path)], capture_output=True, check=False, text=True)
        return done.returncode, done.stdout if done.returncode else ""


if __name__ == "__main__":
    unittest.main()
