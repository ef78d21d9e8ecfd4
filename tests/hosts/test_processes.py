"""Processes end with a run, and a later run knows what is left of a killed one."""

import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from hosts import processes

PATIENCE_S = 30.0
TESTS = Path(__file__).resolve().parent.parent
# Starts a process as a run does, prints its number, and waits to be killed.
RUN = """
import subprocess, sys, time
from hosts import processes
print(processes.start(["sleep", "60"], subprocess.DEVNULL).pid, flush=True)
time.sleep(60)
"""


class Processes(unittest.TestCase):
    def test_process_of_a_killed_run_ends(self) -> None:
        with self.run_of(RUN) as run:
            assert run.stdout
            child = int(run.stdout.readline())
            run.kill()
        deadline = time.monotonic() + PATIENCE_S
        while self.lives(child):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_only_names_of_runs_that_have_ended_are_leftovers(self) -> None:
        with self.run_of("print(flush=True); import time; time.sleep(60)") as run:
            assert run.stdout
            run.stdout.readline()
            name = f"kvstore-hosts-{run.pid}-1"
            self.assertFalse(processes.is_leftover(name))
            run.kill()
        self.assertTrue(processes.is_leftover(name))
        # A number that another process has by now.
        self.assertTrue(processes.is_leftover("kvstore-hosts-1-bridge"))
        for foreign in ("kvstore-hosts-", "kvstore-hosts-x-1", f"other-{run.pid}-1", "kvstore-1"):
            self.assertFalse(processes.is_leftover(foreign), foreign)

    def test_new_directory_replaces_those_of_killed_runs_alone(self) -> None:
        with tempfile.TemporaryDirectory() as place, mock.patch.object(tempfile, "tempdir", place):
            old, foreign = Path(place) / "kvstore-hosts-1-old", Path(place) / "another"
            for path in (old, foreign):
                path.mkdir()
            new = processes.directory()
            self.assertEqual(sorted(Path(place).iterdir()), sorted([foreign, new]))
            self.assertTrue(new.name.startswith(processes.mark()))

    @staticmethod
    def run_of(text: str) -> "subprocess.Popen[str]":
        """A process that looks like a run."""
        environment = os.environ | {"PYTHONPATH": str(TESTS)}
        command = [sys.executable, "-c", text, "run.py"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    @staticmethod
    def lives(process: int) -> bool:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z"


if __name__ == "__main__":
    unittest.main()
