"""The two dialects: how a replica is reached, and how its messages arrive.

Both tell a listener what happens, and both keep what a full socket does not take until it drains.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from pathlib import Path
from typing import Callable, Protocol, Sequence

from simulator import messages
from simulator.messages import Malformed

STREAM_MESSAGE_BYTES = 16_384
DATAGRAM_BYTES = 65_507
# The kernel drops datagrams at a full buffer without a word; it caps this at net.core.rmem_max.
_DATAGRAM_BUFFER_BYTES = 8 << 20


class Listener(Protocol):
    """Who is told what happens on the transport."""

    def joined(self, replica: str) -> None: ...

    def received(self, replica: str, raw: bytes) -> None: ...

    def left(self, replica: str) -> None: ...

    def congested(self, replica: str) -> None: ...

    def stray(self, raw: bytes, reason: str) -> None: ...


class Outbox:
    """Sends in order and without loss: what does not fit waits until the socket is writable again."""

    def __init__(self, transmit: Callable[[bytes], object], blocked: Callable[[], None]) -> None:
        self._transmit = transmit
        self._blocked = blocked
        self._waiting: deque[bytes] = deque()

    def send(self, raw: bytes) -> None:
        if self._waiting:
            self._waiting.append(raw)
        elif not self._try(raw):
            self._waiting.append(raw)
            self._blocked()

    def flush(self) -> bool:
        """Send what waits; true when nothing waits any more."""
        while self._waiting and self._try(self._waiting[0]):
            self._waiting.popleft()
        return not self._waiting

    def _try(self, raw: bytes) -> bool:
        try:
            self._transmit(raw)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError):
            pass  # The replica is gone, which is noticed and judged where its exit is seen.
        return True


class StreamTransport:
    """AF_UNIX, SOCK_SEQPACKET: one connection per replica, made to a socket named like the replica."""

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
        self._replicas = tuple(replicas)
        for replica in replicas:
            server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            server.bind(str(directory / replica))
            server.listen(1)
            self._watch(replica, server, lambda _, replica=replica: self._accept(replica))

    def arguments(self, replica: str) -> list[str]:
        return [replica, *(other for other in self._replicas if other != replica)]

    def _watch(self, replica: str, sock: socket.socket, act: Callable[[int], None]) -> None:
        self._sockets[replica] = sock
        self._selector.register(sock, selectors.EVENT_READ, act)

    def _accept(self, replica: str) -> None:
        connection, _ = self._sockets[replica].accept()
        self.close(replica)
        self.adopt(replica, connection)

    def adopt(self, replica: str, connection: socket.socket) -> None:
        """Talk to `replica` through a connected socket."""
        connection.setblocking(False)
        self._outboxes[replica] = Outbox(connection.send, lambda: self._block(replica))
        receive = connection.recv
        received = self._listener.received

        def act(ready: int) -> None:
            if self._sockets.get(replica) is not connection:
                return  # Closed by another event of the same round.
            if ready & selectors.EVENT_WRITE:
                self._flush(replica)
            if ready & selectors.EVENT_READ:
                try:
                    raw = receive(STREAM_MESSAGE_BYTES)
                except BlockingIOError:
                    return
                except ConnectionResetError:
                    raw = b""
                if raw:
                    received(replica, raw)
                else:
                    self.close(replica)
                    self._listener.left(replica)

        self._watch(replica, connection, act)
        self._listener.joined(replica)

    def send(self, replica: str, raw: bytes) -> None:
        self._outboxes[replica].send(raw)

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

    def close_all(self) -> None:
        for replica in list(self._sockets):
            self.close(replica)

    def kernel_drops(self) -> dict[str, int]:
        """A stream loses nothing."""
        return {}


class DatagramTransport:
    """UDP on the loopback address: one socket for all; a replica's first datagram says where it is."""

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
            if message["src"] not in self._replicas or message["src"] in self._outboxes:
                raise Malformed('"src" of a "hello" must be a replica that has not said hello')
        except Malformed as error:
            self._listener.stray(raw, str(error))
            return
        replica = message["src"]
        self._replica_at[address] = replica
        self._outboxes[replica] = Outbox(
            lambda raw: self._socket.sendto(raw, address), lambda: self._block(replica)
        )
        if replica not in self._closed:
            self._listener.joined(replica)

    def send(self, replica: str, raw: bytes) -> None:
        self._outboxes[replica].send(raw)

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

    def close_all(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def kernel_drops(self) -> dict[str, int]:
        """Datagrams that the kernel dropped at a full receive buffer, by whom they were meant for."""
        owners = {port: replica for (_, port), replica in self._replica_at.items()}
        owners[self._socket.getsockname()[1]] = "simulator"
        drops = {}
        for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
            columns = line.split()
            owner = owners.get(int(columns[1].rpartition(":")[2], 16))
            if owner is not None and int(columns[-1]):
                drops[owner] = int(columns[-1])
        return drops


TRANSPORTS = {"seqpacket": StreamTransport, "udp": DatagramTransport}
