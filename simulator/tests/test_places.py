"""The files and directories that a user names: refused before the run if they cannot be used."""

import contextlib
import errno
import io
import os
import socket
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import cli, runner
from simulator.arguments import UsageError, check_writable
from simulator.tests.command import CommandCase
from simulator.tests.support import ROOT

FULL = "No space left on device"


class WorkingDirectory(CommandCase):
    def test_replicas_run_in_it_and_their_sockets_are_removed(self) -> None:
        work = self.directory / "work"
        work.mkdir()
        real, seen = runner.simulate, []

        def looking(*arguments: Any) -> Any:
            [place] = arguments[7]
            seen.append(place)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(place.directory / "0001"))
            (place.directory / "made").touch()
            return real(*arguments)

        with mock.patch.object(runner, "simulate", looking):
            self.assertEqual(self.run_py("wrong_value", "--replica-cwd", work, "--seed", 1), 1)
        self.assertEqual(seen[0].directory, work)
        self.assertNotEqual(seen[0].data.parent, work)
        self.assertEqual([path.name for path in work.iterdir()], ["made"])
        # The files of the user are not part of the run.
        self.assertFalse((self.failed / "scenario-1" / "work").exists())

    def test_file_with_the_name_of_a_replica_is_refused(self) -> None:
        (self.directory / "0002").symlink_to("nowhere")
        self.assertEqual(self.run_py("correct", "--replica-cwd", self.directory), 2)
        said = f"--replica-cwd: {self.directory}/0002: exists, but the socket of a replica needs its name\n"
        self.assertEqual(self.errors, said)

    def test_socket_that_a_killed_run_has_left_may_be_removed(self) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.directory / "0000"))
        self.assertEqual(self.run_py("correct", "--replica-cwd", self.directory), 2)
        self.assertIn("needs its name; if another run has left it, remove it\n", self.errors)

    def test_name_beyond_the_replicas_of_the_scenario_may_exist(self) -> None:
        (self.directory / "0003").touch()
        self.assertEqual(self.run_py("correct", "--replica-cwd", self.directory), 0)

    def test_missing_directory_and_two_clusters_are_refused(self) -> None:
        for arguments, said in (
            ((self.directory / "no",), f"--replica-cwd: {self.directory}/no: must be a directory that takes new files\n"),
            ((self.directory, "--beside", "x"), "--replica-cwd: not with --beside, whose replicas have the same names\n"),
        ):
            self.assertEqual((self.run_py("correct", "--replica-cwd", *arguments), self.errors), (2, said))


class Files(CommandCase):
    def test_path_that_cannot_be_written_is_refused_before_the_run(self) -> None:
        (self.directory / "file").touch()
        for option in ("--json", "--history", "--trace", "--report"):
            for path, reason in (
                ("/dev/full", FULL), ("/no/such/file", "there is no directory /no/such"),
                (self.directory, "it is a directory"),
                (self.directory / "file" / "x", f"there is no directory {self.directory}/file"),
                (self.directory / ("x" * 300), "File name too long"),
            ):
                with self.subTest(option, path=str(path)):
                    self.assertEqual(self.run_py("correct", option, path), 2)
                    said = f"{path}: must be a file that can be written: {reason}\n"
                    self.assertEqual((self.errors, self.out), (said, ""))

    def test_file_of_one_run_of_many_is_checked(self) -> None:
        (self.directory / "x-2.jsonl").mkdir()
        self.assertEqual(self.run_py("correct", "--repeat", 2, "--seed", 1, "--history", self.directory / "x.jsonl"), 2)
        self.assertIn("x-2.jsonl: must be a file", self.errors)

    def test_read_only_place_is_refused(self) -> None:
        with mock.patch("os.access", return_value=False), self.assertRaisesRegex(UsageError, f"{self.directory} takes no new file"):
            check_writable(self.directory / "new")
        read_only = OSError(errno.EROFS, "Read-only file system")
        (self.directory / "old").touch()
        with mock.patch("os.open", side_effect=read_only), self.assertRaisesRegex(UsageError, "Read-only file system"):
            check_writable(self.directory / "old")

    def test_existing_file_and_a_pipe_are_left_as_they_are(self) -> None:
        file, pipe = self.directory / "file", self.directory / "pipe"
        file.write_text("old")
        os.mkfifo(pipe)
        check_writable(file, pipe, None, Path("/dev/null"))
        self.assertEqual(file.read_text(), "old")

    def test_trace_into_a_pipe_cannot_be_read_for_the_page(self) -> None:
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        self.assertEqual(self.run_py("correct", "--trace", pipe, "--report", self.directory / "x.html"), 2)
        self.assertEqual(self.errors, f"{pipe}: must be a regular file, because --report reads the trace again\n")

    def test_disk_that_fills_during_the_run_is_told_after_the_report(self) -> None:
        full = OSError(errno.ENOSPC, FULL)
        file = self.directory / "file"
        for option, function in (
            ("--history", "simulator.history.write"), ("--json", "pathlib.Path.write_text"),
            ("--report", "simulator.picture.write"),
        ):
            with self.subTest(option), mock.patch(function, side_effect=full):
                self.assertEqual(self.run_py("correct", option, file), 1)
                self.assertIn("# Simulation Finished\n", self.out)
                self.assertTrue(self.out.endswith(f"*** Simulator Error - {file}: could not be written: {FULL}\n"), self.out)


class Replay(unittest.TestCase):
    def test_replay_refuses_the_same_files(self) -> None:
        errors = io.StringIO()
        for option in ("--json", "--history", "--report"):
            with contextlib.redirect_stderr(errors):
                self.assertEqual(cli.main(["replay", str(ROOT / "README.md"), option, "/dev/full"]), 2)
        self.assertEqual(errors.getvalue().count(f"/dev/full: must be a file that can be written: {FULL}\n"), 3)


if __name__ == "__main__":
    unittest.main()
