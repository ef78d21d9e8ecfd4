"""Full sockets, and datagrams that the kernel drops."""

import selectors
import socket
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from simulator import messages, outbox
from simulator.outbox import Outbox
from simulator.tests.support import HANG_SECONDS
from simulator.transport import (
    MESSAGE_BYTES,
    DatagramTransport,
    SeqpacketTransport,
    StreamTransport,
    Transport,
)


class Recorder:
    """A listener that records all reports."""

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

    def passed(self, replica: str, messages: int) -> None:
        """Waiting messages have left."""

    def stray(self, raw: bytes, reason: str) -> None:
        self.events.append(("stray", raw.decode()))


class TransportCase(unittest.TestCase):
    def setUp(self) -> None:
        self.selector = selectors.EpollSelector()
        self.addCleanup(self.selector.close)
        self.listener = Recorder()

    def turn(self, within: float = 0) -> None:
        """Handle the bytes that have arrived. A socket of AF_UNIX delivers them at once."""
        for key, ready in self.selector.select(within):
            key.data(ready)


class ConnectionCase(TransportCase):
    """A replica that has joined in a dialect of AF_UNIX."""

    def join(self, dialect: type[Transport], kind: socket.SocketKind) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.transport = dialect(self.directory, ["0000", "0001"], self.selector, self.listener)
        self.addCleanup(self.transport.close_all)
        self.replica = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(self.replica.close)
        self.replica.connect(str(self.directory / "0000"))
        self.turn()


class Seqpacket(ConnectionCase):
    def setUp(self) -> None:
        super().setUp()
        self.join(SeqpacketTransport, socket.SOCK_SEQPACKET)

    def test_arguments_are_the_own_id_and_the_others(self) -> None:
        self.assertEqual(self.transport.arguments("0001"), ["0001", "0000"])

    def test_replica_joins_talks_and_leaves(self) -> None:
        self.replica.send(b"hi")
        self.turn()
        self.replica.close()
        self.turn()
        self.assertEqual(
            self.listener.events, [("joined", "0000"), ("received", "hi"), ("left", "0000")]
        )

    def test_replica_that_does_not_read_loses_nothing(self) -> None:
        count = 5000
        self.replica.settimeout(10)
        for episode in range(2):
            for number in range(count):
                self.transport.send("0000", b"%d" % number)
            self.assertEqual(self.listener.events.count(("congested", "0000")), episode + 1)
            for number in range(count):
                self.turn()
                self.assertEqual(self.replica.recv(100), b"%d" % number)

    def test_closed_replica_is_not_heard_any_more(self) -> None:
        self.replica.send(b"hi")
        events = self.selector.select(0)
        self.transport.close("0000")
        for key, ready in events:
            key.data(ready)
        self.assertEqual(self.listener.events, [("joined", "0000")])


    def test_new_life_of_a_replica_connects_and_gets_no_message_of_the_old_one(self) -> None:
        self.replica.send(b"from the old life")
        with mock.patch.object(outbox, "MOST_WAITING_BYTES", 50_000):
            while not self.transport.queue_drops():
                self.transport.send("0000", b"to the old life")
        self.listener.events.clear()
        self.transport.close("0000")
        self.transport.reopen("0000")
        self.turn()
        self.assertEqual(self.listener.events, [])
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as anew:
            anew.connect(str(self.directory / "0000"))
            self.turn()
            anew.send(b"hi")
            self.transport.send("0000", b"welcome back")
            self.turn()
            self.assertEqual(anew.recv(100), b"welcome back")
        self.assertEqual(self.listener.events, [("joined", "0000"), ("received", "hi")])
        self.assertEqual(self.transport.queue_drops(), {"0000": 1})

    def test_empty_packet_is_malformed_and_does_not_end_the_connection(self) -> None:
        self.replica.send(b"")
        self.turn()
        self.replica.send(b"hi")
        self.turn()
        self.assertEqual(
            self.listener.events, [("joined", "0000"), ("received", ""), ("received", "hi")]
        )

    def test_packet_beyond_the_limit_is_stray_and_one_at_the_limit_is_not(self) -> None:
        self.replica.send(b"x" * MESSAGE_BYTES)
        self.turn()
        self.replica.send(b"x" * (MESSAGE_BYTES + 1))
        self.turn()
        self.assertEqual(
            [name for name, _ in self.listener.events], ["joined", "received", "stray"]
        )

    def test_replica_that_never_reads_is_owed_a_bounded_queue(self) -> None:
        message = b"x" * 1000
        sent = 0
        with mock.patch.object(outbox, "MOST_WAITING_BYTES", 50_000):
            while not self.transport.queue_drops() and sent < 10_000:
                self.transport.send("0000", message)
                sent += 1
            self.transport.send("0000", message)
        self.assertEqual(self.transport.queue_drops(), {"0000": 2})
        self.replica.setblocking(False)
        arrived = 0
        with self.assertRaises(BlockingIOError):
            while True:
                self.turn()
                self.assertEqual(self.replica.recv(2000), message)
                arrived += 1
        self.assertEqual(arrived, sent - 1)


class LongPath(TransportCase):
    def test_directory_with_a_long_path_is_no_trouble(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            deep = Path(directory, "d" * 200)
            deep.mkdir()
            transport = SeqpacketTransport(deep, ["0000"], self.selector, self.listener)
            self.addCleanup(transport.close_all)
            self.assertTrue((deep / "0000").is_socket())


class Stream(ConnectionCase):
    def setUp(self) -> None:
        super().setUp()
        self.join(StreamTransport, socket.SOCK_STREAM)
        self.listener.events.clear()

    def test_messages_split_at_any_byte_and_joined_arrive_whole(self) -> None:
        text = b"first\nsecond\nthird\n"
        whole = [("received", line.decode()) for line in text.splitlines()]
        for first in range(len(text)):
            for second in range(first, len(text)):
                with self.subTest(first=first, second=second):
                    self.listener.events.clear()
                    for piece in (text[:first], text[first:second], text[second:]):
                        self.replica.sendall(piece)
                        self.turn()
                    self.assertEqual(self.listener.events, whole)

    def test_messages_to_a_replica_are_lines(self) -> None:
        self.transport.send("0000", b"one")
        self.transport.send("0000", b"two")
        self.assertEqual(self.replica.recv(100), b"one\ntwo\n")

    def test_full_socket_takes_part_of_a_message_and_the_rest_follows(self) -> None:
        count = 500
        sent = b"".join(b"%d" % number * 1000 + b"\n" for number in range(count))
        for number in range(count):
            self.transport.send("0000", b"%d" % number * 1000)
        self.assertIn(("congested", "0000"), self.listener.events)
        arrived = b""
        while len(arrived) < len(sent):
            arrived += self.replica.recv(1_000_000)
            self.turn()
        self.assertEqual(arrived, sent)

    def test_line_beyond_the_limit_is_stray_and_one_at_the_limit_is_not(self) -> None:
        for line in (b"x" * MESSAGE_BYTES, b"y" * (3 * MESSAGE_BYTES), b"z"):
            self.replica.sendall(line + b"\n")
            for _ in range(4):
                self.turn()
        self.assertEqual(
            [name for name, _ in self.listener.events], ["received", "stray", "received"]
        )

    def test_line_without_an_end_costs_no_memory(self) -> None:
        for _ in range(20):
            self.replica.sendall(b"x" * MESSAGE_BYTES)
            self.turn()
        self.replica.sendall(b"\n")
        self.turn()
        [(name, raw)] = self.listener.events
        self.assertEqual(name, "stray")
        self.assertLessEqual(len(raw), 2 * MESSAGE_BYTES)

    def test_lines_after_one_that_closes_the_connection_are_not_heard(self) -> None:
        heard = self.listener.received

        def close_at_once(replica: str, raw: bytes) -> None:
            heard(replica, raw)
            self.transport.close(replica)

        self.listener.received = close_at_once  # type: ignore[method-assign]
        self.replica.sendall(b"one\ntwo\n")
        self.turn()
        self.assertEqual(self.listener.events, [("received", "one")])

    def test_replica_leaves(self) -> None:
        self.replica.close()
        self.turn()
        self.assertEqual(self.listener.events, [("left", "0000")])


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
        self.turn(HANG_SECONDS)

    def test_arguments_begin_with_the_port(self) -> None:
        self.assertEqual(self.transport.arguments("0001"), [str(self.port), "0001", "0000"])

    def test_hello_makes_a_replica_known(self) -> None:
        sock = self.replica()
        self.say(sock, "hello")
        self.say(sock, "append")
        self.assertEqual([name for name, _ in self.listener.events], ["joined", "received"])
        self.transport.send("0000", b"to you")
        self.assertEqual(sock.recv(100), b"to you")

    def test_datagram_before_the_hello_is_stray(self) -> None:
        self.say(self.replica(), "append")
        self.assertEqual([name for name, _ in self.listener.events], ["stray"])

    def test_hello_cannot_take_over_another_replica(self) -> None:
        self.say(self.replica(), "hello")
        self.say(self.replica(), "hello")
        self.say(self.replica(), "hello", replica="0002")
        self.assertEqual([name for name, _ in self.listener.events], ["joined", "stray", "stray"])

    def test_closed_replica_is_not_heard_any_more(self) -> None:
        sock = self.replica()
        self.say(sock, "hello")
        self.transport.close("0000")
        self.say(sock, "append")
        self.assertEqual(self.listener.events, [("joined", "0000")])

    def test_new_life_of_a_replica_says_hello_and_the_old_one_is_not_heard(self) -> None:
        old, new = self.replica(), self.replica()
        self.say(old, "hello")
        old.send(b"from the old life")
        self.transport.close("0000")
        self.transport.reopen("0000")
        self.turn(HANG_SECONDS)
        self.assertEqual(self.listener.events, [("joined", "0000")])
        self.say(new, "hello")
        self.say(new, "append")
        self.assertEqual([name for name, _ in self.listener.events], ["joined", "joined", "received"])
        self.transport.send("0000", b"to the new life")
        self.assertEqual(new.recv(100), b"to the new life")
        # It has said hello now.
        self.say(self.replica(), "hello")
        self.assertEqual(self.listener.events[-1][0], "stray")

    def test_messages_that_wait_for_the_old_life_are_lost_and_drops_are_still_counted(self) -> None:
        old, new = self.replica(), self.replica()
        self.say(old, "hello")
        waiting = self.transport._outboxes["0000"]
        with mock.patch.object(waiting, "_transmit", side_effect=BlockingIOError), \
                mock.patch.object(outbox, "MOST_WAITING_BYTES", 20):
            for _ in range(2):
                self.transport.send("0000", b"to the old life")
        self.transport.close("0000")
        self.transport.reopen("0000")
        self.turn(HANG_SECONDS)  # The socket of the simulator is writable.
        self.say(new, "hello")
        self.transport.send("0000", b"to the new life")
        self.assertEqual(new.recv(100), b"to the new life")
        old.setblocking(False)
        self.assertRaises(BlockingIOError, old.recv, 100)
        self.assertEqual(self.transport.queue_drops(), {"0000": 1})

    def test_datagrams_that_the_kernel_drops_are_counted(self) -> None:
        sock = self.replica()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.say(sock, "hello")
        self.assertEqual(self.transport.kernel_drops(), {})
        for _ in range(500):
            self.transport.send("0000", b"x" * 100)
        sock.settimeout(HANG_SECONDS)
        arrived = 0
        # A busy kernel delivers late, so the last of them may come after the first reads.
        while arrived + (dropped := self.transport.kernel_drops().get("0000", 0)) < 500:
            sock.recv(200)
            arrived += 1
        self.assertGreater(dropped, 0)
        self.assertEqual(arrived + dropped, 500)


class Queueing(unittest.TestCase):
    def test_outbox_keeps_the_order_and_tells_once_per_episode(self) -> None:
        sent: list[bytes] = []
        room = 0
        blocked: list[None] = []

        def transmit(raw: bytes) -> int:
            nonlocal room
            if not room:
                raise BlockingIOError
            room -= 1
            sent.append(raw)
            return len(raw)

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

    def test_each_message_has_a_fate_and_those_that_waited_are_counted(self) -> None:
        room, passed = 1, []

        def transmit(raw: bytes) -> int:
            nonlocal room
            if not room:
                raise BlockingIOError
            room -= 1
            return len(raw)

        queue = Outbox(transmit, lambda: None, passed=passed.append)
        with mock.patch.object(outbox, "MOST_WAITING_BYTES", 2):
            fates = [queue.send(b"1") for _ in range(4)]
        self.assertEqual((fates, queue.dropped), ([None, "waits", "waits", "overflow"], 1))
        for _ in range(2):
            room = 1
            queue.flush()
        self.assertEqual(passed, [1, 1])

    def test_replica_that_is_gone_does_not_stop_the_rest(self) -> None:
        def transmit(raw: bytes) -> int:
            raise BrokenPipeError

        outbox = Outbox(transmit, self.fail)
        outbox.send(b"1")
        self.assertTrue(outbox.flush())
