"""Traces judged again: the result of the run, from its trace alone."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import history, report
from simulator.tests.support import FAKE_CHECKER, FAKE_REPLICA, ROOT, Run, Runs, small_scenario
from simulator.tests.test_operations import SHARES
from simulator.tests.virtual import DELAY_SECONDS, VirtualRun
from simulator.trace.reader import Reader, TraceError
from simulator.trace.replay import Replayed, replay

TIMES: dict[str, Any] = {"lifetime": 8, "start_wait": 0.5, "end_wait": 4}  # a request each 35 ms
EVENTS = [
    {"type": "part_hard", "time": 0.2}, {"type": "part_end", "time": 0.5},
    {"type": "restart_leader", "time": 0.8, "duration": 0.3},
    {"type": "pause_non_leader", "time": 1.5, "duration": 0.3},
    {"type": "kill_leader_on_ack", "time": 2.5}, {"type": "kill_non_leader", "time": 3},
]
MISBEHAVIOURS = (
    "eager", "malformed", "impostor", "unknown_mid", "unknown_destination", "wrong_value", "answers_twice", "fails",
    "talks_on", "applies_twice", "joins_once",
)
MIXTURES: dict[str, dict[str, Any]] = {
    "losses": {"drops": 0.3, "client_drops": 0.1, "client_timeout": 0.3, "read_back": True, "read_all": True},
    "duplicates": {"duplicate": 0.5, "drops": 0.2},
    "delays": {"delay": {"uniform": [0, 0.2]}, "reorder": True, "duplicate": 0.2, "client_timeout": 0.3},
    "operations": {"operations": SHARES, "client_timeout": 0.3},
    "events": {"events": EVENTS, "persist": True, "client_timeout": 0.3, "drops": 0.1},
    "partitions": {
        "client_timeout": 0.3, "drops": 0.1,
        "events": [
            {"type": type, "time": number / 2}
            for number, type in enumerate(("part_one_way", "part_bridge", "isolate_leader", "heal", "isolate_random"))
        ],
    },
    "extinct": {"events": [{"type": "kill_leader", "time": 1}] * 3},
    "storm": {"max_packets": 100},
    # Requests that are sent twice are answered twice after the pause, which makes no duplicate.
    "pause": {"events": [{"type": "pause_leader", "time": 1, "duration": 0.5}], "client_timeout": 0.1},
}
runs = Runs()
kept = tempfile.TemporaryDirectory()


def kept_in(name: str) -> Path:
    return Path(kept.name) / name


def setUpModule() -> None:
    runs.add("one", "correct", "--trace", str(kept_in("one.trace")))
    silent = ("--silence", "--beside", str(FAKE_REPLICA), "--trace", str(kept_in("two.trace.gz")))
    runs.add("two", "correct", *silent)
    runs.add("aborted", "exits_at_once", "--trace", str(kept_in("aborted.trace.gz")))


def tearDownModule() -> None:
    runs.clean_up()
    kept.cleanup()


class TraceCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.trace = self.directory / "run.trace"

    def run_in_virtual_time(self, behaviour: str, **changes: Any) -> VirtualRun:
        scenario = small_scenario(**(TIMES | changes))
        return VirtualRun(scenario, behaviour, traces=[self.trace])

    def assert_same(self, run: VirtualRun, replayed: Replayed) -> None:
        """The replay counts the same as the run, and has the same history and report."""
        self.assertEqual((replayed.damage, replayed.contradictions), (None, []))
        result, again = run.result, replayed.result
        self.assertEqual(again.figures, result.figures)
        self.assertEqual(again.checks, result.checks)
        self.assertEqual(report.render(again, coloured=False), report.render(result, coloured=False))
        self.assertEqual([h.text for h in again.happenings], [h.text for h in result.happenings])
        (lines, times), (lines_again, times_again) = map(self.history, (result.history, again.history))
        self.assertEqual(lines_again, lines)
        # A trace has whole microseconds.
        self.assertLess(max(abs(time - again) for time, again in zip(times, times_again, strict=True)), 1.1e-6)

    def history(self, requests: Any) -> tuple[list[dict[str, Any]], list[float]]:
        """The lines of the history file without their times, and the times."""
        path = self.directory / "history"
        history.write(path, requests)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        times = [line.pop(name) or 0 for line in lines for name in ("invoked", "returned")]
        return lines, times


class Replays(TraceCase):
    def test_replay_of_each_misbehaviour_has_the_result_of_the_run(self) -> None:
        for behaviour in MISBEHAVIOURS:
            with self.subTest(behaviour):
                self.assert_same(self.run_in_virtual_time(behaviour), replay(self.trace))

    def test_replay_of_each_mixture_of_faults_has_the_result_of_the_run(self) -> None:
        for name, changes in MIXTURES.items():
            for behaviour in ("correct", "durable", "forwards", "refuses"):
                with self.subTest(name, behaviour=behaviour):
                    self.assert_same(self.run_in_virtual_time(behaviour, **changes), replay(self.trace))

    def test_each_message_that_is_duplicated_is_delivered_twice(self) -> None:
        run = self.run_in_virtual_time("correct", duplicate=1, drops=0.3)
        records = list(Reader(self.trace))
        replicas = {"0000", "0001", "0002"}
        sent = [r[2] for r in records if r[0] == "m" and {r[3], r[4]} <= replicas and len(r) == 6]
        self.assertEqual([r[2] for r in records if r[0] == "d"], [number for number in sent for _ in range(2)])
        self.assertEqual(len(sent) + run.figures.dropped_by_chance, run.figures.total_messages)
        self.assertGreater(len(sent), 0)

    def test_each_delayed_message_arrives_after_its_delay_or_is_lost_with_its_receiver(self) -> None:
        events = [{"type": "restart_leader", "time": 1, "duration": 0.05}]
        delay = {"delay": {"uniform": [0.1, 0.3]}, "client_timeout": 2, "persist": True, "events": events}
        run = self.run_in_virtual_time("durable", **delay)
        records = list(Reader(self.trace))
        sent = {r[2]: r for r in records if r[0] == "m" and len(r) == 6}
        ends = [r for r in records if r[0] in ("d", "x")]
        self.assertEqual({r[2] for r in ends} - sent.keys(), set())
        self.assertLess(len(sent) - len(ends), 20)
        for type, time, number, *_ in ends:
            delays = (100_000, 300_000 + DELAY_SECONDS * 1e6) if type == "d" else (0, 300_100)
            self.assertTrue(delays[0] <= time - sent[number][1] <= delays[1], (type, time, sent[number]))
        [back] = [r[1] for r in records if r[0] == "e" and r[2] == "back"]
        lost = [r for r in ends if r[0] == "x"]
        self.assertEqual({r[3] for r in lost}, {"down"})
        self.assertTrue(any(r[1] > back for r in lost), "a later life gets no message of an earlier one")
        self.assertGreater(run.figures.median_latency or 0, 0.2)
        self.assertTrue(run.result.is_correct, run.told)

    def test_messages_of_a_link_overtake_each_other_only_with_reorder(self) -> None:
        for reorder in (False, True):
            self.run_in_virtual_time("correct", mix=0, delay={"uniform": [0, 0.5]}, reorder=reorder)
            records = list(Reader(self.trace))
            links = {r[2]: (r[3], r[4]) for r in records if r[0] == "m"}
            arrivals: dict[Any, list[int]] = {}
            for record in records:
                if record[0] == "d" and links[record[2]][0] == "0000":
                    arrivals.setdefault(links[record[2]], []).append(record[2])
            are_in_order = all(numbers == sorted(numbers) for numbers in arrivals.values())
            self.assertEqual((len(arrivals), are_in_order), (2, not reorder))

    def test_trace_without_its_end_is_counted_up_to_there(self) -> None:
        run = self.run_in_virtual_time("fails", drops=0.2)
        lines = self.trace.read_bytes().splitlines(keepends=True)
        self.trace.write_bytes(b"".join(lines[:-1]))
        replayed = replay(self.trace)
        self.assertEqual(replayed.damage, f"{self.trace}: line {len(lines):,} is missing, so the trace has no end; "
                                          "the lines before it are used")
        figures = replayed.result.figures
        for name in ("total_messages", "dropped_by_chance", "gets", "redirects", "leaders", "acknowledged_puts"):
            self.assertEqual(getattr(figures, name), getattr(run.figures, name), name)
        self.assertAlmostEqual(figures.median_latency or 0, run.figures.median_latency or 0, places=5)
        [check] = [check for check in replayed.result.checks if not check.holds]
        self.assertEqual(check.name, "Simulated seconds")

    def test_record_without_its_fields_is_damage_of_its_line(self) -> None:
        self.run_in_virtual_time("correct")
        lines = self.trace.read_bytes().splitlines(keepends=True)
        for record in (b'["m"]', b'["m",1]', b'["a",1,"nope","ok",{}]', b'["q",1,"m","c",{}]', b'["e",1,"note",{}]'):
            with self.subTest(record):
                self.trace.write_bytes(b"".join([*lines[:20], record, b"\n", *lines[20:]]))
                told = replay(self.trace).damage
                self.assertEqual(told, f"{self.trace}: line 21 is no record of type {record[2:3].decode()!r}; "
                                       "the lines before it are used")

    def test_unknown_types_and_fields_are_skipped(self) -> None:
        run = self.run_in_virtual_time("correct")
        lines = self.trace.read_bytes().splitlines(keepends=True)
        self.trace.write_bytes(b"".join([lines[0], b'["z","one"]\n', b'["e",2,"flood",{}]\n', *lines[1:]]))
        self.assert_same(run, replay(self.trace))

    def test_figures_that_differ_from_the_records_are_told(self) -> None:
        self.run_in_virtual_time("correct", drops=0.3)
        lines = self.trace.read_bytes().splitlines(keepends=True)
        lost = next(number for number, line in enumerate(lines) if line.endswith(b'"chance"]\n'))
        del lines[lost]
        self.trace.write_bytes(b"".join(lines))
        [total, dropped] = replay(self.trace).contradictions
        self.assertRegex(total, r"^total messages: (\d+) in the result, (\d+) in the records$")
        self.assertRegex(dropped, r"^dropped by chance: ")

    def test_heading_that_cannot_be_used_is_refused(self) -> None:
        self.run_in_virtual_time("correct")
        heading, rest = self.trace.read_bytes().split(b"\n", 1)
        for changes, words in (
            ({"source": "elsewhere"}, "is the trace of 'elsewhere'"),
            ({"settings": {}}, "line 1: settings of scenario: lifetime: missing: must be a number from 5"),
            ({"settings": []}, "line 1: settings of scenario: .file.: .*: must be an object"),
            ({"seed": "x"}, "line 1: 'seed' must be of type int"),
            ({"replica": 1}, "line 1: 'replica' must be of type str"),
        ):
            with self.subTest(words):
                self.trace.write_bytes(json.dumps(json.loads(heading) | changes).encode() + b"\n" + rest)
                with self.assertRaisesRegex(TraceError, words):
                    replay(self.trace)


class CommandCase(unittest.TestCase):
    def replay(self, trace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "run.py"), "replay", "--checker", str(FAKE_CHECKER)]
        return subprocess.run([*command, *arguments, str(trace)], capture_output=True, check=False, text=True)


class Commands(CommandCase):
    def test_replay_prints_the_report_of_the_run(self) -> None:
        run = runs.finished("one")
        done = self.replay(kept_in("one.trace"))
        report = "# Simulation Finished"
        self.assertEqual(done.stdout.partition(report)[2], run.stdout.partition(report)[2])
        self.assertEqual((done.stderr, done.returncode), ("", run.exit_code))
        self.assertIn("is linearizable\n", done.stdout)

    def test_replay_writes_what_the_run_wrote(self) -> None:
        run = runs.finished("one")
        json_path, history_path = kept_in("again.json"), kept_in("again.jsonl")
        self.replay(kept_in("one.trace"), "--json", str(json_path), "--history", str(history_path))
        result = json.loads(json_path.read_text())
        for key in ("figures", "checks", "tiers", "correct", "linearizable", "transport", "program"):
            self.assertEqual(result[key], run.result()[key], key)
        self.assertEqual(len(history_path.read_text().splitlines()), len(run.history.read_text().splitlines()))

    def test_trace_has_the_output_of_the_replicas_and_the_command(self) -> None:
        runs.finished("one")
        reader = Reader(kept_in("one.trace"))
        said = {(record[2], record[3], record[4]) for record in reader if record[0] == "o"}
        self.assertIn(("0000", "out", "ready"), said)
        self.assertIn("--seed", reader.heading["command"])
        self.assertEqual(reader.ending and reader.ending["verdict"], "passed")

    def test_each_of_two_clusters_has_a_trace_also_of_output_that_is_not_shown(self) -> None:
        run = runs.finished("two")
        self.assertNotIn("ready", run.stdout)
        for path in (kept_in("two.trace.gz"), kept_in("two.trace-beside.gz")):
            with self.subTest(path.name):
                self.assertIn("ready", {record[4] for record in Reader(path) if record[0] == "o"})
                self.assertEqual(self.replay(path).returncode, 0)

    def test_run_that_does_not_start_leaves_a_trace_of_the_reason(self) -> None:
        self.assertEqual(runs.finished("aborted").exit_code, 1)
        reader = Reader(kept_in("aborted.trace.gz"))
        records = list(reader)
        self.assertIn("no thanks", {record[4] for record in records if record[0] == "o"})
        self.assertTrue(any("did not start" in record[2] for record in records if record[0] == "f"))
        self.assertTrue(all(record[1] <= 0 for record in records))
        self.assertRegex(reader.damage or "", "is missing, so the trace has no end")

    def test_full_disk_does_not_end_the_run(self) -> None:
        run = VirtualRun(small_scenario(), "correct", traces=[Path("/dev/full")])
        self.assertEqual(run.said.count("/dev/full: the trace ends here: No space left on device"), 1)
        self.assertTrue(run.result.is_correct)

    def test_trace_that_cannot_be_written_is_refused_before_the_run(self) -> None:
        run = Run("correct", "--trace", "/no/such/place").finish()
        self.addCleanup(run.clean_up)
        self.assertEqual((run.exit_code, run.stderr), (2, "/no/such/place: must be a file that can be written: there is no directory /no/such\n"))
        self.assertEqual(run.stdout, "")

    def test_file_that_is_no_trace_is_bad_usage(self) -> None:
        done = self.replay(ROOT / "README.md")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r"README.md: is not a trace")

    def test_damaged_trace_is_judged_and_has_exit_code_1(self) -> None:
        runs.finished("one")
        path = kept_in("damaged.trace")
        path.write_bytes(kept_in("one.trace").read_bytes()[:-100])
        done = self.replay(path)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"\*\*\* Simulator Error - .*damaged.trace: line [\d,]+ is cut off")
        self.assertIn("because the run was cut short", done.stdout)


class VirtualTime(CommandCase):
    """Traces of the explorer, of which only the history is judged again."""

    HEADING = {"kvstore_trace": 1, "source": "explore", "scenario": "swarm", "seed": 3, "replicas": ["0000"],
               "clients": ["0011"], "settings": {}, "command": "explore --seed 3", "replica": "kvstore"}
    RECORDS = [
        ["q", 5, "0", "0011", {"type": "put", "key": "k", "value": "v"}],
        ["m", 5, 0, "0011", "0000", {"MID": "0", "type": "put"}],
        ["d", 9, 0],
        ["e", 9, "note", {"text": "fault 0: pause"}],
        ["a", 20, "0", "ok", {"replica": "0000", "leader": "0000"}],
    ]

    def trace(self, records: list[Any], failure: str = "") -> Path:
        check = {"name": "vote once" if failure else "Every rule", "passed": not failure, "text": failure}
        end = {"end": True, "time": 5_000_000, "verdict": "failed" if failure else "passed", "checks": [check],
               "tiers": [], "linearizability": None, "result": {}}
        path = kept_in("explored.trace")
        path.write_text("".join(f"{json.dumps(line)}\n" for line in (self.HEADING, *records, end)))
        return path

    def test_verdict_of_the_explorer_is_told_and_the_history_is_judged(self) -> None:
        done = self.replay(self.trace(self.RECORDS))
        self.assertEqual(done.stdout, "swarm: seed 3, a trace of 1 messages in virtual time\n"
                                      "[  0.000] fault 0: pause\nevery rule holds\n")
        self.assertEqual(done.returncode, 0)
        with mock.patch.dict(os.environ, FAKE_VERDICT="not linearizable"):
            done = self.replay(self.trace(self.RECORDS))
            self.assertIn("the history is not known to be linearizable: the first line", done.stdout)
            self.assertEqual(done.returncode, 1)
            unknown = [["q", 5, "1", "0011", {"type": "command", "key": "k", "command": {}}]]
            for arguments, records in ((("--no-check",), []), ((), unknown)):
                self.assertEqual(self.replay(self.trace([*self.RECORDS, *records]), *arguments).returncode, 0)

    def test_broken_rule_is_told(self) -> None:
        done = self.replay(self.trace(self.RECORDS, failure="vote once is broken"))
        self.assertIn("vote once is broken\n", done.stdout)
        self.assertEqual(done.returncode, 1)

    def test_damaged_trace_of_the_explorer_has_no_verdict(self) -> None:
        path = self.trace(self.RECORDS)
        path.write_bytes(path.read_bytes()[:-10])
        done = self.replay(path)
        self.assertRegex(done.stdout, "explored.trace: line 7 is cut off")
        self.assertEqual(done.returncode, 1)
        path.write_text(f'{json.dumps(self.HEADING)}\n{{"end": true}}\n')
        done = self.replay(path)
        self.assertRegex(done.stdout, "explored.trace: line 2 is no last line")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
