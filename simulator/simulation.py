"""One cluster and its clients: starts the replicas, carries messages, carries out the agenda.

The event loop decides when.
"""

from __future__ import annotations

import heapq
import selectors
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from random import Random

from simulator import messages
from simulator.causes import Packets
from simulator.chronicle import Chronicle
from simulator.clients import Clients, Rules
from simulator.config import Event, Scenario
from simulator.console import Output
from simulator.diagnosis import dialect_of
from simulator.events import KILL_LEADER_ON_ACK, Events
from simulator.figures import collect
from simulator.messages import BROADCAST, HELLO, Malformed, excerpt, identifier
from simulator.network import Network
from simulator.replica import REFUSAL, OptionsRefused, Replica, StartError
from simulator.result import Result
from simulator.transport import TRANSPORTS
from simulator.workload import CLIENTS, Intent, plan

FIRST_CLIENT_OFFSET = 16
# Messages that the simulator keeps until all replicas have joined.
MOST_EARLY_BYTES = 16 << 20
# A replica that closes its connection is usually about to exit. At the end of the run the simulator
# waits so long for its exit code.
EXIT_AFTER_CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Cluster:
    """The program of a cluster's replicas, and their dialect."""

    program: Path
    name: str = "replica"
    replica_options: tuple[str, ...] = ()
    transport: str = "seqpacket"
    silence: bool = False


class Simulation:
    """The owner of the replicas, with a clock whose zero is the moment when all have joined."""

    def __init__(
        self,
        scenario: Scenario,
        cluster: Cluster,
        seed: int,
        console: Output,
        selector: selectors.BaseSelector,
        directory: Path,
        environment: Mapping[str, str],
    ) -> None:
        """The replicas run in `directory`, with `environment` added to that of the simulator."""
        self._scenario = scenario
        self._cluster = cluster
        self._seed = seed
        self._console = console
        self._selector = selector
        self._directory = directory
        self._environment = environment
        self._join_seconds = 0.0
        # One generator per purpose, so that the draws for one do not change those for another.
        root = Random(seed)
        workload, drops, choices, targets, client_drops = (
            Random(root.getrandbits(64)) for _ in range(5)
        )
        self._chronicle = Chronicle()
        self._intents = plan(scenario, workload)
        ids = [identifier(number) for number in range(scenario.replicas)]
        self.network = Network(ids, scenario.drops, drops, scenario.client_drops, client_drops)
        self._transport = TRANSPORTS[cluster.transport](directory, ids, selector, self)
        first_client = scenario.replicas + FIRST_CLIENT_OFFSET
        self._clients = Clients(
            [identifier(first_client + number) for number in range(CLIENTS)],
            Rules(
                scenario.shared_keys, scenario.client_timeout, scenario.read_back, scenario.operations
            ),
            self.network, targets, self._transport.send, self._elapsed, self._report_fault,
            self._acknowledged, self._chronicle, self._tell,
        )
        self._events = Events(self.network, self._clients, choices, self._kill)
        self._replicas: dict[str, Replica] = {}
        self.missing = set(ids)
        self._early: list[tuple[str, bytes]] | None = []
        self._early_bytes = 0
        self._early_drops = 0
        self._origin = time.monotonic()
        self._packets = Packets()
        self._started = 0
        self._incorrect_messages = 0
        self._deaf: set[str] = set()  # have closed their connection, and may be about to exit
        self._died = 0
        self._killed = 0
        self.storm = False

    def _elapsed(self) -> float:
        return time.monotonic() - self._origin

    # Before time zero.

    def launch(self, join_seconds: float) -> None:
        """Start the replicas, which must join within so many seconds."""
        self._join_seconds = join_seconds
        show = None if self._cluster.silence else self._show_output
        for id in self.network.replicas:
            command = [*self._command, *self._transport.arguments(id)]
            self._replicas[id] = Replica(
                id, command, self._directory, self._selector, show, self._environment
            )

    @property
    def _command(self) -> list[str]:
        return [str(self._cluster.program), *self._cluster.replica_options]

    def drop_missing(self, reason: str) -> None:
        if len(self.missing) == len(self.network.replicas):
            self._guess_dialect()
        for id in sorted(self.missing):
            self.network.remove(id)
            self._report_death(id, reason)

    def _guess_dialect(self) -> None:
        """Help a user who has started the replicas in the wrong dialect."""
        dialect = dialect_of(
            self._command, self.network.replicas, self._cluster.transport, self._environment,
            self._join_seconds,
        )
        if dialect is not None:
            self._console.notice(
                f"this looks like a replica of the {dialect} dialect: try --transport {dialect}"
            )

    def begin(self, origin: float) -> None:
        """Start the clock, whose zero is `origin`, and carry the early messages of replicas.

        The simulator held them back, so that an early replica does not find the others dead.
        """
        self._origin = origin
        early, self._early = self._early or [], None
        if self._early_drops:
            self._report_fault(
                f"{self._early_drops:,} messages were lost, because more than {MOST_EARLY_BYTES:,} bytes "
                f"were sent before all replicas had joined"
            )
        for id, raw in early:
            if id in self.network.living:
                self.received(id, raw)

    def _show_output(self, id: str, line: str) -> None:
        self._console.notice(f"[{self._since_start():7.3f} {id}] {line}")

    def _since_start(self) -> float:
        """The time for the user: seconds since all have joined, zero before."""
        return 0.0 if self._early is not None else self._elapsed()

    def _report_fault(self, kind: str, detail: str = "") -> None:
        """Report a mistake of a replica."""
        self._console.fault(self._since_start(), kind, detail)

    # The agenda. Times are those of `time.monotonic`.

    def agenda(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """All acts whose time is known beforehand, in order."""
        start = self._origin + self._scenario.start_wait
        requests = ((self._origin + i.time, partial(self._start, i)) for i in self._intents)
        events = ((start + event.time, partial(self._happen, event)) for event in self._scenario.events)
        return heapq.merge(requests, events, key=itemgetter(0))

    def _start(self, intent: Intent) -> None:
        self._started += 1
        self._clients.start(intent)

    @property
    def is_extinct(self) -> bool:
        """Whether no replica lives. Then nothing more can happen."""
        return not self.network.living

    @property
    def end(self) -> float:
        return self._origin + self._scenario.lifetime

    def next_resend(self) -> float:
        return self._origin + self._clients.next_resend()

    def resend(self) -> None:
        self._clients.resend()

    def _happen(self, event: Event) -> None:
        self._tell_event(event.type, self._events.happen(event.type))

    def _acknowledged(self, replica: str) -> None:
        """Carry out an armed kill before any message that the replica has sent later."""
        done = self._events.acknowledged(replica)
        if done is not None:
            self._tell_event(KILL_LEADER_ON_ACK, done)

    def _tell_event(self, type: str, done: str) -> None:
        self._tell(f"{type}: {done}")

    def _tell(self, text: str) -> None:
        self._console.notice(str(self._chronicle.tell(self._elapsed(), text)))

    def progress(self) -> str:
        clients = self._clients
        return (
            f"leader {self.network.leader}, {self.network.sent} messages, "
            f"{clients.answered.total} / {clients.generated.total} requests answered"
        )

    def tell_what_is_left(self) -> None:
        """Say why the run ended early, and which planned requests and kills did not happen."""
        for id in sorted(self._deaf):
            self._replicas[id].has_exited(within=EXIT_AFTER_CLOSE_SECONDS)
            self._lose(id)
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
        for _ in range(self._events.armed):
            self._tell_event(KILL_LEADER_ON_ACK, "never struck")
        self._console.tell_repeated(self._since_start())

    # Calls of the transport.

    def joined(self, replica: str) -> None:
        self.missing.discard(replica)

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
            network.hear(replica, message["leader"])
            destination = message["dst"]
            if destination == BROADCAST or destination in network:
                before = network.sent
                for target in network.route(replica, destination):
                    self._transport.send(target, raw)
                self._packets.count(replica, message["type"], network.sent - before)
            elif destination in self._clients:
                self._clients.receive(message, now)
            else:
                self._incorrect_messages += 1
                self._report_fault(
                    f"unknown destination: from replica {replica}", f"to {destination}: {excerpt(raw)}"
                )
        except Malformed as error:
            self.stray(raw, f"from replica {replica}: {error}")
            return
        if network.sent > self._scenario.max_packets:
            self.storm = True

    def _keep_early(self, replica: str, raw: bytes) -> None:
        self._early_bytes += sys.getsizeof(raw)
        if self._early is not None and self._early_bytes <= MOST_EARLY_BYTES:
            self._early.append((replica, raw))
        else:
            self._early_drops += 1

    def stray(self, raw: bytes, reason: str) -> None:
        self._incorrect_messages += 1
        self._report_fault(f"malformed message: {reason}", excerpt(raw))

    def congested(self, replica: str) -> None:
        self._console.remark(
            self._since_start(), f"replica {replica} does not keep up with reading",
            "its messages wait in a queue",
        )

    def left(self, replica: str) -> None:
        """Note a closed connection. The report waits for the exit that mostly follows."""
        if replica in self.network.living:
            self.network.remove(replica)
            self._deaf.add(replica)

    # The end of replicas.

    def drop_exited(self) -> None:
        for id, replica in self._replicas.items():
            if replica.has_exited():
                self._lose(id)

    def _lose(self, id: str) -> None:
        """Report the failure of a replica that exited or is deaf, once, unless it was killed."""
        if id in self._deaf:
            self._deaf.remove(id)
        elif id in self.network.living:
            self.network.remove(id)
        else:
            return
        replica = self._replicas[id]
        if replica.process.returncode is None:
            reason = "closed its connection but did not exit"
        else:
            reason = f"quit with {replica.describe_end()}"
        if id in self.missing:
            self._check_refusal(replica)
            self._report_fault(f"replica {id} did not start: it {reason}")
            self._guess_dialect()
            raise StartError(f"replica {id} did not start, so nothing was simulated")
        self._report_death(id, reason)

    def _check_refusal(self, replica: Replica) -> None:
        options = self._cluster.replica_options
        if options and replica.process.returncode == REFUSAL:
            said = replica.last_errors[-1] if replica.last_errors else "nothing on stderr"
            option = f"--{self._cluster.name}-options"
            raise OptionsRefused(f"{option}: {shlex.join(options)}: refused by the replica: {said}")

    def _report_death(self, id: str, reason: str) -> None:
        self._report_fault(f"replica {id} {reason}")
        self._died += 1
        self._chronicle.end(id, "died", self._elapsed())
        self._end(id)

    def _kill(self, id: str) -> None:
        self._killed += 1
        self._chronicle.end(id, "killed", self._elapsed())
        self.network.remove(id)
        self._end(id)

    def _end(self, id: str) -> None:
        self._transport.close(id)
        self._replicas[id].terminate()

    # After the run.

    def result(self) -> Result:
        kernel_drops = self._transport.kernel_drops()
        for owner, count in kernel_drops.items():
            self._tell_kernel_drops(owner, count)
        queue_drops = self._transport.queue_drops()
        for id, count in queue_drops.items():
            self._report_fault(f"replica {id} did not read: {count:,} messages to it were dropped")
        figures = collect(
            self.network,
            self._clients,
            self._chronicle,
            seconds=self._seconds(),
            died=self._died,
            killed=self._killed,
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
            self._report_fault(f"replica {owner} {dropped}")
        else:
            self._console.error(f"the {owner} {dropped}")

    def terminate(self) -> None:
        for replica in self._replicas.values():
            replica.terminate()
        self._transport.close_all()

    def kill(self) -> None:
        for replica in self._replicas.values():
            if not replica.has_exited():
                replica.kill()

    def has_exited(self) -> bool:
        return all([replica.has_exited() for replica in self._replicas.values()])
