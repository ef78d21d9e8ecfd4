"""Records become a history, and show lost writes and times without service."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

from hosts import history, report
from hosts.faults import Fault
from hosts.report import Result


def record(number: int, kind: str, outcome: str, **fields: Any) -> history.Record:
    """An operation that is sent at second `number` and answered half a second later."""
    returned = None if outcome == history.UNKNOWN else number + 0.5
    common = {"id": str(number), "client": "c", "type": kind, "key": "k", "outcome": outcome}
    return common | {"invoked": float(number), "returned": returned} | fields


class Judged(unittest.TestCase):
    def test_refused_operations_unanswered_reads_and_aborted_transactions_are_no_part(self) -> None:
        put = {"value": "a"}
        records = [
            record(0, "put", history.OK, **put),
            record(1, "put", history.UNKNOWN, **put),
            record(2, "put", history.REFUSED, **put),
            record(3, "get", history.OK, **put),
            record(4, "get", history.UNKNOWN),
            record(5, "get", history.REFUSED),
            record(6, "transaction", history.OK, aborted=True),
            record(7, "transaction", history.OK),
        ]
        self.assertEqual([line["id"] for line in history.judged(records)], ["0", "1", "3", "7"])

    @unittest.skipUnless("KVSTORE" in os.environ, "needs the program that judges")
    def test_refused_write_that_took_effect_is_a_contradiction(self) -> None:
        records = [
            record(0, "put", history.REFUSED, value="a"),
            record(1, "get", history.OK, value="a", exists=True),
        ]
        self.assertEqual(self.verdict(records), 1)
        records[0] |= {"outcome": history.UNKNOWN, "returned": None}
        self.assertEqual(self.verdict(records), 0)

    @staticmethod
    def verdict(records: list[history.Record]) -> int:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "history.jsonl"
            history.write(path, history.judged(records))
            command = [os.environ["KVSTORE"], "check", str(path)]
            return subprocess.run(command, capture_output=True, check=False).returncode


class Ledger(unittest.TestCase):
    def test_lost_and_risen_writes_are_told_apart(self) -> None:
        def put(number: int, outcome: str) -> history.Record:
            return record(number, "put", outcome, key=f"w{number}", value=f"v{number}")

        records = [
            put(0, history.OK),
            put(1, history.OK),
            put(2, history.UNKNOWN),
            put(3, history.UNKNOWN),
            put(4, history.REFUSED),
            put(5, history.REFUSED),
            record(6, "put", history.OK, key="t1", value="later writes hide it"),
        ]
        final = {"w0": "v0", "w2": "v2", "w4": "v4", "t1": "another one"}
        self.assertEqual(history.misplaced(records, final), (["w1"], ["w4"]))

    def test_keys_of_transactions_are_found(self) -> None:
        ops = [{"type": "put", "key": "a"}, {"type": "get", "key": "b"}]
        records = [record(0, "transaction", history.OK, ops=ops), record(1, "get", history.OK, key="a")]
        self.assertEqual(history.keys(records), ["a", "b"])


class Gaps(unittest.TestCase):
    def test_gap_may_begin_with_the_fault_or_last_to_the_end(self) -> None:
        acknowledged = [1.0, 2.0, 3.0, 7.0, 8.0]
        self.assertEqual(history.longest_gap(acknowledged, 2.5, 8.0), 4.0)
        self.assertEqual(history.longest_gap(acknowledged, 3.5, 7.0), 3.5)
        self.assertEqual(history.longest_gap(acknowledged, 8.0, 10.0), 2.0)
        self.assertEqual(history.longest_gap([], 8.0, 10.0), 2.0)

    def test_operations_count_for_the_fault_before_them(self) -> None:
        records = [record(number, "put", history.OK, value="") for number in range(6)]
        records += [record(6, "get", history.OK), record(7, "put", history.REFUSED, reason="-OOM")]
        faults = [Fault("one", "", 1.0, 2.0, 2.5), Fault("two", "", 4.0, 5.0, 5.5)]
        result = Result("plan", 1, 3, False)
        report.count(result, records, faults, 10.0)
        self.assertEqual([fault["ok"] for fault in result.faults], [3, 3])
        self.assertEqual([fault["refused"] for fault in result.faults], [0, 1])
        self.assertEqual([fault["gap_s"] for fault in result.faults], [1.0, 4.5])
        self.assertEqual([fault["whole_s"] for fault in result.faults], [0.5, 0.5])
        self.assertEqual((result.acknowledged_writes, result.operations["ok"]), (6, 7))
        self.assertEqual(result.reasons, {"-OOM": 1})
        self.assertTrue(json.dumps(result.as_json()))
        self.assertIn("passed", list(report.lines(result))[-1])
        result.problems.append("a reason")
        self.assertEqual(list(report.lines(result))[-1], "FAILED  a reason")


if __name__ == "__main__":
    unittest.main()
