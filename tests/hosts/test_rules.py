"""Partitions, and the rules that cut them."""

import random
import unittest

from hosts import rules

THREE, FIVE = [1, 2, 3], [1, 2, 3, 4, 5]


def reach(replicas: list[int], cut: rules.Ways) -> dict[int, set[int]]:
    """Which replicas each one can exchange messages with."""
    return {
        one: {other for other in replicas if other != one and not cut & {(one, other), (other, one)}}
        for one in replicas
    }


class Partitions(unittest.TestCase):
    def test_halves_leave_a_majority_that_is_whole(self) -> None:
        for seed in range(50):
            for replicas in (THREE, FIVE):
                reached = reach(replicas, rules.halves(replicas, random.Random(seed)))
                groups = {frozenset({one, *others}) for one, others in reached.items()}
                self.assertEqual((len(groups), sum(map(len, groups))), (2, len(replicas)))
                self.assertGreater(max(map(len, groups)), len(replicas) // 2)

    def test_replica_alone_reaches_none_but_clients(self) -> None:
        self.assertEqual(reach(THREE, rules.alone(2, THREE)), {1: {3}, 2: set(), 3: {1}})
        self.assertNotIn((rules.CLIENTS, 2), rules.alone(2, THREE))

    def test_isolated_replica_does_not_reach_clients(self) -> None:
        cut = rules.isolated(2, THREE)
        self.assertEqual(cut - rules.alone(2, THREE), {(rules.CLIENTS, 2), (2, rules.CLIENTS)})

    def test_mute_and_deaf_replicas_lose_one_direction_each(self) -> None:
        self.assertEqual(rules.mute(1, THREE), {(1, 2), (1, 3)})
        self.assertEqual(rules.deaf(1, THREE), {(2, 1), (3, 1)})

    def test_bridge_has_one_replica_that_reaches_all(self) -> None:
        for seed in range(50):
            for replicas in (THREE, FIVE):
                reached = reach(replicas, rules.bridge(replicas, random.Random(seed)))
                middle = [one for one, others in reached.items() if len(others) == len(replicas) - 1]
                self.assertEqual(len(middle), 1)
                others = {len(reached[one]) for one in replicas if one not in middle}
                self.assertEqual(others, {len(replicas) // 2})


class Ruleset(unittest.TestCase):
    @staticmethod
    def of(host: int, cut: rules.Ways, loss_percent: int) -> list[str]:
        text = rules.ruleset(host, cut, loss_percent, lambda host: f"10.0.0.{host}", 4)
        return [line.strip() for line in text.splitlines() if line.strip().startswith("ip saddr")]

    def test_way_is_cut_where_it_arrives_and_nowhere_else(self) -> None:
        self.assertEqual(self.of(2, frozenset({(1, 2)}), 0), ["ip saddr 10.0.0.1 drop"])
        self.assertEqual(self.of(1, frozenset({(1, 2)}), 0), [])

    def test_all_but_clients_and_cut_ways_are_lossy(self) -> None:
        lossy = "numgen random mod 100 < 7 drop"
        expected = [f"ip saddr 10.0.0.1 {lossy}", f"ip saddr 10.0.0.3 {lossy}"]
        self.assertEqual(self.of(2, rules.NONE, 7), expected)
        expected = ["ip saddr 10.0.0.1 drop", f"ip saddr 10.0.0.3 {lossy}"]
        self.assertEqual(self.of(2, frozenset({(1, 2)}), 7), expected)
        self.assertEqual(self.of(rules.CLIENTS, rules.NONE, 7), [])

    def test_rules_replace_the_earlier_ones_at_once(self) -> None:
        text = rules.ruleset(1, rules.NONE, 0, str, 3)
        self.assertTrue(text.startswith("table ip faults\ndelete table ip faults\ntable ip faults {\n"))


if __name__ == "__main__":
    unittest.main()
