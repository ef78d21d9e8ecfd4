"""Sockets that are full, and what the kernel drops."""

import selectors
import socket
import tempfile
import unittest
from pathlib import Path

from simulator import messages
from simulator.transport import DatagramTransport, Outbox, StreamTransport


class Recorder:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def joined(self, replica: str) -> None:
        self.events.append(("joined", replica))

    def received(self, replica: str, raw: bytes) -> None:
        self.events.append(("received", raw.decode()))

    def left(self, replica: str) -> None:
        self.events.append(("left", replica))

    def congested(self, replica: str) -> None:
        self.events.append(("congested", replica))

    def stray(self, raw: bytes, reason: str) -> None:
        self.events.append(("stray", raw.decode()))


class TransportCase(unittest.TestCase):
    def setUp(self) -> None:
        self.selector = selectors.EpollSelector()
        self.addCleanup(self.selector.close)
        self.listener = Recorder()

    def turn(self) -> None:
        for key, ready in self.selector.select(0):
            key.data(ready)


class Stream(TransportCase):
    def setUp(self) -> None:
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.transport = StreamTransport(
            self.directory, ["0000", "0001"], self.selector, self.listener
        )
        self.addCleanup(self.transport.close_all)
        self.replica = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(self.replica.close)
        self.replica.connect(str(self.directory / "0000"))
        self.turn()

    def test_arguments_are_the_own_id_and_the_others(self) -> None:
        self.assertEqual(self.transport.arguments("0001"), ["0001", "0000"])

    def test_a_replica_joins_talks_and_leaves(self) -> None:
        self.replica.send(b"hi")
        self.turn()
        self.replica.close()
        self.turn()
        self.assertEqual(
            self.listener.events, [("joined", "0000"), ("received", "hi"), ("left", "0000")]
        )

    def test_a_replica_that_does_not_read_loses_nothing(self) -> None:
        count = 5000
        self.replica.settimeout(10)
        for episode in range(2):
            for number in range(count):
                self.transport.send("0000", b"%d" % number)
            self.assertEqual(self.listener.events.count(("congested", "0000")), episode + 1)
            for number in range(count):
                self.turn()
                self.assertEqual(self.replica.recv(100), b"%d" % number)

    def test_a_closed_replica_is_not_heard_any_more(self) -> None:
        self.replica.send(b"hi")
        events = self.selector.select(0)
        self.transport.close("0000")
        for key, ready in events:
            key.data(ready)
        self.assertEqual(self.listener.events, [("joined", "0000")])


class Datagram(TransportCase):
    def setUp(self) -> None:
        super().setUp()
        self.transport = DatagramTransport(Path(), ["0000", "0001"], self.selector, self.listener)
        self.addCleanup(self.transport.close_all)
        self.port = int(self.transport.arguments("0000")[0])

    def replica(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", self.port))
        return sock

    def say(self, sock: socket.socket, type: str, replica: str = "0000") -> None:
        sock.send(messages.encode(
            {"src": replica, "dst": "FFFF", "leader": "FFFF", "type": type}
        ))
        self.turn()

    def test_arguments_begin_with_the_port(self) -> None:
        self.assertEqual(self.transport.arguments("0001"), [str(self.port), "0001", "0000"])

    def test_a_hello_makes_a_replica_known(self) -> None:
        sock = self.replica()
        self.say(sock, "hello")
        self.say(sock, "append")
        self.assertEqual([name for name, _ in self.listener.events], ["joined", "received"])
        self.transport.send("0000", b"to you")
        self.assertEqual(sock.recv(100), b"to you")

    def test_anything_before_the_hello_is_stray(self) -> None:
        self.say(self.replica(), "append")
        self.assertEqual([name for name, _ in self.listener.events], ["stray"])

    def test_a_hello_cannot_take_over_another_replica(self) -> None:
        self.say(self.replica(), "hello")
        self.say(self.replica(), "hello")
        self.say(self.replica(), "hello", replica="0002")
        self.assertEqual([name for name, _ in self.listener.events], ["joined", "stray", "stray"])

    def test_a_closed_replica_is_not_heard_any_more(self) -> None:
        sock = self.replica()
        self.say(sock, "hello")
        self.transport.close("0000")
        self.say(sock, "append")
        self.assertEqual(self.listener.events, [("joined", "0000")])

    def test_what_the_kernel_drops_is_found_and_counted(self) -> None:
        sock = self.replica()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.say(sock, "hello")
        self.assertEqual(self.transport.kernel_drops(), {})
        for _ in range(500):
            self.transport.send("0000", b"x" * 100)
        sock.setblocking(False)
        arrived = 0
        with self.assertRaises(BlockingIOError):
            while sock.recv(200):
                arrived += 1
        self.assertLess(arrived, 500)
        self.assertEqual(self.transport.kernel_drops(), {"0000": 500 - arrived})


class Queueing(unittest.TestCase):
    def test_an_outbox_keeps_the_order_and_tells_once_per_episode(self) -> None:
        sent: list[bytes] = []
        room = 0
        blocked: list[None] = []

        def transmit(raw: bytes) -> None:
            nonlocal room
            if not room:
                raise BlockingIOError
            room -= 1
            sent.append(raw)

        outbox = Outbox(transmit, lambda: blocked.append(None))
        outbox.send(b"1")
        room = 1
        outbox.send(b"2")
        self.assertEqual((sent, len(blocked)), ([], 1))
        self.assertFalse(outbox.flush())
        room = 5
        self.assertTrue(outbox.flush())
        outbox.send(b"3")
        self.assertEqual((sent, len(blocked)), ([b"1", b"2", b"3"], 1))

    def test_a_replica_that_is_gone_does_not_stop_the_rest(self) -> None:
        def transmit(raw: bytes) -> None:
            raise BrokenPipeError

        outbox = Outbox(transmit, self.fail)
        outbox.send(b"1")
        self.assertTrue(outbox.flush())
