"""One run: starts the nodes, plays the network and the clients, and ends the nodes."""

from __future__ import annotations

import itertools
import random
import selectors
import time
from dataclasses import dataclass, field
from pathlib import Path

from simulator.console import Console
from simulator.guard import Guard
from simulator.maelstrom.clients import Clients, Operation
from simulator.maelstrom.message import Broken, Message, read
from simulator.maelstrom.network import Network
from simulator.maelstrom.node import Node
from simulator.maelstrom.settings import Settings
from simulator.maelstrom.workload import Workload
from simulator.signals import Signals
from simulator.workspace import private_directory

# The client that sends the `init` messages. It has asked each node one thing, and gets no other
# answer.
_STARTER = "c100000"
_LONGEST_WAIT = 0.1
_MOST_BEHIND = 0.1
_BUSY_SECONDS = 0.001


@dataclass
class Outcome:
    """What a run leaves behind."""

    operations: list[Operation]
    sent: int
    sent_between_nodes: int
    lost: int
    late: int
    events: list[tuple[float, str]] = field(default_factory=list)
    broken: str | None = None
    is_interrupted: bool = False


def run(settings: Settings, command: list[str], console: Console, silence: bool, signals: Signals) -> Outcome:
    """Run the program as so many nodes; a broken rule ends the run early."""
    with private_directory() as directory, Guard() as guard, selectors.DefaultSelector() as selector:
        cluster = _Cluster(settings, console, silence, selector, signals)
        try:
            cluster.start(command, directory, guard.environment)
            cluster.play()
        except Broken as rule:
            cluster.outcome.broken = str(rule)
        finally:
            cluster.end()
        return cluster.outcome


class _Cluster:
    def __init__(
        self, settings: Settings, console: Console, silence: bool, selector: selectors.BaseSelector,
        signals: Signals,
    ) -> None:
        rng = random.Random(settings.seed)
        self._settings = settings
        self._console = console
        self._silence = silence
        self._selector = selector
        self._signals = signals
        self._start = time.monotonic()
        self._rng = random.Random(rng.random())
        self._network = Network(settings, random.Random(rng.random()))
        self._workload = Workload(settings, random.Random(rng.random()))
        self._clients = Clients(settings.clients, settings.names, settings.timeout)
        self._nodes: dict[str, Node] = {}
        self._ids = itertools.count()
        self._joined: set[str] = set()
        self._is_cut = False
        self._next_change = self._next_operation = 0.0
        self._sent_before = (0, 0)
        self.outcome = Outcome(self._clients.operations, 0, 0, 0, 0)
        for client in (_STARTER, *self._clients.names):
            self._network.add_client(client)
        selector.register(signals.fd, selectors.EVENT_READ, signals.clear)

    def start(self, command: list[str], directory: Path, environment: dict[str, str]) -> None:
        """Start all nodes, and let each answer its `init`."""
        for name in self._settings.names:
            self._nodes[name] = Node(
                name, command, directory, self._selector, environment, self._take_line, self._show
            )
        for number, name in enumerate(self._settings.names, 1):
            body = {"type": "init", "msg_id": number, "node_id": name, "node_ids": self._settings.names}
            self._network.send(self._now(), Message(next(self._ids), _STARTER, name, body))
        deadline = self._now() + self._settings.init_seconds
        while len(self._joined) < len(self._nodes) and not self._signals.stop:
            if self._now() >= deadline:
                silent = ", ".join(sorted(set(self._nodes) - self._joined))
                raise Broken(f"no init_ok within {self._settings.init_seconds:g} s: {silent}")
            self._pass_time(deadline)

    def play(self) -> None:
        """Let operations begin until the time is over, and wait for the last answers."""
        begin = self._now()
        end = begin + self._settings.lifetime
        self._next_operation, self._next_change = begin, begin + self._settings.interval
        self._sent_before = (self._network.sent, self._network.sent_between_nodes)
        while self._now() < end and not self._signals.stop:
            self._change_cut()
            self._invoke()
            self._pass_time(min(end, self._next_operation, self._next_change))
        self._network.heal()
        while self._clients.is_waiting() and not self._signals.stop:
            self._pass_time(self._now() + _LONGEST_WAIT)

    def end(self) -> None:
        for node in self._nodes.values():
            node.kill()
        self.outcome.sent = self._network.sent - self._sent_before[0]
        self.outcome.sent_between_nodes = self._network.sent_between_nodes - self._sent_before[1]
        self.outcome.lost, self.outcome.late = self._network.lost, self._clients.late
        self.outcome.is_interrupted = self._signals.stop

    def _now(self) -> float:
        return time.monotonic() - self._start

    def _pass_time(self, until: float) -> None:
        """Wait for something to happen, and deliver what has arrived."""
        ends = [until, self._now() + _LONGEST_WAIT]
        ends += [at for at in (self._network.next_arrival(), self._clients.next_timeout()) if at is not None]
        for key, _ in self._selector.select(max(0.0, min(ends) - self._now())):
            key.data()
        for node in self._nodes.values():
            node.check()
        now = self._now()
        for message in self._network.arrived(now):
            if message.dest in self._nodes:
                self._nodes[message.dest].send(message.to_line())
            elif message.dest == _STARTER:
                self._take_init_ok(message)
            else:
                self._clients.take(now, message)
        self._clients.give_up(now)

    def _take_line(self, name: str, line: bytes) -> None:
        self._network.send(self._now(), read(line, name, next(self._ids)))

    def _take_init_ok(self, message: Message) -> None:
        number = self._settings.names.index(message.src) + 1
        if message.body["type"] != "init_ok" or message.body.get("in_reply_to") != number:
            raise Broken(f"{message.src} answered its init with {message.body}")
        self._joined.add(message.src)

    def _invoke(self) -> None:
        """Begin the operation that is due; it waits while all clients are busy."""
        now = self._now()
        idle = self._clients.idle()
        if now >= self._next_operation and idle:
            client, request = self._rng.choice(idle), self._workload.draw()
            self._network.send(now, self._clients.invoke(now, client, request, next(self._ids)))
            # What a busy machine has kept waiting is made up for, but not all at once.
            due = max(self._next_operation, now - _MOST_BEHIND)
            self._next_operation = due + self._rng.expovariate(self._settings.rate)
        elif not idle:
            self._next_operation = max(self._next_operation, now + _BUSY_SECONDS)

    def _change_cut(self) -> None:
        """Cut the network or heal it, in turns."""
        if not self._settings.cuts or self._now() < self._next_change:
            return
        self._next_change += self._settings.interval
        self._is_cut = not self._is_cut
        if self._is_cut:
            event = f"cut {self._network.cut(self._rng.choice(self._settings.cuts))}"
        else:
            self._network.heal()
            event = "healed"
        self.outcome.events.append((self._now(), event))
        self._console.notice(f"[{self._now():7.3f}] {event}")

    def _show(self, name: str, line: str) -> None:
        if not self._silence:
            self._console.notice(f"[{self._now():7.3f} {name}] {line}")
