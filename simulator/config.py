"""A scenario: the configuration file, read and checked before anything starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from simulator import schedule
from simulator.messages import printable
from simulator.schedule import DEFAULT_DURATION, EVENT_TYPES, LASTING, Event

# The operations beside get and put, in the order in which their shares divide the writes.
OPERATIONS = ("cas", "increment", "append", "delete")
METRICS = ("total_msgs", "failures", "duplicates", "median_latency")
MAX_PACKETS_LIMIT = 900_000
MOST_RESTARTS = 10_000
MOST_SHARED_KEYS = 1_000_000
# Every value is different: it has 32 random digits. Two of the longest fit into a message.
LEAST_VALUE_BYTES, MOST_VALUE_BYTES = 32, 4_096
# Eleven days. The kernel takes no longer wait.
MOST_SECONDS = 1_000_000
# Of one message. Elections take less time, so more would show nothing but silence.
MOST_DELAY = 10
_REQUIRED = object()
_MOST_FILE_BYTES = 16 << 20
_MOST_SHOWN = 80
_MOST_ROUNDING = 1e-9


@dataclass(frozen=True)
class Defaults:
    """The values of omitted keys in the simulators of this family from the year `since` on."""

    since: int
    start_wait: float = 2
    end_wait: float = 2
    lifetime_includes_waits: bool = True


OURS = Defaults(2016)
_DEFAULTS = (
    Defaults(2015, end_wait=0), OURS, Defaults(2021, start_wait=3),
    Defaults(2022, start_wait=5, lifetime_includes_waits=False),
)
FIRST_YEAR = _DEFAULTS[0].since


def defaults_of(year: int) -> Defaults:
    """The defaults of the version of `year`, which is at least `FIRST_YEAR`."""
    return max(
        (defaults for defaults in _DEFAULTS if defaults.since <= year), key=lambda defaults: defaults.since
    )


class ConfigError(Exception):
    """A refused configuration: its file, key and value, and the rule that the value breaks."""

    def __init__(self, path: Path, key: str, value: Any, rule: str) -> None:
        shown = "missing" if value is _REQUIRED else _shown(value)
        super().__init__(printable(f"{path}: {_cut(key)}: {shown}: {rule}"))


def _shown(value: Any) -> str:
    try:
        return _cut(json.dumps(value))
    except RecursionError:
        return "..."


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


@dataclass(frozen=True)
class Delay:
    """The seconds that the network adds to each message, drawn evenly between the two.

    Messages from one replica to another stay in order, unless they may overtake each other.
    """

    least: float = 0.0
    most: float = 0.0
    reorder: bool = False

    def __bool__(self) -> bool:
        return self.most > 0


@dataclass(frozen=True)
class Tests:
    """The limits of the checks, and three rising thresholds per metric, or no metric at all."""

    maximum_get_fail_fraction: float
    maximum_put_fail_fraction: float
    maximum_get_generation_fail_fraction: float
    maximum_appends_batched_fraction: float
    benchmarks: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Scenario:
    name: str
    lifetime: float
    replicas: int
    requests: int
    mix: float
    start_wait: float
    end_wait: float
    seed: int | None
    drops: float
    duplicate: float
    delay: Delay
    shared_keys: int
    operations: dict[str, float]  # shares of the writes; empty if all of them are puts
    client_drops: float
    client_timeout: float | None
    read_back: bool
    read_all: bool
    value_bytes: int
    max_packets: int
    poll: float
    persist: bool
    restarts: int
    events: tuple[Event, ...]
    tests: Tests

    @property
    def seconds_per_request(self) -> float:
        """The time from one request to the next; all the time if there is no request."""
        return (self.lifetime - self.end_wait - self.start_wait) / max(1, self.requests)


def _nearest(name: Any, known: Sequence[str]) -> str:
    """The name that a user may have meant, as a question."""
    near = get_close_matches(name, known, 1) if isinstance(name, str) else []
    return f"; did you mean {near[0]}?" if near else ""


class _Section:
    """One JSON object of the file. The parser takes each known key, and refuses the others."""

    def __init__(self, path: Path, prefix: str, content: Any) -> None:
        self._path = path
        self._prefix = prefix
        self._known: list[str] = []
        if type(content) is not dict:
            raise ConfigError(path, prefix or "(file)", content, "must be an object")
        self._content = content

    def refuse(self, key: str, value: Any, rule: str) -> NoReturn:
        raise ConfigError(self._path, self._name(key), value, rule)

    def take(self, key: str, default: Any = _REQUIRED, rule: str = "is required") -> Any:
        self._known.append(key)
        value = self._content.get(key, default)
        if value is _REQUIRED:
            self.refuse(key, value, rule)
        return value

    def number(
        self, key: str, low: float, high: float, default: Any = _REQUIRED, whole: bool = False
    ) -> Any:
        kind = "an integer" if whole else "a number"
        rule = f"must be {kind} from {low} to {high}"
        value = self.take(key, default, rule)
        types = (int,) if whole else (int, float)
        if type(value) not in types or not low <= value <= high:
            self.refuse(key, value, rule)
        return value

    def flag(self, key: str) -> bool:
        """A boolean; an absent key is false."""
        value = self.take(key, False)
        if not isinstance(value, bool):
            self.refuse(key, value, "must be true or false")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        rule = f"must be one of {', '.join(choices)}"
        value = self.take(key, rule=rule)
        if not isinstance(value, str) or value not in choices:
            self.refuse(key, value, f"{rule}{_nearest(value, choices)}")
        return value

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def section(self, key: str, default: Any = _REQUIRED) -> _Section:
        value = self.take(key, default, "must be an object")
        return _Section(self._path, self._name(key), value)

    def sections(self, key: str) -> list[_Section]:
        """A list of objects; an absent key is an empty list."""
        value = self.take(key, [])
        if type(value) is not list:
            self.refuse(key, value, "must be a list of objects")
        name = self._name(key)
        return [_Section(self._path, f"{name}[{i}]", item) for i, item in enumerate(value)]

    def refuse_unknown(self) -> None:
        for key, value in self._content.items():
            if key not in self._known:
                known = ", ".join(self._known)
                self.refuse(key, value, f"unknown key; known are {known}{_nearest(key, self._known)}")

    def _name(self, key: str) -> str:
        return f"{self._prefix}.{key}" if self._prefix else key


def load(path: Path, defaults: Defaults = OURS) -> Scenario:
    """The scenario in the file at `path`; raises ConfigError for the first broken rule."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_FILE_BYTES + 1)
        if len(text) > _MOST_FILE_BYTES:
            rule = f"must have at most {_MOST_FILE_BYTES} bytes"
            raise ConfigError(path, "(file)", "...", rule)
        content = json.loads(text)
    except OSError as error:
        rule = f"must be a readable file ({error.strerror})"
        raise ConfigError(path, "(file)", _REQUIRED, rule) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, "(file)", "...", f"must be JSON ({error})") from None
    return _scenario(path.stem, _Section(path, "", content), defaults)


def as_file(scenario: Scenario) -> dict[str, Any]:
    """The content of a file with this scenario, without the keys that have no value."""
    content = asdict(scenario)
    del content["name"]
    delay = content.pop("delay")
    if scenario.delay:
        content |= {"delay": {"uniform": [delay["least"], delay["most"]]}, "reorder": delay["reorder"]}
    content["events"] = [{k: v for k, v in event.items() if v is not None} for event in content["events"]]
    tests = content.pop("tests")
    if tests["benchmarks"]:
        content["tests"] = tests
    return {key: value for key, value in content.items() if value not in (None, {}, [])}


def of_content(name: str, content: Any) -> Scenario:
    """The scenario with the content of a file, in our own dialect."""
    return _scenario(name, _Section(Path(name), "", content), OURS)


def _scenario(name: str, file: _Section, defaults: Defaults) -> Scenario:
    lifetime = file.number("lifetime", 5, MOST_SECONDS)
    replicas = file.number("replicas", 3, 21, whole=True)
    requests = file.number("requests", 0, MAX_PACKETS_LIMIT, whole=True)
    start_wait = _start_wait(file, lifetime, defaults)
    end_wait = file.number("end_wait", 0, lifetime, defaults.end_wait)
    if not defaults.lifetime_includes_waits:
        whole_lifetime = lifetime + start_wait + end_wait
    elif start_wait + end_wait <= lifetime:
        whole_lifetime = lifetime
    else:
        file.refuse("end_wait", end_wait, "start_wait + end_wait must be at most lifetime")
    events = _events(file, lifetime)
    scenario = Scenario(
        name=name,
        lifetime=whole_lifetime,
        replicas=replicas,
        requests=requests,
        mix=file.number("mix", 0, 1, 0.8),
        start_wait=start_wait,
        end_wait=end_wait,
        seed=_seed(file),
        drops=file.number("drops", 0, 1, 0),
        duplicate=file.number("duplicate", 0, 1, 0),
        delay=_delay(file),
        shared_keys=file.number("shared_keys", 0, MOST_SHARED_KEYS, 0, whole=True),
        operations=_operations(file),
        client_drops=file.number("client_drops", 0, 1, 0),
        client_timeout=_client_timeout(file),
        read_back=file.flag("read_back"),
        read_all=file.flag("read_all"),
        value_bytes=file.number(
            "value_bytes", LEAST_VALUE_BYTES, MOST_VALUE_BYTES, LEAST_VALUE_BYTES, whole=True
        ),
        max_packets=file.number("max_packets", requests, MAX_PACKETS_LIMIT, 20_000, whole=True),
        poll=file.number("poll", 0, 1, 0),
        persist=file.flag("persist"),
        restarts=file.number("restarts", 0, MOST_RESTARTS, 0, whole=True),
        events=tuple(sorted(events, key=lambda event: event.time)),
        tests=_tests(file),
    )
    # Some files have this key here, where the simulators that they are made for do not look.
    file.number("maximum_get_generation_fail_fraction", 0, 1, 0)
    file.refuse_unknown()
    _check_schedule(file, events, scenario)
    if scenario.client_timeout is None:
        _check_patience(file, scenario)
    return scenario


def _check_patience(file: _Section, scenario: Scenario) -> None:
    for key in ("client_drops", "read_all"):
        value = getattr(scenario, key)
        if value:
            file.refuse(key, value, "needs client_timeout, because clients must repeat lost requests")


def _start_wait(file: _Section, lifetime: float, defaults: Defaults) -> float:
    """The oldest files call it `wait`."""
    if "wait" in file and "start_wait" in file:
        file.refuse("wait", file.take("wait"), "is another name of start_wait; give one of them")
    key = "wait" if "wait" in file else "start_wait"
    start_wait: float = file.number(key, 0, lifetime, defaults.start_wait)
    return start_wait


def _operations(file: _Section) -> dict[str, float]:
    section = file.section("operations", default={})
    shares = {type: float(section.number(type, 0, 1, 0)) for type in OPERATIONS}
    section.refuse_unknown()
    if "operations" not in file:
        return {}
    # The sum of shares such as 0.1 may exceed 1 by the error of binary fractions.
    if not 0 < sum(shares.values()) <= 1 + _MOST_ROUNDING:
        rule = "the shares must add up to more than 0 and at most 1"
        file.refuse("operations", file.take("operations"), rule)
    return shares


def _delay(file: _Section) -> Delay:
    """A constant delay, or the least and the greatest one."""
    section = file.section("delay", default={})
    reorder = file.flag("reorder")
    least = most = section.number("constant", 0, MOST_DELAY, 0)
    uniform = section.take("uniform", None)
    section.refuse_unknown()
    if uniform is not None:
        rule = f"must be two numbers from 0 to {MOST_DELAY}, the lesser one first, and no constant beside"
        if type(uniform) is not list or len(uniform) != 2 or most > 0:
            section.refuse("uniform", uniform, rule)
        least, most = uniform
        if not all(type(one) in (int, float) for one in uniform) or not 0 <= least <= most <= MOST_DELAY:
            section.refuse("uniform", uniform, rule)
    if reorder and most == 0:
        file.refuse("reorder", True, "needs delay, because other messages do not overtake each other")
    return Delay(least, most, reorder)


def _client_timeout(file: _Section) -> float | None:
    timeout = file.take("client_timeout", None)
    if timeout is None:
        return None
    if type(timeout) not in (int, float) or not 0 < timeout <= MOST_SECONDS:
        rule = f"must be a number above 0 and at most {MOST_SECONDS}"
        file.refuse("client_timeout", timeout, rule)
    return float(timeout)


def _seed(file: _Section) -> int | None:
    seed = file.take("seed", None)
    if seed is None or type(seed) is int:
        return seed
    file.refuse("seed", seed, "must be an integer")


def _events(file: _Section, lifetime: float) -> list[Event]:
    """The events in the order of the file."""
    events = []
    for item in file.sections("events"):
        type, time = item.choice("type", EVENT_TYPES), item.number("time", 0, lifetime)
        duration = item.number("duration", 0, lifetime, DEFAULT_DURATION) if type in LASTING else None
        events.append(Event(type, time, duration))
        item.refuse_unknown()
    return events


def _check_schedule(file: _Section, events: list[Event], scenario: Scenario) -> None:
    end = scenario.lifetime - scenario.start_wait
    refused = schedule.refusal(events, scenario.replicas, scenario.persist, end)
    if refused is not None:
        number = events.index(refused.event)
        value = getattr(refused.event, refused.key)
        file.refuse(f"events[{number}].{refused.key}", value, refused.rule)
    if scenario.restarts and not scenario.persist:
        file.refuse("restarts", scenario.restarts, schedule.NEEDS_PERSIST)
    if scenario.restarts and any(event.type in LASTING for event in events):
        file.refuse("restarts", scenario.restarts, "needs events without restarts and pauses of their own")


def _tests(file: _Section) -> Tests:
    """Without `tests` the limits of the checks have their defaults, and no metric is rated."""
    tests = file.section("tests", default={})
    benchmarks = tests.section("benchmarks") if "tests" in file else None
    read = Tests(
        maximum_get_fail_fraction=tests.number("maximum_get_fail_fraction", 0, 1, 0.5),
        maximum_put_fail_fraction=tests.number("maximum_put_fail_fraction", 0, 1, 0.5),
        maximum_get_generation_fail_fraction=tests.number(
            "maximum_get_generation_fail_fraction", 0, 1, 0.1
        ),
        maximum_appends_batched_fraction=tests.number(
            "maximum_appends_batched_fraction", 0, 1, 0.5
        ),
        benchmarks={} if benchmarks is None
        else {metric: _thresholds(benchmarks, metric) for metric in METRICS},
    )
    if benchmarks is not None:
        benchmarks.refuse_unknown()
    tests.refuse_unknown()
    return read


def _thresholds(benchmarks: _Section, metric: str) -> tuple[float, float, float]:
    rule = "must be three rising numbers of at least 0"
    values = benchmarks.take(metric, rule=rule)
    if (
        type(values) is not list
        or len(values) != 3
        or not all(type(v) in (int, float) for v in values)
        or not 0 <= values[0] < values[1] < values[2] <= sys.float_info.max
    ):
        benchmarks.refuse(metric, values, rule)
    return values[0], values[1], values[2]
