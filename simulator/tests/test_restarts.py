"""Restarts and pauses in virtual time: what the user is told, and what clients see."""

import unittest
from random import Random
from typing import Any

from simulator import schedule
from simulator.tests.support import small_scenario
from simulator.tests.virtual import DELAY_SECONDS, VirtualRun

START = 0.5
TIMES: dict[str, Any] = {"lifetime": 12, "start_wait": START, "end_wait": 8}  # a request each 35 ms
PATIENT = {"client_timeout": 0.3}
RESTART_ALL = [{"type": "restart_all", "time": 1}]
PAUSE_LEADER = [{"type": "pause_leader", "time": 1}]
# At this time the events above begin, and a second later they end.
BEGIN, END = START + 1, START + 2


def run(behaviour: str, **changes: Any) -> VirtualRun:
    return VirtualRun(small_scenario(**(TIMES | {"persist": True} | changes)), behaviour)


class Restarts(unittest.TestCase):
    def test_replicas_that_remember_pass_although_each_is_restarted(self) -> None:
        events = [
            *RESTART_ALL, {"type": "restart_leader", "time": 2.5, "duration": 0.5},
            {"type": "restart_non_leader", "time": 2.5, "duration": 0},
        ]
        finished = run("durable", events=events, **PATIENT)
        self.assertIn("     All correctness tests passed\n", finished.told)
        for line in (
            "[  1.500] restart_all: killed 0000 0001 0002, down for 1 s",
            "[  2.500] restart_all: started 0000 0001 0002 again",
            "[  2.500] replica 0000 joined again",
            "[  2.600] replica 0001 joined again",
            "[  2.700] replica 0002 joined again",
            "[  3.000] restart_leader: killed 0000, down for 0.5 s",
            "[  3.500] restart_leader: started 0000 again",
            "     Replicas that died/were killed: 0/0",
            "     Replicas that were restarted/paused: 5/0",
        ):
            self.assertIn(f"{line}\n", finished.told)
        self.assertRegex(finished.said, r"\[  3.000\] restart_non_leader: killed 000[12], down for 0 s\n")
        self.assertRegex(finished.said, r"\[  3.000\] restart_non_leader: started 000[12] again\n")
        figures = finished.figures
        self.assertEqual((figures.unanswered_gets, figures.unanswered_puts), (0, 0))
        self.assertIn(f"     Total messages lost to replicas that were down: {figures.sent_to_down}\n", finished.told)
        self.assertGreater(figures.sent_to_down, 0)

    def test_replica_that_forgets_an_acknowledged_put_is_caught(self) -> None:
        finished = run("correct", events=RESTART_ALL, **PATIENT)
        self.assertIn("*** Replica Error - incorrect value: from replica 0000", finished.said)
        self.assertIn("] restart_all: killed 0000 0001 0002, down for 1 s\n    ", finished.said)
        self.assertFalse(finished.result.is_correct)

    def test_only_requests_that_a_restarted_replica_owed_stay_unanswered(self) -> None:
        finished = run("durable", events=RESTART_ALL)
        history = finished.result.history
        owed = [r for r in history if BEGIN - 2 * DELAY_SECONDS <= r.invoked < END]
        others = [r for r in history if r not in owed]
        self.assertGreater(len(owed), 20)
        self.assertEqual({r.outcome for r in owed}, {"unknown"})
        self.assertEqual({r.outcome for r in others} - {"redirect"}, {"ok"})
        self.assertGreater(others[-1].invoked, END + 1)
        lost = sum(r.invoked >= BEGIN for r in owed)
        self.assertGreaterEqual(finished.figures.sent_to_down, lost)

    def test_failover_ends_with_the_first_ok_of_the_restarted_leader(self) -> None:
        finished = run("durable", events=[{"type": "restart_leader", "time": 1, "duration": 0.5}], **PATIENT)
        kill = finished.result.happenings[0].time
        first = min(r.returned for r in finished.result.history if r.outcome == "ok" and r.returned > kill)
        [failover] = finished.figures.failovers
        self.assertAlmostEqual(failover, first - kill, places=5)

    def test_replica_that_does_not_join_again_has_died(self) -> None:
        finished = run("joins_once", events=RESTART_ALL)
        for replica in ("0000", "0001", "0002"):
            error = f"*** Replica Error - replica {replica} did not join again within 5 seconds\n"
            self.assertIn(f"[  7.500] {error}", finished.said)
        self.assertIn("[  7.500] no replica lives any more: ", finished.said)
        self.assertEqual((finished.figures.replicas_died, finished.figures.restarts), (3, 3))

    def test_replica_that_is_down_when_the_run_ends_is_told(self) -> None:
        finished = run("joins_once", events=[{"type": "restart_leader", "time": 9}])
        self.assertIn("[ 12.000] replica 0000 is still down at the end of the run\n", finished.said)
        self.assertEqual(finished.figures.replicas_died, 0)

    def test_restarted_replica_can_be_killed_and_restarted_again(self) -> None:
        events = [*RESTART_ALL, {"type": "restart_leader", "time": 2.5}, {"type": "kill_leader", "time": 4}]
        finished = run("durable", events=events, **PATIENT)
        self.assertIn("[  4.500] kill_leader: killed 0000\n", finished.said)
        figures = finished.figures
        self.assertEqual((figures.restarts, figures.replicas_killed, figures.replicas_died), (4, 1, 0))

    def test_killed_replica_is_not_started_again(self) -> None:
        events = [{"type": "kill_non_leader", "time": 0.5}, *RESTART_ALL]
        finished = run("durable", events=events, **PATIENT)
        self.assertRegex(finished.said, r"restart_all: killed 0000 000[12], down for 1 s\n")
        self.assertEqual((finished.figures.restarts, finished.figures.replicas_killed), (2, 1))


class DrawnRestarts(unittest.TestCase):
    def test_each_ends_in_its_part_of_the_time_and_the_seed_decides_all(self) -> None:
        count, seconds = 300, 150
        drawn = list(schedule.draw_restarts(count, seconds, Random(1)))
        self.assertEqual({event.type for event in drawn}, set(schedule.RESTARTS))
        part = seconds / count
        for number, event in enumerate(drawn):
            self.assertLessEqual(number * part, event.time)
            self.assertLess(event.time, (number + 0.5) * part)
            self.assertLess(event.end, (number + 1) * part)
        self.assertIsNone(schedule.refusal(drawn, 3, True, seconds + 1))

        def repeated(seed: int) -> list[str]:
            return [str(event) for event in schedule.draw_restarts(count, seconds, Random(seed))]

        self.assertEqual(repeated(1), [str(event) for event in drawn])
        self.assertNotEqual(repeated(1), repeated(2))

    def test_replicas_that_remember_pass_and_others_are_caught(self) -> None:
        finished = run("durable", restarts=4, read_all=True, value_bytes=100, **PATIENT)
        self.assertIn("     All correctness tests passed\n", finished.told)
        self.assertEqual(sum("restart_" in line and "killed" in line for line in finished.said.splitlines()), 4)
        self.assertFalse(run("correct", restarts=4, read_all=True, **PATIENT).result.is_correct)

    def test_run_without_drawn_restarts_keeps_its_seeds(self) -> None:
        def outcomes(**changes: Any) -> list[tuple[str, str, str | None]]:
            return [(r.type, r.key, r.value) for r in run("durable", **changes).result.history]

        self.assertEqual(outcomes(), outcomes(restarts=0))
        self.assertEqual(outcomes(read_all=True, **PATIENT)[:100], outcomes()[:100])


class ReadingAll(unittest.TestCase):
    LOST = {"events": RESTART_ALL, "mix": 0, **PATIENT}

    def test_write_that_no_other_get_asks_for_is_missed_at_the_end(self) -> None:
        self.assertTrue(run("correct", **self.LOST).result.is_correct)
        finished = run("correct", read_all=True, **self.LOST)
        self.assertFalse(finished.result.is_correct)
        self.assertIn("*** Replica Error - incorrect value: from replica 0000", finished.said)

    def test_each_written_key_is_read_once_by_a_client_that_wrote_it(self) -> None:
        for changes in ({}, {"shared_keys": 7}, {"operations": {"increment": 0.3, "delete": 0.1}}):
            finished = run("durable", mix=0, read_all=True, **PATIENT, **changes)
            history = finished.result.history
            end = TIMES["lifetime"] - TIMES["end_wait"]
            reads = [r for r in history if r.type == "get"]
            self.assertTrue(all(r.invoked >= end and r.outcome == "ok" for r in reads if r.attempt == 1))
            written = {r.key for r in history if r.type != "get"}
            self.assertEqual(sorted(r.key for r in reads if r.outcome == "ok"), sorted(written))
            writers = {(r.key, r.client) for r in history if r.type != "get"}
            self.assertLessEqual({(r.key, r.client) for r in reads}, writers)
            self.assertIn(f"[  4.000] read_all: reads {len(written)} keys\n", finished.said)

    def test_keys_that_are_left_at_the_end_are_told(self) -> None:
        finished = run("durable", mix=0, read_all=True, end_wait=0.2, requests=400, **PATIENT)
        self.assertRegex(finished.said, r"\[ 12.000\] read_all: [0-9]+ keys were not read in time\n")


class Pauses(unittest.TestCase):
    def test_messages_wait_for_a_paused_replica_and_its_own_arrive(self) -> None:
        finished = run("correct", events=PAUSE_LEADER)
        self.assertIn("     All correctness tests passed\n", finished.told)
        self.assertIn("[  1.500] pause_leader: paused 0000 for 1 s\n", finished.said)
        self.assertIn("[  2.500] pause_leader: continued 0000\n", finished.said)
        self.assertIn("     Replicas that were restarted/paused: 0/1\n", finished.told)
        history = finished.result.history
        self.assertEqual({r.outcome for r in history} - {"redirect"}, {"ok"})
        # An answer that was on its way arrives, and after it none until the end of the pause.
        answered = [r.returned for r in history if BEGIN < r.returned < END + DELAY_SECONDS]
        self.assertGreater(len(answered), 0)
        self.assertLess(max(answered), BEGIN + DELAY_SECONDS)
        waited = [r for r in history if BEGIN < r.invoked < END - DELAY_SECONDS]
        self.assertEqual({round(r.returned - END - DELAY_SECONDS, 3) for r in waited}, {0})

    def test_pause_ends_before_another_one_of_the_same_time_begins(self) -> None:
        finished = run("correct", events=[{"type": "pause_leader", "time": 2}, *PAUSE_LEADER])
        self.assertIn("[  2.500] pause_leader: continued 0000\n[  2.500] pause_leader: paused 0000 ", finished.said)

    def test_killed_replica_does_not_continue(self) -> None:
        finished = run("correct", events=[*PAUSE_LEADER, {"type": "kill_leader", "time": 1.5}])
        self.assertIn("[  2.000] kill_leader: killed 0000\n", finished.said)
        self.assertNotIn("continued", finished.said)

    def test_restart_ends_a_pause_and_the_new_life_is_not_paused(self) -> None:
        events = [*PAUSE_LEADER, {"type": "restart_leader", "time": 1.2, "duration": 0.2}]
        finished = run("durable", events=events, **PATIENT)
        self.assertNotIn("continued", finished.said)
        self.assertIn("[  1.900] replica 0000 joined again\n", finished.said)
        answered = [r for r in finished.result.history if r.outcome == "ok" and 1.9 < r.returned < END]
        self.assertGreater(len(answered), 5)


if __name__ == "__main__":
    unittest.main()
