"""The operations beside get and put: what clients ask with them, and what the answers mean.

They are an extension of the protocol. A scenario asks for them with `operations`, the shares of the
writes. Then all clients share a few keys of each kind, so that their requests race:

    register-0, ...    put, compare-and-set
    counter-0, ...     increment
    text-0, ...        append

Gets and deletes ask for keys of every kind that the scenario writes. No request makes a number of a
text, so a correct replica refuses none. No client can tell an answer to be wrong, because other
clients write the same keys: the checker of the history does.

A compare-and-set compares with a value that its client believes the register to have. Half of them
take the last value that the client has learned itself, which is often old. The others take the last
one that any client has learned. So a few clients change the same value at the same time, and one of
them may succeed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.call import Call, put
from simulator.config import OPERATIONS
from simulator.messages import Malformed
from simulator.workload import Intent

KEYS_OF_A_KIND = 3
# So many different numbers that an increment without an answer, which may have been done, seldom
# explains the sum that another one has left by mistake.
GREATEST_INCREMENT = 999_999
APPENDED_DIGITS = 4
# A client deletes a text of this length instead of growing it, so that it fits into a message.
LONG_TEXT = 256
_LEAST_SHARE = 1e-9

_is_number = re.compile(r"0|-?[1-9][0-9]{0,18}").fullmatch

# The value of a get, the new number or length, or whether the condition was met.
Answer = str | int | bool | None


@dataclass
class Knowledge:
    """The value of each register and the length of each text in the last answer about it."""

    values: dict[str, str] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)

    def learn(self, call: Call, answer: Answer) -> None:
        if call.type == "append" and isinstance(answer, int):
            self.lengths[call.key] = answer
        elif call.type == "get" and isinstance(answer, str):
            self._set(call.key, answer)
        elif call.type == "put":
            self._set(call.key, str(call.arguments["value"]))
        elif call.type == "cas" and answer is True:
            self._set(call.key, str(call.arguments["to"]))
        elif call.type == "delete":
            self._set(call.key, "")

    def _set(self, key: str, value: str) -> None:
        self.values[key] = value
        self.lengths[key] = len(value)


class Operations:
    """The keys of a scenario, the knowledge of all clients, and the call of each request."""

    def __init__(self, shares: Mapping[str, float], shared_keys: int) -> None:
        """`shared_keys` is the number of keys of each kind; 0 stands for the default."""
        self._count = shared_keys or KEYS_OF_A_KIND
        puts = 1 - sum(shares.values())
        sets = shares["cas"] > 0 or puts > _LEAST_SHARE
        used = {"register": sets, "counter": shares["increment"] > 0, "text": shares["append"] > 0}
        # A scenario may have no writes but deletes.
        self._written = [kind for kind in used if used[kind]] or ["register"]
        self._known = Knowledge()

    def learn(self, own: Knowledge, call: Call, answer: Answer) -> None:
        """Take in the answer to a call of the client whose knowledge is `own`."""
        own.learn(call, answer)
        self._known.learn(call, answer)

    def call(self, intent: Intent, own: Knowledge) -> Call:
        """The call that a planned request becomes, by a client whose knowledge is `own`."""
        if intent.wants_get:
            return Call("get", self._key(intent, *self._written))
        if intent.write == "increment":
            by = int(intent.value, 16) % GREATEST_INCREMENT + 1
            return Call("increment", self._key(intent, "counter"), {"by": by})
        if intent.write == "append":
            key = self._key(intent, "text")
            if self._known.lengths.get(key, 0) >= LONG_TEXT:
                return Call("delete", key)
            return Call("append", key, {"value": intent.value[-APPENDED_DIGITS:]})
        if intent.write == "delete":
            return Call("delete", self._key(intent, *self._written))
        key = self._key(intent, "register")
        value = (own if intent.wants_own_key else self._known).values.get(key)
        # A client without a value to compare with sets the register.
        if intent.write == "cas" and value:
            return Call("cas", key, {"from": value, "to": intent.value})
        return put(key, intent.value)

    def _key(self, intent: Intent, *kinds: str) -> str:
        """The chosen one of all keys of these kinds."""
        kind, number = divmod(int(intent.choice * len(kinds) * self._count), self._count)
        return f"{kinds[kind]}-{number}"


def answer_of(type: str, message: Mapping[str, Any]) -> Answer:
    """The answer in an `ok` to a request of this type; refuses one that makes no sense."""
    value = message.get("value")
    if type == "put":
        return None
    if type == "get":
        if isinstance(value, str):
            return value
        rule = "a string"
    elif type == "cas":
        if value is None or value == "":
            return value is None
        rule = 'absent, or ""'
    elif type == "delete":
        if value == "0" or value == "1":
            return bool(value == "1")
        rule = '"0" or "1"'
    else:
        least = 0 if type == "append" else -(1 << 63)
        if isinstance(value, str) and _is_number(value) and least <= int(value) < 1 << 63:
            return int(value)
        rule = "a whole number of 64 bits as a string"
    raise Malformed(f'"value" of the answer to {_with_article(type)} must be {rule}')


def _with_article(type: str) -> str:
    return f"an {type}" if type[0] in "ai" else f"a {type}"


@dataclass
class Count:
    """The requests of one type and their last answers, if any."""

    requests: int = 0
    done: int = 0
    not_met: int = 0
    refused: int = 0


class Counts:
    """The requests and answers of each operation beside get and put."""

    def __init__(self) -> None:
        self._of = {type: Count() for type in OPERATIONS}

    def request(self, type: str) -> None:
        if type in self._of:
            self._of[type].requests += 1

    def answer(self, type: str, answer: Answer) -> None:
        if type in self._of:
            self._of[type].done += answer is not False
            self._of[type].not_met += answer is False

    def refuse(self, type: str) -> bool:
        """Count a refusal; whether it is the first one of this type."""
        self._of[type].refused += 1
        return self._of[type].refused == 1

    def was_ever_answered(self, type: str) -> bool:
        return self._of[type].done + self._of[type].not_met > 0

    @property
    def refused(self) -> int:
        return sum(count.refused for count in self._of.values())

    def used(self) -> dict[str, Count]:
        """The counts of the operations that clients have asked for."""
        return {type: count for type, count in self._of.items() if count.requests}
