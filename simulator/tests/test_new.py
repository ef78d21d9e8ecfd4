"""`run.py new`: the replica that it writes, and the arguments that it refuses."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator.new import cli, steps
from simulator.tests import cores
from simulator.tests.support import ROOT, small_scenario


class New(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name) / "my replica"

    def run_new(self, *arguments: str) -> tuple[int, str, str]:
        with (
            contextlib.redirect_stdout(io.StringIO()) as output,
            contextlib.redirect_stderr(io.StringIO()) as errors,
        ):
            code = cli.main(list(arguments))
        return code, output.getvalue(), errors.getvalue()

    def assert_refused(self, reason: str, *arguments: str) -> None:
        code, output, errors = self.run_new(*arguments)
        self.assertEqual((code, output), (2, ""))
        self.assertEqual(len(errors.splitlines()), 1)
        self.assertIn(reason, errors)

    def test_replica_is_executable_and_its_page_names_it(self) -> None:
        code, output, errors = self.run_new("python", str(self.directory))
        program = self.directory / "replica.py"
        self.assertEqual((code, errors), (0, ""))
        self.assertTrue(os.access(program, os.X_OK))
        self.assertEqual(program.read_text(), steps.MINIMAL.read_text())
        command = f"./run.py --replica '{program}' configs/tour/1-shared-keys.json\n"
        self.assertIn(command, output)
        self.assertIn(command, (self.directory / "README.md").read_text())

    def test_step_of_the_tour_is_written(self) -> None:
        code, output, _ = self.run_new("python", str(self.directory), "--step", "3")
        self.assertEqual(code, 0)
        self.assertEqual((self.directory / "replica.py").read_text(), steps.program(3))
        self.assertIn("configs/tour/4-kill-on-ack.json", output)
        done = subprocess.run(
            [sys.executable, "-c", "import replica"], cwd=self.directory, capture_output=True, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_directory_with_files_is_refused(self) -> None:
        self.directory.mkdir()
        self.assertEqual(self.run_new("python", str(self.directory))[0], 0)
        self.assert_refused("is not empty", "python", str(self.directory))
        self.assert_refused("is no directory", "python", str(self.directory / "replica.py"))

    def test_full_disk_leaves_the_directory_empty(self) -> None:
        real = Path.write_text
        for last in ("replica.py", "README.md"):
            def fill(path: Path, text: str, last: str = last, **options: Any) -> int:
                real(path, text[:100], **options)
                if path.name == last:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return len(text)

            with mock.patch.object(Path, "write_text", fill):
                self.assert_refused(f"{self.directory}: No space left on device", "python", str(self.directory))
            self.assertEqual(list(self.directory.iterdir()), [])

    def test_directory_that_cannot_be_made_is_refused(self) -> None:
        self.assert_refused("/proc/none", "python", "/proc/none/replica")

    def test_other_languages_and_steps_are_refused(self) -> None:
        self.assert_refused("there is one in python", "cobol", str(self.directory))
        self.assert_refused("must be a number from 0 to", "python", str(self.directory), "--step", "99")
        self.assertFalse(self.directory.exists())


@unittest.skipUnless(os.environ.get("KVSTORE"), "KVSTORE names no program that checks histories")
class MinimalReplica(unittest.TestCase):
    def test_it_answers_every_request_and_breaks_no_rule_of_the_protocol(self) -> None:
        finished = cores.CoreRun(small_scenario(), cores.load("minimal", steps.program(0)))
        figures = finished.figures
        self.assertTrue(finished.result.is_correct, finished.told)
        self.assertEqual((figures.unanswered_gets + figures.unanswered_puts, figures.incorrect_messages), (0, 0))
        self.assertEqual((figures.redirects, figures.total_messages), (0, 0))

    def test_it_runs_as_a_process(self) -> None:
        done = subprocess.run(
            [sys.executable, str(steps.MINIMAL), "0000", "0001"], cwd=ROOT, capture_output=True, check=False,
        )
        self.assertIn(b"FileNotFoundError", done.stderr)


if __name__ == "__main__":
    unittest.main()
