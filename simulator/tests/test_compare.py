"""Comparisons: their statistics on known data, the order of the runs, and what they claim."""

import argparse
import contextlib
import io
import json
import math
import os
import tempfile
import unittest
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from simulator.campaign.job import ERROR, FAILED, PASSED, Job, Outcome
from simulator.campaign.process import Ended
from simulator.compare import beside, cli, interval, page, series, table, turns
from simulator.compare.estimate import Estimate, duration
from simulator.compare.findings import ALL, Finding, PairOfRuns, Verdict, findings, why
from simulator.compare.runs import Refused, Setting, job_of
from simulator.compare.sides import Side
from simulator.compare.turns import Pair
from simulator.console import Console
from simulator.tests.support import write_config

SIDES = (Side("A", None, ("--no-thrift",)), Side("B", Path("/replicas/<b>"), ()))


def outcome(verdict: str = PASSED, reason: str = "", **metrics: float | None) -> Outcome:
    known = {"total_msgs": 1000.0, "median_latency": 0.001, "failures": 0, "unanswered": 0}
    return Outcome("x#1", "x.json", 1, verdict, reason, metrics=known | metrics if verdict != ERROR else {})


def pairs_of(a: list[Outcome], b: list[Outcome], scenario: str = "x") -> list[PairOfRuns]:
    return [PairOfRuns(scenario, seed, runs) for seed, runs in enumerate(zip(a, b, strict=True), 1)]


def messages(a: list[float], b: list[float]) -> list[PairOfRuns]:
    return pairs_of([outcome(total_msgs=count) for count in a], [outcome(total_msgs=count) for count in b])


def of_metric(found: list[Finding], metric: str, scenario: str = "x") -> Finding:
    [finding] = [f for f in found if (f.scenario, f.metric) == (scenario, metric)]
    return finding


class Intervals(unittest.TestCase):
    def test_quantiles_are_those_of_the_tables(self) -> None:
        for freedom, middle, expected in (
            (1, 0.95, 12.706), (2, 0.95, 4.303), (3, 0.95, 3.182), (4, 0.95, 2.776), (10, 0.95, 2.228),
            (29, 0.95, 2.045), (4, 0.99, 4.604), (7, 0.6, 0.896), (1_000_000, 0.95, 1.960),
        ):
            with self.subTest(freedom=freedom, middle=middle):
                self.assertAlmostEqual(interval.quantile(freedom, middle), expected, 3)

    def test_interval_of_known_data(self) -> None:
        # Student's own data: ten patients, hours of sleep won by one drug over the other.
        found = interval.of_mean([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
        assert found is not None
        self.assertAlmostEqual(found.mean, 1.58)
        self.assertAlmostEqual(found.low, 0.7001, 4)
        self.assertAlmostEqual(found.high, 2.4599, 4)

    def test_interval_holds_the_truth_in_95_of_100_samples(self) -> None:
        for count in (3, 5, 12):
            random, samples = Random(count), 4000
            held = 0
            for _ in range(samples):
                found = interval.of_mean([random.gauss(0.3, 1) for _ in range(count)])
                assert found is not None
                held += found.low <= 0.3 <= found.high
            with self.subTest(count):
                self.assertAlmostEqual(held / samples, 0.95, delta=0.012)

    def test_needed_number_shows_the_difference_in_80_of_100_samples(self) -> None:
        random, samples = Random(1), 2000
        count = interval.needed(0.5, 1)
        self.assertEqual(count, 34)
        shown = 0
        for _ in range(samples):
            found = interval.of_mean([random.gauss(0.5, 1) for _ in range(34)])
            assert found is not None
            shown += found.excludes_zero
        self.assertAlmostEqual(shown / samples, 0.8, delta=0.03)

    def test_needed_number_has_both_ends(self) -> None:
        self.assertEqual(interval.needed(1, 0), interval.FEWEST)
        self.assertIsNone(interval.needed(0, 1))
        self.assertIsNone(interval.needed(1e-9, 1))

    def test_two_values_have_no_interval(self) -> None:
        self.assertIsNone(interval.of_mean([1, 2]))

    def test_uneven_coins(self) -> None:
        self.assertEqual(interval.by_chance(0, 0), 1)
        self.assertEqual(interval.by_chance(5, 0), 2 / 32)
        self.assertEqual(interval.by_chance(0, 6), 2 / 64)
        self.assertEqual(interval.by_chance(3, 3), 1)


class Claims(unittest.TestCase):
    def test_clear_difference_is_told_with_its_ratio(self) -> None:
        found = of_metric(findings(messages([1000, 1010, 990], [800, 810, 790])), "messages")
        self.assertEqual((found.verdict, found.text), (Verdict.DIFFERENT, "B sends 20 % fewer"))
        assert found.estimate is not None and found.low is not None and found.high is not None
        self.assertAlmostEqual(found.estimate, 0.8, 3)
        self.assertLess(found.low, found.estimate)
        self.assertLess(found.high, 1)

    def test_estimate_is_the_ratio_of_the_columns(self) -> None:
        found = of_metric(findings(messages([1000, 4000, 2000], [1000, 1000, 1000])), "messages")
        self.assertEqual((found.a, found.b), ("2,000", "1,000"))
        self.assertAlmostEqual(found.estimate or 0, 0.5)

    def test_interval_around_1_is_noise_and_tells_the_pairs_it_takes(self) -> None:
        found = of_metric(findings(messages([100, 100, 100, 100], [110, 95, 108, 97])), "messages")
        self.assertEqual(found.verdict, Verdict.NOISE)
        assert found.needed is not None
        self.assertGreater(found.needed, 4)
        self.assertEqual(found.text, f"noise (about {found.needed:,} pairs are needed to tell)")

    def test_fewer_than_three_pairs_claim_nothing(self) -> None:
        found = of_metric(findings(messages([1000, 1000], [10, 10])), "messages")
        self.assertEqual((found.verdict, found.low, found.text), (Verdict.TOO_FEW, None, "too few pairs to tell: 2"))

    def test_equal_runs_are_equal(self) -> None:
        found = of_metric(findings(messages([9, 8, 7], [9, 8, 7])), "messages")
        self.assertEqual((found.verdict, found.text), (Verdict.SAME, "equal in each pair"))

    def test_counts_are_compared_by_their_difference(self) -> None:
        a = [outcome(failures=0), outcome(failures=0), outcome(failures=1), outcome(failures=0)]
        b = [outcome(failures=9), outcome(failures=8), outcome(failures=10), outcome(failures=9)]
        found = of_metric(findings(pairs_of(a, b)), "fail answers")
        self.assertEqual((found.verdict, found.estimate), (Verdict.DIFFERENT, 8.75))
        self.assertEqual(found.text, "B has 8.8 more per run")

    def test_same_difference_everywhere_takes_six_pairs(self) -> None:
        for count, verdict in ((5, Verdict.TOO_FEW), (6, Verdict.DIFFERENT)):
            a, b = [outcome(failures=0)] * count, [outcome(failures=1)] * count
            with self.subTest(count):
                self.assertEqual(of_metric(findings(pairs_of(a, b)), "fail answers").verdict, verdict)
        found = of_metric(findings(pairs_of(a[:5], b[:5])), "fail answers")
        self.assertEqual((found.text, found.needed), ("alike in each pair, and 6 such pairs would tell", 6))

    def test_first_of_several_reasons_is_told(self) -> None:
        failed = ({"name": "a", "text": "a: 1"}, {"name": "b", "text": "b: 2"})
        self.assertEqual(why(replace(outcome(FAILED, "a: 1; b: 2"), failed=failed)), "a: 1; and 1 more")
        self.assertEqual(why(outcome(ERROR, "no such file")), "no such file")

    def test_failed_run_counts_as_a_pass_that_is_missing_and_in_no_ratio(self) -> None:
        failed = outcome(FAILED, "Linearizable history: no", total_msgs=1.0)
        pairs = pairs_of([outcome()] * 4, [outcome(), failed, outcome(ERROR, "no such file"), outcome()])
        found = findings(pairs)
        self.assertEqual((of_metric(found, "passes").a, of_metric(found, "passes").b), ("4 of 4", "2 of 4"))
        self.assertEqual(of_metric(found, "messages").pairs, 2)
        self.assertEqual(of_metric(found, "unanswered requests").pairs, 3)
        remarks = table.remarks(pairs, found)
        self.assertIn("The ratios leave out 2 pairs in which a run did not pass:", remarks)
        self.assertIn("x, seed 2: B: Linearizable history: no", remarks)
        self.assertIn("x, seed 3: B: no such file", remarks)

    def test_passes_differ_if_a_coin_would_rarely_do_that(self) -> None:
        for count, verdict in ((5, Verdict.NOISE), (6, Verdict.DIFFERENT)):
            found = of_metric(findings(pairs_of([outcome()] * count, [outcome(FAILED)] * count)), "passes")
            with self.subTest(count):
                self.assertEqual(found.verdict, verdict)

    def test_metric_that_a_run_lacks_is_left_out(self) -> None:
        pairs = pairs_of([outcome(failover=0.2)] * 3, [outcome(failover=0.1), outcome(failover=None), outcome()])
        self.assertEqual(of_metric(findings(pairs), "failover time").pairs, 1)
        self.assertNotIn("p99 latency", [finding.metric for finding in findings(pairs)])

    def test_several_scenarios_are_judged_together_as_well(self) -> None:
        pairs = messages([10, 10, 10], [9, 9, 8]) + pairs_of([outcome()] * 3, [outcome()] * 3, "y")
        self.assertEqual(of_metric(findings(pairs), "messages", ALL).pairs, 6)


class Turns(unittest.TestCase):
    def test_sides_take_turns_as_abba(self) -> None:
        order = ["AB"[side] for pair in turns.pairs(["x"], range(4)) for side in pair.order]
        self.assertEqual("".join(order), "ABBAABBA")

    def test_each_scenario_has_its_turn_before_the_next_seed(self) -> None:
        planned = [(pair.scenario, pair.seed) for pair in turns.pairs(["x", "y"], [1, 2])]
        self.assertEqual(planned, [("x", 1), ("y", 1), ("x", 2), ("y", 2)])

    def test_seeds(self) -> None:
        self.assertEqual(list(turns.seeds("3")), [1, 2, 3])
        self.assertEqual(list(turns.seeds("6..8")), [6, 7, 8])
        self.assertEqual(list(turns.seeds("9,3..4")), [3, 4, 9])
        for text in ("0", "-1", "8..6", "x", "", "1..99999", "1..99999999", "9" * 5000, "²"):
            with self.subTest(text), self.assertRaisesRegex(argparse.ArgumentTypeError, "seed"):
                turns.seeds(text)

    def test_estimate_takes_lifetimes_then_what_was_measured(self) -> None:
        estimate = Estimate({"x": 30, "y": 10})
        self.assertEqual(estimate.words(["x", "x", "y"]), "at least 70 s")
        estimate.add("x", 32)
        self.assertEqual(estimate.left(["x", "y"]), 32 + 10 + 2)
        self.assertEqual(estimate.words(["x", "y"]), "about 44 s left")
        self.assertEqual(Estimate({"x": 0}).words(["x"]), "no estimate yet")
        self.assertEqual([duration(s) for s in (89, 600, 7200)], ["89 s", "10 min", "2.0 h"])


class SeriesOfRuns(unittest.TestCase):
    def play(self, run: Callable[[Job], Outcome], seeds: int = 4) -> tuple[series.Series, str]:
        said = io.StringIO()
        pairs = list(turns.pairs([Path("x.json")], range(1, seeds + 1)))
        played = series.Series(SIDES, pairs, Setting(), Estimate({"x": 1.0}), Console(said, said))
        with mock.patch.object(series, "runner", lambda _: run):
            played.play()
        return played, said.getvalue()

    def test_both_sides_run_each_seed(self) -> None:
        jobs: list[Job] = []

        def run(job: Job) -> Outcome:
            jobs.append(job)
            return outcome()

        played, said = self.play(run, 2)
        self.assertEqual([(job.seed, job.options) for job in jobs], [
            (1, ("--no-thrift",)), (1, ()), (2, ()), (2, ("--no-thrift",)),
        ])
        self.assertEqual([pair.seed for pair in played.done], [1, 2])
        self.assertIn("x, seed 1: A passed, B passed; about 0 s left\n", said)

    def test_outcome_belongs_to_its_side_whichever_runs_first(self) -> None:
        played, _ = self.play(lambda job: outcome(total_msgs=1 if job.options else 2))
        self.assertEqual({tuple(run.metrics["total_msgs"] for run in pair.runs) for pair in played.done}, {(1, 2)})

    def test_interrupted_pair_does_not_count(self) -> None:
        count = 0

        def run(job: Job) -> Outcome:
            nonlocal count
            count += 1
            if count == 4:
                raise KeyboardInterrupt
            return outcome()

        played, _ = self.play(run)
        self.assertEqual((len(played.done), played.stopped), (1, "interrupted"))

    def test_side_that_never_runs_ends_the_series(self) -> None:
        played, _ = self.play(lambda job: outcome(ERROR, "refused") if job.options else outcome(), 9)
        self.assertEqual((len(played.done), played.stopped), (3, "A does not run: refused"))

    def test_refused_options_end_the_series_at_once(self) -> None:
        played, _ = self.play(lambda job: replace(outcome(ERROR, "no option --x"), was_refused=bool(job.options)))
        self.assertEqual((played.done, played.stopped, played.was_refused), ([], "A: no option --x", True))

    def test_side_that_has_run_may_have_errors(self) -> None:
        played, _ = self.play(lambda job: outcome() if job.seed == 1 else outcome(ERROR, "killed"), 9)
        self.assertEqual((len(played.done), played.stopped), (9, ""))

    def test_virtual_runs_take_the_options_of_the_explorer(self) -> None:
        job = job_of(SIDES[0], Path("x.json"), 7, Setting(is_virtual=True))
        self.assertEqual((job.virtual, job.arguments, job.options), (True, ("--no-thrift",), ()))


class BothAtOnce(unittest.TestCase):
    """`run.py --beside` for each pair, with a process that leaves this result in its place."""

    def setUp(self) -> None:
        self.commands: list[list[str]] = []
        self.code = 0
        self.checks: dict[str, list[dict[str, Any]]] = {"first": [], "second": []}

    def process(self, command: list[str], *_: Any) -> Ended:
        self.commands.append(command)
        [file] = [Path(word.removeprefix("--json=")) for word in command if word.startswith("--json=")]
        figures = {
            "total_messages": 1, "failures": 0, "duplicates": 0, "median_latency": 0.1, "p99_latency": 0.2,
            "unanswered_gets": 0, "unanswered_puts": 0, "failovers": [],
        }
        if self.code != 2:
            file.write_text(json.dumps([
                {"correct": not checks, "checks": checks, "tiers": [], "figures": figures | {"total_messages": count}}
                for count, checks in enumerate(self.checks.values(), 1)
            ]))
        return Ended(self.code, "no option --x\n", 30.0)

    def carry_out(self, order: tuple[int, int]) -> PairOfRuns:
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(beside.process, "run", self.process):
            path = write_config(Path(directory))
            return beside.carry_out(Pair(0, path, 7, order), SIDES, Setting(is_beside=True), Path(directory))

    def test_sides_take_turns_as_the_first_cluster(self) -> None:
        for order, counts in (((0, 1), [1, 2]), ((1, 0), [2, 1])):
            pair = self.carry_out(order)
            self.assertEqual([run.metrics["total_msgs"] for run in pair.runs], counts)
        self.assertIn("--replica-options=--no-thrift", self.commands[0])
        self.assertIn("--beside=/replicas/<b>", self.commands[0])
        self.assertIn("--replica=/replicas/<b>", self.commands[1])
        self.assertIn("--beside-options=--no-thrift", self.commands[1])

    def test_failed_cluster_is_the_one_of_its_side(self) -> None:
        self.code = 1
        self.checks["second"] = [{"name": "Replicas that died", "value": 1, "limit": 0, "holds": False}]
        pair = self.carry_out((1, 0))
        self.assertEqual([run.passed for run in pair.runs], [False, True])
        self.assertIn("Replicas that died", pair.runs[0].reason)

    def test_refused_options_are_told(self) -> None:
        self.code = 2
        with self.assertRaisesRegex(Refused, "no option --x"):
            self.carry_out((0, 1))


class CommandLine(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.config = str(write_config(self.directory))

    def compare(self, *arguments: str, **metrics: float) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
                mock.patch.object(cli.build, "own_program"), \
                mock.patch.object(cli, "Console", lambda: Console(out, out)), \
                mock.patch.object(series, "runner", lambda _: lambda job: outcome(**metrics)):
            code = cli.main(list(arguments))
        return code, out.getvalue(), err.getvalue()

    def test_bad_usage_is_one_line_before_any_run(self) -> None:
        other = self.directory / "other"
        other.mkdir()
        write_config(other)
        nobody = str(self.directory / "none")
        for arguments, line in (
            ([nobody], nobody),
            ([self.config, str(other / "scenario.json")], "two configurations have the name scenario"),
            ([self.config, "--replica", nobody], f"--replica: replica program not found: {nobody}"),
            ([self.config, *["--replica", nobody] * 3], "--replica: may be given twice, for A and for B"),
            ([self.config, "--options-a='x"], "--options-a: \"'x\": No closing quotation"),
            ([self.config, "--json", f"{nobody}/x"], "must be a file that can be written"),
            ([self.config, "--virtual", "--replica", nobody], "so it takes no --replica"),
            ([self.config, "--replica-options=a", "--replica-options=b"], "--options-a and --options-b are for one"),
        ):
            with self.subTest(line):
                code, out, err = self.compare("--options-b=x", *arguments)
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                self.assertIn(line, err)

    def test_same_sides_are_told(self) -> None:
        self.assertIn("A and B are the same", self.compare(self.config, "--seeds", "1")[2])

    def test_results_are_printed_and_written(self) -> None:
        figures, drawn = self.directory / "result.json", self.directory / "page.html"
        code, out, _ = self.compare(
            self.config, "--options-b=--x", "--seeds", "3", "--json", str(figures), "--report", str(drawn)
        )
        self.assertEqual(code, 0)
        self.assertIn("## scenario, 3 pairs", out)
        result = json.loads(figures.read_text())
        self.assertEqual(result["sides"], {"A": "our own program", "B": "our own program --x"})
        self.assertEqual((result["planned_pairs"], len(result["pairs"]), result["stopped"]), (3, 3, None))
        self.assertEqual({finding["verdict"] for finding in result["findings"]}, {"same"})
        self.assertTrue(drawn.read_text().startswith("<!doctype html>"))

    def test_no_file_of_a_comparison_is_left(self) -> None:
        with mock.patch.dict(os.environ, {"TMPDIR": str(self.directory)}):
            tempfile.tempdir = None
            self.addCleanup(setattr, tempfile, "tempdir", None)
            self.compare(self.config, "--options-b=x", "--seeds", "1")
        self.assertEqual(os.listdir(self.directory), ["scenario.json"])


class Tags(HTMLParser):
    """The nesting of a page."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.numbers: list[float] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.numbers += [float(value or "nan") for name, value in attrs if name in ("cx", "x1", "x2")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class Drawings(unittest.TestCase):
    def setUp(self) -> None:
        random = Random(1)
        pairs = [
            PairOfRuns("x", seed, (outcome(total_msgs=random.gauss(1000, 9)), outcome(total_msgs=random.gauss(700, 9))))
            for seed in range(5)
        ]
        self.pairs = [*pairs, PairOfRuns("x", 6, (outcome(), outcome(FAILED, "<script>")))]
        self.found = findings(self.pairs)

    def test_chart_in_text_has_the_interval_left_of_1(self) -> None:
        text = table.render(SIDES, self.pairs, self.found)
        [bar] = [line for line in text.splitlines() if line.startswith("     messages") and "|" in line]
        self.assertLess(bar.index("o"), bar.index("|"))
        self.assertIn("     A: our own program --no-thrift\n     B: /replicas/<b>\n", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 120)

    def test_scale_holds_all_intervals(self) -> None:
        scale = table.scale_of(self.found)
        for finding in self.found:
            for ratio in (finding.low, finding.high) if finding.ratios else ():
                assert ratio is not None
                self.assertLessEqual(abs(math.log(ratio)), math.log(scale))

    def test_scale_of_the_page_holds_all_pairs(self) -> None:
        found = findings(messages([100] * 9, [*[100, 101, 99] * 2, 100, 101, 900]))
        ratio = max(of_metric(found, "messages").ratios)
        self.assertLess(table.scale_of(found), ratio)
        self.assertGreaterEqual(table.scale_of(found, has_pairs=True), ratio)

    def test_page_is_whole_and_escapes_all_text(self) -> None:
        text = page.render(SIDES, self.pairs, self.found, "./run.py compare '<i>'")
        for raw in ("<script>", "/replicas/<b>", "'<i>'"):
            self.assertNotIn(raw, text)
        tags = Tags()
        tags.feed(text)
        self.assertEqual(tags.open, [])
        self.assertTrue(tags.numbers and all(0 <= number <= 520 for number in tags.numbers))

    def test_page_needs_nothing_beside_itself(self) -> None:
        text = page.render(SIDES, self.pairs, self.found, "")
        for part in ("http:", "https:", "src=", "@import", "url("):
            self.assertNotIn(part, text)
