"""When things happen to several clusters."""

import math
import selectors
import time
import unittest
from dataclasses import replace
from typing import Any, Iterator

from simulator.console import Console
from simulator.loop import Loop
from simulator.signals import Signals
from simulator.tests.support import small_scenario


class Joined:
    """A cluster that has nothing to do but to begin."""

    missing: set[str] = set()
    storm = False

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime

    def bury_missing(self, reason: str) -> None:
        """Nobody is missing."""

    def begin(self, origin: float) -> None:
        self.origin = origin
        self.end = origin + self.lifetime

    def agenda(self) -> Iterator[Any]:
        return iter(())

    def next_resend(self) -> float:
        return math.inf

    def resend(self) -> None:
        """Nothing was sent."""

    def progress(self) -> str:
        return ""

    def tell_what_is_left(self) -> None:
        """Nothing is."""


class Turns(unittest.TestCase):
    def test_clocks_start_so_that_requests_take_turns(self) -> None:
        scenario = small_scenario(lifetime=12, start_wait=1, end_wait=1, requests=100)  # one in 0.1 s
        clusters = [Joined(12), Joined(12)]
        with Signals() as signals, selectors.EpollSelector() as selector:
            Loop(scenario, clusters, Console(), signals, selector).gather()
        self.assertAlmostEqual(clusters[1].origin - clusters[0].origin, 0.05)

    def test_the_run_ends_when_the_last_cluster_has_had_its_time(self) -> None:
        # Shorter than a configuration may be, as nothing happens.
        scenario = replace(small_scenario(), lifetime=0.2, start_wait=0, end_wait=0, requests=1)
        clusters = [Joined(0.2), Joined(0.2)]
        with Signals() as signals, selectors.EpollSelector() as selector:
            loop = Loop(scenario, clusters, Console(), signals, selector)
            loop.gather()
            loop.play()
        self.assertGreaterEqual(time.monotonic(), clusters[1].end)

    def test_without_requests_there_are_no_turns_to_miss(self) -> None:
        self.assertEqual(small_scenario(lifetime=12, start_wait=1, end_wait=1, requests=0).seconds_per_request, 10)
