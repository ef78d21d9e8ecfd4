"""The explanation beside an answer that cannot be right."""

import unittest

from simulator.call import Call
from simulator.call import put as put_call
from simulator.chronicle import Happening
from simulator.client import Request
from simulator.contradiction import explain, reason, timeline

KILL = Happening(2.5, "kill_leader: killed 0001")
LATE = Happening(9.0, "part_end: healed")


def put(number: int, value: str, replica: str = "0001", outcome: str = "ok", before: Request | None = None,
        sent: int = 1) -> Request:
    return Request(f"{number:08x}", "0013", put_call("k", value), number, number + 0.25, outcome,
                   before=before, answered_by=replica, target=replica, sent=sent)


def get(number: int, value: str, replica: str = "0002") -> Request:
    return Request(f"{number:08x}", "0013", Call("get", "k"), number, number + 0.25, "ok", value,
                   answered_by=replica, target=replica, sent=1)


class Reasons(unittest.TestCase):
    def test_replica_with_an_old_state_is_named(self) -> None:
        self.assertEqual(reason(get(4, "a"), put(1, "a"), put(3, "b")),
                         "Replica 0002 answered get 00000004 from an old state, without put 00000003.")

    def test_replica_that_lost_an_acknowledged_put_is_named(self) -> None:
        self.assertEqual(reason(get(4, "a"), put(1, "a"), put(3, "b", "0002")),
                         "Replica 0002 acknowledged put 00000003 itself, and has lost it since.")

    def test_put_with_two_attempts_may_have_been_applied_twice(self) -> None:
        source = put(2, "a", before=put(1, "a", outcome="redirect"))
        self.assertEqual(
            reason(get(4, "a"), source, put(3, "b", "0002")),
            "Put 00000002 was sent 2 times: if it was applied twice, the second time after put 00000003, "
            "that explains get 00000004.",
        )
        self.assertTrue(reason(get(4, "a"), source, put(3, "b")).endswith(" So does an old state of replica 0002."))

    def test_put_that_was_sent_twice_may_have_been_applied_twice(self) -> None:
        self.assertIn("applied twice", reason(get(4, "a"), put(1, "a", sent=2), put(3, "b", "0002")))

    def test_replica_without_the_key_is_named(self) -> None:
        self.assertEqual(reason(get(4, ""), None, put(3, "b")),
                         "Replica 0002 does not have the key, although put 00000003 was acknowledged before.")


    def test_replica_that_invents_a_value_is_named(self) -> None:
        self.assertEqual(reason(get(4, "c"), None, put(3, "b")),
                         "Replica 0002 answered get 00000004 with a value that was never put.")


class Explanations(unittest.TestCase):
    history = [put(1, "a", outcome="redirect"), put(3, "b"), get(4, "a"), get(5, "b"), get(6, "")]
    history.insert(1, put(2, "a", before=history[0]))

    def test_timeline_has_earlier_attempts_and_the_events_between(self) -> None:
        self.assertEqual(timeline(self.history[1:4], [KILL, LATE]), [
            "[  1.000] put 00000001: redirect from 0001 at 1.250",
            "[  2.000] put 00000002: ok from 0001 at 2.250",
            "[  2.500] kill_leader: killed 0001",
            "[  3.000] put 00000003: ok from 0001 at 3.250",
            "[  4.000] get 00000004: ok from 0002 at 4.250",
        ])

    def test_timeline_of_many_requests_is_cut(self) -> None:
        lines = timeline([put(number, "v") for number in range(100)], [])
        self.assertEqual((len(lines), lines[-1]), (25, "and 76 more"))

    def test_requests_that_the_checker_names_are_explained(self) -> None:
        text = 'put "b" |--| 00000003\nget -> "a" |--| 00000004\nvalue 0123456789abcdef, id 00000099'
        self.assertEqual(explain(text, self.history, [KILL]).splitlines(), [
            "", "What the replicas did:",
            "[  3.000] put 00000003: ok from 0001 at 3.250",
            "[  4.000] get 00000004: ok from 0002 at 4.250",
            (
                "Put 00000002 was sent 2 times: if it was applied twice, the second time after put 00000003, "
                "that explains get 00000004. So does an old state of replica 0002."
            ),
        ])

    def test_get_of_the_latest_value_needs_no_reason(self) -> None:
        self.assertNotIn("explains", explain("00000005", self.history, []))
        self.assertNotIn("explains", explain("00000003", self.history, []))

    def test_get_without_a_value_misses_the_key(self) -> None:
        self.assertIn("0002 does not have the key, although put 00000003", explain("00000006", self.history, []))

    def test_put_without_acknowledgement_needs_no_reason(self) -> None:
        history = [put(1, "a"), put(2, "b", outcome="redirect"), get(3, "b")]
        self.assertNotIn("00000001", explain("00000003", history, []))

    def test_value_that_other_writes_than_puts_may_have_changed_needs_no_reason(self) -> None:
        self.assertIn("explains", explain("00000004", self.history, []))
        delete = Request("00000009", "0013", Call("delete", "k"), 9, 9.5, "ok", True)
        self.assertNotIn("explains", explain("00000004", [*self.history, delete], []))

    def test_increment_that_was_sent_twice_may_have_been_applied_twice(self) -> None:
        def increment(number: int, sent: int, before: Request | None = None) -> Request:
            return Request(f"{number:08x}", "0013", Call("increment", "k", {"by": 1}), number, number + 0.5,
                           "ok", number, before=before, answered_by="0001", target="0001", sent=sent)

        history = [increment(1, 1), increment(2, 2), increment(3, 1, before=increment(9, 1))]
        said = explain("00000001 00000002 00000003", history, []).splitlines()
        self.assertEqual(said[-2:], [
            "Increment 00000002 was sent 2 times: perhaps it was applied twice.",
            "Increment 00000003 was sent 2 times: perhaps it was applied twice.",
        ])
        self.assertNotIn("Increment 00000001", "\n".join(said))

    def test_text_without_a_known_request_is_not_explained(self) -> None:
        self.assertEqual(explain("the first line\n 000000ff", self.history, [KILL]), "")
