"""The event loop: starts one cluster or several side by side, lets time pass, and ends them."""

from __future__ import annotations

import gc
import heapq
import math
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from operator import itemgetter
from random import SystemRandom

from simulator.config import Scenario
from simulator.console import Console, Labelled
from simulator.guard import Guard
from simulator.lives import Cluster, Surroundings
from simulator.punctual import PunctualSelector
from simulator.replica import StartError
from simulator.result import Result
from simulator.signals import Signals
from simulator.simulation import Simulation
from simulator.trace.recorder import UNTRACED, Trace
from simulator.workspace import Workplace, private_directory

# The simulator declares a replica dead that has not joined by then; a busy machine may be slow.
JOIN_SECONDS = 5.0  # unless the user says otherwise
# The time between SIGTERM and SIGKILL at the end of a run.
GRACE_SECONDS = 1.0
# Without a message for so long the network is quiet, and records of it can be written.
QUIET_SECONDS = 0.002


def simulate(
    scenario: Scenario,
    clusters: Sequence[Cluster],
    seed: int | None,
    console: Console,
    signals: Signals,
    join_seconds: float = JOIN_SECONDS,
    traces: Sequence[Trace] = (),
    workplaces: Sequence[Workplace] = (),
) -> list[Result]:
    """Run one scenario to its end; however it ends, no process of it is left.

    Several clusters have the same seed, and their requests take turns: the loop sends a request to
    one cluster while the others are idle. A disturbance of the machine affects all of them alike.
    Each cluster has its trace, or none has one. Without `workplaces` each cluster has a private
    one, of which no file is left.
    """
    seed = next((s for s in (seed, scenario.seed) if s is not None), None)
    if seed is None:
        seed = SystemRandom().getrandbits(32)
    console.notice(f"{scenario.name}: seed {seed}")
    with ExitStack() as stack:
        kind = PunctualSelector if scenario.is_timed_exactly else selectors.EpollSelector
        selector = stack.enter_context(kind())
        try:
            traces = traces or [UNTRACED] * len(clusters)
            places = workplaces or [_private_workplace(stack) for _ in clusters]
            simulations = _set_up(scenario, clusters, seed, console, selector, stack, traces, places)
        except OSError as error:
            raise StartError(f"the run could not be set up: {error}") from None
        loop = Loop(scenario, simulations, console, signals, selector)
        try:
            loop.launch(join_seconds)
            loop.gather(join_seconds)
            loop.play()
            return [simulation.result() for simulation in simulations]
        finally:
            loop.stop()


def _set_up(
    scenario: Scenario,
    clusters: Sequence[Cluster],
    seed: int,
    console: Console,
    selector: selectors.BaseSelector,
    stack: ExitStack,
    traces: Sequence[Trace],
    places: Sequence[Workplace],
) -> list[Simulation]:
    # The guard ends first, so no process still uses the directories when they are removed.
    guard = stack.enter_context(Guard())
    return [
        Simulation(
            scenario, cluster, seed,
            Labelled(console, cluster.name) if len(clusters) > 1 else console,
            Surroundings(
                selector, place.directory, guard.environment, place.data if scenario.persist else None
            ),
            trace,
        )
        for cluster, place, trace in zip(clusters, places, traces, strict=True)
    ]


def _private_workplace(stack: ExitStack) -> Workplace:
    directory = stack.enter_context(private_directory())
    return Workplace(directory, directory / "data")


class Loop:
    """The owner of time, which waits for all sockets and processes at once."""

    def __init__(
        self,
        scenario: Scenario,
        simulations: Sequence[Simulation],
        console: Console,
        signals: Signals,
        selector: selectors.BaseSelector,
    ) -> None:
        self._scenario = scenario
        self._simulations = simulations
        self._console = console
        self._signals = signals
        self._selector = selector
        self._woken = -math.inf  # when the loop last looked at the sockets
        selector.register(signals.fd, selectors.EVENT_READ, self._on_signal)

    def _on_signal(self, _: int) -> None:
        self._signals.clear()
        for simulation in self._simulations:
            simulation.drop_exited()

    def launch(self, join_seconds: float) -> None:
        for simulation in self._simulations:
            simulation.launch(join_seconds)

    def gather(self, join_seconds: float = JOIN_SECONDS) -> None:
        """Wait until each replica has joined or is late, then start the clocks, a turn apart."""
        deadline = time.monotonic() + join_seconds
        while self._is_any_missing() and time.monotonic() < deadline and not self._signals.stop:
            self.wait(deadline - time.monotonic())
        if not self._signals.stop:
            for simulation in self._simulations:
                simulation.drop_missing(f"did not join within {join_seconds:g} seconds")
        origin = time.monotonic()
        turn = self._scenario.seconds_per_request / len(self._simulations)
        for number, simulation in enumerate(self._simulations):
            simulation.begin(origin + number * turn)

    def _is_any_missing(self) -> bool:
        return any(simulation.missing for simulation in self._simulations)

    def play(self) -> None:
        """Carry out the agenda, and carry messages in between."""
        # The loop makes no garbage cycles, and a collection would stop the network for its time.
        gc.collect()
        gc.disable()
        try:
            for due, act in self._agenda():
                self._carry_until(due)
                if self._is_over():
                    break
                act()
        finally:
            gc.enable()
            self._console.end_progress()
        for simulation in self._simulations:
            simulation.tell_what_is_left()

    def _agenda(self) -> Iterator[tuple[float, Callable[[], None]]]:
        agendas = [simulation.agenda() for simulation in self._simulations]
        return heapq.merge(*agendas, self._ticks(), key=itemgetter(0))

    def _ticks(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """The progress lines, without an end, so that the agenda goes on until the run is over."""
        start = time.monotonic()
        period = self._console.refresh_seconds if self._console.is_terminal else self._scenario.lifetime
        return ((start + n * period, self._show_progress) for n in count())

    def _show_progress(self) -> None:
        left = self._simulations[-1].end - time.monotonic()
        self._console.show_run(self._scenario.name, left, self._simulations)

    def _carry_until(self, due: float) -> None:
        """Carry messages until `due`; under `poll`, until the first wake-up after it.

        The loop looks at the sockets at least once, or a late simulator would carry nothing. Under
        `poll` it looks at the clock only after that, so all acts due at a wake-up form one burst.
        """
        poll = self._scenario.poll
        if poll and due <= self._woken:
            return
        while True:
            wake = min(due, *[simulation.next_deadline() for simulation in self._simulations])
            if poll:
                self.wait(poll)
            else:
                self._rest(wake - time.monotonic())
            self._woken = time.monotonic()
            for simulation in self._simulations:
                simulation.meet_deadlines()
            if self._woken >= due or self._is_over():
                return

    def _is_over(self) -> bool:
        return (
            self._signals.stop
            or any(simulation.storm for simulation in self._simulations)
            or all(simulation.is_extinct for simulation in self._simulations)
            or time.monotonic() >= self._simulations[-1].end
        )

    def _rest(self, seconds: float) -> None:
        """Wait at most so long. After a moment of silence the traces write their records."""
        traces = [simulation.trace for simulation in self._simulations if simulation.trace.is_behind]
        if not traces or seconds <= QUIET_SECONDS:
            self.wait(seconds)
        elif not self.wait(QUIET_SECONDS):
            for trace in traces:
                trace.write()

    def wait(self, seconds: float) -> bool:
        """Sleep at most so long until a socket or process is ready, and handle it, if one is."""
        ready = self._selector.select(max(0.0, seconds))
        for key, events in ready:
            key.data(events)
        return bool(ready)

    def stop(self) -> None:
        """End all replicas with SIGTERM, then with SIGKILL. Show their remaining output."""
        for simulation in self._simulations:
            simulation.terminate()
        self._selector.modify(
            self._signals.fd, selectors.EVENT_READ, lambda _: self._signals.clear()
        )
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._all_exited() and time.monotonic() < deadline:
            self.wait(deadline - time.monotonic())
        for simulation in self._simulations:
            simulation.kill()
        while not self._all_exited():
            self.wait(GRACE_SECONDS)

    def _all_exited(self) -> bool:
        return all([simulation.has_exited() for simulation in self._simulations])
