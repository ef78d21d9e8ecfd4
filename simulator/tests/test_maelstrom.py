"""The small Maelstrom: its parts, and whole runs with nodes that are right, wrong and broken."""

import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import build
from simulator.maelstrom import history
from simulator.maelstrom.clients import FAIL, OK, UNKNOWN, Clients, Operation
from simulator.maelstrom.cuts import CUTS
from simulator.maelstrom.message import Broken, Message, read
from simulator.maelstrom.network import Network
from simulator.maelstrom.settings import Settings
from simulator.maelstrom.workload import Workload
from simulator.tests.support import HANG_SECONDS, ROOT

NODE = Path(__file__).with_name("maelstrom_node.py")


def own_program() -> Path:
    """Our program: the one that `cargo test` has built, or one as new as its sources."""
    built = os.environ.get("KVSTORE")
    return Path(built) if built else build.own_program()


class CutsTest(unittest.TestCase):
    def groups(self, kind: str, count: int, seed: int) -> dict[str, set[str]]:
        """For each node, the nodes that it hears."""
        nodes = Settings(nodes=count).names
        deaf = CUTS[kind](nodes, random.Random(seed))
        self.assertEqual(set(deaf), set(nodes))
        return {node: set(nodes) - deaf[node] for node in nodes}

    def test_cut_is_mutual_and_every_node_hears_itself(self) -> None:
        for kind in CUTS:
            for count in range(2, 10):
                heard = self.groups(kind, count, count)
                for node, others in heard.items():
                    self.assertIn(node, others)
                    self.assertTrue(all(node in heard[other] for other in others), (kind, count))

    def test_sizes_of_the_sides(self) -> None:
        for count in range(2, 10):
            for kind, smaller in (("one", 1), ("minority-third", max(1, (count - 1) // 3)), ("halves", count // 2)):
                sizes = sorted(len(others) for others in self.groups(kind, count, 1).values())
                self.assertEqual(sizes, sorted([smaller] * smaller + [count - smaller] * (count - smaller)), kind)

    def test_ring_leaves_each_node_a_majority_but_no_two_the_same(self) -> None:
        for count in (5, 7, 9):
            heard = self.groups("majorities-ring", count, count)
            self.assertTrue(all(count // 2 < len(others) < count for others in heard.values()))
            self.assertEqual(len({frozenset(others) for others in heard.values()}), count)


class NetworkTest(unittest.TestCase):
    def network(self, **changes: Any) -> Network:
        network = Network(Settings(nodes=3, **changes), random.Random(1))
        network.add_client("c0")
        return network

    def message(self, id: int, src: str, dest: str) -> Message:
        return Message(id, src, dest, {"type": "hello"})

    def test_only_messages_between_nodes_are_delayed_and_counted_as_such(self) -> None:
        network = self.network(latency=2.0)
        network.send(1.0, self.message(0, "n1", "n2"))
        network.send(1.0, self.message(1, "n1", "c0"))
        network.send(1.0, self.message(2, "c0", "n2"))
        self.assertEqual([one.id for one in network.arrived(1.0)], [1, 2])
        self.assertEqual(network.next_arrival(), 3.0)
        self.assertEqual(network.arrived(2.9), [])
        self.assertEqual([one.id for one in network.arrived(3.0)], [0])
        self.assertEqual((network.sent, network.sent_between_nodes), (3, 1))

    def test_delays_have_the_mean_that_was_asked_for(self) -> None:
        for distribution in ("constant", "uniform", "exponential"):
            network = self.network(latency=2.0, distribution=distribution)
            for id in range(2_000):
                network.send(0.0, self.message(id, "n1", "n2"))
            arrivals = []
            while (at := network.next_arrival()) is not None:
                arrivals += [at] * len(network.arrived(at))
            self.assertAlmostEqual(sum(arrivals) / len(arrivals), 2.0, delta=0.2, msg=distribution)
            self.assertEqual(max(arrivals) > 2.5, distribution != "constant")
            self.assertEqual(max(arrivals) > 4.0, distribution == "exponential")

    def test_cut_loses_messages_on_their_way_until_it_heals(self) -> None:
        network = self.network(latency=1.0)
        network.send(0.0, self.message(0, "n1", "n2"))
        network.send(0.0, self.message(1, "n2", "n3"))
        network.send(0.0, self.message(2, "n3", "n1"))
        description = network.cut("one")
        self.assertRegex(description, r"^one: n. n. \| n.$|^one: n. \| n. n.$")
        network.send(0.0, self.message(3, "c0", "n1"))
        self.assertEqual(len(network.arrived(1.0)), 2, "a pair that is not cut, and a client")
        self.assertEqual(network.lost, 2)
        network.heal()
        network.send(1.0, self.message(4, "n1", "n2"))
        self.assertEqual(len(network.arrived(2.0)), 1)

    def test_unknown_destination_breaks_a_rule(self) -> None:
        with self.assertRaisesRegex(Broken, "n1 sent a message to an unknown node: 'c9'"):
            self.network().send(0.0, self.message(0, "n1", "c9"))


class MessageTest(unittest.TestCase):
    def test_line_that_breaks_a_rule_is_named(self) -> None:
        good: dict[str, Any] = {"src": "n1", "dest": "n2", "body": {"type": "t"}}
        self.assertEqual(read(json.dumps(good).encode(), "n1", 7), Message(7, "n1", "n2", {"type": "t"}))
        for line, rule in (
            (b"hello", "not JSON: hello"), (b"\xff", "not JSON"), (b"[" * 100_000, "not JSON"), (b"1", "no object"),
            (json.dumps(good | {"id": 1}).encode(), "no object of"),
            (json.dumps({"src": "n1", "dest": "n2"}).encode(), "no object of"),
            (json.dumps(good | {"src": "n2"}).encode(), "in the name of another"),
            (json.dumps(good | {"dest": 2}).encode(), "to what is no name"),
            (json.dumps(good | {"body": []}).encode(), "a body without a type"),
            (json.dumps(good | {"body": {"type": 1}}).encode(), "a body without a type"),
            (json.dumps(good | {"body": {"type": "t", "in_reply_to": "1"}}).encode(), '"in_reply_to" that is no'),
            (json.dumps(good | {"body": {"type": "t", "msg_id": True}}).encode(), '"msg_id" that is no'),
        ):
            with self.subTest(line[:80]), self.assertRaisesRegex(Broken, rule):
                read(line, "n1", 0)


class ClientsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.clients = Clients(3, ["n1", "n2"], timeout=1.0)

    def ask(self, kind: str, now: float = 0.0, **body: Any) -> Operation:
        request = self.clients.invoke(now, "c1", {"type": kind, "key": 1} | body, 0)
        self.assertEqual((request.src, request.dest), ("c1", "n2"))
        return self.clients.operations[-1]

    def answer(self, operation: Operation, kind: str, now: float = 0.5, **body: Any) -> Operation:
        reply = {"type": kind, "in_reply_to": operation.msg_id} | body
        self.clients.take(now, Message(0, "n1", "c1", reply))
        return operation

    def test_client_is_busy_until_it_has_an_answer(self) -> None:
        operation = self.ask("read")
        self.assertEqual(self.clients.idle(), ["c0", "c2"])
        self.answer(operation, "read_ok", value=3)
        self.assertEqual((operation.outcome, operation.value, operation.returned), (OK, 3, 0.5))
        self.assertEqual(self.clients.idle(), ["c0", "c1", "c2"])

    def test_error_code_says_whether_the_operation_can_have_taken_place(self) -> None:
        for code, outcome, is_served in (
            (0, UNKNOWN, False), (11, FAIL, False), (13, UNKNOWN, False), (14, FAIL, False), (20, FAIL, True),
            (22, FAIL, True), (1000, UNKNOWN, False),
        ):
            operation = self.answer(self.ask("cas"), "error", code=code, text="t")
            self.assertEqual((operation.outcome, operation.is_served), (outcome, is_served), code)

    def test_client_gives_up_and_takes_a_late_answer_for_nothing(self) -> None:
        operation = self.ask("read", now=1.0)
        self.assertEqual(self.clients.next_timeout(), 2.0)
        self.clients.give_up(1.9)
        self.assertTrue(self.clients.is_waiting())
        self.clients.give_up(2.0)
        self.assertFalse(self.clients.is_waiting())
        later = self.ask("read", now=2.0)
        self.answer(operation, "read_ok", value=1)
        self.assertEqual((operation.outcome, operation.returned, self.clients.late), (UNKNOWN, None, 1))
        self.answer(later, "read_ok", value=2)
        self.assertEqual(later.value, 2)

    def test_answer_that_breaks_a_rule_is_named(self) -> None:
        for kind, body, rule in (
            ("write_ok", {}, "answered a read with 'write_ok'"),
            ("read_ok", {}, "with the wrong keys"),
            ("read_ok", {"value": 1, "text": "t"}, "with the wrong keys"),
            ("error", {}, "an error without a code"),
            ("error", {"code": "11"}, "an error without a code"),
            ("read_ok", {"value": 1, "in_reply_to": 99}, "a request that c1 never sent"),
            ("read_ok", {"value": 1, "in_reply_to": None}, "a request that c1 never sent"),
        ):
            self.setUp()
            with self.subTest(rule), self.assertRaisesRegex(Broken, rule):
                self.answer(self.ask("read"), kind, **body)


class HistoryTest(unittest.TestCase):
    def line(self, kind: str, outcome: str, code: int | None = None, value: Any = None, **body: Any) -> Any:
        request = {"type": kind, "key": 7} | body
        operation = Operation("c1", 5, request, 1.0, 2.0, outcome, code, value)
        lines = list(history.lines([operation]))
        if not lines:
            return None
        common = {"id": "c1-5", "client": "c1", "key": "7", "invoked": 1.0}
        common |= {"returned": None, "outcome": UNKNOWN} if outcome == UNKNOWN else {"returned": 2.0, "outcome": OK}
        self.assertEqual({key: lines[0].pop(key) for key in common}, common)
        return lines[0]

    def write(self, outcome: str) -> Any:
        operation = Operation("c1", 5, {"type": "write", "key": 7, "value": 3}, 1.0, 2.0, outcome, 11)
        lines = list(history.lines([operation]))
        return {key: lines[0][key] for key in ("type", "value")} if lines else None

    def test_each_result_is_what_the_checker_takes_it_for(self) -> None:
        absent = {"type": "get", "value": "", "exists": False}
        cas = {"type": "cas", "from": "1", "to": "2"}
        self.assertEqual(self.line("read", OK, value=3), {"type": "get", "value": "3", "exists": True})
        self.assertEqual(self.line("read", OK, value=None), absent)
        self.assertEqual(self.line("read", FAIL, code=20), absent)
        self.assertIsNone(self.line("read", FAIL, code=11))
        self.assertIsNone(self.line("read", UNKNOWN))
        self.assertEqual(self.write(OK), {"type": "put", "value": "3"})
        self.assertEqual(self.write(UNKNOWN), {"type": "put", "value": "3"})
        self.assertIsNone(self.write(FAIL))
        self.assertEqual(self.line("cas", OK, **{"from": 1, "to": 2}), cas | {"done": True})
        self.assertEqual(self.line("cas", FAIL, code=22, **{"from": 1, "to": 2}), cas | {"done": False})
        self.assertEqual(self.line("cas", FAIL, code=20, **{"from": 1, "to": 2}), absent)
        self.assertEqual(self.line("cas", UNKNOWN, **{"from": 1, "to": 2}), cas)
        create = {"from": 1, "to": 2, "create_if_not_exists": True}
        self.assertEqual(self.line("cas", OK, **create), cas | {"create": True, "done": True})
        self.assertIsNone(self.line("cas", FAIL, code=11, **{"from": 1, "to": 2}))


class WorkloadTest(unittest.TestCase):
    def test_requests_are_those_of_the_seed_and_keys_are_replaced(self) -> None:
        def draw(seed: int, **changes: Any) -> list[dict[str, Any]]:
            workload = Workload(Settings(**changes), random.Random(seed))
            return [workload.draw() for _ in range(1_000)]

        requests = draw(1)
        self.assertEqual(requests, draw(1))
        self.assertNotEqual(requests, draw(2))
        self.assertEqual({one["type"] for one in requests}, {"read", "write", "cas"})
        self.assertGreater(len({one["key"] for one in requests}), 10)
        self.assertTrue(any("create_if_not_exists" in one for one in requests))
        self.assertEqual({one["type"] for one in draw(1, weights=(1, 1, 0))}, {"read", "write"})


@dataclass
class Ended:
    exit_code: int
    stdout: str
    stderr: str
    result: dict[str, Any]
    history: list[dict[str, Any]]


def run_maelstrom(*arguments: str) -> Ended:
    with tempfile.TemporaryDirectory() as directory:
        result, lines = Path(directory, "result.json"), Path(directory, "history.jsonl")
        done = subprocess.run(
            [
                sys.executable, str(ROOT / "run.py"), "maelstrom", "--json", str(result), "--history", str(lines),
                "--checker", str(own_program()), *arguments,
            ],
            capture_output=True, text=True, check=False,
        )
        return Ended(
            done.returncode, done.stdout, done.stderr,
            json.loads(result.read_text()) if result.exists() else {},
            [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else [],
        )


# Enough for many collisions, and short: no test here says how much is done in this time.
SHORT = ("--time-limit", "2", "--init-seconds", str(HANG_SECONDS))
# The time for an election besides.
LONG = ("--time-limit", "6", "--init-seconds", str(HANG_SECONDS))
FAULTS = ("--cuts", "all", "--interval", "0.5", "--latency-dist", "exponential", "--latency")


class EndToEnd(unittest.TestCase):
    runs: dict[str, Future[Ended]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.pool = ThreadPoolExecutor(3)
        toys = (
            "own_memory", "denies", "unavailable", "quits", "babbles", "forges", "stranger", "shouts", "wrong_type",
            "extra_key", "no_code", "invents", "wrong_init",
        )
        cls.runs = {
            "correct": cls.pool.submit(run_maelstrom, *SHORT, *FAULTS, "2", str(NODE), "correct", "--more"),
            "silent": cls.pool.submit(run_maelstrom, "--init-seconds", "1", str(NODE), "silent"),
            "ours": cls.pool.submit(
                run_maelstrom, *LONG, *FAULTS, "5", str(own_program()), "maelstrom"
            ),
            "alone": cls.pool.submit(
                run_maelstrom, *LONG, "--node-count", "1", "--cuts", "all", str(own_program()), "maelstrom"
            ),
        }
        for toy in toys:
            cls.runs[toy] = cls.pool.submit(run_maelstrom, *SHORT, str(NODE), toy)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.pool.shutdown(cancel_futures=True)

    def finished(self, name: str) -> Ended:
        return self.runs[name].result()

    def assert_valid(self, run: Ended) -> None:
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
        self.assertIn("\n     Linearizable: yes\n# Valid\n", run.stdout)
        self.assertIs(run.result["valid"], True)

    def assert_broken(self, name: str, rule: str) -> None:
        run = self.finished(name)
        self.assertEqual(run.exit_code, 1, run.stdout + run.stderr)
        self.assertIn(f"*** Node Error - {rule}", run.stdout)
        self.assertTrue(run.stdout.endswith("# Not Valid\n"))

    def test_our_store_is_linearizable_under_all_faults(self) -> None:
        run = self.finished("ours")
        self.assert_valid(run)
        events = [event["event"] for event in run.result["events"]]
        self.assertTrue(any(event.startswith("cut") for event in events) and "healed" in events, events)
        self.assertGreater(run.result["figures"]["messages_between_nodes_per_operation"], 0)

    def test_our_store_works_alone(self) -> None:
        run = self.finished("alone")
        self.assert_valid(run)
        self.assertEqual(run.result["figures"]["messages_between_nodes_per_operation"], 0)

    def test_any_program_can_be_run_with_arguments_of_its_own(self) -> None:
        run = self.finished("correct")
        self.assert_valid(run)
        self.assertIn("n5] arguments ['correct', '--more']\n", run.stdout)
        self.assertEqual(run.result["command"], [str(NODE), "correct", "--more"])
        self.assertEqual({line["type"] for line in run.history} - {"get", "put", "cas"}, set())

    def test_nodes_that_answer_from_their_own_memory_are_not_linearizable(self) -> None:
        run = self.finished("own_memory")
        self.assertEqual(run.exit_code, 1, run.stdout + run.stderr)
        self.assertIn("\n     Linearizable: no\nnot linearizable: ", run.stdout)
        self.assertIs(run.result["linearizable"], False)

    def test_write_that_takes_place_although_it_was_denied_is_not_linearizable(self) -> None:
        run = self.finished("denies")
        self.assertEqual(run.exit_code, 1, run.stdout + run.stderr)
        self.assertIs(run.result["linearizable"], False)

    def test_run_in_which_no_operation_is_served_is_not_valid(self) -> None:
        self.assert_broken("unavailable", "no operation was served")

    def test_broken_rule_ends_the_run_with_a_clear_line(self) -> None:
        for name, rule in (
            ("quits", "n1 ended with exit code 3, last lines of stderr:\n"),
            ("babbles", "n1 printed a line that is not JSON: hello\\x1b[2J\n"),
            ("forges", "n1 sent a message in the name of another: "),
            ("stranger", "n1 sent a message to an unknown node: 'n999'\n"),
            ("shouts", "a line of output has more than 1,048,576 bytes\n"),
            ("wrong_type", "n1 answered a "),
            ("extra_key", "n1 sent a "),
            ("no_code", "n1 sent an error without a code: "),
            ("invents", "n1 answered a request that c"),
            ("wrong_init", "n"),
            ("silent", "no init_ok within 1 s: n1, n2, n3, n4, n5\n"),
        ):
            with self.subTest(name):
                self.assert_broken(name, rule)


class CommandLineTest(unittest.TestCase):
    def test_bad_usage_is_refused_before_anything_starts(self) -> None:
        for arguments, said in (
            (["--node-count", "0"], "must be a number from 1 to 1000"),
            (["--rate", "0"], "must be above 0"),
            (["--latency", "-1"], "must be a number from 0"),
            (["--cuts", "one,two"], "'two': must be one of one, minority-third, halves, majorities-ring, all, none"),
            (["--reads", "0", "--writes", "0", "--cas", "0"], "must be above 0"),
        ):
            run = run_maelstrom(*arguments)
            self.assertEqual((run.exit_code, run.stdout), (2, ""))
            self.assertIn(said, run.stderr)
        run = run_maelstrom("/nowhere/at/all")
        self.assertEqual((run.exit_code, run.stdout), (1, ""))
        self.assertEqual(run.stderr, "*** Simulator Error - no program that can be run: /nowhere/at/all\n")


if __name__ == "__main__":
    unittest.main()
