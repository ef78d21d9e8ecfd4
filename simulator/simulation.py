"""One run: the event loop that starts the replicas, carries messages, and lets time and trouble happen."""

from __future__ import annotations

import gc
import heapq
import selectors
import shlex
import time
from dataclasses import dataclass
from functools import partial
from itertools import count
from operator import itemgetter
from pathlib import Path
from random import Random, SystemRandom
from typing import Callable, Iterator

from simulator import messages
from simulator.clients import Clients, Rules
from simulator.config import Event, Scenario
from simulator.console import Console
from simulator.events import KILL_LEADER_ON_ACK, Events
from simulator.figures import collect
from simulator.messages import BROADCAST, HELLO, Malformed, excerpt, identifier
from simulator.network import Network
from simulator.replica import REFUSAL, OptionsRefused, Replica, StartError
from simulator.result import Result
from simulator.signals import Signals
from simulator.transport import TRANSPORTS
from simulator.workload import CLIENTS, plan
from simulator.workspace import private_directory

FIRST_CLIENT_OFFSET = 16
# A replica that has not joined by then is dead; slow starts on a busy machine are forgiven until then.
JOIN_SECONDS = 5.0
# Between the SIGTERM and the SIGKILL at the end of a run.
GRACE_SECONDS = 1.0
# A replica that closes its connection is usually about to exit: the time to wait for its exit code.
EXIT_AFTER_CLOSE_SECONDS = 0.2
PROGRESS_SECONDS = 0.25


@dataclass(frozen=True)
class Options:
    """What the command line decides about a run, beside the scenario."""

    program: Path
    replica_options: tuple[str, ...] = ()
    transport: str = "seqpacket"
    seed: int | None = None
    silence: bool = False
    checker: Path | None = None


def simulate(scenario: Scenario, options: Options, console: Console, signals: Signals) -> Result:
    """Run one scenario to its end; no process and no file of it is left, however it ends."""
    seed = next((s for s in (options.seed, scenario.seed) if s is not None), None)
    if seed is None:
        seed = SystemRandom().getrandbits(32)
    console.notice(f"{scenario.name}: seed {seed}")
    with private_directory() as directory, selectors.EpollSelector() as selector:
        run = Simulation(scenario, options, seed, console, signals, selector, directory)
        try:
            run.launch()
            run.gather()
            run.play()
            return run.result()
        finally:
            run.stop()


class Simulation:
    """Owns the clock and the replicas. Time zero is when all replicas have joined."""

    def __init__(
        self,
        scenario: Scenario,
        options: Options,
        seed: int,
        console: Console,
        signals: Signals,
        selector: selectors.BaseSelector,
        directory: Path,
    ) -> None:
        self._scenario = scenario
        self._options = options
        self._seed = seed
        self._console = console
        self._signals = signals
        self._selector = selector
        self._directory = directory
        # One generator per purpose, so that the use of one does not change what another draws.
        root = Random(seed)
        workload, drops, choices, targets, client_drops = (
            Random(root.getrandbits(64)) for _ in range(5)
        )
        self._intents = plan(scenario, workload)
        ids = [identifier(number) for number in range(scenario.replicas)]
        self.network = Network(ids, scenario.drops, drops, scenario.client_drops, client_drops)
        self._transport = TRANSPORTS[options.transport](directory, ids, selector, self)
        first_client = scenario.replicas + FIRST_CLIENT_OFFSET
        self._clients = Clients(
            [identifier(first_client + number) for number in range(CLIENTS)],
            Rules(scenario.shared_keys, scenario.client_timeout, scenario.read_back),
            self.network, targets, self._transport.send, self._elapsed, console.error,
            self._acknowledged,
        )
        self._events = Events(self.network, self._clients, choices, self._kill)
        self._replicas: dict[str, Replica] = {}
        self._missing = set(ids)
        self._early: list[tuple[str, bytes]] | None = []
        self._origin = time.monotonic()
        self._incorrect_messages = 0
        self._died = 0
        self._killed = 0
        self._storm = False
        selector.register(signals.fd, selectors.EVENT_READ, self._on_signal)

    def _elapsed(self) -> float:
        return time.monotonic() - self._origin

    # Before time zero.

    def launch(self) -> None:
        show = None if self._options.silence else self._show_output
        for id in self.network.replicas:
            command = [
                str(self._options.program), *self._options.replica_options,
                *self._transport.arguments(id),
            ]
            self._replicas[id] = Replica(id, command, self._directory, self._selector, show)

    def gather(self) -> None:
        """Wait until each replica has joined or has had its time; then the clock starts.

        What replicas say meanwhile is held back, so that an early one does not find the others dead.
        """
        while self._missing and self._elapsed() < JOIN_SECONDS and not self._signals.stop:
            self.wait(JOIN_SECONDS - self._elapsed())
        self._origin = time.monotonic()
        if not self._signals.stop:
            for id in sorted(self._missing):
                self._bury(id, f"did not join within {JOIN_SECONDS:g} seconds")
        early, self._early = self._early, None
        for id, raw in early:
            if id in self.network.living:
                self.received(id, raw)

    def _show_output(self, id: str, line: str) -> None:
        since_start = 0.0 if self._early is not None else self._elapsed()
        self._console.line(f"[{since_start:7.3f} {id}] {line}")

    # The loop.

    def play(self) -> None:
        """Go through the agenda, and carry messages in between."""
        # Nothing here makes garbage cycles, and a collection would stop the network for its time.
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
        if self._storm:
            self._console.error(
                f"possible packet storm: more than {self._scenario.max_packets} messages"
            )
        for _ in range(self._events.armed):
            self._tell_event(KILL_LEADER_ON_ACK, "never struck")

    def _agenda(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """All that is due at a time known beforehand, in order."""
        lifetime = self._scenario.lifetime
        requests = ((i.time, partial(self._clients.start, i)) for i in self._intents)
        events = (
            (self._scenario.start_wait + event.time, partial(self._happen, event))
            for event in self._scenario.events
        )
        period = PROGRESS_SECONDS if self._console.is_terminal else lifetime
        progress = ((n * period, self._show_progress) for n in count())
        return heapq.merge(requests, events, progress, key=itemgetter(0))

    def _carry_until(self, due: float) -> None:
        """Look at the sockets at least once, or a simulator that is late would carry nothing."""
        while True:
            self.wait(min(due, self._clients.next_resend()) - self._elapsed())
            self._clients.resend()
            if self._elapsed() >= due or self._is_over():
                return

    def _is_over(self) -> bool:
        return (
            self._signals.stop or self._storm or self._elapsed() >= self._scenario.lifetime
        )

    def wait(self, seconds: float) -> None:
        """Sleep until something arrives, at most so long, and deal with it."""
        for key, ready in self._selector.select(max(0.0, seconds)):
            key.data(ready)

    def _happen(self, event: Event) -> None:
        self._tell_event(event.type, self._events.happen(event.type))

    def _acknowledged(self, replica: str) -> None:
        """Within the delivery of the acknowledgement, so nothing that the replica sent after it is carried."""
        done = self._events.acknowledged(replica)
        if done is not None:
            self._tell_event(KILL_LEADER_ON_ACK, done)

    def _tell_event(self, type: str, done: str) -> None:
        self._console.notice(f"[{self._elapsed():7.3f}] {type}: {done}")

    def _show_progress(self) -> None:
        clients = self._clients
        left = self._scenario.lifetime - self._elapsed()
        self._console.progress(
            f"{self._scenario.name}: {left:.0f} s left, "
            f"leader {self.network.leader}, {self.network.sent} messages, "
            f"{clients.answered.total} / {clients.generated.total} requests answered"
        )

    # What the transport tells.

    def joined(self, replica: str) -> None:
        self._missing.discard(replica)

    def received(self, replica: str, raw: bytes) -> None:
        """Route one message: the path that every message takes, so it parses once and copies nothing."""
        if self._early is not None:
            self._early.append((replica, raw))
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
                for target in network.route(replica, destination):
                    self._transport.send(target, raw)
            elif destination in self._clients:
                self._clients.receive(message, now)
            else:
                self._incorrect_messages += 1
                self._console.error(
                    f"unknown destination: replica {replica} sent to {destination}: {excerpt(raw)}"
                )
        except Malformed as error:
            self.stray(raw, f"from replica {replica}: {error}")
            return
        if network.sent + self._clients.responses > self._scenario.max_packets:
            self._storm = True

    def stray(self, raw: bytes, reason: str) -> None:
        self._incorrect_messages += 1
        self._console.error(f"malformed message: {reason}: {excerpt(raw)}")

    def congested(self, replica: str) -> None:
        self._console.notice(
            f"replica {replica} does not keep up with reading: its messages wait in a queue"
        )

    def left(self, replica: str) -> None:
        """Its connection is closed; the exit that mostly follows says more, so give it a moment."""
        self._replicas[replica].has_exited(within=EXIT_AFTER_CLOSE_SECONDS)
        self._lose(replica)

    # The end of replicas.

    def _on_signal(self, _: int) -> None:
        self._signals.clear()
        for id, replica in self._replicas.items():
            if replica.has_exited():
                self._lose(id)

    def _lose(self, id: str) -> None:
        """A replica is gone or deaf. Unless it was killed, that is its failure."""
        if id not in self.network.living:
            return
        replica = self._replicas[id]
        if replica.process.returncode is None:
            reason = "closed its connection but did not exit"
        else:
            reason = f"quit with {replica.epitaph()}"
        if id in self._missing:
            self._check_refusal(replica)
            raise StartError(f"replica {id} did not start: it {reason}")
        self._bury(id, reason)

    def _check_refusal(self, replica: Replica) -> None:
        options = self._options.replica_options
        if options and replica.process.returncode == REFUSAL:
            said = replica.last_errors[-1] if replica.last_errors else "nothing on stderr"
            raise OptionsRefused(f"--replica-options: {shlex.join(options)}: refused by the replica: {said}")

    def _bury(self, id: str, reason: str) -> None:
        self._console.error(f"replica {id} {reason}")
        self._died += 1
        self._remove(id)

    def _kill(self, id: str) -> None:
        self._killed += 1
        self._remove(id)

    def _remove(self, id: str) -> None:
        self.network.remove(id)
        self._transport.close(id)
        self._replicas[id].terminate()

    # After the run.

    def result(self) -> Result:
        kernel_drops = self._transport.kernel_drops()
        for owner, count in kernel_drops.items():
            self._console.error(f"the kernel dropped {count} datagrams at the full buffer of {owner}")
        figures = collect(
            self.network,
            self._clients,
            seconds=min(self._elapsed(), self._scenario.lifetime),
            died=self._died,
            killed=self._killed,
            incorrect_messages=self._incorrect_messages,
            kernel_drops=sum(kernel_drops.values()),
        )
        history = list(self._clients.requests.values())
        options = self._options
        return Result(
            self._scenario, self._seed, options.transport, options.replica_options, figures, history
        )

    def stop(self) -> None:
        """End all replicas: kindly first, then surely. What they still print is shown."""
        for replica in self._replicas.values():
            replica.terminate()
        self._transport.close_all()
        self._selector.modify(
            self._signals.fd, selectors.EVENT_READ, lambda _: self._signals.clear()
        )
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._all_exited() and time.monotonic() < deadline:
            self.wait(deadline - time.monotonic())
        for replica in self._replicas.values():
            if not replica.has_exited():
                replica.kill()
        while not self._all_exited():
            self.wait(GRACE_SECONDS)

    def _all_exited(self) -> bool:
        return all([replica.has_exited() for replica in self._replicas.values()])
