"""When things happen to several clusters."""

import selectors
import unittest

from simulator.console import Console
from simulator.loop import Loop
from simulator.signals import Signals
from simulator.tests.support import small_scenario


class Joined:
    """A cluster that has nothing to do but to begin."""

    missing: set[str] = set()

    def bury_missing(self, reason: str) -> None:
        """Nobody is missing."""

    def begin(self, origin: float) -> None:
        self.origin = origin


class Turns(unittest.TestCase):
    def test_clocks_start_so_that_requests_take_turns(self) -> None:
        scenario = small_scenario(lifetime=12, start_wait=1, end_wait=1, requests=100)  # one in 0.1 s
        clusters = [Joined(), Joined()]
        with Signals() as signals, selectors.EpollSelector() as selector:
            Loop(scenario, clusters, Console(), signals, selector).gather()
        self.assertAlmostEqual(clusters[1].origin - clusters[0].origin, 0.05)

    def test_without_requests_there_are_no_turns_to_miss(self) -> None:
        self.assertEqual(small_scenario(lifetime=12, start_wait=1, end_wait=1, requests=0).seconds_per_request, 10)
