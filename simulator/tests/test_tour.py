"""docs/tour.md: each step shows the failure that it says, and then the verdict that it says.

The programs are made from the code of the page, and run in virtual time, some seeds each.
"""

from __future__ import annotations

import ast
import os
import re
import unittest
from collections import Counter
from functools import cache
from types import ModuleType

from simulator import config
from simulator.new import steps
from simulator.new.steps import Step
from simulator.tests import cores
from simulator.tests.cores import CoreRun
from simulator.tests.support import ROOT

SEEDS = (1, 2)
REFERENCE = ROOT / "simulator" / "examples" / "replica.py"
STEPS = steps.steps()


def pattern(line: str) -> str:
    """A shown line as an expression: figures, times and IDs differ from run to run."""
    words = re.split(r"([0-9a-fA-F.]*\d[0-9a-fA-F.]*)", line)
    return "".join(
        r"[0-9a-fA-F.]+" if number % 2 else r"\s+".join(re.escape(part) for part in re.split(r"\s+", word))
        for number, word in enumerate(words)
    )


def run(step: int, scenario: str, seed: int) -> CoreRun:
    return CoreRun(config.load(ROOT / scenario), module(step), seed)


@cache
def module(step: int) -> ModuleType:
    return cores.load(f"step_{step}", steps.program(step))


@unittest.skipUnless(os.environ.get("KVSTORE"), "KVSTORE names no program that checks histories")
class EachStep(unittest.TestCase):
    def assert_told(self, lines: list[str], finished: CoreRun) -> None:
        """The lines of checks and tiers are told. The requests beside them differ."""
        for line in lines:
            if re.match("     [A-Z]", line) and not line.endswith(":"):
                self.assertRegex(finished.told, pattern(line))

    def assert_shown(self, step: Step, seed: int) -> None:
        before = run(step.number - 1, step.scenario, seed)
        after = run(step.number, step.scenario, seed)
        self.assert_told(step.before, before)
        self.assert_told(step.after, after)
        self.assertTrue(after.result.is_correct, after.told)
        fell_short = any(rating.tier == 3 for rating in before.result.ratings)
        self.assertTrue(fell_short or not before.result.is_correct, before.told)

    def test_verdicts_are_those_of_the_page_on_each_seed(self) -> None:
        for step in STEPS:
            for seed in SEEDS:
                with self.subTest(step=step.number, seed=seed):
                    self.assert_shown(step, seed)

    def test_last_program_passes_all_scenarios_of_the_tour(self) -> None:
        for step in STEPS:
            with self.subTest(step=step.number):
                finished = run(len(STEPS), step.scenario, 1)
                self.assertTrue(finished.result.is_correct, finished.told)


def definitions(source: str, prefix: str = "") -> dict[str, list[str]]:
    """The statements of each definition, without comments and docstrings, whatever their order."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        if isinstance(node, ast.ClassDef):
            for method in [one for one in node.body if isinstance(one, ast.FunctionDef)]:
                found |= definitions(ast.unparse(method), f"{node.name}.")
            node.body = [one for one in node.body if not isinstance(one, ast.FunctionDef)]
            found[node.name] = [ast.unparse(one) for one in node.body]
        elif isinstance(node, ast.FunctionDef):
            statements = [ast.unparse(one) for one in node.body]
            found[prefix + node.name] = sorted(statements) if node.name == "__init__" else statements
        elif not isinstance(node, ast.Expr):
            found[ast.unparse(node)] = []
    return found


class LastStep(unittest.TestCase):
    def test_it_is_the_reference_replica_but_for_comments(self) -> None:
        built, reference = definitions(steps.program(len(STEPS))), definitions(REFERENCE.read_text())
        self.assertEqual(set(built), set(reference))
        for name in reference:
            self.assertEqual(built[name], reference[name], name)


class Page(unittest.TestCase):
    def test_its_scenarios_are_there_and_it_leaves_none_out(self) -> None:
        used = Counter(step.scenario for step in STEPS)
        there = {str(path.relative_to(ROOT)) for path in (ROOT / "configs" / "tour").glob("*.json")}
        self.assertEqual(set(used), there)
        self.assertEqual([step.number for step in STEPS], list(range(1, len(STEPS) + 1)))

    def test_each_step_shows_a_verdict_before_its_code_and_one_after_it(self) -> None:
        for step in STEPS:
            with self.subTest(step=step.number):
                self.assertTrue(step.before and step.code and step.after)


SOURCE = '''#!/usr/bin/env python3
"""What it is."""

import sys

A = 1


class One:
    """The first."""

    def __init__(self):
        self.a = 1
        # Why.
        self.b = 2

    def first(self):
        return 1
'''


class Changes(unittest.TestCase):
    def assert_changed(self, block: str, old: str, new: str) -> None:
        self.assertIn(old, SOURCE)
        self.assertEqual(steps.patched(SOURCE, block), SOURCE.replace(old, new))

    def test_definition_takes_the_place_of_the_one_with_its_name(self) -> None:
        self.assert_changed("A = 2\n", "A = 1", "A = 2")
        block = "class One:\n    def first(self):\n        return 2\n"
        self.assert_changed(block, "return 1", "return 2")

    def test_new_definition_comes_after_the_one_before_it(self) -> None:
        block = "class One:\n    def __init__(self):\n        ...\n        self.c = 3\n\n    def other(self):\n        pass\n"
        self.assert_changed(
            block, "self.b = 2\n", "self.b = 2\n        self.c = 3\n\n    def other(self):\n        pass\n"
        )
        self.assert_changed("A = 1\nB = 2\n", "A = 1\n", "A = 1\nB = 2\n")

    def test_new_method_without_one_before_it_is_the_last(self) -> None:
        block = "class One:\n    def last(self):\n        pass\n"
        self.assert_changed(block, "return 1\n", "return 1\n\n    def last(self):\n        pass\n")

    def test_new_class_without_one_before_it_is_the_first_and_imports_are_sorted(self) -> None:
        self.assert_changed(
            "import os\nclass Zero:\n    pass\n", "import sys\n\nA = 1\n\n\n",
            "import os\nimport sys\n\nA = 1\n\n\nclass Zero:\n    pass\n\n\n",
        )

    def test_method_that_begins_with_dots_keeps_its_other_statements(self) -> None:
        block = "class One:\n    def __init__(self):\n        ...\n        self.a = 7\n"
        self.assert_changed(block, "self.a = 1", "self.a = 7")


if __name__ == "__main__":
    unittest.main()
