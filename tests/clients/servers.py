"""The servers under test: three replicas of `kvstore dev`, or one redis-server."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from clients import wire

# A server that does not serve after that never will. Builds may take the machine meanwhile.
_PATIENCE_S = 60.0
_LOOK_S = 0.05
# Replica N has the ports base + N, base + 1000 + N and base + 2000 + N.
_REPLICAS = 3
_OFFSETS = tuple(kind + replica for kind in (0, 1_000, 2_000) for replica in range(1, _REPLICAS + 1))


class ServerError(Exception):
    """A server does not start, or does not serve."""


class Redis:
    """A redis-server that loses nothing when it is killed. The next one is there at once."""

    has_replicas = False

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="clients-redis-")
        self.addresses = [f"127.0.0.1:{_free_base((0,))}"]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        port = self.addresses[0].rsplit(":", 1)[1]
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", self._directory.name]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _wait("redis-server", process, lambda: wire.leads(self.addresses[0]))
        return process

    def leader_first(self) -> list[str]:
        return self.addresses

    def kill_leader(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def output(self) -> str:
        return ""

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()


class Sentinel:
    """A sentinel of Redis that names this server as the master."""

    def __init__(self, master: str) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="clients-sentinel-")
        port = _free_base((0,))
        self.address = f"127.0.0.1:{port}"
        host, master_port = master.rsplit(":", 1)
        configuration = Path(self._directory.name) / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._directory.name}\n"
            f"sentinel monitor master {host} {master_port} 1\n"
        )
        command = ["redis-server", str(configuration), "--sentinel"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _wait("the sentinel", self._process, self._serves)

    def _serves(self) -> bool:
        """Whether it knows the state of the master, without which libraries refuse the master."""
        try:
            (master,) = wire.ask(self.address, "SENTINEL", "MASTERS")
        except (OSError, wire.Refused):
            return False
        state = dict(zip(master[::2], master[1::2], strict=True))
        return bool(state["flags"] == "master" and state["runid"])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()


class Cluster:
    """Three replicas, each a process of its own with its state on the disk."""

    has_replicas = True

    def __init__(self, program: Path) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="clients-kvstore-")
        base = _free_base(_OFFSETS)
        self.addresses = [f"127.0.0.1:{base + replica}" for replica in range(1, _REPLICAS + 1)]
        command = [str(program), "dev", "--replicas", str(_REPLICAS), "--port", str(base)]
        command += ["--dir", str(Path(self._directory.name) / "state")]
        self._output: IO[bytes] = (Path(self._directory.name) / "output").open("wb")
        self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
        try:
            _wait("kvstore dev", self._process, self._serves)
        except ServerError as error:
            output = self.output()
            self.close()
            raise ServerError(f"{error}; its output:\n{output}") from None

    def _serves(self) -> bool:
        """Whether each replica answers a write."""
        try:
            return all(wire.ask(address, "SET", "is-there", "yes") == "OK" for address in self.addresses)
        except (OSError, wire.Refused):
            return False

    def leader_first(self) -> list[str]:
        """The addresses, that of the leader first. The last one survives the leader."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            leading = [address for address in self.addresses if wire.leads(address)]
            if len(leading) == 1:
                return leading + [address for address in self.addresses if address not in leading]
            time.sleep(_LOOK_S)
        raise ServerError("no replica leads")

    def kill_leader(self) -> None:
        """kill -9. The replica stays away."""
        os.kill(self._process_of(self.leader_first()[0]), signal.SIGKILL)

    def _process_of(self, address: str) -> int:
        """The process that has this address as its own, by the command line that `dev` gave it."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self._process.pid and _follows(words, b"--redis-listen", address.encode()):
                return int(entry.name)
        raise ServerError(f"no process serves {address}")

    def output(self) -> str:
        """All that `kvstore dev` has written: it tells of replicas that ended."""
        return (Path(self._directory.name) / "output").read_text(errors="replace")

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._directory.cleanup()


def _follows(words: list[bytes], first: bytes, second: bytes) -> bool:
    return (first, second) in itertools.pairwise(words)


def _wait(name: str, process: subprocess.Popen[bytes], serves: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if serves():
            return
        if process.poll() is not None:
            raise ServerError(f"{name} ended with status {process.returncode}")
        time.sleep(_LOOK_S)
    raise ServerError(f"{name} does not serve after {_PATIENCE_S:.0f} s")


def _free_base(offsets: tuple[int, ...]) -> int:
    """A port from which all these ports are free. They lie below those that clients get."""
    for base in range(20_000, 30_000, 16):
        if all(_is_free(base + offset) for offset in offsets):
            return base
    raise ServerError("no ports are free")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
