"""Counting, dropping, partitions and the leader, without a process."""

import unittest
from collections.abc import Callable
from random import Random

from simulator.chronicle import Chronicle
from simulator.clients import Clients, Rules
from simulator.events import Events
from simulator.network import Network
from simulator.schedule import LASTING, Event

FIVE = ["0000", "0001", "0002", "0003", "0004"]


def network(drops: float = 0.0) -> Network:
    return Network(FIVE, drops, Random(1), 0, Random(2))


def reached(net: Network, sender: str, destination: str) -> list[str]:
    return [target for target, loss in net.route(sender, destination) if loss is None]


def event(type: str) -> Event:
    return Event(type, 1.0, 2.0 if type in LASTING else None)


class Processes:
    """The processes of a network, without any process."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.killed: list[str] = []
        self.started: list[str] = []
        self.paused: set[str] = set()

    def kill(self, replica: str) -> None:
        self.killed.append(replica)
        self.network.remove(replica)

    def take_down(self, replica: str) -> None:
        self.network.take_down(replica)

    def start_again(self, replica: str) -> None:
        self.started.append(replica)
        self.network.bring_back(replica)

    def is_paused(self, replica: str) -> bool:
        return replica in self.paused

    def pause(self, replica: str) -> Callable[[], bool]:
        self.paused.add(replica)

        def resume() -> bool:
            is_paused = replica in self.paused
            self.paused.discard(replica)
            return is_paused

        return resume


class Counting(unittest.TestCase):
    def test_broadcast_counts_for_every_other_replica(self) -> None:
        net = network()
        self.assertEqual(reached(net, "0001", "FFFF"), ["0000", "0002", "0003", "0004"])
        self.assertEqual(net.sent, 4)

    def test_broadcast_also_counts_for_the_dead(self) -> None:
        net = network()
        net.remove("0003")
        self.assertEqual(reached(net, "0001", "FFFF"), ["0000", "0002", "0004"])
        self.assertEqual((net.sent, net.sent_to_dead), (4, 1))

    def test_messages_to_a_replica_that_is_down_have_a_count_of_their_own(self) -> None:
        net = network()
        net.take_down("0003")
        self.assertEqual(reached(net, "0001", "FFFF"), ["0000", "0002", "0004"])
        self.assertEqual((net.loss_to("0003"), net.loss_to("0002")), ("down", None))
        self.assertEqual((net.sent_to_down, net.sent_to_dead), (2, 0))
        net.bring_back("0003")
        self.assertEqual(reached(net, "0001", "FFFF"), ["0000", "0002", "0003", "0004"])
        self.assertEqual((net.sent_to_down, net.living, net.down), (2, FIVE, []))

    def test_message_counts_although_it_is_dropped(self) -> None:
        net = network(drops=1.0)
        self.assertEqual(reached(net, "0001", "0002"), [])
        self.assertEqual((net.sent, net.dropped_by_chance), (1, 1))

    def test_each_delivery_of_a_broadcast_is_dropped_on_its_own(self) -> None:
        net = network(drops=0.5)
        delivered = sum(len(reached(net, "0000", "FFFF")) for _ in range(1000))
        self.assertEqual(delivered + net.dropped_by_chance, 4000)
        self.assertTrue(1800 < delivered < 2200, delivered)

    def test_same_seed_drops_the_same_messages(self) -> None:
        fates = [[reached(net, "0000", "FFFF") for _ in range(50)]
                 for net in (network(0.3), network(0.3))]
        self.assertEqual(*fates)


    def test_client_messages_are_lost_by_a_chance_of_their_own(self) -> None:
        net = Network(FIVE, 0, Random(1), 0.25, Random(2))
        lost = sum(net.drops_client_message() for _ in range(4000))
        self.assertTrue(900 < lost < 1100, lost)
        self.assertEqual((net.client_messages_dropped, net.sent, net.dropped_by_chance), (lost, 0, 0))

    def test_messages_are_duplicated_by_a_chance_of_their_own(self) -> None:
        nets = [Network(FIVE, 0.5, Random(1), 0, Random(2), chance, Random(3)) for chance in (0, 0.25)]
        twice = [sum(net.duplicates() for _ in range(4000)) for net in nets]
        self.assertEqual([net.duplicated for net in nets], twice)
        self.assertTrue(twice[0] == 0 and 900 < twice[1] < 1100, twice)
        first, second = ([net.route("0000", "FFFF") for _ in range(50)] for net in nets)
        self.assertEqual(first, second)

    def test_each_lost_message_has_the_reason_of_its_loss(self) -> None:
        net = Network(FIVE, 0.5, Random(1), 1, Random(2))
        net.remove("0002")
        net.take_down("0003")
        net.split(["0000", "0001", "0002"])
        reasons = {loss for _ in range(50) for _, loss in net.route("0000", "FFFF")}
        self.assertEqual(reasons, {None, "chance", "dead", "down", "partition"})
        self.assertEqual(net.loss_to("0000"), "client")

    def test_losing_client_messages_does_not_change_which_others_are_lost(self) -> None:
        fates = []
        for client_drops in (0, 0.5):
            net = Network(FIVE, 0.3, Random(1), client_drops, Random(2))
            fates.append([(net.drops_client_message(), reached(net, "0000", "FFFF"))[1] for _ in range(50)])
        self.assertEqual(*fates)


class Leaders(unittest.TestCase):
    def test_every_change_is_listed_from_unknown_on(self) -> None:
        net = network()
        for leader in ("FFFF", "0001", "0001", "FFFF", "0003"):
            net.hear("0002", leader)
        self.assertEqual(net.leaders, ["FFFF", "0001", "FFFF", "0003"])

    def test_leaders_without_an_end_are_counted_and_the_first_are_kept(self) -> None:
        net = network()
        for number in range(5000):
            net.hear("0002", f"000{number % 2}")
        self.assertEqual((len(net.leaders), net.leader_changes, net.leader), (1000, 5000, "0001"))

    def test_minority_of_a_partition_is_not_asked(self) -> None:
        net = network()
        net.split(["0000", "0001", "0002"])
        net.hear("0003", "0004")
        self.assertEqual(net.leader, "FFFF")
        net.hear("0001", "0002")
        self.assertEqual(net.leader, "0002")


class Partitions(unittest.TestCase):
    def test_messages_pass_only_within_a_side(self) -> None:
        net = network()
        net.split(["0000", "0001", "0002"])
        self.assertEqual(reached(net, "0000", "FFFF"), ["0001", "0002"])
        self.assertEqual(reached(net, "0003", "FFFF"), ["0004"])
        self.assertEqual((net.sent, net.dropped_by_partition), (8, 5))
        net.heal()
        self.assertEqual(reached(net, "0003", "0000"), ["0000"])

    def test_majority_side_has_the_smallest_majority(self) -> None:
        for size, majority in ((3, 2), (4, 3), (5, 3), (21, 11)):
            net = Network([f"{n:04X}" for n in range(size)], 0, Random(1), 0, Random(2))
            net.partition(Random(2), with_leader=False)
            self.assertEqual(len(net.majority_side), majority)

    def test_quorum_is_a_living_majority_on_one_side(self) -> None:
        net = network()
        self.assertTrue(net.has_quorum)
        net.partition(Random(1), with_leader=False)
        self.assertTrue(net.has_quorum)
        net.remove(min(net.majority_side or ()))
        self.assertFalse(net.has_quorum)
        net.heal()
        self.assertTrue(net.has_quorum)
        for replica in net.living[:2]:
            net.remove(replica)
        self.assertFalse(net.has_quorum)

    def test_easy_partition_keeps_the_leader(self) -> None:
        for seed in range(50):
            net = network()
            net.hear("0000", "0003")
            net.partition(Random(seed), with_leader=True)
            self.assertIn("0003", net.majority_side)
            self.assertEqual(len(net.majority_side), 3)

    def test_hard_partition_cuts_the_leader_off_now_and_then(self) -> None:
        sides = set()
        for seed in range(50):
            net = network()
            net.hear("0000", "0003")
            net.partition(Random(seed), with_leader=False)
            sides.add("0003" in net.majority_side)
        self.assertEqual(sides, {True, False})

    def test_dead_replicas_only_fill_up_the_majority_side(self) -> None:
        net = network()
        for replica in ("0000", "0001"):
            net.remove(replica)
        net.partition(Random(3), with_leader=False)
        self.assertEqual(net.majority_side, frozenset(["0002", "0003", "0004"]))


class Trouble(unittest.TestCase):
    def setUp(self) -> None:
        self.network = network()
        self.clients = Clients(
            ["0015"], Rules(), self.network, Random(1), lambda *_: None, lambda: 0.0, self.fail, self.fail,
            Chronicle(), self.fail,
        )
        self.client = self.clients._by_id["0015"]
        self.client.leader = "0002"
        self.processes = Processes(self.network)
        self.killed = self.processes.killed
        self.events = Events(self.network, self.clients, Random(1), self.processes)

    def test_kill_of_the_leader_ends_no_replica_without_a_leader(self) -> None:
        self.events.begin(event("kill_leader"))
        self.assertEqual(self.killed, [])

    def test_killing_the_leader_makes_clients_forget_it(self) -> None:
        self.network.hear("0000", "0002")
        self.events.begin(event("kill_leader"))
        self.assertEqual((self.killed, self.client.leader), (["0002"], "FFFF"))
        self.events.begin(event("kill_leader"))
        self.assertEqual(self.killed, ["0002"])

    def test_killing_others_spares_the_leader(self) -> None:
        self.network.hear("0000", "0002")
        for _ in range(5):
            self.events.begin(event("kill_non_leader"))
        self.assertEqual(sorted(self.killed), ["0000", "0001", "0003", "0004"])
        self.assertEqual(self.client.leader, "0002")

    def test_armed_kill_ends_the_replica_that_acknowledges_next(self) -> None:
        self.network.hear("0000", "0002")
        self.assertIsNone(self.events.acknowledged("0003"))
        self.assertEqual(self.events.begin(event("kill_leader_on_ack")), "armed")
        self.assertEqual((self.killed, self.client.leader, self.events.armed), ([], "0002", 1))
        self.assertEqual(self.events.acknowledged("0003"), "struck, killed 0003")
        self.assertEqual((self.killed, self.client.leader, self.events.armed), (["0003"], "FFFF", 0))
        self.assertIsNone(self.events.acknowledged("0000"))
        self.assertEqual(self.killed, ["0003"])

    def test_each_armed_kill_ends_one_replica(self) -> None:
        for _ in range(2):
            self.events.begin(event("kill_leader_on_ack"))
        for replica in ("0003", "0001", "0000"):
            self.events.acknowledged(replica)
        self.assertEqual(self.killed, ["0003", "0001"])

    def test_restart_takes_its_replicas_down_and_its_end_starts_them(self) -> None:
        self.network.hear("0000", "0002")
        for type, victims, leader in (
            ("restart_non_leader", 1, "0002"), ("restart_leader", 1, "FFFF"), ("restart_all", 5, "FFFF"),
        ):
            with self.subTest(type):
                self.client.leader = "0002"
                self.processes.started.clear()
                restart = event(type)
                said = self.events.begin(restart)
                down = list(self.network.down)
                self.assertEqual(said, f"killed {' '.join(down)}, down for 2 s")
                self.assertEqual((len(down), len(self.network.living)), (victims, 5 - victims))
                self.assertEqual("0002" in down, type != "restart_non_leader")
                self.assertEqual(self.client.leader, leader)
                self.assertEqual(self.events.end(restart), f"started {' '.join(down)} again")
                self.assertEqual((self.processes.started, self.network.living), (down, FIVE))

    def test_restarts_of_one_moment_take_different_replicas(self) -> None:
        self.network.hear("0000", "0002")
        restarts = [event("restart_non_leader") for _ in range(5)]
        said = [self.events.begin(restart) for restart in restarts]
        self.assertEqual(sorted(self.network.down), ["0000", "0001", "0003", "0004"])
        self.assertEqual(said[-1], "no replica left to restart")
        self.assertIsNone(self.events.end(restarts[-1]))
        for restart in restarts[:4]:
            self.events.end(restart)
        self.assertEqual(self.network.living, FIVE)

    def test_restart_spares_the_killed_and_a_leader_that_is_down(self) -> None:
        self.network.hear("0000", "0002")
        self.events.begin(event("kill_leader"))
        self.assertEqual(self.events.begin(event("restart_leader")), "no replica restarted, the leader is 0002")
        restart = event("restart_all")
        self.events.begin(restart)
        self.assertEqual(self.network.reachable, ["0000", "0001", "0003", "0004"])
        self.assertEqual(self.events.begin(event("restart_all")), "no replica left to restart")
        self.events.end(restart)
        self.assertEqual(self.network.living, ["0000", "0001", "0003", "0004"])

    def test_pause_stops_one_replica_that_is_not_paused_yet(self) -> None:
        self.network.hear("0000", "0002")
        self.assertEqual(self.events.begin(pause := event("pause_leader")), "paused 0002 for 2 s")
        self.assertEqual(
            self.events.begin(again := event("pause_leader")), "no replica paused, the leader 0002 is paused already"
        )
        self.assertIsNone(self.events.end(again))
        self.assertEqual(self.processes.paused, {"0002"})
        for _ in range(4):
            self.assertRegex(self.events.begin(event("pause_non_leader")), "paused 000[0134] for 2 s")
        self.assertEqual(self.events.begin(event("pause_non_leader")), "no replica left to pause")
        self.assertEqual(self.events.end(pause), "continued 0002")
        self.assertEqual(self.processes.paused, {"0000", "0001", "0003", "0004"})
        self.assertEqual(self.client.leader, "0002")

    def test_end_of_a_pause_says_nothing_if_the_replica_was_killed_meanwhile(self) -> None:
        self.network.hear("0000", "0002")
        self.events.begin(pause := event("pause_leader"))
        self.processes.paused.clear()
        self.assertIsNone(self.events.end(pause))

    def test_pause_of_an_unknown_leader_stops_no_replica(self) -> None:
        self.assertEqual(self.events.begin(event("pause_leader")), "no replica paused, the leader is FFFF")

    def test_isolated_replica_and_the_others_hear_nothing_of_each_other(self) -> None:
        self.network.hear("0000", "0002")
        self.assertEqual(self.events.begin(event("isolate_leader")), "isolated 0002")
        self.assertEqual(reached(self.network, "0002", "FFFF"), [])
        self.assertEqual(reached(self.network, "0000", "FFFF"), ["0001", "0003", "0004"])
        self.assertEqual(self.client.leader, "0002")
        self.assertEqual(self.events.begin(event("heal")), "healed")
        self.assertEqual(len(reached(self.network, "0002", "FFFF")), 4)
        isolated = {self.events.begin(event("isolate_random")) for _ in range(50)}
        self.assertEqual(isolated, {f"isolated {replica}" for replica in FIVE})

    def test_unknown_leader_is_not_isolated(self) -> None:
        self.assertEqual(self.events.begin(event("isolate_leader")), "no replica isolated, the leader is FFFF")
        self.assertEqual(len(reached(self.network, "0002", "FFFF")), 4)

    def test_one_way_partition_lets_the_messages_of_the_majority_pass(self) -> None:
        self.events.begin(event("part_one_way"))
        majority = self.network.majority_side or frozenset()
        self.assertEqual(len(majority), 3)
        for sender in FIVE:
            heard = set(reached(self.network, sender, "FFFF"))
            self.assertEqual(heard, (set(FIVE) if sender in majority else set(FIVE) - majority) - {sender})

    def test_halves_of_a_bridge_share_one_replica(self) -> None:
        done = self.events.begin(event("part_bridge"))
        bridge = done[-4:]
        self.assertRegex(done, r"^\w{4} \w{4} and \w{4} \w{4} hear each other only through \w{4}$")
        self.assertEqual(len(reached(self.network, bridge, "FFFF")), 4)
        for sender in set(FIVE) - {bridge}:
            self.assertEqual(len(reached(self.network, sender, "FFFF")), 2)
            self.assertIn(bridge, reached(self.network, sender, "FFFF"))
        self.assertTrue(self.network.has_quorum)

    def test_partition_replaces_the_one_before(self) -> None:
        for type in ("part_bridge", "part_one_way", "isolate_random", "part_easy"):
            self.events.begin(event(type))
        lost = [(s, t) for s in FIVE for t in FIVE if s != t and t not in reached(self.network, s, "FFFF")]
        self.assertEqual(len(lost), 2 * 3 * 2)

    def test_only_a_hard_partition_makes_clients_forget_the_leader(self) -> None:
        self.events.begin(event("part_easy"))
        self.assertEqual(self.client.leader, "0002")
        self.events.begin(event("part_hard"))
        self.assertEqual(self.client.leader, "FFFF")
        self.events.begin(event("part_end"))
        self.assertIsNone(self.network.majority_side)
