"""One run of a campaign: its command, its limits, and the record that comes out of it."""

import json
import os
import sys
import tempfile
import unittest
import uuid
from pathlib import Path
from unittest import mock

from simulator import build, guard
from simulator.campaign import job, process
from simulator.campaign.job import Job, Outcome
from simulator.tests.support import HANG_SECONDS, ROOT, write_config

FAKE_RUN = Path(__file__).with_name("fake_run.py")


class Jobs(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.config = write_config(self.directory)
        self.scratch = self.directory / "scratch"
        self.scratch.mkdir()
        self.mark = f"FAKE_MARK={uuid.uuid4().hex}"

    def run_as(self, behaviour: str, limit: float = HANG_SECONDS, keep: Path | None = None) -> Outcome:
        """The outcome of a fake run, which leaves neither a file nor a process."""
        environment = {"FAKE_SEEDS": json.dumps({7: behaviour}), **dict([self.mark.split("=")])}
        with mock.patch.dict(os.environ, environment), mock.patch.object(job, "RUNNER", FAKE_RUN):
            outcome = job.run(Job(self.config, 7), self.scratch, limit=limit, keep=keep)
        self.assertEqual(os.listdir(self.scratch), [])
        self.assertEqual(guard._family(self.mark.encode()), set())
        return outcome

    def test_passed_run_has_tiers_and_metrics(self) -> None:
        outcome = self.run_as("pass")
        self.assertEqual((outcome.verdict, outcome.reason, outcome.said), ("passed", "", ""))
        self.assertEqual(outcome.tiers, {"total_msgs": 0})
        self.assertEqual(outcome.metrics, {
            "total_msgs": 482, "failures": 3, "duplicates": 0, "median_latency": 0.0002,
            "p99_latency": 0.001, "unanswered": 2, "failover": 0.6,
        })

    def test_failed_run_has_its_checks_and_the_command_that_repeats_it(self) -> None:
        outcome = self.run_as("fail")
        self.assertEqual(outcome.verdict, "failed")
        self.assertEqual(outcome.reason, "Incorrect responses: 2, none allowed, 2 too many")
        self.assertEqual(outcome.failed[0]["name"], "Incorrect responses")
        self.assertIn("get saw old", outcome.failed[0]["text"])
        self.assertEqual(outcome.command, f"./run.py {self.config} --seed=7")
        self.assertEqual(outcome.advice, ("read\\x1b a quorum",))

    def test_failed_run_keeps_its_files_up_to_a_number_of_runs(self) -> None:
        keep = self.directory / "kept"
        self.assertIsNone(self.run_as("pass", keep=keep).kept)
        self.assertFalse(keep.exists())
        self.assertEqual(self.run_as("fail", keep=keep).kept, str(keep / "scenario-7" / "scenario-7"))
        with mock.patch.object(job, "MOST_KEPT", 1):
            outcome = self.run_as("fail", keep=keep)
        self.assertEqual((outcome.verdict, outcome.kept), ("failed", None))

    def test_refused_run_is_an_error_with_the_last_line(self) -> None:
        outcome = self.run_as("refuse")
        self.assertEqual((outcome.verdict, outcome.was_refused), ("error", True))
        self.assertEqual(outcome.reason, "scenario.json: lifetime: 0: must be a number")

    def test_complaint_of_the_explorer_is_told_and_not_its_advice(self) -> None:
        explorer = self.directory / "explore"
        explorer.write_text("#!/bin/sh\necho error: unexpected argument\necho try --help\nexit 2\n")
        explorer.chmod(0o755)
        with mock.patch.object(job, "EXPLORER", explorer):
            outcome = job.run(Job(self.config, 7, virtual=True), self.scratch)
        self.assertEqual((outcome.reason, outcome.was_refused), ("error: unexpected argument", True))

    def test_broken_rule_of_the_explorer_is_a_failed_check(self) -> None:
        explorer = self.directory / "explore"
        explorer.write_text("#!/bin/sh\necho 'seed 7: vote once is broken at 6 s'\necho replay\nexit 1\n")
        explorer.chmod(0o755)
        with mock.patch.object(job, "EXPLORER", explorer):
            outcome = job.run(Job(self.config, 7, virtual=True), self.scratch)
        self.assertEqual((outcome.verdict, outcome.reason), ("failed", "vote once is broken at 6 s"))
        self.assertEqual(outcome.failed, ({"name": "Rules", "text": "vote once is broken at 6 s"},))

    def test_run_whose_replicas_do_not_start_is_an_error(self) -> None:
        outcome = self.run_as("break")
        self.assertEqual((outcome.verdict, outcome.was_refused), ("error", False))
        self.assertEqual(outcome.reason, "*** Simulator Error - replica 0000 did not start")

    def test_run_that_hangs_is_ended_with_its_descendants(self) -> None:
        with mock.patch.object(process, "_GRACE_SECONDS", 0.1):
            outcome = self.run_as("hang", limit=0.5)
        self.assertEqual(outcome.verdict, "error")
        self.assertIn("was ended after 0.5 s", outcome.reason)

    def test_process_that_a_run_leaves_is_ended(self) -> None:
        self.assertTrue(self.run_as("leave").passed)

    def test_run_that_a_signal_kills_shows_nothing(self) -> None:
        outcome = self.run_as("die")
        self.assertEqual((outcome.verdict, outcome.was_killed), ("error", True))
        self.assertEqual(outcome.reason, "was killed by SIGKILL")

    def test_flood_of_output_is_kept_in_part(self) -> None:
        self.assertTrue(self.run_as("flood").passed)
        command = [sys.executable, "-c", "print('x' * 10**6); print('end')"]
        ended = process.run(command, self.directory, {}, HANG_SECONDS)
        self.assertEqual((len(ended.output), ended.output[-4:]), (process.MOST_OUTPUT_BYTES, "end\n"))

    def test_missing_scenario_is_an_error(self) -> None:
        outcome = job.run(Job(self.directory / "none.json", 1), self.scratch)
        self.assertEqual(outcome.verdict, "error")
        self.assertIn("must be a readable file", outcome.reason)


class Records(unittest.TestCase):
    def test_outcome_and_job_come_back_from_json(self) -> None:
        outcome = Outcome("a#1", "a", 1, "failed", "r", ({"name": "n", "text": "t"},), {"x": 1}, {"y": None},
                          ("advice",), 1.5, "./run.py a", "kept", "said")
        self.assertEqual(Outcome.of_json(json.loads(json.dumps(outcome.to_json()))), outcome)
        one = Job(Path("/a/b.json"), 3, Path("/bin/x"), ("--y",), "udp", arguments=("--no-check",))
        self.assertEqual(Job.of_json(json.loads(json.dumps(one.to_json()))), one)

    def test_content_that_is_no_record_is_refused(self) -> None:
        right = Outcome("a#1", "a", 1, "passed").to_json()
        for wrong in (None, [], {}, right | {"verdict": "maybe"}, right | {"seed": "1"}, right | {"new": 1}):
            with self.subTest(wrong), self.assertRaises(ValueError):
                Outcome.of_json(wrong)

    def test_command_names_files_of_the_checkout_as_seen_from_there(self) -> None:
        one = Job(ROOT / "configs" / "simple-1.json", 3, ROOT / "my replica", ("-a", "b c"), "udp")
        self.assertEqual(one.key, "configs/simple-1.json#3")
        self.assertEqual(one.command, "./run.py configs/simple-1.json --seed=3 '--replica=my replica' "
                         """'--replica-options=-a '"'"'b c'"'"'' --transport=udp""")
        self.assertIn(str(build.REPOSITORY / "configs" / "simple-1.json"), one.words())

    def test_virtual_job_is_a_seed_of_the_explorer(self) -> None:
        one = Job(ROOT / "configs" / "simple-1.json", 3, virtual=True)
        self.assertEqual(one.command, "target/release/explore --scenario configs/simple-1.json --seed 3")


if __name__ == "__main__":
    unittest.main()
