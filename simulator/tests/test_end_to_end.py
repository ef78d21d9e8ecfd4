"""Whole runs of `run.py` with fake replicas: processes, dialects, files and the command line.

How soon a process gets its turn is up to the machine. So these tests say nothing of how many
requests are answered, or when: the runs in virtual time do.
"""

import json
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import workspace
from simulator.tests.support import ENDING_SIGNALS, FAKE_REPLICA, HANG_SECONDS, ROOT, Run, Runs
from simulator.transport import TRANSPORTS

# The event arms the kill after the first request. Then no replica leads, and clients go round in
# circles until the run ends.
KILL_ON_ACK = {"events": [{"type": "kill_leader_on_ack", "time": 0}], "mix": 0, "requests": 20}
# All requests are puts, whose values are those of the workload.
PUTS = {"mix": 0, "start_wait": 0}
runs = Runs()


def setUpModule() -> None:
    runs.add("correct", "correct", "--seed", "7", drops=0.5, **PUTS)
    runs.add("correct_udp", "eager", "--silence", transport="udp", seed=7, **PUTS)
    runs.add("correct_stream", "correct", transport="stream", seed=7, **PUTS)
    runs.add("stubborn_udp", "stubborn", transport="udp")
    runs.add("launches", "launches")
    runs.add("talks_on", "talks_on", **KILL_ON_ACK)
    runs.add("talks_on_udp", "talks_on", transport="udp", **KILL_ON_ACK)
    runs.add("talks_on_stream", "talks_on", transport="stream", **KILL_ON_ACK)
    runs.add("conditions", "correct", mix=0, requests=20, events=[
        {"type": "kill_leader", "when": {"on": "write_acknowledged", "after": 0.0005}},
        {"type": "flap", "when": {"on": "killed"}, "duration": 0.5},
        {"type": "heal", "when": {"on": "rejoined"}},
    ])
    runs.add("unchecked", "correct", "--no-check", verdict="not linearizable")
    for verdict in ("not linearizable", "malformed history", "crash", "undecided"):
        runs.add(verdict, "correct", verdict=verdict)
    for transport in TRANSPORTS:
        options = "--replica-options=--one 'two words'"
        runs.add(f"options_{transport}", "takes_two_options", options, transport=transport)
    runs.add("beside", "correct", "--seed", "7", "--beside", str(FAKE_REPLICA), **PUTS)
    runs.add(
        "beside_udp", "takes_two_options", "--replica-options=--one 'two words'", "--beside", str(FAKE_REPLICA),
        "--beside-options=--three four", transport="udp",
        events=[{"type": "kill_non_leader", "time": 0.5}],
    )
    runs.add("never_joins", "never_joins", "--join-seconds", "1")
    # Few enough messages for a busy machine to send them in time.
    runs.add("storm", "storm", max_packets=500)
    for behaviour in ("too_long", "quits", "stubborn", "hangs_up"):
        runs.add(behaviour, behaviour)


def tearDownModule() -> None:
    runs.clean_up()


def requests(history: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in history.read_text().splitlines()]


class EndToEnd(unittest.TestCase):
    def finished(self, name: str) -> Run:
        run = runs.finished(name)
        self.assertEqual(run.leftovers(), [], run.stderr)
        self.assertEqual(run.survivors(), [])
        return run

    def assert_incorrect(self, run: Run, check: str, error: str, of: str = "Replica") -> None:
        self.assertEqual(run.exit_code, 1, run.stdout + run.stderr)
        self.assertIn(f"*** {of} Error - {error}", run.stdout)
        self.assertIn(f"     {check}", run.stdout)
        self.assertIn("## Correctness Checks Failed, Skipping Performance Tests", run.stdout)
        self.assertEqual(run.result()["tiers"], [])

    def test_correct_replicas_pass_and_are_rated(self) -> None:
        run = self.finished("correct")
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
        self.assertIn("     All correctness tests passed", run.stdout)
        self.assertIn("0001] ready", run.stdout)
        self.assertIn("0001] \\x1b[2J\\x1b]0;title\\x07", run.stdout)
        self.assertIn("seed 7", run.stdout)
        result = run.result()
        self.assertEqual(result["configuration"]["seed"], 7)
        self.assertEqual(len(result["tiers"]), 4)
        self.assertIs(result["linearizable"], True)
        lines = len(requests(run.history))
        self.assertIn(f"scenario: the history of {lines} requests is linearizable\n", run.stdout)

    def test_seed_from_either_place_gives_all_dialects_the_same_workload(self) -> None:
        names = ("correct", "correct_udp", "correct_stream")
        workloads = [{r["value"] for r in requests(self.finished(name).history)} for name in names]
        self.assertEqual(len(workloads[0]), 100)
        self.assertEqual(workloads, [workloads[0]] * 3)

    def test_history_has_one_line_for_each_request_as_sent(self) -> None:
        history = requests(self.finished("correct").history)
        self.assertEqual(len({r["id"] for r in history}), len(history))
        answered = [r for r in history if r["outcome"] != "unknown"]
        self.assertTrue(all(r["invoked"] <= r["returned"] for r in answered))
        self.assertTrue(all(r["returned"] is None for r in history if r["outcome"] == "unknown"))

    def test_silence_drops_replica_output(self) -> None:
        run = self.finished("correct_udp")
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
        self.assertIn("\n# Simulation Finished\n", run.stdout)
        self.assertNotIn("ready", run.stdout)

    def test_options_reach_the_replica_in_all_dialects_and_are_written_down(self) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                run = self.finished(f"options_{transport}")
                self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
                self.assertIn("0002] options ['--one', 'two words']\n", run.stdout)
                self.assertEqual(run.result()["replica_options"], ["--one", "two words"])
        self.assertEqual(self.finished("correct").result()["replica_options"], [])

    def test_two_clusters_side_by_side_have_the_same_requests(self) -> None:
        run = self.finished("beside")
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
        self.assertEqual(run.stdout.count("     All correctness tests passed\n"), 2)
        self.assertIn("\n# Side by Side: replica / beside\n", run.stdout)
        for cluster in ("replica", "beside"):
            self.assertIn(f"\n# {cluster}: {FAKE_REPLICA}\n# Simulation Finished\n", run.stdout)
        self.assertRegex(run.stdout, r"beside: \[ +\d+\.\d{3} 0001\] ready")
        self.assertEqual([result["figures"]["replicas_died"] for result in run.result()], [0, 0])
        paths = (run.history, run.history.with_name("history-beside.jsonl"))
        histories = [requests(path) for path in paths]
        # Different clocks have measured them.
        self.assertNotEqual(*histories)
        values = [{r["value"] for r in history} for history in histories]
        self.assertEqual(len(values[0]), 100)
        self.assertEqual(*values)

    def test_both_clusters_have_their_options_and_their_trouble(self) -> None:
        results = self.finished("beside_udp").result()
        options = [["--one", "two words"], ["--three", "four"]]
        self.assertEqual([r["replica_options"] for r in results], options)
        self.assertRegex(
            self.finished("beside_udp").stdout,
            rf"beside: \[ +\d+\.\d{{3}} 0001\] options {re.escape(str(options[1]))}",
        )
        self.assertEqual([r["figures"]["replicas_killed"] for r in results], [1, 1])

    def test_kill_on_an_acknowledgement_silences_its_sender_at_once(self) -> None:
        for name in ("talks_on", "talks_on_udp", "talks_on_stream"):
            with self.subTest(name):
                run = self.finished(name)
                self.assertIn("] kill_leader_on_ack: armed\n", run.stdout)
                self.assertIn("] kill_leader_on_ack: struck, killed 0000\n", run.stdout)
                figures = run.result()["figures"]
                self.assertEqual((figures["replicas_killed"], figures["replicas_died"]), (1, 0))
                self.assertGreater(figures["acknowledged_puts"], 0)
                # The simulator never looked at the broadcast after the last acknowledgement.
                self.assertEqual(figures["total_messages"], 2 * (figures["acknowledged_puts"] - 1))

    def test_events_with_conditions_follow_each_other(self) -> None:
        run = self.finished("conditions")
        killed = re.search(r"\] kill_leader: killed 0000\n(?:\[.*\n)*?\[.*\] flap: (000[12]) loses and ", run.stdout)
        self.assertIsNotNone(killed, run.stdout)
        self.assertIn(f"] flap: {killed and killed[1]} keeps its links\n", run.stdout)
        self.assertIn("] heal: never happened: it waited for rejoined\n", run.stdout)
        self.assertEqual(run.result()["figures"]["replicas_killed"], 1)

    def test_history_that_is_not_linearizable_is_told_with_its_diagram(self) -> None:
        run = self.finished("not linearizable")
        self.assertEqual(run.exit_code, 1, run.stdout + run.stderr)
        self.assertIn(
            "     Linearizable history: no\n     the first line\\x1b[2J\n         of a diagram\n", run.stdout
        )
        self.assertIs(run.result()["linearizable"], False)

    def test_checker_that_cannot_tell_is_an_error(self) -> None:
        for name, reason in (
            ("malformed history", "quit with exit code 2: line 7: no such thing"),
            ("crash", r"was ended by SIGKILL: read \d+ requests"),
            ("undecided", "the history could not be checked: undecided: it is too hard"),
        ):
            with self.subTest(name):
                run = self.finished(name)
                self.assert_incorrect(run, "Linearizable history: could not be told", "the history could not be checked: ", of="Simulator")
                self.assertRegex(run.stdout, reason)
                self.assertIsNone(run.result()["linearizable"])

    def test_run_without_check_has_no_verdict(self) -> None:
        run = self.finished("unchecked")
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
        self.assertIsNone(run.result()["linearizable"])
        self.assertNotIn("linearizable", run.stdout)

    def test_message_beyond_the_limit_is_called_too_long(self) -> None:
        run = self.finished("too_long")
        self.assert_incorrect(
            run, "Incorrect responses: 1, none allowed",
            "malformed message: from replica 0000: longer than 16384 bytes"
        )

    def test_replica_that_quits_is_told_with_its_last_words(self) -> None:
        run = self.finished("quits")
        self.assert_incorrect(
            run, "Replicas that died without being killed: 1, none allowed",
            "replica 0000 quit with exit code 3, last lines of stderr:\n    last words",
        )

    def test_replica_that_closes_its_connection_and_stays_is_told(self) -> None:
        self.assert_incorrect(
            self.finished("hangs_up"), "Replicas that died without being killed: 1, none allowed",
            "replica 0000 closed its connection but did not exit",
        )

    def test_packet_storm_ends_the_run(self) -> None:
        run = self.finished("storm")
        self.assert_incorrect(run, "Simulated seconds: ", "possible packet storm: more than 500 messages ")
        self.assertRegex(run.stdout, r"between replicas: \d+ append from 0000")

    def test_replicas_that_never_join_are_dead(self) -> None:
        run = self.finished("never_joins")
        self.assert_incorrect(
            run, "Replicas that died without being killed: 3, none allowed",
            "replica 0002 did not join within 1 seconds",
        )
        self.assertRegex(run.stdout, r"\[ +\d+\.\d{3}\] no replica lives any more: the 100 requests that were left stay ")
        figures = run.result()["figures"]
        self.assertEqual(figures["unanswered_gets"] + figures["unanswered_puts"], 100)
        self.assertNotIn("looks like", run.stdout)

    def test_replicas_that_ignore_sigterm_and_their_children_are_killed(self) -> None:
        # Connected replicas exit when their connection closes, and their children do not.
        for name in ("stubborn", "stubborn_udp"):
            self.assertEqual(self.finished(name).exit_code, 0)

    def test_launcher_that_does_not_exec_and_daemons_leave_nothing(self) -> None:
        run = self.finished("launches")
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)


class Ends(unittest.TestCase):
    """Runs that end before their time."""

    def start(self, behaviour: str, **changes: object) -> Run:
        run = Run(behaviour, **changes)
        self.addCleanup(run.clean_up)
        return run

    def test_replica_that_exits_at_once_is_told_at_once(self) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                run = self.start("exits_at_once", transport=transport, lifetime=1000).finish()
                self.assertEqual(run.exit_code, 1)
                self.assertRegex(run.stdout, r"Replica Error - replica 000\d did not start: it quit")
                self.assertIn("exit code 7, last lines of stderr:\n    no thanks", run.stdout)
                self.assertIn("\n## Advice\n     000", run.stdout)
                self.assertIn("scenario-no-start", run.stdout)
                self.assertEqual((run.survivors(), run.leftovers()), ([], []))

    def test_repeated_run_that_does_not_start_has_its_advice_beside_its_line(self) -> None:
        run = Run("exits_at_once", "--repeat=1", lifetime=1000)
        self.addCleanup(run.clean_up)
        self.assertEqual(run.finish().exit_code, 1)
        self.assertNotIn("Advice", run.stdout)
        self.assertIn("\n## Advice\n     000", run.stderr)

    def test_replica_of_another_dialect_is_recognized(self) -> None:
        for transport, dialect in (("seqpacket", "udp"), ("udp", "seqpacket"), ("stream", "seqpacket")):
            with self.subTest(transport):
                run = self.start(f"speaks_{dialect}", transport=transport, lifetime=1000).finish()
                self.assertEqual(run.exit_code, 1)
                self.assertIn(
                    f"this looks like a replica of the {dialect} dialect: try --transport {dialect}\n", run.stdout
                )
                self.assertRegex(run.stdout, r"Simulator Error - replica 000\d did not start, so nothing was simulated\n")
                self.assertEqual((run.survivors(), run.leftovers()), ([], []))

    def test_run_ends_with_its_last_replica(self) -> None:
        # Whether a leader is known by then or not.
        kills = [{"type": "kill_non_leader", "time": 0.5}] * 3 + [{"type": "kill_leader", "time": 0.5}]
        run = self.start("correct", lifetime=100, requests=900, end_wait=90, events=kills).finish()
        self.assertIn("] no replica lives any more: the ", run.stdout)
        figures = run.result()["figures"]
        self.assertEqual((figures["gets"] + figures["puts"], figures["seconds"]), (900, 100))
        self.assertNotIn("Simulated seconds", run.stdout)

    def test_options_that_the_replica_refuses_are_bad_usage_and_told_in_one_line(self) -> None:
        run = Run("refuses_its_options", "--replica-options=--nonsense 'a b'", lifetime=1000)
        self.addCleanup(run.clean_up)
        self.assertEqual(run.finish().exit_code, 2)
        refusal = "--replica-options: --nonsense 'a b': refused by the replica: there is no --nonsense"
        self.assertEqual(run.stderr.splitlines(), [refusal])
        self.assertEqual((run.survivors(), run.leftovers()), ([], []))

    def test_exit_code_2_without_options_is_no_refusal(self) -> None:
        run = self.start("refuses_its_options", lifetime=1000).finish()
        self.assertEqual(run.exit_code, 1)
        self.assertRegex(run.stdout, r"replica 000\d did not start: it quit with exit code 2")

    def test_word_that_is_no_command_is_told_with_the_nearest_one(self) -> None:
        for word, hint in (("lnt", "did you mean lint?"), ("crash-3", "did you mean configs/crash-3.json?"),
                           ("nonsense", "commands are compare, lint, maelstrom, merge, new, replay, sweep")):
            with self.subTest(word):
                run = subprocess.run(
                    [sys.executable, ROOT / "run.py", word], check=False, capture_output=True, text=True,
                    timeout=HANG_SECONDS, cwd=ROOT,
                )
                self.assertEqual((run.returncode, run.stdout, run.stderr.count("\n")), (2, "", 1))
                self.assertTrue(run.stderr.endswith(f"{hint}\n"), run.stderr)

    def test_options_that_cannot_be_split_are_bad_usage(self) -> None:
        run = Run("correct", "--replica-options='unclosed", lifetime=1000)
        self.addCleanup(run.clean_up)
        self.assertEqual(run.finish().exit_code, 2)
        self.assertEqual(run.stderr, "--replica-options: \"'unclosed\": No closing quotation\n")

    def test_second_cluster_that_cannot_be_is_bad_usage_or_told_at_once(self) -> None:
        for said, code, arguments in (
            ('--beside: takes one configuration, not "all"\n', 2, ("all", "--beside", "x")),
            ('--beside: takes one configuration, not "all"\n', 2, ("all", "--beside-options=--a")),
            ("--beside-options: \"'\": No closing quotation\n", 2,
             ("CONFIG", "--beside", "x", "--beside-options='")),
            ("*** Simulator Error - beside program not found: x\n", 1, ("CONFIG", "--beside", "x")),
        ):
            with self.subTest(said):
                config = str(ROOT / "configs" / "simple-1.json")
                words = [config if word == "CONFIG" else word for word in arguments]
                done = subprocess.run(
                    [sys.executable, str(ROOT / "run.py"), "--replica", str(FAKE_REPLICA), *words],
                    capture_output=True, check=False, text=True,
                )
                self.assertEqual((done.stderr + done.stdout, done.returncode), (said, code))

    def test_replica_that_does_not_read_for_a_while_loses_nothing(self) -> None:
        run = self.start("pauses", lifetime=1000)
        run.wait_for_output("0001] whole burst received")
        run.process.terminate()
        # Once per episode, as the transport's own tests pin. The scheduler decides how many there
        # are.
        self.assertIn("replica 0001 does not keep up", run.finish().stdout)

    def test_program_that_cannot_run_is_told_at_once(self) -> None:
        for program, said in (
            (ROOT / "no-such-program", "replica program not found"),
            (ROOT / "simulator" / "cli.py", "replica program is not executable"),
        ):
            with self.subTest(said):
                run = self.start("correct", program=program).finish()
                self.assertEqual(run.exit_code, 1)
                self.assertIn(f"*** Simulator Error - {said}", run.stdout)

    def test_checker_that_cannot_run_is_told_before_the_run(self) -> None:
        run = self.start("correct", checker=ROOT / "no-such-program", lifetime=1000).finish()
        self.assertEqual(run.exit_code, 1)
        self.assertIn("*** Simulator Error - checker program not found", run.stdout)

    def test_interrupt_prints_the_report_so_far_and_leaves_nothing(self) -> None:
        for number in ENDING_SIGNALS:
            with self.subTest(number):
                run = self.start("correct", lifetime=1000)
                run.wait_for_output("ready")
                run.process.send_signal(number)
                run.finish()
                self.assertEqual(run.exit_code, 1)
                self.assertIn("# Simulation Finished", run.stdout)
                self.assertIn("     Simulated seconds: ", run.stdout)
                self.assertEqual((run.survivors(), run.leftovers()), ([], []))

    def test_killed_simulator_leaves_no_child_of_a_launcher_and_no_daemon(self) -> None:
        run = self.start("launches", transport="udp", lifetime=1000)
        run.wait_for_output("ready")
        run.process.kill()
        run.process.wait()
        run.wait_for_end_of_survivors()

    def test_killed_simulator_leaves_no_replica_and_the_next_start_sweeps(self) -> None:
        # In the datagram dialect no closed connection tells a replica to stop.
        run = self.start("correct", transport="udp", lifetime=1000)
        run.wait_for_output("ready")
        run.process.kill()
        run.process.wait()
        run.wait_for_end_of_survivors()
        (left,) = run.leftovers()
        self.assertIn(str(run.process.pid), left)
        with mock.patch("tempfile.tempdir", str(run.temporary)):
            workspace.sweep()
        self.assertEqual(run.leftovers(), [])


if __name__ == "__main__":
    unittest.main()
