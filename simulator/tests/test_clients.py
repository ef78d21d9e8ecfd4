"""The requests of clients, their targets, and the clients' judgement of the answers."""

import itertools
import math
import unittest
import unittest.mock
from random import Random
from typing import Any

from simulator import messages
from simulator.causes import Circles, Packets
from simulator.chronicle import Chronicle
from simulator.clients import Clients, Rules
from simulator.config import Scenario
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

    def test_plan_without_requests_is_empty(self) -> None:
        self.assertEqual(plan(small_scenario(requests=0), Random(1)), [])

    def test_shares_of_gets_and_rewrites_follow_the_scenario(self) -> None:
        intents = plan(small_scenario(requests=10_000, mix=0.2), Random(1))
        self.assertAlmostEqual(sum(i.wants_get for i in intents) / 10_000, 0.2, delta=0.02)
        self.assertAlmostEqual(sum(i.wants_own_key for i in intents) / 10_000, 0.5, delta=0.02)
        self.assertEqual({i.client for i in intents}, set(range(CLIENTS)))
        self.assertEqual(len({i.new_key for i in intents}), 10_000)
        self.assertTrue(all(len(i.new_key) == len(i.value) == 32 for i in intents))

    def test_shares_of_operations_divide_the_writes(self) -> None:
        shares = {"cas": 0.1, "increment": 0.2, "append": 0.3, "delete": 0.15}
        intents = plan(small_scenario(requests=10_000, operations=shares), Random(1))
        for write, share in (*shares.items(), ("put", 0.25)):
            self.assertAlmostEqual(sum(i.write == write for i in intents) / 10_000, share, delta=0.02)
        whole = plan(small_scenario(requests=100, operations={"delete": 1}), Random(1))
        self.assertEqual({i.write for i in whole}, {"delete"})

    def test_scenario_without_operations_keeps_its_requests(self) -> None:
        self.assertEqual(plan(small_scenario(requests=6), Random(1))[1], Intent(
            1.5, 3, True, True, 0.8357651039198697, "c4647159c324c9859b810e766ec9d286",
            "442e3d437204e52db2221a58008a05a6", "put",
        ))

    def test_values_are_as_long_as_the_scenario_says_and_differ_all(self) -> None:
        short = [intent.value for intent in plan(small_scenario(), Random(1))]
        for length in (32, 33, 4096):
            values = [intent.value for intent in plan(small_scenario(value_bytes=length), Random(1))]
            self.assertEqual({len(value) for value in values}, {length})
            self.assertEqual([value[:32] for value in values], short)
        self.assertEqual(len(set(short)), len(short))

    def test_seed_decides_everything(self) -> None:
        scenario = small_scenario()
        self.assertEqual(plan(scenario, Random(5)), plan(scenario, Random(5)))
        self.assertNotEqual(plan(scenario, Random(5)), plan(scenario, Random(6)))


class ClientCase(unittest.TestCase):
    rules = Rules()

    def setUp(self) -> None:
        self.network = Network(["0000", "0001", "0002"], 0, Random(1), 0, Random(2))
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.complaints: list[str] = []
        self.notices: list[str] = []
        self.acknowledged: list[tuple[str, int]] = []
        self.now = 0.0
        self.chronicle = Chronicle()
        self.clients = Clients(
            [CLIENT, "0014"], self.rules, self.network, Random(1),
            lambda replica, raw: self.sent.append((replica, messages.decode(raw))),
            lambda: self.now, self.complain,
            lambda replica: self.acknowledged.append((replica, len(self.sent))), self.chronicle,
            self.notices.append,
        )

    def complain(self, kind: str, detail: str) -> None:
        self.complaints.append(f"{kind}: {detail}")

    def answer(self, type: str = "ok", leader: str = "0001", mid: str | None = None,
               client: str = CLIENT, **more: Any) -> None:
        message = {"src": "0001", "dst": client, "leader": leader, "type": type,
                   "MID": self.sent[-1][1]["MID"] if mid is None else mid, **more}
        self.clients.receive(message, self.now)

    def answer_another(self) -> None:
        self.clients.start(intent(key="another"))
        self.now += 1
        self.answer()

    def put(self, key: str = "k", value: str = "v") -> None:
        self.clients.start(intent(key=key, value=value))
        self.answer()


class Asking(ClientCase):
    def test_request_has_all_fields(self) -> None:
        self.clients.start(intent())
        ((target, message),) = self.sent
        self.assertIn(target, self.network.living)
        self.assertEqual(message, {
            "src": CLIENT, "dst": target, "leader": "FFFF", "type": "put",
            "MID": message["MID"], "key": "k", "value": "v",
        })

    def test_get_becomes_a_put_without_an_acknowledged_key(self) -> None:
        self.clients.start(intent(get=True, key="a"))
        self.clients.start(intent(get=True, key="b"))
        self.assertEqual([m["type"] for _, m in self.sent], ["put", "put"])
        self.assertEqual(self.clients.gets_not_generated, 2)
        self.assertEqual((self.clients.generated.get, self.clients.generated.put), (0, 2))

    def test_get_asks_for_the_chosen_acknowledged_key(self) -> None:
        for key in ("a", "b", "c"):
            self.put(key)
        for choice, key in ((0.0, "a"), (0.5, "b"), (0.99, "c")):
            self.clients.start(intent(get=True, choice=choice))
            self.assertEqual(self.sent[-1][1]["key"], key)
            self.assertNotIn("value", self.sent[-1][1])

    def test_put_avoids_keys_with_a_put_in_flight(self) -> None:
        self.put("a")
        self.put("b")
        keys = []
        for number in range(3):
            self.clients.start(intent(own=True, choice=0.5, key=f"new{number}"))
            keys.append(self.sent[-1][1]["key"])
        self.assertEqual(keys, ["b", "a", "new2"])

    def test_get_may_be_sent_while_a_put_to_its_key_is_in_flight(self) -> None:
        self.put("a")
        self.clients.start(intent(own=True))
        self.clients.start(intent(get=True))
        self.assertEqual([m["key"] for _, m in self.sent], ["a", "a", "a"])

    def test_leader_of_the_last_response_is_asked(self) -> None:
        for leader in ("0001", "0002", "0000"):
            self.clients.start(intent(key=leader))
            self.answer(leader=leader)
            self.clients.start(intent(key=leader + "b"))
            self.assertEqual((self.sent[-1][0], self.sent[-1][1]["leader"]), (leader, leader))

    def test_failover_lasts_from_the_kill_of_a_leader_to_the_first_ok_of_another_replica(self) -> None:
        for killed, failovers in (("0002", [0.25]), ("0001", [])):
            with self.subTest(killed=killed):
                self.setUp()
                self.put()
                self.clients.lose_leader(killed)
                self.now = 0.25
                self.clients.start(intent(key="other"))
                self.assertEqual(self.sent[-1][1]["leader"], "FFFF")
                self.answer("redirect")
                self.assertEqual(self.clients.failovers, [])
                self.answer()
                self.answer_another()
                self.assertEqual(self.clients.failovers, failovers)

    def test_dead_or_unknown_leader_is_replaced_by_a_random_living_replica(self) -> None:
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

    def test_request_stays_unanswered_when_every_replica_is_dead(self) -> None:
        for replica in list(self.network.living):
            self.network.remove(replica)
        self.clients.start(intent())
        self.assertEqual((self.sent, self.clients.generated.put), ([], 1))


class Withholding(ClientCase):
    """Replicas are to blame for some gets that clients cannot send, and not for others."""

    def get(self) -> int:
        self.clients.start(intent(get=True, key=f"get at {self.now}"))
        return self.clients.gets_withheld

    def test_client_that_has_put_nothing_blames_no_replica(self) -> None:
        self.now = 100
        self.assertEqual((self.get(), self.clients.gets_not_generated), (0, 1))

    def test_put_unanswered_for_a_second_blames_the_replicas(self) -> None:
        self.clients.start(intent())
        self.now = 0.99
        self.assertEqual(self.get(), 0)
        self.now = 1.0
        self.assertEqual(self.get(), 1)
        self.assertEqual(self.clients.gets_not_generated, 2)

    def test_declined_put_keeps_its_age(self) -> None:
        self.clients.start(intent())
        self.now = 0.9
        self.answer("redirect")
        self.now = 1.0
        self.assertEqual(self.get(), 1)

    def test_acknowledged_put_makes_gets_possible(self) -> None:
        self.put()
        self.now = 5
        self.assertEqual((self.get(), self.clients.gets_not_generated), (0, 0))

    def test_no_replica_is_to_blame_without_a_quorum(self) -> None:
        self.clients.start(intent())
        self.now = 5
        self.network.remove("0001")
        self.assertEqual(self.get(), 1)
        self.network.remove("0002")
        self.assertEqual(self.get(), 1)

    def test_lost_request_and_lost_answer_blame_no_replica(self) -> None:
        for fates in ((True, False), (False, True, False)):
            with self.subTest(fates):
                self.setUp()
                self.network.drops_client_message = unittest.mock.Mock(side_effect=fates)
                self.clients.start(intent())
                if len(fates) == 3:
                    self.answer()
                self.now = 5
                self.assertEqual(self.get(), 0)

    def course(self, scenario: Scenario, seed: int, silent_until: float) -> Clients:
        """All requests of a scenario, with a perfect replica that is silent until a time."""
        self.setUp()
        clients = Clients(
            [f"{number:04X}" for number in range(CLIENTS)], Rules(), self.network, Random(1),
            lambda replica, raw: self.sent.append((replica, messages.decode(raw))),
            lambda: self.now, self.complain, lambda replica: None, Chronicle(), self.notices.append,
        )
        for one in plan(scenario, Random(seed)):
            self.now = one.time
            clients.start(one)
            while self.sent and self.now >= silent_until:
                replica, request = self.sent.pop()
                clients.receive({"src": replica, "dst": request["src"], "leader": replica, "type": "ok",
                                 "MID": request["MID"], "value": ""}, self.now)
        return clients

    def test_perfect_replica_is_never_to_blame_and_silent_one_is(self) -> None:
        scenario = small_scenario(lifetime=30, requests=200, mix=0.2, end_wait=10)
        seeds_without_keys = 0
        for seed in range(100):
            clients = self.course(scenario, seed, silent_until=0)
            self.assertEqual(clients.gets_withheld, 0)
            seeds_without_keys += clients.gets_not_generated > 0.1 * clients.generated.get
            clients = self.course(scenario, seed, silent_until=12)
            self.assertGreater(clients.gets_withheld, 0.1 * clients.generated.get)
        self.assertGreater(seeds_without_keys, 0)


class Judging(ClientCase):
    def test_redirect_is_sent_again_with_a_new_mid_and_is_no_failure(self) -> None:
        self.clients.start(intent())
        self.answer("redirect", leader="0002")
        first, again = (message for _, message in self.sent)
        self.assertEqual(self.sent[-1][0], "0002")
        self.assertNotEqual(first["MID"], again["MID"])
        self.assertEqual((first["key"], first["value"]), (again["key"], again["value"]))
        self.assertEqual((self.clients.redirects, self.clients.failures.total), (1, 0))
        self.assertEqual(self.clients.generated.total, 1)

    def test_retry_names_the_attempt_directly_before_it(self) -> None:
        self.clients.start(intent())
        for decline in ("redirect", "fail"):
            self.answer(decline)
        mids = [message["MID"] for _, message in self.sent]
        retry_of = [self.clients.requests[mid].retry_of for mid in mids]
        self.assertEqual(retry_of, [None, *mids[:-1]])

    def test_fail_is_sent_again_with_a_new_mid_and_counts(self) -> None:
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

    def test_get_overtaken_by_an_acknowledgement_is_counted_and_correct(self) -> None:
        self.put(value="old")
        self.clients.start(intent(get=True))
        get = self.sent[-1][1]["MID"]
        self.clients.start(intent(own=True, value="new"))
        self.answer()
        self.answer(mid=get, value="old")
        self.assertEqual((self.clients.incorrect_gets, self.clients.overtaken_gets), (0, 1))

    def test_get_sent_after_an_acknowledgement_has_no_older_value(self) -> None:
        self.put(value="old")
        self.clients.start(intent(own=True, value="new"))
        self.answer()
        self.clients.start(intent(get=True))
        self.answer(value="old")
        self.assertEqual((self.clients.incorrect_gets, self.clients.overtaken_gets), (1, 0))
        self.assertIn("'old' instead of 'new'", self.complaints[0])

    def test_put_in_flight_does_not_change_what_a_get_must_answer(self) -> None:
        self.put(value="old")
        self.clients.start(intent(own=True, value="new"))
        self.clients.start(intent(get=True))
        self.answer(value="old")
        self.assertEqual((self.clients.incorrect_gets, self.complaints), (0, []))

    def test_second_answer_is_a_duplicate_and_no_answer(self) -> None:
        self.put()
        for type in ("ok", "fail", "redirect"):
            self.answer(type)
        self.assertEqual((self.clients.duplicates, self.clients.answered.put), (3, 1))
        self.assertEqual(len(self.sent), 1)
        self.assertEqual(len(self.clients.latencies), 1)
        self.assertEqual(self.clients.unexpected, 0)

    def test_answer_to_a_mid_that_was_redirected_is_unexpected(self) -> None:
        self.clients.start(intent())
        first = self.sent[0][1]["MID"]
        self.answer("redirect")
        self.answer(mid=first)
        self.assertEqual((self.clients.unexpected, self.clients.duplicates), (1, 0))
        self.assertIn("already answered with redirect", self.complaints[0])

    def test_answer_to_an_unknown_mid_or_to_the_wrong_client_is_unexpected(self) -> None:
        self.clients.start(intent())
        self.answer(mid="invented")
        self.answer(client="0014")
        self.assertEqual((self.clients.unexpected, self.clients.answered.put), (2, 0))

    def test_malformed_response_is_refused(self) -> None:
        self.put()
        self.clients.start(intent(get=True))
        for type, more in (("hm", {}), ("ok", {"MID": 5}), ("ok", {}), ("ok", {"value": 5})):
            with self.subTest(type, **more), self.assertRaises(Malformed):
                self.clients.receive(
                    {"src": "0001", "dst": CLIENT, "leader": "0001", "type": type,
                     "MID": self.sent[-1][1]["MID"], **more}, 0.0)
        self.assertEqual(self.clients.answered.get, 0)


class Uncertainty(ClientCase):
    """The answers to a get that are correct although they are not the latest acknowledged value."""

    rules = Rules(timeout=1.0)

    def read(self, value: str) -> int:
        """Answer a get that is sent now; returns the number of incorrect gets so far."""
        self.clients.start(intent(get=True))
        self.answer(value=value)
        return self.clients.incorrect_gets

    def wait(self) -> None:
        self.now += 1
        self.clients.resend()

    def test_put_without_acknowledgement_may_have_taken_effect(self) -> None:
        self.put(value="old")
        self.clients.start(intent(own=True, value="new"))
        self.assertEqual(self.read("new"), 0)
        self.assertEqual(self.read("old"), 0)
        self.assertEqual(self.read(""), 1)

    def test_acknowledged_put_has_taken_effect(self) -> None:
        for value in ("old", "new"):
            self.clients.start(intent(own=True, value=value))
            self.answer()
        self.assertEqual(self.read("old"), 1)

    def test_put_that_was_sent_once_and_declined_is_gone_once_its_retry_is_acknowledged(self) -> None:
        self.clients.start(intent(value="old"))
        self.answer("redirect")
        self.answer()
        self.clients.start(intent(own=True, value="new"))
        self.answer()
        self.assertEqual(self.read("old"), 1)

    def test_put_that_was_sent_twice_and_declined_once_may_take_effect_later(self) -> None:
        for decline in ("redirect", "fail"):
            with self.subTest(decline):
                self.setUp()
                self.clients.start(intent(value="old"))
                self.wait()
                self.answer(decline)
                self.assertIsNone(self.clients.requests[self.sent[-1][1]["MID"]].retry_of)
                self.answer()
                self.clients.start(intent(own=True, value="new"))
                self.answer()
                self.assertEqual(self.read("old"), 0)
                self.assertEqual(self.read(""), 1)

    def test_put_that_was_sent_twice_and_acknowledged_takes_effect_once(self) -> None:
        self.clients.start(intent(value="old"))
        self.wait()
        self.answer()
        self.clients.start(intent(own=True, value="new"))
        self.answer()
        self.assertEqual(self.read("old"), 1)

    def test_get_that_was_sent_twice_may_bring_the_answer_to_the_first_sending(self) -> None:
        for value, incorrect in (("0", 1), ("1", 0), ("2", 0), ("3", 0), ("4", 1)):
            with self.subTest(value):
                self.setUp()
                for number in range(2):
                    self.clients.start(intent(own=True, value=str(number)))
                    self.answer()
                self.clients.start(intent(get=True))
                get = self.sent[-1][1]["MID"]
                self.wait()
                for number in range(2, 4):
                    self.clients.start(intent(own=True, value=str(number)))
                    self.answer()
                self.answer(mid=get, value=value)
                self.assertEqual(self.clients.incorrect_gets, incorrect)


class AskingAgain(ClientCase):
    rules = Rules(timeout=0.5)

    def at(self, now: float) -> int:
        """Set the clock to `now`; returns how many messages were sent by then."""
        self.now = now
        self.clients.resend()
        return len(self.sent)

    def test_same_request_goes_to_another_replica_until_it_is_answered(self) -> None:
        self.clients.start(intent())
        self.assertEqual([self.at(t) for t in (0.4, 0.5, 0.9, 1.0, 1.5)], [1, 2, 2, 3, 4])
        self.answer()
        self.assertEqual(self.at(9), 4)
        self.assertEqual([m | {"dst": ""} for _, m in self.sent], [self.sent[0][1] | {"dst": ""}] * 4)
        self.assertEqual((self.clients.sent_again, self.clients.generated.put, len(self.clients.requests)),
                         (3, 1, 1))

    def test_every_other_living_replica_is_asked_now_and_then(self) -> None:
        self.network.remove("0001")
        self.clients.start(intent())
        for number in range(1, 50):
            self.at(number)
        targets = [target for target, _ in self.sent]
        self.assertEqual(set(targets[1:]), {"0000", "0002"})
        self.assertTrue(all(one != next for one, next in itertools.pairwise(targets)), targets)

    def test_only_living_replica_is_asked_again(self) -> None:
        self.network.remove("0001")
        self.network.remove("0002")
        self.clients.start(intent())
        self.assertEqual(self.at(0.5), 2)
        self.network.remove("0000")
        self.assertEqual(self.at(1), 2)
        self.assertEqual(self.clients.next_resend(), math.inf)

    def test_client_forgets_the_leader_after_a_time_out(self) -> None:
        self.put()
        self.clients.start(intent(own=True))
        self.assertEqual(self.sent[-1][1]["leader"], "0001")
        self.at(0.5)
        self.assertEqual(self.sent[-1][1]["leader"], "FFFF")
        self.assertNotEqual(self.sent[-1][0], "0001")

    def test_next_time_out_is_that_of_the_oldest_unanswered_request(self) -> None:
        self.assertEqual(self.clients.next_resend(), math.inf)
        for number in range(3):
            self.now = number / 8
            self.clients.start(intent(key=str(number)))
        self.assertEqual(self.clients.next_resend(), 0.5)
        self.answer(mid=self.sent[0][1]["MID"])
        self.assertEqual(self.clients.next_resend(), 0.625)
        self.at(0.625)
        self.assertEqual(self.clients.next_resend(), 0.75)

    def test_declined_request_goes_on_under_its_new_mid(self) -> None:
        self.clients.start(intent())
        self.now = 0.25
        self.answer("redirect")
        self.assertEqual(self.at(0.5), 2)
        self.assertEqual(self.at(0.75), 3)
        self.assertEqual(self.sent[1][1]["MID"], self.sent[2][1]["MID"])

    def test_each_sending_may_be_answered_once(self) -> None:
        for first, counted in (("ok", (1, 0)), ("redirect", (0, 1)), ("fail", (0, 1))):
            with self.subTest(first):
                self.setUp()
                self.clients.start(intent())
                self.at(0.5)
                self.at(1)
                mid = self.sent[0][1]["MID"]
                self.answer(first, mid=mid)
                sent = len(self.sent)
                self.answer("redirect", mid=mid)
                self.answer("ok", mid=mid)
                self.assertEqual((self.clients.duplicates, self.clients.unexpected), (0, 0))
                self.answer("ok", mid=mid)
                self.assertEqual((self.clients.duplicates, self.clients.unexpected), counted)
                self.assertEqual(self.clients.requests[mid].outcome, first)
                self.assertEqual((len(self.sent), len(self.clients.latencies)), (sent, 1))

    def test_malformed_answer_leaves_the_request_open(self) -> None:
        self.put()
        self.clients.start(intent(get=True))
        self.at(0.5)
        with self.assertRaises(Malformed):
            self.answer()
        self.answer(value="v")
        self.assertEqual(self.clients.answered.get, 1)

    def test_latency_counts_from_the_first_sending(self) -> None:
        self.clients.start(intent())
        self.at(0.5)
        self.now = 0.75
        self.answer()
        self.assertEqual(self.clients.latencies, [0.75])
        (request,) = self.clients.requests.values()
        self.assertEqual((request.invoked, request.returned), (0, 0.75))

    def test_clients_without_time_out_ask_once(self) -> None:
        self.rules = Rules()
        self.setUp()
        self.clients.start(intent())
        self.assertEqual((self.at(1000), self.clients.next_resend()), (1, math.inf))


class Circling(ClientCase):
    """Three replicas: the third decline of a request is the last in good faith."""

    def decline(self, times: int, type: str = "redirect", leader: str = "0002") -> list[float]:
        """Decline each attempt as soon as it is sent; returns the pauses before the next ones."""
        pauses = []
        for _ in range(times):
            self.answer(type, leader=leader)
            due = self.clients.next_resend()
            pauses.append(0.0 if due == math.inf else due - self.now)
            if due < math.inf:
                sent = len(self.sent)
                self.clients.resend()
                self.assertEqual(len(self.sent), sent)
                self.now = due
                self.clients.resend()
                self.assertEqual(len(self.sent), sent + 1)
        return pauses

    def test_client_in_a_circle_waits_a_little_longer_each_time(self) -> None:
        self.clients.start(intent())
        pauses = self.decline(12)
        self.assertEqual(pauses[:3], [0, 0, 0])
        self.assertAlmostEqual(pauses[3], 0.004)
        self.assertTrue(all(a < b for a, b in itertools.pairwise(pauses[3:10])), pauses)
        self.assertAlmostEqual(pauses[-1], 0.05)
        self.assertEqual((self.clients.redirects, self.clients.generated.put), (12, 1))

    def test_requests_of_a_circle_are_repeated_one_at_a_time(self) -> None:
        for number in range(3):
            self.clients.start(intent(key=str(number)))
            for _ in range(4):
                self.answer("redirect")
        keys = []
        for _ in range(6):
            self.now = self.clients.next_resend()
            self.clients.resend()
            keys.append(self.sent[-1][1]["key"])
            self.answer("redirect")
        self.assertEqual(keys, ["0", "1", "2"] * 2)

    def test_acknowledgement_ends_the_circle_for_all_requests_of_the_client(self) -> None:
        for number in range(3):
            self.clients.start(intent(key=str(number)))
            for _ in range(4):
                self.answer("redirect")
        declined = [message["MID"] for _, message in self.sent if message["key"] == "1"][-1]
        sent = len(self.sent)
        self.clients.start(intent(key="another"))
        self.answer(leader="0001")
        self.assertEqual([(t, m["key"]) for t, m in self.sent[sent + 1:]], [("0001", key) for key in "012"])
        self.assertEqual(self.clients.requests[self.sent[-2][1]["MID"]].retry_of, declined)
        # The next circle begins with the shortest pause, and has one timer only.
        self.answer("redirect")
        self.assertAlmostEqual(self.clients._by_id[CLIENT].due - self.now, 0.004)
        self.now += 1
        sent = len(self.sent)
        self.clients.resend()
        self.assertEqual(len(self.sent), sent + 1)

    def test_new_request_of_a_client_in_a_circle_is_sent_at_once(self) -> None:
        self.clients.start(intent())
        self.decline(9)
        self.clients.start(intent(key="another"))
        self.answer("redirect")
        self.assertEqual(self.sent[-1][1]["key"], "another")

    def test_attempts_of_a_circle_are_a_chain(self) -> None:
        self.clients.start(intent())
        self.decline(6)
        requests = list(self.clients.requests.values())
        self.assertEqual([r.attempt for r in requests], [1, 2, 3, 4, 5, 6, 7])
        self.assertEqual([r.retry_of for r in requests], [None, *(r.mid for r in requests[:-1])])

    def test_circle_says_which_answers_made_it(self) -> None:
        chronicle = Chronicle()
        chronicle.end("0000", "killed", 12.0014)
        circles = Circles(["0000", "0001", "0002"])
        circles.count(3, "redirect", "0001", "0000")
        self.assertEqual((circles.requests, circles.describe(chronicle)), (0, ""))
        for times, type, leader, said in (
            (2, "redirect", "0000", "2 redirects, all to 0000, killed at 12.001"),
            (2, "redirect", "ABCD", "4 redirects, 2 of them to 0000, killed at 12.001"),
            (3, "redirect", "FFFF", "7 redirects, 3 of them to FFFF, which is no leader"),
            (5, "redirect", "FFFF", "12 redirects, mostly to FFFF, which is no leader"),
            (2, "fail", "0000", "12 redirects, mostly to FFFF, which is no leader; 2 fails, all from 0001"),
        ):
            for number in range(times):
                circles.count(4 + number, type, "0001", leader)
            self.assertEqual(circles.describe(chronicle), said)
        self.assertEqual(circles.requests, 5)


class PacketKinds(unittest.TestCase):
    def test_storm_names_the_three_most_frequent_kinds(self) -> None:
        packets = Packets()
        for sender, type, count in (("0000", "append", 19_372), ("0001", "ack", 12), ("0002", "\x1b", 13), ("0001", "vote", 4)):
            packets.count(sender, type, count - 1)
            packets.count(sender, type, 1)
        self.assertEqual(
            packets.describe(), "19,372 append from 0000, 13 \\x1b from 0002, 12 ack from 0001, and 1 more kinds"
        )

    def test_invented_types_take_bounded_memory(self) -> None:
        packets = Packets()
        for number in range(10_000):
            packets.count("0000", str(number), 1)
        self.assertEqual(len(packets._counts), 201)
        self.assertIn("9,800 of other types from 0000", packets.describe())


class Losing(ClientCase):
    rules = Rules(timeout=0.5)

    def lose(self, *fates: bool) -> None:
        self.network.drops_client_message = unittest.mock.Mock(side_effect=fates)

    def test_lost_request_is_sent_as_far_as_its_client_knows(self) -> None:
        self.lose(True, False, False, False)
        self.clients.start(intent())
        self.assertEqual((self.sent, len(self.clients.requests)), ([], 1))
        self.now = 0.5
        self.clients.resend()
        self.assertEqual(len(self.sent), 1)
        self.answer()
        self.answer()
        self.assertEqual((self.clients.answered.put, self.clients.duplicates), (1, 0))

    def test_lost_response_is_not_judged_and_teaches_nothing(self) -> None:
        self.lose(False, True, True)
        self.clients.start(intent())
        self.answer()
        self.answer(mid="invented")
        (request,) = self.clients.requests.values()
        self.assertEqual((request.outcome, request.responses, self.clients.unexpected), ("unknown", 0, 0))
        self.assertEqual((self.clients._by_id[CLIENT].leader, self.acknowledged), ("FFFF", []))


class ReadingBack(ClientCase):
    rules = Rules(read_back=True)

    def test_every_acknowledged_put_is_read_back_from_another_replica(self) -> None:
        asked = set()
        for number in range(30):
            self.put(key=str(number))
            target, message = self.sent[-1]
            asked.add(target)
            self.assertEqual((message["src"], message["type"], message["key"]), (CLIENT, "get", str(number)))
            self.answer(value="v")
        self.assertEqual(asked, {"0000", "0002"})
        self.assertEqual((self.clients.generated.get, self.clients.answered.get), (30, 30))

    def test_value_read_back_is_judged(self) -> None:
        self.put()
        self.answer(value="")
        self.assertEqual(self.clients.incorrect_gets, 1)

    def test_redirected_read_goes_where_it_is_sent(self) -> None:
        self.put()
        self.answer("redirect", leader="0001")
        self.assertEqual((self.sent[-1][0], self.sent[-1][1]["type"]), ("0001", "get"))
        self.assertEqual(self.clients.generated.get, 1)

    def test_only_an_acknowledgement_is_read_back(self) -> None:
        self.clients.start(intent())
        for decline in ("redirect", "fail"):
            self.answer(decline)
        self.assertEqual({message["type"] for _, message in self.sent}, {"put"})

    def test_put_is_not_read_back_when_no_other_replica_lives(self) -> None:
        self.network.remove("0000")
        self.network.remove("0002")
        self.put()
        self.assertEqual((len(self.sent), self.clients.generated.get), (1, 0))

    def test_replica_is_told_of_before_its_put_is_read_back(self) -> None:
        self.put()
        self.assertEqual(self.acknowledged, [("0001", 1)])
        self.answer(value="v")
        self.assertEqual(len(self.acknowledged), 1)


class SharedKeys(ClientCase):
    rules = Rules(shared_keys=4)

    def keys(self, get: bool) -> list[str]:
        self.sent.clear()
        for client in (0, 1):
            for choice in (0.0, 0.3, 0.6, 0.99):
                self.clients.start(Intent(0.0, client, get, False, choice, "own", f"{client} {choice}"))
        self.assertEqual({message["type"] for _, message in self.sent}, {"get" if get else "put"})
        return [message["key"] for _, message in self.sent]

    def test_all_clients_put_and_get_the_same_keys(self) -> None:
        keys = self.keys(get=False)
        self.assertEqual(keys[:4], keys[4:])
        self.assertEqual(len(set(keys)), 4)
        self.assertNotIn("own", keys)
        self.assertEqual(self.keys(get=True), keys)

    def test_get_can_always_be_generated(self) -> None:
        self.keys(get=True)
        self.assertEqual((self.clients.gets_not_generated, self.clients.generated.get), (0, 8))

    def test_key_may_have_many_puts_in_flight(self) -> None:
        self.keys(get=False)
        self.keys(get=False)
        self.assertEqual(self.clients.generated.put, 16)

    def test_no_client_judges_a_value(self) -> None:
        self.put()
        self.clients.start(intent(get=True))
        self.answer(value="of somebody else")
        self.assertEqual((self.clients.incorrect_gets, self.clients.answered.get), (0, 1))


class Parsing(unittest.TestCase):
    def test_malformed_message_is_refused_with_the_broken_rule(self) -> None:
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

    def test_excerpt_is_short_and_printable(self) -> None:
        self.assertEqual(messages.excerpt(b"a\n\x1b\xff"), "a\\n\\x1b\\xff")
        self.assertEqual(messages.excerpt(b"a" * 500), "a" * 160 + "...")
