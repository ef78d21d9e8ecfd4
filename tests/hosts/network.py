"""The network of a run: the loopback of this machine, or a namespace for each host.

    host 1 --veth--+
    host 2 --veth--+-- bridge, in a namespace of its own
    host 3 --veth--+
    clients -veth--+

No interface is outside of these namespaces, so two runs can have the same addresses. Each host
drops packets by rules of its own as they arrive. Namespaces of killed runs are removed at the start
of the next one.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from hosts import processes, rules

_CLONE_NEWNET = 0x4000_0000
_LIBC = ctypes.CDLL(None, use_errno=True)
_NAMESPACES = Path("/run/netns")
# So many questions to replicas are under way at most.
_QUESTIONS = 8

# Ports of hosts that have a namespace of their own.
REDIS, PEERS, HTTP = 6_379, 7_379, 8_379
_RELAY = 9_000
# Ports of loopback: below those that clients get, and apart from those of other tests.
_LOOPBACK = range(10_000, 14_000)
# Replica N has the ports base + N, base + 10 + N and base + 20 + N.
_KINDS = {REDIS: 0, PEERS: 10, HTTP: 20}

_Answer = TypeVar("_Answer")


class NetworkError(Exception):
    """A network cannot be set up, or changed."""


class Loopback:
    """All replicas on 127.0.0.1, each with ports of its own. It cannot be cut."""

    def __init__(self, replicas: int) -> None:
        self.replicas = list(range(1, replicas + 1))
        self._base = self._free_base()
        self._pool = ThreadPoolExecutor(_QUESTIONS)

    def _free_base(self) -> int:
        # Runs that start at one time look at different places first.
        bases = list(_LOOPBACK[:: max(_KINDS.values()) + 10])
        for base in random.SystemRandom().sample(bases, len(bases)):
            if all(_is_free(base + kind + number) for kind in _KINDS.values() for number in self.replicas):
                return base
        raise NetworkError("no ports are free")

    def address(self, replica: int, kind: int) -> str:
        """Where others reach this replica."""
        return f"127.0.0.1:{self._base + _KINDS[kind] + replica}"

    listen = address

    def peers(self, replica: int) -> dict[int, str]:
        """Where this replica reaches the replicas."""
        return {other: self.address(other, PEERS) for other in self.replicas}

    def inside(self, host: int, command: list[str]) -> list[str]:
        """The command line that runs a command on this host."""
        return command

    def ask(self, question: Callable[[int], _Answer]) -> list[_Answer]:
        """The answers to a question to each replica, asked at once from the host of the clients."""
        return list(self._pool.map(question, self.replicas))

    def close(self) -> None:
        self._pool.shutdown()


class Namespaces:
    """A namespace for each host. With the command line of a relay, messages of replicas lead
    through one on each host, which can delay them."""

    def __init__(self, replicas: int, relay: list[str] | None) -> None:
        self.replicas = list(range(1, replicas + 1))
        self._relays: list[subprocess.Popen[str]] = []
        self._has_relays = relay is not None
        remove_leftovers()
        try:
            self._build()
            clients = self._name(rules.CLIENTS)
            self._pool = ThreadPoolExecutor(_QUESTIONS, initializer=_enter, initargs=(clients,))
            if relay is not None:
                self._start_relays(relay)
        except BaseException:
            self._remove()
            raise

    @staticmethod
    def _name(host: int | str) -> str:
        return f"{processes.mark()}-{host}"

    def _build(self) -> None:
        bridge = self._name("bridge")
        _ip("netns", "add", bridge)
        _ip("-n", bridge, "link", "add", "hub", "type", "bridge")
        _ip("-n", bridge, "link", "set", "hub", "up")
        for host in [rules.CLIENTS, *self.replicas]:
            name, port = self._name(host), f"port{host}"
            _ip("netns", "add", name)
            _ip("-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", bridge, "link", "set", port, "master", "hub", "up")
            _ip("-n", name, "address", "add", f"{_host(host)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        self.disturb(rules.NONE, 0)

    def _start_relays(self, relay: list[str]) -> None:
        for replica in self.replicas:
            others = [other for other in self.replicas if other != replica]
            ways = [f"{_RELAY + other}={self.address(other, PEERS)}" for other in others]
            command = self.inside(replica, [*relay, *ways])
            self._relays.append(processes.start(command, subprocess.DEVNULL, piped=True))

    def address(self, replica: int, kind: int) -> str:
        """Where others reach this replica."""
        return f"{_host(replica)}:{kind}"

    listen = address

    def peers(self, replica: int) -> dict[int, str]:
        """Where this replica reaches the replicas."""
        own = {replica: self.address(replica, PEERS)}
        if self._has_relays:
            return {other: f"127.0.0.1:{_RELAY + other}" for other in self.replicas} | own
        return {other: self.address(other, PEERS) for other in self.replicas} | own

    def inside(self, host: int, command: list[str]) -> list[str]:
        """The command line that runs a command on this host."""
        return ["ip", "netns", "exec", self._name(host), *command]

    def ask(self, question: Callable[[int], _Answer]) -> list[_Answer]:
        """The answers to a question to each replica, asked at once from the host of the clients."""
        return list(self._pool.map(question, self.replicas))

    def disturb(self, cut: rules.Ways, loss_percent: int) -> None:
        """Cuts these ways alone, and loses so many of a hundred packets between replicas."""
        hosts = [rules.CLIENTS, *self.replicas]
        for host in hosts:
            text = rules.ruleset(host, cut, loss_percent, _host, len(hosts))
            _run(self.inside(host, ["nft", "-f", "-"]), text)

    def delay(self, least_ms: float, most_ms: float) -> None:
        """Holds back all messages between replicas, each in both directions."""
        for relay in self._relays:
            assert relay.stdin
            relay.stdin.write(f"{least_ms} {most_ms}\n")
            relay.stdin.flush()

    def close(self) -> None:
        self._pool.shutdown()
        self._remove()

    def _remove(self) -> None:
        for relay in self._relays:
            processes.end(relay)
        for name in _names():
            if name.startswith(f"{processes.mark()}-"):
                _delete(name)


Network = Loopback | Namespaces


def missing() -> str | None:
    """Why there can be no namespaces here; none if there can."""
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(program) is None:
            return f"the program {program} is missing (Debian's {package})"
    probe = f"{processes.mark()}-probe"
    try:
        _ip("netns", "add", probe)
    except NetworkError as error:
        return f"no rights to make a network namespace ({error})"
    try:
        _ip("-n", probe, "link", "add", "name", "near", "type", "veth", "peer", "name", "far")
        text = rules.ruleset(1, rules.NONE, 1, _host, 3)
        _run(["ip", "netns", "exec", probe, "nft", "-f", "-"], text)
    except NetworkError as error:
        return f"this kernel lacks veth or nftables ({error})"
    finally:
        _delete(probe)
    return None


def remove_leftovers() -> None:
    """Removes the namespaces of killed runs, and ends the processes in them."""
    for name in _names():
        if processes.is_leftover(name):
            _delete(name)


def _delete(name: str) -> None:
    with suppress(NetworkError):
        for process in _ip("netns", "pids", name).split():
            with suppress(ProcessLookupError):
                os.kill(int(process), 9)
        _ip("netns", "delete", name)


def _names() -> list[str]:
    return sorted(entry.name for entry in _NAMESPACES.glob("*"))


def _enter(name: str) -> None:
    """Moves this thread alone into a namespace. Its sockets are made there."""
    with (_NAMESPACES / name).open() as namespace:
        if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
            raise NetworkError(os.strerror(ctypes.get_errno()))


def _host(host: int) -> str:
    return f"10.77.0.{100 if host == rules.CLIENTS else host}"


def _ip(*words: str) -> str:
    return _run(["ip", *words])


def _run(command: list[str], text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, check=False, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkError(str(error)) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NetworkError(f"{' '.join(command[:6])}: {last}")
    return done.stdout


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
