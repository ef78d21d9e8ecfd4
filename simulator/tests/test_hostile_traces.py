"""Traces with wrong types, control characters and texts that UTF-8 lacks: replay takes them all."""

import copy
import errno
import io
import json
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import messages, picture
from simulator.console import Console
from simulator.tests.support import small_scenario
from simulator.tests.virtual import VirtualRun
from simulator.trace import cli, reader
from simulator.trace.reader import Reader

ESCAPE = "\x1b[31mred\n"
WRONG: tuple[Any, ...] = (None, True, -1, 1e300, 10**40, 0.5, ESCAPE, "\ud800", [], {}, [[1]])
kept = tempfile.TemporaryDirectory()


def setUpModule() -> None:
    VirtualRun(small_scenario(lifetime=5), "correct", traces=[Path(kept.name) / "good.trace"])


def tearDownModule() -> None:
    kept.cleanup()


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a value; of a list, to its first part."""
    parts = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, part in parts:
        yield (*before, key)
        yield from places(part, (*before, key))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    whole = copy.deepcopy(value)
    part = whole
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = new
    return whole


class HostileTraces(unittest.TestCase):
    def setUp(self) -> None:
        self.lines = (Path(kept.name) / "good.trace").read_bytes().splitlines()
        self.path = Path(kept.name) / "hostile.trace"

    def replay(self, number: int, line: Any, *arguments: str) -> tuple[int, str]:
        """The exit code and all output for a trace in which one line is another."""
        lines = list(self.lines)
        lines[number] = json.dumps(line).encode()
        self.path.write_bytes(b"\n".join(lines) + b"\n")
        out = io.StringIO()
        with mock.patch.object(cli, "Console", lambda: Console(out, out)), redirect_stderr(out):
            code = cli.main([str(self.path), "--no-check", *arguments])
        return code, out.getvalue()

    def assert_shown(self, number: int, all_places: Iterator[tuple[Any, ...]] | None = None) -> None:
        """No part of a line that has a wrong type ends in an exception or moves the cursor."""
        line = json.loads(self.lines[number])
        for place in all_places or places(line):
            for wrong in WRONG:
                with self.subTest(place, wrong=wrong):
                    _, out = self.replay(number, changed(line, place, wrong))
                    self.assertNotIn("\x1b", out)

    def test_first_line_may_have_any_wrong_part(self) -> None:
        self.lines = [self.lines[0], *self.lines[-20:]]
        self.assert_shown(0)

    def test_last_line_may_have_any_wrong_part(self) -> None:
        self.lines = [self.lines[0], *self.lines[-20:]]
        self.assert_shown(len(self.lines) - 1)

    def test_last_line_with_a_wrong_figure_is_told(self) -> None:
        last = json.loads(self.lines[-1])
        for figure, wrong in (("gets", "5"), ("leaders", [5]), ("failovers", [-1]), ("seconds", None), ("puts", True)):
            with self.subTest(figure):
                code, out = self.replay(-1, changed(last, ("result", "figures", figure), wrong))
                self.assertEqual(code, 1)
                self.assertIn("the last line lacks the figures of a run; those of the records are shown\n", out)

    def test_events_and_leaders_cannot_move_the_cursor(self) -> None:
        for record in (["e", 1, "note", {"text": ESCAPE}], ["e", 1, "leader", {"replica": ESCAPE}]):
            with self.subTest(record):
                del self.lines[-1]
                _, out = self.replay(5, record)
                self.assertIn(r"\x1b[31mred\n", out)
                self.assertNotIn("\x1b", out)

    def test_lone_surrogates_are_read_by_each_decoder(self) -> None:
        for decode in (messages.decode, messages._standard_decode):
            with self.subTest(decode), mock.patch.object(messages, "decode", decode):
                self.replay(1, ["e", 1, "note", {"text": "\ud800"}])
                read = Reader(self.path)
                self.assertEqual(next(iter(read)), ["e", 1, "note", {"text": "\ud800"}])
                read.close()

    def test_page_of_a_run_with_any_name_is_drawn(self) -> None:
        self.replay(0, json.loads(self.lines[0]) | {"scenario": "\ud800<b>"})
        page = self.path.with_suffix(".html")
        picture.write(self.path, page)
        self.assertIn("<title>\\ud800&lt;b&gt;, seed ", page.read_text())

    def test_page_that_finds_no_room_does_not_hide_the_verdict(self) -> None:
        page = str(self.path.with_suffix(".html"))
        with mock.patch.object(picture, "write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            code, out = self.replay(0, json.loads(self.lines[0]), "--report", page)
        self.assertEqual(code, 1)
        self.assertIn(f"*** Simulator Error - {page}: could not be written: No space left on device\n", out)
        self.assertIn("All correctness tests passed\n", out)

    def test_trace_has_a_greatest_number_of_lines(self) -> None:
        self.path.write_bytes(b"\n".join(self.lines) + b"\n")
        with mock.patch.object(reader, "_MOST_LINES", 10):
            read = Reader(self.path)
            self.assertEqual(len(list(read)), 9)
        said = f"{self.path}: line 11 is beyond the 10 lines that are read; the lines before it are used"
        self.assertEqual(read.damage, said)

    def test_trace_has_a_greatest_number_of_bytes(self) -> None:
        self.path.write_bytes(b"\n".join(self.lines) + b"\n")
        with mock.patch.object(reader, "MOST_BYTES", sum(map(len, self.lines[:3])) + 3):
            read = Reader(self.path)
            self.assertEqual(len(list(read)), 2)
            self.assertIn("line 4 is beyond the ", read.damage or "")

    def test_numbers_beyond_all_bounds_are_damage(self) -> None:
        lines = [*self.lines[:5], b'["e",1e999,"note",{"text":""}]']
        self.path.write_bytes(b"\n".join(lines) + b"\n")
        read = Reader(self.path)
        self.assertEqual(len(list(read)), 4)
        self.assertIn("line 6 is not JSON", read.damage or "")
