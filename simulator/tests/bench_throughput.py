"""The messages that one simulation carries: `python3 -m simulator.tests.bench_throughput`.

Three processes keep messages of 200 bytes on their way as fast as the simulator carries them. So
the figures are those of a whole run: the loop, the sockets, the rules, and the trace if there is
one. They hold for a machine on which nothing else runs. `bench_routing` has the simulator's own
time for one message.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from pathlib import Path

from simulator import messages
from simulator.console import Console
from simulator.lives import Cluster
from simulator.loop import simulate
from simulator.signals import Signals
from simulator.tests.support import small_scenario
from simulator.trace.recorder import Recorder
from simulator.trace.sink import Sink

VOLLEY = Path(__file__).with_name("volley.py")
ROUNDS = 3


def carried(trace: Path | None) -> tuple[float, float]:
    """Messages per second, and microseconds of the simulator's processor time for each."""
    scenario = small_scenario(max_packets=900_000, requests=0)
    console = Console(log=io.StringIO())
    traces = [] if trace is None else [Recorder(Sink(trace), "", print)]
    with Signals() as signals:
        spent, began = time.process_time(), time.monotonic()
        [result] = simulate(scenario, [Cluster(VOLLEY)], 1, console, signals, traces=traces)
        spent, seconds = time.process_time() - spent, time.monotonic() - began
    total = result.figures.total_messages
    return total / seconds, 1e6 * spent / total


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for name, trace in (("without a trace", None), ("with a trace", Path(directory) / "trace")):
            rates, costs = zip(*(carried(trace) for _ in range(ROUNDS)), strict=True)
            print(
                f"{name}: {statistics.median(rates):,.0f} messages per second, "
                f"{statistics.median(costs):.1f} us of processor time for each"
            )


if __name__ == "__main__":
    print(messages.decode.__module__)
    main()
    messages.decode, messages.encode = messages._standard_decode, messages._standard_encode
    print("json")
    main()
