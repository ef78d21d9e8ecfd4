"""Three processes and the network between them, which loses nothing and notes what it sees."""

from __future__ import annotations

import selectors
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import messages
from simulator.messages import BROADCAST, HELLO, UNKNOWN_LEADER, Malformed, excerpt
from simulator.replica import Replica
from simulator.transport import TRANSPORTS

REPLICAS = ("0000", "0001", "0002")
# It has a letter, to find replicas that change its case.
CLIENT = "001A"
_MOST_KINDS = 50
# Messages that wait until all have joined.
_MOST_EARLY = 10_000


@dataclass(frozen=True)
class Response:
    """An answer to a request, and when it came."""

    time: float
    replica: str
    message: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.message["type"])

    @property
    def leader(self) -> str:
        return str(self.message["leader"])


class Cluster:
    """The listener of a transport, and the owner of the processes at its other end."""

    def __init__(
        self, command: Sequence[str], dialect: str, directory: Path, selector: selectors.BaseSelector,
        environment: Mapping[str, str], prefix: str,
    ) -> None:
        """`prefix` is the first digit of the MIDs."""
        self._command = list(command)
        self._directory = directory
        self._selector = selector
        self._environment = environment
        self._prefix = prefix
        self._asked = 0
        self._early: list[tuple[str, bytes]] = []
        self._is_gathered = False
        self.transport = TRANSPORTS[dialect](directory, REPLICAS, selector, self)
        self.replicas: dict[str, Replica] = {}
        self.begun = time.monotonic()
        self.joined_at: dict[str, float] = {}
        self.named: dict[str, str] = dict.fromkeys(REPLICAS, UNKNOWN_LEADER)
        self.responses: dict[str, list[Response]] = {}  # by MID
        self.breaches: Counter[tuple[str, str]] = Counter()  # by replica and broken rule
        self.examples: dict[tuple[str, str], str] = {}
        self.between: Counter[str] = Counter()  # messages between replicas, by type
        self.longest = 0
        self.lines: Counter[str] = Counter()
        self.output_bytes: Counter[str] = Counter()
        self._closed: set[str] = set()
        self._exempt: set[str] = set()

    # Processes.

    def launch(self) -> None:
        """Start all replicas; raises a StartError."""
        for id in REPLICAS:
            self.replicas[id] = Replica(
                id, [*self._command, *self.transport.arguments(id)], self._directory, self._selector,
                self._show, self._environment,
            )

    def _show(self, id: str, stream: str, line: str) -> None:
        self.lines[id] += 1
        self.output_bytes[id] += len(line)

    def has_exited(self, id: str) -> bool:
        return self.replicas[id].has_exited()

    @property
    def living(self) -> list[str]:
        """The replicas that run and are connected."""
        return [
            id for id in self.replicas
            if id in self.joined_at and id not in self._closed and not self.has_exited(id)
        ]

    def dead(self) -> list[str]:
        """The replicas that have ended although nothing was done to end them."""
        return [id for id in self.replicas if id not in self._exempt and self.has_exited(id)]

    def terminate(self, id: str) -> None:
        self._exempt.add(id)
        self._closed.add(id)
        self.replicas[id].terminate()

    def hang_up(self, id: str) -> None:
        """End the connection of a replica."""
        self._exempt.add(id)
        self._closed.add(id)
        self.transport.close(id)

    def stop(self) -> None:
        """Kill all processes."""
        self.transport.close_all()
        for replica in self.replicas.values():
            replica.kill()
            replica.has_exited(within=1)

    # The network.

    def gather(self) -> None:
        """Carry the messages of early replicas, which were held until all had joined."""
        self._is_gathered = True
        early, self._early = self._early, []
        for id, raw in early:
            self.received(id, raw)

    def joined(self, replica: str) -> None:
        self.joined_at.setdefault(replica, time.monotonic())

    def received(self, replica: str, raw: bytes) -> None:
        if not self._is_gathered:
            if len(self._early) < _MOST_EARLY:
                self._early.append((replica, raw))
            return
        self.longest = max(self.longest, len(raw))
        try:
            message = messages.parse(raw)
            if message["src"] != replica:
                raise Malformed(f'"src" must be the sender, {replica}')
            if message["type"] != HELLO:
                self._route(replica, message, raw)
        except Malformed as error:
            self._breach(replica, str(error), raw)

    def _route(self, replica: str, message: dict[str, Any], raw: bytes) -> None:
        self.named[replica] = message["leader"]
        destination = message["dst"]
        if destination == CLIENT:
            self._respond(replica, message)
        elif destination == BROADCAST or destination in REPLICAS:
            others = [id for id in REPLICAS if id != replica]
            targets = others if destination == BROADCAST else [destination]
            type = message["type"]
            kind = type if type in self.between or len(self.between) < _MOST_KINDS else "of many types"
            self.between[kind] += len(targets)
            for target in targets:
                self.give(target, raw)
        else:
            raise Malformed('"dst" must be a replica, FFFF or the client that has asked')

    def _respond(self, replica: str, message: dict[str, Any]) -> None:
        messages.check_response(message)
        responses = self.responses.get(message["MID"])
        if responses is None:
            raise Malformed('"MID" must be that of a request')
        responses.append(Response(time.monotonic(), replica, message))

    def give(self, replica: str, raw: bytes) -> None:
        """Send bytes to a replica that is connected."""
        if replica in self.joined_at and replica not in self._closed:
            self.transport.send(replica, raw)

    def _breach(self, replica: str, rule: str, raw: bytes) -> None:
        breach = (replica, rule)
        if breach in self.examples or len(self.examples) < _MOST_KINDS:
            self.examples.setdefault(breach, excerpt(raw, 80))
            self.breaches[breach] += 1

    def left(self, replica: str) -> None:
        self._closed.add(replica)

    def congested(self, replica: str) -> None:
        """The transport keeps what a replica does not read."""

    def passed(self, replica: str, messages: int) -> None:
        """A slow reader catches up."""

    def stray(self, raw: bytes, reason: str) -> None:
        # The transport names the replica where it knows it.
        replica, _, rule = reason.removeprefix("from replica ").partition(": ")
        known = reason.startswith("from replica ")
        self._breach(replica if known else "", rule if known else reason, raw)

    # The client.

    def ask(self, replica: str, type: str, **fields: Any) -> str:
        """Send a request; returns its MID."""
        mid = f"{self._prefix}{self._asked:07x}"
        self._asked += 1
        self.responses[mid] = []
        leader = self.named[replica]
        request = {"src": CLIENT, "dst": replica, "leader": leader, "type": type, "MID": mid, **fields}
        self.give(replica, messages.encode(request))
        return mid

    def leaders(self) -> list[str]:
        """The living replicas that name themselves."""
        return [id for id in self.living if self.named[id] == id]
