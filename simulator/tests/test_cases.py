"""The table of cases for clients and their workload, which virtual time passes, too."""

import json
import tempfile
import unittest
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

from simulator import messages
from simulator.chronicle import Chronicle
from simulator.clients import Clients, Rules
from simulator.config import load
from simulator.messages import UNKNOWN_LEADER, identifier
from simulator.network import Network
from simulator.simulation import FIRST_CLIENT_OFFSET
from simulator.tests.support import ROOT
from simulator.tests.test_loop import sent_under_poll
from simulator.workload import CLIENTS, Intent, plan

TABLE = json.loads((ROOT / "tests" / "cases" / "clients.json").read_text())
SEEDS = range(40)
REPLICAS = 3


class Course:
    """One course of a case: chance picks the targets that the rules leave open."""

    def __init__(self, case: dict[str, Any], seed: int) -> None:
        rules = case.get("rules", {})
        self.now = 0.0
        self.sent: list[tuple[int, str]] = []
        self.complaints = 0
        self.case = case
        self.rules = rules
        self.targets: dict[int, int] = {}
        self.ids = [identifier(REPLICAS + FIRST_CLIENT_OFFSET + n) for n in range(CLIENTS)]
        drops = rules.get("client_drops", 0)
        timeout = rules.get("timeout_us")
        self.network = Network([identifier(n) for n in range(REPLICAS)], 0, Random(1), drops, Random(2))
        self.clients = Clients(
            self.ids,
            Rules(
                rules.get("shared_keys", 0), timeout and timeout / 1e6, rules.get("read_back", False)
            ),
            self.network, Random(seed), self.send, lambda: self.now, self.complain,
            lambda replica: None, Chronicle(), lambda text: None,
        )

    def complain(self, kind: str, detail: str) -> None:
        self.complaints += 1

    def send(self, replica: str, raw: bytes) -> None:
        message = messages.decode(raw)
        text = f"{int(message['MID'], 16)} {message['type']} {int(message['key'], 16)}"
        if message["type"] == "put" and not self.rules.get("shared_keys"):
            text += f"={int(message['value'], 16)}"
        self.sent.append((int(replica, 16), text))

    def play(self, reached: defaultdict[tuple[int, int], tuple[set[int], set[int]]]) -> None:
        """Play all steps, and add each sending's possible targets and its own to `reached`."""
        for number, step in enumerate(self.case["steps"]):
            self.sent.clear()
            # Later steps are a little late, so that no rounding error makes a time-out late.
            self.now = step["at_us"] / 1e6 + number * 1e-9
            while self.clients.next_resend() <= self.now:
                self.clients.resend()
            complaints = self.complaints
            self.happen(step)
            refused = self.complaints > complaints
            expected = step.get("sends", [])
            found = [text for _, text in self.sent]
            assert refused == step.get("refused", False), (number, step)
            assert found == [text for _, text in expected], (number, step, found)
            for place, ((target, text), (possible, _)) in enumerate(
                zip(self.sent, expected, strict=True)
            ):
                request = int(text.split()[0])
                allowed = self.allowed(possible, request)
                assert target in allowed, (number, step, target)
                reached[number, place][0].update(allowed)
                reached[number, place][1].add(target)
                self.targets[request] = target

    def allowed(self, possible: Any, request: int) -> set[int]:
        living = {int(replica, 16) for replica in self.network.living}
        if possible == "any":
            return living
        return living - {self.targets[request]} if possible == "other" else set(possible)

    def happen(self, step: dict[str, Any]) -> None:
        if "start" in step:
            start = step["start"]
            self.clients.start(Intent(
                0.0, start.get("client", 0), start.get("wants_get", False),
                start.get("wants_own_key", False), start.get("choice", 0.0),
                f"{start.get('key', 0):032x}", f"{start.get('value', 0):032x}",
            ))
        if "answer" in step:
            self.clients.receive(self.answer(step["answer"]), self.now)
        if "up" in step:
            for replica in self.network.replicas:
                if int(replica, 16) not in step["up"]:
                    self.network.remove(replica)
        if step.get("forget_leader"):
            self.clients.forget_leader()

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        request = answer["request"]
        replica = answer["from"] if "from" in answer else self.targets[request]
        message = {
            "src": identifier(replica), "dst": self.ids[answer.get("client", self.client_of(request))],
            "leader": identifier(answer["leader"]) if "leader" in answer else UNKNOWN_LEADER,
            "type": answer["type"], "MID": f"{request:08x}",
        }
        if "value" in answer:
            message["value"] = f"{answer['value']:032x}"
        return message

    def client_of(self, request: int) -> int:
        sent = self.clients.requests.get(f"{request:08x}")
        return self.ids.index(sent.client) if sent is not None else 0

    def history(self) -> list[dict[str, Any]]:
        return [
            {
                "outcome": request.outcome, "attempt": request.attempt, "sent": request.sent,
                "retry_of": int(request.retry_of, 16) if request.retry_of else None,
            }
            for request in self.clients.requests.values()
        ]


class Table(unittest.TestCase):
    def test_clients_follow_the_table(self) -> None:
        for case in TABLE["clients"]:
            with self.subTest(case["name"]):
                reached: defaultdict[tuple[int, int], tuple[set[int], set[int]]]
                reached = defaultdict(lambda: (set(), set()))
                for seed in SEEDS:
                    course = Course(case, seed)
                    course.play(reached)
                    defaults = {"attempt": 1, "sent": 1, "retry_of": None}
                    expected = [defaults | request for request in case["history"]]
                    self.assertEqual(course.history(), expected)
                for (step, _), (possible, found) in reached.items():
                    self.assertEqual(found, possible, case["steps"][step])

    def test_scenarios_mean_the_workload_of_the_table(self) -> None:
        for case in TABLE["scenarios"]:
            with self.subTest(case["name"]), tempfile.TemporaryDirectory() as directory:
                path = Path(directory) / "scenario.json"
                path.write_text(json.dumps(case["file"]))
                scenario = load(path)
                timeout = scenario.client_timeout
                self.assertEqual(
                    {
                        "times_us": [round(i.time * 1e6) for i in plan(scenario, Random(1))],
                        "mix": scenario.mix, "shared_keys": scenario.shared_keys,
                        "client_drops": scenario.client_drops,
                        "client_timeout_us": None if timeout is None else round(timeout * 1e6),
                        "read_back": scenario.read_back, "poll_us": round(scenario.poll * 1e6),
                        "clients": CLIENTS, "first_client": scenario.replicas + FIRST_CLIENT_OFFSET,
                    },
                    case["expected"],
                )

    def test_loop_under_poll_sends_at_the_times_of_the_table(self) -> None:
        for case in TABLE["polls"]:
            with self.subTest(case["name"]):
                sent = sent_under_poll(
                    case["poll_us"] / 1e6,
                    [due / 1e6 for due in case["due_us"]],
                    [at / 1e6 for at in case["messages_us"]],
                )
                self.assertEqual([round(at * 1e6) for at in sent], case["sent_us"])


if __name__ == "__main__":
    unittest.main()
