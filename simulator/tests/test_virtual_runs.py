"""Whole runs in virtual time: what the user is told, and every figure to the last one."""

import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simulator import config
from simulator.tests.support import ABSENT, small_scenario, write_config
from simulator.tests.virtual import DELAY_SECONDS, VirtualRun

TIMES: dict[str, Any] = {"lifetime": 8, "start_wait": 0.5, "end_wait": 4}  # a request each 35 ms
# The leader is killed 25 ms after a request was sent to it, which is longer on its way.
KILLS = [
    {"type": "kill_non_leader", "time": 0.5},
    {"type": "kill_leader", "time": 3},
]
PARTITION = [{"type": "part_easy", "time": 0.5}, {"type": "part_end", "time": 3}]


def run(*behaviours: str, seed: int = 1, **changes: Any) -> VirtualRun:
    return VirtualRun(small_scenario(**(TIMES | changes)), *behaviours, seed=seed)


class CorrectReplicas(unittest.TestCase):
    def test_correct_replicas_pass_and_are_rated_although_half_of_their_messages_are_lost(self) -> None:
        finished = run("correct", drops=0.5)
        figures = finished.figures
        self.assertIn("     All correctness tests passed\n", finished.told)
        self.assertIn("     Leaders: FFFF 0000\n", finished.told)
        self.assertEqual(len(finished.result.ratings), 4)
        self.assertEqual(figures.gets + figures.puts, 100)
        self.assertEqual(figures.unanswered_gets + figures.unanswered_puts, 0)
        # A broadcast counts once for each other replica, dropped or not.
        self.assertEqual(figures.total_messages, 2 * figures.puts)
        self.assertGreater(figures.dropped_by_chance, 0)

    def test_messages_before_all_have_joined_are_kept_and_a_hello_never_counts(self) -> None:
        figures = run("eager").figures
        self.assertEqual(figures.total_messages, 2 * figures.puts + 3 * 2)

    def test_file_of_another_version_is_judged_and_not_rated(self) -> None:
        with TemporaryDirectory() as directory:
            path = write_config(Path(directory), **(TIMES | {"tests": ABSENT, "lifetime": 5}))
            finished = VirtualRun(config.load(path, config.defaults_of(2022)), "correct")
        self.assertIn("## No Performance Tests, because the configuration has no benchmarks\n", finished.told)
        self.assertEqual((finished.result.ratings, finished.figures.seconds), ([], 9.5))

    def test_clusters_side_by_side_get_the_same_requests(self) -> None:
        first, second = run("correct", "eager").results
        self.assertNotEqual(first.figures.total_messages, second.figures.total_messages)
        self.assertEqual(*([(r.client, r.type, r.key) for r in result.history] for result in (first, second)))

    def test_seed_decides_a_run(self) -> None:
        first, again, other = (run("correct", seed=seed, drops=0.5).result for seed in (1, 1, 2))
        self.assertEqual((first.figures, first.history), (again.figures, again.history))
        self.assertNotEqual(first.history, other.history)


class Kills(unittest.TestCase):
    def test_killed_leader_leaves_the_requests_to_it_unanswered(self) -> None:
        finished = run("correct", events=KILLS, replicas=5)
        self.assertIn("     Replicas that died/were killed: 0/2\n", finished.told)
        self.assertGreater(finished.figures.sent_to_dead, 0)
        death = finished.result.happenings[-1].time
        history = finished.result.history
        unanswered = [r for r in history if death - 2 * DELAY_SECONDS < r.invoked < death]
        self.assertGreater(len(unanswered), 0)
        self.assertEqual({(r.outcome, r.returned) for r in unanswered}, {("unknown", None)})
        answered = [r for r in history if r.invoked < death - 2 * DELAY_SECONDS]
        self.assertEqual({r.outcome for r in answered} - {"redirect"}, {"ok"})

    def test_replicas_that_name_a_killed_leader_end_no_run(self) -> None:
        finished = run("correct", events=KILLS, replicas=5)
        figures = finished.figures
        self.assertEqual(figures.seconds, 8)
        # A client repeats a request every 50 ms at most, after a few quicker ones.
        circles = figures.requests_in_circles
        self.assertTrue(0 < circles < figures.redirects < 100 + 200 * circles, figures)
        self.assertNotIn("storm", finished.told)
        self.assertRegex(
            finished.told,
            r"\n     Requests sent in circles: \d+, by [\d,]+ redirects, all to 0000, killed at \d+\.\d{3}\n",
        )

    def test_armed_kill_that_never_happens_is_told(self) -> None:
        finished = run("correct", requests=0, events=[{"type": "kill_leader_on_ack", "time": 0.5}])
        self.assertIn("] kill_leader_on_ack: never struck\n", finished.told)
        self.assertEqual(finished.figures.replicas_killed, 0)

    def test_kill_on_an_acknowledgement_takes_nothing_else_of_the_leader(self) -> None:
        finished = run("talks_on", mix=0, events=[{"type": "kill_leader_on_ack", "time": 0.5}])
        self.assertIn("] kill_leader_on_ack: struck, killed 0000\n", finished.told)
        figures = finished.figures
        self.assertEqual((figures.replicas_killed, figures.replicas_died), (1, 0))
        self.assertGreater(figures.acknowledged_puts, 1)
        # The simulator never looks at the broadcast after the last acknowledgement.
        self.assertEqual(figures.total_messages, 2 * (figures.acknowledged_puts - 1))


class Losses(unittest.TestCase):
    def test_clients_that_lose_messages_ask_until_they_are_answered(self) -> None:
        finished = run("correct", client_drops=0.3, client_timeout=0.1, read_back=True)
        self.assertIn("     All correctness tests passed\n", finished.told)
        figures = finished.figures
        self.assertGreater(figures.client_messages_dropped, 0)
        self.assertGreater(figures.sent_again, 0)
        self.assertEqual(figures.gets + figures.puts, 100 + figures.acknowledged_puts)
        history = finished.result.history
        self.assertEqual(len({request.mid for request in history}), len(history))

    def test_clients_ask_again_although_nothing_else_happens(self) -> None:
        figures = run("correct", requests=1, client_drops=1, client_timeout=0.1).figures
        # Sent at 0.5 s, again each 0.1 s, until the end at 8 s.
        self.assertIn(figures.sent_again, (74, 75))
        self.assertEqual(figures.client_messages_dropped, 1 + figures.sent_again)

    def test_partition_cuts_messages_off(self) -> None:
        figures = run("correct", events=PARTITION).figures
        self.assertGreater(figures.dropped_by_partition, 0)
        self.assertEqual(figures.dropped_by_chance, 0)


class WrongReplicas(unittest.TestCase):
    def assert_incorrect(self, finished: VirtualRun, check: str, error: str) -> None:
        self.assertIn(f"*** Replica Error - {error}", finished.told)
        self.assertIn(f"     {check}", finished.told)
        self.assertIn("## Correctness Checks Failed, Skipping Performance Tests", finished.told)
        self.assertEqual(finished.result.ratings, [])

    def test_wrong_value_is_caught_and_repetitions_are_counted(self) -> None:
        finished = run("wrong_value")
        self.assert_incorrect(finished, "Incorrect responses: ", "incorrect value: ")
        incorrect = finished.figures.incorrect_gets
        self.assertGreater(incorrect, 3)
        self.assertRegex(finished.said, r"\n    \[  \d\.\d{3}\] put [0-9a-f]{8}: ok from 0000 at \d\.\d{3}\n")
        self.assertRegex(
            finished.said, r"\n    Replica 0000 answered get [0-9a-f]{8} with a value that was never put\.\n"
        )
        errors = [line for line in finished.said.splitlines() if "Replica Error" in line]
        self.assertEqual(len(errors), 4)
        self.assertRegex(
            errors[0], r"^\[  \d\.\d{3}\] \*\*\* Replica Error - incorrect value: from replica 0000: get "
        )
        self.assertIn(
            f"incorrect value: from replica 0000: {incorrect} times in all, of which 3 are shown", errors[3]
        )

    def test_put_that_is_applied_twice_is_called_so(self) -> None:
        finished = run("applies_twice")
        self.assert_incorrect(finished, "Incorrect responses: ", "incorrect value: from replica 0000: ")
        self.assertRegex(
            finished.said, r"\n    Put [0-9a-f]{8} was sent \d+ times: if it was applied twice, "
            r"the second time after put [0-9a-f]{8}, that explains get [0-9a-f]{8}\.\n",
        )

    def test_message_that_breaks_the_protocol_is_caught(self) -> None:
        for behaviour, error in (
            ("malformed", 'malformed message: from replica 0000: "leader"'),
            ("impostor", 'malformed message: from replica 0000: "src"'),
            ("unknown_mid", "unexpected MID: "),
            ("unknown_destination", "unknown destination: "),
        ):
            with self.subTest(behaviour):
                self.assert_incorrect(run(behaviour), "Incorrect responses: 1, none allowed, 1 too many", error)

    def test_failures_and_duplicates_are_counted(self) -> None:
        finished = run("fails")
        figures = finished.figures
        outcomes = [request.outcome for request in finished.result.history]
        self.assertGreater(figures.failed_gets + figures.failed_puts, 0)
        self.assertEqual(figures.unanswered_gets + figures.unanswered_puts, 0)
        self.assertEqual(outcomes.count("fail"), figures.failed_gets + figures.failed_puts)
        self.assertEqual(outcomes.count("redirect"), figures.redirects)
        self.assertEqual(outcomes.count("ok"), 100)
        self.assertGreater(run("answers_twice").figures.duplicates, 0)


if __name__ == "__main__":
    unittest.main()
