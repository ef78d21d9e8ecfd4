"""The comparison with etcd and Redis, without their processes: tables, picture, refusals."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from simulator.tests.support import ROOT

sys.path.insert(0, str(ROOT / "benches" / "peers"))

import drawing
import load
import report
import systems

LATENCIES = {"p50_us": 500, "p99_us": 2_000, "p999_us": 12_345, "busy": 0.25}


def cell(system, way, clients, rate, **other):
    about = {"system": system, "way": way, "workload": "writes", "clients": clients, "round": 0}
    return about | LATENCIES | {"rate": rate} | other


MEASURED = {
    "versions": {"kvstore": "0.2.0", "etcd": "3.5.1"},
    "cores": 2, "load_before": 0.1, "rounds": 3, "seconds": 2.0, "keys": 1_000,
    "cells": [
        *(cell("kvstore", "leader", 64, rate, p99_us=p99) for rate, p99 in ((40e3, 900), (60e3, 1e3), (50e3, 8e3))),
        cell("kvstore", "leader", 1, 4_000.0),
        cell("etcd", "leader", 64, 5_000.0),
        cell("etcd", "leader", 1, 1_000.0),
        cell("etcd", "shared", 64, 10_000.0),
        cell("kvstore", "shared", 64, 70_000.0),
        cell("etcd", "follower", 64, 4_000.0),
    ],
    "memory": [
        {"system": "etcd", "round": 0, "moment": moment, "bytes": [size, size, 2 * size]}
        for moment, size in (("filled", 50_000_000), ("end", 80_000_000))
    ],
    "failovers": [
        {"system": "kvstore", "longest_gap_ms": gap, "lost": 0, "acknowledged": 700} for gap in (610.0, 590.0, 840.0)
    ],
}


class Report(unittest.TestCase):
    def setUp(self) -> None:
        self.lines = report.report(MEASURED).splitlines()

    def row(self, title: str, begin: str) -> str:
        """The row with this title, of the table that begins so."""
        table = next(place for place, line in enumerate(self.lines) if line.startswith(f"| {begin}"))
        return next(line for line in self.lines[table:] if line.startswith(f"| {title} |"))

    def test_cells_are_medians_of_the_rounds(self) -> None:
        row = self.row("kvstore, three replicas", "writes")
        self.assertEqual(row, "| kvstore, three replicas | 4,000 (0.50 / 2.0 / 12) | 50,000 (0.50 / 1.0 / 12) |")

    def test_followers_come_last_and_a_load_that_was_not_measured_is_a_dash(self) -> None:
        titles = [line.split(" | ")[0] for line in self.lines]
        rows = [titles.index(f"| etcd, three members{way}") for way in ("", ", on one connection", ", at a follower")]
        self.assertEqual(rows, sorted(rows))
        self.assertIn("| - | 4,000 (", self.row("etcd, three members, at a follower", "writes"))

    def test_ratios_are_ours_beside_the_peer_that_is_asked_in_the_same_way(self) -> None:
        begin = "64 clients, ratios"
        self.assertEqual(
            self.row("kvstore beside etcd, three members", begin),
            "| kvstore beside etcd, three members | 10 | 0.50 | - | - |",
        )
        row = self.row("kvstore beside etcd, three members, both on one connection", begin)
        self.assertIn("| 7.0 | 1.0 |", row)

    def test_memory_is_that_of_all_processes_and_of_the_largest(self) -> None:
        self.assertIn("| 200 (100) | 320 (160) |", self.row("etcd, three members", "resident memory"))

    def test_time_without_service_has_its_median_and_its_longest(self) -> None:
        row = self.row("kvstore, three replicas", "kill -9")
        self.assertEqual(row, "| kvstore, three replicas | 3 | 0.61 s | 0.84 s | 0 of 2,100 |")

    def test_spread_of_the_rounds_is_told(self) -> None:
        self.assertIn("at the median of all cells, and 40% at most", self.lines[1])

    def test_digits_that_say_something_stay(self) -> None:
        cases = {0.0: "0", 0.0123: "0.012", 9.96: "10", 123.4: "120", 45_123.0: "45,000"}
        self.assertEqual({value: report.digits(value, 2) for value in cases}, cases)


class Picture(unittest.TestCase):
    def test_light_and_dark_pictures_are_drawn(self) -> None:
        drawn = drawing.draw(MEASURED)
        self.assertEqual(list(drawn), ["", "-dark"])
        self.assertEqual(drawn[""].count("<circle"), 1 + 2 + 1)
        self.assertNotEqual(drawn[""], drawn["-dark"])

    def test_one_number_of_clients_is_refused(self) -> None:
        cells = [one for one in MEASURED["cells"] if one["clients"] == 64]
        with self.assertRaises(ValueError):
            drawing.draw(MEASURED | {"cells": cells})


class Generator(unittest.TestCase):
    def generator(self, script: str) -> load.Generator:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        program = Path(directory.name) / "peers-load"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return load.Generator(program)

    def test_result_is_read(self) -> None:
        target = load.Target("resp", ["a:1"])
        generator = self.generator("""echo '{"rate": 5}'""")
        self.assertEqual(generator.run(target, 1, 50, 1.0, 0), {"rate": 5})

    def test_leader_is_killed_once_clients_have_acknowledgements(self) -> None:
        generator = self.generator("""echo ready; sleep 0.1; echo '{"lost": 0}'""")
        kill = mock.Mock()
        with mock.patch.object(load, "_KILL_AFTER_S", 0):
            self.assertEqual(generator.failover(load.Target("resp", ["a:1"]), 1.0, 7, kill), {"lost": 0})
        kill.assert_called_once_with()

    def test_failure_and_nonsense_are_one_line(self) -> None:
        target = load.Target("resp", ["a:1"])
        for script, reason in (("echo no >&2; exit 1", "failed: no"), ("exit 3", "status 3"), ("echo x", "no result")):
            with self.subTest(script), self.assertRaises(systems.PeersError) as caught:
                self.generator(script).run(target, 1, 0, 1.0, 0)
            self.assertIn(reason, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))


class Script(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.measured = self.directory / "run.json"
        self.measured.write_text(json.dumps(MEASURED))

    def peers(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "benches" / "peers.py"), *arguments],
            capture_output=True, check=False, text=True,
        )

    def program(self, script: str) -> str:
        path = self.directory / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def assert_refused(self, done: subprocess.CompletedProcess[str], reason: str, status: int = 1) -> None:
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(reason, done.stderr)
        if status == 1:
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_earlier_run_is_printed_drawn_and_put_into_a_document(self) -> None:
        document = self.directory / "page.md"
        document.write_text("before\n<!-- tables of benches/peers.py -->\nold\n<!-- end of the tables -->\nafter\n")
        plotted = self.directory / "peers.svg"
        done = self.peers("--from", str(self.measured), "--into", str(document), "--plot", str(plotted))
        self.assertEqual(done.returncode, 0, done.stderr)
        text = document.read_text()
        self.assertIn(done.stdout.strip(), text)
        self.assertNotIn("old", text)
        self.assertIn('srcset="peers-dark.svg"', text)
        self.assertTrue(text.startswith("before\n") and text.endswith("-->\nafter\n"))
        names = sorted(path.name for path in self.directory.glob("*.svg"))
        self.assertEqual(names, ["peers-dark.svg", "peers.svg"])

    def test_document_without_a_place_for_tables_is_refused_and_kept(self) -> None:
        document = self.directory / "page.md"
        document.write_text("nothing\n")
        self.assert_refused(self.peers("--from", str(self.measured), "--into", str(document)), "has no lines")
        self.assertEqual(document.read_text(), "nothing\n")

    def test_unusable_measurements_are_refused(self) -> None:
        for content in ("", "{}", "[]", '{"cells": 5}'):
            with self.subTest(content):
                self.measured.write_text(content)
                self.assert_refused(self.peers("--from", str(self.measured)), "unusable measurements")
        self.assert_refused(self.peers("--from", str(self.directory / "none")), "No such file")

    def test_missing_and_unknown_programs_are_refused(self) -> None:
        done = self.peers("--systems", "kvstore", "--kvstore", str(self.directory / "none"))
        self.assert_refused(done, "cargo build --release")
        done = self.peers("--systems", "etcd", "--etcd", self.program("echo etcd Version: 2.3.8"))
        self.assert_refused(done, "the version 2.3.8")
        done = self.peers("--systems", "redis", "--redis", self.program("true"))
        self.assert_refused(done, "does not name its version")

    def test_bad_usage_is_told(self) -> None:
        for arguments in (["--systems", "redis,consul"], ["--clients", "0"], ["--seconds", "0"], ["--only", "all"]):
            with self.subTest(arguments):
                self.assert_refused(self.peers(*arguments), "usage: peers.py", 2)

    def test_server_that_ends_at_once_is_one_line(self) -> None:
        program = Path(self.program("exit 3"))
        with mock.patch.object(systems, "PLACE", self.directory):
            system = systems.Redis("redis", program, has_replica=False)
            with self.assertRaises(systems.PeersError) as caught:
                system.start()
        system.close()
        self.assertIn("ended with status 3, its log is ", str(caught.exception))
        self.assertTrue((self.directory / "logs" / "redis-0.log").exists())
