"""Whole runs of `run.py` with fake replicas."""

import json
import re
import signal
import subprocess
import sys
import unittest
from unittest import mock

from simulator import workspace
from simulator.tests.support import ABSENT, FAKE_REPLICA, ROOT, Run, Runs
from simulator.transport import TRANSPORTS

KILLS = [
    {"type": "kill_non_leader", "time": 0.5},
    {"type": "kill_leader", "time": 3},
]
# The events arm the kills after the first few requests. Then no replica leads, and clients go round
# in circles until the run ends.
KILL_ON_ACK = {"events": [{"type": "kill_leader_on_ack", "time": 0.5}], "mix": 0}
PARTITION = [{"type": "part_easy", "time": 0.5}, {"type": "part_end", "time": 3}]
runs = Runs()


def setUpModule() -> None:
    runs.add("correct", "correct", "--seed", "7", drops=0.5)
    runs.add("correct_udp", "eager", "--silence", transport="udp", seed=7)
    runs.add("correct_stream", "correct", transport="stream", seed=7)
    runs.add("kills", "correct", events=KILLS, replicas=5)
    runs.add("partition_udp", "correct", transport="udp", events=PARTITION)
    runs.add("stubborn_udp", "stubborn", transport="udp")
    runs.add("unrated", "correct", "--dialect-year", "2022", tests=ABSENT, lifetime=5)
    runs.add("launches", "launches")
    runs.add("talks_on", "talks_on", **KILL_ON_ACK)
    runs.add("talks_on_udp", "talks_on", transport="udp", **KILL_ON_ACK)
    runs.add("talks_on_stream", "talks_on", transport="stream", **KILL_ON_ACK)
    runs.add("nothing_to_strike", "correct", requests=0, events=KILL_ON_ACK["events"])
    runs.add("lossy_clients", "correct", client_drops=0.3, client_timeout=0.1, read_back=True)
    runs.add("deaf_clients", "correct", requests=1, client_drops=1, client_timeout=0.1)
    runs.add("unchecked", "correct", "--no-check", verdict="not linearizable")
    for verdict in ("not linearizable", "malformed history", "crash", "undecided"):
        runs.add(verdict, "correct", verdict=verdict)
    for transport in TRANSPORTS:
        options = "--replica-options=--one 'two words'"
        runs.add(f"options_{transport}", "takes_two_options", options, transport=transport)
    runs.add("beside", "correct", "--seed", "7", "--beside", str(FAKE_REPLICA))
    runs.add(
        "beside_udp", "takes_two_options", "--replica-options=--one 'two words'", "--beside", str(FAKE_REPLICA),
        "--beside-options=--three four", transport="udp", events=KILLS[:1],
    )
    runs.add("never_joins", "never_joins", "--join-seconds", "1")
    # Few enough requests for a busy machine to answer in time.
    runs.add("storm", "storm", max_packets=500)
    for behaviour in (
        "wrong_value", "malformed", "impostor", "too_long", "unknown_mid", "unknown_destination", "quits",
        "applies_twice", "fails", "answers_twice", "stubborn", "hangs_up",
    ):
        runs.add(behaviour, behaviour)


def tearDownModule() -> None:
    runs.clean_up()


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
        self.assertIn("     Leaders: FFFF 0000\n", run.stdout)
        self.assertIn("0001] ready", run.stdout)
        self.assertIn("0001] \\x1b[2J\\x1b]0;title\\x07", run.stdout)
        self.assertIn("seed 7", run.stdout)
        result = run.result()
        self.assertEqual(result["configuration"]["seed"], 7)
        self.assertEqual(result["figures"]["gets"] + result["figures"]["puts"], 100)
        self.assertEqual(len(result["tiers"]), 4)
        # A broadcast counts once for each other replica, dropped or not.
        self.assertEqual(result["figures"]["total_messages"], 2 * result["figures"]["puts"])
        self.assertGreater(result["figures"]["dropped_by_chance"], 0)
        self.assertIs(result["linearizable"], True)
        lines = len(run.history.read_text().splitlines())
        self.assertIn(f"scenario: the history of {lines} requests is linearizable\n", run.stdout)

    def test_seed_from_either_place_gives_all_dialects_the_same_workload(self) -> None:
        workloads = []
        for name in ("correct", "correct_udp", "correct_stream"):
            requests = map(json.loads, self.finished(name).history.read_text().splitlines())
            workloads.append(sorted(r["client"] for r in requests if r["outcome"] == "ok"))
        self.assertEqual(len(workloads[0]), 100)
        self.assertEqual(workloads, [workloads[0]] * 3)

    def test_messages_before_all_have_joined_are_kept_and_a_hello_never_counts(self) -> None:
        figures = self.finished("correct_udp").result()["figures"]
        self.assertEqual(figures["total_messages"], 2 * figures["puts"] + 3 * 2)

    def test_history_has_a_line_for_every_request_as_sent(self) -> None:
        run = self.finished("fails")
        lines = [json.loads(line) for line in run.history.read_text().splitlines()]
        figures = run.result()["figures"]
        outcomes = [line["outcome"] for line in lines]
        self.assertEqual(outcomes.count("fail"), figures["failed_gets"] + figures["failed_puts"])
        self.assertEqual(outcomes.count("redirect"), figures["redirects"])
        self.assertEqual(outcomes.count("ok"), 100)
        self.assertEqual(len({line["id"] for line in lines}), len(lines))
        self.assertTrue(all(line["invoked"] <= line["returned"] for line in lines))

    def test_file_of_another_version_is_judged_and_not_rated(self) -> None:
        run = self.finished("unrated")
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
        self.assertIn("## No Performance Tests, because the configuration has no benchmarks\n", run.stdout)
        self.assertEqual((run.result()["tiers"], run.result()["figures"]["seconds"]), ([], 9.5))

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
        histories = [path.read_text() for path in paths]
        self.assertNotEqual(*histories)
        clients = []
        for history in histories:
            requests = map(json.loads, history.splitlines())
            clients.append(sorted(r["client"] for r in requests if r["outcome"] == "ok"))
        self.assertEqual(len(clients[0]), 100)
        self.assertEqual(*clients)

    def test_both_clusters_have_their_options_and_their_trouble(self) -> None:
        results = self.finished("beside_udp").result()
        options = [["--one", "two words"], ["--three", "four"]]
        self.assertEqual([r["replica_options"] for r in results], options)
        self.assertRegex(
            self.finished("beside_udp").stdout,
            rf"beside: \[ +\d+\.\d{{3}} 0001\] options {re.escape(str(options[1]))}",
        )
        self.assertEqual([r["figures"]["replicas_killed"] for r in results], [1, 1])

    def test_kills_end_replicas_and_leave_requests_unanswered(self) -> None:
        run = self.finished("kills")
        self.assertIn("     Replicas that died/were killed: 0/2\n", run.stdout)
        figures = run.result()["figures"]
        self.assertGreater(figures["unanswered_puts"], 0)
        self.assertGreater(figures["sent_to_dead"], 0)
        unanswered = [json.loads(line) for line in run.history.read_text().splitlines()]
        unanswered = [line for line in unanswered if line["outcome"] == "unknown"]
        self.assertGreater(len(unanswered), 0)
        self.assertTrue(all(line["returned"] is None for line in unanswered))

    def test_replicas_that_name_a_killed_leader_end_no_run(self) -> None:
        run = self.finished("kills")
        figures = run.result()["figures"]
        self.assertEqual(figures["seconds"], 8)
        # A request comes again every 50 ms at most, after a few quicker ones.
        circles = figures["requests_in_circles"]
        self.assertTrue(circles < figures["redirects"] < 100 + 200 * circles, figures)
        self.assertNotIn("storm", run.stdout)
        self.assertRegex(
            run.stdout,
            r"\n     Requests sent in circles: \d+, by [\d,]+ redirects, all to 0000, killed at \d+\.\d{3}\n",
        )

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

    def test_armed_kill_that_never_happens_is_told(self) -> None:
        run = self.finished("nothing_to_strike")
        self.assertIn("] kill_leader_on_ack: never struck\n", run.stdout)
        self.assertEqual(run.result()["figures"]["replicas_killed"], 0)

    def test_clients_that_lose_messages_ask_until_they_are_answered(self) -> None:
        run = self.finished("lossy_clients")
        self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
        figures = run.result()["figures"]
        self.assertGreater(figures["client_messages_dropped"], 0)
        self.assertGreater(figures["sent_again"], 0)
        self.assertEqual(figures["gets"] + figures["puts"], 100 + figures["acknowledged_puts"])
        lines = [json.loads(line) for line in run.history.read_text().splitlines()]
        self.assertEqual(len({line["id"] for line in lines}), len(lines))

    def test_clients_ask_again_although_nothing_else_happens(self) -> None:
        figures = self.finished("deaf_clients").result()["figures"]
        self.assertGreater(figures["sent_again"], 1)
        self.assertEqual(figures["client_messages_dropped"], 1 + figures["sent_again"])

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

    def test_partition_cuts_messages_off(self) -> None:
        figures = self.finished("partition_udp").result()["figures"]
        self.assertGreater(figures["dropped_by_partition"], 0)
        self.assertEqual(figures["dropped_by_chance"], 0)

    def test_wrong_value_is_caught(self) -> None:
        run = self.finished("wrong_value")
        self.assert_incorrect(run, "Incorrect responses: ", "incorrect value: ")
        incorrect = run.result()["figures"]["incorrect_gets"]
        self.assertGreater(incorrect, 3)
        self.assertRegex(run.stdout, r"\n    \[  \d\.\d{3}\] put [0-9a-f]{8}: ok from 0000 at \d\.\d{3}\n")
        self.assertRegex(run.stdout, r"\n    Replica 0000 answered get [0-9a-f]{8} with a value that was never put\.\n")
        errors = [line for line in run.stdout.splitlines() if "Replica Error" in line]
        self.assertEqual(len(errors), 4)
        self.assertRegex(errors[0], r"^\[  \d\.\d{3}\] \*\*\* Replica Error - incorrect value: from replica 0000: get ")
        self.assertIn(f"incorrect value: from replica 0000: {incorrect} times in all, of which 3 are shown", errors[3])

    def test_put_that_is_applied_twice_is_called_so(self) -> None:
        run = self.finished("applies_twice")
        self.assert_incorrect(run, "Incorrect responses: ", "incorrect value: from replica 0000: ")
        self.assertRegex(
            run.stdout, r"\n    Put [0-9a-f]{8} was sent \d+ times: if it was applied twice, "
            r"the second time after put [0-9a-f]{8}, that explains get [0-9a-f]{8}\.\n",
        )

    def test_malformed_message_is_caught(self) -> None:
        run = self.finished("malformed")
        self.assert_incorrect(
            run, "Incorrect responses: 1, none allowed, 1 too many", 'malformed message: from replica 0000: "leader"'
        )

    def test_message_in_the_name_of_another_replica_is_caught(self) -> None:
        self.assert_incorrect(
            self.finished("impostor"), "Incorrect responses: 1, none allowed", "malformed message: from replica 0000: \"src\""
        )

    def test_message_beyond_the_limit_is_called_too_long(self) -> None:
        run = self.finished("too_long")
        self.assert_incorrect(
            run, "Incorrect responses: 1, none allowed",
            "malformed message: from replica 0000: longer than 16384 bytes"
        )

    def test_response_to_an_unknown_mid_is_caught(self) -> None:
        self.assert_incorrect(
            self.finished("unknown_mid"), "Incorrect responses: 1, none allowed", "unexpected MID: "
        )

    def test_unknown_destination_is_caught(self) -> None:
        self.assert_incorrect(
            self.finished("unknown_destination"), "Incorrect responses: 1, none allowed", "unknown destination: "
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

    def test_failures_and_duplicates_are_counted(self) -> None:
        failures = self.finished("fails").result()["figures"]
        self.assertGreater(failures["failed_gets"] + failures["failed_puts"], 0)
        self.assertEqual(failures["unanswered_gets"] + failures["unanswered_puts"], 0)
        self.assertGreater(self.finished("answers_twice").result()["figures"]["duplicates"], 0)

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
                self.assertEqual((run.survivors(), run.leftovers()), ([], []))

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
        for number in (signal.SIGINT, signal.SIGTERM):
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
