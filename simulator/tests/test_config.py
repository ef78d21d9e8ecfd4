"""Every bad configuration is refused with its file, key, value and rule, in one line."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from simulator import config, schedule, suite
from simulator.config import ConfigError
from simulator.tests.support import ROOT, SMALL, small_scenario, write_config


def event(type: str, time: float, **keys: Any) -> list[dict[str, Any]]:
    return [{"type": type, "time": time, **keys}]


THREE = {metric: [0, 1, 2] for metric in config.METRICS}


class Refusals(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def assert_refused(self, rest: str, **changes: Any) -> None:
        self.assert_file_refused(write_config(self.directory, **changes), rest)

    def assert_file_refused(self, path: Path, rest: str) -> None:
        with self.assertRaises(config.ConfigError) as caught:
            config.load(path)
        message = str(caught.exception)
        self.assertTrue(message.startswith(f"{path}: {rest}"), message)
        self.assertNotIn("\n", message)

    def assert_nearest(self, name: str, **changes: Any) -> None:
        with self.assertRaisesRegex(ConfigError, rf"; did you mean {name}\?$"):
            config.load(write_config(self.directory, **changes))

    def file(self, text: str) -> Path:
        path = self.directory / "scenario.json"
        path.write_text(text)
        return path

    def test_missing_file_is_refused(self) -> None:
        path = self.directory / "absent.json"
        self.assert_file_refused(path, "(file): missing: must be a readable file")
        (self.directory / "crash-3.json").touch()
        with self.assertRaisesRegex(ConfigError, "did you mean .*/crash-3.json\\?$"):
            config.load(self.directory / "crash3.json")

    def test_file_that_is_not_json_is_refused(self) -> None:
        self.assert_file_refused(self.file("{lifetime: 5}"), '(file): "...": must be JSON')

    def test_file_that_is_not_an_object_is_refused(self) -> None:
        self.assert_file_refused(self.file("[1]"), "(file): [1]: must be an object")

    def test_missing_key_is_refused(self) -> None:
        for key in ("lifetime", "replicas", "requests"):
            with self.subTest(key):
                content = {k: v for k, v in SMALL.items() if k != key}
                self.assert_file_refused(self.file(json.dumps(content)), f"{key}: missing: must be ")

    def test_value_out_of_range_is_refused(self) -> None:
        for key, value, rule in (
            ("lifetime", 4.9, "must be a number from 5 to 1000000"),
            ("lifetime", 3_000_000, "must be a number from 5 to 1000000"),
            ("lifetime", 1e308, "must be a number from 5 to 1000000"),
            ("replicas", 2, "must be an integer from 3 to 21"),
            ("replicas", 22, "must be an integer from 3 to 21"),
            ("requests", -1, "must be an integer from 0 to 900000"),
            ("mix", 1.1, "must be a number from 0 to 1"),
            ("drops", -0.1, "must be a number from 0 to 1"),
            ("poll", -0.1, "must be a number from 0 to 1"),
            ("poll", 1.1, "must be a number from 0 to 1"),
            ("restarts", -1, "must be an integer from 0 to 10000"),
            ("restarts", 10001, "must be an integer from 0 to 10000"),
            ("value_bytes", 31, "must be an integer from 32 to 4096"),
            ("value_bytes", 4097, "must be an integer from 32 to 4096"),
            ("shared_keys", -1, "must be an integer from 0 to 1000000"),
            ("shared_keys", 1000001, "must be an integer from 0 to 1000000"),
            ("client_drops", 1.1, "must be a number from 0 to 1"),
            ("client_timeout", 0, "must be a number above 0"),
            ("client_timeout", -1, "must be a number above 0"),
            ("client_timeout", 1e308, "must be a number above 0 and at most 1000000"),
            ("start_wait", 6, "must be a number from 0 to 5"),
            ("end_wait", -1, "must be a number from 0 to 5"),
            ("end_wait", 4.5, "start_wait + end_wait must be at most lifetime"),
            ("max_packets", 99, "must be an integer from 100 to 900000"),
            ("max_packets", 900001, "must be an integer from 100 to 900000"),
        ):
            with self.subTest(key, value=value):
                self.assert_refused(f"{key}: {value}: {rule}", **{key: value})

    def test_more_requests_than_max_packets_allows_are_refused(self) -> None:
        self.assert_refused("max_packets: 20000: must be an integer from 20001", requests=20001)

    def test_value_of_the_wrong_type_is_refused(self) -> None:
        for key, value, rule in (
            ("lifetime", "5", "must be a number"),
            ("replicas", 3.5, "must be an integer"),
            ("requests", True, "must be an integer"),
            ("mix", None, "must be a number"),
            ("seed", 1.5, "must be an integer"),
            ("shared_keys", 0.5, "must be an integer"),
            ("client_drops", "0", "must be a number"),
            ("client_timeout", True, "must be a number above 0"),
            ("read_back", 1, "must be true or false"),
            ("read_back", None, "must be true or false"),
            ("read_all", 1, "must be true or false"),
            ("value_bytes", 32.5, "must be an integer"),
            ("restarts", True, "must be an integer"),
            ("events", {}, "must be a list of at most 10,000 objects"),
            ("events", [1], "must be an object"),
            ("tests", [], "must be an object"),
        ):
            with self.subTest(key, value=value):
                key_of_rule = "events[0]: 1" if value == [1] else f"{key}: {json.dumps(value)}"
                self.assert_refused(f"{key_of_rule}: {rule}", **{key: value})

    def test_list_has_a_greatest_length(self) -> None:
        path = self.directory / "scenario.json"
        path.write_text(json.dumps(SMALL | {"events": [{"type": "heal", "time": 1}] * 10_001}))
        with self.assertRaises(ConfigError) as caught:
            config.load(path)
        self.assertEqual(str(caught.exception)[-45:], "...: must be a list of at most 10,000 objects")

    def test_texts_of_a_scenario_cannot_move_the_cursor(self) -> None:
        path = self.directory / "a\x1b[2J\nb.json"
        when = {"on": "message_sent", "message": "\x1b[2J"}
        path.write_text(json.dumps(SMALL | {"events": [{"type": "heal", "when": when}]}))
        scenario = config.load(path)
        self.assertEqual(scenario.name, r"a\x1b[2J\nb")
        self.assertEqual(str(scenario.events[0].when), r"message_sent \x1b[2J")

    def test_shares_of_operations_that_make_no_sense_are_refused(self) -> None:
        rule = "the shares must add up to more than 0 and at most 1"
        for value, said in (
            (0.5, "operations: 0.5: must be an object"),
            (None, "operations: null: must be an object"),
            ({"cas": 1.5}, "operations.cas: 1.5: must be a number from 0 to 1"),
            ({"append": -0.1}, "operations.append: -0.1: must be a number from 0 to 1"),
            ({"delete": True}, "operations.delete: true: must be a number from 0 to 1"),
            ({"put": 0.5}, "operations.put: 0.5: unknown key; known are cas, increment, append, delete"),
            ({}, f"operations: {{}}: {rule}"),
            ({"cas": 0}, f'operations: {{"cas": 0}}: {rule}'),
            ({"cas": 0.6, "increment": 0.5}, f'operations: {{"cas": 0.6, "increment": 0.5}}: {rule}'),
        ):
            with self.subTest(value=value):
                self.assert_refused(said, operations=value)

    def test_number_that_is_not_finite_is_refused(self) -> None:
        for value in (float("nan"), float("inf")):
            self.assert_refused("lifetime: ", lifetime=value)
            self.assert_refused("client_timeout: ", client_timeout=value)

    def test_numbers_of_400_digits_are_refused_and_cut(self) -> None:
        huge = 10 ** 400
        for key in ("lifetime", "replicas", "requests", "mix", "client_timeout", "max_packets", "poll"):
            with self.subTest(key):
                self.assert_refused(f"{key}: 1{'0' * 79}...: must be ", **{key: huge})
        tests = {"benchmarks": THREE | {"failures": [0, 1, huge]}}
        self.assert_refused("tests.benchmarks.failures: [0, 1, 1000", tests=tests)
        self.assert_file_refused(self.file('{"lifetime": ' + "1" * 5000 + "}"), '(file): "...": must be JSON')

    def test_refusal_is_one_line_without_control_characters(self) -> None:
        self.assert_refused("\\x1b[2J\\n: 1: unknown key", **{"\x1b[2J\n": 1})
        deep: list[Any] = []
        for _ in range(900):
            deep = [deep]
        self.assert_refused("lifetime: [[[", lifetime=deep)

    def test_file_without_an_end_is_not_read_to_it(self) -> None:
        self.assert_file_refused(Path("/dev/zero"), '(file): "...": must have at most 16777216 bytes')

    def test_two_names_for_one_wait_are_refused(self) -> None:
        self.assert_refused("wait: 1: is another name of start_wait", wait=1)

    def test_lossy_or_thorough_clients_without_time_out_are_refused(self) -> None:
        self.assert_refused("client_drops: 0.1: needs client_timeout", client_drops=0.1)
        self.assert_refused("read_all: true: needs client_timeout", read_all=True)

    def test_unknown_key_is_refused(self) -> None:
        self.assert_refused("lifetimes: 5: unknown key; known are lifetime, ", lifetimes=5)
        self.assert_refused(
            "tests.maximum: 5: unknown key", tests={"benchmarks": THREE, "maximum": 5}
        )
        self.assert_refused(
            "tests.benchmarks.speed: 5: unknown key", tests={"benchmarks": THREE | {"speed": 5}}
        )
        self.assert_refused(
            "events[0].who: 1: unknown key", events=[{"type": "part_end", "time": 1, "who": 1}]
        )

    def test_unknown_name_is_refused_with_the_nearest_one(self) -> None:
        self.assert_nearest("isolate_leader", events=[{"type": "isolate_leadr", "time": 1}])
        self.assert_nearest("shared_keys", sharedkeys=5)
        self.assert_nearest("bandwidth", bandwith=5000)

    def test_delay_that_makes_no_sense_is_refused(self) -> None:
        rule = "must be two numbers from 0 to 10, the lesser one first"
        for uniform in ([1], [2, 1], [0, 11], ["a", 1], 5, [-1, 1], None, [True, 2], [0, float("nan")]):
            self.assert_refused(f"delay.uniform: {json.dumps(uniform)}: {rule}", delay={"uniform": uniform})
        for constant in (11, -1, "1", [1], True):
            rule = "must be a number from 0 to 10"
            self.assert_refused(f"delay.constant: {json.dumps(constant)}: {rule}", delay={"constant": constant})
        rule = "must be the mean and the deviation, two numbers from 0 to 10"
        for normal in ([1], [11, 1], [1, 11], [1, -1], 1):
            self.assert_refused(f"delay.normal: {json.dumps(normal)}: {rule}", delay={"normal": normal})
        rule = "must be the least delay from 0 to 10, and a shape above 0 and at most 100"
        for pareto in ([1], [11, 1], [1, 0], [1, 101], [-1, 1], 1, [0.1, float("inf")]):
            self.assert_refused(f"delay.pareto: {json.dumps(pareto)}: {rule}", delay={"pareto": pareto})
        rule = "must be the only distribution of this delay, without constant"
        self.assert_refused(f"delay.uniform: [0, 1]: {rule}", delay={"uniform": [0, 1], "constant": 1})
        self.assert_refused("reorder: true: needs delay", reorder=True)
        self.assert_refused("delay.paretto: [1, 1]: unknown key", delay={"paretto": [1, 1]})
        self.assert_nearest("pareto", delay={"paretto": [1, 1]})

    def test_link_that_makes_no_sense_is_refused(self) -> None:
        rule = "must be 0000 to 0002, clients, or a list of these"
        for end in ("0003", [], ["0000", "0009"], 5, [[]], None):
            for key in ("from", "to"):
                link = {key: end, "constant": 1}
                self.assert_refused(f"delay.links[0].{key}: {json.dumps(end)}: {rule}", delay={"links": [link]})
        self.assert_nearest("clients", delay={"links": [{"from": "client", "constant": 1}]})
        self.assert_refused(
            "delay.links[1].delay: null: needs one of constant, uniform, normal, pareto",
            delay={"links": [{"constant": 1}, {"from": "0000"}]},
        )
        self.assert_refused("delay.links[0].too: 1: unknown key", delay={"links": [{"constant": 1, "too": 1}]})
        self.assert_refused("delay.links: 5: must be a list of at most 10,000 objects", delay={"links": 5})

    def test_bandwidth_and_chance_of_damage_out_of_range_are_refused(self) -> None:
        for value in (999, 1_000_000_001, "1000", None):
            rule = "must be a number from 1000 to 1000000000"
            self.assert_refused(f"bandwidth: {json.dumps(value)}: {rule}", bandwidth=value)
        for value in (-0.1, 1.1, None):
            self.assert_refused(f"corrupt: {json.dumps(value)}: must be a number from 0 to 1", corrupt=value)

    def test_flap_or_slow_replica_that_makes_no_sense_is_refused(self) -> None:
        ids = "must be leader, non_leader, random or the ID of a replica, 0000 to 0002"
        for type, key, value, rule in (
            ("flap", "period", 0.009, "must be a number from 0.01 to 5"),
            ("flap", "period", 6, "must be a number from 0.01 to 5"),
            ("flap", "by", 1, "unknown key"),
            ("flap", "duration", 6, "must be a number from 0 to 5"),
            ("flap", "replica", "0003", ids),
            ("slow", "by", 11, "must be a number from 0 to 10"),
            ("slow", "period", 1, "unknown key"),
            ("slow", "replica", ["leader"], ids),
            ("slow", "duration", 3.5, "must end before the run does, 4 seconds after start_wait"),
            ("kill_leader", "replica", "0001", "unknown key"),
        ):
            with self.subTest(type, key=key):
                said = f"events[0].{key}: {json.dumps(value)}: {rule}"
                self.assert_refused(said, events=event(type, 1, **{key: value}))
        self.assert_nearest("leader", events=event("slow", 1, replica="leeder"))

    def test_condition_that_makes_no_sense_is_refused(self) -> None:
        for when, key, rule in (
            ({}, "on", "must be one of write_acknowledged, "),
            ({"on": "killd"}, "on", "must be one of write_acknowledged, "),
            ({"on": "killed", "after": -1}, "after", "must be a number from 0 to 5"),
            ({"on": "killed", "after": 6}, "after", "must be a number from 0 to 5"),
            ({"on": "killed", "from": 6}, "from", "must be a number from 0 to 5"),
            ({"on": "killed", "count": 0}, "count", "must be an integer from 1 to 1000000"),
            ({"on": "killed", "count": 1.5}, "count", "must be an integer from 1 to 1000000"),
            ({"on": "killed", "message": "a"}, "message", "unknown key"),
            ({"on": "message_sent"}, "message", "must be the type of a message between replicas"),
            ({"on": "message_sent", "message": ""}, "message", "must be the type of a message"),
            ({"on": "message_sent", "message": "a" * 101}, "message", "must be the type of a message"),
            ({"on": "killed", "afer": 1}, "afer", "unknown key"),
        ):
            with self.subTest(when):
                shown = "missing" if key not in when else json.dumps(when[key])[:80]
                shown += "..." if len(shown) == 80 else ""
                self.assert_refused(f"events[0].when.{key}: {shown}: {rule}", events=[{"type": "heal", "when": when}])
        self.assert_nearest("killed", events=[{"type": "heal", "when": {"on": "killd"}}])
        self.assert_nearest("after", events=[{"type": "heal", "when": {"on": "killed", "afer": 1}}])
        self.assert_refused("events[0].when: 5: must be an object", events=[{"type": "heal", "when": 5}])
        self.assert_refused(
            "events[0].time: 1: must not be there beside when", events=event("heal", 1, when={"on": "killed"})
        )
        self.assert_refused("events[0].time: missing: must be a number from 0 to 5", events=[{"type": "heal"}])

    def test_rules_that_need_no_time_hold_for_events_with_conditions(self) -> None:
        restart = [{"type": "restart_leader", "when": {"on": "killed"}}]
        self.assert_refused('events[0].type: "restart_leader": needs persist', events=restart)
        self.assert_refused(
            "restarts: 3: needs events without restarts", events=restart, persist=True, restarts=3
        )

    def test_unknown_event_is_refused(self) -> None:
        self.assert_refused(
            'events[0].type: "explode": must be one of kill_leader, ',
            events=[{"type": "explode", "time": 1}],
        )

    def test_event_outside_of_the_run_is_refused(self) -> None:
        self.assert_refused(
            "events[0].time: 6: must be a number from 0 to 5", events=[{"type": "part_end", "time": 6}]
        )

    def test_restart_without_a_directory_is_refused(self) -> None:
        rule = "needs persist, because a replica that forgets its vote and its log is unsafe"
        for type in schedule.RESTARTS:
            with self.subTest(type):
                self.assert_refused(f'events[1].type: "{type}": {rule}', events=[*event("part_hard", 1), *event(type, 2)])
                self.assert_refused("persist: 1: must be true or false", events=event(type, 2), persist=1)

    def test_drawn_restarts_need_directories_and_no_restarts_or_pauses_besides(self) -> None:
        self.assert_refused("restarts: 3: needs persist, because a replica that forgets", restarts=3)
        for type in schedule.AWAY:
            rule = "needs events without restarts and pauses of their own"
            self.assert_refused(f"restarts: 3: {rule}", restarts=3, persist=True, events=event(type, 1))

    def test_duration_out_of_range_or_of_another_event_is_refused(self) -> None:
        for type in schedule.LASTING:
            for duration in (-0.1, 6, "1", None):
                said = f"events[0].duration: {json.dumps(duration)}: must be a number from 0 to 5"
                self.assert_refused(said, events=event(type, 1, duration=duration), persist=True)
            # The run ends 4 seconds after `start_wait`.
            said = "must end before the run does, 4 seconds after start_wait"
            self.assert_refused(f"events[0].duration: 1: {said}", events=event(type, 3, duration=1), persist=True)
            self.assert_refused(f"events[0].duration: 1.0: {said}", events=event(type, 3.5), persist=True)
        self.assert_refused(
            "events[0].duration: 1: unknown key; known are type, time", events=event("kill_leader", 1, duration=1)
        )

    def test_events_that_contradict_each_other_are_refused(self) -> None:
        whole = event("restart_all", 1, duration=1)
        killed = event("kill_leader", 0) + event("kill_leader_on_ack", 0.1) + event("kill_non_leader", 0.2)
        paused = event("pause_leader", 1, duration=2) + event("pause_non_leader", 1.5)
        for number, time, rule, events in (
            (1, 1.5, "no replica is up then, because of restart_all at 1 for 1", whole + event("restart_leader", 1.5)),
            (0, 1.5, "no replica is up then, because of restart_all at 1 for 1", event("kill_leader", 1.5) + whole),
            (1, 1, "no replica is up then, because of restart_all at 1 for 1", whole + event("pause_leader", 1)),
            (1, 1.9, "no replica is up then, because of restart_all at 1 for 1", whole + event("restart_all", 1.9)),
            (1, 1, "must not be before the end of pause_leader at 0.5 for 1", event("pause_leader", 0.5) + whole),
            (1, 1, "must not be before the end of restart_leader at 1 for 1", event("restart_leader", 1) + whole),
            (3, 1, "no replica is left, because 3 are killed and 0 down or paused by then", killed + whole),
            (3, 2, "no replica is left, because 1 are killed and 2 down or paused by then",
             killed[:1] + paused + event("restart_non_leader", 2)),
            (3, 2, "no replica is left, because 1 are killed and 2 down or paused by then",
             killed[:1] + paused + event("pause_non_leader", 2)),
        ):
            with self.subTest(events=events):
                self.assert_refused(f"events[{number}].time: {time}: {rule}", events=events, persist=True)

    def test_fraction_out_of_range_is_refused(self) -> None:
        tests = {"benchmarks": THREE, "maximum_put_fail_fraction": 2}
        self.assert_refused("tests.maximum_put_fail_fraction: 2: must be a number", tests=tests)

    def test_missing_benchmark_is_refused(self) -> None:
        self.assert_refused("tests.benchmarks: missing", tests={})
        self.assert_refused("tests.benchmarks: missing", tests={"maximum_get_fail_fraction": 0.5})
        self.assert_refused("tests.benchmarks.total_msgs: missing", tests={"benchmarks": {}})

    def test_benchmark_that_is_not_three_rising_numbers_is_refused(self) -> None:
        for values in ([1, 2], [1, 2, 3, 4], [1, 3, 2], [1, 1, 2], [-1, 1, 2], [1, 2, "3"], 5):
            with self.subTest(values=values):
                self.assert_refused(
                    f"tests.benchmarks.failures: {json.dumps(values)}: must be three rising numbers",
                    tests={"benchmarks": THREE | {"failures": values}},
                )

    def test_program_refuses_in_one_line_and_exits_with_2(self) -> None:
        path = write_config(self.directory, replicas=2)
        command = [sys.executable, str(ROOT / "run.py"), "--replica", "/bin/true", str(path)]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, "")
        # The first start of run.py with this Python may say that it sets up an environment.
        [*first, last] = done.stderr.splitlines()
        self.assertEqual(last, f"{path}: replicas: 2: must be an integer from 3 to 21")
        self.assertTrue(all(line.startswith("setting up ") for line in first), first)


class OtherVersions(unittest.TestCase):
    """Files in the forms of other simulators of the family."""

    OLDEST = {"lifetime": 30, "replicas": 5, "requests": 500, "mix": 0.2, "wait": 4}
    EARLY = {
        "lifetime": 30, "replicas": 5, "requests": 1000, "mix": 0.2, "drops": 0.1,
        "events": [{"type": "part_hard", "time": 5}, {"type": "part_end", "time": 8}],
    }
    LATE = {
        "lifetime": 30, "replicas": 5, "requests": 200, "mix": 0.2, "drops": 0.3, "end_wait": 10,
        "events": [{"type": "kill_leader", "time": 5}], "tests": {"benchmarks": THREE},
        "maximum_get_generation_fail_fraction": 0.2,
    }

    def load(self, content: dict[str, Any], year: int | None = None) -> config.Scenario:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "official.json"
            path.write_text(json.dumps(content))
            return config.load(path, config.OURS if year is None else config.defaults_of(year))

    def times(self, scenario: config.Scenario) -> tuple[float, float, float]:
        return scenario.start_wait, scenario.end_wait, scenario.lifetime

    def test_file_without_tests_has_default_limits_and_no_rating(self) -> None:
        tests = self.load(self.EARLY).tests
        self.assertEqual((tests.maximum_put_fail_fraction, tests.benchmarks), (0.5, {}))

    def test_oldest_name_of_start_wait_is_accepted(self) -> None:
        self.assertEqual(self.times(self.load(self.OLDEST)), (4, 2, 30))
        self.assertEqual(self.times(self.load(self.OLDEST, 2015)), (4, 0, 30))

    def test_limit_where_its_own_simulator_does_not_look_is_ignored(self) -> None:
        self.assertEqual(self.load(self.LATE).tests.maximum_get_generation_fail_fraction, 0.1)

    def test_each_year_has_its_defaults(self) -> None:
        for year, times in (
            (None, (2, 2, 30)), (2015, (2, 0, 30)), (2016, (2, 2, 30)), (2020, (2, 2, 30)),
            (2021, (3, 2, 30)), (2022, (5, 2, 37)), (2030, (5, 2, 37)),
        ):
            with self.subTest(year):
                self.assertEqual(self.times(self.load(self.EARLY, year)), times)

    def test_lifetime_of_requests_only_keeps_their_pace(self) -> None:
        scenario = self.load(self.LATE, 2022)
        self.assertEqual(self.times(scenario), (5, 10, 45))
        self.assertEqual(scenario.seconds_per_request, 30 / 200)


class Accepted(unittest.TestCase):
    def test_missing_keys_have_their_defaults(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "least.json"
            least = {"lifetime": 30, "replicas": 5, "requests": 1, "tests": {"benchmarks": THREE}}
            path.write_text(json.dumps(least))
            scenario = config.load(path)
        self.assertEqual(scenario.name, "least")
        self.assertEqual(
            (scenario.mix, scenario.start_wait, scenario.end_wait, scenario.seed, scenario.drops,
             scenario.max_packets, scenario.events),
            (0.8, 2, 2, None, 0, 20_000, ()),
        )
        self.assertEqual(
            (scenario.shared_keys, scenario.client_drops, scenario.client_timeout, scenario.read_back),
            (0, 0, None, False),
        )
        self.assertEqual((scenario.value_bytes, scenario.read_all, scenario.restarts), (32, False, 0))
        self.assertEqual(
            (scenario.tests.maximum_get_fail_fraction, scenario.tests.maximum_put_fail_fraction,
             scenario.tests.maximum_get_generation_fail_fraction,
             scenario.tests.maximum_appends_batched_fraction),
            (0.5, 0.5, 0.1, 0.5),
        )

    def test_events_happen_in_the_order_of_their_times(self) -> None:
        events = [{"type": "part_end", "time": 2}, {"type": "part_hard", "time": 1}]
        with tempfile.TemporaryDirectory() as directory:
            scenario = config.load(write_config(Path(directory), events=events))
        self.assertEqual([event.type for event in scenario.events], ["part_hard", "part_end"])

    def test_events_that_follow_each_other_or_hit_different_replicas_are_accepted(self) -> None:
        events = [
            *event("restart_all", 0, duration=0.5), *event("restart_all", 0.5, duration=0.5),
            *event("restart_leader", 1), *event("pause_non_leader", 1.5), *event("kill_leader", 1.9),
            *event("part_hard", 1), *event("restart_non_leader", 2.5, duration=0),
        ]
        scenario = small_scenario(events=events, persist=True)
        self.assertTrue(scenario.persist)
        self.assertEqual([e.duration for e in scenario.events], [0.5, 0.5, 1, None, 1, None, 0])
        self.assertFalse(small_scenario(events=event("pause_leader", 1)).persist)
        self.assertTrue(small_scenario(persist=True).persist)

    def test_restarts_that_are_drawn_are_accepted_beside_kills_and_partitions(self) -> None:
        events = event("kill_leader", 1) + event("part_hard", 2) + event("part_end", 3)
        scenario = small_scenario(events=events, persist=True, restarts=5)
        self.assertEqual((scenario.restarts, len(scenario.events)), (5, 3))

    def test_flaps_and_slow_replicas_contradict_no_restart(self) -> None:
        spells = [*event("flap", 1, duration=3), *event("slow", 1, duration=3)] * 3
        whole = event("restart_all", 0.5, duration=1)
        away = event("restart_leader", 2) + event("pause_leader", 2)
        scenario = small_scenario(events=spells + whole + away, persist=True, lifetime=10)
        self.assertEqual(len(scenario.events), 9)
        self.assertEqual(small_scenario(events=event("flap", 1), persist=True, restarts=5).restarts, 5)

    def test_faults_have_their_defaults_and_events_with_conditions_come_last(self) -> None:
        events = [{"type": "heal", "when": {"on": "killed"}}, *event("slow", 2), *event("flap", 1)]
        scenario = small_scenario(events=events)
        self.assertEqual((scenario.corrupt, scenario.bandwidth, bool(scenario.delay)), (0, None, False))
        flap, slow, heal = scenario.events
        self.assertEqual((flap.duration, flap.period, flap.by, flap.replica), (1, 0.2, None, "random"))
        self.assertEqual((slow.duration, slow.period, slow.by, slow.replica), (1, None, 0.05, "random"))
        self.assertEqual((heal.time, heal.when), (None, schedule.When("killed", 0, 0, 1)))

    def test_only_new_faults_take_messages_off_the_short_way(self) -> None:
        for spoils, clients, changes in (
            (False, False, {"drops": 0.5, "events": event("part_hard", 1) + event("kill_leader", 2)}),
            (False, False, {"delay": {"constant": 0}, "corrupt": 0}),
            (False, False, {"events": event("flap", 1)}),
            (False, False, {"events": [{"type": "heal", "when": {"on": "killed"}}]}),
            (True, False, {"events": [{"type": "heal", "when": {"on": "message_sent", "message": "append"}}]}),
            (True, False, {"events": [{"type": "heal", "when": {"on": "get_answered"}}]}),
            (True, False, {"bandwidth": 1000}),
            (True, False, {"corrupt": 0.1}),
            (True, True, {"delay": {"links": [{"from": "clients", "normal": [0, 1]}]}}),
            (True, True, {"events": event("slow", 1)}),
        ):
            with self.subTest(changes):
                scenario = small_scenario(**changes)
                self.assertEqual((scenario.spoils, scenario.delays_clients), (spoils, clients))
                has_condition = any(event.when for event in scenario.events)
                self.assertEqual(scenario.is_timed_exactly, spoils or has_condition)

    def test_keys_for_the_behaviour_of_clients_are_read(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            scenario = config.load(write_config(
                Path(directory), shared_keys=1_000_000, client_drops=1, client_timeout=0.5, read_back=True
            ))
        self.assertEqual(
            (scenario.shared_keys, scenario.client_drops, scenario.client_timeout, scenario.read_back),
            (1_000_000, 1, 0.5, True),
        )

    def test_shares_of_operations_are_read(self) -> None:
        for given, read in (
            ({"append": 0.25}, (0, 0, 0.25, 0)),
            # The sum of these binary fractions exceeds 1.
            ({"delete": 0.1, "cas": 0.2, "increment": 0.4, "append": 0.3}, (0.2, 0.4, 0.3, 0.1)),
        ):
            with tempfile.TemporaryDirectory() as directory:
                shares = config.load(write_config(Path(directory), operations=given)).operations
            self.assertEqual(shares, dict(zip(config.OPERATIONS, read, strict=True)))
        self.assertEqual(small_scenario().operations, {})

    def test_scenarios_beyond_the_seventeen_are_accepted(self) -> None:
        scenarios = [config.load(path) for path in (ROOT / "configs" / "beyond").glob("*.json")]
        self.assertLessEqual(
            {"contended", "lossy-clients", "read-back", "kill-on-ack", "everything", "catch-unsafe",
             "counters", "compare-and-set", "mixed"},
            {scenario.name for scenario in scenarios},
        )

    def test_seventeen_scenarios_are_accepted(self) -> None:
        scenarios = suite.load(ROOT / "configs")
        self.assertEqual(len(scenarios), 17)
        self.assertTrue(all(s.lifetime == 30 and s.replicas == 5 for s in scenarios.values()))
