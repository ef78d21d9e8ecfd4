"""All keys of a scenario, and their rules."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.config.delays import read_delay
from simulator.config.dialects import Defaults
from simulator.config.events import check_schedule, read_events
from simulator.config.limits import Tests, read_tests
from simulator.config.section import Section
from simulator.delays import Delay
from simulator.messages import identifier
from simulator.schedule import OF_MESSAGES, SLOW, Event

# The operations beside get and put, in the order in which their shares divide the writes.
OPERATIONS = ("cas", "increment", "append", "delete")
MAX_PACKETS_LIMIT = 900_000
MOST_RESTARTS = 10_000
MOST_SHARED_KEYS = 1_000_000
# Every value is different: it has 32 random digits. Two of the longest fit into a message.
LEAST_VALUE_BYTES, MOST_VALUE_BYTES = 32, 4_096
# Eleven days. The kernel takes no longer wait.
MOST_SECONDS = 1_000_000
LEAST_BANDWIDTH, MOST_BANDWIDTH = 1_000, 1_000_000_000
_MOST_ROUNDING = 1e-9


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
    corrupt: float
    bandwidth: float | None  # bytes per second of each link in each direction
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

    @property
    def delays_clients(self) -> bool:
        """Whether messages from and to clients may be late."""
        return bool(self.delay) or any(event.type == SLOW for event in self.events)

    @property
    def spoils(self) -> bool:
        """Whether messages may be late, doubled or damaged, or an event waits for one of them."""
        return (
            self.duplicate > 0 or self.corrupt > 0 or self.bandwidth is not None or self.delays_clients
            or any(event.when is not None and event.when.on in OF_MESSAGES for event in self.events)
        )

    @property
    def is_timed_exactly(self) -> bool:
        """Whether parts of a millisecond matter."""
        return self.spoils or any(event.when is not None for event in self.events)


def read_scenario(name: str, file: Section, defaults: Defaults) -> Scenario:
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
    ids = [identifier(number) for number in range(replicas)]
    events = read_events(file, lifetime, ids)
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
        delay=read_delay(file, ids),
        corrupt=file.number("corrupt", 0, 1, 0),
        bandwidth=_bandwidth(file),
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
        events=tuple(sorted(events, key=lambda event: event.start)),
        tests=read_tests(file),
    )
    # Some files have this key here, where the simulators that they are made for do not look.
    file.number("maximum_get_generation_fail_fraction", 0, 1, 0)
    file.refuse_unknown()
    check_schedule(
        file, events, replicas=replicas, persist=scenario.persist, restarts=scenario.restarts,
        end=whole_lifetime - start_wait,
    )
    if scenario.client_timeout is None:
        _check_patience(file, scenario)
    return scenario


def _check_patience(file: Section, scenario: Scenario) -> None:
    for key in ("client_drops", "read_all"):
        value = getattr(scenario, key)
        if value:
            file.refuse(key, value, "needs client_timeout, because clients must repeat lost requests")


def _start_wait(file: Section, lifetime: float, defaults: Defaults) -> float:
    """The oldest files call it `wait`."""
    if "wait" in file and "start_wait" in file:
        file.refuse("wait", file.take("wait"), "is another name of start_wait; give one of them")
    key = "wait" if "wait" in file else "start_wait"
    start_wait: float = file.number(key, 0, lifetime, defaults.start_wait)
    return start_wait


def _operations(file: Section) -> dict[str, float]:
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


def _bandwidth(file: Section) -> float | None:
    if "bandwidth" not in file:
        file.know("bandwidth")
        return None
    bandwidth: float = file.number("bandwidth", LEAST_BANDWIDTH, MOST_BANDWIDTH)
    return bandwidth


def _client_timeout(file: Section) -> float | None:
    timeout = file.take("client_timeout", None)
    if timeout is None:
        return None
    if type(timeout) not in (int, float) or not 0 < timeout <= MOST_SECONDS:
        rule = f"must be a number above 0 and at most {MOST_SECONDS}"
        file.refuse("client_timeout", timeout, rule)
    return float(timeout)


def _seed(file: Section) -> int | None:
    seed = file.take("seed", None)
    if seed is None or type(seed) is int:
        return seed
    file.refuse("seed", seed, "must be an integer")
