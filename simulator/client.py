"""One client: its requests, and the answers that it can tell to be wrong."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from simulator.call import Call
from simulator.messages import UNKNOWN_LEADER
from simulator.operations import Answer, Knowledge

# Replicas are to blame for a put that has waited longer: a failover takes less.
OVERDUE_SECONDS = 1.0


@dataclass
class Request:
    """One attempt: a MID, sent once or, after a time-out, again.

    The client repeats a declined request as a new attempt under a new MID. `before` is the attempt
    directly before this one. `target` is the replica that it was sent to last. The client had
    received acknowledgements of `settled` puts of the key before it sent this attempt.
    """

    mid: str
    client: str
    call: Call
    invoked: float
    returned: float | None = None
    outcome: str = "unknown"
    answer: Answer = None
    before: Request | None = field(default=None, repr=False)
    attempt: int = 1
    answered_by: str | None = None
    target: str = UNKNOWN_LEADER
    settled: int = 0
    sent: int = 0
    responses: int = 0

    @property
    def type(self) -> str:
        return self.call.type

    @property
    def key(self) -> str:
        return self.call.key

    @property
    def value(self) -> str | None:
        """The value that is put or appended, or that an answered get returned."""
        value = self.answer if self.type == "get" else self.call.arguments.get("value")
        return value if isinstance(value, str) else None

    @property
    def is_over(self) -> bool:
        """Whether no replica can hold a copy of this attempt that it has yet to answer."""
        return self.outcome != "unknown" and self.sent == 1

    @property
    def retry_of(self) -> str | None:
        """The attempt before, if over: it can have no effect once this one is acknowledged."""
        return self.before.mid if self.before is not None and self.before.is_over else None


@dataclass
class Client:
    """One client's record of its own keys.

    At most one put per key is `in_flight`, so the `acknowledged` puts of a key have an order. A
    value in `lingering` was sent under one MID to several replicas. One of them declined it, and
    another may yet store it. `circling` holds declined requests that go round in circles. The
    client repeats one of them at a time, `pause` seconds after the one before, and the next one at
    `due`. `waiting_since` has the keys with a put that has reached a replica and is not
    acknowledged, each with the time at which it reached one. At the end of the run the client gets
    the `unread` keys one after the other. `known` is of use with keys that all clients share.
    """

    id: str
    leader: str = UNKNOWN_LEADER
    keys: list[str] = field(default_factory=list)
    readable_keys: list[str] = field(default_factory=list)
    acknowledged: dict[str, list[Request]] = field(default_factory=dict)
    in_flight: dict[str, str] = field(default_factory=dict)
    lingering: dict[str, set[str]] = field(default_factory=dict)
    waiting_since: dict[str, float] = field(default_factory=dict)
    circling: deque[Request] = field(default_factory=deque)
    pause: float = 0.0
    due: float = math.inf
    unread: deque[str] = field(default_factory=deque)
    known: Knowledge = field(default_factory=Knowledge)

    def key_to_get(self, choice: float) -> str | None:
        if not self.readable_keys:
            return None
        return self.readable_keys[int(choice * len(self.readable_keys))]

    def has_overdue_put(self, now: float) -> bool:
        """Whether a working replica's answers to the puts would have made a get possible."""
        return any(now - since >= OVERDUE_SECONDS for since in self.waiting_since.values())

    def key_to_put(self, choice: float) -> str | None:
        """An own key without a put in flight: the chosen one, or the next one that is free."""
        start = int(choice * len(self.keys))
        for offset in range(len(self.keys)):
            key = self.keys[(start + offset) % len(self.keys)]
            if key not in self.in_flight:
                return key
        return None

    def acknowledge(self, put: Request) -> None:
        key = put.key
        if key not in self.acknowledged:
            self.acknowledged[key] = []
            self.readable_keys.append(key)
        self.acknowledged[key].append(put)
        self.in_flight.pop(key, None)
        self.waiting_since.pop(key, None)

    def decline(self, put: Request) -> None:
        if put.value is not None and not put.is_over:
            self.lingering.setdefault(put.key, set()).add(put.value)

    def may_read(self, get: Request, value: str) -> bool:
        """Whether an order of this client's operations on the key can explain `value`.

        The get takes effect at some moment after its first sending, so after all puts acknowledged
        before that. A put acknowledged later, or never, may come before the get or after it. Every
        answer refused here makes the history not linearizable. The checker refuses more.
        """
        return (
            any(put.value == value for put in self.acknowledged[get.key][get.settled - 1:])
            or value == self.in_flight.get(get.key)
            or value in self.lingering.get(get.key, ())
        )

    def is_overtaken(self, get: Request, value: str) -> bool:
        """Whether a put that overwrote `value` was acknowledged before the get's answer arrived."""
        return any(put.value == value for put in self.acknowledged[get.key][get.settled - 1:-1])

    def latest_before(self, get: Request) -> Request:
        """The last put of its key that was acknowledged before the get was sent."""
        return self.acknowledged[get.key][get.settled - 1]

    def acknowledged_put(self, key: str, value: str) -> Request | None:
        puts = self.acknowledged[key]
        return next((put for put in reversed(puts) if put.value == value), None)
