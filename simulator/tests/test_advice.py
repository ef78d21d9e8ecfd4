"""The advice that is told from a trace: each mistake has its line, and correct runs have none."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from simulator.advice import advise
from simulator.tests.trace_story import Story
from simulator.trace.reader import TraceError


class EarlyAnswers(unittest.TestCase):
    def test_write_with_majority_gives_no_advice(self) -> None:
        story = Story()
        story.put("0000", followers=("0001",))
        self.assertEqual(story.kinds(), [])

    def test_write_acknowledged_alone_is_early(self) -> None:
        story = Story()
        mid = story.put("0000", followers=())
        [advice] = story.advice()
        self.assertEqual(advice.kind, "early-answer")
        self.assertEqual((advice.mids, advice.replicas), ((mid,), ("0000",)))
        self.assertIn("1 of 3 replicas", advice.text)
        self.assertIn("Raft 5.3", advice.text)

    def test_write_sent_but_not_yet_acknowledged_by_followers_is_early(self) -> None:
        story = Story()
        mid = story.ask("0000")
        story.replicate("0000", mid, "0001", "0002", acknowledge=False)
        story.answer("0000", mid)
        self.assertEqual(story.kinds(), ["early-answer"])

    def test_write_whose_copies_are_lost_is_early(self) -> None:
        story = Story()
        mid = story.ask("0000")
        for follower in ("0001", "0002"):
            story.send("0000", follower, "append", fate="partition")
            story.send(follower, "0000", "heartbeat")
        story.answer("0000", mid)
        self.assertEqual(story.kinds(), ["early-answer"])

    def test_write_forwarded_by_follower_and_relayed_has_a_majority(self) -> None:
        story = Story(("0000", "0001", "0002", "0003", "0004"))
        mid = story.ask("0003")
        story.send("0003", "0000", "forward")
        story.send("0000", "0001", "relay")
        story.send("0001", "0002", "relay")
        story.send("0002", "0000", "relayed")
        story.answer("0000", mid)
        self.assertEqual(story.kinds(), [])

    def test_second_attempt_counts_what_the_first_has_reached(self) -> None:
        story = Story()
        first = story.ask("0000")
        story.replicate("0000", first, "0001")
        story.answer("0000", first, "redirect")
        second = story.ask("0000", before=first, value=f"value-{first}")
        story.answer("0000", second)
        self.assertEqual(story.kinds(), [])

    def test_later_answers_are_counted(self) -> None:
        story = Story()
        for _ in range(3):
            story.put("0000", followers=())
        [advice] = story.advice()
        self.assertIn("one of 3", advice.text)


class Processes(unittest.TestCase):
    def test_death_is_told_with_the_last_line_on_stderr(self) -> None:
        story = Story()
        story.put("0000")
        story.add("o", "0001", "err", "Traceback (most recent call last):")
        story.add("o", "0001", "err", "KeyError: 'term'")
        story.event("end", replica="0001", text="quit with exit code 1, last lines of stderr:\n    KeyError: 'term'")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("died", ("0001",)))
        self.assertRegex(advice.text, "^0001 quit with exit code 1 at 2.0.*: its last line on stderr is KeyError: 'term'")

    def test_process_that_hangs_up_is_told(self) -> None:
        story = Story()
        story.put("0000")
        story.event("end", replica="0001", text="closed its connection but did not exit")
        [advice] = story.advice()
        self.assertRegex(advice.text, "^0001 closed its connection but did not exit at 2.*: nothing on stderr$")

    def test_replica_that_does_not_come_back_after_a_restart_has_joined_before(self) -> None:
        story = Story()
        story.put("0000")
        story.event("end", replica="0001", text="did not join again within 5 seconds")
        [advice] = story.advice()
        self.assertRegex(advice.text, "^0001 did not join again within 5 seconds at 2")

    def test_replica_that_never_joined_is_told(self) -> None:
        story = Story()
        for replica in story.replicas:
            story.event("end", replica=replica, text="did not join within 5 seconds")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("not-joined", story.replicas))

    def test_malformed_messages_are_told_by_rule_and_sender(self) -> None:
        story = Story()
        story.put("0000")
        for _ in range(4):
            story.add("f", 'malformed message: from replica 0002: "leader" must be an ID: {"src": ..', {})
        story.add("f", "malformed message: from replica 0001: longer than 16384 bytes: {..", {})
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("malformed", ("0002",)))
        self.assertIn('"leader" must be an ID', advice.text)
        self.assertIn("one of 4", advice.text)

    def test_stray_messages_are_told(self) -> None:
        story = Story()
        story.put("0000")
        story.add("f", "unknown destination: from replica 0001: to ABCD: {..}", {"replicas": ["0001"]})
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("stray", ("0001",)))
        self.assertIn("unknown destination: from replica 0001: to ABCD", advice.text)

    def test_replica_that_does_not_read_is_told(self) -> None:
        story = Story()
        story.put("0000")
        text = "replica 0001 did not read: 17 messages to it were dropped"
        story.add("f", text, {"replicas": ["0001"]})
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("deaf", ("0001",)))


class Files(unittest.TestCase):
    def advise(self, content: str) -> list[str]:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "some.trace"
            path.write_text(content)
            return [advice.kind for advice in advise(path)]

    def test_damaged_trace_gives_the_advice_of_its_whole_lines(self) -> None:
        story = Story()
        story.put("0000", followers=())
        lines = "".join(f"{json.dumps(line)}\n" for line in story.lines)
        self.assertEqual(self.advise(lines + '["m",1'), ["early-answer"])

    def test_records_without_their_fields_are_skipped(self) -> None:
        story = Story()
        story.lines += [["m"], ["e", None, None], ["q", 1, [], {}], ["a", 1, "x"], ["m", 1, 2, "0000", {}, 3, []]]
        story.put("0000", followers=())
        self.assertEqual(story.kinds(), ["early-answer"])

    def test_file_that_is_no_trace_is_refused(self) -> None:
        with self.assertRaises(TraceError):
            self.advise("{}\n")

    def test_run_that_passed_gets_no_advice(self) -> None:
        story = Story()
        story.put("0000", followers=())
        story.end("passed")
        self.assertEqual(story.kinds(), [])


if __name__ == "__main__":
    unittest.main()
