"""The program that draws the pictures of the documentation."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from simulator.tests.support import ROOT

ROW = {"replicas": 5, "datagrams/put": 4.0, "p50 (us)": 100, "p99 (us)": 300}
MEASURED = {
    "open loop": [ROW | {"offered/s": load} for load in (10, 1000)],
    "closed loop": [ROW | {"outstanding": load} for load in (1, 64)],
}
PICTURES = ["latency-dark.svg", "latency.svg", "messages-per-put-dark.svg", "messages-per-put.svg"]


class Plot(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.measured = self.directory / "messages.json"
        self.measured.write_text(json.dumps(MEASURED))

    def plot(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "docs" / "plot.py"), *arguments],
            capture_output=True, check=False, text=True,
        )

    def test_pictures_stand_beside_the_measurements_and_replace_no_others(self) -> None:
        tracked = {name: (ROOT / "docs" / name).read_bytes() for name in PICTURES}
        self.assertEqual(self.plot(str(self.measured)).returncode, 0)
        self.assertEqual(sorted(path.name for path in self.directory.glob("*.svg")), PICTURES)
        self.assertEqual({name: (ROOT / "docs" / name).read_bytes() for name in PICTURES}, tracked)

    def test_pictures_go_where_they_are_asked_for(self) -> None:
        place = self.directory / "place"
        place.mkdir()
        self.assertEqual(self.plot(str(self.measured), "--into", str(place)).returncode, 0)
        self.assertEqual(sorted(path.name for path in place.iterdir()), PICTURES)

    def test_usage_is_told_without_arguments(self) -> None:
        done = self.plot()
        self.assertEqual(done.returncode, 2)
        self.assertTrue(done.stderr.startswith("usage: plot.py"), done.stderr)

    def test_unusable_measurements_are_refused_in_one_line(self) -> None:
        for content in ("", "{}", "[]", "5", '{"open loop": [], "closed loop": []}'):
            with self.subTest(content):
                self.measured.write_text(content)
                done = self.plot(str(self.measured))
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                self.assertIn(str(self.measured), done.stderr)
        done = self.plot(str(self.directory / "missing"))
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)

    def test_each_picture_of_the_documentation_has_its_dark_variant(self) -> None:
        light = [path for path in (ROOT / "docs").glob("*.svg") if not path.stem.endswith("-dark")]
        self.assertGreater(len(light), 2)
        for path in light:
            with self.subTest(path.name):
                self.assertEqual(self.plot(str(path), "--into", str(self.directory)).returncode, 0)
                name = f"{path.stem}-dark.svg"
                drawn = (self.directory / name).read_text()
                self.assertEqual(drawn, (ROOT / "docs" / name).read_text())
                self.assertNotEqual(drawn, path.read_text())
