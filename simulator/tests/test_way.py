"""Messages on their way: bandwidth, slow replicas, changed bytes, and the order of a link."""

import unittest
from functools import partial
from random import Random
from typing import Any
from unittest import mock

from simulator.network import Network
from simulator.tests.support import small_scenario
from simulator.timers import Timers
from simulator.trace.recorder import Trace
from simulator.way import Way

THREE = ["0000", "0001", "0002"]


class Transport:
    """Notes what arrives, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.arrived: list[tuple[float, str, bytes]] = []

    def send(self, replica: str, raw: bytes) -> None:
        self.arrived.append((round(self.now, 6), replica, raw))


class Journeys(unittest.TestCase):
    def start(self, duplicates: float = 0, **changes: Any) -> None:
        scenario = small_scenario(**changes)
        self.transport = Transport()
        self.trace = mock.Mock(spec=Trace)
        self.trace.message.return_value = 7
        self.network = Network(
            THREE, 0, Random(1), 0, Random(2), duplicates, Random(3), scenario.corrupt, Random(4)
        )
        self.timers = Timers(lambda: self.transport.now)
        self.way = Way(
            scenario.delay, scenario.bandwidth, Random(5), self.network, self.transport,  # type: ignore[arg-type]
            self.trace, self.timers,
        )

    def send(self, sender: str, target: str, raw: bytes = b"x" * 1000) -> None:
        self.way.carry(self.transport.now, sender, target, raw)

    def pass_time(self, until: float = 100) -> None:
        while self.timers.next_due() <= until:
            self.transport.now = max(self.transport.now, self.timers.next_due())
            self.timers.run_due()
        self.transport.now = until

    def arrivals(self) -> list[float]:
        return [time for time, *_ in self.transport.arrived]

    def fates(self) -> list[Any]:
        return [call.args[4] for call in self.trace.message.call_args_list]


class Bandwidth(Journeys):
    def test_message_leaves_when_those_before_it_on_its_link_have_left(self) -> None:
        self.start(bandwidth=10_000)
        for sender, target in (("0000", "0001"), ("0000", "0001"), ("0001", "0000"), ("0000", "0002")):
            self.send(sender, target)
        self.pass_time(1)
        self.assertEqual(self.arrivals(), [0.1, 0.1, 0.1, 0.2])
        self.send("0000", "0001", b"x" * 500)
        self.pass_time()
        self.assertEqual(self.arrivals()[4:], [1.05], "a link that was idle has saved no time")

    def test_delay_comes_on_top(self) -> None:
        self.start(bandwidth=10_000, delay={"constant": 0.5})
        self.send("0000", "0001")
        self.send("0000", "0001")
        self.pass_time()
        self.assertEqual(self.arrivals(), [0.6, 0.7])

    def test_message_that_would_wait_more_than_ten_seconds_is_lost(self) -> None:
        self.start(bandwidth=1000)
        for _ in range(13):
            self.send("0000", "0001")
        self.assertEqual(self.fates(), ["later"] * 11 + ["overflow"] * 2)
        self.assertEqual((self.network.overflowed, self.network.sent), (2, 13))
        self.pass_time()
        self.assertEqual(self.arrivals(), [float(second) for second in range(1, 12)])

    def test_lost_messages_and_copies_take_no_time_of_the_link(self) -> None:
        self.start(bandwidth=10_000, duplicates=1)
        self.network.remove("0002")
        self.send("0000", "0002")
        self.send("0000", "0001")
        self.pass_time()
        self.assertEqual(self.arrivals(), [0.1, 0.1])

    def test_client_messages_have_no_limit(self) -> None:
        self.start(bandwidth=1000)
        self.way.ask("0001", b"x" * 1000)
        self.pass_time()
        self.assertEqual(self.arrivals(), [0])


class Slowness(Journeys):
    def test_messages_from_and_to_a_slow_replica_take_longer_also_those_of_clients(self) -> None:
        self.start(delay={"constant": 1})
        self.network.slowness.update({"0001": 0.5, "0002": 0.25})
        for sender, target in (("0000", "0001"), ("0001", "0000"), ("0001", "0002")):
            self.send(sender, target)
        self.way.ask("0001", b"request")
        self.way.ask("0000", b"request")
        for replica in ("0001", "0000"):
            self.way.answer(0, replica, partial(self.transport.send, "0015", replica.encode()))
        self.pass_time()
        arrived = [(time, to, raw[:7]) for time, to, raw in self.transport.arrived]
        self.assertEqual(sorted(arrived), sorted([
            (1.5, "0001", b"xxxxxxx"), (1.5, "0000", b"xxxxxxx"), (1.75, "0002", b"xxxxxxx"),
            (1.5, "0001", b"request"), (1.0, "0000", b"request"),
            (1.5, "0015", b"0001"), (1.0, "0015", b"0000"),
        ]))

    def test_messages_stay_in_order_when_a_replica_is_slow_no_more(self) -> None:
        for reorder, expected in ((False, [b"first", b"second"]), (True, [b"second", b"first"])):
            self.start(delay={"constant": 0.001}, reorder=reorder)
            self.network.slowness["0001"] = 1
            self.send("0000", "0001", b"first")
            self.network.heal()
            self.send("0000", "0001", b"second")
            self.pass_time()
            self.assertEqual([raw for *_, raw in self.transport.arrived], expected)


class Damage(Journeys):
    RAW = bytes(range(256))

    def changes(self) -> list[tuple[int, int]]:
        """The place and the difference of the changed byte of each arrival, if there is one."""
        found = []
        for *_, raw in self.transport.arrived:
            self.assertEqual(len(raw), len(self.RAW))
            differences = [(at, a ^ b) for at, (a, b) in enumerate(zip(raw, self.RAW, strict=True)) if a != b]
            self.assertLessEqual(len(differences), 1)
            found += differences
        return found

    def test_one_byte_of_each_damaged_message_is_changed_at_random(self) -> None:
        self.start(corrupt=1)
        for _ in range(300):
            self.send("0000", "FFFF", self.RAW)
        changes = self.changes()
        self.assertEqual((len(changes), self.network.corrupted), (600, 600))
        places, differences = ({change[i] for change in changes} for i in (0, 1))
        self.assertGreater(min(len(places), len(differences)), 200)

    def test_chance_of_damage_is_that_of_the_scenario(self) -> None:
        self.start(corrupt=0.25)
        for _ in range(2000):
            self.send("0000", "0001", self.RAW)
        self.assertTrue(430 < len(self.changes()) < 570)
        self.assertEqual(len(self.changes()), self.network.corrupted)

    def test_copies_are_damaged_independently(self) -> None:
        self.start(corrupt=0.5, duplicates=1)
        for _ in range(300):
            self.send("0000", "0001", self.RAW)
        arrived = [raw for *_, raw in self.transport.arrived]
        equal = sum(first == copy for first, copy in zip(arrived[::2], arrived[1::2], strict=True))
        self.assertTrue(50 < equal < 100, "a quarter of the pairs is sound")

    def test_trace_has_the_changed_bytes_before_the_arrival(self) -> None:
        self.start(corrupt=1)
        self.send("0000", "0001", self.RAW)
        names = [call[0] for call in self.trace.method_calls]
        self.assertEqual(names, ["message", "change", "settle"])
        self.trace.change.assert_called_once_with(7, self.transport.arrived[0][2])

    def test_client_messages_are_never_damaged_and_lost_ones_do_not_count(self) -> None:
        self.start(corrupt=1)
        self.way.ask("0001", self.RAW)
        self.pass_time(1)
        self.assertEqual((self.changes(), len(self.transport.arrived)), ([], 1))
        self.network.remove("0001")
        self.send("0000", "0001", self.RAW)
        self.assertEqual(self.network.corrupted, 0)


if __name__ == "__main__":
    unittest.main()
