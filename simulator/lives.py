"""The lives of the replicas of one cluster: start, join, kill, end.

A replica lives while its process runs, is connected and was not killed. The network delivers
messages to living replicas only.
"""

from __future__ import annotations

import selectors
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from simulator.chronicle import Chronicle
from simulator.console import Output
from simulator.diagnosis import dialect_of
from simulator.network import Network
from simulator.replica import REFUSAL, OptionsRefused, Replica, StartError
from simulator.transport import Transport

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

    @property
    def command(self) -> list[str]:
        return [str(self.program), *self.replica_options]


@dataclass(frozen=True)
class Surroundings:
    """The world of the processes: `environment` is added to that of the simulator."""

    selector: selectors.BaseSelector
    directory: Path
    environment: Mapping[str, str]


class Lives:
    """The owner of the processes. It takes them off the network when they end."""

    def __init__(
        self,
        cluster: Cluster,
        surroundings: Surroundings,
        network: Network,
        transport: Transport,
        chronicle: Chronicle,
        console: Output,
        clock: Callable[[], float],
    ) -> None:
        """`clock` tells the seconds since all have joined, zero before."""
        self._cluster = cluster
        self._surroundings = surroundings
        self._network = network
        self._transport = transport
        self._chronicle = chronicle
        self._console = console
        self._clock = clock
        self._join_seconds = 0.0
        self._replicas: dict[str, Replica] = {}
        self.missing = set(network.replicas)
        self._deaf: set[str] = set()  # have closed their connection, and may be about to exit
        self.died = 0
        self.killed = 0

    # Start.

    def launch(self, join_seconds: float) -> None:
        """Start the replicas, which must join within so many seconds."""
        self._join_seconds = join_seconds
        for id in self._network.replicas:
            self._start(id)

    def _start(self, id: str) -> None:
        around = self._surroundings
        self._replicas[id] = Replica(
            id, [*self._cluster.command, *self._transport.arguments(id)], around.directory, around.selector,
            None if self._cluster.silence else self._show_output, around.environment,
        )

    def _show_output(self, id: str, line: str) -> None:
        self._console.notice(f"[{self._clock():7.3f} {id}] {line}")

    def joined(self, id: str) -> None:
        self.missing.discard(id)

    def drop_missing(self, reason: str) -> None:
        if len(self.missing) == len(self._network.replicas):
            self._guess_dialect()
        for id in sorted(self.missing):
            self._network.remove(id)
            self._report_death(id, reason)

    def _guess_dialect(self) -> None:
        """Help a user who has started the replicas in the wrong dialect."""
        dialect = dialect_of(
            self._cluster.command, self._network.replicas, self._cluster.transport,
            self._surroundings.environment, self._join_seconds,
        )
        if dialect is not None:
            self._console.notice(
                f"this looks like a replica of the {dialect} dialect: try --transport {dialect}"
            )

    # Faults by order of the scenario.

    def kill(self, id: str) -> None:
        self.killed += 1
        self._chronicle.end(id, "killed", self._clock())
        self._network.remove(id)
        self._end(id)

    def _end(self, id: str) -> None:
        self._transport.close(id)
        self._replicas[id].terminate()

    # Ends.

    def left(self, id: str) -> None:
        """Note a closed connection. The report waits for the exit that mostly follows."""
        if id in self._network.living:
            self._network.remove(id)
            self._deaf.add(id)

    def drop_exited(self) -> None:
        for id, replica in self._replicas.items():
            if replica.has_exited():
                self._lose(id)

    def drop_deaf(self) -> None:
        """At the end of the run, report the replicas whose exit did not follow."""
        for id in sorted(self._deaf):
            self._replicas[id].has_exited(within=EXIT_AFTER_CLOSE_SECONDS)
            self._lose(id)

    def _lose(self, id: str) -> None:
        """Report the failure of a replica that exited or is deaf, once, unless it was killed."""
        if id in self._deaf:
            self._deaf.remove(id)
        elif id in self._network.living:
            self._network.remove(id)
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
        self.died += 1
        self._chronicle.end(id, "died", self._clock())
        self._end(id)

    def _report_fault(self, kind: str) -> None:
        self._console.fault(self._clock(), kind)

    # After the run.

    def terminate(self) -> None:
        for replica in self._replicas.values():
            replica.terminate()

    def kill_all(self) -> None:
        for replica in self._replicas.values():
            if not replica.has_exited():
                replica.kill()

    def have_exited(self) -> bool:
        return all([replica.has_exited() for replica in self._replicas.values()])
