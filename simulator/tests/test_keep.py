"""Runs that are kept because they failed or because the user asks for it, and their advice."""

import errno
import gzip
import json
import os
import socket
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import cli, kept, logs, runner
from simulator.replica import OptionsRefused, StartError
from simulator.tests.command import TIMES, CommandCase
from simulator.tests.support import write_config
from simulator.tests.test_surroundings import nest
from simulator.trace.reader import Reader, TraceError

FULL = "No space left on device"


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
        self.assertEqual(result["kept"], str(place))
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
        self.assertIn("\nthe trace ends here: it would be longer than 20,000 bytes\n", self.out)
        self.assertNotIn("run.trace", self.out)
        reader = Reader(self.failed / "scenario-1" / "trace.gz")
        self.assertGreater(len(list(reader)), 10)
        self.assertIn("has no end", reader.damage or "")

    def test_trace_that_cannot_be_created_is_one_line(self) -> None:
        with mock.patch.object(runner, "Sink", side_effect=OSError(errno.ENOSPC, FULL)):
            self.assertEqual(self.run_py("correct"), 0)
        self.assertIn(f"the run has no trace: {FULL}\n", self.out)

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

    def test_directory_that_is_nested_too_deeply_is_left_out(self) -> None:
        real = runner.simulate

        def leaving(*arguments: Any) -> Any:
            nest(arguments[7][0].directory, 3_000)
            return real(*arguments)

        with mock.patch.object(runner, "simulate", leaving):
            self.run_py("wrong_value", "--seed", 1)
        place = self.failed / "scenario-1"
        self.assertEqual((place / "work.txt").read_text(), "Left out: it was too deep.\n")
        self.assertFalse((place / "work").exists())
        self.assertIn(f"kept in {place}", self.out)

    def test_trace_that_a_replica_has_replaced_by_a_pipe_is_told(self) -> None:
        real = runner.simulate

        def replacing(*arguments: Any) -> Any:
            trace = arguments[7][0].directory.parent / "run.trace"
            trace.unlink()
            os.mkfifo(trace)
            return real(*arguments)

        page = self.directory / "page.html"
        with mock.patch.object(runner, "simulate", replacing):
            self.assertEqual(self.run_py("correct", "--report", page), 1)
        self.assertIn(f"{page}: could not be drawn: the trace is gone\n", self.out + self.errors)

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

    def test_refused_options_leave_the_place_as_it_was(self) -> None:
        place = self.directory / "place"
        with mock.patch.object(runner, "simulate", side_effect=OptionsRefused("refused")):
            for _ in range(2):
                self.assertEqual(self.run_py("correct", "--keep", place), 2)
                self.assertEqual(self.errors, "refused\n")
        self.assertFalse(place.exists())

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


if __name__ == "__main__":
    unittest.main()
