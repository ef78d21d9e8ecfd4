"""The operations of one client: draws them, sends them through redis-py, and records them.

The model of `kvstore check` has gets, puts with conditions and times to live, compare-and-set,
deletes, increments, appends and transactions. All values are unique. Keys change every few seconds:
so many operations meet at one key, and the search of the checker stays small at each. Keys of the
ledger are written once, each by one client.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from hosts.history import LEDGER, LOCK, OK, REFUSED, UNKNOWN, Record

# For so long clients use the same keys.
_EPOCH_S = 2.0
_TEXTS, _NUMBERS, _PAIRS, _LOCKS = 10, 4, 4, 3
# A lock ends by itself while it is held, or long before its holder releases it.
_LOCK_MS = (50, 1_500)
# So many of the reads are of numbers.
_COUNTED = 0.2
# A pipeline has so many writes of the ledger.
_PIPELINE = 8

# redis-py may name the command of a pipeline before the error.
_MAY_HAVE_EFFECT = re.compile(r"(^|: )UNKNOWN ")
# redis-py says so when it could not connect: the command was never sent.
_NOT_SENT = "connecting to"
# A replica says so when it does not know the answer to a request under a name any more.
_FORGOTTEN = "done before"
# redis-py says so when a watched key has changed. When the connection is lost, it raises the same
# class of error, although the transaction may have taken effect. Then it connects again for
# UNWATCH, and the error may be that of this attempt.
_ABORTED = "Watched variable changed."
# The errors of a command that had no effect, by the class that redis-py has for them.
_CODES = {"ClusterDownError": "CLUSTERDOWN", "ExecAbortError": "EXECABORT", "OutOfMemoryError": "OOM"}


class Unexpected(Exception):
    """An answer that no client should ever get."""


def outcome(error: Exception, *, was_connected: bool = False) -> str:
    """The outcome of a command that ended with this error, as docs/guarantees.md has it. On a
    connection that was there, the command is sent before redis-py can fail to connect again."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    if "ResponseError" in kinds:
        if _MAY_HAVE_EFFECT.search(text):
            return UNKNOWN
        if kinds & set(_CODES):
            return REFUSED
        raise Unexpected(f"{type(error).__name__}: {text}")
    return REFUSED if _NOT_SENT in text and not was_connected else UNKNOWN


def reason(error: Exception, how: str) -> str:
    """The cause of an outcome that is not ok, in a word or two."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "ResponseError" in kinds:
        return "-UNKNOWN" if how == UNKNOWN else f"-{_CODES[type(error).__name__]}"
    if how == REFUSED:
        return "no connection"
    return "time-out" if "TimeoutError" in kinds else "connection lost"


class Operations:
    """The operations of one client with redis-py. `record` keeps each."""

    def __init__(self, number: int, seed: int, started: float, record: Callable[[Record], None]) -> None:
        self._client = f"{number:02}"
        # The name of this client in KV.DO. No replica has it.
        self._session = f"{0xC000 + number:04X}"
        # The request under a name that is not answered yet.
        self._named: Record | None = None
        self._random = random.Random(seed)
        self._started = started
        self._record = record
        self._count = 0
        # The last value that this client saw, by key of a text.
        self._seen: dict[str, str | None] = {}
        # Locks that this client has taken, with its values.
        self._locks: list[tuple[str, str]] = []
        self._kinds: list[Callable[[Any], None]] = []
        for weight, kind in (
            (30, self._get),
            (24, self._set),
            (3, self._set_if_absent),
            (12, self._compare_and_set),
            (3, self._delete),
            (3, self._delete_if_equal),
            (4, self._append),
            (10, self._increment),
            (5, self._transaction),
            (4, self._watched),
            (2, self._set_pair),
            (4, self._take_lock),
            (3, self._release_lock),
            (6, self._increment_once),
            (12, self._ledger),
        ):
            self._kinds += [kind] * weight

    def step(self, redis: Any) -> None:
        """One operation. Raises the error of redis-py once the operation is recorded."""
        if self._named is not None:
            self._repeat(redis, self._named)
        else:
            self._random.choice(self._kinds)(redis)

    def finish(self) -> None:
        """Records the request that is still repeated."""
        if self._named is not None:
            self._record(self._named)

    def _key(self, kind: str, count: int) -> str:
        epoch = int((time.monotonic() - self._started) / _EPOCH_S)
        return f"{kind}{epoch}-{self._random.randrange(count)}"

    def _text(self) -> str:
        return self._key("t", _TEXTS)

    def _value(self) -> str:
        self._count += 1
        return f"{self._client}.{self._count}"

    def _run(
        self,
        call: Callable[[], Any],
        result: Callable[[Any], Record],
        kind: str,
        arguments: Record,
        *,
        was_connected: bool = False,
    ) -> Any:
        """Sends an operation, and records it with its outcome. `result` turns the answer into the
        fields of a line."""
        self._count += 1
        record: Record = {"id": f"{self._client}/{self._count}", "client": self._client, "type": kind}
        record |= arguments | {"outcome": OK, "invoked": time.monotonic(), "returned": None}
        try:
            answer = call()
        except Exception as error:
            how = outcome(error, was_connected=was_connected)
            record["returned"] = time.monotonic() if how == REFUSED else None
            self._record(record | {"outcome": how, "reason": reason(error, how)})
            raise
        record["returned"] = time.monotonic()
        self._record(record | result(answer))
        return answer

    def _get(self, redis: Any) -> None:
        key = self._key("n", _NUMBERS) if self._random.random() < _COUNTED else self._text()
        self._seen[key] = self._run(lambda: redis.get(key), _found, "get", {"key": key})

    def _set(self, redis: Any) -> None:
        key, value = self._text(), self._value()
        self._run(lambda: redis.set(key, value), _nothing, "put", {"key": key, "value": value})

    def _set_if_absent(self, redis: Any) -> None:
        key, value = self._text(), self._value()
        call = partial(redis.set, key, value, nx=True)
        self._run(call, _done, "put", {"key": key, "value": value, "if": "absent"})

    def _compare_and_set(self, redis: Any) -> None:
        """With the value that this client saw last, so it fails if another client came between."""
        key, value = self._text(), self._value()
        old = self._seen.pop(key, None)
        if old is None:
            self._seen[key] = old = self._run(lambda: redis.get(key), _found, "get", {"key": key})
        if old is not None:
            call = partial(redis.execute_command, "SET", key, value, "IFEQ", old)
            self._run(call, _done, "cas", {"key": key, "from": old, "to": value})

    def _delete(self, redis: Any) -> None:
        key = self._text()
        self._run(lambda: redis.delete(key), _done, "delete", {"key": key})

    def _delete_if_equal(self, redis: Any) -> None:
        key = self._text()
        old = self._run(lambda: redis.get(key), _found, "get", {"key": key})
        if old is not None:
            call = partial(redis.execute_command, "DELEX", key, "IFEQ", old)
            self._run(call, _done, "delete", {"key": key, "from": old})

    def _take_lock(self, redis: Any) -> None:
        """If no other client has it, for a time that is drawn."""
        key, value, ttl_ms = self._key(LOCK, _LOCKS), self._value(), self._random.randint(*_LOCK_MS)
        call = partial(redis.set, key, value, nx=True, px=ttl_ms)
        arguments = {"key": key, "value": value, "if": "absent", "ttl_ms": ttl_ms}
        if self._run(call, _done, "put", arguments):
            self._locks.append((key, value))

    def _release_lock(self, redis: Any) -> None:
        """If this client still has it."""
        if self._locks:
            key, value = self._locks.pop()
            call = partial(redis.execute_command, "DELIFEQ", key, value)
            self._run(call, _done, "delete", {"key": key, "from": value})

    def _append(self, redis: Any) -> None:
        key, value = self._text(), self._value()
        self._run(lambda: redis.append(key, value), _result, "append", {"key": key, "value": value})

    def _increment(self, redis: Any) -> None:
        key, by = self._key("n", _NUMBERS), self._random.randint(1, 3)
        self._run(lambda: redis.incrby(key, by), _result, "increment", {"key": key, "by": by})

    def _increment_once(self, redis: Any) -> None:
        """Repeats the request under its name until it is answered, also at other replicas."""
        self._count += 1
        self._named = {"id": f"{self._client}/{self._count}", "client": self._client, "type": "increment"}
        self._named |= {"key": self._key("n", _NUMBERS), "by": self._random.randint(1, 3)}
        self._named |= {"outcome": UNKNOWN, "invoked": time.monotonic(), "returned": None}
        self._repeat(redis, self._named)

    def _repeat(self, redis: Any, named: Record) -> None:
        command = ("INCRBY", named["key"], named["by"])
        try:
            answer = redis.execute_command("KV.DO", self._session, self._count, *command)
        except Exception as error:
            if _FORGOTTEN not in str(error):
                named["reason"] = reason(error, outcome(error))
                raise
            self._record(named | {"reason": "done before"})
        else:
            named.pop("reason", None)
            self._record(named | {"outcome": OK, "result": answer, "returned": time.monotonic()})
        self._named = None

    def _pair(self) -> tuple[str, str]:
        key = self._key("p", _PAIRS)
        return f"{key}a", f"{key}b"

    def _transaction(self, redis: Any) -> None:
        """A write, an increment, and a read of the key that the others write apart from them."""
        one, other = self._pair()
        value = self._value()
        ops: list[Record] = [
            {"type": "put", "key": one, "value": value},
            {"type": "append", "key": other, "value": value},
            {"type": "get", "key": one, "value": None},
        ]

        def call() -> Any:
            with redis.pipeline(transaction=True) as pipeline:
                return pipeline.set(one, value).append(other, value).get(one).execute()

        def result(answers: Any) -> Record:
            fields: list[Record] = [{}, _result(answers[1]), _found(answers[2])]
            return {"ops": [op | field for op, field in zip(ops, fields, strict=True)]}

        self._run(call, result, "transaction", {"ops": ops})

    def _watched(self, redis: Any) -> None:
        """Both keys get a value, if the first one still has the value that was read."""
        one, other = self._pair()
        value = self._value()
        puts = [{"type": "put", "key": key, "value": value} for key in (one, other)]
        with redis.pipeline(transaction=True) as pipeline:
            pipeline.watch(one)
            old = self._run(lambda: pipeline.get(one), _found, "get", {"key": one})
            pipeline.multi()
            pipeline.set(one, value).set(other, value)

            def call() -> bool:
                try:
                    pipeline.execute()
                except Exception as error:
                    if str(error) != _ABORTED:
                        raise
                    return True
                return False

            arguments = {"watched": [{"key": one, "value": old}], "ops": puts}
            self._run(call, _aborted, "transaction", arguments, was_connected=True)

    def _set_pair(self, redis: Any) -> None:
        one, other = self._pair()
        value = self._value()
        puts = [{"type": "put", "key": key, "value": value} for key in (one, other)]
        self._run(lambda: redis.mset({one: value, other: value}), _nothing, "transaction", {"ops": puts})

    def _ledger(self, redis: Any) -> None:
        """A pipeline of writes, each with an outcome of its own."""
        values = [self._value() for _ in range(_PIPELINE)]
        lines: list[Record] = [
            {"id": f"{self._client}/{value}", "client": self._client, "type": "put"}
            | {"key": f"{LEDGER}{value}", "value": value}
            | {"outcome": UNKNOWN, "invoked": time.monotonic(), "returned": None}
            for value in values
        ]
        pipeline = redis.pipeline(transaction=False)
        for line in lines:
            pipeline.set(line["key"], line["value"])
        try:
            answers = pipeline.execute(raise_on_error=False)
        except Exception as error:
            how = outcome(error)
            for line in lines:
                self._record(line | {"outcome": how, "reason": reason(error, how)})
            raise
        now = time.monotonic()
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        for line, answer in zip(lines, answers, strict=True):
            if isinstance(answer, Exception):
                how = outcome(answer)
                line |= {"outcome": how, "reason": reason(answer, how)}
            else:
                line["outcome"] = OK
            self._record(line | {"returned": None if line["outcome"] == UNKNOWN else now})
        if errors:
            raise errors[0]


def _nothing(answer: Any) -> Record:
    return {}


def _found(answer: Any) -> Record:
    return {"value": answer or "", "exists": answer is not None}


def _done(answer: Any) -> Record:
    return {"done": bool(answer)}


def _aborted(answer: Any) -> Record:
    return {"aborted": True} if answer else {}


def _result(answer: Any) -> Record:
    return {"result": answer}
