"""Whole runs in virtual time: the simulator's loop, network and clients, with toy replicas.

No process starts and no time passes, so a run depends on its seed alone, not on the machine. Real
runs test all that needs a process, a socket or the command line.
"""

from __future__ import annotations

import heapq
import io
import json
import selectors
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from simulator import lives, loop, messages, report, simulation
from simulator.config import Scenario
from simulator.console import Console
from simulator.figures import Figures
from simulator.lives import Cluster
from simulator.result import Result
from simulator.tests.behaviour import FakeReplica
from simulator.trace import recorder
from simulator.trace.outline import last_line
from simulator.trace.recorder import Recorder
from simulator.trace.sink import Sink
from simulator.transport import TRANSPORTS, Listener

# Of each message, one way. With a request every 35 ms, some message is always on its way.
DELAY_SECONDS = 0.031
# Between two replicas that join, so that the first one sends before all have joined.
JOIN_SECONDS = 0.1
# For each turn of the simulator's loop.
TURN_SECONDS = 1e-6


class VirtualTime:
    """The clock and the selector of a run: a wait ends with the next message, or with its time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.transports: dict[Path, VirtualTransport] = {}

    def __enter__(self) -> VirtualTime:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""

    def monotonic(self) -> float:
        return self._now

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self._now + seconds, next(self._numbers), act))

    def register(self, *_: object) -> None:
        """No signal comes."""

    modify = register

    def select(self, seconds: float) -> list[Any]:
        # Otherwise the loop would never end where the sum of two times is not exact.
        self._now += TURN_SECONDS
        until = self._now + seconds
        if not self._due or self._due[0][0] > until:
            self._now = until
            return []
        time, _, act = heapq.heappop(self._due)
        self._now = max(self._now, time)
        act()
        return []


class VirtualTransport:
    """Carries messages between a simulation and its replicas in order, each for `DELAY_SECONDS`."""

    def __init__(
        self, directory: Path, replicas: Sequence[str], selector: selectors.BaseSelector, listener: Listener
    ) -> None:
        self.time = cast(VirtualTime, selector)
        self.listener = listener
        self.living: dict[str, FakeReplica] = {}
        self.lives: Counter[str] = Counter()
        self.disks: dict[str, dict[str, str]] = {replica: {} for replica in replicas}
        self.paused: dict[str, list[bytes]] = {}
        self._replicas = replicas
        self.time.transports[directory] = self

    def arguments(self, replica: str) -> list[str]:
        return [replica, *(other for other in self._replicas if other != replica)]

    def send(self, replica: str, raw: bytes) -> None:
        life = self.lives[replica]
        self.time.after(DELAY_SECONDS, lambda: self._deliver(replica, life, raw))

    def _deliver(self, replica: str, life: int, raw: bytes) -> None:
        if replica not in self.living or life != self.lives[replica]:
            return
        if replica in self.paused:
            self.paused[replica].append(raw)
            return
        # A message with a changed byte may be no JSON any more, or lack a field.
        with suppress(ValueError, KeyError):
            self.living[replica].take(json.loads(raw))

    def resume(self, replica: str) -> bool:
        life = self.lives[replica]
        waiting = self.paused.pop(replica, None)
        for raw in waiting or ():
            self._deliver(replica, life, raw)
        return waiting is not None

    def close(self, replica: str) -> None:
        self.living.pop(replica, None)
        self.paused.pop(replica, None)

    def reopen(self, replica: str) -> None:
        self.lives[replica] += 1

    def close_all(self) -> None:
        self.living.clear()

    def kernel_drops(self) -> dict[str, int]:
        return {}

    def queue_drops(self) -> dict[str, int]:
        return {}


class VirtualReplica:
    """A toy replica in the place of a process. Its program is the name of its behaviour."""

    def __init__(
        self, id: str, command: list[str], directory: Path, selector: selectors.BaseSelector, *_: object
    ) -> None:
        self.id = id
        self._transport = cast(VirtualTime, selector).transports[directory]
        self._life = self._transport.lives[id]
        behaviour = Path(command[0]).name
        self._replica = FakeReplica(self, behaviour, self._transport.disks[id])
        if self._life == 0 or behaviour != "joins_once":
            self._transport.time.after(JOIN_SECONDS * int(id, 16), self._join)

    def _join(self) -> None:
        self._transport.living[self.id] = self._replica
        self._transport.listener.joined(self.id)
        self._replica.greet()

    def send(self, destination: str, type: str, leader: str, **fields: Any) -> None:
        message = {"src": self.id, "dst": destination, "leader": leader, "type": type, **fields}
        self.send_raw(messages.encode(message))

    def send_raw(self, raw: bytes) -> None:
        self._transport.time.after(DELAY_SECONDS, lambda: self._arrive(raw))

    def _arrive(self, raw: bytes) -> None:
        if self._transport.living.get(self.id) is self._replica:
            self._transport.listener.received(self.id, raw)

    def has_exited(self, within: float = 0) -> bool:
        return self.id not in self._transport.living

    def terminate(self) -> None:
        self._transport.close(self.id)

    kill = terminate

    @property
    def is_paused(self) -> bool:
        return self.id in self._transport.paused

    def pause(self) -> None:
        self._transport.paused[self.id] = []

    def resume(self) -> bool:
        return self._transport.resume(self.id)


@contextmanager
def virtual_time() -> Iterator[None]:
    """Within, runs of a cluster with the transport "virtual" need no process and no time."""
    time = VirtualTime()
    with (
        mock.patch.object(loop, "time", time),
        mock.patch.object(loop, "selectors", SimpleNamespace(EpollSelector=lambda: time, EVENT_READ=1)),
        mock.patch.object(loop, "PunctualSelector", lambda: time),
        mock.patch.object(loop, "Guard", lambda: nullcontext(SimpleNamespace(environment={}))),
        mock.patch.object(simulation, "time", time),
        mock.patch.object(recorder, "monotonic", time.monotonic),
        mock.patch.object(lives, "Replica", VirtualReplica),
        mock.patch.dict(TRANSPORTS, virtual=VirtualTransport),
    ):
        yield


class VirtualRun:
    """A finished run of one cluster or more, each named after the behaviour of its replicas.

    The clusters have a trace each if there are `traces`.
    """

    def __init__(
        self, scenario: Scenario, *behaviours: str, seed: int = 1, traces: Sequence[Path] = ()
    ) -> None:
        said = io.StringIO()
        clusters = [Cluster(Path(behaviour), behaviour, transport="virtual") for behaviour in behaviours]
        signals = SimpleNamespace(fd=-1, stop=False)
        with virtual_time():
            console = Console(said, said)
            recorders = [Recorder(Sink(path), "again {seed}", console.line) for path in traces]
            self.results = loop.simulate(
                scenario, clusters, seed, console, cast(Any, signals), traces=recorders
            )
        for trace, result in zip(recorders, self.results, strict=False):
            trace.end(last_line(result))
        self.said = said.getvalue()

    @property
    def result(self) -> Result:
        return self.results[0]

    @property
    def figures(self) -> Figures:
        return self.result.figures

    @property
    def told(self) -> str:
        """All lines that the user sees: events, errors and the report."""
        return f"{self.said}{report.render(self.result, coloured=False)}\n"
