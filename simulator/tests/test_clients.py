"""What clients ask, whom they ask, and how they judge the answers."""

import unittest
import unittest.mock
from random import Random
from typing import Any

from simulator import messages
from simulator.clients import Clients
from simulator.messages import Malformed
from simulator.network import Network
from simulator.tests.support import small_scenario
from simulator.workload import CLIENTS, Intent, plan

CLIENT = "0013"


def intent(get: bool = False, own: bool = False, choice: float = 0.0, key: str = "k",
           value: str = "v") -> Intent:
    return Intent(0.0, 0, get, own, choice, key, value)


class Plan(unittest.TestCase):
    def test_requests_are_spread_evenly_between_the_waits(self) -> None:
        times = [i.time for i in plan(small_scenario(requests=6), Random(1))]
        self.assertEqual(times, [1.0, 1.5, 2.0, 2.5, 3.0, 3.5])

    def test_no_requests(self) -> None:
        self.assertEqual(plan(small_scenario(requests=0), Random(1)), [])

    def test_shares_follow_the_scenario(self) -> None:
        intents = plan(small_scenario(requests=10_000, mix=0.2), Random(1))
        self.assertAlmostEqual(sum(i.wants_get for i in intents) / 10_000, 0.2, delta=0.02)
        self.assertAlmostEqual(sum(i.wants_own_key for i in intents) / 10_000, 0.5, delta=0.02)
        self.assertEqual({i.client for i in intents}, set(range(CLIENTS)))
        self.assertEqual(len({i.new_key for i in intents}), 10_000)
        self.assertTrue(all(len(i.new_key) == len(i.value) == 32 for i in intents))

    def test_the_seed_decides_everything(self) -> None:
        scenario = small_scenario()
        self.assertEqual(plan(scenario, Random(5)), plan(scenario, Random(5)))
        self.assertNotEqual(plan(scenario, Random(5)), plan(scenario, Random(6)))


class ClientCase(unittest.TestCase):
    def setUp(self) -> None:
        self.network = Network(["0000", "0001", "0002"], 0, Random(1))
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.complaints: list[str] = []
        self.now = 0.0
        self.clients = Clients(
            [CLIENT, "0014"], self.network, Random(1),
            lambda replica, raw: self.sent.append((replica, messages.decode(raw))),
            lambda: self.now, self.complaints.append,
        )

    def answer(self, type: str = "ok", leader: str = "0001", mid: str | None = None,
               client: str = CLIENT, **more: Any) -> None:
        message = {"src": "0001", "dst": client, "leader": leader, "type": type,
                   "MID": self.sent[-1][1]["MID"] if mid is None else mid, **more}
        self.clients.receive(message, self.now)

    def put(self, key: str = "k", value: str = "v") -> None:
        self.clients.start(intent(key=key, value=value))
        self.answer()


class Asking(ClientCase):
    def test_a_request_has_all_fields(self) -> None:
        self.clients.start(intent())
        ((target, message),) = self.sent
        self.assertIn(target, self.network.living)
        self.assertEqual(message, {
            "src": CLIENT, "dst": target, "leader": "FFFF", "type": "put",
            "MID": message["MID"], "key": "k", "value": "v",
        })

    def test_without_an_acknowledged_key_a_get_becomes_a_put(self) -> None:
        self.clients.start(intent(get=True, key="a"))
        self.clients.start(intent(get=True, key="b"))
        self.assertEqual([m["type"] for _, m in self.sent], ["put", "put"])
        self.assertEqual(self.clients.gets_not_generated, 2)
        self.assertEqual((self.clients.generated.get, self.clients.generated.put), (0, 2))

    def test_a_get_asks_for_the_chosen_acknowledged_key(self) -> None:
        for key in ("a", "b", "c"):
            self.put(key)
        for choice, key in ((0.0, "a"), (0.5, "b"), (0.99, "c")):
            self.clients.start(intent(get=True, choice=choice))
            self.assertEqual(self.sent[-1][1]["key"], key)
            self.assertNotIn("value", self.sent[-1][1])

    def test_a_put_avoids_keys_with_a_put_in_flight(self) -> None:
        self.put("a")
        self.put("b")
        keys = []
        for number in range(3):
            self.clients.start(intent(own=True, choice=0.5, key=f"new{number}"))
            keys.append(self.sent[-1][1]["key"])
        self.assertEqual(keys, ["b", "a", "new2"])

    def test_a_get_may_be_sent_while_a_put_to_its_key_is_in_flight(self) -> None:
        self.put("a")
        self.clients.start(intent(own=True))
        self.clients.start(intent(get=True))
        self.assertEqual([m["key"] for _, m in self.sent], ["a", "a", "a"])

    def test_the_leader_of_the_last_response_is_asked(self) -> None:
        for leader in ("0001", "0002", "0000"):
            self.clients.start(intent(key=leader))
            self.answer(leader=leader)
            self.clients.start(intent(key=leader + "b"))
            self.assertEqual((self.sent[-1][0], self.sent[-1][1]["leader"]), (leader, leader))

    def test_a_dead_or_unknown_leader_is_replaced_by_a_random_living_replica(self) -> None:
        self.network.remove("0002")
        for leader in ("0002", "FFFF", "ABCD"):
            asked = set()
            for number in range(30):
                self.clients.start(intent(key=f"{leader}{number}"))
                self.answer(leader=leader)
                self.clients.start(intent(key=f"{leader}{number}b"))
                asked.add(self.sent[-1][0])
            self.assertEqual(asked, {"0000", "0001"})

    def test_clients_do_not_share_keys_or_leaders(self) -> None:
        self.put("a")
        self.clients.start(Intent(0.0, 1, True, True, 0.0, "mine", "v"))
        _, message = self.sent[-1]
        self.assertEqual((message["src"], message["type"], message["key"], message["leader"]),
                         ("0014", "put", "mine", "FFFF"))

    def test_with_everybody_dead_a_request_stays_unanswered(self) -> None:
        for replica in list(self.network.living):
            self.network.remove(replica)
        self.clients.start(intent())
        self.assertEqual((self.sent, self.clients.generated.put), ([], 1))


class Judging(ClientCase):
    def test_a_redirect_is_sent_again_with_a_new_mid_and_is_no_failure(self) -> None:
        self.clients.start(intent())
        self.answer("redirect", leader="0002")
        first, again = (message for _, message in self.sent)
        self.assertEqual(self.sent[-1][0], "0002")
        self.assertNotEqual(first["MID"], again["MID"])
        self.assertEqual((first["key"], first["value"]), (again["key"], again["value"]))
        self.assertEqual((self.clients.redirects, self.clients.failures.total), (1, 0))
        self.assertEqual(self.clients.generated.total, 1)

    def test_a_fail_is_sent_again_with_a_new_mid_and_counts(self) -> None:
        self.clients.start(intent())
        self.answer("fail")
        self.assertEqual(len({message["MID"] for _, message in self.sent}), 2)
        self.assertEqual((self.clients.failures.put, self.clients.redirects), (1, 0))

    def test_latency_is_measured_per_request_over_all_responses(self) -> None:
        self.clients.start(intent())
        self.now = 0.25
        self.answer("redirect")
        self.now = 1.25
        self.answer()
        self.assertEqual(self.clients.latencies, [0.25, 1.0])

    def test_a_get_must_have_the_value_acknowledged_when_its_answer_arrives(self) -> None:
        self.put(value="old")
        self.clients.start(intent(get=True))
        get = self.sent[-1][1]["MID"]
        self.clients.start(intent(own=True, value="new"))
        self.answer()
        self.answer(mid=get, value="old")
        self.assertEqual(self.clients.incorrect_gets, 1)
        self.assertIn("'old' instead of 'new'", self.complaints[0])

    def test_a_put_in_flight_does_not_change_what_a_get_must_answer(self) -> None:
        self.put(value="old")
        self.clients.start(intent(own=True, value="new"))
        self.clients.start(intent(get=True))
        self.answer(value="old")
        self.assertEqual((self.clients.incorrect_gets, self.complaints), (0, []))

    def test_a_second_answer_is_a_duplicate_and_no_answer(self) -> None:
        self.put()
        for type in ("ok", "fail", "redirect"):
            self.answer(type)
        self.assertEqual((self.clients.duplicates, self.clients.answered.put), (3, 1))
        self.assertEqual(len(self.sent), 1)
        self.assertEqual(len(self.clients.latencies), 1)
        self.assertEqual(self.clients.unexpected, 0)

    def test_an_answer_to_a_mid_that_was_redirected_is_unexpected(self) -> None:
        self.clients.start(intent())
        first = self.sent[0][1]["MID"]
        self.answer("redirect")
        self.answer(mid=first)
        self.assertEqual((self.clients.unexpected, self.clients.duplicates), (1, 0))
        self.assertIn("already answered with redirect", self.complaints[0])

    def test_an_answer_to_an_unknown_mid_or_to_the_wrong_client_is_unexpected(self) -> None:
        self.clients.start(intent())
        self.answer(mid="invented")
        self.answer(client="0014")
        self.assertEqual((self.clients.unexpected, self.clients.answered.put), (2, 0))

    def test_malformed_responses(self) -> None:
        self.put()
        self.clients.start(intent(get=True))
        for type, more in (("hm", {}), ("ok", {"MID": 5}), ("ok", {}), ("ok", {"value": 5})):
            with self.subTest(type, **more), self.assertRaises(Malformed):
                self.clients.receive(
                    {"src": "0001", "dst": CLIENT, "leader": "0001", "type": type,
                     "MID": self.sent[-1][1]["MID"], **more}, 0.0)
        self.assertEqual(self.clients.answered.get, 0)


class Parsing(unittest.TestCase):
    def test_what_is_malformed(self) -> None:
        good = {"src": "0000", "dst": "FFFF", "leader": "00AB", "type": "append"}
        self.assertEqual(messages.parse(messages.encode(good) + b"\n"), good)
        bad: list[Any] = [[], "text", 5, None]
        bad += [{k: v for k, v in good.items() if k != key} for key in good]
        bad += [good | {"src": value} for value in ("000", "00000", "00ab", 0, None, "000\n")]
        bad += [good | {"type": 5}]
        raws = [messages.encode(message) for message in bad]
        raws += [b"", b"{", b"\xff", b"[" * 10_000, b'{"src": NaN}', messages.encode(good)[:-1]]
        for decode in (messages.decode, messages._standard_decode):
            with unittest.mock.patch.object(messages, "decode", decode):
                for raw in raws:
                    with self.subTest(raw), self.assertRaises(Malformed):
                        messages.parse(raw)

    def test_an_excerpt_is_short_and_printable(self) -> None:
        self.assertEqual(messages.excerpt(b"a\n\x1b\xff"), "a\\n\\x1b\\xff")
        self.assertEqual(messages.excerpt(b"a" * 500), "a" * 160 + "...")
