"""The times at which several clusters act."""

import io
import math
import selectors
import socket
import time
import unittest
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from simulator import loop, punctual
from simulator.console import Console
from simulator.loop import Loop
from simulator.punctual import PunctualSelector
from simulator.signals import Signals
from simulator.tests.support import HANG_SECONDS, small_scenario
from simulator.trace.recorder import UNTRACED, Trace


class Joined:
    """A cluster without an agenda."""

    missing: set[str] = set()
    trace: Trace = UNTRACED
    storm = False
    is_extinct = False

    def __init__(self, lifetime: float) -> None:
        self.lifetime = lifetime

    def drop_missing(self, reason: str) -> None:
        """No replica is missing."""

    def begin(self, origin: float) -> None:
        self.origin = origin
        self.end = origin + self.lifetime

    def agenda(self) -> Iterator[Any]:
        return iter(())

    def next_deadline(self) -> float:
        return math.inf

    def meet_deadlines(self) -> None:
        """No message was sent."""

    def progress(self) -> str:
        return ""

    def tell_what_is_left(self) -> None:
        """No request is left."""


class Waits(unittest.TestCase):
    """Waits that end between two milliseconds, without a look at a clock."""

    def waits(self, timeout: float, now: float = 0.0, ready: bool = False) -> list[tuple[str, float]]:
        """Which wait takes how long, if `now` is the time after the first one."""
        found: list[tuple[str, float]] = []

        def wait(_: object, timeout: float | None = None) -> list[Any]:
            found.append(("epoll", timeout or 0))
            return [1] if ready else []

        def wait_exactly(*arguments: Any) -> None:
            found.append(("select", arguments[3]))

        times = iter((0.0, now))
        with mock.patch.object(selectors.EpollSelector, "select", wait), \
                mock.patch.object(punctual.select, "select", wait_exactly), \
                mock.patch.object(punctual, "time", SimpleNamespace(monotonic=lambda: next(times))), \
                PunctualSelector() as selector:
            selector.select(timeout)
        return [(name, round(seconds, 6)) for name, seconds in found]

    def test_last_part_of_a_millisecond_is_waited_for_exactly(self) -> None:
        self.assertEqual(self.waits(0.0005), [("epoll", 0), ("select", 0.0005), ("epoll", 0)])
        self.assertEqual(self.waits(0.0025, now=0.002), [("epoll", 0.002), ("select", 0.0005), ("epoll", 0)])

    def test_wait_ends_with_the_first_message_and_when_its_time_is_over(self) -> None:
        self.assertEqual(self.waits(0.0025, ready=True), [("epoll", 0.002)])
        self.assertEqual(self.waits(0.0025, now=0.003), [("epoll", 0.002)])
        self.assertEqual(self.waits(0.0005, now=1), [("epoll", 0)], "a late wait looks at the sockets, too")
        self.assertEqual(self.waits(0), [("epoll", 0)])

    def test_message_ends_an_exact_wait(self) -> None:
        with PunctualSelector() as selector:
            receiver, sender = socket.socketpair()
            with receiver, sender:
                selector.register(receiver, selectors.EVENT_READ)
                sender.send(b"x")
                [(key, _)] = selector.select(0.0009)
                self.assertIs(key.fileobj, receiver)
                [(key, _)] = selector.select(HANG_SECONDS)


class Chosen(Exception):
    """The exact selector is chosen."""


class Choice(unittest.TestCase):
    def test_only_runs_with_delays_or_conditions_pay_for_exact_waits(self) -> None:
        heal = {"type": "heal", "when": {"on": "killed"}}
        for changes, is_exact in (({"drops": 0.5}, False), ({"delay": {"constant": 1}}, True), ({"events": [heal]}, True)):
            said = io.StringIO()
            with mock.patch.object(loop, "PunctualSelector", side_effect=Chosen), \
                    mock.patch.object(loop.selectors, "EpollSelector", side_effect=InterruptedError), \
                    self.assertRaises(Chosen if is_exact else InterruptedError):
                loop.simulate(small_scenario(**changes), [], 1, Console(said, said), cast(Any, None))


class Behind(Trace):
    """A trace that counts how often it has to write."""

    written = 0
    is_behind = True

    def write(self) -> None:
        self.written += 1


class Rest(unittest.TestCase):
    """The records of a trace are written when nothing else happens."""

    def rest(self, seconds: float, message_comes: bool) -> tuple[int, list[float]]:
        """How often the trace has written, and the waits."""
        cluster = Joined(1)
        cluster.trace = trace = Behind()
        ready = [(SimpleNamespace(data=lambda events: None), selectors.EVENT_READ)] if message_comes else []
        selector = mock.Mock()
        selector.select.side_effect = [ready, []]
        loop = Loop(small_scenario(), cast(Any, [cluster]), Console(), mock.Mock(), selector)
        loop._rest(seconds)
        return trace.written, [call[0][0] for call in selector.select.call_args_list]

    def test_records_are_written_after_a_moment_of_silence(self) -> None:
        self.assertEqual(self.rest(1.0, False), (1, [loop.QUIET_SECONDS]))

    def test_message_comes_before_the_records_of_those_before_it(self) -> None:
        self.assertEqual(self.rest(1.0, True), (0, [loop.QUIET_SECONDS]))

    def test_no_record_is_written_shortly_before_the_next_request(self) -> None:
        self.assertEqual(self.rest(loop.QUIET_SECONDS, False), (0, [loop.QUIET_SECONDS]))


class Turns(unittest.TestCase):
    def test_clocks_start_so_that_requests_take_turns(self) -> None:
        # One request in 0.1 s.
        scenario = small_scenario(lifetime=12, start_wait=1, end_wait=1, requests=100)
        clusters = [Joined(12), Joined(12)]
        with Signals() as signals, selectors.EpollSelector() as selector:
            Loop(scenario, cast(Any, clusters), Console(), signals, selector).gather()
        self.assertAlmostEqual(clusters[1].origin - clusters[0].origin, 0.05)

    def test_run_ends_when_the_last_cluster_has_had_its_time(self) -> None:
        # Shorter than a configuration may be, as the clusters are idle.
        scenario = replace(small_scenario(), lifetime=0.2, start_wait=0, end_wait=0, requests=1)
        clusters = [Joined(0.2), Joined(0.2)]
        with Signals() as signals, selectors.EpollSelector() as selector:
            loop = Loop(scenario, cast(Any, clusters), Console(), signals, selector)
            loop.gather()
            loop.play()
        self.assertGreaterEqual(time.monotonic(), clusters[1].end)

    def test_run_without_requests_has_no_turns_to_miss(self) -> None:
        self.assertEqual(small_scenario(lifetime=12, start_wait=1, end_wait=1, requests=0).seconds_per_request, 10)


class VirtualTime:
    """A clock and a selector: a wait lasts as long as it may, or until the next message."""

    def __init__(self, messages: list[float]) -> None:
        self.now = 0.0
        self._messages = messages

    def monotonic(self) -> float:
        return self.now

    def register(self, *_: Any) -> None:
        """Signals that never come."""

    def select(self, seconds: float) -> list[Any]:
        until = self.now + seconds
        if self._messages and self._messages[0] <= until:
            until = max(self.now, self._messages.pop(0))
        self.now = until
        return []


class Asking(Joined):
    """A cluster that notes the time of each of its requests."""

    def __init__(self, lifetime: float, requests: list[float], time: VirtualTime) -> None:
        super().__init__(lifetime)
        self.sent: list[float] = []
        self._requests = requests
        self._time = time

    def agenda(self) -> Iterator[Any]:
        return ((due, lambda: self.sent.append(round(self._time.now, 3))) for due in self._requests)


def sent_under_poll(poll: float, due: list[float], messages: list[float]) -> list[float]:
    """The times of requests due at `due`, with messages that arrive at `messages`."""
    scenario = replace(small_scenario(), lifetime=0.4, start_wait=0, end_wait=0, poll=poll)
    clock = VirtualTime(messages)
    cluster = Asking(0.4, due, clock)
    cluster.begin(0)
    with Signals() as signals, mock.patch("time.monotonic", clock.monotonic):
        # The first entry of the agenda, the progress at 0, takes one wait.
        Loop(scenario, cast(Any, [cluster]), Console(), signals, cast(Any, clock)).play()
    return cluster.sent
