"""The cost of the live view for each refresh: `python3 -m simulator.tests.bench_live`.

The run pays for the snapshot, the process that draws pays for the picture (only with `rich`). The
figures are processor time.
"""

from __future__ import annotations

import importlib.util
import io
import json
import selectors
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.console import Console
from simulator.lives import Cluster, Surroundings
from simulator.simulation import Simulation
from simulator.tests.support import small_scenario

SNAPSHOTS, PICTURES = 2_000, 100
TYPES = ("append", "ack", "vote", "heartbeat")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def busy_simulation(replicas: int, selector: selectors.BaseSelector, directory: Path) -> Simulation:
    """A cluster in the middle of a run: all counters and the longest lists are filled."""
    run = Simulation(
        small_scenario(replicas=replicas), Cluster(Path()), 1, Console(), Surroundings(selector, directory, {})
    )
    run._clients.latencies = [number / 1e6 for number in range(5000)]
    for id in run.network.replicas:
        for type in TYPES:
            run._packets.count(id, type, 5)
        run._heard.latest[id] = run._heard.between[id] = {"leader": "0000", "term": 3}
    run.network.split(run.network.replicas[:replicas // 2 + 1])
    for _ in range(10):
        run._chronicle.tell(1.0, "part_hard: majority side 0000 0001 0003")
    return run


def seconds_per(times: int, act: Callable[[int], object]) -> float:
    before = time.process_time()
    for number in range(times):
        act(number)
    return (time.process_time() - before) / times


def picture_of(snapshot: dict[str, Any], number: int) -> dict[str, Any]:
    cluster = snapshot | {"seconds": number / 5}
    return {"draw": {"name": "scenario", "left": 30.0, "clusters": [cluster]}}


def main() -> None:
    for replicas in (5, 21):
        with selectors.EpollSelector() as selector, tempfile.TemporaryDirectory() as directory:
            run = busy_simulation(replicas, selector, Path(directory))
            spent = seconds_per(SNAPSHOTS, lambda _: json.dumps(run.snapshot()))  # noqa: B023
            snapshot = run.snapshot()
            run.terminate()
        print(f"{replicas} replicas: {1e6 * spent:.0f} us for a snapshot")
        if importlib.util.find_spec("rich") is not None:
            from simulator.live.screen import Screen

            screen = Screen(Terminal())
            spent = seconds_per(PICTURES, lambda n: screen.take([picture_of(snapshot, n)]))  # noqa: B023
            print(f"{replicas} replicas: {1e3 * spent:.1f} ms for a picture")


if __name__ == "__main__":
    main()
