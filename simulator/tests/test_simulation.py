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


if __name__ == "__main__":
    unittest.main()
