"""The records of a trace -> the requests, the events and the counts of the run.

The counts are those that the records alone determine. A trace of a whole run has all figures in its
last line; the counts show whether both agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from simulator.call import Call
from simulator.chronicle import Happening
from simulator.client import Request
from simulator.messages import UNKNOWN_LEADER, printable
from simulator.trace.recorder import ANSWERS

_FAULTS = {
    "incorrect value": "incorrect_gets",
    "malformed message": "incorrect_messages",
    "unknown destination": "incorrect_messages",
    "unexpected MID": "incorrect_messages",
}
_EVENTS = {
    "kill": "replicas_killed", "end": "replicas_died", "restart": "restarts", "pause": "pauses",
    "no_get": "gets_not_generated",
}
_LOSSES = {
    "chance": "dropped_by_chance", "partition": "dropped_by_partition", "dead": "sent_to_dead",
}


class BrokenRecord(Exception):
    """A record that does not have the fields of its type."""


def text_of(value: Any) -> str:
    """A text of a trace that a terminal can show."""
    try:
        return printable(str(value))
    except RecursionError:
        return "..."


class Evidence:
    """The requests, events and counts of a run, as its trace tells them."""

    def __init__(self, heading: Mapping[str, Any]) -> None:
        replicas = heading.get("replicas")
        self._replicas = frozenset(map(text_of, replicas)) if isinstance(replicas, list) else frozenset()
        self.requests: dict[str, Request] = {}
        self.happenings: list[Happening] = []
        self.leaders = [UNKNOWN_LEADER]
        self.counts: Counter[str] = Counter()
        self.last_moment = 0.0
        self.messages = 0
        self._body: Any = None
        # The requests to down replicas count as the messages of replicas to them do.
        self._take: dict[str, Callable[..., None]] = {
            "m": self._message, "e": self._event, "c": self._changed, "q": self._request, "a": self._answer,
            "f": self._fault,
            **dict.fromkeys("dxo", lambda *_: None),
        }

    def take_all(self, records: Iterable[list[Any]]) -> None:
        """Take records; raises BrokenRecord for the first one without the fields of its type."""
        for record in records:
            take = self._take.get(record[0])
            if take is None:
                continue
            try:
                self.last_moment = max(self.last_moment, record[1] / 1e6)
                take(record[1] / 1e6, *record[2:])
            except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError):
                raise BrokenRecord(f"is no record of type {record[0]!r}") from None

    def _message(
        self, _: float, __: int, sender: str | None, target: str | None, body: Any, fate: Any = None
    ) -> None:
        self.messages += 1
        self._body = body = self._body if body is None else body
        reason = fate if isinstance(fate, str) else None
        if sender in self._replicas and target in self._replicas:
            self.counts["total_messages"] += 1
            if reason in _LOSSES:
                self.counts[_LOSSES[reason]] += 1
        self.counts["sent_to_down"] += reason == "down"
        self.counts["client_messages_dropped"] += reason == "client"
        request = self.requests.get(body.get("MID", "")) if isinstance(body, dict) else None
        if request is None:
            return
        if sender == request.client:
            request.sent += 1
            request.target = str(target)
        elif target == request.client and reason is None:
            self._response(request)

    def _changed(self, *_: Any) -> None:
        self.counts["corrupted"] += 1

    def _response(self, request: Request) -> None:
        request.responses += 1
        if request.outcome == "ok" and request.responses > request.sent:
            self.counts["duplicates"] += 1

    def _event(self, time: float, kind: str, fields: dict[str, Any]) -> None:
        if kind == "note":
            self.happenings.append(Happening(time, text_of(fields["text"])))
        elif kind == "leader":
            self.leaders.append(text_of(fields["replica"]))
        elif kind == "no_request":
            self._generate(str(fields["type"]))
        elif kind == "refused":
            self.counts["refused"] += 1
        elif kind in _EVENTS:
            self.counts[_EVENTS[kind]] += 1
            self.counts["gets_withheld"] += fields.get("withheld") is True

    def _generate(self, type: str) -> None:
        self.counts["gets" if type == "get" else "puts"] += 1

    def _request(self, time: float, mid: str, client: str, operation: dict[str, Any]) -> None:
        arguments = dict(operation)
        before = self.requests.get(arguments.pop("before", ""))
        call = Call(str(arguments.pop("type")), str(arguments.pop("key")), arguments)
        self.requests[mid] = request = Request(mid, client, call, time)
        if before is None:
            self._generate(request.type)
        else:
            request.before, request.attempt = before, before.attempt + 1

    def _answer(self, time: float, mid: str, outcome: str, told: dict[str, Any]) -> None:
        request = self.requests[mid]
        request.outcome, request.returned = outcome, time
        request.answered_by = told.get("replica")
        if outcome == "ok" and request.type in ANSWERS:
            request.answer = told[ANSWERS[request.type]]
        kind = "gets" if request.type == "get" else "puts"
        if outcome == "redirect":
            self.counts["redirects"] += 1
        else:
            self.counts[f"{'acknowledged' if outcome == 'ok' else 'failed'}_{kind}"] += 1

    def _fault(self, _: float, text: str, *__: Any) -> None:
        self.counts[_FAULTS.get(str(text).partition(":")[0], "other_faults")] += 1

    def figures(self) -> dict[str, int]:
        """The counts with the names of `Figures`."""
        counts = self.counts
        names = (
            "total_messages", *_LOSSES.values(), "sent_to_down", "client_messages_dropped", "corrupted",
            "gets", "puts", "gets_withheld", *_EVENTS.values(), "duplicates", "redirects", "failed_gets",
            "failed_puts", "acknowledged_puts", "incorrect_gets", "incorrect_messages",
        )
        return {
            **{name: counts[name] for name in names},
            "leader_changes": len(self.leaders) - 1,
            "sent_again": sum(max(0, request.sent - 1) for request in self.requests.values()),
            "unanswered_gets": counts["gets"] - counts["acknowledged_gets"],
            "unanswered_puts": counts["puts"] - counts["acknowledged_puts"] - counts["refused"],
        }
