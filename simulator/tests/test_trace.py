"""The trace of a run: its records, its file, and the reader of damaged ones."""

import gzip
import json
import tempfile
import unittest
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import config
from simulator.call import Call
from simulator.client import Request
from simulator.tests.support import ROOT, small_scenario
from simulator.trace import sink
from simulator.trace.reader import Reader, TraceError
from simulator.trace.recorder import Recorder
from simulator.trace.sink import Sink

HEADING = {"kvstore_trace": 1, "seed": 7}
BODY = b'{"src":"0000","x":[1]}'


class FileCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "run.trace"
        self.told: list[str] = []
        self.now = 0.0

    def recorder(self, path: Path | None = None, started: bool = True) -> Recorder:
        recorder = Recorder(Sink(path or self.path), "run again --seed {seed}", self.told.append)
        recorder.begin(HEADING)
        if started:
            recorder.start(lambda: self.now, 0.0)
        return recorder

    def lines(self) -> list[Any]:
        text = gzip.decompress(self.path.read_bytes()) if self.path.suffix == ".gz" else self.path.read_bytes()
        *lines, rest = text.split(b"\n")
        self.assertEqual(rest, b"")
        return [json.loads(line) for line in lines]

    def records(self) -> list[Any]:
        return self.lines()[1:-1]


class Records(FileCase):
    def test_first_line_has_the_command_that_repeats_the_run(self) -> None:
        self.recorder().end({"end": True})
        self.assertEqual(self.lines(), [HEADING | {"command": "run again --seed 7"}, {"end": True}])

    def test_records_wait_until_the_run_is_quiet_or_many_wait(self) -> None:
        recorder = self.recorder()
        self.assertTrue(recorder.is_behind)
        self.assertEqual(self.path.read_bytes(), b"")
        recorder.write()
        self.assertFalse(recorder.is_behind)
        self.assertEqual(len(self.lines()), 1)
        for _ in range(100):
            recorder.message(1.0, "0000", "0001", BODY, None)
        self.assertEqual(len(self.lines()), 65)
        recorder.close()
        self.assertEqual(len(self.lines()), 101)

    def test_message_has_its_fate_and_a_broadcast_has_one_body(self) -> None:
        recorder = self.recorder()
        with mock.patch("simulator.trace.recorder.monotonic", lambda: 1.0000151):
            recorder.message(1.0, "0000", "0001", BODY, None)
        recorder.message(1.0, "0000", "0002", None, "chance")
        recorder.message(1.0, "0000", "0003", None, "waits")
        recorder.message(1.0, "0001", "0000", b'{"src":"0001"}', "dead")
        recorder.end({"end": True})
        body = json.loads(BODY)
        self.assertEqual(self.records(), [
            ["m", 1000000, 0, "0000", "0001", body, 15],
            ["m", 1000000, 1, "0000", "0002", None, "chance"],
            ["m", 1000000, 2, "0000", "0003", None],
            ["m", 1000000, 3, "0001", "0000", {"src": "0001"}, "dead"],
        ])

    def test_waiting_messages_are_delivered_in_order_or_lost_with_their_receiver(self) -> None:
        recorder = self.recorder()
        for number in range(4):
            recorder.message(0, "0000", "0001", b"%d" % number, "waits")
        recorder.passed("0001", 2)
        recorder.passed("0002", 1)
        recorder.event("restart", replica="0001")
        recorder.end({"end": True})
        self.assertEqual(self.records()[4:], [
            ["d", 0, 0], ["d", 0, 1], ["e", 0, "restart", {"replica": "0001"}], ["x", 0, 2, "down"], ["x", 0, 3, "down"],
        ])

    def test_delayed_message_has_its_fate_later_and_its_copy_has_one_too(self) -> None:
        recorder = self.recorder()
        number = recorder.message(0, "0000", "0001", BODY, "later")
        recorder.settle(number, "0001", None)
        recorder.settle(number, "0001", "waits")
        recorder.passed("0001", 2)
        recorder.settle(recorder.next_number(), "0001", "dead")
        recorder.end({"end": True})
        self.assertEqual(self.records(), [
            ["m", 0, 0, "0000", "0001", {"src": "0000", "x": [1]}], ["d", 0, 0], ["d", 0, 0], ["x", 0, 1, "dead"],
        ])

    def test_message_over_several_lines_is_one_line(self) -> None:
        recorder = self.recorder()
        recorder.message(0, "0000", "0001", b'{\r\n  "src": "0000"\n}', "chance")
        recorder.message(0, "0000", "0001", '{"x":"é\u2028"}'.encode(), "chance")
        recorder.end({"end": True})
        self.assertEqual([record[5] for record in self.records()], [{"src": "0000"}, {"x": "é\u2028"}])

    def test_deep_and_malformed_messages_are_strings(self) -> None:
        recorder = self.recorder()
        deep = b'{"x":' + b"[" * 500 + b"]" * 500 + b"}"
        recorder.message(0, "0000", "0001", deep, "chance")
        malformed = b'\xff"\n'
        recorder.stray("0000", malformed)
        recorder.stray(None, b"[]")
        recorder.end({"end": True})
        self.assertEqual(self.records(), [
            ["m", 0, 0, "0000", "0001", deep.decode(), "chance"],
            ["m", 0, 1, "0000", None, '\\xff"\n', "malformed"],
            ["m", 0, 2, None, None, "[]", "malformed"],
        ])

    def test_changed_bytes_are_text_also_if_they_are_no_utf_8(self) -> None:
        recorder = self.recorder()
        number = recorder.message(0, "0000", "0001", BODY, "later")
        recorder.change(number, b'{"src\xff')
        recorder.settle(number, "0001", None)
        recorder.end({"end": True})
        self.assertEqual(self.records()[1:], [["c", 0, 0, '{"src\\xff'], ["d", 0, 0]])

    def test_message_that_has_arrived_and_is_refused_is_one_record(self) -> None:
        recorder = self.recorder()
        recorder.response(0, "0000", "0015", BODY, None)
        recorder.stray("0000", BODY)
        recorder.end({"end": True})
        self.assertEqual(len(self.records()), 1)

    def test_records_before_the_start_have_negative_times(self) -> None:
        recorder = self.recorder(started=False)
        with mock.patch("simulator.trace.recorder.monotonic", lambda: 9.5):
            recorder.output("0001", "err", "early")
        recorder.start(lambda: 0.25, 10.0)
        recorder.output("0001", "out", "later")
        recorder.end({"end": True})
        self.assertEqual(self.records(), [
            ["o", -500000, "0001", "err", "early"], ["o", 250000, "0001", "out", "later"],
        ])

    def test_attempts_and_answers_have_the_fields_of_their_operation(self) -> None:
        recorder = self.recorder()
        first = Request("00000000", "0015", Call("cas", "k", {"from": "a", "to": "b"}), 1.5)
        recorder.request(first)
        second = Request("00000001", "0015", first.call, 1.75, before=first)
        recorder.request(second)
        second.outcome, second.answer, second.answered_by, second.returned = "ok", False, "0002", 2.0
        recorder.answer(second, "0001")
        recorder.end({"end": True})
        asked = {"type": "cas", "key": "k", "from": "a", "to": "b"}
        self.assertEqual(self.records(), [
            ["q", 1500000, "00000000", "0015", asked],
            ["q", 1750000, "00000001", "0015", asked | {"before": "00000000"}],
            ["a", 2000000, "00000001", "ok", {"replica": "0002", "leader": "0001", "done": False}],
        ])

    def test_fault_names_the_requests_and_replicas_in_its_text(self) -> None:
        recorder = self.recorder()
        recorder.fault("incorrect value: from replica 0002: get k (MID 0000002a), put 0000002a")
        recorder.fault("possible packet storm")
        recorder.end({"end": True})
        self.assertEqual([record[3:] for record in self.records()], [
            [{"mids": ["0000002a"], "replicas": ["0002"]}], [{}],
        ])


class Files(FileCase):
    def test_compressed_file_has_the_same_records(self) -> None:
        self.path = self.path.with_suffix(".trace.gz")
        recorder = self.recorder(self.path)
        recorder.note("text")
        recorder.end({"end": True})
        self.assertEqual(self.records(), [["e", 0, "note", {"text": "text"}]])
        self.assertEqual(list(Reader(self.path)), self.records())

    def test_full_disk_ends_the_trace_with_one_line_and_raises_nothing(self) -> None:
        recorder = self.recorder(Path("/dev/full"))
        for _ in range(2000):
            recorder.note("text")
        recorder.end({"end": True})
        self.assertEqual(self.told, ["/dev/full: the trace ends here: No space left on device"])

    def test_trace_has_a_greatest_length(self) -> None:
        with mock.patch.object(sink, "MOST_BYTES", 10_000):
            recorder = self.recorder()
            for _ in range(2000):
                recorder.note("text")
            recorder.end({"end": True})
        self.assertEqual(self.told, [f"{self.path}: the trace ends here: it would be longer than 10,000 bytes"])
        self.assertLess(self.path.stat().st_size, 10_000)
        self.assertEqual(sum(1 for _ in self.read()), self.path.read_bytes().count(b"\n") - 1)

    def read(self) -> Reader:
        return Reader(self.path)


class Damage(FileCase):
    def write(self, *lines: bytes) -> None:
        self.path.write_bytes(b"".join(lines))

    def damage(self) -> tuple[int, str | None]:
        """How many records are read, and the words about the damage after the path."""
        reader = Reader(self.path)
        records = len(list(reader))
        return records, reader.damage and reader.damage.removeprefix(f"{self.path}: ")

    def test_damage_is_told_with_its_line_and_the_lines_before_are_used(self) -> None:
        first, record = b'{"kvstore_trace":1}\n', b'["d",0,0]\n'
        for rest, line, what in (
            ((record,), 3, "is missing, so the trace has no end"),
            ((record, b'["d",'), 3, "is cut off"),
            ((record, b'["d",\n'), 3, "is not JSON"),
            ((record, b"7\n", record), 3, "is no record"),
            ((b"[]\n",), 2, "is no record"),
            ((b"[[]]\n",), 2, "is no record"),
            ((record, b"\xff\n"), 3, "is not JSON"),
        ):
            with self.subTest(what, rest=rest):
                self.write(first, *rest)
                told = f"line {line} {what}; the lines before it are used"
                self.assertEqual(self.damage(), (line - 2, told))

    def test_whole_file_has_no_damage(self) -> None:
        self.write(b'{"kvstore_trace":1}\n', b'["d",0,0]\n', b'{"end":true,"time":1}\n')
        self.assertEqual(self.damage(), (1, None))

    def test_compressed_file_that_is_cut_off_is_used_up_to_there(self) -> None:
        lines = b'{"kvstore_trace":1}\n' + b"".join(b'["d",%d,0]\n' % number for number in range(50_000))
        whole = gzip.compress(lines)
        for damaged in (whole[:len(whole) // 2], whole[:-9] + b"123456789", whole[:-8]):
            self.write(damaged)
            records, told = self.damage()
            self.assertGreater(records, 1000)
            self.assertIn("the lines before it are used", told or "")

    def test_file_that_is_no_trace_is_refused(self) -> None:
        for content, words in (
            (b"", "is not a trace"), (b"hello\n", "is not a trace"), (b"[]\n", "is not a trace"),
            (b"{}\n", "is not a trace"), (b'{"kvstore_trace":2}\n', "has version 2 of the format, 1 is known"),
        ):
            with self.subTest(content):
                self.write(content)
                with self.assertRaisesRegex(TraceError, words):
                    Reader(self.path)
        with self.assertRaisesRegex(TraceError, "cannot be read: No such file"):
            Reader(self.path.with_name("absent"))


class Settings(unittest.TestCase):
    def test_settings_of_faults_mean_the_same_when_read_again(self) -> None:
        links = [{"from": "0000", "to": ["0001", "clients"], "pareto": [0.1, 2]}, {"normal": [0.1, 0]}]
        when = {"on": "message_sent", "message": "append", "after": 0.5, "from": 1, "count": 2}
        events = [
            {"type": "flap", "time": 1, "period": 0.1, "replica": "leader"},
            {"type": "slow", "by": 0.5, "replica": "0001", "when": when},
            {"type": "heal", "when": {"on": "killed"}},
        ]
        for changes in (
            {"delay": {"constant": 0.5}}, {"delay": {"uniform": [0, 1]}, "reorder": True},
            {"delay": {"links": links}, "reorder": True}, {"delay": {"normal": [1, 1], "links": links}},
            {"bandwidth": 5000, "corrupt": 0.5}, {"events": events},
        ):
            with self.subTest(changes):
                scenario = small_scenario(**changes)
                content = json.loads(json.dumps(config.as_file(scenario)))
                again = config.of_content("scenario", content)
                for key in ("delay", "bandwidth", "corrupt"):
                    self.assertEqual(getattr(again, key), getattr(scenario, key))
                self.assertEqual(list(map(asdict, again.events)), list(map(asdict, scenario.events)))

    def test_settings_of_every_scenario_mean_the_same_when_read_again(self) -> None:
        paths = sorted((ROOT / "configs").rglob("*.json"))
        self.assertGreater(len(paths), 17)
        for path in paths:
            with self.subTest(path.name):
                scenario = config.load(path)
                content = json.loads(json.dumps(config.as_file(scenario)))
                again = config.of_content(path.stem, content)
                self.assertEqual(config.as_file(again), config.as_file(scenario))
