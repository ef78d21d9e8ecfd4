"""The operations beside get and put: the requests of clients, and the meaning of the answers."""

import pickle
import unittest
from typing import Any
from unittest import mock

from simulator import operations
from simulator.clients import Rules
from simulator.messages import Malformed
from simulator.operations import Operations, answer_of
from simulator.tests.support import small_scenario
from simulator.tests.test_clients import CLIENT, ClientCase
from simulator.tests.virtual import VirtualRun
from simulator.workload import Intent

SHARES = {"cas": 0.25, "increment": 0.25, "append": 0.125, "delete": 0.125}
VALUE = f"{0xABCD_0123_4567:032x}"


def shares(**given: float) -> dict[str, float]:
    return dict.fromkeys(SHARES, 0.0) | given


def intent(write: str, choice: float = 0.0, value: str = VALUE, client: int = 0, own: bool = False) -> Intent:
    return Intent(0.0, client, write == "get", own, choice, "new", value, write)


class Asking(ClientCase):
    rules = Rules(operations=SHARES)

    def asked(self, *one: Any, **other: Any) -> dict[str, Any]:
        """The message that a request becomes, without the fields that all messages have."""
        self.clients.start(intent(*one, **other))
        _, message = self.sent[-1]
        return {k: v for k, v in message.items() if k not in ("src", "dst", "leader", "MID")}

    def test_each_operation_has_its_kind_of_key_and_its_arguments(self) -> None:
        for write, asked in (
            ("put", {"type": "put", "key": "register-0", "value": VALUE}),
            ("increment", {"type": "increment", "key": "counter-0", "by": 0xABCD_0123_4567 % 999_999 + 1}),
            ("append", {"type": "append", "key": "text-0", "value": "4567"}),
            ("delete", {"type": "delete", "key": "register-0"}),
            ("get", {"type": "get", "key": "register-0"}),
        ):
            self.assertEqual(self.asked(write), asked)
        self.answer(mid=self.sent[0][1]["MID"])
        self.assertEqual(
            self.asked("cas", value="new"),
            {"type": "cas", "key": "register-0", "from": VALUE, "to": "new"},
        )

    def test_choice_picks_one_of_three_keys_of_a_kind_and_gets_and_deletes_pick_any_written_one(self) -> None:
        keys = [self.asked("append", choice=choice)["key"] for choice in (0, 0.34, 0.99)]
        self.assertEqual(keys, ["text-0", "text-1", "text-2"])
        for type in ("get", "delete"):
            keys = [self.asked(type, choice=number / 9)["key"] for number in range(9)]
            expected = [f"{kind}-{n}" for kind in ("register", "counter", "text") for n in range(3)]
            self.assertEqual(keys, expected)

    def test_shared_keys_is_the_number_of_keys_of_each_kind(self) -> None:
        self.rules = Rules(shared_keys=2, operations=shares(increment=1))
        self.setUp()
        keys = [self.asked(write, choice=0.99)["key"] for write in ("increment", "get")]
        self.assertEqual(keys, ["counter-1", "counter-1"])

    def test_a_million_keys_of_each_kind_take_no_memory_before_their_use(self) -> None:
        asked = Operations(SHARES, 1_000_000)
        keys = [asked.call(intent("get", choice), mock.Mock()).key for choice in (0.0, 0.5, 0.9999999)]
        self.assertEqual(keys, ["register-0", "counter-500000", "text-999999"])
        self.assertLess(len(pickle.dumps(asked)), 1000)

    def test_kind_of_key_that_is_never_written_is_not_asked_for(self) -> None:
        for given, kinds in (
            (shares(cas=0.5, increment=0.5), {"register", "counter"}),
            (shares(append=1), {"text"}),
            (shares(append=0.9), {"register", "text"}),
            (shares(increment=0.3, append=0.6, delete=0.1), {"counter", "text"}),
            (shares(delete=1), {"register"}),
        ):
            asked = Operations(given, 1)
            keys = {asked.call(intent("get", choice=n / 10), mock.Mock()).key for n in range(10)}
            self.assertEqual({key.split("-")[0] for key in keys}, kinds)

    def test_compare_and_set_without_a_known_value_is_a_put(self) -> None:
        self.assertEqual(self.asked("cas"), self.asked("put"))
        self.asked("put")
        self.answer()
        self.assertEqual(self.asked("cas")["type"], "cas")
        self.asked("delete")
        self.answer(value="0")
        self.assertEqual(self.asked("cas")["type"], "put")

    def test_compare_and_set_takes_the_last_value_of_its_client_or_of_any(self) -> None:
        self.asked("put", value="own")
        self.answer()
        self.asked("put", value="other", client=1)
        self.answer(client="0014")
        self.assertEqual(self.asked("cas", own=True)["from"], "own")
        self.assertEqual(self.asked("cas", own=False)["from"], "other")
        self.asked("get")
        self.answer(value="read")
        self.assertEqual(self.asked("cas", own=True)["from"], "read")
        self.asked("cas", value="not set")
        self.answer(value="")
        self.assertEqual(self.asked("cas", own=True)["from"], "read")
        self.asked("cas", value="set")
        self.answer()
        self.assertEqual(self.asked("cas", own=True)["from"], "set")

    def test_long_text_is_deleted_and_begun_again(self) -> None:
        self.asked("append")
        self.answer(value="255")
        self.assertEqual(self.asked("append", client=1)["type"], "append")
        self.answer(value="256", client="0014")
        self.assertEqual(self.asked("append"), {"type": "delete", "key": "text-0"})
        self.answer(value="1")
        self.assertEqual(self.asked("append")["type"], "append")

    def test_declined_operation_is_repeated_with_the_same_arguments(self) -> None:
        self.asked("put")
        self.answer()
        for write in ("cas", "increment", "append", "delete"):
            for decline in ("redirect", "fail"):
                first = self.asked(write)
                mid = self.sent[-1][1]["MID"]
                self.answer(decline, leader="0002")
                target, again = self.sent[-1]
                self.assertEqual((target, again | first), ("0002", again))
                self.assertEqual(self.clients.requests[again["MID"]].retry_of, mid)


class Answers(ClientCase):
    rules = Rules(operations=SHARES)

    def outcome(self, write: str, **answer: Any) -> tuple[int, int]:
        """How many requests of this kind are done, and of how many the condition was not met."""
        self.clients.start(intent(write))
        self.answer(**answer)
        count = self.clients.operations.used()[write]
        return count.done, count.not_met

    def test_answers_are_counted_by_their_meaning(self) -> None:
        self.clients.start(intent("put"))
        self.answer()
        self.assertEqual(self.outcome("cas"), (1, 0))
        self.assertEqual(self.outcome("cas", value=None), (2, 0))
        self.assertEqual(self.outcome("cas", value=""), (2, 1))
        self.assertEqual(self.outcome("increment", value="-9223372036854775808"), (1, 0))
        self.assertEqual(self.outcome("append", value="0"), (1, 0))
        self.assertEqual(self.outcome("delete", value="1"), (1, 0))
        self.assertEqual(self.outcome("delete", value="0"), (1, 1))
        answers = [request.answer for request in self.clients.requests.values()]
        self.assertEqual(answers, [None, True, True, False, -1 << 63, 0, True, False])
        self.assertEqual((self.clients.generated.put, self.clients.answered.put), (8, 8))

    def test_answer_that_makes_no_sense_is_refused_and_leaves_the_request_open(self) -> None:
        number = "must be a whole number of 64 bits as a string"
        table: tuple[tuple[str, tuple[Any, ...], str], ...] = (
            ("get", (None, 1), "a get must be a string"),
            ("cas", ("0", False, 0), 'a cas must be absent, or ""'),
            ("delete", (None, "", "2", 1, True, []), 'a delete must be "0" or "1"'),
            ("increment", (None, 5, "", "+1", "01", "-0", "1.0", "\u0663", str(1 << 63), "9" * 5000),
             f"an increment {number}"),
            ("append", ("-1", None, 4), f"an append {number}"),
        )
        for type, values, rule in table:
            for value in values:
                with self.subTest(type, value=value), self.assertRaises(Malformed) as caught:
                    answer_of(type, {"value": value})
                self.assertEqual(str(caught.exception), f'"value" of the answer to {rule}')
        self.clients.start(intent("increment"))
        with self.assertRaises(Malformed):
            self.answer()
        self.answer(value="1")
        self.assertEqual(self.clients.operations.used()["increment"].done, 1)

    def test_no_client_judges_a_value_of_a_shared_key(self) -> None:
        self.clients.start(intent("put"))
        self.answer()
        self.clients.start(intent("get"))
        self.answer(value="of another client")
        self.assertEqual((self.clients.incorrect_gets, self.complaints), (0, []))

    def test_acknowledgement_of_each_write_is_told_and_read_back(self) -> None:
        self.rules = Rules(operations=SHARES, read_back=True)
        self.setUp()
        for number, (write, value) in enumerate((("increment", "1"), ("append", "4"), ("delete", "0"))):
            self.clients.start(intent(write))
            key = self.sent[-1][1]["key"]
            self.answer(value=value)
            target, message = self.sent[-1]
            self.assertEqual((message["type"], message["key"]), ("get", key))
            self.assertNotEqual(target, "0001")
            self.assertEqual(len(self.acknowledged), number + 1)


class Refusals(ClientCase):
    rules = Rules(operations=SHARES)

    def test_refusal_with_an_error_is_final_and_told_once(self) -> None:
        for _ in range(2):
            self.clients.start(intent("increment"))
            self.answer("fail", error="no\nnumber")
        self.assertEqual(len(self.sent), 2)
        self.assertEqual(self.notices, ["the replica refuses `increment`: no\\nnumber"])
        self.assertEqual((self.clients.operations.refused, self.clients.failures.put), (2, 2))
        self.assertEqual([r.outcome for r in self.clients.requests.values()], ["fail"] * 2)

    def test_fail_without_an_error_is_final_once_the_request_would_go_in_circles(self) -> None:
        self.clients.start(intent("delete"))
        for sent in (2, 3, 4):
            self.answer("fail")
            self.assertEqual(len(self.sent), sent)
        self.answer("fail", error=5)
        self.assertEqual((len(self.sent), self.clients.next_resend()), (4, float("inf")))
        self.assertEqual(self.notices, ["the replica refuses `delete`: no reason given"])
        self.assertEqual(self.clients.failures.put, 4)

    def test_fail_without_an_error_is_repeated_if_a_replica_knows_the_operation(self) -> None:
        self.clients.start(intent("delete"))
        self.answer(value="0")
        self.clients.start(intent("delete"))
        for _ in range(4):
            self.answer("fail")
        self.assertLess(self.clients.next_resend(), float("inf"))
        self.assertEqual((self.notices, self.clients.operations.refused), ([], 0))

    def test_error_of_a_put_or_get_or_redirect_changes_nothing(self) -> None:
        for number, (write, type) in enumerate((("put", "fail"), ("get", "fail"), ("increment", "redirect"))):
            self.clients.start(intent(write))
            self.answer(type, error="no")
            self.assertEqual(len(self.sent), 2 * number + 2)
        self.assertEqual(self.notices, [])


class WholeRuns(unittest.TestCase):
    TIMES: dict[str, Any] = {"lifetime": 12, "end_wait": 8, "requests": 300, "mix": 0.3}

    def run_with(self, behaviour: str, **changes: Any) -> VirtualRun:
        return VirtualRun(small_scenario(**(self.TIMES | {"operations": SHARES} | changes)), behaviour)

    def test_every_operation_is_done_and_conditions_are_met_or_not(self) -> None:
        run = self.run_with("correct")
        counts = run.figures.operations
        self.assertIn("     All correctness tests passed\n", run.told)
        self.assertEqual(set(counts), set(SHARES))
        for count in counts.values():
            self.assertEqual((count.requests, count.refused), (count.done + count.not_met, 0))
            self.assertGreater(count.done, 0)
        self.assertGreater(counts["cas"].not_met, 0)
        self.assertGreater(counts["delete"].not_met, 0)
        writes = sum(count.requests for count in counts.values())
        puts = {r.key for r in run.result.history if r.type == "put"}
        self.assertTrue(writes < run.figures.puts and puts == {f"register-{n}" for n in range(3)})

    def test_replica_that_refuses_the_extension_is_told_so_once_and_passes(self) -> None:
        for behaviour, reason in (
            ("refuses", "unknown\\ncommand"), ("refuses_without_a_word", "no reason given"),
        ):
            with self.subTest(behaviour):
                run = self.run_with(behaviour)
                for type, count in run.figures.operations.items():
                    self.assertEqual(run.told.count(f"] the replica refuses `{type}`: {reason}\n"), 1)
                    self.assertEqual((count.done, count.refused), (0, count.requests))
                self.assertEqual(run.figures.unanswered_puts, 0)
                self.assertIn("     All correctness tests passed\n", run.told)

    def test_scenario_without_operations_has_no_counts(self) -> None:
        run = VirtualRun(small_scenario(**self.TIMES), "correct")
        self.assertEqual(run.figures.operations, {})
        self.assertNotIn("condition", run.told)

    def test_few_keys_meet_many_clients(self) -> None:
        history = self.run_with("correct").result.history
        for kind in ("register", "counter", "text"):
            writers = {r.client for r in history if r.key == f"{kind}-1" and r.type != "get"}
            self.assertGreater(len(writers), 4)
        self.assertEqual(operations.KEYS_OF_A_KIND, 3)
        self.assertIn(CLIENT, {r.client for r in history})


if __name__ == "__main__":
    unittest.main()
