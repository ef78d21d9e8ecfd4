"""The operations of a client, with a store in place of redis-py."""

import os
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts import history
from hosts.history import REFUSED, UNKNOWN
from hosts.operations import Operations, Unexpected, outcome, reason


class ResponseError(Exception):
    """Named as in redis-py."""


class ClusterDownError(ResponseError):
    """Named as in redis-py."""


class WatchError(Exception):
    """Named as in redis-py."""


class ConnectionLost(Exception):
    """Any other error."""


class Store:
    """The commands that operations send, one at a time and at once. It loses every so many answers,
    refuses every so many commands, or forgets which named requests it has done."""

    def __init__(self, loses: int = 0, refuses: int = 0, forgets: bool = False) -> None:
        self.values: dict[str, str] = {}
        self._answers: dict[tuple[str, int], int] = {}
        self._forgets = forgets
        self.commands = 0
        self._loses = loses
        self._refuses = refuses

    def _do(self, command: Callable[[], Any]) -> Any:
        self.commands += 1
        if self._refuses and self.commands % self._refuses == 0:
            raise ClusterDownError("no leader")
        answer = command()
        if self._loses and self.commands % self._loses == 0:
            raise ConnectionLost("Connection closed by server.")
        return answer

    def get(self, key: str) -> Any:
        return self._do(lambda: self.values.get(key))

    def set(self, key: str, value: str, nx: bool = False, px: int = 0) -> Any:
        return self._do(lambda: self._set(key, value, not (nx and key in self.values)))

    def execute_command(self, name: str, key: str, *words: Any) -> Any:
        if name == "KV.DO":
            return self._do(lambda: self._once((key, words[0]), words[2], words[3]))
        is_equal = self.values.get(key) == words[-1]
        if name == "SET":
            return self._do(lambda: self._set(key, words[0], is_equal))
        return self._do(lambda: self._delete(key, is_equal))

    def delete(self, key: str) -> Any:
        return self._do(lambda: self._delete(key, True))

    def append(self, key: str, value: str) -> Any:
        return self._do(lambda: self._append(key, value))

    def incrby(self, key: str, by: int) -> Any:
        return self._do(lambda: self._increment(key, by))

    def mset(self, pairs: dict[str, str]) -> Any:
        return self._do(lambda: self.values.update(pairs))

    def pipeline(self, transaction: bool) -> "Pipeline":
        return Pipeline(self, transaction)

    def _once(self, request: tuple[str, int], key: str, by: int) -> int:
        if request not in self._answers or self._forgets:
            self._answers[request] = self._increment(key, by)
        return self._answers[request]

    def _set(self, key: str, value: str, may: bool) -> Any:
        if may:
            self.values[key] = value
        return True if may else None

    def _delete(self, key: str, may: bool) -> int:
        return int(may and self.values.pop(key, None) is not None)

    def _append(self, key: str, value: str) -> int:
        self.values[key] = self.values.get(key, "") + value
        return len(self.values[key])

    def _increment(self, key: str, by: int) -> int:
        self.values[key] = str(int(self.values.get(key, "0")) + by)
        return int(self.values[key])


class Pipeline:
    """Commands that wait for `execute`."""

    def __init__(self, store: Store, transaction: bool) -> None:
        self._store = store
        self._inner = Store()
        self._inner.values = store.values
        self._transaction = transaction
        self._queue: list[Callable[[], Any]] | None = [] if not transaction else None
        self._watched: tuple[str, Any] | None = None

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def watch(self, key: str) -> None:
        self._watched = (key, self._store.values.get(key))

    def multi(self) -> None:
        self._queue = []

    def get(self, key: str) -> Any:
        if self._watched and self._queue is None:
            return self._store.get(key)
        return self._add(lambda: self._inner.get(key))

    def set(self, key: str, value: str) -> "Pipeline":
        return self._add(lambda: self._inner.set(key, value))

    def append(self, key: str, value: str) -> "Pipeline":
        return self._add(lambda: self._inner.append(key, value))

    def _add(self, command: Callable[[], Any]) -> "Pipeline":
        self._queue = [*(self._queue or []), command]
        return self

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        queue = self._queue or []
        if not self._transaction:
            return [self._outcome(command) for command in queue]
        if self._watched and self._store.values.get(self._watched[0]) != self._watched[1]:
            raise WatchError("Watched variable changed.")
        answers: list[Any] = self._store._do(lambda: [command() for command in queue])
        return answers

    def _outcome(self, command: Callable[[], Any]) -> Any:
        try:
            return self._store._do(command)
        except ClusterDownError as error:
            return error


def play(store: Store, steps: int) -> list[history.Record]:
    """Two clients that take turns."""
    records: list[history.Record] = []
    clients = [Operations(number, number, 0.0, records.append) for number in range(2)]
    for step in range(steps):
        with suppress(ClusterDownError, ConnectionLost):
            clients[step % 2].step(store)
    for client in clients:
        client.finish()
    return records


class Outcomes(unittest.TestCase):
    def test_errors_mean_what_the_guarantees_say(self) -> None:
        for error, expected in (
            (ResponseError("UNKNOWN the write may take effect"), (UNKNOWN, "-UNKNOWN")),
            (ResponseError("Command # 1 (SET k v) of a pipeline: UNKNOWN x"), (UNKNOWN, "-UNKNOWN")),
            (ClusterDownError("no leader"), (REFUSED, "-CLUSTERDOWN")),
            (ConnectionLost("Error 111 connecting to 10.0.0.1:6379. Refused."), (REFUSED, "no connection")),
            (TimeoutError("Timeout connecting to server"), (REFUSED, "no connection")),
            (TimeoutError("Timeout reading from socket"), (UNKNOWN, "time-out")),
            (ConnectionLost("Connection closed by server."), (UNKNOWN, "connection lost")),
            (WatchError("A ConnectionError occurred while watching"), (UNKNOWN, "connection lost")),
        ):
            how = outcome(error)
            self.assertEqual((how, reason(error, how)), expected, str(error))

    def test_command_on_a_connection_that_was_there_may_have_been_sent(self) -> None:
        error = TimeoutError("Timeout connecting to server")
        self.assertEqual(outcome(error, was_connected=True), UNKNOWN)
        self.assertEqual(outcome(ClusterDownError("no leader"), was_connected=True), REFUSED)

    def test_any_other_answer_is_a_fault_of_the_server(self) -> None:
        for text in ("ERR syntax error", "unknown command", "WRONGTYPE Operation"):
            with self.assertRaises(Unexpected):
                outcome(ResponseError(text))


@unittest.skipUnless("KVSTORE" in os.environ, "needs the program that judges")
class Histories(unittest.TestCase):
    def verdict(self, records: list[history.Record]) -> str:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "history.jsonl"
            history.write(path, history.judged(records))
            command = [os.environ["KVSTORE"], "check", str(path)]
            done = subprocess.run(command, capture_output=True, check=False, text=True)
        return (done.stdout + done.stderr).partition(":")[0]

    def test_history_of_a_store_without_faults_is_linearizable_and_has_all_types(self) -> None:
        records = play(Store(), 600)
        self.assertEqual(self.verdict(records), "linearizable")
        expected = {"get", "put", "cas", "delete", "increment", "append", "transaction"}
        self.assertEqual({record["type"] for record in records}, expected)
        self.assertEqual({record["outcome"] for record in records}, {history.OK})

    def test_history_of_a_store_that_loses_answers_and_refuses_is_linearizable(self) -> None:
        records = play(Store(loses=11, refuses=13), 600)
        self.assertEqual(self.verdict(records), "linearizable")
        outcomes = {record["outcome"] for record in records}
        self.assertEqual(outcomes, {history.OK, history.UNKNOWN, history.REFUSED})

    def test_named_request_that_is_done_twice_is_a_contradiction(self) -> None:
        records = play(Store(loses=11, forgets=True), 1_200)
        self.assertEqual(self.verdict(records), "not linearizable")

    def test_answer_that_is_false_is_a_contradiction(self) -> None:
        for kind, lie in (
            ("get", {"value": "no client wrote this", "exists": True}),
            ("increment", {"result": 1_000_000}),
            ("append", {"result": 1_000_000}),
        ):
            records = play(Store(), 600)
            next(record for record in records if record["type"] == kind).update(lie)
            self.assertEqual(self.verdict(records), "not linearizable", kind)


if __name__ == "__main__":
    unittest.main()
