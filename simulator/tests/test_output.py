"""Standard output and standard error that are closed or full, and files on a full disk."""

import contextlib
import errno
import io
import os
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from simulator import loop
from simulator.console import Console
from simulator.judge import judge
from simulator.lives import Cluster
from simulator.replica import StartError
from simulator.signals import Signals
from simulator.tests.support import FAKE_CHECKER, ROOT, Run, small_scenario

FULL = "No space left on device"


class Streams(unittest.TestCase):
    def run_py(self, redirection: str, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `run.py` with this redirection of the shell."""
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" "$@" {redirection}', sys.executable, str(ROOT / "run.py"), *arguments],
            capture_output=True, check=False, text=True,
        )
        return done.returncode, done.stdout, done.stderr

    def test_closed_standard_output_is_told_before_the_run(self) -> None:
        self.assertEqual(self.run_py(">&-", "all"), (2, "", "standard output: closed\n"))

    def test_full_standard_output_is_told_in_one_line(self) -> None:
        self.assertEqual(self.run_py(">/dev/full", "--help"), (1, "", f"standard output: {FULL}\n"))

    def test_standard_error_may_be_lost(self) -> None:
        for redirection in ("2>&-", "2>/dev/full", "<&- 2>&-"):
            with self.subTest(redirection):
                self.assertEqual(self.run_py(redirection, "no-such-file"), (2, "", ""))

    def test_run_whose_output_is_lost_ends_early_and_leaves_nothing(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open("/dev/full", "wb") as full, open(writer, "wb") as unread:
            for stdout, reason in ((full, FULL), (unread, "Broken pipe")):
                with self.subTest(reason):
                    run = Run("correct", stdout=stdout, lifetime=1000)
                    self.addCleanup(run.clean_up)
                    run.finish()
                    self.assertEqual(run.exit_code, 1)
                    self.assertIn(f"standard output: {reason}\n", run.stderr)
                    self.assertNotIn("Traceback", run.stderr)
                    self.assertEqual((run.survivors(), run.leftovers()), ([], []))


class Files(unittest.TestCase):
    def test_history_that_cannot_be_written_is_not_judged(self) -> None:
        full = OSError(errno.ENOSPC, FULL)
        with mock.patch("simulator.history.write", side_effect=full):
            verdict = judge(FAKE_CHECKER, [])
        self.assertIsNone(verdict.linearizable)
        self.assertEqual(verdict.explanation, f"it could not be written down: {FULL}")

    def test_checker_that_a_real_time_signal_ends_is_named_by_its_number(self) -> None:
        ended = subprocess.CompletedProcess([], -40, stdout="", stderr="\x1b[2J")
        with mock.patch("subprocess.run", return_value=ended):
            verdict = judge(FAKE_CHECKER, [])
        self.assertEqual(verdict.explanation, f"{FAKE_CHECKER} was ended by 40: \\x1b[2J")

    def test_no_room_for_the_directory_of_the_replicas_is_told(self) -> None:
        full = OSError(errno.ENOSPC, FULL)
        scenario = small_scenario()
        with Signals() as signals, mock.patch("tempfile.mkdtemp", side_effect=full), \
                contextlib.redirect_stderr(io.StringIO()), self.assertRaisesRegex(StartError, f"the run could not be set up: .*{FULL}"):
            loop.simulate(scenario, [Cluster(Path("/bin/true"))], 1, Console(), signals)


if __name__ == "__main__":
    unittest.main()
