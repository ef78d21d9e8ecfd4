"""The events that wait for an occurrence in the run, and the count of the occurrences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simulator.schedule import Event, When


@dataclass(eq=False)
class _Waiting:
    """An event whose condition is met with the occurrence after `left - 1` more."""

    event: Event
    when: When
    left: int


class Conditions:
    """Hears of all occurrences. A condition that is met once is met for good."""

    def __init__(
        self, events: Iterable[Event], clock: Callable[[], float], met: Callable[[Event, float], None]
    ) -> None:
        """`clock` tells the seconds since the start wait.

        `met` takes an event when its condition is met, and the seconds until it is to happen.
        """
        self._clock = clock
        self._met = met
        self._waiting: dict[str, list[_Waiting]] = {}
        for event in events:
            if event.when is not None:
                waiting = _Waiting(event, event.when, event.when.count)
                self._waiting.setdefault(event.when.on, []).append(waiting)

    def occur(self, condition: str, message: str | None = None) -> None:
        """Note an occurrence; `message` is the type of a message that was sent."""
        waiting = self._waiting.get(condition)
        if not waiting:
            return
        now = self._clock()
        for one in list(waiting):
            if now >= one.when.start and message == one.when.message:
                one.left -= 1
                if not one.left:
                    waiting.remove(one)
                    self._met(one.event, one.when.after)
