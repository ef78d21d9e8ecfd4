"""One click from the verdict leads to the requests that contradict each other, or to the mistake.

The replicas are those of `simulator/tests` that have a flaw: the toy replica in virtual time, and
the one that looks sound as processes.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from picture.browser import Browser
from picture.page import Page, pages
from simulator import picture
from simulator.console import Console
from simulator.judge import judged
from simulator.tests.support import ROOT, SMALL, small_scenario
from simulator.tests.test_agreement import checker
from simulator.tests.virtual import VirtualRun
from simulator.trace.outline import last_line

EXPLORE = ROOT / "target" / "release" / "explore"
_OPERATIONS = {"cas": 0.25, "increment": 0.25, "append": 0.125, "delete": 0.125}
_LOSSY = {
    "lifetime": 14, "end_wait": 10, "requests": 300, "mix": 0.3, "operations": _OPERATIONS,
    "client_drops": 0.2, "client_timeout": 0.3,
}
# Flaws by the kind of their place: requests that contradict each other, or a message.
_CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "wrong_value": {}, "applies_twice": {}, "increment_again": _LOSSY, "append_again": _LOSSY,
    "cas_anyway": _LOSSY, "delete_not": _LOSSY,
}
_BROKEN_MESSAGES = {
    "malformed": "must be four hexadecimal digits", "impostor": "must be the sender",
    "unknown_mid": "MID 'invented'", "unknown_destination": "to ABCD",
}
# Of more requests some may have no room for a name.
_FEW = 6
# Limits on answers, and the outcome of the requests that exceed them.
_LIMITS: dict[str, dict[str, Any]] = {
    "fails": {"tests": SMALL["tests"] | {"maximum_failures": 0}},
    "silent": {
        "tests": SMALL["tests"] | {"maximum_put_fail_fraction": 0}, "client_drops": 0.5, "client_timeout": 3,
    },
}
_OUTCOMES = {"fails": "fail", "silent": ""}
# Known bugs of the explorer, and how many requests and messages show each of them at least.
_BUGS = {"votes-twice": (0, 2), "unproven-reads": (2, 2), "acks-beyond": (0, 1)}
_MOST_SEEDS = 300
_FLAWS = ("acknowledges_early", "reads_locally")


def prepare(directory: Path) -> None:
    """Write a page of each unsafe replica."""
    started = [_start(directory, flaw) for flaw in _FLAWS]
    for behaviour in (*_CONTRADICTIONS, *_BROKEN_MESSAGES, *_LIMITS):
        trace = directory / f"{behaviour}.trace"
        scenario = small_scenario(**(_CONTRADICTIONS | _LIMITS).get(behaviour, {}))
        run = VirtualRun(scenario, behaviour, traces=[trace])
        said = io.StringIO()
        last = last_line(judged(run.result, checker(), Console(said, said)))
        lines = trace.read_text().splitlines()
        trace.write_text("\n".join([*lines[:-1], json.dumps(last), ""]))
        pages[behaviour] = directory / f"{behaviour}.html"
        picture.write(trace, pages[behaviour])
    for process in started:
        process.wait()
    if EXPLORE.exists():
        for bug in _BUGS:
            _explore(directory, bug)


def _explore(directory: Path, bug: str) -> None:
    """The page of the first seed that shows a known bug."""
    plan, trace = directory / "plan.json", directory / f"{bug}.trace"
    explore = [str(EXPLORE), "--bug", bug, "--no-minimise", "--save", str(plan)]
    hunt = [*explore, "--seeds", str(_MOST_SEEDS)]
    found = subprocess.run(hunt, capture_output=True, check=False, text=True)
    seed = re.search(r"seed (\d+)", found.stdout)
    assert seed, found.stdout
    again = [*explore, "--seed", seed[1], "--trace-file", str(trace)]
    subprocess.run(again, capture_output=True, check=False)
    pages[bug] = directory / f"{bug}.html"
    picture.write(trace, pages[bug])


def _start(directory: Path, flaw: str) -> subprocess.Popen[bytes]:
    pages[flaw] = directory / f"{flaw}.html"
    return subprocess.Popen(
        [
            sys.executable, "run.py", "--replica", "simulator/tests/unsafe_replica.py", "--checker",
            str(checker()), "--report", str(pages[flaw]), "configs/beyond/catch-unsafe.json",
        ],
        cwd=ROOT, env=os.environ | {"FLAW": flaw}, stdout=subprocess.DEVNULL,
    )


class Verdict(Page):
    def follow(self, name: str, width: int, theme: str = "light") -> Browser:
        """Click on the link of the last failed check."""
        browser = self.open(name, width, theme)
        browser.click(".failure:last-child .primary")
        browser.script("picture.diagram.draw()")
        return browser

    def test_one_click_shows_the_requests_that_contradict_each_other(self) -> None:
        for name in (*_CONTRADICTIONS, *_FLAWS):
            for width in (1280, 400):
                with self.subTest(name=name, width=width):
                    browser = self.follow(name, width)
                    self.check_requests(browser)
                    self.check_words(browser)

    def check_requests(self, browser: Browser) -> None:
        """All are in view, those that were done have names, and their messages are in bold."""
        marked, done, named, chosen, steps = browser.script("""
            const { run, marked, diagram, path } = picture;
            const done = marked.filter((i) => run.outcomes[run.outcome[i]] === "ok");
            return [marked.map((i) => [run.invoked[i], run.returned(i)]), done, diagram.named,
                picture.selected.index, path.steps.map(({ message }) => run.sent[message])];""")
        start, end = self.view()
        self.assertTrue(marked)
        self.assertTrue(all(start < invoked and returned < end for invoked, returned in marked))
        self.assertTrue(done)
        if browser.box("#diagram")["width"] > 1000:
            self.assertIn(chosen, named)
            least = len(done) if len(done) <= _FEW else _FEW
            self.assertGreaterEqual(len(set(done) & set(named)), least)
        self.assertGreaterEqual(len(steps), len(marked))

    def check_words(self, browser: Browser) -> None:
        """The explanation stands above the diagram, and both are in the window."""
        words = browser.text("#case-words")
        self.assertRegex(words, r"returned|No order of these|lets")
        self.assertGreater(len(browser.text("#case-steps")), 8)
        case, diagram = browser.box("#case"), browser.box("#diagram")
        self.assertGreaterEqual(case["top"], 0)
        self.assertLess(case["bottom"], diagram["top"])
        self.assertLess(diagram["top"], 600)

    def test_fault_that_lets_a_flaw_show_is_in_view(self) -> None:
        browser = self.follow("acknowledges_early", 1280)
        start, end = self.view()
        marks = browser.script("return picture.diagram.marks.map(({ time, text }) => [time, text])")
        shown = [text for time, text in marks if start < time < end]
        self.assertTrue(any("killed" in text for text in shown), shown)

    def test_one_click_shows_the_requests_that_exceed_a_limit(self) -> None:
        for name, outcome in _OUTCOMES.items():
            with self.subTest(name=name):
                browser = self.follow(name, 1280)
                outcomes, (first, last) = browser.script("""
                    const { run, marked } = picture;
                    return [marked.map((i) => [run.outcomes[run.outcome[i]], run.kinds[run.kind[i]]]),
                        [run.invoked[marked[0]], run.returned(marked[0])]];""")
                self.assertEqual({told for told, _ in outcomes}, {outcome})
                start, end = self.view()
                self.assertTrue(start < first and last < end)
                if name == "silent":
                    self.assertEqual({kind for _, kind in outcomes}, {"put"})

    @unittest.skipUnless(EXPLORE.exists(), "the explorer is not built")
    def test_one_click_shows_what_breaks_a_rule_of_the_explorer(self) -> None:
        for name, (requests, least) in _BUGS.items():
            for width in (1280, 400):
                with self.subTest(name=name, width=width):
                    browser = self.follow(name, width)
                    self.assertIn("is broken at", browser.text("#case-words"))
                    marked, times = browser.script("""
                        const { run, marked, path } = picture;
                        return [marked.length, path.steps.map(({ message }) => run.sent[message])];""")
                    self.assertGreaterEqual(marked, requests)
                    start, end = self.view()
                    self.assertGreaterEqual(sum(start < time < end for time in times), least)

    def test_five_lines_of_advice_are_all_in_sight_on_a_narrow_screen(self) -> None:
        browser = self.open("acknowledges_early")
        browser.resize(400, 900)
        hidden = browser.script("""
            const list = document.getElementById("advice-list"), line = list.firstElementChild;
            while (list.children.length < 5) list.append(line.cloneNode(true));
            return list.scrollHeight - list.clientHeight;""")
        browser.resize(1280, 900)
        self.assertLessEqual(hidden, 0)

    def test_advice_leads_to_its_place(self) -> None:
        for name, words in {"acknowledges_early": "answer after a majority", "malformed": "four hex"}.items():
            with self.subTest(name=name):
                browser = self.open(name)
                self.assertIn(words, browser.text("#advice"))
                browser.click("#advice-list li button")
                self.assertIn(words, browser.text("#case-words"))
                (start, end), times = self.view(), browser.script("""
                    const { run, marked, path } = picture;
                    if (marked.length) return marked.map((i) => run.invoked[i]);
                    return path.steps.map(({ message }) => run.sent[message]);""")
                self.assertTrue(times)
                self.assertTrue(all(start < time < end for time in times))

    def test_one_click_shows_the_message_that_breaks_the_protocol(self) -> None:
        for name, words in _BROKEN_MESSAGES.items():
            with self.subTest(name=name):
                browser = self.follow(name, 1280)
                self.assertIn(words, browser.text("#case-words"))
                (time, body), = browser.script("""
                    const { run, path } = picture;
                    return path.steps.map(({ message }) => [run.sent[message], run.bodyText(message)]);""")
                start, end = self.view()
                self.assertTrue(start < time < end)
                self.assertRegex(body, "nobody|0002|invented|ABCD")
