#!/usr/bin/env python3
"""Stands in for `run.py` in tests of campaigns: a result at once, chosen by the seed.

FAKE_RUNS names a directory in which each run leaves a file. FAKE_SEEDS maps seeds to behaviours; a
seed that it does not name passes.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FIGURES = {
    "total_messages": 482, "failures": 3, "duplicates": 0, "median_latency": 0.0002, "p99_latency": 0.001,
    "unanswered_gets": 1, "unanswered_puts": 1, "failovers": [0.5, 0.7],
}
LOST = {
    "name": "Incorrect responses", "value": 2, "limit": 0, "is_minimum": False, "explanation": "get saw old",
    "words": "", "holds": False,
}
TIER = {"metric": "total_msgs", "value": 482, "benchmark": 1200, "tier": 0, "verdict": "Bonus!"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-keep", action="store_true")
    chosen, _ = parser.parse_known_args()
    behaviour = json.loads(os.environ.get("FAKE_SEEDS", "{}")).get(str(chosen.seed), "pass")
    if "FAKE_RUNS" in os.environ:
        name = f"{Path(chosen.config).stem}-{chosen.seed}-{os.getpid()}"
        (Path(os.environ["FAKE_RUNS"]) / name).touch()
    print(f"scenario: seed {chosen.seed}", flush=True)
    if behaviour == "hang":
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    elif behaviour == "refuse":
        print("scenario.json: lifetime: 0: must be a number", file=sys.stderr)
        sys.exit(2)
    elif behaviour == "break":
        print("*** Simulator Error - replica 0000 did not start")
        sys.exit(1)
    elif behaviour == "flood":
        print("x" * 1_000_000)
    elif behaviour == "leave":
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
    elif behaviour == "die":
        subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=subprocess.DEVNULL)
        os.kill(os.getpid(), signal.SIGKILL)
    is_correct = behaviour != "fail"
    if not is_correct and not chosen.no_keep and "KVSTORE_FAILED_DIR" in os.environ:
        place = Path(os.environ["KVSTORE_FAILED_DIR"]) / "scenario-7"
        place.mkdir(parents=True, exist_ok=True)
        print(f"kept in {place}: the trace, the history, the output of each replica; draw it: ...")
    chosen.json.write_text(json.dumps({
        "correct": is_correct, "checks": [LOST | {"holds": is_correct}], "figures": FIGURES,
        "tiers": [TIER] if is_correct else [], "advice": [{"kind": "stale", "text": "read\x1b a quorum"}],
    }))
    sys.exit(not is_correct)


if __name__ == "__main__":
    main()
