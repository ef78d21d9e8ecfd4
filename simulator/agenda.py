"""The events of a run in time: begun at their time or when their condition is met, and ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from random import Random

from simulator.clients import Clients
from simulator.conditions import Conditions
from simulator.config import Scenario
from simulator.events import KILL_LEADER_ON_ACK, Events, Processes
from simulator.network import Network
from simulator.schedule import FLAP, Event, draw_restarts
from simulator.timers import Timers
from simulator.trace.recorder import Trace

# More than the error of a sum of a thousand times, and less than any period.
_INSTANT_SECONDS = 1e-6


class Agenda:
    """The owner of all events. Times are seconds since all replicas have joined."""

    def __init__(
        self,
        scenario: Scenario,
        restarts: Random,
        choices: Random,
        network: Network,
        clients: Clients,
        processes: Processes,
        timers: Timers,
        trace: Trace,
        tell: Callable[[str, str], None],
    ) -> None:
        """`restarts` draws those that the scenario only counts, `choices` the replicas.

        `tell` takes the type of an event and its effect in words.
        """
        busy = scenario.lifetime - scenario.end_wait - scenario.start_wait
        self._events = (*scenario.events, *draw_restarts(scenario.restarts, busy, restarts))
        self._start = scenario.start_wait
        self._lifetime = scenario.lifetime
        self._timers = timers
        self._tell = tell
        conditions = Conditions(scenario.events, lambda: timers.now() - self._start, self._meet)
        self.occur = conditions.occur
        self._effects = Events(network, clients, choices, processes, trace, conditions.occur)
        self._due: deque[tuple[str, Callable[[], str | None]]] = deque()
        self._is_busy = False
        self._unmet = [event for event in scenario.events if event.when is not None]

    def acts(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """All acts whose time is known beforehand, in order, with their times after the start wait.

        An event that lasts ends before another one of the same time begins.
        """
        acts = sorted(self._acts(), key=itemgetter(0, 1))
        return ((time, act) for time, _, act in acts)

    def _acts(self) -> Iterator[tuple[float, int, Callable[[], None]]]:
        """The begin and the end of each event: its time, its rank within that time, the act."""
        for event in self._events:
            if event.time is None:
                continue
            yield event.time, 1, partial(self._begin, event)
            if event.duration is not None:
                yield event.end, 0 if event.duration else 2, partial(self._end, event)

    def acknowledged(self, replica: str) -> None:
        """A client has the ok of a replica to its write, which an armed kill waits for."""
        self._carry_out(KILL_LEADER_ON_ACK, partial(self._effects.acknowledged, replica))

    def _meet(self, event: Event, after: float) -> None:
        """The condition of an event is met."""
        if after:
            self._timers.add(self._timers.now() + after, partial(self._begin_unplanned, event))
        else:
            self._begin_unplanned(event)

    def _begin_unplanned(self, event: Event) -> None:
        self._unmet.remove(event)
        end = self._timers.now() + (event.duration or 0)
        if event.duration is not None and end >= self._lifetime:
            self._tell(event.type, f"not carried out, its {event.duration:g} s would end after the run")
            return
        self._begin(event)
        if event.duration is not None:
            self._timers.add(end, partial(self._end, event))

    def _begin(self, event: Event) -> None:
        self._carry_out(event.type, partial(self._effects.begin, event))
        if event.type == FLAP:
            now = self._timers.now()
            self._turn_later(event, now, now + (event.duration or 0))

    def _end(self, event: Event) -> None:
        self._carry_out(event.type, partial(self._effects.end, event))

    def _carry_out(self, type: str, act: Callable[[], str | None]) -> None:
        """Carry out a part of an event and tell its effect, if any.

        An event whose condition it meets comes after it.
        """
        self._due.append((type, act))
        if self._is_busy:
            return
        self._is_busy = True
        while self._due:
            type, act = self._due.popleft()
            done = act()
            if done is not None:
                self._tell(type, done)
        self._is_busy = False

    def _turn_later(self, flap: Event, last: float, end: float) -> None:
        """Half a period after its `last` turn the replica loses its links, or regains them.

        The end of the flap takes the place of a turn at that time.
        """
        due = last + (flap.period or 0) / 2
        if due < end - _INSTANT_SECONDS:
            self._timers.add(due, partial(self._turn, flap, due, end))

    def _turn(self, flap: Event, due: float, end: float) -> None:
        if self._effects.turn(flap):
            self._turn_later(flap, due, end)

    def tell_what_is_left(self) -> None:
        """Say which kills and which events with a condition did not happen."""
        for _ in range(self._effects.armed):
            self._tell(KILL_LEADER_ON_ACK, "never struck")
        for event in self._unmet:
            self._tell(event.type, f"never happened: it waited for {event.when}")
