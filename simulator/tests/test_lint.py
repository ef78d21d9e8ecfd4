"""`run.py lint`: good and bad replicas, its arguments, and that it leaves no process behind."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from simulator.lint.cluster import Response
from simulator.lint.ends import Ends
from simulator.lint.finding import Finding, listed, verdict
from simulator.lint.limits import Limits
from simulator.lint.requests import Request
from simulator.lint.script import Script, Stage, Until, never
from simulator.tests.support import FAKE_REPLICA, HANG_SECONDS, ROOT

REFERENCE = ROOT / "simulator" / "examples" / "replica.py"
UNSAFE = ROOT / "simulator" / "tests" / "unsafe_replica.py"
ILL_MANNERED = ROOT / "simulator" / "tests" / "ill_mannered.py"
# On the busiest machine each wait is long enough, and a good replica uses little of it.
PATIENCE = "20"


def marked(mark: str) -> list[str]:
    """The processes with this mark in their environment."""
    found = []
    for process in filter(lambda entry: entry.name.isdecimal(), Path("/proc").iterdir()):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


class Linted:
    """A finished `run.py lint`."""

    def __init__(self, replica: Path, *arguments: str, **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "findings.json"
            done = subprocess.run(
                [sys.executable, str(ROOT / "run.py"), "lint", "--replica", str(replica), "--json", str(file), *arguments],
                env=os.environ | {"MARK": self.mark} | environment, capture_output=True, text=True, check=False,
            )
            self.content: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        self.exit_code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        self.survivors = marked(self.mark)

    def of(self, outcome: str) -> dict[str, str]:
        """The texts of all manners with this outcome."""
        found = self.content["manners"]
        return {finding["manner"]: finding["text"] for finding in found if finding["outcome"] == outcome}


class Replicas(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        bad = "twice,mangles,chatters,shouts,long,faints"
        with ThreadPoolExecutor() as pool:
            good = pool.submit(Linted, UNSAFE, "--patience", PATIENCE)
            reference = pool.submit(Linted, REFERENCE, "--patience", PATIENCE, "--transport", "udp")
            ill = pool.submit(Linted, ILL_MANNERED, "--patience", "4", "--join-seconds", "80", MANNERS=bad)
            late = pool.submit(Linted, FAKE_REPLICA, "--join-seconds", "0", FAKE_BEHAVIOUR="never_joins")
            ended = pool.submit(
                Linted, FAKE_REPLICA, "--patience", PATIENCE, FAKE_BEHAVIOUR="speaks_udp"
            )
            cls.good, cls.reference, cls.ill, cls.late, cls.ended = (
                one.result() for one in (good, reference, ill, late, ended)
            )

    def test_good_replica_keeps_all_manners(self) -> None:
        self.assertEqual((self.good.of("FAIL"), self.good.of("-"), self.good.exit_code), ({}, {}, 0), self.good.stdout)
        self.assertEqual(len(self.good.content["manners"]), 16)
        self.assertIn("16 of 16 manners hold", self.good.stdout)

    def test_reference_replica_keeps_all_manners_over_udp(self) -> None:
        reference = self.reference
        self.assertEqual((reference.of("FAIL"), reference.of("-"), reference.exit_code), ({}, {}, 0), reference.stdout)
        self.assertEqual(len(reference.content["manners"]), 15)

    def test_death_by_garbage_is_a_note(self) -> None:
        self.assertIn("only scenarios with corrupt messages", self.good.of("note")["garbage"])

    def test_each_manner_is_documented(self) -> None:
        documented = (ROOT / "docs" / "advice.md").read_text()
        for finding in self.good.content["manners"] + self.ended.content["manners"]:
            self.assertIn(f"`{finding['manner']}`", documented)

    def test_each_bad_manner_is_told(self) -> None:
        failed = self.ill.of("FAIL")
        self.assertEqual(self.ill.exit_code, 1)
        for manner, text in {
            "once": "were answered more than once, such as a0",
            "gets": "get of unicode values",
            "idle": "chatter",
            "length": "longer than 16384 bytes",
            "extras": "ended after a message of an unknown type: exit code 1, what is that?",
            "output": "lines on stdout and stderr",
        }.items():
            self.assertIn(text, failed.get(manner, "not told"), self.ill.stdout)

    def test_replica_that_does_not_join_is_told(self) -> None:
        self.assertIn("0000, 0001 and 0002 had not joined after 0 s", self.late.of("FAIL")["joins"])
        self.assertEqual(self.late.exit_code, 1)

    def test_replica_of_another_dialect_is_told(self) -> None:
        failed = self.ended.of("FAIL")
        self.assertIn("ended with exit code 1, last lines of stderr: / what is this?", failed["joins"])
        self.assertEqual(failed["dialect"], "it joins with --transport udp")

    def test_no_process_is_left(self) -> None:
        for linted in (self.good, self.reference, self.ill, self.late, self.ended):
            self.assertEqual(linted.survivors, [])


class Arguments(unittest.TestCase):
    def test_bad_usage_is_one_line(self) -> None:
        for arguments, line in (
            (["--replica", "no/such"], "replica program not found: no/such"),
            (["--replica", __file__], f"replica program is not executable: {__file__} (chmod +x makes it so)"),
            (["--replica", str(UNSAFE), "--replica-options", '"'], "--replica-options: No closing quotation"),
            (["--replica", str(UNSAFE), "--patience", "0"], "--patience: must be a number above 0, and at most 100"),
            (["--replica", str(UNSAFE), "--json", "/"], "/: must be a file that can be written: it is a directory"),
        ):
            command = [sys.executable, str(ROOT / "run.py"), "lint", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            # The first start of run.py with this Python may say that it sets up an environment.
            self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (2, line))


class Stops(unittest.TestCase):
    def test_ctrl_c_ends_lint_and_all_replicas(self) -> None:
        mark = uuid.uuid4().hex
        command = [sys.executable, str(ROOT / "run.py"), "lint", "--replica", str(FAKE_REPLICA), "--join-seconds", "80"]
        process = subprocess.Popen(
            command, env=os.environ | {"MARK": mark, "FAKE_BEHAVIOUR": "never_joins"},
            stdout=subprocess.PIPE, text=True,
        )
        # Two clusters of three, the guard and lint itself.
        deadline = time.monotonic() + HANG_SECONDS
        while len(marked(mark)) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
        self.assertEqual((process.returncode, marked(mark)), (1, []))
        self.assertIn("stopped before the end", said)


class Stages(unittest.TestCase):
    def run_stage(self, *scripts: Script, seconds: float = 100.0) -> None:
        with selectors.EpollSelector() as selector:
            stage = Stage(selector, seconds)
            for script in scripts:
                stage.add(script)
            stage.run()

    def test_script_hears_whether_its_condition_holds(self) -> None:
        heard: list[bool] = []

        def script() -> Script:
            heard.append((yield Until(lambda: True, 100)))
            heard.append((yield Until(never, 0)))

        self.run_stage(script())
        self.assertEqual(heard, [True, False])

    def test_scripts_wait_at_the_same_time(self) -> None:
        seen: list[int] = []

        def first() -> Script:
            yield Until(lambda: seen == [2], 100)
            seen.append(1)

        def second() -> Script:
            yield Until(lambda: True, 100)
            seen.append(2)

        self.run_stage(first(), second())
        self.assertEqual(seen, [2, 1])

    def test_no_script_waits_after_the_end(self) -> None:
        def script() -> Script:
            for _ in range(5):
                yield Until(never, 1000)

        self.run_stage(script(), seconds=0)


class Answering:
    """A cluster whose answers are known beforehand: (type, leader) by replica, in order."""

    def __init__(self, **answers: list[tuple[str, str]]) -> None:
        self.living = ["0000", "0001", "0002"]
        self.responses: dict[str, list[Response]] = {}
        self.asked: list[str] = []
        self._answers = {name[1:]: list(told) for name, told in answers.items()}

    def ask(self, replica: str, type: str, **fields: Any) -> str:
        mid = str(len(self.asked))
        self.asked.append(replica)
        told = self._answers[replica]
        answers = [told.pop(0)] if told else []
        self.responses[mid] = [
            Response(time.monotonic(), replica, {"type": kind, "leader": leader}) for kind, leader in answers
        ]
        return mid


class Requests(unittest.TestCase):
    def ask(self, replica: str, seconds: float = 100, **answers: list[tuple[str, str]]) -> tuple[Request, list[str]]:
        cluster = Answering(**answers)
        request = Request("get", "k")
        with selectors.EpollSelector() as selector:
            stage = Stage(selector, 100)
            stage.add(request.script(cluster, replica, seconds))  # type: ignore[arg-type]
            stage.run()
        return request, cluster.asked

    def test_redirect_is_followed(self) -> None:
        request, asked = self.ask("0001", r0001=[("redirect", "0000")], r0000=[("ok", "0000")])
        self.assertEqual((asked, request.answer is not None), (["0001", "0000"], True))

    def test_redirect_without_a_leader_leads_to_another_replica(self) -> None:
        answers = {"r0001": [("fail", "FFFF"), ("ok", "FFFF")], "r0000": [("redirect", "FFFF")]}
        request, asked = self.ask("0001", **answers)
        self.assertEqual((asked, len(request.answers)), (["0001", "0000", "0001"], 3))

    def test_request_without_an_answer_ends(self) -> None:
        request, asked = self.ask("0000", 0, r0000=[])
        self.assertEqual((asked, request.answer, request.is_ended), (["0000"], None, True))


class Clinging:
    """A cluster whose replicas do not end."""

    living = ("0001", "0002")

    def __init__(self) -> None:
        self.killed: list[str] = []
        self.replicas = {"0000": self}

    def terminate(self, replica: str) -> None:
        """The replica ignores it."""

    hang_up = terminate

    def has_exited(self, replica: str) -> bool:
        return False

    def kill(self) -> None:
        self.killed.append("0000")


class EndsOfReplicas(unittest.TestCase):
    def test_replica_that_ignores_sigterm_is_told_and_killed(self) -> None:
        cluster = Clinging()
        ends = Ends(SimpleNamespace(is_over=False), cluster, "seqpacket", Limits(end=0))  # type: ignore[arg-type]
        self.run_script(ends._check_term("0000"))
        [finding] = ends.findings
        self.assertEqual((finding.manner, finding.outcome, cluster.killed), ("SIGTERM", "FAIL", ["0000"]))
        self.assertIn("0000 still runs", finding.text)

    def test_replica_that_outlives_its_socket_is_told(self) -> None:
        for dialect, outcomes in (("seqpacket", ["FAIL"]), ("udp", [])):
            ends = Ends(SimpleNamespace(is_over=False), Clinging(), dialect, Limits(end=0))  # type: ignore[arg-type]
            self.run_script(ends._check_hang_up())
            self.assertEqual([finding.outcome for finding in ends.findings], outcomes)

    def run_script(self, script: Script) -> None:
        with selectors.EpollSelector() as selector:
            stage = Stage(selector, 100)
            stage.add(script)
            stage.run()


class Texts(unittest.TestCase):
    def test_failure_tells_the_rule(self) -> None:
        self.assertEqual(verdict("idle", True, "seen", "rule"), Finding("idle", "ok", "seen"))
        self.assertEqual(str(verdict("idle", False, "seen", "rule")), "FAIL idle        seen; rule")

    def test_failure_without_time_to_wait_is_not_held_against_the_replica(self) -> None:
        self.assertEqual(verdict("idle", False, "seen", "rule", is_late=True).outcome, "-")
        self.assertEqual(verdict("idle", True, "seen", "rule", is_late=True).outcome, "ok")

    def test_list_of_names(self) -> None:
        self.assertEqual([listed("a"), listed("ab"), listed("abc")], ["a", "a and b", "a, b and c"])

    def test_patience_stretches_all_limits(self) -> None:
        self.assertEqual(Limits().times(3).total, 3 * Limits().total)


if __name__ == "__main__":
    unittest.main()
