"""Runs in virtual time: replicas with one typical mistake get its line, correct ones get none."""

from __future__ import annotations

import json
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.advice import Advice, advise
from simulator.examples.replica import Replica
from simulator.tests import flawed_raft
from simulator.tests.support import small_scenario

BASE: dict[str, Any] = {
    "lifetime": 14, "replicas": 5, "requests": 200, "start_wait": 3, "end_wait": 3, "mix": 0.4, "shared_keys": 4,
}
DROPS: dict[str, Any] = {"drops": 0.2}
HARD: dict[str, Any] = {"events": [{"type": "part_hard", "time": 2}, {"type": "part_end", "time": 5}]}
EASY: dict[str, Any] = {"events": [{"type": "part_easy", "time": 2}, {"type": "part_end", "time": 5}]}
KILLS: dict[str, Any] = {"events": [{"type": "kill_leader", "time": time} for time in (3, 6)]}
PAUSE: dict[str, Any] = {"events": [{"type": "pause_leader", "time": 3, "duration": 2}]}


def advice_for(make: Callable[..., Replica], changes: dict[str, Any], seed: int = 0) -> list[Advice]:
    """The advice for a run as if it had failed: no checker looks at the histories of these runs."""
    with tempfile.TemporaryDirectory() as directory:
        trace = Path(directory) / "run.trace"
        flawed_raft.run(make, small_scenario(**(BASE | changes)), trace, seed)
        *lines, last = trace.read_text().splitlines()
        trace.write_text("\n".join([*lines, json.dumps(json.loads(last) | {"verdict": "failed"})]) + "\n")
        return advise(trace)


class CorrectReplicas(unittest.TestCase):
    def test_reference_replica_gets_no_advice_whatever_the_faults(self) -> None:
        for changes in ({}, DROPS, HARD, EASY, KILLS, PAUSE):
            for seed in range(2):
                self.assertEqual(advice_for(Replica, changes, seed), [], (changes, seed))


class FlawedReplicas(unittest.TestCase):
    def kinds(self, make: type[Replica], changes: dict[str, Any], seed: int = 0) -> list[str]:
        return [advice.kind for advice in advice_for(make, changes, seed)]

    def test_early_acknowledgements(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.AnswersEarly, {})[0], "early-answer")

    def test_votes_without_a_check_of_the_log(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.ChecksNoLog, EASY)[0], "vote-check")

    def test_two_votes_in_a_term(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.VotesForAll, KILLS)[:2], ["two-votes", "split-brain"])

    def test_leaders_without_votes(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.NeedsNoVotes, HARD)[0], "split-brain")

    def test_packet_storm(self) -> None:
        storm = advice_for(flawed_raft.Storms, {"max_packets": 3000})[0]
        self.assertEqual(storm.kind, "storm")
        self.assertRegex(storm.text, "sent [0-9,]+ append,")

    def test_reads_from_the_own_state(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.ReadsLocally, KILLS)[0], "stale-follower")

    def test_requests_that_are_dropped(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.Forgets, {}), ["unanswered"])

    def test_votes_that_are_not_counted(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.NeverLeads, {})[0], "no-leader")

    def test_timeouts_shorter_than_the_pause_between_heartbeats(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.HasNoPatience, {"lifetime": 9})[0], "terms")

    def test_messages_to_itself(self) -> None:
        self.assertEqual(self.kinds(flawed_raft.SendsItself, {}), ["to-itself"])


if __name__ == "__main__":
    unittest.main()
