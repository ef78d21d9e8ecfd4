"""Histories of operations beside get and put, which our checker judges."""

import unittest
from typing import Any

from simulator.checks import Verdict
from simulator.judge import judge
from simulator.tests.support import small_scenario
from simulator.tests.test_agreement import checker
from simulator.tests.virtual import VirtualRun

SHARES = {"cas": 0.25, "increment": 0.25, "append": 0.125, "delete": 0.125}
# Clients repeat a third of their requests.
LOSSY = {"client_drops": 0.2, "client_timeout": 0.3}
SEEDS = range(3)


class Verdicts(unittest.TestCase):
    def setUp(self) -> None:
        self.checker = checker()

    def verdict(self, behaviour: str, seed: int, **changes: Any) -> Verdict:
        times = {"lifetime": 14, "end_wait": 10, "requests": 300, "mix": 0.3, "operations": SHARES}
        run = VirtualRun(small_scenario(**(times | changes)), behaviour, seed=seed)
        verdict = judge(self.checker, run.result.history)
        self.assertIsNotNone(verdict.linearizable, verdict.explanation)
        return verdict

    def test_replicas_that_do_each_operation_once_are_linearizable(self) -> None:
        for behaviour, changes in (
            ("correct", {}), ("fails", {"read_back": True}), ("refuses", {}), ("forwards", LOSSY),
            ("correct", LOSSY), ("forwards", LOSSY | {"operations": {"cas": 1}, "shared_keys": 1}),
        ):
            for seed in SEEDS:
                with self.subTest(behaviour, seed=seed, **changes):
                    verdict = self.verdict(behaviour, seed, **changes)
                    self.assertTrue(verdict.linearizable, verdict.explanation)

    def test_replica_with_a_flaw_is_not_linearizable(self) -> None:
        for behaviour, key in (
            ("increment_again", "counter-"), ("append_again", "text-"),
            ("cas_anyway", "register-"), ("delete_not", "-"),
        ):
            for seed in SEEDS:
                with self.subTest(behaviour, seed=seed):
                    verdict = self.verdict(behaviour, seed, **LOSSY)
                    self.assertIs(verdict.linearizable, False)
                    self.assertRegex(verdict.explanation, f'on key "[a-z]*{key}')


if __name__ == "__main__":
    unittest.main()
