"""Jobs on a scheduler of dask, which a fake client stands for. `tests/dask` has a real one."""

import contextlib
import io
import sys
import tempfile
import types
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from simulator.campaign import cluster, worker
from simulator.campaign.cluster import Cluster
from simulator.campaign.job import Job, Outcome
from simulator.campaign.plan import CampaignError
from simulator.campaign.pool import MOST_ATTEMPTS
from simulator.signals import Signals
from simulator.tests import campaign_sweep
from simulator.tests.support import write_config


class Future:
    def __init__(self, result: Any) -> None:
        self._result = result
        self.is_released = False

    def add_done_callback(self, act: Callable[[Any], None]) -> None:
        act(self)

    def result(self, timeout: float) -> Any:
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def release(self) -> None:
        self.is_released = True


class Client:
    """Two workers on this machine, and the given results of tasks, one after the other."""

    def __init__(self, results: list[Any]) -> None:
        self._results = iter(results)
        self.status = "running"
        self.keys: list[str] = []
        self.futures: list[Future] = []
        self.ran: list[str] = []
        self.names = ["one", "two"]
        self.versions = dict.fromkeys(("client", "scheduler", *self.names), "1.0")

    def get_versions(self) -> dict[str, Any]:
        found = {
            name: {"host": {"python": "3.11.7.final.0"}, "packages": {"distributed": version, "cloudpickle": "3"}}
            for name, version in self.versions.items()
        }
        return {"client": found["client"], "scheduler": found["scheduler"],
                "workers": {name: found[name] for name in self.names}}

    def run(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        self.ran.append(function.__name__)
        return {name: function(*arguments) for name in self.names}

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str, pure: bool) -> Future:
        self.keys.append(key)
        self.futures.append(Future(next(self._results)))
        return self.futures[-1]

    def close(self) -> None:
        self.status = "closed"


class Clusters(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.config = write_config(self.directory)
        self.signals = Signals().__enter__()
        self.addCleanup(self.signals.__exit__)

    def made(self, client: Client, files: list[Path] | None = None) -> Cluster:
        module = types.ModuleType("distributed")
        module.Client = lambda *_, **__: client  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {"distributed": module}):
            return Cluster("tcp://x", None, self.directory, self.signals, files or [self.config])

    def outcomes(self, client: Client, jobs: int = 1) -> list[Outcome]:
        with self.made(client) as made:
            asked = (Job(self.config, seed) for seed in range(1, jobs + 1))
            return [outcome for outcome in made.outcomes(asked) if outcome is not None]

    def passed(self, seed: int) -> tuple[int, bytes]:
        outcome = Outcome(f"a#{seed}", "a", seed, "passed")
        return 0, worker.as_line(outcome).encode()

    def test_each_job_has_its_outcome(self) -> None:
        client = Client([self.passed(seed) for seed in (1, 2, 3)])
        self.assertEqual([one.seed for one in self.outcomes(client, 3)], [1, 2, 3])
        self.assertEqual(len(set(client.keys)), 3)
        self.assertTrue(all(future.is_released for future in client.futures))
        self.assertEqual(client.status, "closed")

    def test_job_of_a_dead_worker_is_tried_again(self) -> None:
        for lost in ((-9, b""), TimeoutError()):
            self.assertTrue(self.outcomes(Client([lost, lost, self.passed(1)]))[0].passed)
            [outcome] = self.outcomes(Client([lost] * MOST_ATTEMPTS))
            self.assertEqual(outcome.verdict, "error")
        self.assertIn("its worker is gone", outcome.reason)

    def test_task_that_the_cluster_gives_up_is_an_error(self) -> None:
        [outcome] = self.outcomes(Client([RuntimeError("KilledWorker")]))
        self.assertEqual(outcome.verdict, "error")
        self.assertIn("KilledWorker", outcome.reason)

    def test_scheduler_that_is_gone_ends_the_sweep(self) -> None:
        client = Client([RuntimeError("lost")])
        with self.assertRaisesRegex(CampaignError, "the scheduler is gone"), self.made(client) as made:
            client.status = "closed"
            list(made.outcomes(iter([Job(self.config, 1)])))

    def test_signal_ends_the_jobs_on_all_workers(self) -> None:
        client = Client([self.passed(1)] * 3)
        with mock.patch.object(cluster, "_remote_sweep", lambda: sweep), self.made(client) as made:
            self.signals.request_stop()
            self.assertEqual(list(made.outcomes(iter([Job(self.config, 1)]))), [])
        self.assertIn("sweep", client.ran)

    def test_other_versions_are_refused(self) -> None:
        for name in ("scheduler", "two"):
            client = Client([])
            client.versions[name] = "2.0"
            with self.assertRaisesRegex(CampaignError, f"{name} has Python 3.11, distributed 2.0"):
                self.made(client)
            self.assertEqual(client.status, "closed")

    def test_worker_without_the_files_is_refused_with_its_name(self) -> None:
        digests = {"absent": None, "other": "0"}
        for word, found in (("has not", digests["absent"]), ("has another", digests["other"])):
            client = Client([])
            with (
                mock.patch.object(cluster, "_remote_digests", lambda found=found: lambda paths: [found] * 2),
                self.assertRaisesRegex(CampaignError, f"the worker one {word} {self.config}"),
            ):
                self.made(client)

    def test_digests_on_a_worker_are_those_of_here(self) -> None:
        paths = [str(self.config), str(self.directory / "none")]
        self.assertEqual(cluster._remote_digests()(paths), [cluster.digest(self.config), None])

    def test_cluster_without_workers_is_refused(self) -> None:
        client = Client([])
        client.names = []
        with self.assertRaisesRegex(CampaignError, "it has no worker"):
            self.made(client)

    def test_missing_dask_is_told_in_one_line(self) -> None:
        out = io.StringIO()
        with (
            mock.patch.dict(sys.modules, {"distributed": None}),
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(out),
        ):
            code = campaign_sweep.main([
                str(self.config), "--seeds=1", f"--out={self.directory / 'out'}", "--scheduler=tcp://x:1",
            ])
        self.assertEqual((code, out.getvalue()), (
            1, "--scheduler: distributed is not installed; install it with: pip install 'distributed>=2023.1'\n",
        ))

    def test_line_of_a_task_is_one_of_a_worker(self) -> None:
        self.assertEqual(worker.answer(self.passed(4)[1]).seed, 4)
        outcome = Outcome("a#1", "a", 1, "error", was_killed=True, was_refused=True)
        self.assertEqual(worker.answer(worker.as_line(outcome).encode()), outcome)


def sweep(guard: str, mark: str) -> None:
    """Stands for the function that ends processes."""


if __name__ == "__main__":
    unittest.main()
