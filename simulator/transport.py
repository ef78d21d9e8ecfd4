"""The three dialects: connections to replicas, and messages over them.

Each dialect reports to a listener.
"""

from __future__ import annotations

import os
import select
import selectors
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from simulator import messages
from simulator.messages import Malformed
from simulator.outbox import Outbox

# The longest message of the two dialects of AF_UNIX.
MESSAGE_BYTES = 16_384
DATAGRAM_BYTES = 65_507
# The kernel silently drops datagrams at a full buffer; net.core.rmem_max caps this size.
_DATAGRAM_BUFFER_BYTES = 8 << 20
_CHUNK_BYTES = 65_536


class Listener(Protocol):
    """The receiver of a transport's reports."""

    def joined(self, replica: str) -> None: ...

    def received(self, replica: str, raw: bytes) -> None: ...

    def left(self, replica: str) -> None: ...

    def congested(self, replica: str) -> None: ...

    def passed(self, replica: str, messages: int) -> None:
        """So many messages that have waited for a replica have left."""

    def stray(self, raw: bytes, reason: str) -> None: ...


class Transport(Protocol):
    """The common interface of the dialects."""

    def __init__(
        self,
        directory: Path,
        replicas: Sequence[str],
        selector: selectors.BaseSelector,
        listener: Listener,
    ) -> None: ...

    def arguments(self, replica: str) -> list[str]:
        """The command line of a replica, after the program and its options."""

    def send(self, replica: str, raw: bytes) -> str | None:
        """Send one message to a replica that has joined; returns its fate as an outbox does."""

    def close(self, replica: str) -> None:
        """End the connection, and drop the messages of the replica that wait in it."""

    def reopen(self, replica: str) -> None:
        """Expect a new life of a replica whose connection is closed and whose process is gone."""

    def close_all(self) -> None: ...

    def kernel_drops(self) -> dict[str, int]:
        """Messages that the kernel dropped, by the process that was to receive them."""

    def queue_drops(self) -> dict[str, int]:
        """Messages dropped because too many waited already, by replica."""


class _UnixTransport:
    """AF_UNIX: one connection per replica, at a socket with the name of the replica."""

    _KIND: ClassVar[socket.SocketKind]
    _READ_BYTES: ClassVar[int]

    def __init__(
        self,
        directory: Path,
        replicas: Sequence[str],
        selector: selectors.BaseSelector,
        listener: Listener,
    ) -> None:
        self._selector = selector
        self._listener = listener
        self._sockets: dict[str, socket.socket] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._directory = directory
        self._replicas = tuple(replicas)
        for replica in replicas:
            self._listen(replica)

    def _listen(self, replica: str) -> None:
        server = socket.socket(socket.AF_UNIX, self._KIND)
        # The path of a socket has at most 107 bytes, and the path of the directory may be longer.
        handle = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
        try:
            server.bind(f"/proc/self/fd/{handle}/{replica}")
        finally:
            os.close(handle)
        server.listen(1)
        self._watch(replica, server, partial(self._accept, replica))

    def arguments(self, replica: str) -> list[str]:
        return [replica, *(other for other in self._replicas if other != replica)]

    def _watch(self, replica: str, sock: socket.socket, act: Callable[[int], None]) -> None:
        self._sockets[replica] = sock
        self._selector.register(sock, selectors.EVENT_READ, act)

    def _accept(self, replica: str, _: int) -> None:
        connection, _address = self._sockets[replica].accept()
        self.close(replica)
        self.adopt(replica, connection)

    def adopt(self, replica: str, connection: socket.socket) -> None:
        """Talk to `replica` through a connected socket."""
        connection.setblocking(False)
        self._outboxes[replica] = Outbox(
            connection.send, lambda: self._block(replica), _dropped(self._outboxes, replica),
            partial(self._listener.passed, replica),
        )
        receive = connection.recv
        take = self._taker(replica, connection)

        def act(ready: int) -> None:
            if self._sockets.get(replica) is not connection:
                return  # Another event of the same round has closed it.
            if ready & selectors.EVENT_WRITE:
                self._flush(replica)
            if ready & selectors.EVENT_READ:
                try:
                    raw = receive(self._READ_BYTES)
                except BlockingIOError:
                    return
                except ConnectionResetError:
                    raw = b""
                if raw or not _has_hung_up(connection):
                    take(raw)
                else:
                    self.close(replica)
                    self._listener.left(replica)

        self._watch(replica, connection, act)
        self._listener.joined(replica)

    def _taker(self, replica: str, connection: socket.socket) -> Callable[[bytes], None]:
        """A function that takes the bytes of one read, and gives their messages to the listener."""
        raise NotImplementedError

    def _hear(self, replica: str, raw: bytes) -> None:
        if len(raw) <= MESSAGE_BYTES:
            self._listener.received(replica, raw)
        else:
            self._listener.stray(raw, f"from replica {replica}: longer than {MESSAGE_BYTES} bytes")

    def send(self, replica: str, raw: bytes) -> str | None:
        return self._outboxes[replica].send(raw)

    def _block(self, replica: str) -> None:
        self._watch_for(replica, selectors.EVENT_READ | selectors.EVENT_WRITE)
        self._listener.congested(replica)

    def _flush(self, replica: str) -> None:
        if self._outboxes[replica].flush():
            self._watch_for(replica, selectors.EVENT_READ)

    def _watch_for(self, replica: str, events: int) -> None:
        sock = self._sockets[replica]
        self._selector.modify(sock, events, self._selector.get_key(sock).data)

    def close(self, replica: str) -> None:
        sock = self._sockets.pop(replica, None)
        if sock is not None:
            self._selector.unregister(sock)
            sock.close()

    def reopen(self, replica: str) -> None:
        (self._directory / replica).unlink(missing_ok=True)
        self._listen(replica)

    def close_all(self) -> None:
        for replica in list(self._sockets):
            self.close(replica)

    def kernel_drops(self) -> dict[str, int]:
        """The kernel drops nothing on a connection."""
        return {}

    def queue_drops(self) -> dict[str, int]:
        return _queue_drops(self._outboxes)


class SeqpacketTransport(_UnixTransport):
    """SOCK_SEQPACKET: a packet is a message."""

    _KIND = socket.SOCK_SEQPACKET
    # One byte more shows that a packet is too long; its rest is lost.
    _READ_BYTES = MESSAGE_BYTES + 1

    def _taker(self, replica: str, connection: socket.socket) -> Callable[[bytes], None]:
        return partial(self._hear, replica)


class StreamTransport(_UnixTransport):
    """SOCK_STREAM: a line is a message; one read may bring a part of a line, or several lines."""

    _KIND = socket.SOCK_STREAM
    _READ_BYTES = _CHUNK_BYTES

    def _taker(self, replica: str, connection: socket.socket) -> Callable[[bytes], None]:
        begun = b""

        def take(raw: bytes) -> None:
            nonlocal begun
            *lines, rest = (begun + raw).split(b"\n")
            # One byte beyond the limit shows that a line is too long; its rest need not be kept.
            begun = rest[: MESSAGE_BYTES + 1]
            for line in lines:
                self._hear(replica, line)
                if self._sockets.get(replica) is not connection:
                    return  # This line closed the connection, so the next ones do not count.

        return take

    def send(self, replica: str, raw: bytes) -> str | None:
        return super().send(replica, raw + b"\n")


def _has_hung_up(connection: socket.socket) -> bool:
    """Whether nothing more can come. An empty read may also mean an empty packet."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def _dropped(outboxes: dict[str, Outbox], replica: str) -> int:
    return outboxes[replica].dropped if replica in outboxes else 0


def _queue_drops(outboxes: dict[str, Outbox]) -> dict[str, int]:
    return {replica: outbox.dropped for replica, outbox in outboxes.items() if outbox.dropped}


class DatagramTransport:
    """UDP on the loopback address: one socket for all; a first datagram shows a replica's place."""

    def __init__(
        self,
        directory: Path,
        replicas: Sequence[str],
        selector: selectors.BaseSelector,
        listener: Listener,
    ) -> None:
        self._selector = selector
        self._listener = listener
        self._replicas = tuple(replicas)
        self._outboxes: dict[str, Outbox] = {}
        self._replica_at: dict[tuple[str, int], str] = {}
        self._closed: set[str] = set()
        self._awaited = set(replicas)  # have not said hello in this life
        self._former: set[tuple[str, int]] = set()  # the places of earlier lives
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _DATAGRAM_BUFFER_BYTES)
        self._socket.bind(("127.0.0.1", 0))
        selector.register(self._socket, selectors.EVENT_READ, self._act)

    def arguments(self, replica: str) -> list[str]:
        port = self._socket.getsockname()[1]
        return [str(port), replica, *(other for other in self._replicas if other != replica)]

    def _act(self, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            self._flush()
        if ready & selectors.EVENT_READ:
            raw, address = self._socket.recvfrom(DATAGRAM_BYTES)
            replica = self._replica_at.get(address)
            if replica is None:
                self._greet(raw, address)
            elif replica not in self._closed:
                self._listener.received(replica, raw)

    def _greet(self, raw: bytes, address: tuple[str, int]) -> None:
        try:
            message = messages.parse(raw)
            if message["type"] != messages.HELLO:
                raise Malformed('the first datagram of a replica must be a "hello"')
            if message["src"] not in self._awaited:
                raise Malformed('"src" of a "hello" must be a replica that has not said hello')
        except Malformed as error:
            if address not in self._former:
                self._listener.stray(raw, str(error))
            return
        replica = message["src"]
        self._awaited.remove(replica)
        self._replica_at[address] = replica
        self._outboxes[replica] = Outbox(
            lambda raw: self._socket.sendto(raw, address), lambda: self._block(replica),
            _dropped(self._outboxes, replica), partial(self._listener.passed, replica),
        )
        if replica not in self._closed:
            self._listener.joined(replica)

    def send(self, replica: str, raw: bytes) -> str | None:
        return self._outboxes[replica].send(raw)

    def _block(self, replica: str) -> None:
        self._selector.modify(
            self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self._act
        )
        self._listener.congested(replica)

    def _flush(self) -> None:
        if all([outbox.flush() for outbox in self._outboxes.values()]):
            self._selector.modify(self._socket, selectors.EVENT_READ, self._act)

    def close(self, replica: str) -> None:
        self._closed.add(replica)

    def reopen(self, replica: str) -> None:
        """Forget the place of the earlier life; its datagrams that still arrive are no mistake."""
        self._closed.discard(replica)
        self._awaited.add(replica)
        places = [place for place, owner in self._replica_at.items() if owner == replica]
        for place in places:
            del self._replica_at[place]
        self._former.update(places)
        self._outboxes[replica].clear()

    def close_all(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def kernel_drops(self) -> dict[str, int]:
        """Datagrams that the kernel dropped at a full receive buffer, by their receiver."""
        owners = {port: replica for (_, port), replica in self._replica_at.items()}
        owners[self._socket.getsockname()[1]] = "simulator"
        drops = {}
        for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
            columns = line.split()
            owner = owners.get(int(columns[1].rpartition(":")[2], 16))
            if owner is not None and int(columns[-1]):
                drops[owner] = int(columns[-1])
        return drops

    def queue_drops(self) -> dict[str, int]:
        return _queue_drops(self._outboxes)


TRANSPORTS: dict[str, type[Transport]] = {
    "seqpacket": SeqpacketTransport, "stream": StreamTransport, "udp": DatagramTransport,
}
