"""The replicas of a run: a process of `kvstore serve` on each host, with a directory of its own."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients import wire

from hosts import processes
from hosts.network import HTTP, PEERS, REDIS, Network

# Replicas that do not serve after that never will. Builds may take the machine meanwhile.
PATIENCE_S = 90.0
_LOOK_S = 0.02
# A replica that is paused or cut off does not answer at all.
_ANSWER_S = 1.0
_LOG_LINES = 15


class ReplicaError(Exception):
    """A replica ended by itself, or does not serve."""


@dataclass
class Replica:
    """One replica, as a process and as a directory."""

    number: int
    command: list[str]
    log: Path
    process: subprocess.Popen[str] | None = None
    is_paused: bool = False

    @property
    def name(self) -> str:
        return f"{self.number:04}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = processes.start(self.command, log)

    def signal(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            processes.end(self.process)
        self.process, self.is_paused = None, False

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self) -> None:
        if self.is_paused:
            self.signal(signal.SIGCONT)
        self.is_paused = False

    def stop(self) -> None:
        """SIGTERM, until the replica has answered all that it owes."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            code = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            processes.end(process)
            raise ReplicaError(f"{self.name} does not stop after SIGTERM") from None
        if code != 0:
            raise ReplicaError(f"{self.name} stopped with exit code {code}{self.last_lines()}")

    def last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "".join(f"\n    {line}" for line in lines[-_LOG_LINES:])


class Cluster:
    """All replicas of a run."""

    def __init__(self, program: Path, network: Network, directory: Path, options: list[str]) -> None:
        self._network = network
        self.replicas = []
        for number in network.replicas:
            command = self._command(program, number, directory, options)
            self.replicas.append(Replica(number, command, directory / f"{number:04}.log"))

    def _command(self, program: Path, number: int, directory: Path, options: list[str]) -> list[str]:
        network = self._network

        def members(addresses: dict[int, str]) -> str:
            return ",".join(f"{replica:04}={address}" for replica, address in addresses.items())

        redis = {replica: network.address(replica, REDIS) for replica in network.replicas}
        http = {replica: network.address(replica, HTTP) for replica in network.replicas}
        command = [str(program), "serve", "--id", f"{number:04}", "--cluster", "hosts"]
        command += ["--data-dir", str(directory / f"{number:04}"), "--secret", "a secret of all hosts"]
        command += ["--peers", members(network.peers(number)), "--listen", network.listen(number, PEERS)]
        command += ["--redis-listen", redis[number], "--redis-addresses", members(redis)]
        command += ["--http-listen", http[number], "--http-addresses", members(http)]
        return network.inside(number, [*command, *options])

    def addresses(self) -> list[str]:
        """Where clients reach the replicas."""
        return [self._network.address(number, REDIS) for number in self._network.replicas]

    def start(self) -> None:
        for replica in self.replicas:
            replica.start()
        self.wait_until_all_serve()

    def leader(self) -> Replica:
        """The replica that leads in the latest term. A paused leader does not say that it leads."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            states = [state for state in self._network.ask(self._state) if state]
            leading = [state for state in states if state["role"] == "leader"]
            if leading:
                latest = max(leading, key=lambda state: int(state["term"]))
                return self.replicas[int(latest["id"]) - 1]
            self.check_processes()
            time.sleep(_LOOK_S)
        raise ReplicaError(f"no replica leads after {PATIENCE_S:.0f} s")

    def _state(self, replica: int) -> Any:
        """The page for operators; none without an answer."""
        connection = http.client.HTTPConnection(self._network.address(replica, HTTP), timeout=_ANSWER_S)
        try:
            connection.request("GET", "/status")
            return json.load(connection.getresponse())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def wait_until_all_serve(self) -> None:
        """Returns when each replica has answered a write, after all else that it does."""
        waiting = {replica.number for replica in self.replicas}
        deadline = time.monotonic() + PATIENCE_S

        def serves(replica: int) -> bool:
            if replica not in waiting:
                return True
            try:
                return bool(wire.ask(self._network.address(replica, REDIS), "SET", "serves", "yes") == "OK")
            except (OSError, wire.Refused):
                return False

        while waiting:
            answers = self._network.ask(serves)
            waiting -= {number for number, answer in enumerate(answers, 1) if answer}
            self.check_processes()
            if time.monotonic() > deadline:
                raise ReplicaError(f"{sorted(waiting)} do not serve after {PATIENCE_S:.0f} s")
            if waiting:
                time.sleep(_LOOK_S)

    def check_processes(self) -> None:
        """No replica may end by itself."""
        for replica in self.replicas:
            code = replica.process.poll() if replica.process is not None else None
            if code is not None:
                replica.process = None
                raise ReplicaError(f"{replica.name} ended with exit code {code}{replica.last_lines()}")

    def close(self) -> None:
        for replica in self.replicas:
            replica.kill()
