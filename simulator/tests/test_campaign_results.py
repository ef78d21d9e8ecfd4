"""The outputs of a campaign: JUnit XML, the page, and the statistics behind them."""

import html.parser
import random
import tempfile
import unittest
from array import array
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree

from simulator.campaign import junit, session
from simulator.campaign.job import Outcome
from simulator.campaign.statistics import bins, quantile, wilson
from simulator.campaign.store import Store
from simulator.campaign.summary import failures, page, tables
from simulator.campaign.tally import Tally
from simulator.tests.support import write_config
from simulator.tests.test_campaign import planned

CONTROL = "a\x00b\x1b[31m\ud800\uffff<&>\"'\n]]>"


class Statistics(unittest.TestCase):
    def test_interval_of_wilson_has_the_known_values(self) -> None:
        # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for passed, runs, low, high in (
            (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718),
        ):
            found = wilson(passed, runs)
            self.assertAlmostEqual(found[0], low, 4)
            self.assertAlmostEqual(found[1], high, 4)

    def test_interval_has_the_rate_and_grows_narrow(self) -> None:
        self.assertEqual(wilson(0, 0), (0, 1))
        for runs in (1, 2, 10, 1000):
            for passed in (0, runs // 2, runs):
                low, high = wilson(passed, runs)
                self.assertTrue(0 <= low <= passed / runs <= high <= 1)
        self.assertLess(wilson(1000, 1000)[1] - wilson(1000, 1000)[0], 0.004)

    def test_interval_covers_the_true_rate_as_often_as_it_says(self) -> None:
        draw, covered = random.Random(1), 0
        for _ in range(2_000):
            passed = sum(draw.random() < 0.9 for _ in range(40))
            low, high = wilson(passed, 40)
            covered += low <= 0.9 <= high
        self.assertTrue(0.93 < covered / 2_000 < 0.98, covered)

    def test_quantiles_lie_between_values(self) -> None:
        self.assertEqual([quantile([1, 2, 4], share) for share in (0, 0.25, 0.5, 1)], [1, 1.5, 2, 4])
        self.assertEqual(quantile([7], 0.95), 7)

    def test_each_value_is_in_one_bin(self) -> None:
        self.assertEqual(bins([0, 1, 2, 3, 4], 4), [1, 1, 1, 2])
        self.assertEqual(bins([5, 5], 3), [2, 0, 0])


class Outputs(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.configs = []
        for name in ("a", "b"):
            path = self.directory / f"{name}.json"
            write_config(self.directory).replace(path)
            self.configs.append(path)

    def written(self, *changes: dict[str, Any]) -> Path:
        """A directory with the outputs of runs of the first scenario, from seed 1 on."""
        out = self.directory / "out"
        out.mkdir()
        plan = planned(self.configs, "1..1000")
        store = Store(out)
        tally = Tally(plan, [store.path])
        jobs = [job for job in plan.jobs() if job.config == self.configs[0]]
        for job, change in zip(jobs, changes, strict=False):
            outcome = Outcome(job.key, job.config_name, job.seed, "passed", command=job.command, seconds=1.5)
            outcome = Outcome(**{**vars(outcome), **change})
            tally.add(outcome, (0, store.append(outcome)))
        store.close()
        session.write(tally, out)
        return out

    FAILED = {
        "verdict": "failed", "reason": CONTROL, "failed": ({"name": "Incorrect", "text": CONTROL},),
        "advice": (CONTROL,), "kept": "kept/a b/<i>", "command": "./run.py 'a b' <&",
    }
    ERROR = {"verdict": "error", "reason": "was ended", "said": CONTROL}

    def test_junit_has_a_suite_per_scenario_and_each_failure_with_its_command(self) -> None:
        out = self.written({}, self.FAILED, self.ERROR)
        suites = ElementTree.parse(out / junit.FILE).getroot()
        self.assertEqual(suites.attrib, {
            "name": "campaign of kvstore", "tests": "3", "failures": "1", "errors": "1", "time": "4.500",
        })
        self.assertEqual([suite.get("name") for suite in suites], [str(path) for path in self.configs])
        submission = planned(self.configs, "1..2", replica=self.directory / "submission")
        junit.write(Tally(submission, []), self.directory)
        whole = ElementTree.parse(self.directory / junit.FILE).getroot()
        self.assertEqual(whole.get("name"), f"campaign of {self.directory / 'submission'}")
        cases = list(suites[0])
        self.assertEqual([case.get("name") for case in cases], ["seed 1", "seed 2", "seed 3"])
        self.assertEqual(list(cases[0]), [])
        failure, error = cases[1].find("failure"), cases[2].find("error")
        assert failure is not None and error is not None
        self.assertEqual(failure.get("type"), "Incorrect")
        self.assertIn("repeat: ./run.py 'a b' <&", failure.text or "")
        self.assertIn(r"a\x00b\x1b[31m\ud800\uffff<&>", failure.text or "")
        self.assertIn("files: kept/a b/<i>", failure.text or "")
        self.assertIn("output:", error.text or "")

    def test_page_has_each_failure_with_its_command_and_its_files(self) -> None:
        text = (self.written({}, self.FAILED, self.ERROR) / page.FILE).read_text()
        self.assertIn("<h1>1 of 3 runs passed</h1>", text)
        self.assertIn("<code>./run.py &#x27;a b&#x27; &lt;&amp;</code>", text)
        self.assertIn('<a href="kept/a%20b/%3Ci%3E">kept/a b/&lt;i&gt;</a>', text)
        self.assertIn("1,997 of 2,000 runs are missing", text)
        self.assertEqual(text.count("<details>"), 2)
        self.assertNotIn("{{", text)
        self.assertNotIn("\x1b", text)
        balance = _Balance()
        balance.feed(text)
        self.assertEqual((balance.open, balance.faults), ([], []))

    def test_page_needs_no_other_file(self) -> None:
        text = (self.written(self.FAILED) / page.FILE).read_text()
        for word in ("http:", "https:", "<link", "src=", "@import", "url("):
            self.assertNotIn(word, text)

    def test_page_shows_a_bounded_number_of_failures(self) -> None:
        with mock.patch.object(failures, "MOST_SHOWN", 2):
            text = (self.written(*[self.FAILED] * 5) / page.FILE).read_text()
        self.assertEqual(text.count("<details>"), 2)
        self.assertIn("3 more are in results.jsonl", text)

    def test_page_without_failures_or_metrics_says_so(self) -> None:
        text = (self.written({}) / page.FILE).read_text()
        self.assertIn("No run failed.", text)
        self.assertIn("These runs have no metrics.", text)

    def test_metrics_have_their_distribution_without_the_runs_that_lack_them(self) -> None:
        runs = [{"metrics": {"median_latency": value, "failover": None}} for value in (0.001, 0.002, None, 0.009)]
        text = (self.written(*runs) / page.FILE).read_text()
        row = next(line for line in text.split("<tr>") if "median latency" in line)
        self.assertIn("<td>3<td>1<td>2<td>8.3<td>9<td><svg", row)
        self.assertNotIn("failover", text)

    def test_numbers_are_short(self) -> None:
        for value, shown in ((0, "0"), (12.0, "12"), (0.12345, "0.123"), (1234.5, "1,234"), (1e7, "10,000,000")):
            self.assertEqual(tables.number(value), shown)

    def test_memory_of_a_run_is_small(self) -> None:
        tally = Tally(planned(self.configs, "1"), [])
        tally.add(Outcome("k", str(self.configs[0]), 1, "failed", said="x" * 10_000, metrics={"a": 1}), (0, 0))
        scenario = tally.scenarios[str(self.configs[0])]
        self.assertEqual((scenario.places, scenario.metrics), ({1: (0, 0)}, {"a": array("d", [1])}))


class _Balance(html.parser.HTMLParser):
    """Finds elements that are closed in another order than they were opened."""

    CHECKED = frozenset("main section details summary table tbody div ul pre svg code button".split())

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self.CHECKED:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.CHECKED and (not self.open or self.open.pop() != tag):
            self.faults.append(tag)


if __name__ == "__main__":
    unittest.main()
