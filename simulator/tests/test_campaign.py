"""Campaigns: seeds and shards, workers that die, resumed sweeps, and the merge of shards."""

import contextlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import guard
from simulator.campaign import merge, plan, pool, store
from simulator.campaign.job import Job, Outcome
from simulator.campaign.numbers import Seeds, Shard
from simulator.campaign.plan import CampaignError, Plan
from simulator.campaign.progress import Progress
from simulator.campaign.store import Store
from simulator.tests import campaign_sweep
from simulator.tests.support import HANG_SECONDS, ROOT, write_config


class Numbers(unittest.TestCase):
    def test_seeds_are_ranges_and_single_numbers(self) -> None:
        for text, seeds, shown in (
            ("1..5", [1, 2, 3, 4, 5], "1..5"), ("9,1,5", [1, 5, 9], "1,5,9"),
            ("3..4,1,7..7", [1, 3, 4, 7], "1,3..4,7"), ("1,2..3", [1, 2, 3], "1..3"), ("0", [0], "0"),
        ):
            with self.subTest(text):
                read = Seeds.of(text)
                self.assertEqual((list(read), len(read), str(read)), (seeds, len(seeds), shown))
                self.assertEqual([read.place(seed) for seed in seeds], list(range(len(seeds))))
                self.assertIsNone(read.place(8))

    def test_lone_number_of_the_option_is_a_count(self) -> None:
        for text, seeds in (("3", "1..3"), ("1", "1"), ("3..3", "3"), ("3,7", "3,7"), ("0", "0")):
            self.assertEqual(str(Seeds.of_option(text)), seeds)
        with self.assertRaisesRegex(ValueError, "at most 1,000,000 seeds"):
            Seeds.of_option("1000001")

    def test_bad_seeds_are_refused(self) -> None:
        for text in ("", "1..", "a", "-1", "5..3", "1,1", "1..3,2", "1..99999999", "9" * 19, "1.5", "²"):
            with self.subTest(text), self.assertRaises(ValueError):
                Seeds.of(text)

    def test_bad_shards_are_refused(self) -> None:
        for text in ("", "0/2", "3/2", "1", "1/0", "a/b", "1/99999"):
            with self.subTest(text), self.assertRaises(ValueError):
                Shard.parse(text)


def planned(configs: list[Path], seeds: str, shard: str = "1/1", **changes: Any) -> Plan:
    template = Job(configs[0], 0, **changes)
    return Plan.of(configs, Seeds.of(seeds), Shard.parse(shard), template, Path(sys.executable))


class Files(unittest.TestCase):
    """A directory with two scenarios."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.configs = [self.directory / "a.json", self.directory / "b.json"]
        for path in self.configs:
            write_config(self.directory).replace(path)
        self.out = self.directory / "out"


class Plans(Files):
    def test_shards_have_each_job_once_and_as_many_of_each_scenario(self) -> None:
        whole = planned(self.configs, "1..10")
        for of in (1, 2, 3, 7, 25):
            shards = [planned(self.configs, "1..10", f"{number}/{of}") for number in range(1, of + 1)]
            keys = [job.key for shard in shards for job in shard.jobs()]
            self.assertEqual(sorted(keys), sorted(job.key for job in whole.jobs()))
            for shard in shards:
                jobs = list(shard.jobs())
                self.assertEqual(len(jobs), len(shard))
                counts = Counter(job.config_name for job in jobs)
                self.assertEqual(shard.runs_of_each(), {str(path): counts[str(path)] for path in self.configs})
                runs = shard.runs_of_each().values()
                self.assertLessEqual(max(runs) - min(runs), 1)
                self.assertTrue(all(shard.has(passed(job)) for job in jobs))
            self.assertEqual(sum(shards[0].has(passed(job)) for job in whole.jobs()), len(shards[0]))

    def test_scenarios_take_turns(self) -> None:
        names = [(job.config.stem, job.seed) for job in planned(self.configs, "1..2").jobs()]
        self.assertEqual(names, [("a", 1), ("b", 1), ("a", 2), ("b", 2)])

    def test_plan_comes_back_from_its_file(self) -> None:
        one = planned(self.configs, "1..3,7", "2/3", options=("--x",), arguments=("--no-check",))
        plan.save(one, self.directory)
        self.assertIsNone(one.difference(plan.load(self.directory)))

    def test_each_difference_is_told(self) -> None:
        one = planned(self.configs, "1..3")
        for other, words in (
            (planned(self.configs, "1..4"), "seeds: 1..4 and not 1..3"),
            (planned(self.configs[:1], "1..3"), "its scenarios are others, or in another order"),
            (planned(self.configs[::-1], "1..3"), "its scenarios are others, or in another order"),
            (replace(one, program="0"), "the program has changed"),
            (planned(self.configs, "1..3", transport="udp"), "transport: udp and not seqpacket"),
            (planned(self.configs, "1..3", options=("--x",)), 'options: ["--x"] and not []'),
        ):
            self.assertEqual(one.difference(other), words)
        self.configs[1].write_text(self.configs[1].read_text() + "\n")
        self.assertEqual(one.difference(planned(self.configs, "1..3")), f"the content of {self.configs[1]} has changed")

    def test_file_that_is_no_plan_is_refused(self) -> None:
        right = planned(self.configs, "1..3").to_json()
        for text in ("", "[]", "{", "[" * 100_000, json.dumps(right | {"seeds": "x"}),
                     json.dumps(right | {"shard": 1}), json.dumps(right | {"format": 2}),
                     json.dumps(right | {"options": [["x"]]}), json.dumps(right | {"scenarios": {"x": 1}})):
            (self.directory / plan.FILE).write_text(text)
            with self.assertRaisesRegex(CampaignError, "describes no campaign"):
                plan.load(self.directory)


def passed(job: Job, verdict: str = "passed", **changes: Any) -> Outcome:
    return Outcome(job.key, job.config_name, job.seed, verdict, seconds=2.0, command=job.command, **changes)


class Stores(Files):
    def setUp(self) -> None:
        super().setUp()
        self.jobs = list(planned(self.configs, "1..3").jobs())

    def written(self) -> bytes:
        records = Store(self.directory)
        offsets = [records.append(passed(job)) for job in self.jobs]
        records.close()
        path = self.directory / store.FILE
        self.assertEqual([offset for offset, _ in store.records(path)], offsets)
        return path.read_bytes()

    def test_half_line_is_cut_off_wherever_the_crash_came(self) -> None:
        whole = self.written()
        path = self.directory / store.FILE
        for end in range(len(whole) + 1):
            path.write_bytes(whole[:end])
            Store(self.directory).close()
            self.assertEqual(path.read_bytes(), whole[:whole.rfind(b"\n", 0, end) + 1])

    def test_half_line_longer_than_one_read_is_cut_off(self) -> None:
        path = self.directory / store.FILE
        path.write_bytes(b"{}\n" + b"x" * 200_000)
        Store(self.directory).close()
        self.assertEqual(path.read_bytes(), b"{}\n")

    def test_line_that_is_no_record_is_refused_with_its_number(self) -> None:
        whole = self.written().splitlines(keepends=True)
        path = self.directory / store.FILE
        for bad in (b"{}\n", b"\n", b"null\n", b"\xff\n", b"[" * 10_000 + b"\n", b"x" * (2 << 20) + b"\n"):
            path.write_bytes(whole[0] + bad + whole[1])
            with self.assertRaisesRegex(CampaignError, r"results.jsonl: line 2: "):
                list(store.records(path))

    def test_record_with_a_part_of_another_type_is_refused(self) -> None:
        [record, *_] = map(json.loads, self.written().splitlines())
        path = self.directory / store.FILE
        for part in (
            {"failed": ["text"]}, {"failed": [{"name": "x"}]}, {"failed": [{"name": 1, "text": "x"}]}, {"advice": [1]},
            {"tiers": {"failures": 4}}, {"tiers": {"failures": "0"}}, {"metrics": {"p99_latency": "x"}},
            {"metrics": {"p99_latency": float("nan")}}, {"metrics": {"p99_latency": 1e16}}, {"seconds": -1},
            {"seconds": 10**400}, {"kept": "\ud800"},
        ):
            with self.subTest(part):
                path.write_text(json.dumps(record | part) + "\n")
                with self.assertRaisesRegex(CampaignError, r"results.jsonl: line 1: no record of a run"):
                    list(store.records(path))

    def test_second_campaign_in_one_directory_is_refused(self) -> None:
        first = Store(self.directory)
        self.addCleanup(first.close)
        with self.assertRaisesRegex(CampaignError, "another campaign is running there"):
            Store(self.directory)

    def test_full_disk_leaves_whole_lines(self) -> None:
        records = Store(self.directory)
        self.addCleanup(records.close)
        records.append(passed(self.jobs[0]))
        real = os.write
        with (
            mock.patch("os.write", lambda descriptor, data: real(descriptor, data[:10])),
            self.assertRaisesRegex(OSError, "No space left"),
        ):
            records.append(passed(self.jobs[1]))
        records.append(passed(self.jobs[2]))
        keys = [outcome.key for _, outcome in store.records(records.path)]
        self.assertEqual(keys, [self.jobs[0].key, self.jobs[2].key])


class Estimates(unittest.TestCase):
    def outcome(self, config: str, seconds: float, verdict: str = "passed") -> Outcome:
        return Outcome(f"{config}#1", config, 1, verdict, seconds=seconds)

    def test_there_is_no_estimate_before_each_worker_has_finished_a_run(self) -> None:
        progress = Progress({"a": 10}, {"a": 30}, size=2)
        self.assertEqual(progress.line(0), "0/10 passed 0 failed 0 error 0, 2 at a time, no estimate yet")
        progress.count(self.outcome("a", 30), is_new=True)
        self.assertIn("no estimate yet", progress.line(30))
        progress.count(self.outcome("a", 30), is_new=True)
        self.assertEqual(
            progress.line(30),
            "2/10 passed 2 failed 0 error 0, 2 at a time, 4.0 per minute, about 2 min left",
        )

    def test_estimate_takes_the_time_of_each_scenario(self) -> None:
        progress = Progress({"short": 3, "long": 3, "new": 1}, {"short": 8, "long": 92, "new": 50})
        progress.count(self.outcome("short", 10), is_new=True)
        progress.count(self.outcome("long", 100), is_new=True)
        self.assertEqual(progress.estimate(), 2 * 10 + 2 * 100 + 50 * 1.1)

    def test_errors_are_counted_but_not_measured(self) -> None:
        progress = Progress({"a": 3}, {"a": 10})
        progress.count(self.outcome("a", 0.1, "error"), is_new=True)
        self.assertIsNone(progress.estimate())
        self.assertIn("1/3 passed 0 failed 0 error 1", progress.line(1))

    def test_earlier_runs_give_an_estimate_but_no_rate(self) -> None:
        progress = Progress({"a": 3}, {"a": 10})
        progress.count(self.outcome("a", 10), is_new=False)
        self.assertIn("no estimate yet", progress.line(5))
        self.assertEqual(progress.estimate(), 20)


class Sweeps(Files):
    """Whole sweeps with fake runs and real workers."""

    def setUp(self) -> None:
        super().setUp()
        self.runs, self.deaths = self.directory / "runs", self.directory / "deaths"
        self.runs.mkdir()
        self.deaths.mkdir()

    def environment(self, **seeds: str) -> dict[str, str]:
        return {
            "FAKE_RUNS": str(self.runs), "FAKE_DEATHS": str(self.deaths),
            "FAKE_SEEDS": json.dumps({seed[1:]: behaviour for seed, behaviour in seeds.items()}),
        }

    def sweep(self, *arguments: str, **seeds: str) -> tuple[int, str]:
        """The exit code and the output of a sweep; `_7="fail"` tells what seed 7 does."""
        out = io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment(**seeds)),
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(out),
        ):
            code = campaign_sweep.main(self.arguments(*arguments))
        return code, out.getvalue()

    def arguments(self, *more: str) -> list[str]:
        return [*map(str, self.configs), f"--out={self.out}", *more]

    @contextlib.contextmanager
    def started(self, *arguments: str, **seeds: str) -> Iterator[subprocess.Popen[str]]:
        """A sweep as a process that has finished all runs but the two of seed 3, which hang."""
        mark = self.mark = f"FAKE_MARK={uuid.uuid4().hex}"
        before = max(8, len(os.listdir(self.runs)))
        environment = os.environ | self.environment(_3="hang") | dict([mark.split("=")])
        command = [sys.executable, "-m", campaign_sweep.__name__, *self.arguments(*arguments)]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
            self.addCleanup(guard.sweep, mark)
            self.wait_until(lambda: (self.out / store.FILE).exists() and len(self.outcomes()) == 8)
            self.wait_until(lambda: len(os.listdir(self.runs)) == before + 2)
            yield process
        self.wait_until(lambda: not guard._family(mark.encode()))

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not holds():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def outcomes(self, directory: Path | None = None) -> list[Outcome]:
        return [outcome for _, outcome in store.records((directory or self.out) / store.FILE)]

    def test_sweep_runs_each_job_once_and_tells_failures(self) -> None:
        code, said = self.sweep("--seeds=1..6", "--jobs=3", _4="fail", _5="break")
        self.assertEqual(code, 1)
        verdicts = Counter(outcome.verdict for outcome in self.outcomes())
        self.assertEqual(verdicts, {"passed": 8, "failed": 2, "error": 2})
        self.assertEqual(len({outcome.key for outcome in self.outcomes()}), 12)
        self.assertEqual(len(os.listdir(self.runs)), 12)
        self.assertIn(f"failed: {self.configs[0]}#4: Incorrect responses", said)
        self.assertIn("passed 8 of 12; see", said)

    def test_directory_may_move_with_the_files_of_its_failed_runs(self) -> None:
        self.sweep("--seeds=1..2", _2="fail")
        found = {one.config: one.kept for one in self.outcomes() if not one.passed}
        self.assertEqual(found, {str(path): f"kept/{path.stem}-2/scenario-7" for path in self.configs})
        self.assertTrue(all((self.out / place).is_dir() for place in found.values() if place))

    def test_sweep_ends_at_a_run_that_is_bad_usage(self) -> None:
        code, said = self.sweep("--seeds=1..6", "--jobs=1", _2="refuse")
        self.assertEqual((code, said.count("\n"), len(self.outcomes())), (2, 1, 2))
        self.assertIn(f"./run.py {self.configs[0]} --seed=2: scenario.json: lifetime: 0", said)

    def test_sweep_of_passed_runs_is_a_success(self) -> None:
        self.assertEqual(self.sweep("--seeds=1..2", "--jobs=2")[0], 0)
        self.assertEqual(sorted(os.listdir(self.out)), ["campaign.json", "junit.xml", "results.jsonl", "summary.html"])

    def test_sweep_in_another_directory_keeps_its_files_in_its_own(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)
        self.out = Path("here")
        self.sweep("--seeds=2..2", _2="fail")
        self.out = self.directory / "here"
        self.assertEqual(len(os.listdir(self.out / "kept")), len(self.configs))
        self.assertEqual({one.kept for one in self.outcomes()}, {
            f"kept/{path.stem}-2/scenario-7" for path in self.configs
        })

    def test_job_of_a_dead_worker_goes_to_another_one(self) -> None:
        for name in ("2-1", "2-2", "5-1"):
            (self.deaths / name).touch()
        code, _ = self.sweep("--seeds=1..6", "--jobs=2")
        self.assertEqual(code, 0)
        self.assertEqual(os.listdir(self.deaths), [])
        self.assertEqual(len({outcome.key for outcome in self.outcomes()}), 12)
        self.assertEqual(len(os.listdir(self.runs)), 12)

    def test_job_that_costs_three_workers_is_an_error(self) -> None:
        # Each of the two scenarios has this seed.
        for number in range(10):
            (self.deaths / f"2-{number}").touch()
        code, _ = self.sweep("--seeds=1..3", "--jobs=1")
        self.assertEqual((code, len(os.listdir(self.deaths))), (1, 10 - 2 * pool.MOST_ATTEMPTS))
        bad = [outcome for outcome in self.outcomes() if not outcome.passed]
        self.assertEqual([outcome.seed for outcome in bad], [2, 2])
        self.assertEqual(bad[0].reason, "its worker was killed by SIGKILL, as were 2 attempts before")

    def test_run_that_a_signal_kills_is_tried_three_times(self) -> None:
        self.assertEqual(self.sweep("--seeds=2..2", "--jobs=1", _2="die")[0], 1)
        self.assertEqual(len(os.listdir(self.runs)), 2 * pool.MOST_ATTEMPTS)
        self.assertEqual({outcome.verdict for outcome in self.outcomes()}, {"error"})

    def test_resumed_sweep_runs_what_is_left(self) -> None:
        self.sweep("--seeds=1..4", "--jobs=2")
        path = self.out / store.FILE
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:5]) + lines[5][:30])
        code, said = self.sweep("--seeds=1..4", "--jobs=2")
        self.assertEqual(code, 0)
        self.assertIn("goes on after 5 of 8 runs", said)
        self.assertEqual(len({outcome.key for outcome in self.outcomes()}), 8)
        self.assertEqual(len(os.listdir(self.runs)), 8 + 3)

    def test_killed_sweep_leaves_no_process_and_goes_on(self) -> None:
        with self.started("--seeds=1..5", "--jobs=3") as process:
            process.kill()
        code, said = self.sweep("--seeds=1..5", "--jobs=3")
        self.assertEqual(code, 0)
        self.assertIn("goes on after 8 of 10 runs", said)
        self.assertEqual(len({outcome.key for outcome in self.outcomes()}), 10)

    def test_interrupted_sweep_ends_its_runs_and_says_how_to_go_on(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.started("--seeds=1..5", "--jobs=3") as process:
                process.send_signal(number)
                said = process.communicate()[0]
                self.assertEqual(guard._family(self.mark.encode()), set())
            self.assertEqual(process.returncode, 1)
            self.assertIn("interrupted after 8 of 10 runs; go on with: ./run.py sweep ", said)
            self.assertEqual(len(self.outcomes()), 8)
            self.assertIn("2 of 10 runs are missing", (self.out / "summary.html").read_text())
        self.assertEqual(self.sweep("--seeds=1..5")[0], 0)

    def test_other_command_in_the_same_directory_is_refused(self) -> None:
        self.sweep("--seeds=1..2")
        before = (self.out / store.FILE).read_bytes()
        for arguments, words in (
            (["--seeds=1..3"], "seeds: 1..2 and not 1..3"),
            (["--seeds=1..2", "--transport=udp"], "transport: seqpacket and not udp"),
            (["--seeds=1..2", "--shard=1/2"], "shard: 1/1 and not 1/2"),
        ):
            code, said = self.sweep(*arguments)
            self.assertEqual((code, said), (2, f"{self.out}: has another campaign: {words}\n"))
        self.configs[0].write_text(self.configs[0].read_text() + " ")
        code, said = self.sweep("--seeds=1..2")
        self.assertEqual((code, said.count("\n")), (2, 1))
        self.assertIn(f"the content of {self.configs[0]} has changed", said)
        self.assertEqual((self.out / store.FILE).read_bytes(), before)

    def test_directory_with_other_files_is_refused(self) -> None:
        self.out.mkdir()
        (self.out / "mine").touch()
        code, said = self.sweep("--seeds=1")
        self.assertEqual((code, said.count("\n")), (2, 1))
        self.assertEqual(os.listdir(self.out), ["mine"])

    def test_bad_command_lines_are_refused(self) -> None:
        for arguments in (
            ["--seeds=x"], ["--seeds=1", "--jobs=0"], ["--seeds=1", "--shard=3/2"], ["--seeds=1..900000"],
            ["--seeds=1", "--virtual", "--transport=udp"], ["--seeds=1", "--replica-options='"],
            ["--seeds=1", "--explore-options=x"], ["--seeds=1", "--scheduler=nonsense://x"], ["--seeds=1", str(self.configs[0])],
        ):
            with self.subTest(arguments):
                code, said = self.sweep(*arguments)
                self.assertEqual(code, 2)
                self.assertNotIn("Traceback", said)
        self.assertFalse(self.out.exists())

    def test_program_that_cannot_run_is_refused_before_the_first_run(self) -> None:
        for program, reason in ((self.configs[0], "is not executable"), (self.directory, "not found")):
            code, said = self.sweep("--seeds=1", f"--replica={program}")
            self.assertEqual((code, said.count("\n"), self.out.exists()), (2, 1, False))
            self.assertIn(f"--replica: replica program {reason}: {program}", said)

    def test_shards_merge_into_the_whole(self) -> None:
        shards = []
        for number in (1, 2, 3):
            self.out = self.directory / f"shard-{number}"
            shards.append(str(self.out))
            self.sweep("--seeds=1..5", f"--shard={number}/3", _2="fail")
        self.assertEqual(self.merge(*shards, "whole")[0], 1)
        merged = self.outcomes(self.directory / "whole")
        self.assertEqual([(Path(one.config).stem, one.seed) for one in merged],
                         list(itertools.product("ab", range(1, 6))))
        code, said = self.merge(*shards[:2], "part")
        self.assertEqual(code, 2)
        self.assertRegex(said, r"3 missing: .*b\.json#1, .*a\.json#3, .*b\.json#4")

    def merge(self, *names: str) -> tuple[int, str]:
        """Merge directories into the last one."""
        out = io.StringIO()
        paths = [str(self.directory / name) for name in names]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = merge.main([*paths[:-1], f"--out={paths[-1]}"])
        return code, out.getvalue()


class Merges(Files):
    def shard(self, name: str, verdicts: dict[int, str], seeds: str = "1..4", **changes: Any) -> str:
        directory = self.directory / name
        directory.mkdir()
        one = planned(self.configs[:1], seeds, "1/1")
        plan.save(one, directory)
        records = Store(directory)
        for job in one.jobs():
            if job.seed in verdicts:
                records.append(passed(job, verdicts[job.seed], **changes))
        records.close()
        return str(directory)

    merge = Sweeps.merge
    outcomes = Sweeps.outcomes

    def test_job_of_two_shards_is_counted_once_and_told(self) -> None:
        one = self.shard("one", {1: "passed", 2: "passed", 3: "passed"})
        two = self.shard("two", {3: "passed", 4: "passed"})
        code, said = self.merge(one, two, "whole")
        self.assertEqual((code, len(self.outcomes(self.directory / "whole"))), (0, 4))
        self.assertIn("1 counted once, because several shards have them: ", said)

    def test_worse_of_two_verdicts_counts_and_is_told(self) -> None:
        one = self.shard("one", {1: "passed", 2: "failed", 3: "passed", 4: "passed"})
        two = self.shard("two", {1: "failed", 2: "passed"})
        for order in ((one, two), (two, one)):
            code, said = self.merge(*order, f"whole-{Path(order[0]).name}")
            self.assertEqual(code, 1)
            self.assertIn("2 counted with the worse one of two verdicts: ", said)
            verdicts = [one.verdict for one in self.outcomes(self.directory / f"whole-{Path(order[0]).name}")]
            self.assertEqual(verdicts, ["failed", "failed", "passed", "passed"])

    def test_shards_of_different_campaigns_are_refused(self) -> None:
        one, two = self.shard("one", {1: "passed"}), self.shard("two", {1: "passed"}, seeds="1..5")
        code, said = self.merge(one, two, "whole")
        self.assertEqual((code, said.count("\n")), (2, 1))
        self.assertIn("is no shard of the campaign in", said)
        self.assertFalse((self.directory / "whole").exists())

    def test_files_that_are_no_results_are_refused(self) -> None:
        one = self.shard("one", {1: "passed"})
        (Path(one) / store.FILE).write_text("{}\n")
        for directory in (one, str(self.directory / "none"), str(self.directory)):
            code, said = self.merge(directory, "whole")
            self.assertEqual((code, said.count("\n")), (2, 1))

    def test_kept_files_are_found_from_the_new_directory(self) -> None:
        one = self.shard("one", dict.fromkeys(range(1, 5), "failed"), kept="kept/a-1")
        self.merge(one, "whole")
        self.assertEqual({one.kept for one in self.outcomes(self.directory / "whole")}, {"../one/kept/a-1"})


if __name__ == "__main__":
    unittest.main()
