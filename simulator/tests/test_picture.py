"""The page of a run, without a browser: what it holds of a whole and of a damaged trace."""

import base64
import contextlib
import gzip
import json
import re
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from simulator import picture
from simulator.picture import packing, page, reading
from simulator.tests import synthetic_trace
from simulator.tests.support import FAKE_REPLICA, ROOT, Runs
from simulator.trace.reader import TraceError

HEAD = {
    "kvstore_trace": 1, "source": "run.py", "scenario": "small", "seed": 3,
    "replicas": ["0000", "0001"], "clients": ["0012"],
}
PUT = {"src": "0012", "dst": "0000", "leader": "FFFF", "type": "put", "MID": "01", "key": "k", "value": "é</script>"}
APPEND = {"src": "0000", "dst": "FFFF", "leader": "0000", "type": "append", "term": 4}
RECORDS = [
    ["q", 90, "01", "0012", {"type": "put", "key": "k", "value": "v"}],
    ["m", 100, 0, "0012", "0000", PUT, 20],
    ["m", 150, 1, "0000", "0001", APPEND],
    ["m", 150, 2, "0000", "0012", None, "chance"],
    ["e", 160, "kill", {"replica": "0001"}],
    ["d", 190, 1],
    ["d", 260, 1],
    ["m", 120, 3, "0001", "0099", "not JSON", "unknown"],
    ["x", 300, 2, "too late"],
    ["o", 310, "0000", "err", "a line"],
    ["z", 320, "a kind of the future"],
    ["a", 400, "01", "ok", {"replica": "0000"}],
    ["f", 410, "a fault", {"mids": ["01"]}],
]
END = {"end": True, "time": 500, "verdict": "passed", "checks": []}
# Lines that a damaged file may have.
DAMAGED = {
    '["m", 100, 4': "is cut off",
    '{"end": tru}\n': "is not JSON",
    '["m", "soon", 4, "0000", "0001", {}]\n': "is no record",
    '["m", 1e400, 4, "0000", "0001", {}]\n': "is no",
    '["m", 100, 4, "0000", "0001", {"n": 1e400}]\n': "is no",
    '["e", 100, "note", {"n": -1e400}]\n': "is no",
    '["m", 1e300, 4, "0000", "0001", {}]\n': "is no record",
    '["m", 100, 4, "0000", "0001", {"term": NaN}]\n': "is not JSON",
    '["m", 100, 4, "0000", "0001"]\n': "is no record",
    '["d", 100, 77]\n': "is no record",
    '["c", 100, 77, "body"]\n': "is no record",
    '["q", 100, "02", "0012", "put"]\n': "is no record",
    '["e", 100]\n': "is no record",
    "7\n": "is no record",
    f'{"[" * 100_000}\n': "",
}
DAMAGES = 200
runs = Runs()
kept = tempfile.TemporaryDirectory()


def setUpModule() -> None:
    page = str(Path(kept.name) / "page.html")
    none = str(Path(kept.name) / "none.html")
    runs.add("none", "exits_at_once", "--report", none)
    runs.add("two", "correct", "--beside", str(FAKE_REPLICA), "--report", page, lifetime=5, end_wait=3)


def tearDownModule() -> None:
    runs.clean_up()
    kept.cleanup()


def unpacked(run: reading.Run) -> tuple[dict[str, Any], dict[str, list[int]], dict[str, list[str]]]:
    """The header, the columns and the lines of the texts of a packed run."""
    raw = zlib.decompress(packing.pack(run))
    start = 4 + int.from_bytes(raw[:4], "little")
    header, blocks = json.loads(raw[4:start]), raw[start:]
    columns = {
        name: [sum(blocks[at + place * count + i] << 8 * place for place in range(width)) for i in range(count)]
        for name, (at, count, width) in header["columns"].items()
    }
    texts = {name: blocks[at:at + size].decode().split("\n") for name, (at, size) in header["texts"].items()}
    return header, columns, texts


class Picture(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.trace = Path(directory.name) / "a.trace"
        self.html = Path(directory.name) / "a.html"

    def write(self, *records: Any, tail: str = "") -> Path:
        self.trace.write_text("".join(f"{json.dumps(record)}\n" for record in records) + tail)
        return self.trace

    def test_columns_hold_the_messages_in_the_order_of_sending(self) -> None:
        header, columns, texts = unpacked(reading.read(self.write(HEAD, *RECORDS, END)))
        self.assertEqual(header["processes"], ["0012", "0000", "0001", "0099"])
        self.assertEqual((header["firstSent"], columns["sent"]), (100, [0, 20, 30, 0]))
        self.assertEqual([header["types"][type] for type in columns["type"]], ["put", "(malformed)", "append", "append"])
        self.assertEqual(columns["from"], [0, 2, 1, 1])
        self.assertEqual(columns["to"], [1, 3, 2, 0])
        self.assertEqual(columns["term"], [0, 0, 4, 4])
        self.assertEqual(columns["news"], [1, 1, 1, 0])
        self.assertEqual([json.loads(line) for line in texts["bodies"]], [PUT, "not JSON", APPEND])

    def test_columns_hold_the_fate_of_each_message(self) -> None:
        header, columns, _ = unpacked(reading.read(self.write(HEAD, *RECORDS, ["m", 170, 4, "0000", "0001", {}], END)))
        reasons = [packing.FIRST_REASON + header["reasons"].index(reason) for reason in ("unknown", "chance")]
        self.assertEqual(columns["fate"], [packing.DELIVERED, reasons[0], packing.DELIVERED, reasons[1], packing.UNDECIDED])
        self.assertEqual(columns["delay"], [20, 0, 40, 0, 0])
        self.assertEqual((columns["copy"], columns["copyDelay"]), ([2], [110]))

    def test_damaged_messages_have_the_bodies_with_which_they_arrived(self) -> None:
        changed = [["c", 260, 1, '{"type":"appenn\\xff'], ["c", 261, 1, "again"]]
        header, columns, texts = unpacked(reading.read(self.write(HEAD, *RECORDS, *changed, END)))
        self.assertIsNone(header["damage"])
        self.assertEqual(columns["changed"], [2, 2])
        self.assertEqual([json.loads(line) for line in texts["changedBodies"]], [body for *_, body in changed])

    def test_columns_hold_the_operations_with_their_ends(self) -> None:
        unanswered = ["q", 95, "02", "0012", {"type": "get", "key": "k"}]
        header, columns, texts = unpacked(reading.read(self.write(HEAD, *RECORDS, unanswered, END)))
        self.assertEqual((header["firstInvoked"], columns["invoked"], columns["took"]), (90, [0, 5], [310, 0]))
        self.assertEqual([header["outcomes"][outcome] for outcome in columns["outcome"]], ["ok", ""])
        self.assertEqual([header["mids"][mid] for mid in columns["operationMid"]], ["01", "02"])
        self.assertEqual(json.loads(texts["operations"][0])[1], {"replica": "0000"})

    def test_client_that_the_first_line_does_not_name_has_its_place_among_the_clients(self) -> None:
        other = ["q", 95, "02", "00FE", {"type": "get", "key": "k"}]
        header, columns, _ = unpacked(reading.read(self.write(HEAD, *RECORDS, other, END)))
        self.assertEqual(header["clients"], ["0012", "00FE"])
        self.assertEqual(header["processes"], ["0012", "00FE", "0000", "0001", "0099"])
        self.assertEqual(columns["client"], [0, 1])

    def test_events_output_and_faults_are_kept(self) -> None:
        header, _, _ = unpacked(reading.read(self.write(HEAD, *RECORDS, END)))
        self.assertEqual(header["events"], [[160, "kill", {"replica": "0001"}]])
        self.assertEqual(header["output"], [[310, "0000", "err", "a line"]])
        self.assertEqual(header["faults"], [[410, "a fault", {"mids": ["01"], "replicas": []}]])
        self.assertEqual(header["end"], {
            "verdict": "passed", "time": 500, "checks": [], "tiers": [], "linearizability": None,
        })
        self.assertIsNone(header["damage"])

    def test_flood_of_output_is_shown_in_part(self) -> None:
        lines = [["o", time, "0000", "out", "x" * 5_000] for time in range(20_003)]
        header, _, _ = unpacked(reading.read(self.write(HEAD, *lines, END)))
        self.assertEqual(header["leftOut"], {"lines of output": 3, "faults": 0, "events": 0})
        self.assertEqual([len(header["output"]), len(header["output"][0][3])], [20_000, 2_000])

    def test_start_of_a_malformed_message_is_shown(self) -> None:
        for text, shown in (("x" * 5_000, "x" * 1_000 + "..."), ("short", "short")):
            run = reading.read(self.write(HEAD, ["m", 100, 0, "0000", None, text, "malformed"], END))
            self.assertEqual(json.loads(run.messages[0].body.text), shown)
        # A message with many brackets is text in a trace, too, and no garbage.
        run = reading.read(self.write(HEAD, ["m", 100, 0, "0000", "0001", "[" * 5_000, 20], END))
        self.assertEqual(len(json.loads(run.messages[0].body.text)), 5_000)

    def test_damaged_line_is_named_and_the_lines_before_it_are_kept(self) -> None:
        for line, what in DAMAGED.items():
            with self.subTest(line=line[:60]):
                after = f"{json.dumps(END)}\n" if line.endswith("\n") else ""
                run = reading.read(self.write(HEAD, *RECORDS, tail=line + after))
                self.assertRegex(run.damage or "", rf"line {len(RECORDS) + 2} .*{what}")
                self.assertEqual((len(run.messages), len(run.operations), run.end), (4, 1, None))
                self.assertIsNotNone(packing.pack(run))

    def test_trace_that_is_cut_or_changed_anywhere_is_drawn_or_refused(self) -> None:
        whole = self.write(HEAD, *RECORDS, END).read_bytes()
        draw = Random(1)
        drawn = 0
        for _ in range(DAMAGES):
            content = bytearray(whole[:draw.choice((len(whole), draw.randrange(len(whole))))])
            for _ in range(draw.randrange(3)):
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            self.trace.write_bytes(content)
            with contextlib.suppress(TraceError):
                picture.write(self.trace, self.html)
                drawn += 1
        self.assertGreater(drawn, DAMAGES / 2)

    def test_fields_of_another_type_are_drawn_as_text_or_left_out(self) -> None:
        records = [
            ["e", 1, "partition", {"side": "0000"}], ["e", 2, "kill", {"replica": ["0000"]}],
            ["e", 3, "slow", {"replica": "0000", "by": []}], ["f", 4, "a fault", {"mids": 5, "replicas": [6]}],
        ]
        end = END | {"checks": [7, {"name": 8, "passed": 1}], "tiers": [{"value": "fast"}], "linearizability": 9}
        header, _, _ = unpacked(reading.read(self.write(HEAD, *records, end)))
        self.assertEqual([data for _, _, data in header["events"]], [
            {"side": []}, {"replica": "['0000']"}, {"replica": "0000", "by": "[]"},
        ])
        self.assertEqual(header["faults"][0][2], {"mids": [], "replicas": ["6"]})
        self.assertEqual(header["end"]["checks"], [{"name": "8", "passed": False, "text": ""}])
        self.assertEqual((header["end"]["tiers"], header["end"]["linearizability"]), ([], None))

    def test_trace_without_its_last_line_has_no_verdict(self) -> None:
        run = reading.read(self.write(HEAD, *RECORDS))
        self.assertIn(f"line {len(RECORDS) + 2} is missing", run.damage or "")

    def test_file_that_is_no_trace_is_refused(self) -> None:
        for content in ("", "{}\n", "[1]\n", "text\n", "\x1f\x8bno gzip", json.dumps(HEAD | {"kvstore_trace": 2}) + "\n"):
            with self.subTest(content=content), self.assertRaises(TraceError):
                self.trace.write_text(content, encoding="latin-1")
                reading.read(self.trace)

    def test_compressed_trace_is_read_as_far_as_it_goes(self) -> None:
        whole = self.write(HEAD, *RECORDS * 500, END).read_bytes()
        self.trace.write_bytes(gzip.compress(whole))
        self.assertIsNone(reading.read(self.trace).damage)
        self.trace.write_bytes(gzip.compress(whole)[:-500])
        run = reading.read(self.trace)
        self.assertRegex(run.damage or "", r"line [\d,]+")
        self.assertGreater(len(run.messages), 4)

    def test_page_holds_all_that_it_needs_and_no_text_of_a_replica_as_markup(self) -> None:
        trace = self.write(HEAD | {"scenario": "<script>alert(1)</script>{{run}}"}, *RECORDS, END)
        self.assertEqual(picture.write(trace, self.html), picture.Drawn("run.py", "passed", None))
        html = self.html.read_text()
        self.assertIn("<title>&lt;script&gt;alert(1)&lt;/script&gt;{{run}}, seed 3</title>", html)
        self.assertNotIn("alert(1)</script>", html)
        self.assertNotRegex(html, r'(src|href)="(?!data:)|url\(|@import|https?:|\bfetch\(')
        self.assertEqual(html.count("</script>"), 3)

    def test_page_has_the_advice_of_the_trace(self) -> None:
        broken = ["f", 200, 'malformed message: from replica 0000: "src" must be the sender', {"replicas": ["0000"]}]
        failed = END | {"verdict": "failed"}
        with mock.patch.object(picture.page, "render", lambda run, packed: str(zlib.decompress(packed))):
            picture.write(self.write(HEAD, *RECORDS, broken, failed), self.html)
        self.assertRegex(self.html.read_text(), '"advice":..*"text":"0000 sent a message')

    def test_page_says_what_is_wrong_with_the_trace(self) -> None:
        drawn = picture.write(self.write(HEAD, tail="{"), self.html)
        self.assertIn("line 2", drawn.damage or "")
        self.assertEqual(drawn.verdict, "unknown")
        self.assertTrue(self.html.exists())

    def test_page_with_20000_messages_has_less_than_two_megabytes(self) -> None:
        synthetic_trace.write(self.trace, 20_000)
        self.assertIsNone(picture.write(self.trace, self.html).damage)
        self.assertLess(self.html.stat().st_size, 2_000_000)

    def test_page_runs_every_script_of_its_folder_and_the_map_names_it(self) -> None:
        scripts = {path.stem for path in (Path(picture.__file__).parent / "script").glob("*.js")}
        self.assertEqual(scripts, {page.FIRST_SCRIPT, *page.SCRIPTS})
        for script in scripts:
            self.assertIn(f"    {script}.js ", picture.__doc__ or "")


class Commands(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.trace, self.html = Path(directory.name) / "a.trace", Path(directory.name) / "a.html"

    def replay(self, **head: Any) -> subprocess.CompletedProcess[str]:
        """Draw a trace with another first line."""
        self.trace.write_text("".join(f"{json.dumps(record)}\n" for record in (HEAD | head, *RECORDS, END)))
        replay = [sys.executable, str(ROOT / "run.py"), "replay", "--no-check"]
        command = [*replay, str(self.trace), "--report", str(self.html)]
        return subprocess.run(command, capture_output=True, check=False, text=True)

    def test_run_draws_a_page_for_each_cluster_and_leaves_no_trace(self) -> None:
        run = runs.finished("two")
        self.assertEqual(run.exit_code, 0, run.stderr)
        for name in ("page.html", "page-beside.html"):
            self.assertIn(f"{name}: the picture of the run", run.stdout)
            self.assertIn("<title>scenario, seed", (Path(kept.name) / name).read_text())
        self.assertEqual(list(run.temporary.iterdir()), [])

    def test_run_that_does_not_start_has_its_page(self) -> None:
        run = runs.finished("none")
        self.assertEqual(run.exit_code, 1)
        self.assertNotIn("has no end", run.stderr)
        html = (Path(kept.name) / "none.html").read_text()
        packed = re.search('id="run">([^<]+)<', html)
        assert packed is not None
        self.assertIn(b"did not start", zlib.decompress(base64.b64decode(packed[1])))

    def test_page_that_cannot_be_written_is_refused_before_the_run(self) -> None:
        command = [sys.executable, str(ROOT / "run.py"), "--report", "/no/such/page.html", "configs/simple-1.json"]
        done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("/no/such/page.html: must be a file that can be written", done.stderr)

    def test_trace_of_virtual_time_is_drawn(self) -> None:
        done = self.replay(source="explore")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.html.exists())

    def test_replay_draws_a_trace_also_if_it_cannot_be_judged(self) -> None:
        done = self.replay(settings={"lifetime": "long"})
        self.assertEqual(done.returncode, 2)
        self.assertTrue(self.html.exists())


if __name__ == "__main__":
    unittest.main()
