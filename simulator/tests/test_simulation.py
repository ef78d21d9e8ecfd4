"""One cluster without processes: the messages that it keeps before the start."""

import contextlib
import io
import selectors
import tempfile
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from simulator import messages, simulation
from simulator.console import Console
from simulator.lives import Cluster, Surroundings
from simulator.simulation import Simulation
from simulator.tests.support import small_scenario


@contextlib.contextmanager
def cluster(said: io.StringIO) -> Iterator[Simulation]:
    with selectors.EpollSelector() as selector, tempfile.TemporaryDirectory() as directory:
        run = Simulation(
            small_scenario(), Cluster(Path()), 1, Console(said, said),
            Surroundings(selector, Path(directory), {}),
        )
        try:
            yield run
        finally:
            run.terminate()


class BeforeTheStart(unittest.TestCase):
    def test_messages_before_all_have_joined_are_bounded_and_the_loss_is_told(self) -> None:
        raw = messages.encode({"src": "0000", "dst": "ABCD", "leader": "0000", "type": "append"})
        said = io.StringIO()
        with cluster(said) as run, mock.patch.object(simulation, "MOST_EARLY_BYTES", 1000):
            for _ in range(1000):
                run.received("0000", raw)
            run.begin(time.monotonic())
            figures = run.result().figures
        # Each causes a complaint, because its destination is unknown.
        kept = figures.incorrect_messages
        self.assertTrue(1 <= kept <= 1000 // len(raw), kept)
        self.assertEqual(figures.queue_drops, 1000 - kept)
        self.assertIn(f"Error - {1000 - kept} messages were lost, because more than 1,000 bytes", said.getvalue())


class PausedReplicas(unittest.TestCase):
    def test_paused_replica_is_not_blamed_for_messages_that_it_does_not_read(self) -> None:
        said = io.StringIO()
        with cluster(said) as run:
            run.begin(time.monotonic())
            with mock.patch.object(run._lives, "is_paused", lambda id: id == "0000"):
                run.congested("0000")
                self.assertEqual(said.getvalue(), "")
                run.congested("0001")
            self.assertIn("replica 0001 does not keep up with reading", said.getvalue())
            run._lives.ever_paused.add("0000")
            drops = {"0000": 2, "0001": 1}
            with mock.patch.object(run._transport, "queue_drops", lambda: drops), \
                    mock.patch.object(run._transport, "kernel_drops", lambda: drops):
                self.assertEqual(run.result().figures.queue_drops, 3)
        for line in (
            "] replica 0000 was paused and did not read: 2 messages to it were dropped\n",
            "] replica 0000 was paused and reads too slowly: the kernel dropped 2 datagrams ",
            "] *** Replica Error - replica 0001 did not read: 1 messages to it were dropped\n",
            "] *** Replica Error - replica 0001 reads too slowly: the kernel dropped 1 datagrams ",
        ):
            self.assertIn(line, said.getvalue())


if __name__ == "__main__":
    unittest.main()
