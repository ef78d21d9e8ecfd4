"""An answer that a client calls incorrect makes a random small history not linearizable."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from random import Random
from typing import Any

from simulator import build, history, messages
from simulator.chronicle import Chronicle
from simulator.clients import Clients, Rules
from simulator.network import Network
from simulator.workload import Intent

CLIENT = "0013"
HISTORIES = 400
OPERATIONS = 7


def checker() -> Path:
    """Our program: the one that `cargo test` has built, or one as new as its sources."""
    built = os.environ.get("KVSTORE")
    return Path(built) if built else build.own_program()


class Course:
    """One client with few keys. Its answers come late, out of order, wrong, twice or never."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        # The values that replicas hold and may still return.
        self.held: list[tuple[str, dict[str, Any]]] = []
        network = Network(["0000", "0001", "0002"], 0, Random(1), 0, Random(2))
        self.clients = Clients(
            [CLIENT], Rules(timeout=4.0), network, Random(seed),
            lambda replica, raw: self.held.append((replica, messages.decode(raw))),
            lambda: self.now, lambda kind, detail: None, lambda replica: None, Chronicle(),
            lambda text: None,
        )
        for number in range(OPERATIONS):
            self.step(number)
        while self.held and self.random.random() < 0.8:
            self.answer()

    def step(self, number: int) -> None:
        self.now += 1
        is_get = self.random.random() < 0.4
        self.clients.start(Intent(self.now, 0, is_get, True, 0.0, f"k{number}", f"v{number}"))
        while self.held and self.random.random() < 0.6:
            self.answer()
        self.now += self.random.choice((0, 0, 5))
        self.clients.resend()

    def answer(self) -> None:
        self.now += 1
        replica, request = self.held.pop(self.random.randrange(len(self.held)))
        message = {
            "src": replica, "dst": CLIENT, "leader": "FFFF", "MID": request["MID"],
            "type": self.random.choices(("ok", "redirect", "fail"), (4, 1, 1))[0],
        }
        if request["type"] == "get":
            message["value"] = self.any_value(request["key"])
        self.clients.receive(message, self.now)

    def any_value(self, key: str) -> str:
        """Mostly the latest value, sometimes any that was put, sometimes none."""
        values = [r.value for r in self.clients.requests.values() if r.key == key and r.type == "put"]
        return self.random.choice(["", *filter(None, values), *filter(None, values[-1:] * 4)])


class Agreement(unittest.TestCase):
    def test_client_calls_no_answer_of_a_linearizable_history_incorrect(self) -> None:
        program = checker()
        incorrect = contradictory = 0
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "history.jsonl"
            for seed in range(HISTORIES):
                clients = Course(seed).clients
                history.write(path, list(clients.requests.values()))
                done = subprocess.run(
                    [str(program), "check", str(path)], capture_output=True, check=False, text=True
                )
                self.assertIn(done.returncode, (0, 1), f"seed {seed}: {done.stderr}")
                if clients.incorrect_gets:
                    self.assertEqual(done.returncode, 1, f"seed {seed}:\n{path.read_text()}")
                incorrect += clients.incorrect_gets > 0
                contradictory += done.returncode == 1
        # The checker finds more: a client judges each answer by itself.
        self.assertGreater(incorrect, HISTORIES // 20)
        self.assertGreater(contradictory, incorrect)
