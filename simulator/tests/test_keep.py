"""The command line in virtual time: kept runs, repeated runs, and files that cannot be written.

No process starts. The name of the program is the behaviour of the replicas.
"""

import contextlib
import errno
import gzip
import io
import json
import os
import signal
import socket
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import cli, kept, logs, runner
from simulator.arguments import UsageError, check_writable
from simulator.replica import StartError
from simulator.signals import Signals
from simulator.tests.support import ROOT, write_config
from simulator.tests.virtual import virtual_time
from simulator.trace.reader import Reader, TraceError

FULL = "No space left on device"
TIMES = {"lifetime": 5, "start_wait": 0.5, "end_wait": 1}


class CommandCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name).resolve()
        self.failed = self.directory / "failed"
        patch = mock.patch.dict(os.environ, {kept.PLACE: str(self.failed)})
        patch.start()
        self.addCleanup(patch.stop)
        self.config = write_config(self.directory, **TIMES)

    def program(self, behaviour: str) -> str:
        path = self.directory / behaviour
        path.touch(0o755)
        return str(path)

    def run_py(self, behaviour: str, *arguments: Any) -> int:
        """The exit code; the output is in `out` and `errors`."""
        out, errors = io.StringIO(), io.StringIO()
        words = ["--replica", self.program(behaviour), "--transport", "virtual", "--no-check", *map(str, arguments)]
        if "all" not in words:
            words.append(str(self.config))
        # The console takes the streams of its module's start unless it is told otherwise.
        with virtual_time(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors), \
                mock.patch.object(cli.Console.__init__, "__defaults__", (out, out)):
            code = cli.main(words)
        self.out, self.errors = out.getvalue(), errors.getvalue()
        return code

    def kept_runs(self) -> list[str]:
        return sorted(path.name for path in self.failed.iterdir()) if self.failed.exists() else []


class FailedRuns(CommandCase):
    def test_failed_run_is_kept_in_a_place_that_is_said(self) -> None:
        self.assertEqual(self.run_py("wrong_value", "--seed", 17), 1)
        place = self.failed / "scenario-17"
        self.assertIn(
            f"\nkept in {place}: the trace, the history, the output of each replica; draw it: "
            f"./run.py replay {place}/trace.gz --report {place}/report.html\n", self.out,
        )
        self.assertEqual(
            sorted(path.name for path in place.iterdir()),
            ["0000.log", "0001.log", "0002.log", "history.jsonl", "result.json", "run.txt", "trace.gz"],
        )
        result = json.loads((place / "result.json").read_text())
        self.assertEqual((result["correct"], result["configuration"]["seed"]), (False, 17))
        reader = Reader(place / "trace.gz")
        self.assertGreater(len(list(reader)), 100)
        self.assertEqual((reader.damage, reader.ending and reader.ending["verdict"]), (None, "failed"))
        self.assertIn(f"--replica={self.directory}/wrong_value", (place / "run.txt").read_text())
        self.assertTrue(reader.heading["command"].endswith(f"{self.config} --replica={self.directory}/wrong_value --transport virtual --no-check --seed 17"), reader.heading["command"])

    def test_passed_run_leaves_nothing(self) -> None:
        self.assertEqual(self.run_py("correct"), 0)
        self.assertNotIn("kept in", self.out)
        self.assertEqual(self.kept_runs(), [])

    def test_no_keep_leaves_nothing_and_records_nothing(self) -> None:
        with mock.patch.object(runner, "Sink") as sink:
            self.assertEqual(self.run_py("wrong_value", "--no-keep"), 1)
        self.assertEqual((self.kept_runs(), sink.called), ([], False))
        self.assertNotIn("kept in", self.out)

    def test_runs_of_the_same_name_stand_beside_each_other(self) -> None:
        for _ in range(3):
            self.run_py("wrong_value", "--seed", 1)
        self.assertEqual(self.kept_runs(), ["scenario-1", "scenario-1-2", "scenario-1-3"])

    def test_oldest_run_goes_and_directories_of_the_user_stay(self) -> None:
        (self.failed / "mine").mkdir(parents=True)
        (self.failed / "mine" / kept.MARK).write_text("My notes.\n")
        with mock.patch.object(kept, "MOST_RUNS", 2):
            for seed in (1, 2, 3):
                self.run_py("wrong_value", "--seed", seed)
                for age, path in enumerate(sorted(self.failed.glob("scenario-*"), reverse=True)):
                    os.utime(path / kept.MARK, (1000 - age, 1000 - age))
        self.assertEqual(self.kept_runs(), ["mine", "scenario-2", "scenario-3"])

    def test_place_that_cannot_be_written_is_one_line_and_no_change_of_the_verdict(self) -> None:
        self.failed.write_text("in the way")
        self.assertEqual(self.run_py("wrong_value"), 1)
        self.assertEqual(self.out.count("the failed run could not be kept: "), 1)
        self.assertIn("# Simulation Finished", self.out)

    def test_full_disk_leaves_no_half_of_a_run(self) -> None:
        full = OSError(errno.ENOSPC, FULL)
        with mock.patch.object(kept, "_pack", side_effect=full):
            self.assertEqual(self.run_py("wrong_value", "--json", self.directory / "x.json"), 1)
        self.assertEqual(self.kept_runs(), [])
        self.assertIn(f"the failed run could not be kept: [Errno 28] {FULL}\n", self.out)
        self.assertIsNone(json.loads((self.directory / "x.json").read_text())["kept"])

    def test_automatic_trace_has_a_greatest_length_and_its_end_is_told(self) -> None:
        with mock.patch.object(runner, "AUTOMATIC_TRACE_BYTES", 20_000):
            self.run_py("wrong_value", "--seed", 1)
        self.assertRegex(self.out, r"\n\S+run.trace: the trace ends here: it would be longer than 20,000 bytes\n")
        reader = Reader(self.failed / "scenario-1" / "trace.gz")
        self.assertGreater(len(list(reader)), 10)
        self.assertIn("has no end", reader.damage or "")

    def test_trace_that_cannot_be_created_is_one_line(self) -> None:
        with mock.patch.object(runner, "Sink", side_effect=OSError(errno.ENOSPC, FULL)):
            self.assertEqual(self.run_py("correct"), 0)
        self.assertRegex(self.out, f"the run has no trace: .*: {FULL}\n")

    def test_place_without_a_checkout_is_among_the_temporary_files(self) -> None:
        (self.directory / "file").touch()
        with mock.patch.dict(os.environ), mock.patch.object(kept.build, "REPOSITORY", self.directory / "file"), \
                mock.patch("tempfile.tempdir", str(self.directory)):
            del os.environ[kept.PLACE]
            self.run_py("wrong_value", "--seed", 1)
        place = self.directory / f"run.py-failed-{os.getuid()}"
        self.assertTrue((place / "scenario-1" / "trace.gz").exists(), self.out)

    def test_temporary_place_of_another_user_is_not_used(self) -> None:
        (self.directory / "other").mkdir()
        (self.directory / f"run.py-failed-{os.getuid()}").symlink_to(self.directory / "other")
        with mock.patch.dict(os.environ), mock.patch.object(kept.build, "REPOSITORY", Path("/dev/null")), \
                mock.patch("tempfile.tempdir", str(self.directory)):
            del os.environ[kept.PLACE]
            self.run_py("wrong_value", "--seed", 1)
        self.assertIn("the failed run could not be kept: ", self.out)
        self.assertEqual(list((self.directory / "other").iterdir()), [])

    def test_each_failed_scenario_of_all_is_kept(self) -> None:
        for name in ("simple-1", "simple-2"):
            write_config(self.directory, **TIMES).rename(self.directory / f"{name}.json")
        sections = {"Basic tests": {"simple-1": "one", "simple-2": "two"}}
        with mock.patch.object(cli.suite, "SECTIONS", sections):
            self.assertEqual(self.run_py("wrong_value", "all", "--seed", 3, "--config-directory", self.directory), 1)
        self.assertEqual(self.kept_runs(), ["simple-1-3", "simple-2-3"])
        self.assertIn(f"simple-2: kept in {self.failed}/simple-2-3: ", self.errors)
        self.assertNotIn("kept in", self.out)

    def test_each_of_two_clusters_is_kept(self) -> None:
        self.assertEqual(
            self.run_py("wrong_value", "--seed", 1, "--beside", self.program("incorrect_too"), "--beside-options=x"), 1
        )
        self.assertEqual(self.kept_runs(), ["scenario-1-replica"])

    def test_output_of_replicas_that_do_not_start_is_kept(self) -> None:
        def refused(*arguments: Any) -> Any:
            [trace] = arguments[6]
            trace.begin({"kvstore_trace": 1, "seed": 1, "replicas": ["0000"]})
            trace.output("0000", "err", "no thanks")
            raise StartError("no start")

        for arguments, place in (((), self.failed / "scenario-no-start"), (("--keep", self.directory / "x"), self.directory / "x")):
            with self.subTest(place.name), mock.patch.object(runner, "simulate", refused):
                self.assertEqual(self.run_py("correct", *arguments), 1)
                self.assertRegex((place / "0000.log").read_text(), r"^ +-?\d+\.\d{6} err no thanks\n$")
                self.assertIn("*** Simulator Error - no start\n", self.out)
                self.assertIn(f"kept in {place}: the trace, the output of each replica; draw it: ", self.out)
                self.assertFalse((place / "result.json").exists())

    def test_run_that_the_user_ends_early_is_not_kept(self) -> None:
        real = runner.simulate

        def interrupted(*arguments: Any) -> Any:
            arguments[4].request_stop()
            return real(*arguments)

        with mock.patch.object(runner, "simulate", interrupted):
            self.assertEqual(self.run_py("correct"), 1)
        self.assertEqual(self.kept_runs(), [])


class Advice(CommandCase):
    def test_advice_comes_after_the_report_and_into_the_json(self) -> None:
        lines = [runner.Advice("kind", "first line", 1.5, ("1",), ("0000",)), runner.Advice("kind", "second")]
        file = self.directory / "result.json"
        with mock.patch.object(runner, "advise", return_value=lines) as advise:
            self.run_py("wrong_value", "--json", file)
        self.assertIn("\n\n## Advice\n     first line\n     second\nkept in ", self.out)
        self.assertEqual(json.loads(file.read_text())["advice"][0], {
            "kind": "kind", "text": "first line", "time": 1.5, "mids": ["1"], "replicas": ["0000"],
        })
        self.assertEqual(advise.call_count, 1)

    def test_passed_run_has_no_advice(self) -> None:
        with mock.patch.object(runner, "advise") as advise:
            self.run_py("correct")
        self.assertFalse(advise.called)

    def test_trace_that_tells_none_changes_no_verdict(self) -> None:
        with mock.patch.object(runner, "advise", side_effect=TraceError("broken")):
            self.assertEqual(self.run_py("wrong_value"), 1)
        self.assertIn("the trace tells no advice: broken\n", self.out)


class Keep(CommandCase):
    def test_all_of_a_passed_run_is_kept(self) -> None:
        place = self.directory / "new" / "place"
        self.assertEqual(self.run_py("correct", "--keep", place), 0)
        self.assertEqual(
            sorted(path.name for path in place.iterdir()),
            ["0000.log", "0001.log", "0002.log", "history.jsonl", "report.html", "result.json", "run.txt", "trace.gz"],
        )
        self.assertIn(f"kept in {place}: the trace, the history, the output of each replica; the page report.html\n", self.out)
        self.assertEqual(json.loads((place / "result.json").read_text())["kept"], str(place))

    def test_working_directories_are_kept_without_sockets(self) -> None:
        place = self.directory / "place"
        real = runner.simulate

        def leaving(*arguments: Any) -> Any:
            [work] = arguments[7]
            (work.directory / "core").write_text("dumped")
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(work.directory / "0001"))
            (work.data / "0001").mkdir(parents=True)
            (work.data / "0001" / "log").write_text("entries")
            os.mkfifo(work.data / "pipe")
            return real(*arguments)

        for name, arguments in (("wrong_value", ("--seed", 1)), ("correct", ("--keep", place))):
            with mock.patch.object(runner, "simulate", leaving):
                self.run_py(name, *arguments)
            directory = place if "--keep" in arguments else self.failed / "scenario-1"
            with self.subTest(name):
                self.assertEqual((directory / "work" / "core").read_text(), "dumped")
                self.assertEqual((directory / "data" / "0001" / "log").read_text(), "entries")
                self.assertEqual([path.name for path in (directory / "work").iterdir()], ["core"])
        self.assertFalse((self.failed / "scenario-1" / "data" / "pipe").exists())

    def test_large_working_directory_of_a_failed_run_is_left_out(self) -> None:
        real = runner.simulate

        def leaving(*arguments: Any) -> Any:
            (arguments[7][0].directory / "core").write_bytes(b"x" * 2000)
            return real(*arguments)

        for limit in ("MOST_BYTES", "_MOST_BYTES_READ"):
            with self.subTest(limit), mock.patch.object(runner, "simulate", leaving), \
                    mock.patch.object(kept, limit, 1999):
                self.run_py("wrong_value", "--seed", int(limit == "MOST_BYTES"))
                place = self.failed / f"scenario-{int(limit == 'MOST_BYTES')}"
                self.assertRegex((place / "work.txt").read_text(), r"^Left out: it had more than [\d,]+ bytes\.\n$")
                self.assertFalse((place / "work").exists())

    def test_zeros_of_a_preallocated_file_take_no_room(self) -> None:
        real = runner.simulate
        content = bytes(200_000) + b"entry" + bytes(1_000_000)

        def leaving(*arguments: Any) -> Any:
            (arguments[7][0].directory / "log").write_bytes(content)
            return real(*arguments)

        with mock.patch.object(runner, "simulate", leaving), mock.patch.object(kept, "MOST_BYTES", 100_000):
            self.run_py("wrong_value", "--seed", 1)
        log = self.failed / "scenario-1" / "work" / "log"
        self.assertEqual(log.read_bytes(), content)
        self.assertLess(log.stat().st_blocks * 512, 200_000)

    def test_directory_that_is_not_empty_is_refused_before_the_run(self) -> None:
        (self.directory / "file").write_text("x")
        for place, reason in (
            (self.directory, "it is not empty"), (self.directory / "file", "File exists"),
            (self.directory / "file" / "below", "Not a directory"),
        ):
            with self.subTest(place.name):
                self.assertEqual(self.run_py("correct", "--keep", place), 2)
                said = f"--keep: {place}: must be a new or empty directory: {reason}\n"
                self.assertEqual((self.errors, self.out), (said, ""))

    def test_keep_and_no_keep_contradict_each_other(self) -> None:
        self.assertEqual(self.run_py("correct", "--keep", self.directory / "x", "--no-keep"), 2)

    def test_clusters_and_repeated_runs_have_a_directory_each(self) -> None:
        for arguments, names in (
            (("--beside", self.program("correct")), ["beside", "replica"]),
            (("--repeat", 2, "--seed", 8), ["8", "9"]),
        ):
            with self.subTest(names):
                place = self.directory / names[0]
                self.assertEqual(self.run_py("correct", "--keep", place, *arguments), 0)
                self.assertEqual(sorted(path.name for path in place.iterdir()), names)
                self.assertTrue(all((path / "trace.gz").exists() for path in place.iterdir()))

    def test_trace_with_a_name_of_its_own_is_kept_as_well(self) -> None:
        for name in ("x.trace", "x.trace.gz"):
            place, trace = self.directory / f"place-{name}", self.directory / name
            self.assertEqual(self.run_py("correct", "--keep", place, "--trace", trace), 0)
            self.assertEqual(list(Reader(trace)), list(Reader(place / "trace.gz")))
            self.assertTrue(gzip.decompress((place / "trace.gz").read_bytes()).startswith(b"{"))


class Repeat(CommandCase):
    def test_each_run_has_a_line_and_the_count_comes_last(self) -> None:
        real = runner.simulate

        def every_other(*arguments: Any) -> Any:
            results = real(*arguments)
            if results[0].seed % 2:
                object.__setattr__(results[0].figures, "incorrect_gets", 3)
            return results

        file = self.directory / "results.json"
        with mock.patch.object(runner, "simulate", every_other):
            self.assertEqual(self.run_py("correct", "--repeat", 4, "--seed", 10, "--json", file), 1)
        kept_in = [f", kept in {self.failed}/scenario-{seed}" for seed in (11, 13)]
        again = f"./run.py {self.config} --replica={self.directory}/correct --transport virtual --no-check --seed 11"
        self.assertEqual(self.out.splitlines(), [
            "seed 10: passed",
            f"seed 11: FAILED: Incorrect responses: 3, none allowed, 3 too many{kept_in[0]}",
            "seed 12: passed",
            f"seed 13: FAILED: Incorrect responses: 3, none allowed, 3 too many{kept_in[1]}",
            "passed 2 of 4", "failed: 11 13", f"again: {again}",
        ])
        self.assertEqual([one["configuration"]["seed"] for one in json.loads(file.read_text())], [10, 11, 12, 13])

    def test_all_passed_is_a_success(self) -> None:
        self.assertEqual(self.run_py("correct", "--repeat", 2), 0)
        self.assertEqual(self.out.splitlines()[-1], "passed 2 of 2")

    def test_run_that_does_not_start_counts_as_failed(self) -> None:
        with mock.patch.object(runner, "simulate", side_effect=StartError("no start")):
            self.assertEqual(self.run_py("correct", "--repeat", 2, "--seed", 1), 1)
        self.assertEqual(self.out.splitlines()[:3], [
            "seed 1: FAILED: no start", "seed 2: FAILED: no start", "passed 0 of 2",
        ])

    def test_first_interrupt_ends_after_the_present_run_and_the_second_at_once(self) -> None:
        real = runner.simulate
        for count, lines in ((1, ["seed 1: passed", "Interrupted: 1 of 3 run", "passed 1 of 1"]),
                             (2, ["Interrupted: 0 of 3 run", "passed 0 of 0"])):

            def interrupted(*arguments: Any, count: int = count) -> Any:
                for _ in range(count):
                    signal.raise_signal(signal.SIGINT)
                return real(*arguments)

            with self.subTest(count), mock.patch.object(runner, "simulate", interrupted):
                self.assertEqual(self.run_py("correct", "--repeat", 3, "--seed", 1), 1)
                self.assertEqual(self.out.splitlines(), lines)

    def test_interrupt_without_repeat_and_terminate_end_at_once(self) -> None:
        for finishes_first, number in ((False, signal.SIGINT), (True, signal.SIGTERM)):
            with Signals(finishes_first) as signals:
                signal.raise_signal(number)
                self.assertTrue(signals.stop)

    def test_interrupt_that_waits_is_told_once(self) -> None:
        told: list[str] = []
        with Signals(finishes_first=True) as signals:
            signals.when_asked = lambda: told.append("last")
            signals.clear()
            self.assertEqual(told, [])
            signal.raise_signal(signal.SIGINT)
            for _ in range(2):
                signals.clear()
            self.assertEqual((told, signals.stop, signals.wants_end), (["last"], False, True))

    def test_bad_counts_and_combinations_are_refused(self) -> None:
        for count in ("0", "10001", "x", "1.5", "-1", "9" * 5000):
            self.assertEqual(self.run_py("correct", f"--repeat={count}"), 2)
            self.assertIn("must be an integer from 1 to 10,000", self.errors)
        for arguments, said in (
            (("all", "--repeat", 2), '--repeat: takes one configuration, not "all"\n'),
            (("--repeat", 2, "--beside", "x"), "--repeat: not with --beside; run.py compare compares two programs over many runs\n"),
        ):
            self.assertEqual((self.run_py("correct", *arguments), self.errors), (2, said))


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


class Logs(unittest.TestCase):
    def test_each_replica_has_its_lines_with_time_and_stream(self) -> None:
        records: list[Any] = [
            {"kvstore_trace": 1, "replicas": ["0000", "0001"]},
            ["o", -2_500_000, "0000", "out", "early"], ["o", 1_234_567, "0000", "err", "a\u2028b"],
            ["o", 1, "../0001", "out", "elsewhere"], ["o", "x"], ["d", 0, 0],
        ]
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            trace = directory / "trace"
            trace.write_text("".join(f"{json.dumps(record)}\n" for record in records))
            logs.write(trace, directory)
            self.assertEqual((directory / "0000.log").read_text(), " -2.500000 out early\n  1.234567 err a\\u2028b\n")
            self.assertEqual((directory / "0001.log").read_text(), "")
            self.assertEqual(len(list(directory.iterdir())), 3)


class Replay(unittest.TestCase):
    def test_replay_refuses_the_same_files(self) -> None:
        errors = io.StringIO()
        for option in ("--json", "--history", "--report"):
            with contextlib.redirect_stderr(errors):
                self.assertEqual(cli.main(["replay", str(ROOT / "README.md"), option, "/dev/full"]), 2)
        self.assertEqual(errors.getvalue().count(f"/dev/full: must be a file that can be written: {FULL}\n"), 3)


if __name__ == "__main__":
    unittest.main()
