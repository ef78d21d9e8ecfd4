"""Repeated runs: a line for each, the count at the end, and the two ways to interrupt them."""

import json
import signal
import unittest
from typing import Any
from unittest import mock

from simulator import runner
from simulator.advice import Advice
from simulator.replica import StartError
from simulator.signals import Signals
from simulator.tests.command import CommandCase


class Repeat(CommandCase):
    def test_each_run_has_a_line_and_the_count_comes_last(self) -> None:
        real = runner.simulate

        def every_other(*arguments: Any) -> Any:
            results = real(*arguments)
            if results[0].seed % 2:
                object.__setattr__(results[0].figures, "incorrect_gets", 3)
            return results

        file = self.directory / "results.json"
        with mock.patch.object(runner, "simulate", every_other):
            self.assertEqual(self.run_py("correct", "--repeat", 4, "--seed", 10, "--json", file), 1)
        kept_in = [f", kept in {self.failed}/scenario-{seed}" for seed in (11, 13)]
        again = f"./run.py {self.config} --replica={self.directory}/correct --transport virtual --no-check --seed 11"
        self.assertEqual(self.out.splitlines(), [
            "seed 10: passed",
            f"seed 11: FAILED: Incorrect responses: 3, none allowed, 3 too many{kept_in[0]}",
            "seed 12: passed",
            f"seed 13: FAILED: Incorrect responses: 3, none allowed, 3 too many{kept_in[1]}",
            "passed 2 of 4", "failed: 11 13", f"again: {again}",
        ])
        self.assertEqual([one["configuration"]["seed"] for one in json.loads(file.read_text())], [10, 11, 12, 13])

    def test_failed_run_has_its_first_advice_beside_its_line(self) -> None:
        told = [Advice("storm", "send less"), Advice("terms", "wait longer")]
        real = runner.simulate

        def failing(*arguments: Any) -> Any:
            results = real(*arguments)
            object.__setattr__(results[0].figures, "incorrect_gets", 3)
            return results

        with mock.patch.object(runner, "simulate", failing), mock.patch.object(runner, "advise", lambda _: told):
            self.assertEqual(self.run_py("correct", "--repeat", 2, "--seed", 1), 1)
        self.assertNotIn("send less", self.out)
        self.assertIn("seed 1: send less\n", self.errors)
        self.assertIn("seed 2: send less\n", self.errors)
        self.assertNotIn("wait longer", self.errors)

    def test_all_passed_is_a_success(self) -> None:
        self.assertEqual(self.run_py("correct", "--repeat", 2), 0)
        self.assertEqual(self.out.splitlines()[-1], "passed 2 of 2")

    def test_run_that_does_not_start_counts_as_failed(self) -> None:
        with mock.patch.object(runner, "simulate", side_effect=StartError("no start")):
            self.assertEqual(self.run_py("correct", "--repeat", 2, "--seed", 1), 1)
        self.assertEqual(self.out.splitlines()[:3], [
            "seed 1: FAILED: no start", "seed 2: FAILED: no start", "passed 0 of 2",
        ])

    def test_first_interrupt_ends_after_the_present_run_and_the_second_at_once(self) -> None:
        real = runner.simulate
        for count, lines in ((1, ["seed 1: passed", "Interrupted: 1 of 3 run", "passed 1 of 1"]),
                             (2, ["Interrupted: 0 of 3 run", "passed 0 of 0"])):

            def interrupted(*arguments: Any, count: int = count) -> Any:
                for _ in range(count):
                    signal.raise_signal(signal.SIGINT)
                return real(*arguments)

            with self.subTest(count), mock.patch.object(runner, "simulate", interrupted):
                self.assertEqual(self.run_py("correct", "--repeat", 3, "--seed", 1), 1)
                self.assertEqual(self.out.splitlines(), lines)

    def test_interrupt_without_repeat_and_terminate_end_at_once(self) -> None:
        for finishes_first, number in ((False, signal.SIGINT), (True, signal.SIGTERM)):
            with Signals(finishes_first) as signals:
                signal.raise_signal(number)
                self.assertTrue(signals.stop)

    def test_interrupt_that_waits_is_told_once(self) -> None:
        told: list[str] = []
        with Signals(finishes_first=True) as signals:
            signals.when_asked = lambda: told.append("last")
            signals.clear()
            self.assertEqual(told, [])
            signal.raise_signal(signal.SIGINT)
            for _ in range(2):
                signals.clear()
            self.assertEqual((told, signals.stop, signals.wants_end), (["last"], False, True))

    def test_bad_counts_and_combinations_are_refused(self) -> None:
        for count in ("0", "10001", "x", "1.5", "-1", "9" * 5000):
            self.assertEqual(self.run_py("correct", f"--repeat={count}"), 2)
            self.assertIn("must be an integer from 1 to 10,000", self.errors)
        for arguments, said in (
            (("all", "--repeat", 2), '--repeat: takes one configuration, not "all"\n'),
            (("--repeat", 2, "--beside", "x"), "--repeat: not with --beside; run.py compare compares two programs over many runs\n"),
        ):
            self.assertEqual((self.run_py("correct", *arguments), self.errors), (2, said))


if __name__ == "__main__":
    unittest.main()
