"""The advice that is told from a trace: each mistake has its line, and correct runs have none."""

from __future__ import annotations

import ast
import copy
import json
import tempfile
import unittest
from pathlib import Path
from random import Random

from simulator import advice as package
from simulator.advice import advise
from simulator.tests.support import ROOT
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

    def test_replica_that_found_no_socket_is_told_where_it_is(self) -> None:
        for line, hint in (
            ("FileNotFoundError: [Errno 2] No such file or directory", "; a replica connects to the socket ./0001"),
            ("OSError: [Errno 91] Protocol wrong type for socket", "; the socket ./0001 is a SOCK_SEQPACKET"),
            ("SyntaxError: invalid syntax", "SyntaxError: invalid syntax"),
        ):
            story = Story()
            text = f"replica 0001 did not start: it quit with exit code 1, last lines of stderr:\n    {line}"
            story.add("f", text, {"replicas": ["0001"]})
            [advice] = story.advice()
            self.assertEqual(advice.kind, "died")
            self.assertIn(hint, advice.text)
            self.assertTrue(advice.text.partition(line)[2].startswith(hint) or hint == line, advice.text)

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

    def test_changed_records_give_no_error_and_no_control_characters(self) -> None:
        values = [None, -1, 1e308, 10**400, "", "\x1b[2J", "0001", [], {}, {"replica": "\x1b"}, True, "x" * 5000]
        for seed in range(100):
            random = Random(seed)
            story = Story()
            for key in "abab":
                story.put("0000", key, followers=())
                story.get("0001", key, "value-00000000")
            story.event("partition", side=["0000", "0001"])
            story.event("end", replica="0001", text="quit with exit code 1, nothing on stderr")
            story.add("f", "malformed message: from replica 0002: not JSON: {", {})
            for record in random.sample(story.lines[1:], 12):
                place = random.randrange(1, len(record))
                record[place] = copy.deepcopy(random.choice(values))
                if isinstance(record[-1], dict) and record[-1]:
                    record[-1][random.choice(list(record[-1]))] = copy.deepcopy(random.choice(values))
            for advice in story.advice():
                self.assertTrue(advice.text.isprintable(), advice.text)

    def test_file_that_is_no_trace_is_refused(self) -> None:
        with self.assertRaises(TraceError):
            self.advise("{}\n")

    def test_run_that_passed_gets_no_advice(self) -> None:
        story = Story()
        story.put("0000", followers=())
        story.end("passed")
        self.assertEqual(story.kinds(), [])


class Documentation(unittest.TestCase):
    def test_each_kind_of_advice_is_documented(self) -> None:
        documented = (ROOT / "docs" / "advice.md").read_text()
        kinds = {kind for path in Path(package.__file__).parent.glob("*.py") for kind in kinds_in(path)}
        self.assertGreater(len(kinds), 20)
        self.assertEqual({kind for kind in kinds if f"`{kind}`" not in documented}, set())


def kinds_in(path: Path) -> set[str]:
    """The kinds of advice in a file: first arguments, and first results of `_cause`."""
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = [call.args[0] for call in calls if getattr(call.func, "id", "") == "Advice"]
    functions = [node for node in ast.walk(tree) if getattr(node, "name", "") == "_cause"]
    returned = [node.value for function in functions for node in ast.walk(function) if isinstance(node, ast.Return)]
    made += [value.elts[0] for value in returned if isinstance(value, ast.Tuple)]
    choices = [one for one in made if isinstance(one, ast.IfExp)]
    names = [part for choice in choices for part in (choice.body, choice.orelse)]
    return {node.value for node in made + names if isinstance(node, ast.Constant)}


if __name__ == "__main__":
    unittest.main()
