"""The live view: its counters, its rows, and a terminal that is in order after every end.

The tests that draw need the library `rich`; without it they are skipped, and say so.
"""

import contextlib
import fcntl
import importlib.util
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest
from typing import Any
from unittest import mock

from simulator import messages
from simulator.arguments import UsageError
from simulator.console import Console
from simulator.live import link, wanted
from simulator.live.console import LiveConsole
from simulator.live.link import Link
from simulator.live.rows import Rows, of_clients
from simulator.tests.support import HANG_SECONDS, ROOT
from simulator.tests.test_simulation import cluster

HAS_RICH = importlib.util.find_spec("rich") is not None
NEEDS_RICH = unittest.skipUnless(HAS_RICH, "rich is not installed")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def setUpModule() -> None:
    if not HAS_RICH:
        print("rich is not installed, so no test draws the live view", file=sys.stderr)


def replica(id: str, **changes: Any) -> dict[str, Any]:
    return {"id": id, "state": "alive", "leader": "0000", "term": 3, "in": 0, "out": 0} | changes


def snapshot(*replicas: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "name": "replica", "seconds": 1.0, "leader": "0000",
        "replicas": list(replicas or (replica("0000"), replica("0001"), replica("0002"))),
        "cuts": [], "majority": [], "events": [],
        "clients": {"asked": 1200, "answered": 1000, "failed": 0, "redirected": 0, "latency": 0.00123},
    } | changes


class Snapshots(unittest.TestCase):
    def test_counters_and_last_words_of_each_replica(self) -> None:
        with cluster(io.StringIO()) as run:
            run.begin(time.monotonic())
            with mock.patch.object(run._transport, "send", return_value=None):
                for target, leader, term in (("FFFF", "0000", 4), ("0001", "0000", 5)):
                    run.received("0000", messages.encode(
                        {"src": "0000", "dst": target, "leader": leader, "type": "append", "term": term}
                    ))
                run.received("0001", messages.encode(
                    {"src": "0001", "dst": "0000", "leader": "FFFF", "type": "ack", "term": "none"}
                ))
            taken = run.snapshot()
        self.assertEqual([(one["in"], one["out"]) for one in taken["replicas"]], [(1, 3), (2, 1), (1, 0)])
        self.assertEqual([one["leader"] for one in taken["replicas"]], ["0000", "FFFF", None])
        self.assertEqual([one["term"] for one in taken["replicas"]], [5, None, None])
        self.assertEqual(taken["clients"]["asked"], 0)
        json.dumps(taken)

    def test_states_and_partitions(self) -> None:
        with cluster(io.StringIO()) as run:
            run.begin(time.monotonic())
            run.network.split(["0000", "0001"])
            run.network.take_down("0001")
            run.network.remove("0002")
            run._chronicle.end("0002", "killed", 1.5)
            run._chronicle.tell(1.5, "x" * 1000)
            with mock.patch.object(run._lives, "is_paused", lambda id: id == "0000"):
                taken = run.snapshot()
        self.assertEqual([one["state"] for one in taken["replicas"]], ["paused", "down", "killed at 1.500"])
        self.assertEqual(taken["majority"], ["0000", "0001"])
        self.assertIn([["0000", "0001"], ["0002"]], taken["cuts"])
        self.assertEqual([len(event) for event in taken["events"]], [200])

    def test_flap_cuts_a_replica_off_and_a_slow_one_says_so(self) -> None:
        with cluster(io.StringIO()) as run:
            run.begin(time.monotonic())
            run.network.flap(["0001"], ["0001"])
            run.network.slowness["0002"] = 0.01
            taken = run.snapshot()
        self.assertEqual([row.hears for row in Rows().add(taken)], ["●·●", "·●·", "●·●"])
        self.assertEqual([one["state"] for one in taken["replicas"]], ["alive", "alive", "slow"])

    def test_lost_message_does_not_arrive(self) -> None:
        with cluster(io.StringIO()) as run:
            run.network.split(["0000", "0001"])
            run.network.route("0000", "FFFF")
            self.assertEqual(run.network.arrived, {"0000": 0, "0001": 1, "0002": 0})


class RowsOverTime(unittest.TestCase):
    def test_rates_are_over_the_last_second(self) -> None:
        rows = Rows()
        self.assertEqual(rows.add(snapshot(seconds=0.0))[0].sent, "")
        for quarter in range(1, 13):
            out = quarter if quarter <= 8 else 8 + 250 * (quarter - 8)
            [row] = rows.add(snapshot(replica("0000", out=out), seconds=quarter / 4))
        self.assertEqual((row.sent, row.received), ("1,000", "0"))

    def test_new_run_starts_anew(self) -> None:
        rows = Rows()
        rows.add(snapshot(replica("0000", out=1000), seconds=9.0))
        [row] = rows.add(snapshot(replica("0000", out=10, term=None), seconds=0.2))
        self.assertEqual((row.sent, row.term), ("", ""))

    def test_roles(self) -> None:
        rows = Rows().add(snapshot(
            replica("0000", leader="0000"), replica("0001", leader="0001"), replica("0002", leader="FFFF"),
            replica("0003", leader=None), replica("0004"), replica("0005", state="down"), leader="0001",
        ))
        self.assertEqual([row.role for row in rows], [
            "leads", "leads", "knows no leader", "knows no leader", "follows 0000", "",
        ])
        self.assertEqual([row.is_deposed for row in rows], [True, False, False, False, False, False])

    def test_term_stays_until_the_replica_tells_another(self) -> None:
        rows = Rows()
        self.assertEqual(rows.add(snapshot(replica("0000", term=7)))[0].term, "7")
        self.assertEqual(rows.add(snapshot(replica("0000", term=None)))[0].term, "7")

    def test_partition_shows_which_replicas_are_heard(self) -> None:
        rows = Rows().add(snapshot(
            replica("0000"), replica("0001"), replica("0002"), replica("0003", state="killed at 1.000"),
            cuts=[[["0000", "0001"], ["0002"]]], majority=["0000", "0001"],
        ))
        self.assertEqual([row.hears for row in rows], ["●●● ", "●●● ", "··● ", ""])
        self.assertEqual([row.side for row in rows], ["majority", "majority", "minority", "minority"])

    def test_clients_in_one_line(self) -> None:
        self.assertEqual(
            of_clients(snapshot()), "1,000 of 1,200 requests answered, 200 open; latency 1.23 ms"
        )
        clients = {"asked": 1, "answered": 0, "failed": 2, "redirected": 3, "latency": None}
        self.assertEqual(
            of_clients(snapshot(clients=clients)),
            "0 of 1 requests answered, 1 open; 3 redirects, 2 fails",
        )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Choice(unittest.TestCase):
    def test_view_that_is_asked_for_and_impossible_is_told(self) -> None:
        for out, term, library, reason in (
            (io.StringIO(), "xterm", True, "standard output is no terminal"),
            (Terminal(), "dumb", True, "this terminal cannot move its cursor"),
            (Terminal(), "xterm", None, "needs the library rich: pip install rich"),
        ):
            with self.subTest(reason), mock.patch.object(sys, "stdout", out), \
                    mock.patch.dict(os.environ, {"TERM": term}), \
                    mock.patch.object(wanted.importlib.util, "find_spec", lambda _: library):  # noqa: B023
                with self.assertRaisesRegex(UsageError, f"^--live: {reason}$"):
                    wanted.check(True)
                wanted.check(None)
                with wanted.console(None) as console:
                    self.assertIs(type(console), Console)

    def test_view_can_be_refused(self) -> None:
        with mock.patch.object(sys, "stdout", Terminal()), wanted.console(False) as console:
            self.assertIs(type(console), Console)


class Pipe(unittest.TestCase):
    """The run's end of the pipe, with other programs in the place of the one that draws."""

    def setUp(self) -> None:
        self.out, writer = os.pipe()
        self.terminal = open(writer, "w")  # noqa: SIM115
        self.addCleanup(os.close, self.out)

    def linked(self, program: str) -> contextlib.AbstractContextManager[Link]:
        patch = mock.patch.object(link, "_START", program)
        patch.start()
        self.addCleanup(patch.stop)
        return Link(self.terminal)

    def shown(self) -> str:
        self.terminal.close()
        with open(os.dup(self.out)) as reader:
            return reader.read()

    def test_pictures_that_would_wait_are_left_out_and_no_text_is(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        # The program reads nothing before the test says so.
        program = (
            f"import os, sys, json; os.read(os.open('/proc/{os.getpid()}/fd/{reader}', os.O_RDONLY), 1); "
            "lines = [json.loads(line) for line in sys.stdin]; "
            "print(sum('draw' in l for l in lines), [l['say'] for l in lines if 'say' in l])"
        )
        with self.linked(program) as linked:
            for _ in range(1000):
                linked.draw({"x": "y" * 1000})
            self.assertTrue(linked.say("one"))
            linked.draw({})
            self.assertTrue(linked.say("two"))
            os.write(writer, b"x")
        count, _, said = self.shown().strip().partition(" ")
        self.assertEqual(said, "['one', 'two']")
        self.assertTrue(0 < int(count) < 1000, count)

    def test_text_goes_on_without_the_process(self) -> None:
        with self.linked("import sys; sys.exit(1)") as linked:
            linked._process.wait()
            console = LiveConsole(linked, self.terminal, self.terminal)
            console.notice("one")
            self.assertFalse(linked.is_up)
            console.notice("two")
            console.end_progress()
        self.assertEqual(self.shown(), f"{SHOW_CURSOR}\none\ntwo\n")

    def test_text_that_the_process_never_took_is_shown(self) -> None:
        with self.linked("import time; time.sleep(1000)") as linked:
            # More than a pipe holds.
            linked.draw({"x": "y" * (link.MOST_WAITING_BYTES // 2)})
            console = LiveConsole(linked, self.terminal, self.terminal)
            console.notice("one")
            console.notice("two")
            linked._process.kill()
            linked._process.wait()
            console.notice("three")
        self.assertEqual(self.shown(), f"{SHOW_CURSOR}\none\ntwo\nthree\n")


DRIVER = """
import os, signal, sys, time
from simulator.live.link import Link
from simulator.live.console import LiveConsole
from simulator.tests.test_live import snapshot

class One:
    def snapshot(self): return snapshot(events=["an event"])

with Link(sys.stdout) as link:
    console = LiveConsole(link, sys.stdout, sys.stdout)
    console.show_run("simple-1", 29.0, [One()])
    console.notice("a line of a replica")
    console.show_run("simple-1", 28.0, [One()])
    {act}
    console.end_progress()
    console.line("the report")
"""


class Screens(unittest.TestCase):
    """A run that draws on a terminal of 100 columns."""

    def run_on_terminal(self, act: str, until: str = "") -> tuple[int, str]:
        """The end of a process and all that it shows; it is killed after it has shown `until`."""
        main, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER.format(act=act)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=terminal,
            env=os.environ | {"TERM": "xterm"}, start_new_session=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(terminal)
        shown, deadline = b"", time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            if not select.select([main], [], [], 1)[0]:
                continue
            try:
                shown += os.read(main, 1 << 16)
            except OSError:
                break  # The last process that had the terminal has ended.
            if until and until.encode() in shown:
                process.kill()
        os.close(main)
        return process.wait(), shown.decode()

    @NEEDS_RICH
    def test_terminal_is_as_it_was_after_the_run(self) -> None:
        code, shown = self.run_on_terminal("pass")
        self.assertEqual(code, 0)
        self.assertTrue(shown.endswith("the report\r\n"), shown)
        self.assertEqual(shown.count(HIDE_CURSOR), shown.count(SHOW_CURSOR))
        self.assertLess(shown.index("a line of a replica"), shown.index("the report"))

    @NEEDS_RICH
    def test_terminal_is_as_it_was_after_a_kill(self) -> None:
        code, shown = self.run_on_terminal("time.sleep(1000)", until="28 s left")
        self.assertEqual(code, -signal.SIGKILL)
        self.assertGreater(shown.rindex(SHOW_CURSOR), shown.rindex(HIDE_CURSOR))

    @NEEDS_RICH
    def test_signals_of_the_terminal_do_not_end_the_picture(self) -> None:
        _, shown = self.run_on_terminal("os.kill(link._process.pid, signal.SIGINT)")
        self.assertTrue(shown.endswith("the report\r\n"), shown)

    @NEEDS_RICH
    def test_run_goes_on_if_the_picture_is_killed(self) -> None:
        act = "link._process.kill(); link._process.wait(); console.notice('after it')"
        code, shown = self.run_on_terminal(act)
        self.assertEqual(code, 0)
        self.assertTrue(shown.endswith(f"{SHOW_CURSOR}\r\nafter it\r\nthe report\r\n"), shown)


@NEEDS_RICH
class Pictures(unittest.TestCase):
    def drawn(self, *clusters: dict[str, Any], width: int = 100) -> list[str]:
        from rich.console import Console as RichConsole

        from simulator.live.view import View

        console = RichConsole(file=io.StringIO(), width=width, color_system=None)
        with console.capture() as capture:
            console.print(View().picture({"name": "simple-1", "left": 28.7, "clusters": list(clusters)}))
        return [line.rstrip() for line in capture.get().splitlines() if line.strip(" ─")]

    def test_one_row_per_replica(self) -> None:
        lines = self.drawn(snapshot(
            replica("0000"), replica("0001", term=None, state="paused"), replica("0002", state="killed at 1.000"),
            events=["[  1.000] kill_non_leader: killed 0002"],
        ))
        self.assertEqual(lines, [
            "simple-1: 1.0 s, 29 s left",
            " replica  state         role             term    in/s   out/s  hears",
            " 0000     alive         leads               3                  ●●",
            " 0001     paused        follows 0000                           ●●",
            " 0002     killed 1.000",
            "1,000 of 1,200 requests answered, 200 open; latency 1.23 ms",
            "[  1.000] kill_non_leader: killed 0002",
        ])

    def test_partition_has_a_column(self) -> None:
        lines = self.drawn(snapshot(cuts=[[["0000"], ["0001"]]], majority=["0001", "0002"]))
        self.assertTrue(lines[1].endswith("hears  side"))
        self.assertTrue(lines[2].endswith("●●●    minority"))

    def test_two_clusters_have_two_tables(self) -> None:
        lines = self.drawn(snapshot(), snapshot(name="beside"))
        self.assertEqual(lines[0], "simple-1, replica: 1.0 s, 29 s left")
        self.assertIn("beside", lines)
        self.assertEqual(sum(line.startswith(" 0001") for line in lines), 2)

    def test_text_is_not_taken_for_markup_and_does_not_break_lines(self) -> None:
        lines = self.drawn(snapshot(events=["[bold]" + "x" * 200]), width=60)
        self.assertTrue(lines[-1].startswith("[bold]xxx"))
        self.assertEqual({len(line) <= 60 for line in lines}, {True})


if __name__ == "__main__":
    unittest.main()
