"""The simulator's own time per message: `python3 -m simulator.tests.bench_routing`.

Sockets of this process play two replicas, so only the simulator's own path is timed: wake up, read,
parse, decide, send, and with a trace the record of it. The figures are processor time, because
other programs may run meanwhile; of several rounds that take turns the fastest counts. The mean has
the records that are written, once in 64 messages; the median has not.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import tempfile
import time
from pathlib import Path

from simulator import messages
from simulator.console import Console
from simulator.lives import Cluster, Surroundings
from simulator.loop import Loop
from simulator.signals import Signals
from simulator.simulation import Simulation
from simulator.tests.support import small_scenario
from simulator.trace.recorder import UNTRACED, Recorder
from simulator.trace.sink import Sink

MESSAGES = 5_000
PAYLOAD_BYTES = 200
ROUNDS = 20


def seconds_per_message(trace: Path | None) -> tuple[float, float]:
    """Their mean, and their median."""
    scenario = small_scenario(max_packets=900_000)
    with Signals() as signals, selectors.EpollSelector() as selector, \
            tempfile.TemporaryDirectory() as directory:
        surroundings = Surroundings(selector, Path(directory), {})
        recorder = UNTRACED if trace is None else Recorder(Sink(trace), "", print)
        run = Simulation(scenario, Cluster(Path()), 1, Console(), surroundings, recorder)
        loop = Loop(scenario, [run], Console(), signals, selector)
        replicas = []
        for id in run.network.replicas:
            replica = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            replica.connect(f"{directory}/{id}")
            replicas.append(replica)
        loop.gather()
        raw = messages.encode({
            "src": "0000", "dst": "0001", "leader": "0000", "type": "append", "x": "y" * PAYLOAD_BYTES,
        })
        spent = []
        for _ in range(MESSAGES):
            replicas[0].send(raw)
            before = time.process_time()
            loop.wait(1)
            spent.append(time.process_time() - before)
            assert replicas[1].recv(1000) == raw
        for replica in replicas:
            replica.close()
        loop.stop()
    return statistics.fmean(spent), statistics.median(spent)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        traces = {"without a trace": None, "with a trace": "trace", "with a compressed one": "trace.gz"}
        paths = {name: file and Path(directory) / file for name, file in traces.items()}
        rounds = [{name: seconds_per_message(path) for name, path in paths.items()} for _ in range(ROUNDS)]
    for name in paths:
        mean, median = (min(values) * 1e6 for values in zip(*(times[name] for times in rounds), strict=True))
        print(f"{name}: {mean:.2f} us per message, {median:.2f} us at the median")


if __name__ == "__main__":
    print(messages.decode.__module__)
    main()
    messages.decode, messages.encode = messages._standard_decode, messages._standard_encode
    print("json")
    main()
