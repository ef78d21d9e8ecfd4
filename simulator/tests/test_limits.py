"""Limits on unanswered requests and on fail answers, by which availability is judged."""

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator import config
from simulator.checks import Check, evaluate
from simulator.config import ConfigError, Scenario
from simulator.report import describe_failure
from simulator.tests.support import SMALL, small_scenario
from simulator.tests.test_judgement import GOOD


def limited(**limits: Any) -> Scenario:
    return small_scenario(tests=SMALL["tests"] | limits)


def checks(scenario: Scenario) -> dict[str, Check]:
    figures = replace(GOOD, unanswered_gets=2, unanswered_puts=3, failed_gets=1, failed_puts=6)
    return {check.name: check for check in evaluate(scenario, figures, None)}


class Limits(unittest.TestCase):
    def test_without_a_limit_availability_is_not_judged(self) -> None:
        for scenario in (small_scenario(), limited(maximum_unanswered=None)):
            self.assertEqual({"Unanswered requests", "Answers that are fail"} & checks(scenario).keys(), set())

    def test_each_limit_counts_requests_of_all_types(self) -> None:
        for name, key, value in (
            ("Unanswered requests", "maximum_unanswered", 5), ("Answers that are fail", "maximum_failures", 7),
        ):
            for limit in (value, value - 1, 0):
                check = checks(limited(**{key: limit}))[name]
                self.assertEqual((check.value, check.holds), (value, limit == value))
        self.assertEqual(describe_failure(check), "Answers that are fail: 7, none allowed, 7 too many")

    def test_limit_that_is_no_number_of_requests_is_refused(self) -> None:
        for value in (-1, 0.5, "1", True, 900_001):
            for key in ("maximum_unanswered", "maximum_failures"):
                with self.subTest(key, value=value), self.assertRaises(ConfigError) as caught:
                    limited(**{key: value})
                self.assertIn(f"tests.{key}: {json.dumps(value)}: must be an integer from 0 to 900000", str(caught.exception))

    def test_settings_of_a_trace_have_the_limits_that_are_given(self) -> None:
        for limits in ({}, {"maximum_unanswered": 0}, {"maximum_unanswered": 3, "maximum_failures": 4}):
            scenario = limited(**limits)
            content = json.loads(json.dumps(config.as_file(scenario)))
            self.assertEqual(config.of_content(scenario.name, content).tests, scenario.tests)
            self.assertEqual({key for key in content["tests"] if key.startswith("maximum_un")}, limits.keys() & {"maximum_unanswered"})

    def test_name_that_is_nearly_right_is_corrected(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "x.json"
            path.write_text(json.dumps(SMALL | {"tests": SMALL["tests"] | {"maximum_unanswerd": 1}}))
            with self.assertRaisesRegex(ConfigError, "did you mean maximum_unanswered?"):
                config.load(path)


if __name__ == "__main__":
    unittest.main()
