"""The reference replica as processes: its sockets in both dialects, its loop and its disk."""

from __future__ import annotations

import os
import unittest
from pathlib import Path

from simulator.examples import replica
from simulator.tests.support import Run

PROGRAM = Path(replica.__file__)
# After the last request a busy machine has time to answer.
TIMES = {"lifetime": 6, "start_wait": 0.5, "end_wait": 3}


@unittest.skipUnless(os.environ.get("KVSTORE"), "KVSTORE names no program that checks histories")
class Processes(unittest.TestCase):
    def start(self, transport: str, **changes: object) -> Run:
        checker = Path(os.environ["KVSTORE"])
        run = Run("", transport=transport, program=PROGRAM, checker=checker, **(TIMES | changes))
        self.addCleanup(run.clean_up)
        return run

    def test_answers_are_linearizable_after_restarts_and_kills_in_both_dialects(self) -> None:
        restart = {"type": "restart_all", "time": 1, "duration": 0.2}
        kill = {"type": "kill_leader", "time": 1}
        runs = [
            self.start("seqpacket", persist=True, client_timeout=0.5, events=[restart]),
            self.start("udp", client_timeout=0.5, replicas=5, events=[kill]),
        ]
        for run in runs:
            run.finish()
            self.assertEqual(run.exit_code, 0, run.stdout + run.stderr)
            self.assertIs(run.result()["linearizable"], True)


if __name__ == "__main__":
    unittest.main()
