"""The output of replicas: lines that are safe to show, floods, and pipes that never end."""

import contextlib
import os
import selectors
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, cast
from unittest import mock

from simulator import lines, lives
from simulator.chronicle import Chronicle
from simulator.console import Output
from simulator.lines import LAST_LINES, MOST_LINES, Pipe, Printed
from simulator.lives import Cluster, Lives, Surroundings
from simulator.replica import Replica
from simulator.tests.test_network import network
from simulator.trace.recorder import Recorder
from simulator.trace.sink import Sink
from simulator.transport import Transport


class PipeCase(unittest.TestCase):
    def setUp(self) -> None:
        reader, self.writer = os.pipe()
        self.addCleanup(lambda: os.close(self.writer))
        self.printed = Printed()
        self.kept: list[str] = []
        self.heard: list[str] = []
        self.selector = selectors.EpollSelector()
        self.addCleanup(self.selector.close)
        self.pipe = Pipe(os.fdopen(reader, "rb", 0), self.selector, self.printed, self.take)
        self.addCleanup(self.pipe.close)

    def take(self, line: str, is_kept: bool) -> None:
        self.heard.append(line)
        if is_kept:
            self.kept.append(line)

    def write(self, data: bytes) -> None:
        """Write as much at a time as a pipe holds."""
        for start in range(0, len(data), 65_536):
            os.write(self.writer, data[start:start + 65_536])
            while self.pipe.read():
                pass


class Lines(PipeCase):
    def test_lines_are_made_safe_for_a_terminal(self) -> None:
        self.write(b"\x1b[2J\x1b]0;title\x07\ttab\r\n\xff\x00\xe2\x80\xae\n\n")
        self.assertEqual(self.kept, [r"\x1b[2J\x1b]0;title\x07  tab", r"\xff\x00\u202e", ""])

    def test_line_without_an_end_is_cut_and_the_rest_goes_on(self) -> None:
        self.write(b"x" * 1_000_000)
        self.assertEqual(sum(map(len, self.kept)), 1_000_000)
        self.assertLess(max(map(len, self.kept)), 100_000)

    def test_line_in_parts_is_one_line(self) -> None:
        for part in (b"one ", b"line", b"\nand", b" another\n"):
            self.write(part)
        self.assertEqual(self.kept, ["one line", "and another"])


class Floods(PipeCase):
    def test_first_lines_are_kept_and_all_are_counted(self) -> None:
        self.write(b"".join(b"%d\n" % number for number in range(100_000)))
        self.assertEqual(self.kept, [str(number) for number in range(MOST_LINES)])
        self.assertEqual((self.printed.lines, self.printed.kept), (100_000, MOST_LINES))

    def test_last_lines_of_a_flood_are_heard(self) -> None:
        self.write(b"".join(b"%d\n" % number for number in range(100_000)))
        self.assertEqual(self.heard[-LAST_LINES:], [str(n) for n in range(100_000 - LAST_LINES, 100_000)])
        # The lines between are counted without a look at them.
        self.assertLess(len(self.heard), MOST_LINES + 70_000)

    def test_few_long_lines_are_a_flood(self) -> None:
        self.write((b"x" * 16_000 + b"\n") * 1000)
        self.assertEqual(self.printed.lines, 1000)
        self.assertLessEqual(sum(map(len, self.kept)), lines.MOST_BYTES + 16_000)

    def test_flood_of_garbage_without_an_end_of_line_is_bounded(self) -> None:
        self.write(b"\x1b" * (lines.MOST_BYTES * 2))
        self.assertLessEqual(sum(map(len, self.kept)), 4 * lines.MOST_BYTES + 400_000)
        self.assertGreater(self.printed.lines, self.printed.kept)
        self.assertEqual(self.heard[-1], r"\x1b" * 1000)


class Processes(unittest.TestCase):
    def started(self, program: str, **mocked: int) -> tuple[Replica, list[str]]:
        said: list[str] = []
        selector = selectors.EpollSelector()
        self.addCleanup(selector.close)
        replica = Replica(
            "0002", [sys.executable, "-c", program], Path("/"), selector, lambda *told: said.append(told[2]), {}
        )
        self.addCleanup(replica.kill)
        while not replica.has_exited():
            for key, _ in selector.select(0.01):
                key.data(_)
        return replica, said

    def test_end_of_a_process_that_flooded_its_errors_is_explained(self) -> None:
        replica, said = self.started(
            "import sys; sys.stderr.write('noise\\n' * 50_000); sys.stderr.write('the reason\\n'); sys.exit(3)"
        )
        self.assertEqual(len(said), MOST_LINES)
        self.assertTrue(replica.describe_end().endswith("\n    the reason"), replica.describe_end())

    def test_pipe_that_another_process_floods_does_not_hold_up_the_end(self) -> None:
        daemon = (
            "import os, sys\n"
            "if os.fork() == 0:\n"
            "    os.setsid(); print('daemon', os.getpid(), flush=True)\n"
            "    os.execvp('yes', ['yes'])\n"
            "sys.exit(0)\n"
        )
        replica, said = self.started(daemon)
        self.assertEqual(replica.process.returncode, 0)
        # The pipe is closed, so the other process ends by itself.
        for pid in (int(line.split()[1]) for line in said if line.startswith("daemon")):
            self.addCleanup(_kill, pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)


class Told(unittest.TestCase):
    def test_flood_is_told_once_when_it_begins_and_counted_at_the_end(self) -> None:
        said: list[str] = []
        with selectors.EpollSelector() as selector, mock.patch.object(lives, "Replica") as made:
            owner = Lives(
                Cluster(Path("/program")), Surroundings(selector, Path("/"), {}), network(),
                cast(Transport, mock.Mock(arguments=lambda id: [id])), Chronicle(),
                Output(lambda text, _: said.append(text)), lambda: 7.0,
            )
            owner.launch(1)
            arguments: Any = made.call_args_list[2].args
        id, show, printed = arguments[0], arguments[4], arguments[6]
        for _ in range(MOST_LINES + 1_234):
            if printed.admit(1):
                show(id, "out", "line")
        owner.tell_what_is_left()
        self.assertEqual(said[MOST_LINES:], [
            "[  7.000] replica 0002 prints a flood of output: its further lines are only counted",
            f"[  7.000] replica 0002 printed 21,234 lines; the first {MOST_LINES:,} were kept",
        ])


class BeforeTheStart(unittest.TestCase):
    def test_records_that_wait_for_the_clock_are_bounded(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "trace"
            recorder = Recorder(Sink(path), "", print)
            with mock.patch.object(recorder, "_early_room", 100_000):
                for _ in range(1000):
                    recorder.stray(None, b"x" * 1000)
                self.assertLess(len(recorder._early), 100)
                recorder.close()


if __name__ == "__main__":
    unittest.main()
