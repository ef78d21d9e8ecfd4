"""Checks, tiers, the blocks of text, the suite and the files that are written."""

import dataclasses
import io
import json
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import history, report, suite
from simulator.call import Call, put
from simulator.checks import Check, Verdict, evaluate
from simulator.client import Request
from simulator.config import Scenario
from simulator.console import Console, Labelled
from simulator.figures import Figures
from simulator.operations import Count
from simulator.replica import StartError
from simulator.result import Result
from simulator.tests.support import ROOT, small_scenario
from simulator.tiers import rate

BENCHMARKS = {
    "total_msgs": [300, 1000, 2000],
    "failures": [0, 50, 60],
    "duplicates": [0, 1, 4],
    "median_latency": [0.0002, 0.005, 0.05],
}
GOOD = Figures(
    seconds=30, leaders=("FFFF", "0001", "FFFF", "0003"), leader_changes=3, replicas_died=0, replicas_killed=2,
    total_messages=370, dropped_by_chance=4, dropped_by_partition=5, sent_to_dead=6,
    client_messages_dropped=8, kernel_drops=0, queue_drops=0, gets=60, puts=40, gets_not_generated=60, gets_withheld=6, sent_again=9, duplicates=1, unanswered_gets=0,
    unanswered_puts=3, redirects=19, requests_in_circles=0, circles="", failed_gets=1, failed_puts=31, acknowledged_puts=37,
    incorrect_gets=0, overtaken_gets=0, incorrect_messages=0, mean_latency=0.000412, median_latency=0.000181,
    p99_latency=0.002, failovers=(0.43,),
)
STATISTICS = """\
# Simulation Finished

## Useful Information and Statistics
     Leaders: FFFF 0001 FFFF 0003
     Replicas that died/were killed: 0/2
     Total messages sent: 370
     Total messages dropped: 9
     Total client get()/put() requests: 60/40
     Total duplicate responses: 1
     Total unanswered get()/put() requests: 0/3
     Total redirects: 19
     Total get()/put() failures: 1/31
     Total get() with incorrect response: 0
     Mean/Median query latency: 0.000412sec/0.000181sec
     Failover time: 0.430000sec
"""
GOLDEN = STATISTICS + """
## Correctness Checks
     All correctness tests passed

## Performance Tests
## <test metric>: <your score> <benchmark score>, <test result>
     Total Messages Between Replicas: 370 < 1000, Passed
     Total Failures and Unanswered Requests: 35 < 50, Passed
     Duplicate Responses to Clients: 1 < 4, Partial credit, needs improvement
     Median Response Latency to Clients: 0.000181 < 0.0002, Bonus!"""
GOLDEN_NOT_LINEARIZABLE = STATISTICS + """
## Correctness Checks
     Linearizable history: no
     a diagram

         in two parts

## Correctness Checks Failed, Skipping Performance Tests"""
GOLDEN_FAILED = STATISTICS.replace("sent: 370", "sent: 120") + """
## Correctness Checks
     Total messages between replicas: 120, at least 150 needed, 30 too few

## Correctness Checks Failed, Skipping Performance Tests"""

GOLDEN_BESIDE = """
# Side by Side: replica / beside
     replica: kvstore
     beside: floor --one 'two words'
     Total Messages Between Replicas: 370 / 185 = 2.000
     Median Response Latency (seconds): 0.000181 / 0.000181 = 1.000
     Median Latency of get(): unknown / unknown
     Median Latency of put(): 0.5 / 0.5 = 1.000
     99th Percentile of Latency: 0.002 / unknown"""


def scenario(**changes: Any) -> Scenario:
    return small_scenario(**{
        "lifetime": 30, "replicas": 5, "tests": {"benchmarks": BENCHMARKS}, **changes,
    })


def result(verdict: Verdict | None = None, **changes: Any) -> Result:
    return Result(scenario(), 7, "kvstore", "udp", (), dataclasses.replace(GOOD, **changes), [], verdict)


class Checks(unittest.TestCase):
    def failed(self, **changes: Any) -> list[str]:
        figures = dataclasses.replace(GOOD, **changes)
        return [c.name for c in evaluate(scenario(mix=0.4), figures, None) if not c.holds]

    def test_each_check_holds_at_its_limit_and_fails_beyond_it(self) -> None:
        # 100 requests x 5 replicas x 0.6 puts x 0.5 not batched = 150 messages at least.
        for name, good, bad in (
            ("Incorrect responses", {"incorrect_gets": 0}, {"incorrect_gets": 1}),
            ("Incorrect responses", {"incorrect_messages": 0}, {"incorrect_messages": 1}),
            ("Replicas that died without being killed", {"replicas_died": 0}, {"replicas_died": 1}),
            ("Acknowledged put() requests", {"acknowledged_puts": 1}, {"acknowledged_puts": 0}),
            ("Unanswered get() requests", {"unanswered_gets": 30}, {"unanswered_gets": 31}),
            ("Unanswered put() requests", {"unanswered_puts": 20}, {"unanswered_puts": 21}),
            ("get() requests that could not be generated",
             {"gets_withheld": 6}, {"gets_withheld": 7}),
            ("Total messages between replicas", {"total_messages": 150}, {"total_messages": 149}),
            ("Simulated seconds", {"seconds": 30}, {"seconds": 29.9}),
        ):
            with self.subTest(name):
                self.assertEqual(self.failed(**good), [])
                self.assertEqual(self.failed(**bad), [name])

    def test_binary_fractions_do_not_decide_a_comparison(self) -> None:
        # 100 x 5 x (1 - 0.7) x 0.5 is slightly above 75 in binary.
        figures = dataclasses.replace(GOOD, total_messages=75)
        self.assertTrue(all(check.holds for check in evaluate(scenario(mix=0.7), figures, None)))

    def test_history_that_is_not_linearizable_or_not_judged_fails(self) -> None:
        self.assertTrue(result(Verdict(True)).is_correct)
        for linearizable in (False, None):
            with self.subTest(linearizable):
                failed = [c.name for c in result(Verdict(linearizable)).checks if not c.holds]
                self.assertEqual(failed, ["Linearizable history"])


class Tiers(unittest.TestCase):
    def tier(self, metric: int, **changes: Any) -> int:
        return rate(scenario(), dataclasses.replace(GOOD, **changes))[metric].tier

    def test_score_at_a_threshold_misses_its_tier(self) -> None:
        for messages, tier in ((299, 0), (300, 1), (999, 1), (1000, 2), (1999, 2), (2000, 3)):
            self.assertEqual(self.tier(0, total_messages=messages), tier, messages)

    def test_best_tier_is_one_with_a_first_threshold_of_zero(self) -> None:
        none = {"failed_gets": 0, "failed_puts": 0, "unanswered_gets": 0, "unanswered_puts": 0}
        self.assertEqual(self.tier(1, **none), 1)
        self.assertEqual(self.tier(2, duplicates=0), 1)

    def test_failures_are_fails_and_unanswered_requests(self) -> None:
        self.assertEqual(rate(scenario(), GOOD)[1].value, 1 + 31 + 0 + 3)

    def test_latency_is_rated_by_its_median(self) -> None:
        for seconds, tier in ((0.0001, 0), (0.0002, 1), (0.01, 2), (0.05, 3)):
            self.assertEqual(self.tier(3, median_latency=seconds), tier)


class Text(unittest.TestCase):
    maxDiff = None

    def test_report_of_a_correct_run_has_its_blocks(self) -> None:
        self.assertEqual(report.render(result(), coloured=False), GOLDEN)

    def test_report_of_an_incorrect_run_has_its_blocks(self) -> None:
        self.assertEqual(report.render(result(total_messages=120), coloured=False), GOLDEN_FAILED)

    def test_many_leaders_are_shown_in_one_line_that_ends(self) -> None:
        leaders = ("FFFF", *("0000", "0001") * 50)
        text = report.render(result(leaders=leaders, leader_changes=900), coloured=False)
        line = next(line for line in text.splitlines() if "Leaders: " in line)
        self.assertEqual(line, f"     Leaders: {' '.join(leaders[:30])} and 871 more")

    def test_linearizable_history_is_not_mentioned(self) -> None:
        self.assertEqual(report.render(result(Verdict(True)), coloured=False), GOLDEN)

    def test_diagram_stands_below_its_check(self) -> None:
        verdict = Verdict(False, "a diagram\n\n    in two parts")
        self.assertEqual(report.render(result(verdict), coloured=False), GOLDEN_NOT_LINEARIZABLE)

    def test_score_above_every_benchmark_names_the_last(self) -> None:
        text = report.render(result(duplicates=4), coloured=False)
        self.assertIn("     Duplicate Responses to Clients: 4 >= 4, Failed\n", text)

    def test_latency_is_unknown_without_any_response(self) -> None:
        text = report.render(result(mean_latency=None, median_latency=None,
                                    acknowledged_puts=0), coloured=False)
        self.assertIn("     Mean/Median query latency: unknown/unknown\n", text)

    def test_requests_in_circles_stand_below_the_statistics_with_their_cause(self) -> None:
        text = report.render(result(requests_in_circles=7, circles="9 redirects, all to 0000",
                                    failovers=()), coloured=False)
        self.assertIn("0.000181sec\n     Requests sent in circles: 7, by 9 redirects, all to 0000\n\n", text)

    def test_operations_are_counted_below_the_statistics(self) -> None:
        counts = {"cas": Count(90, 30, 50, 0), "increment": Count(7, 6, 0, 1)}
        text = report.render(result(operations=counts, failovers=()), coloured=False)
        self.assertIn(
            "0.000181sec\n"
            "     Total cas requests: 90, done/condition not met/refused: 30/50/0\n"
            "     Total increment requests: 7, done/condition not met/refused: 6/0/1\n\n",
            text,
        )

    def test_two_programs_side_by_side_are_compared(self) -> None:
        def request(type: str, invoked: float, returned: float | None) -> Request:
            return Request("1", "0015", Call(type, "k"), invoked=invoked, returned=returned)

        history = [
            request("put", 1, 1.5), request("put", 2, 2.25), request("put", 3, 3.75), request("put", 4, None),
        ]
        ours = dataclasses.replace(result(), history=history)
        floor = dataclasses.replace(
            result(total_messages=185, p99_latency=None), program="floor", history=history[:1],
            replica_options=("--one", "two words"),
        )
        self.assertEqual(report.compare(ours, floor), GOLDEN_BESIDE)

    def test_colour_changes_nothing_but_colour(self) -> None:
        coloured = report.render(result(), coloured=True)
        self.assertIn("\x1b[32mBonus!\x1b[0m", coloured)
        for code in ("\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"):
            coloured = coloured.replace(code, "")
        self.assertEqual(coloured, GOLDEN)


class Files(unittest.TestCase):
    def test_json_has_configuration_figures_checks_and_tiers(self) -> None:
        content = json.loads(json.dumps(result().to_json()))
        self.assertEqual(content["configuration"]["seed"], 7)
        self.assertEqual(content["configuration"]["tests"]["benchmarks"], BENCHMARKS)
        self.assertEqual((content["transport"], content["correct"]), ("udp", True))
        self.assertEqual((content["figures"]["total_messages"], content["figures"]["failures"]),
                         (370, 35))
        self.assertEqual([c["holds"] for c in content["checks"]], [True] * 8)
        self.assertEqual([t["tier"] for t in content["tiers"]], [1, 1, 2, 0])

    def test_json_has_operations_only_if_the_scenario_has_some(self) -> None:
        content = result().to_json()
        for part in ("configuration", "figures"):
            self.assertNotIn("operations", content[part])
        count = {"requests": 9, "done": 3, "not_met": 5, "refused": 1}
        using = dataclasses.replace(
            result(operations={"cas": Count(**count)}), scenario=scenario(operations={"cas": 0.5})
        )
        content = json.loads(json.dumps(using.to_json()))
        self.assertEqual(content["figures"]["operations"], {"cas": count})
        shares = {"cas": 0.5, "increment": 0, "append": 0, "delete": 0}
        self.assertEqual(content["configuration"]["operations"], shares)

    def test_json_of_an_incorrect_run_has_no_tiers(self) -> None:
        content = result(replicas_died=1).to_json()
        self.assertEqual((content["correct"], content["tiers"]), (False, []))

    def test_json_has_the_verdict(self) -> None:
        for verdict, said, checks in (
            (None, None, 8), (Verdict(None), None, 9), (Verdict(True), True, 9), (Verdict(False), False, 9),
        ):
            with self.subTest(verdict):
                content = result(verdict).to_json()
                self.assertEqual((content["linearizable"], len(content["checks"])), (said, checks))
                self.assertEqual(content["correct"], verdict is None or said is True)

    def lines(self, requests: list[Request]) -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "history.jsonl"
            history.write(path, requests)
            return [json.loads(line) for line in path.read_text().splitlines()]

    def test_history_of_operations_has_their_arguments_and_answers(self) -> None:
        for call, answer, fields, told in (
            (Call("cas", "k", {"from": "a", "to": "b"}), False,
             {"from": "a", "to": "b", "value": None}, {"done": False}),
            (Call("increment", "k", {"by": 3}), -7, {"by": 3, "value": None}, {"result": -7}),
            (Call("append", "k", {"value": "v"}), 9, {"value": "v"}, {"result": 9}),
            (Call("delete", "k"), True, {"value": None}, {"done": True}),
        ):
            with self.subTest(call.type):
                common = {"id": "1", "client": "0015", "type": call.type, "key": "k", "invoked": 1.5}
                answered = {"returned": 1.75, "outcome": "ok", "replica": "0001"}
                open = {"returned": None, "outcome": "unknown", "replica": None}
                self.assertEqual(
                    self.lines([Request("1", "0015", call, 1.5, 1.75, "ok", answer, answered_by="0001"),
                                Request("1", "0015", call, 1.5)]),
                    [common | fields | answered | told, common | fields | open],
                )

    def test_history_has_one_line_per_request(self) -> None:
        requests = [Request("1", "0015", put("k", "v"), 1.5, 1.75, "ok"),
                    Request("2", "0015", Call("get", "k"), 2.0),
                    Request("3", "0015", Call("get", "k"), 3.0, 3.5, "redirect", answered_by="0001", sent=1)]
        requests.append(Request("4", "0015", Call("get", "k"), 4.0, before=requests[-1]))
        self.assertEqual(self.lines(requests), [
            {"id": "1", "client": "0015", "type": "put", "key": "k", "value": "v",
             "invoked": 1.5, "returned": 1.75, "outcome": "ok", "replica": None},
            {"id": "2", "client": "0015", "type": "get", "key": "k", "value": None,
             "invoked": 2.0, "returned": None, "outcome": "unknown", "replica": None},
            {"id": "3", "client": "0015", "type": "get", "key": "k", "value": None,
             "invoked": 3.0, "returned": 3.5, "outcome": "redirect", "replica": "0001"},
            {"id": "4", "client": "0015", "type": "get", "key": "k", "value": None,
             "invoked": 4.0, "returned": None, "outcome": "unknown", "replica": None, "retry_of": "3"},
        ])

    def test_history_of_one_scenario_of_many_has_its_name(self) -> None:
        self.assertEqual(history.path_for(Path("a/b.jsonl"), "crash-1"), Path("a/b-crash-1.jsonl"))


class Suite(unittest.TestCase):
    def setUp(self) -> None:
        self.scenarios = suite.load(ROOT / "configs")
        self.out, self.errors = io.StringIO(), io.StringIO()

    def run_all(self, run: Any, is_stopped: Any = lambda: False) -> list[str]:
        suite.run_all(self.scenarios, run, Console(self.out, self.errors), is_stopped)
        return self.out.getvalue().splitlines()

    def test_one_line_per_scenario_under_five_headings(self) -> None:
        lines = self.run_all(lambda one: result(replicas_died=int(one.name == "crash-2")))
        self.assertEqual([line for line in lines if not line.startswith(" ")], [
            "Basic tests:", "Unreliable network tests:", "Crash failure tests:",
            "Partition tests:", "Advanced tests:", "Passed 16 out of 17 tests",
        ])
        self.assertEqual(sum("[PASS] 1 1 2 0" in line for line in lines), 16)
        self.assertEqual(sum("[FAIL] 3 3 3 3" in line for line in lines), 1)

    def test_failed_check_is_told_with_its_explanation(self) -> None:
        suite.run_all(
            self.scenarios, lambda one: result(Verdict(one.name != "crash-1", "a diagram")),
            Console(self.out, self.errors), lambda: False,
        )
        self.assertEqual(self.errors.getvalue().count("Linearizable history: no\na diagram\n"), 1)

    def test_scenario_that_does_not_start_fails(self) -> None:
        def run(one: Scenario) -> Result:
            raise StartError("no")

        self.assertEqual(self.run_all(run)[-1], "Passed 0 out of 17 tests")
        self.assertEqual(self.errors.getvalue(), "*** Simulator Error - no\n" * 17)

    def test_interrupt_ends_the_suite(self) -> None:
        seen: list[str] = []

        def run(one: Scenario) -> Result:
            seen.append(one.name)
            return result()

        lines = self.run_all(run, lambda: len(seen) == 3)
        self.assertEqual(seen, ["simple-1", "simple-2", "unreliable-1"])
        self.assertEqual(sum(line.startswith(" ") for line in lines), 2)
        self.assertEqual(lines[-2:], ["Interrupted: 2 of 17 run", "Passed 2 out of 17 tests"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Progress(unittest.TestCase):
    def test_lines_wipe_and_redraw_the_progress_line(self) -> None:
        out = Terminal()
        console = Console(out, out)
        console.progress("half done")
        console.line("output")
        console.end_progress()
        console.line("the end")
        wipe = "\r\x1b[K"
        self.assertEqual(
            out.getvalue(), f"{wipe}half done{wipe}output\nhalf done{wipe}the end\n"
        )

    def test_no_progress_line_off_a_terminal(self) -> None:
        out = io.StringIO()
        Console(out, out).progress("half done")
        self.assertEqual(out.getvalue(), "")

    def test_progress_line_is_cut_to_the_width_of_the_terminal(self) -> None:
        out = Terminal()
        with mock.patch("os.get_terminal_size", return_value=os.terminal_size((10, 5))):
            out.fileno = lambda: 1  # type: ignore[method-assign]
            Console(out, out).progress("0123456789")
        self.assertEqual(out.getvalue(), "\r\x1b[K012345678")

    def test_progress_line_of_a_terminal_of_unknown_width_is_cut_too(self) -> None:
        out = Terminal()
        Console(out, out).progress("x" * 100)
        self.assertEqual(out.getvalue(), "\r\x1b[K" + "x" * 79)


class Faults(unittest.TestCase):
    def setUp(self) -> None:
        self.out, self.log = io.StringIO(), io.StringIO()
        self.console = Console(self.out, self.log)

    def test_fault_of_a_replica_has_its_time_and_goes_to_the_log(self) -> None:
        self.console.fault(12.0014, "bad: from replica 0000", "{}")
        self.assertEqual(self.log.getvalue(), "[ 12.001] *** Replica Error - bad: from replica 0000: {}\n")
        self.assertEqual(self.out.getvalue(), "")

    def test_repeated_fault_is_shown_three_times_and_counted(self) -> None:
        for number in range(1234):
            self.console.fault(1, "bad", str(number))
        self.console.fault(2, "worse")
        self.console.tell_repeated(3)
        self.console.tell_repeated(4)
        self.assertEqual(self.log.getvalue().splitlines(), [
            "[  1.000] *** Replica Error - bad: 0", "[  1.000] *** Replica Error - bad: 1",
            "[  1.000] *** Replica Error - bad: 2", "[  2.000] *** Replica Error - worse",
            "[  3.000] *** Replica Error - bad: 1,234 times in all, of which 3 are shown",
        ])

    def test_each_of_two_clusters_has_its_label_and_its_count(self) -> None:
        one, two = Labelled(self.console, "one"), Labelled(self.console, "two")
        for _ in range(3):
            one.fault(1, "bad")
        one.tell_repeated(2)
        two.fault(3, "bad")
        one.error("no")
        self.assertEqual(self.log.getvalue().splitlines()[2:], [
            "one: [  1.000] *** Replica Error - bad", "two: [  3.000] *** Replica Error - bad",
            "one: *** Simulator Error - no",
        ])


class Sentences(unittest.TestCase):
    def test_run_that_was_cut_short_is_told_so(self) -> None:
        (failed,) = (check for check in result(seconds=1.315377).checks if not check.holds)
        self.assertEqual(report.describe_failure(failed), "Simulated seconds: 1.3 of 30, because the run was cut short")

    def test_failed_check_is_told_in_whole_numbers(self) -> None:
        for check, said in (
            (Check("Gets", 5, 4.2), "Gets: 5, at most 4 allowed, 1 too many"),
            (Check("Errors", 1234, 0), "Errors: 1234, none allowed, 1234 too many"),
            (Check("Messages", 893, 999.5, is_minimum=True), "Messages: 893, at least 1000 needed, 107 too few"),
            (Check("Seconds", 12.25, 30, is_minimum=True), "Seconds: 12.25, at least 30 needed, 17.75 too few"),
        ):
            with self.subTest(said):
                self.assertFalse(check.holds)
                self.assertEqual(report.describe_failure(check), said)

    def test_history_without_a_verdict_is_told_so(self) -> None:
        (failed,) = (check for check in result(Verdict(None)).checks if not check.holds)
        self.assertEqual(report.describe_failure(failed), "Linearizable history: could not be told")
