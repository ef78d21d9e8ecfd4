"""The pages that the checks open, and a browser that opens them. `run.py` calls `prepare` first."""

from __future__ import annotations

import json
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from picture.browser import Browser
from simulator import picture
from simulator.tests import synthetic_trace

_MESSAGES = 4_000
DIAGRAM = "#diagram"
DOWN, UP = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
# The events of five replicas, in microseconds: 0000 leads, is killed, and 0001 leads.
_EVENTS = [
    ["m", 1_000, 0, "0000", "0001", {"leader": "0000", "type": "append", "term": 1}, 50],
    ["m", 2_000, 1, "0001", "0000", {"leader": "0000", "type": "ok", "term": 1}, 50],
    ["e", 3_000, "pause", {"replica": "0002"}], ["e", 4_000, "resume", {"replica": "0002"}],
    ["e", 20_000, "heal", {}],
    ["e", 20_010, "one_way", {"from": ["0000", "0001"], "to": ["0003", "0004"]}],
    ["e", 20_020, "one_way", {"from": ["0003", "0004"], "to": ["0000", "0001"]}],
    ["e", 20_030, "note", {"text": "part_bridge: over 0002"}],
    ["e", 30_000, "partition", {"side": ["0000", "0001", "0002"]}],
    ["e", 30_010, "note", {"text": "part_easy: majority side 0000 0001 0002"}],
    ["e", 40_000, "heal", {}], ["e", 40_010, "note", {"text": "part_end: healed"}],
    ["e", 50_000, "kill", {"replica": "0000"}],
    ["e", 60_000, "restart", {"replica": "0003"}], ["e", 70_000, "back", {"replica": "0003"}],
    ["m", 80_000, 2, "0001", "0002", {"leader": "FFFF", "type": "vote", "term": 2}, "chance"],
    ["m", 90_000, 3, "0001", "0002", {"leader": "0001", "type": "append", "term": 2}],
    ["e", 95_000, "unheard of", {"a": 1}],
]
# Replica 0002 flaps, 0003 is slow, a message is damaged, and the queue of a link overflows.
_WHEN = {"on": "write_acknowledged", "after": 0.0005, "from": 0, "count": 1}
_SETTINGS = {"start_wait": 0, "events": [
    {"type": "flap", "when": _WHEN}, {"type": "slow", "time": 0.46}, {"type": "slow", "when": _WHEN},
]}
_FAULTS = [
    ["e", 10_000, "note", {"text": "flap: 0002 loses and regains its links"}],
    *(record for n in range(20) for record in (
        ["e", 10_000 + 20_000 * n, "partition", {"side": ["0002"]}], ["e", 20_000 + 20_000 * n, "heal", {}],
    )),
    ["e", 460_000, "slow", {"replica": "0003", "by": 0.05}],
    ["e", 460_000, "note", {"text": "slow: 0003 takes 0.05 s longer"}],
    ["m", 461_000, 0, "0000", "0001", {"leader": "0000", "type": "append", "term": 1}],
    ["c", 463_000, 0, '{"leader":"0000","type":"appenn","term":1}'], ["d", 463_000, 0],
    ["m", 464_000, 1, "0000", "0001", {"leader": "0000", "type": "append", "term": 1}, "overflow"],
    ["m", 465_000, 2, "0003", "0004", {"leader": "0000", "type": "append", "term": 1}, 9_000_000],
    ["e", 490_000, "slow_end", {"replica": "0003"}],
]
_NO_START = [["f", -5, "replica 0002 did not start: last lines of stderr:\n    no thanks", {}]]
_END = {"end": True, "time": 100_000, "verdict": "passed", "checks": []}
pages: dict[str, Path] = {}
records: list[Any] = []


def prepare(directory: Path) -> None:
    """Write the pages of a run that passed, of one that failed, and of a damaged trace."""
    for name in ("passed", "failed"):
        trace = directory / f"{name}.trace"
        synthetic_trace.write(trace, _MESSAGES, violation=name == "failed")
        pages[name] = directory / f"{name}.html"
        picture.write(trace, pages[name])
    lines = (directory / "failed.trace").read_text().splitlines()
    records[:] = map(json.loads, lines)
    head = records[0] | {"scenario": "<img src=x onerror='document.title = \"hacked\"'>"}
    none = records[0] | {"replicas": []}
    many = records[0] | {"replicas": [f"{number:04X}" for number in range(21)]}
    for name, first, events in (
        ("events", records[0], _EVENTS), ("faults", records[0] | {"settings": _SETTINGS}, _FAULTS),
        ("no messages", records[0], []),
        ("no start", records[0], _NO_START), ("no replicas", none, records[1:]),
        ("21 replicas", many, records[1:]),
    ):
        trace = directory / f"{name}.trace"
        end = [] if name == "no start" else [_END]
        trace.write_text("".join(f"{json.dumps(record)}\n" for record in (first, *events, *end)))
        pages[name] = directory / f"{name}.html"
        picture.write(trace, pages[name])
    damaged = directory / "damaged.trace"
    damaged.write_text("\n".join([json.dumps(head), *lines[1:500], lines[500][:20]]))
    pages["damaged"] = directory / "damaged.html"
    picture.write(damaged, pages["damaged"])


def messages() -> Iterator[list[Any]]:
    """The records of messages, each with its body."""
    body = None
    for record in records:
        if isinstance(record, list) and record[0] == "m":
            body = record[5] if record[5] is not None else body
            yield [*record[:5], body, record[6]]


class Page(unittest.TestCase):
    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.browser.close()

    def open(self, name: str, width: int = 1280, theme: str = "light") -> Browser:
        """Open a page and stop its smooth scrolling, so that a click meets what it aims at."""
        browser = self.browser
        browser.prefer(theme)
        browser.resize(width, 900)
        browser.open(pages[name])
        browser.script("document.documentElement.style.scrollBehavior = 'auto'")
        return browser

    def tearDown(self) -> None:
        self.assertEqual(self.browser.complaints(), [])

    def view(self) -> tuple[float, float]:
        start, end = self.browser.script("return [picture.view.from, picture.view.to]")
        return start, end

    def span(self) -> float:
        start, end = self.view()
        return end - start

    def status(self) -> str:
        return self.browser.text("#status")

    def place_of(self, message: int) -> list[float]:
        """The middle of the line of a message, on the canvas."""
        place: list[float] = self.browser.script(
            "picture.diagram.draw(); return picture.diagram.placeOf(arguments[0])", message
        )
        return place
