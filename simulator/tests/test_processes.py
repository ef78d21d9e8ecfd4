"""Restarts and pauses of real processes: directories, signals, and ends of all kinds.

How soon a process gets its turn is up to the machine, so each run waits for an event and then ends.
"""

import argparse
import io
import math
import os
import re
import selectors
import signal
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, cast
from unittest import mock

from simulator import build, lives, options
from simulator.chronicle import Chronicle
from simulator.console import Console, Output
from simulator.lives import Cluster, Lives, Surroundings
from simulator.loop import simulate
from simulator.maelstrom.node import Node
from simulator.replica import DATA_DIRECTORY, Replica
from simulator.setup import set_up
from simulator.signals import Signals
from simulator.tests.support import ENDING_SIGNALS, FAKE_REPLICA, HANG_SECONDS, Run, small_scenario
from simulator.tests.test_network import network
from simulator.transport import TRANSPORTS, Transport

RESTART_ALL: dict[str, Any] = {
    "events": [{"type": "restart_all", "time": 0.2, "duration": 0.2}], "persist": True, "lifetime": 1000,
    "client_timeout": 0.5,
}
PAUSE: dict[str, Any] = {
    "events": [{"type": "pause_non_leader", "time": 0, "duration": 900}], "start_wait": 0, "lifetime": 1000,
}


def state(pid: int) -> str:
    """The letter that the kernel has for the state of a process: T for one that is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until_stopped(pids: list[int]) -> None:
    """Return when one of these processes is stopped; fail after a long while."""
    deadline = time.monotonic() + HANG_SECONDS
    while not any(state(pid) == "T" for pid in pids):
        if time.monotonic() > deadline:
            raise AssertionError(f"none of {pids} is stopped")
        time.sleep(0.01)


class ProcessCase(unittest.TestCase):
    def start(self, behaviour: str, **changes: Any) -> Run:
        run = Run(behaviour, **changes)
        self.addCleanup(run.clean_up)
        return run


class Restarts(ProcessCase):
    def test_second_life_has_the_arguments_and_the_directories_of_the_first_in_all_dialects(self) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                run = self.start("durable", transport=transport, **RESTART_ALL)
                for _ in range(3):
                    run.wait_for_output("joined again")
                run.process.terminate()
                run.finish()
                self.assertEqual((run.survivors(), run.leftovers()), ([], []))
                lines = re.findall(r"(\d+)\] life (\d) of (.*)\n", run.stdout)
                for replica in ("0000", "0001", "0002"):
                    (_, first, before), (_, second, after) = [line for line in lines if line[0] == replica]
                    self.assertEqual((first, second, before), ("1", "2", after))
                    self.assertIn(f"/data/{replica} in {run.temporary}/", before)
                self.assertEqual(len({place for _, _, place in lines}), 3)
                figures = run.result()["figures"]
                self.assertEqual((figures["restarts"], figures["replicas_died"]), (3, 0), run.stdout)
                self.assertEqual((figures["incorrect_messages"], figures["incorrect_gets"]), (0, 0), run.stdout)

    def test_replica_that_refuses_a_second_life_is_told_with_its_last_words(self) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                run = self.start("starts_once", transport=transport, **RESTART_ALL).finish()
                self.assertEqual((run.exit_code, run.survivors(), run.leftovers()), (1, [], []))
                for replica in ("0000", "0001", "0002"):
                    self.assertIn(
                        f"*** Replica Error - replica {replica} did not start again: it quit with exit code 3, "
                        "last lines of stderr:\n    one life\n    is enough\n", run.stdout,
                    )
                self.assertIn("no replica lives any more", run.stdout)
                self.assertEqual(run.result()["figures"]["replicas_died"], 3)

    def test_program_that_is_gone_by_the_restart_is_told(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            program = Path(directory) / "replica"
            # The last replica to start makes it unusable for all.
            program.write_text(f'#!/bin/sh\n[ "$1" != 0002 ] || chmod -x "$0"\nexec {FAKE_REPLICA} "$@"\n')
            program.chmod(0o755)
            run = self.start("durable", program=program, **RESTART_ALL).finish()
        self.assertRegex(run.stdout, "Error - replica 0002 did not start again: cannot run .*: Permission denied\n")
        self.assertEqual((run.exit_code, run.survivors(), run.leftovers()), (1, [], []))

    def test_simulator_that_is_interrupted_while_replicas_are_down_leaves_nothing(self) -> None:
        events = [{"type": "restart_all", "time": 0, "duration": 900}]
        run = self.start("durable", **(RESTART_ALL | {"events": events}))
        run.wait_for_output("restart_all: killed")
        run.process.send_signal(signal.SIGINT)
        run.finish()
        self.assertIn("replica 0002 is still down at the end of the run", run.stdout)
        self.assertEqual((run.survivors(), run.leftovers()), ([], []))


class Pauses(ProcessCase):
    def test_paused_replica_is_stopped_and_does_not_outlive_the_simulator(self) -> None:
        for number in (*ENDING_SIGNALS, signal.SIGKILL):
            with self.subTest(number):
                run = self.start("stubborn" if number == signal.SIGTERM else "correct", **PAUSE)
                run.wait_for_output("pause_non_leader: paused")
                wait_until_stopped(run.survivors())
                run.process.send_signal(number)
                run.finish()
                if number == signal.SIGKILL:
                    run.wait_for_end_of_survivors()
                else:
                    self.assertEqual((run.survivors(), run.leftovers()), ([], []))
                    self.assertIn("Replicas that were restarted/paused: 0/1\n", run.stdout)

    def test_paused_replica_does_not_outlive_an_error_of_the_simulator(self) -> None:
        stopped: list[Replica] = []

        def pause(owner: Lives, id: str) -> None:
            stopped.append(owner._replicas[id])
            stopped[0].pause()
            wait_until_stopped([stopped[0].process.pid])
            raise RuntimeError("planted")

        said = io.StringIO()
        with Signals() as signals, mock.patch.object(Lives, "pause", pause), self.assertRaises(RuntimeError):
            simulate(small_scenario(**PAUSE), [Cluster(FAKE_REPLICA)], 1, Console(said, said), signals, HANG_SECONDS)
        self.assertIsNotNone(stopped[0].process.returncode, said.getvalue())

    def test_paused_process_continues_or_ends_at_once(self) -> None:
        with selectors.EpollSelector() as selector:
            for act, code in (("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)):
                replica = Replica("0000", ["sleep", "1000"], Path("/"), selector, None, {})
                self.addCleanup(replica.kill)
                self.assertFalse(replica.resume())
                replica.pause()
                wait_until_stopped([replica.process.pid])
                self.assertTrue(replica.resume())
                replica.pause()
                wait_until_stopped([replica.process.pid])
                getattr(replica, act)()
                self.assertFalse(replica.resume())
                self.assertTrue(replica.has_exited(within=HANG_SECONDS))
                self.assertEqual(replica.process.returncode, -code)


class FakeProcess:
    """The process of a replica, which notes its signals and exits at the word of the test."""

    def __init__(self, id: str, *_: Any) -> None:
        self.id = id
        self.signals: list[str] = []
        self.is_gone = False

    def has_exited(self, within: float = 0) -> bool:
        return self.is_gone

    def kill(self) -> None:
        self.signals.append("SIGKILL")

    def terminate(self) -> None:
        self.signals.append("SIGTERM")


class FakeTransport:
    """The connections of replicas, which note their ends and their begins."""

    def __init__(self) -> None:
        self.acts: list[tuple[str, str]] = []

    def arguments(self, id: str) -> list[str]:
        return [id]

    def close(self, id: str) -> None:
        self.acts.append(("close", id))

    def reopen(self, id: str) -> None:
        self.acts.append(("reopen", id))


class SlowEnds(unittest.TestCase):
    """Restarts of replicas whose old process is still there when the new one is due."""

    def setUp(self) -> None:
        self.started: list[FakeProcess] = []

        def start(*arguments: Any) -> FakeProcess:
            self.started.append(FakeProcess(*arguments))
            return self.started[-1]

        patch = mock.patch.object(lives, "Replica", start)
        patch.start()
        self.addCleanup(patch.stop)
        self.network, self.transport = network(), FakeTransport()
        with selectors.EpollSelector() as selector:
            self.owner = Lives(
                Cluster(Path("/program")), Surroundings(selector, Path("/"), {}), self.network,
                cast(Transport, self.transport), Chronicle(), Output(lambda *_: None), lambda: 7.0,
            )
        self.owner.launch(5)
        self.old = self.started[1]
        self.started.clear()

    def test_restart_kills_at_once_and_ends_the_connection(self) -> None:
        self.owner.take_down("0001")
        self.assertEqual(self.old.signals, ["SIGKILL"])
        self.assertEqual(self.transport.acts, [("close", "0001")])
        self.assertEqual((self.owner.restarts, self.owner.killed, self.owner.died), (1, 0, 0))

    def test_new_process_starts_when_the_old_one_is_gone(self) -> None:
        self.owner.take_down("0001")
        self.owner.start_again("0001")
        self.owner.drop_exited()
        self.assertEqual((self.started, self.transport.acts[1:]), ([], []))
        self.old.is_gone = True
        for _ in range(2):
            self.owner.drop_exited()
        self.assertEqual([process.id for process in self.started], ["0001"])
        self.assertEqual(self.transport.acts[1:], [("reopen", "0001")])
        self.assertEqual((self.network.down, self.owner.next_deadline()), (["0001"], 12))
        self.assertTrue(self.owner.joined("0001"))
        self.assertEqual((self.network.down, self.owner.next_deadline(), self.owner.died), ([], math.inf, 0))

    def test_old_process_that_ends_before_its_restart_is_due_is_not_missed(self) -> None:
        self.owner.take_down("0001")
        self.old.is_gone = True
        self.owner.drop_exited()
        self.assertEqual((self.started, self.network.down), ([], ["0001"]))
        self.owner.start_again("0001")
        self.assertEqual([process.id for process in self.started], ["0001"])


class Directories(unittest.TestCase):
    def started(self, is_own: bool, persist: bool) -> tuple[Path, list[str], dict[str, str]]:
        """The working directory, and the command and the further environment of replica 0001."""
        with selectors.EpollSelector() as selector, tempfile.TemporaryDirectory() as name, \
                mock.patch.object(lives, "Replica") as made:
            directory, net = Path(name), network()
            transport = TRANSPORTS["seqpacket"](directory, net.replicas, selector, mock.Mock())
            surroundings = Surroundings(selector, directory, {"MARK": "7"}, directory / "data" if persist else None)
            cluster = Cluster(Path("/program"), replica_options=("--option",), is_own=is_own)
            owner = Lives(cluster, surroundings, net, transport, Chronicle(), Output(lambda *_: None), lambda: 0.0)
            owner.launch(1)
            transport.close_all()
            id, command, working, _, _, environment, _ = made.call_args_list[1].args
            self.assertEqual((id, working), ("0001", directory))
            self.assertEqual((directory / "data" / "0001").is_dir(), persist)
            return directory, command, environment

    def test_replica_with_persist_has_a_directory_of_its_own(self) -> None:
        arguments = ["0001", "0000", "0002", "0003", "0004"]
        for is_own in (False, True):
            directory, command, environment = self.started(is_own, persist=True)
            data = str(directory / "data" / "0001")
            self.assertEqual(environment, {"MARK": "7", DATA_DIRECTORY: data})
            option = ["--data-dir", data] if is_own else []
            self.assertEqual(command, ["/program", "--option", *option, *arguments])
            _, command, environment = self.started(is_own, persist=False)
            self.assertEqual((command, environment), (["/program", "--option", *arguments], {"MARK": "7"}))

    def test_replica_does_not_inherit_a_directory_that_it_would_share(self) -> None:
        said: list[str] = []
        with selectors.EpollSelector() as selector, mock.patch.dict(os.environ, {DATA_DIRECTORY: "/shared"}):
            for environment in ({}, {DATA_DIRECTORY: "/own"}):
                replica = Replica("0000", ["env"], Path("/"), selector, lambda *told: said.append(told[2]), environment)
                self.assertTrue(replica.has_exited(within=HANG_SECONDS))
        self.assertEqual([line for line in said if DATA_DIRECTORY in line], [f"{DATA_DIRECTORY}=/own"])

    def test_node_of_maelstrom_does_not_inherit_a_directory_either(self) -> None:
        said: list[bytes] = []
        with selectors.EpollSelector() as selector, mock.patch.dict(os.environ, {DATA_DIRECTORY: "/shared"}):
            node = Node("n0", ["env"], Path("/"), selector, {"MARK": "7"}, lambda _, line: said.append(line), mock.Mock())
            self.addCleanup(node.kill)
            # The last variable of the environment.
            while b"MARK=7" not in said:
                for key, _ in selector.select(HANG_SECONDS):
                    key.data()
        self.assertNotIn(f"{DATA_DIRECTORY}=/shared".encode(), said)

    def test_own_program_is_known_by_the_missing_option(self) -> None:
        for arguments, owned in (
            ([], [True]), (["--replica", "/bin/true"], [False]), (["--beside", "/bin/true"], [True, False]),
            (["--replica", "/bin/true", "--beside"], [False, True]),
        ):
            with mock.patch.object(build, "own_program", lambda: Path("/bin/true")):
                chosen: argparse.Namespace = options.parse(["x", "--no-check", *arguments])
                setup = set_up(chosen)
            self.assertEqual([cluster.is_own for cluster in setup.clusters], owned)


if __name__ == "__main__":
    unittest.main()
