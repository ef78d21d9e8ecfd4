"""Plans are drawn from a seed, and have only faults that can be carried out."""

import unittest

from hosts import plans
from hosts.faults import Injector
from hosts.network import Loopback
from hosts.replicas import Cluster


class Draw(unittest.TestCase):
    def test_same_seed_draws_the_same_steps_and_another_one_others(self) -> None:
        drawn = [plans.draw("everything", seed, 60, None, has_network=True) for seed in (1, 1, 2)]
        self.assertEqual(drawn[0], drawn[1])
        self.assertNotEqual(drawn[0], drawn[2])

    def test_steps_fill_the_time(self) -> None:
        steps = plans.draw("partitions", 1, 60, None, has_network=True)
        self.assertGreaterEqual(sum(step.hold_s + step.calm_s for step in steps), 60)
        self.assertLess(sum(step.hold_s + step.calm_s for step in steps[:-1]), 60)

    def test_rounds_go_before_the_time(self) -> None:
        self.assertEqual(len(plans.draw("kill-leader", 1, 1, 50, has_network=False)), 50)

    def test_each_fault_comes_once_before_one_comes_again(self) -> None:
        faults = plans.PLANS["everything"]
        steps = plans.draw("everything", 4, 0, 2 * len(faults), has_network=True)
        for half in (steps[: len(faults)], steps[len(faults) :]):
            self.assertEqual(sorted(step.faults[0] for step in half), sorted(faults))

    def test_plan_without_a_network_has_the_faults_of_processes_alone(self) -> None:
        steps = plans.draw("everything", 4, 0, 40, has_network=False)
        drawn = {fault for step in steps for fault in step.faults}
        self.assertEqual(drawn, {*plans.PLANS["kills"], *plans.PLANS["restarts"], *plans.PLANS["pauses"]})
        with self.assertRaisesRegex(plans.PlanError, "partitions needs a namespace"):
            plans.draw("partitions", 4, 60, None, has_network=False)

    def test_every_fault_of_every_plan_can_be_carried_out(self) -> None:
        network = Loopback(3)
        self.addCleanup(network.close)
        known = Injector.__new__(Injector)
        known.__init__(Cluster.__new__(Cluster), network)  # type: ignore[misc]
        named = {fault for faults in plans.PLANS.values() for fault in faults}
        self.assertEqual(named, set(known._deeds))


if __name__ == "__main__":
    unittest.main()
