"""One cluster and its clients: starts the replicas, carries messages, carries out the agenda.

The event loop decides when.
"""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from random import Random
from typing import Any

from simulator import messages
from simulator.agenda import Agenda
from simulator.causes import Packets
from simulator.chronicle import Chronicle
from simulator.clients import Clients, Rules
from simulator.config import Scenario
from simulator.console import Output
from simulator.figures import collect
from simulator.live import snapshot
from simulator.lives import Cluster, Lives, Surroundings
from simulator.messages import BROADCAST, HELLO, UNKNOWN_LEADER, Malformed, excerpt, identifier
from simulator.network import Network
from simulator.result import Result
from simulator.schedule import LEADER_CHANGED, MESSAGE_SENT, REJOINED
from simulator.timers import Timers
from simulator.trace.outline import first_line
from simulator.trace.recorder import UNTRACED, Trace
from simulator.transport import TRANSPORTS
from simulator.way import Way
from simulator.workload import CLIENTS, Intent, plan

FIRST_CLIENT_OFFSET = 16
# Messages that the simulator keeps until all replicas have joined.
MOST_EARLY_BYTES = 16 << 20
READ_ALL = "read_all"


class Simulation:
    """A cluster and its clients, with a clock whose zero is the moment when all have joined."""

    def __init__(
        self,
        scenario: Scenario,
        cluster: Cluster,
        seed: int,
        console: Output,
        surroundings: Surroundings,
        trace: Trace = UNTRACED,
    ) -> None:
        self._scenario = scenario
        self._cluster = cluster
        self._seed = seed
        self._console = console
        self._trace = trace
        # One generator per purpose, so that the draws for one do not change those for another.
        root = Random(seed)
        workload, drops, choices, targets, client_drops, restarts, duplicates, delays, damage = (
            Random(root.getrandbits(64)) for _ in range(9)
        )
        self._chronicle = Chronicle(trace.note)
        self._intents = plan(scenario, workload)
        ids = [identifier(number) for number in range(scenario.replicas)]
        self.network = Network(
            ids, scenario.drops, drops, scenario.client_drops, client_drops, scenario.duplicate, duplicates,
            scenario.corrupt, damage,
        )
        self._transport = TRANSPORTS[cluster.transport](
            surroundings.directory, ids, surroundings.selector, self
        )
        self._timers = Timers(self._elapsed)
        self._way = Way(
            scenario.delay, scenario.bandwidth, delays, self.network, self._transport, trace, self._timers
        )
        self._lives = Lives(
            cluster, surroundings, self.network, self._transport, self._chronicle, console,
            self._since_start, trace,
        )
        first_client = scenario.replicas + FIRST_CLIENT_OFFSET
        clients = [identifier(first_client + number) for number in range(CLIENTS)]
        self._clients = Clients(
            clients,
            Rules(scenario.shared_keys, scenario.client_timeout, scenario.read_back, scenario.operations),
            self.network, targets, self._way.ask if scenario.delays_clients else self._transport.send,
            self._elapsed, self._report_fault, self._acknowledged, self._chronicle, self._tell, trace,
        )
        self._agenda = Agenda(
            scenario, restarts, choices, self.network, self._clients, self._lives, self._timers, trace,
            self._tell_event,
        )
        self._named = UNKNOWN_LEADER  # the last replica that was named as leader
        self._early: list[tuple[str, bytes]] | None = []
        self._early_bytes = 0
        self._early_drops = 0
        self._origin = time.monotonic()
        self._packets, self._heard = Packets(), snapshot.Heard()
        self._started = 0
        self._spoils = scenario.spoils
        self._incorrect_messages = 0
        self.storm = False
        trace.begin(first_line(scenario, seed, ids, clients, str(cluster.program)))

    def _elapsed(self) -> float:
        return time.monotonic() - self._origin

    # Before time zero.

    def launch(self, join_seconds: float) -> None:
        self._lives.launch(join_seconds)

    @property
    def missing(self) -> set[str]:
        return self._lives.missing

    def drop_missing(self, reason: str) -> None:
        self._lives.drop_missing(reason)

    def begin(self, origin: float) -> None:
        """Start the clock, whose zero is `origin`, and carry the early messages of replicas.

        The simulator held them back, so that an early replica does not find the others dead.
        """
        self._origin = origin
        self._trace.start(self._elapsed, origin)
        early, self._early = self._early or [], None
        if self._early_drops:
            self._report_fault(
                f"{self._early_drops:,} messages were lost, because more than {MOST_EARLY_BYTES:,} bytes "
                f"were sent before all replicas had joined"
            )
        for id, raw in early:
            if id in self.network.living:
                self.received(id, raw)

    def _since_start(self) -> float:
        """The time for the user: seconds since all have joined, zero before."""
        return 0.0 if self._early is not None else self._elapsed()

    def _report_fault(self, kind: str, detail: str = "") -> None:
        """Report a mistake of a replica."""
        self._trace.fault(f"{kind}: {detail}" if detail else kind)
        self._console.fault(self._since_start(), kind, detail)

    # The agenda. Times are those of `time.monotonic`.

    def agenda(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """All acts whose time is known beforehand, in order."""
        requests = ((self._origin + i.time, partial(self._start, i)) for i in self._intents)
        start = self._origin + self._scenario.start_wait
        events = ((start + time, act) for time, act in self._agenda.acts())
        end = [(self.end - self._scenario.end_wait, self._read_all)] if self._scenario.read_all else []
        return heapq.merge(requests, events, end, key=itemgetter(0))

    def _start(self, intent: Intent) -> None:
        self._started += 1
        self._clients.start(intent)

    def _read_all(self) -> None:
        self._tell_event(READ_ALL, f"reads {self._clients.read_all():,} keys")

    @property
    def trace(self) -> Trace:
        return self._trace

    @property
    def is_extinct(self) -> bool:
        """Whether no replica lives or comes back. Then nothing more can happen."""
        return not self.network.reachable

    @property
    def end(self) -> float:
        return self._origin + self._scenario.lifetime

    def next_deadline(self) -> float:
        """The time of the next act that is not on the agenda."""
        return self._origin + min(
            self._clients.next_resend(), self._lives.next_deadline(), self._timers.next_due()
        )

    def meet_deadlines(self) -> None:
        self._timers.run_due()
        self._clients.resend()
        self._lives.drop_late()

    def _acknowledged(self, replica: str) -> None:
        """Carry out an armed kill before any message that the replica has sent later."""
        self._agenda.acknowledged(replica)

    def _tell_event(self, type: str, done: str) -> None:
        self._tell(f"{type}: {done}")

    def _tell(self, text: str) -> None:
        self._console.notice(str(self._chronicle.tell(self._elapsed(), text)))

    def snapshot(self) -> dict[str, Any]:
        return snapshot.take(
            self._cluster.name, self._elapsed(), self.network, self._lives, self._clients,
            self._chronicle, self._packets, self._heard,
        )

    def progress(self) -> str:
        clients = self._clients
        return (
            f"leader {self.network.leader}, {self.network.sent} messages, "
            f"{clients.answered.total} / {clients.generated.total} requests answered"
        )

    def tell_what_is_left(self) -> None:
        """Say why the run ended early, and which planned requests and kills did not happen."""
        self._lives.tell_what_is_left()
        if self.storm:
            self._report_fault(
                f"possible packet storm: more than {self._scenario.max_packets:,} messages between "
                f"replicas: {self._packets.describe()}"
            )
        elif self.is_extinct:
            left = self._intents[self._started:]
            self._console.notice(
                f"[{self._since_start():7.3f}] no replica lives any more: "
                f"the {len(left):,} requests that were left stay unanswered"
            )
            for intent in left:
                self._start(intent)
        if self._clients.unread:
            self._tell_event(READ_ALL, f"{self._clients.unread:,} keys were not read in time")
        self._agenda.tell_what_is_left()
        self._console.tell_repeated(self._since_start())

    # Calls of the transport.

    def joined(self, replica: str) -> None:
        if self._lives.joined(replica):
            self._clients.rejoined(replica)
            self._agenda.occur(REJOINED)

    def received(self, replica: str, raw: bytes) -> None:
        """Route one message, on the path of all: so it parses once and copies nothing."""
        if self._early is not None:
            self._keep_early(replica, raw)
            return
        now = self._elapsed()
        try:
            message = messages.parse(raw)
            if message["src"] != replica:
                raise Malformed(f'"src" must be the sender, {replica}')
            if message["type"] == HELLO:
                return
            network = self.network
            self._heard.latest[replica] = message
            if message["leader"] != network.leader:
                self._hear(replica, message["leader"])
            destination = message["dst"]
            if destination == BROADCAST or destination in network:
                self._heard.between[replica] = message
                before = network.sent
                if self._spoils:
                    self._way.carry(now, replica, destination, raw)
                    self._agenda.occur(MESSAGE_SENT, message["type"])
                else:
                    body: bytes | None = raw
                    for target, loss in network.route(replica, destination):
                        fate = loss or self._transport.send(target, raw)
                        if self._trace.is_on:
                            self._trace.message(now, replica, target, body, fate)
                            body = None
                self._packets.count(replica, message["type"], network.sent - before)
            elif destination in self._clients:
                if self._spoils:
                    self._carry_answer(message, raw, now)
                else:
                    self._clients.receive(message, now, raw)
            else:
                self._lose_astray(replica, destination, raw, now)
        except Malformed as error:
            self.stray(raw, f"from replica {replica}: {error}", replica)
            return
        if network.sent > self._scenario.max_packets:
            self.storm = True

    def _carry_answer(self, message: dict[str, Any], raw: bytes, now: float) -> None:
        """Carry a response to a client. It meets conditions when it leaves, also if it is lost."""
        condition = self._clients.condition_of(message)
        self._way.answer(now, message["src"], partial(self._answer, message, raw, now))
        if condition is not None:
            self._agenda.occur(condition)

    def _answer(self, message: dict[str, Any], raw: bytes, sent: float) -> None:
        """Let a response arrive that was sent earlier."""
        try:
            self._clients.receive(message, self._elapsed(), raw, sent)
        except Malformed as error:
            self.stray(raw, f"from replica {message['src']}: {error}", message["src"])

    def _hear(self, replica: str, leader: str) -> None:
        changes = self.network.leader_changes
        self.network.hear(replica, leader)
        if self.network.leader_changes > changes:
            self._trace.event("leader", replica=leader, by=replica)
            if leader in self.network and leader != self._named:
                self._named = leader
                self._agenda.occur(LEADER_CHANGED)

    def _lose_astray(self, replica: str, destination: str, raw: bytes, now: float) -> None:
        self._incorrect_messages += 1
        self._trace.message(now, replica, destination, raw, "unknown")
        self._report_fault(
            f"unknown destination: from replica {replica}", f"to {destination}: {excerpt(raw)}"
        )

    def _keep_early(self, replica: str, raw: bytes) -> None:
        self._early_bytes += sys.getsizeof(raw)
        if self._early is not None and self._early_bytes <= MOST_EARLY_BYTES:
            self._early.append((replica, raw))
        else:
            self._early_drops += 1

    def stray(self, raw: bytes, reason: str, sender: str | None = None) -> None:
        self._incorrect_messages += 1
        self._trace.stray(sender, raw)
        self._report_fault(f"malformed message: {reason}", excerpt(raw))

    def congested(self, replica: str) -> None:
        if self._lives.is_paused(replica):
            return
        self._console.remark(
            self._since_start(), f"replica {replica} does not keep up with reading",
            "its messages wait in a queue",
        )

    def passed(self, replica: str, messages: int) -> None:
        self._trace.passed(replica, messages)

    def left(self, replica: str) -> None:
        self._lives.left(replica)

    def drop_exited(self) -> None:
        self._lives.drop_exited()

    # After the run.

    def result(self) -> Result:
        kernel_drops = self._transport.kernel_drops()
        for owner, count in kernel_drops.items():
            self._tell_kernel_drops(owner, count)
        queue_drops = self._transport.queue_drops()
        for id, count in queue_drops.items():
            self._tell_drops(id, f"did not read: {count:,} messages to it were dropped")
        figures = collect(
            self.network,
            self._clients,
            self._chronicle,
            seconds=self._seconds(),
            died=self._lives.died,
            killed=self._lives.killed,
            restarts=self._lives.restarts,
            pauses=self._lives.pauses,
            incorrect_messages=self._incorrect_messages,
            kernel_drops=sum(kernel_drops.values()),
            queue_drops=sum(queue_drops.values()) + self._early_drops,
        )
        history = list(self._clients.requests.values())
        cluster = self._cluster
        return Result(
            self._scenario, self._seed, str(cluster.program), cluster.transport,
            cluster.replica_options, figures, history,
            happenings=tuple(self._chronicle.happenings),
        )

    def _seconds(self) -> float:
        """How much of the scenario was simulated: all of it also if its end was certain earlier."""
        if self.is_extinct and not self.storm:
            return self._scenario.lifetime
        return min(self._elapsed(), self._scenario.lifetime)

    def _tell_kernel_drops(self, owner: str, count: int) -> None:
        dropped = f"reads too slowly: the kernel dropped {count:,} datagrams that its buffer could not take"
        if owner in self.network:
            self._tell_drops(owner, dropped)
        else:
            self._console.error(f"the {owner} {dropped}")

    def _tell_drops(self, replica: str, what: str) -> None:
        """A replica that was paused is not to blame."""
        if replica in self._lives.ever_paused:
            self._console.notice(f"[{self._since_start():7.3f}] replica {replica} was paused and {what}")
        else:
            self._report_fault(f"replica {replica} {what}")

    def terminate(self) -> None:
        self._lives.terminate()
        self._transport.close_all()

    def kill(self) -> None:
        self._lives.kill_all()

    def has_exited(self) -> bool:
        return self._lives.have_exited()
