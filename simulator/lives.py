"""The lives of the replicas of one cluster: start, join, pause, kill, restart, end.

A replica lives while its process runs, is connected and was not killed. The network delivers
messages to living replicas only. A replica that is restarted is down from the kill until its new
process has joined; it has the arguments, the working directory and the data directory of the old
one. A paused replica lives: its messages wait in its socket, as those of any slow reader.
"""

from __future__ import annotations

import math
import selectors
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from simulator.chronicle import Chronicle
from simulator.console import Output
from simulator.diagnosis import dialect_of
from simulator.lines import Printed
from simulator.network import Network
from simulator.replica import DATA_DIRECTORY, REFUSAL, OptionsRefused, Replica, StartError
from simulator.trace.recorder import UNTRACED, Trace
from simulator.transport import Transport

# A replica that closes its connection is usually about to exit. At the end of the run the simulator
# waits so long for its exit code.
EXIT_AFTER_CLOSE_SECONDS = 2.0
# The option of our own program; other programs learn their directory from the environment.
_DATA_OPTION = "--data-dir"


@dataclass(frozen=True)
class Cluster:
    """The program of a cluster's replicas, and their dialect; `is_own` for our own program."""

    program: Path
    name: str = "replica"
    replica_options: tuple[str, ...] = ()
    transport: str = "seqpacket"
    silence: bool = False
    is_own: bool = False

    @property
    def command(self) -> list[str]:
        return [str(self.program), *self.replica_options]


@dataclass(frozen=True)
class Surroundings:
    """The world of the processes: `environment` is added to that of the simulator.

    All replicas run in `directory`. If there is `data`, each has a directory of its own in that.
    """

    selector: selectors.BaseSelector
    directory: Path
    environment: Mapping[str, str]
    data: Path | None = None


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
        trace: Trace = UNTRACED,
    ) -> None:
        """`clock` tells the seconds since all have joined, zero before."""
        self._cluster = cluster
        self._surroundings = surroundings
        self._network = network
        self._transport = transport
        self._chronicle = chronicle
        self._console = console
        self._clock = clock
        self._trace = trace
        self._join_seconds = 0.0
        self._replicas: dict[str, Replica] = {}
        self._printed = {id: Printed() for id in network.replicas}
        self.missing = set(network.replicas)
        self._deaf: set[str] = set()  # have closed their connection, and may be about to exit
        self._due: set[str] = set()  # shall start again as soon as their old process is gone
        self._joining: dict[str, float] = {}  # have started again, and must join by this time
        self.died = 0
        self.killed = 0
        self.restarts = 0
        self.pauses = 0
        self.ever_paused: set[str] = set()

    # Start.

    def launch(self, join_seconds: float) -> None:
        """Start the replicas, which must join within so many seconds."""
        self._join_seconds = join_seconds
        for id in self._network.replicas:
            self._start(id)

    def _start(self, id: str) -> None:
        around = self._surroundings
        command, environment = self._cluster.command, around.environment
        if around.data is not None:
            data = around.data / id
            data.mkdir(parents=True, exist_ok=True)
            command += [_DATA_OPTION, str(data)] if self._cluster.is_own else []
            environment = {**environment, DATA_DIRECTORY: str(data)}
        self._replicas[id] = Replica(
            id, [*command, *self._transport.arguments(id)], around.directory, around.selector,
            None if self._cluster.silence and not self._trace.is_on else self._show_output, environment,
            self._printed[id],
        )

    def _show_output(self, id: str, stream: str, line: str) -> None:
        self._trace.output(id, stream, line)
        if not self._cluster.silence:
            self._console.notice(f"[{self._clock():7.3f} {id}] {line}")
        if self._printed[id].is_flood:
            self._tell(f"replica {id} prints a flood of output: its further lines are only counted")

    def joined(self, id: str) -> bool:
        """Note a new connection; true for a replica that is back after a restart."""
        self.missing.discard(id)
        if self._joining.pop(id, None) is None:
            return False
        self._network.bring_back(id)
        self._trace.event("back", replica=id)
        self._tell(f"replica {id} joined again")
        return True

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
        self._trace.event("kill", replica=id)
        self._network.remove(id)
        self._end(id)

    def take_down(self, id: str) -> None:
        self.restarts += 1
        self._chronicle.end(id, "restarted", self._clock())
        self._trace.event("restart", replica=id)
        self._network.take_down(id)
        self._transport.close(id)
        self._replicas[id].kill()

    def start_again(self, id: str) -> None:
        """Start a replica that is down, at once or as soon as its old process is gone."""
        if not self._replicas[id].has_exited():
            self._due.add(id)
            return
        self._due.discard(id)
        self._transport.reopen(id)
        self._joining[id] = self._clock() + self._join_seconds
        try:
            self._start(id)
        except StartError as error:
            self._give_up(id, f"did not start again: {error}")

    def next_deadline(self) -> float:
        """The time by which a replica must have joined again."""
        return min(self._joining.values(), default=math.inf)

    def drop_late(self) -> None:
        """Give up the replicas that have not joined again in time."""
        if not self._joining:
            return
        late = [id for id, deadline in self._joining.items() if deadline <= self._clock()]
        for id in late:
            self._give_up(id, f"did not join again within {self._join_seconds:g} seconds")

    def _give_up(self, id: str, reason: str) -> None:
        del self._joining[id]
        self._network.remove(id)
        self._report_death(id, reason)

    def is_paused(self, id: str) -> bool:
        return id in self._replicas and self._replicas[id].is_paused

    def pause(self, id: str) -> Callable[[], bool]:
        self.pauses += 1
        self.ever_paused.add(id)
        self._replicas[id].pause()
        self._trace.event("pause", replica=id)
        return lambda: self._resume(id)

    def _resume(self, id: str) -> bool:
        resumes = self._replicas[id].resume()
        if resumes:
            self._trace.event("resume", replica=id)
        return resumes

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
        for id, replica in list(self._replicas.items()):
            if not replica.has_exited():
                continue
            if id in self._due:
                self.start_again(id)
            else:
                self._lose(id)

    def tell_what_is_left(self) -> None:
        """At the end, report replicas that are deaf, are down or have printed a flood."""
        for id in sorted(self._deaf):
            self._replicas[id].has_exited(within=EXIT_AFTER_CLOSE_SECONDS)
            self._lose(id)
        for id in self._network.down:
            self._tell(f"replica {id} is still down at the end of the run")
        for id, printed in self._printed.items():
            if printed.lines > printed.kept:
                self._tell(
                    f"replica {id} printed {printed.lines:,} lines; the first {printed.kept:,} were kept"
                )

    def _lose(self, id: str) -> None:
        """Report the failure of a replica that exited or is deaf, once, unless it was killed."""
        if id in self._joining:
            self._give_up(id, f"did not start again: it quit with {self._replicas[id].describe_end()}")
            return
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
        self._trace.event("end", replica=id, text=reason)
        self.died += 1
        self._chronicle.end(id, "died", self._clock())
        self._end(id)

    def _tell(self, text: str) -> None:
        self._console.notice(str(self._chronicle.tell(self._clock(), text)))

    def _report_fault(self, kind: str) -> None:
        self._trace.fault(kind)
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
