"""`run.py sweep` with workers whose runs are those of `fake_run.py`."""

import sys
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import build
from simulator.campaign import pool, sweep

_WORKER = [sys.executable, "-m", "simulator.tests.campaign_worker"]


def main(arguments: list[str]) -> int:
    make = pool.Pool.__init__

    def make_pool(self: pool.Pool, *given: Any) -> None:
        make(self, *given, _WORKER)

    with (
        mock.patch.object(pool.Pool, "__init__", make_pool),
        mock.patch.object(build, "own_program", lambda: Path(sys.executable)),
    ):
        return sweep.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
