"""A worker of a campaign whose runs are those of `fake_run.py`.

FAKE_DEATHS names a directory with a file per seed and attempt in which the worker kills itself.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

from simulator.campaign import job, worker
from simulator.campaign.job import Job, Outcome

FAKE_RUN = Path(__file__).with_name("fake_run.py")


def run(one: Job, directory: Path, *, keep: Path) -> Outcome:
    """Run a job, unless a file says that the worker dies of it."""
    for death in sorted(Path(os.environ["FAKE_DEATHS"]).glob(f"{one.seed}-*")):
        # Another worker may have taken the file.
        with contextlib.suppress(FileNotFoundError):
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    return _real_run(one, directory, keep=keep)


if __name__ == "__main__":
    _real_run = job.run
    job.RUNNER = FAKE_RUN
    job.run = run  # type: ignore[assignment]
    worker.main(*sys.argv[1:])
