"""Flaps, slow replicas and events with conditions."""

import unittest
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from simulator.conditions import Conditions
from simulator.events import Events
from simulator.schedule import CONDITIONS, Event, When
from simulator.tests.support import small_scenario
from simulator.tests.test_network import FIVE, Processes, event, network, reached
from simulator.tests.virtual import VirtualRun
from simulator.trace.reader import Reader
from simulator.trace.recorder import Trace
from simulator.trace.replay import replay


def flap(replica: str = "random") -> Event:
    return Event("flap", 1.0, 1.0, replica=replica, period=0.2)


def slow(replica: str = "random", by: float = 0.5) -> Event:
    return Event("slow", 1.0, 1.0, replica=replica, by=by)


class FaultCase(unittest.TestCase):
    def setUp(self) -> None:
        self.network = network()
        self.trace = mock.Mock(spec=Trace)
        self.events = Events(self.network, mock.Mock(), Random(1), Processes(self.network), self.trace)

    def told(self) -> list[tuple[Any, ...]]:
        """The events in the trace since the last call."""
        calls = [(*call.args, call.kwargs) for call in self.trace.event.call_args_list]
        self.trace.reset_mock()
        return calls


class Flaps(FaultCase):
    def test_replica_that_flaps_loses_and_regains_all_its_links(self) -> None:
        one = flap("0002")
        said = self.events.begin(one)
        self.assertEqual(said, "0002 loses and regains its links each 0.2 s, for 1 s")
        for is_cut in (True, False, True):
            self.assertEqual(reached(self.network, "0002", "FFFF"), [] if is_cut else ["0000", "0001", "0003", "0004"])
            self.assertEqual("0002" in reached(self.network, "0000", "FFFF"), not is_cut)
            self.assertEqual(reached(self.network, "0001", "0004"), ["0004"])
            self.assertTrue(self.events.turn(one))
        self.events.turn(one)
        self.assertEqual(self.events.end(one), "0002 keeps its links")
        self.assertEqual(len(reached(self.network, "0002", "FFFF")), 4)
        self.assertFalse(self.events.turn(one))
        self.assertIsNone(self.events.end(one))
        self.assertEqual(len(reached(self.network, "0002", "FFFF")), 4)

    def test_flap_overlays_a_partition_and_leaves_it_as_it_was(self) -> None:
        self.network.split(["0000", "0001", "0002"])
        self.events.begin(one := flap("0002"))
        self.assertEqual(reached(self.network, "0000", "FFFF"), ["0001"])
        self.assertEqual(self.network.majority_side, frozenset(FIVE[:3]))
        self.events.turn(one)
        self.assertEqual(reached(self.network, "0000", "FFFF"), ["0001", "0002"])
        self.events.turn(one)
        self.events.end(one)
        self.assertEqual(reached(self.network, "0002", "FFFF"), ["0000", "0001"])

    def test_partition_of_a_replica_that_flaps_leaves_the_flap(self) -> None:
        self.events.begin(flap("0002"))
        self.events.begin(event("part_one_way"))
        self.assertEqual(reached(self.network, "0002", "FFFF"), [])

    def test_heal_ends_flaps_and_slow_replicas_for_good(self) -> None:
        self.events.begin(one := flap("0002"))
        self.events.begin(two := slow("0001"))
        self.network.split(FIVE[:3])
        self.assertEqual(self.events.begin(event("heal")), "healed")
        self.assertEqual(len(reached(self.network, "0002", "FFFF")), 4)
        self.assertEqual(self.network.slowness, {})
        self.told()
        self.assertFalse(self.events.turn(one))
        self.assertEqual((self.events.end(one), self.events.end(two)), (None, None))
        self.assertEqual(self.told(), [])

    def test_replica_of_two_flaps_is_cut_off_while_one_of_them_cuts(self) -> None:
        self.events.begin(one := flap("0002"))
        self.events.begin(two := flap("0002"))
        self.events.turn(one)
        self.assertEqual(reached(self.network, "0002", "FFFF"), [])
        self.events.turn(two)
        self.assertEqual(len(reached(self.network, "0002", "FFFF")), 4)
        self.events.turn(two)
        self.events.end(one)
        self.assertEqual(reached(self.network, "0002", "FFFF"), [])
        self.events.end(two)
        self.assertEqual(len(reached(self.network, "0002", "FFFF")), 4)

    def test_replica_that_flaps_is_no_part_of_a_quorum_and_is_not_heard_while_cut_off(self) -> None:
        self.network.split(FIVE[:3])
        self.assertTrue(self.network.has_quorum)
        self.events.begin(one := flap("0002"))
        self.assertFalse(self.network.has_quorum)
        self.network.hear("0002", "0002")
        self.assertEqual(self.network.leader, "FFFF")
        self.events.turn(one)
        self.assertFalse(self.network.has_quorum, "it has links now, but not all the time")
        self.network.hear("0002", "0002")
        self.assertEqual(self.network.leader, "0002")
        self.events.end(one)
        self.assertTrue(self.network.has_quorum)

    def test_trace_tells_all_cuts_at_each_turn(self) -> None:
        others = ["0000", "0001", "0003", "0004"]
        cuts = [("one_way", {"from": ["0002"], "to": others}), ("one_way", {"from": others, "to": ["0002"]})]
        self.events.begin(one := flap("0002"))
        self.assertEqual(self.told(), [("heal", {}), *cuts])
        self.network.split(FIVE[:3])
        self.events.turn(one)
        side = ("partition", {"side": FIVE[:3]})
        self.assertEqual(self.told(), [("heal", {}), side])
        self.events.turn(one)
        self.assertEqual(self.told(), [("heal", {}), side, *cuts])
        self.events.end(one)
        self.assertEqual(self.told(), [("heal", {}), side])


class SlowReplicas(FaultCase):
    def test_slowness_of_two_events_adds_up_until_each_ends(self) -> None:
        self.assertEqual(
            self.events.begin(one := slow("0002")), "messages from and to 0002 take 0.5 s longer, for 1 s"
        )
        self.events.begin(two := slow("0002", by=0.25))
        self.assertEqual(self.network.slowness, {"0002": 0.75})
        self.assertEqual(self.events.end(one), "messages from and to 0002 are as fast as before")
        self.assertEqual(self.network.slowness, {"0002": 0.25})
        self.events.end(two)
        self.assertEqual(self.network.slowness, {})
        self.assertEqual(self.told(), [
            ("slow", {"replica": "0002", "by": 0.5}), ("slow", {"replica": "0002", "by": 0.75}),
            ("slow", {"replica": "0002", "by": 0.25}), ("slow_end", {"replica": "0002"}),
        ])

    def test_heal_tells_the_end_of_each_slow_replica(self) -> None:
        for replica in ("0002", "0001"):
            self.events.begin(slow(replica))
        self.told()
        self.events.begin(event("part_end"))
        self.assertEqual(
            self.told(), [("heal", {}), ("slow_end", {"replica": "0001"}), ("slow_end", {"replica": "0002"})]
        )


class Choices(FaultCase):
    def chosen(self, replica: str) -> set[str]:
        said = (self.events.begin(slow(replica)) for _ in range(60))
        return {words.removeprefix("messages from and to ")[:4] for words in said}

    def test_replica_is_the_leader_or_another_or_any_or_the_one_that_is_named(self) -> None:
        self.network.hear("0000", "0002")
        self.network.remove("0004")
        self.network.take_down("0003")
        self.assertEqual(self.chosen("leader"), {"0002"})
        self.assertEqual(self.chosen("non_leader"), {"0000", "0001"})
        self.assertEqual(self.chosen("random"), {"0000", "0001", "0002"})
        self.assertEqual(self.chosen("0003"), {"0003"}, "a replica that comes back")

    def test_event_without_a_possible_replica_says_so(self) -> None:
        self.assertEqual(self.events.begin(flap("leader")), "no replica flaps, the leader is FFFF")
        self.assertEqual(self.events.begin(slow("leader")), "no replica is slow, the leader is FFFF")
        self.network.remove("0004")
        self.assertEqual(self.events.begin(flap("0004")), "no replica flaps, 0004 is dead")
        for replica in FIVE[:4]:
            self.network.remove(replica)
        self.assertEqual(self.events.begin(slow()), "no replica is slow, no such one lives")
        self.assertEqual((self.network.slowness, self.told()), ({}, []))


class Counting(unittest.TestCase):
    """Occurrences, without a run."""

    def met(self, when: When, *occurrences: tuple[float, str, str | None]) -> list[float]:
        """The times at which the condition is met."""
        clock, met = [0.0], []
        events = [Event("heal", None, when=when), event("heal")]
        conditions = Conditions(events, lambda: clock[0], lambda _, after: met.append(clock[0] + after))
        for clock[0], condition, message in occurrences:
            conditions.occur(condition, message)
        return met

    def test_each_condition_is_met_by_its_own_occurrence_and_only_once(self) -> None:
        for on in CONDITIONS:
            message = "append" if on == "message_sent" else None
            occurrences = [(time, name, "append" if name == "message_sent" else None)
                           for time in (1.0, 2.0) for name in CONDITIONS]
            self.assertEqual(self.met(When(on, after=0.5, message=message), *occurrences), [1.5])

    def test_occurrences_before_its_time_and_before_the_start_wait_do_not_count(self) -> None:
        times = [(time, "killed", None) for time in (-1.0, 1.0, 2.0, 3.0)]
        self.assertEqual(self.met(When("killed"), *times), [1.0])
        self.assertEqual(self.met(When("killed", start=1.5), *times), [2.0])
        self.assertEqual(self.met(When("killed", start=1.5, count=2), *times), [3.0])
        self.assertEqual(self.met(When("killed", count=4), *times), [])

    def test_only_messages_of_its_type_count(self) -> None:
        sent = [(1.0, "message_sent", "vote"), (2.0, "message_sent", "append"), (3.0, "message_sent", "vote")]
        self.assertEqual(self.met(When("message_sent", message="append"), *sent), [2.0])
        self.assertEqual(self.met(When("message_sent", count=2, message="vote"), *sent), [3.0])


TIMES: dict[str, Any] = {"lifetime": 8, "start_wait": 0.5, "end_wait": 4, "client_timeout": 0.3}


class Runs(unittest.TestCase):
    """Whole runs in virtual time, whose leader is 0000."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "run.trace"

    def run_events(self, *events: dict[str, Any], behaviour: str = "correct", **changes: Any) -> VirtualRun:
        scenario = small_scenario(events=list(events), **(TIMES | changes))
        return VirtualRun(scenario, behaviour, traces=[self.path])

    def records(self, *types: str) -> list[list[Any]]:
        return [record for record in Reader(self.path) if record[0] in types]

    def events(self) -> list[tuple[str, int, dict[str, Any]]]:
        """The kind, time and fields of each event in the trace that is not in words."""
        return [(r[2], r[1], r[3]) for r in self.records("e") if r[2] not in ("note", "no_get")]

    def time_of(self, kind: str) -> int:
        return next(time for name, time, _ in self.events() if name == kind)

    def test_event_follows_its_condition_after_its_time(self) -> None:
        pause = {"type": "pause_non_leader", "duration": 0.2}
        for on, events in (
            ("killed", [{"type": "kill_non_leader", "time": 1}]),
            ("partitioned", [{"type": "isolate_random", "time": 1}]),
            ("healed", [{"type": "heal", "time": 1}]),
        ):
            with self.subTest(on):
                self.run_events(*events, {**pause, "when": {"on": on, "after": 0.25}}, replicas=5)
                self.assertAlmostEqual(self.time_of("pause"), 1_750_000, delta=100)
                self.assertAlmostEqual(self.time_of("resume"), 1_950_000, delta=100)

    def test_restart_meets_a_condition_when_it_kills_and_another_when_the_replica_is_back(self) -> None:
        restart = {"type": "restart_non_leader", "time": 1, "duration": 0.5}
        for on, kind in (("killed", "restart"), ("rejoined", "back")):
            event = {"type": "pause_leader", "duration": 0, "when": {"on": on, "after": 0.125}}
            self.run_events(restart, event, behaviour="durable", persist=True)
            self.assertAlmostEqual(self.time_of("pause") - self.time_of(kind), 125_000, delta=100)

    def test_acknowledgement_and_answer_count_when_the_replica_sends_them(self) -> None:
        for on, mix in (("write_acknowledged", 0), ("get_answered", 0.5)):
            with self.subTest(on):
                event = {"type": "kill_non_leader", "when": {"on": on, "count": 3, "after": 0.0005}}
                self.run_events(event, mix=mix, delay={"constant": 0.2}, client_timeout=2)
                asked = {r[2]: r[4]["type"] for r in self.records("q")}
                wanted = "get" if on == "get_answered" else "put"
                sent = [r[1] for r in self.records("m")
                        if isinstance(r[5], dict) and r[5]["type"] == "ok" and asked[r[5]["MID"]] == wanted]
                self.assertAlmostEqual(self.time_of("kill"), sent[2] + 500, delta=100)

    def test_second_answer_to_a_request_does_not_count(self) -> None:
        event = {"type": "kill_non_leader", "when": {"on": "write_acknowledged", "count": 3}}
        self.run_events(event, behaviour="answers_twice", mix=0, client_timeout=5)
        answered = [r[1] for r in self.records("a") if r[3] == "ok"]
        self.assertAlmostEqual(self.time_of("kill"), answered[2], delta=100)

    def test_event_at_once_after_an_acknowledgement_precedes_all_later_messages(self) -> None:
        self.run_events(
            {"type": "kill_leader", "when": {"on": "write_acknowledged", "from": 0.5}}, behaviour="talks_on", mix=0
        )
        sent = [r for r in self.records("m", "e") if (r[0] == "e" and r[2] == "kill") or r[3] == "0000"]
        self.assertEqual((sent[-1][0], sent[-2][5]["type"]), ("e", "ok"))
        self.assertGreaterEqual(sent[-1][1], 1_000_000)

    def test_leader_and_messages_between_replicas_meet_conditions(self) -> None:
        self.run_events(
            {"type": "part_easy", "when": {"on": "leader_changed", "after": 0.5}},
            {"type": "heal", "when": {"on": "message_sent", "message": "append", "count": 20, "after": 0.001}},
            mix=0,
        )
        appends = sorted({r[1] for r in self.records("m") if r[3] == "0000" and r[4] in ("0001", "0002")})
        self.assertAlmostEqual(self.time_of("partition"), self.time_of("leader") + 500_000, delta=100)
        heals = [time for kind, time, _ in self.events() if kind == "heal"]
        self.assertAlmostEqual(heals[-1], appends[19] + 1000, delta=100)

    def test_condition_that_is_never_met_is_told(self) -> None:
        finished = self.run_events(
            {"type": "kill_leader", "when": {"on": "rejoined"}},
            {"type": "heal", "when": {"on": "message_sent", "message": "vote", "count": 2, "from": 1, "after": 0.5}},
        )
        self.assertIn("] kill_leader: never happened: it waited for rejoined\n", finished.told)
        self.assertIn(
            "] heal: never happened: it waited for message_sent vote 2 times from 1 s on, then 0.5 s\n", finished.told
        )
        self.assertEqual(finished.figures.replicas_killed, 0)

    def test_event_whose_time_after_its_condition_is_longer_than_the_run_is_told(self) -> None:
        finished = self.run_events(
            {"type": "kill_leader", "when": {"on": "healed", "after": 5}}, {"type": "heal", "time": 4}
        )
        self.assertIn("] kill_leader: never happened: it waited for healed, then 5 s\n", finished.told)

    def test_event_that_would_end_after_the_run_is_not_carried_out(self) -> None:
        finished = self.run_events(
            {"type": "pause_leader", "duration": 5, "when": {"on": "healed"}}, {"type": "heal", "time": 3}
        )
        self.assertIn("] pause_leader: not carried out, its 5 s would end after the run\n", finished.told)
        self.assertEqual(finished.figures.pauses, 0)

    def test_event_that_meets_the_condition_of_another_is_told_first(self) -> None:
        finished = self.run_events(
            {"type": "kill_non_leader", "when": {"on": "partitioned"}},
            {"type": "heal", "when": {"on": "killed"}}, {"type": "part_easy", "time": 1}, replicas=5,
        )
        told = [line.split("] ")[1].split(":")[0] for line in finished.said.splitlines() if line.startswith("[")]
        self.assertEqual(told, ["part_easy", "kill_non_leader", "heal"])

    def test_flap_turns_each_half_period_and_ends_connected(self) -> None:
        finished = self.run_events({"type": "flap", "time": 1, "duration": 1, "period": 0.4, "replica": "0001"})
        cuts = [time for kind, time, fields in self.events() if kind == "one_way" and fields["from"] == ["0001"]]
        turns = [time for kind, time, _ in self.events() if kind == "heal"]
        for times, expected in ((cuts, (1.5, 1.9, 2.3)), (turns, (1.5, 1.7, 1.9, 2.1, 2.3, 2.5))):
            self.assertEqual([round(time / 1e6, 2) for time in times], list(expected))
        self.assertGreater(finished.figures.dropped_by_partition, 0)
        self.assertEqual({r[6] for r in self.records("m") if len(r) == 7 and isinstance(r[6], str)}, {"partition"})
        self.assertIn("] flap: 0001 keeps its links\n", finished.told)

    def test_slow_leader_delays_the_answers_to_clients(self) -> None:
        finished = self.run_events(
            {"type": "slow", "time": 1, "duration": 2, "by": 0.1, "replica": "leader"}, client_timeout=5
        )
        slow = [r for r in finished.result.history if 1.6 < r.invoked < 3.2]
        fast = [r for r in finished.result.history if r.invoked < 1.4 or r.invoked > 3.6]
        self.assertGreater(min((r.returned or 0) - r.invoked for r in slow), 0.2)
        self.assertLess(max((r.returned or 9) - r.invoked for r in fast), 0.1)
        self.assertIn("slow_end", {kind for kind, *_ in self.events()})

    def test_replay_of_new_faults_has_the_result_of_the_run(self) -> None:
        finished = self.run_events(
            {"type": "flap", "time": 0.5, "replica": "non_leader"}, {"type": "slow", "time": 1},
            {"type": "kill_non_leader", "when": {"on": "get_answered", "after": 1}},
            corrupt=0.2, bandwidth=2000, duplicate=0.2, delay={"pareto": [0.001, 1.5]}, replicas=5,
        )
        again = replay(self.path)
        self.assertEqual((again.damage, again.contradictions), (None, []))
        self.assertEqual(again.result.figures, finished.figures)
        self.assertEqual(len(self.records("c")), finished.figures.corrupted)
        self.assertGreater(finished.figures.corrupted, 0)
        self.assertIn("     Total messages with a changed byte: ", finished.told)

    def test_links_that_are_too_narrow_lose_messages(self) -> None:
        finished = self.run_events(bandwidth=1000, value_bytes=4096, mix=0, lifetime=20, requests=400)
        self.assertGreater(finished.figures.overflowed, 0)
        lost = [r for r in self.records("m") if r[6:] == ["overflow"]]
        self.assertEqual(len(lost), finished.figures.overflowed)
        self.assertIn("     Total messages lost at links that were full: ", finished.told)


if __name__ == "__main__":
    unittest.main()
