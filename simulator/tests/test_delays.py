"""The distributions of delays, and the links that have their own."""

import unittest
from random import Random
from statistics import fmean, median

from simulator.delays import CLIENTS, MOST_DELAY, Delay, Distribution, Link
from simulator.tests.support import small_scenario


def draws(kind: str, *numbers: float, count: int = 2000) -> list[float]:
    random = Random(1)
    return [Distribution(kind, numbers).draw(random) for _ in range(count)]


class Distributions(unittest.TestCase):
    def test_constant_delay_is_always_the_same(self) -> None:
        self.assertEqual(set(draws("constant", 0.25)), {0.25})

    def test_uniform_delay_is_what_its_seed_has_always_drawn(self) -> None:
        random = Random(1)
        self.assertEqual(draws("uniform", 0.5, 2), [random.uniform(0.5, 2) for _ in range(2000)])

    def test_normal_delay_has_its_mean_and_is_neither_negative_nor_too_long(self) -> None:
        self.assertTrue(0.98 < fmean(draws("normal", 1, 0.2)) < 1.02)
        clamped = draws("normal", 5, 10)
        self.assertEqual((min(clamped), max(clamped)), (0, MOST_DELAY))
        self.assertEqual(set(draws("normal", 0.5, 0)), {0.5})

    def test_pareto_delay_has_its_least_value_its_median_and_a_tail(self) -> None:
        drawn = draws("pareto", 0.1, 2)
        self.assertTrue(0.1 <= min(drawn) < 0.101)
        self.assertTrue(0.135 < median(drawn) < 0.148, "0.1 times the square root of 2")
        self.assertTrue(1 < max(drawn) <= MOST_DELAY)

    def test_pareto_delay_of_extreme_numbers_is_a_delay(self) -> None:
        self.assertEqual(set(draws("pareto", 0, 1)), {0})
        self.assertEqual(set(draws("pareto", 0, 5e-324)), {0})
        self.assertEqual(set(draws("pareto", 1e-300, 5e-324)), {MOST_DELAY})
        self.assertEqual(set(draws("pareto", 10, 100)), {MOST_DELAY})

    def test_delay_that_is_always_zero_is_none(self) -> None:
        for kind, *numbers in (("constant", 0), ("uniform", 0, 0), ("normal", 0, 0), ("pareto", 0, 3)):
            self.assertFalse(Delay(Distribution(str(kind), tuple(map(float, numbers)))))
        self.assertTrue(Delay(Distribution("normal", (0, 0.1))))
        self.assertTrue(Delay(links=(Link(None, None, Distribution("constant", (1,))),)))


class Links(unittest.TestCase):
    def test_first_link_that_matches_decides_and_else_the_main_distribution(self) -> None:
        delay = small_scenario(delay={
            "constant": 0.5,
            "links": [
                {"from": "0000", "to": "0001", "constant": 1},
                {"from": ["0000", "clients"], "constant": 2},
                {"to": "clients", "constant": 3},
            ],
        }).delay
        for sender, receiver, seconds in (
            ("0000", "0001", 1), ("0000", "0002", 2), ("0000", CLIENTS, 2), (CLIENTS, "0001", 2),
            ("0001", CLIENTS, 3), ("0001", "0000", 0.5), ("0002", "0001", 0.5),
        ):
            with self.subTest(sender, receiver=receiver):
                self.assertEqual(delay.between(sender, receiver).numbers, (seconds,))

    def test_message_of_no_link_has_no_delay_without_a_main_distribution(self) -> None:
        delay = small_scenario(delay={"links": [{"from": "0000", "uniform": [1, 2]}]}).delay
        self.assertEqual((bool(delay), bool(delay.between("0001", "0000"))), (True, False))


if __name__ == "__main__":
    unittest.main()
