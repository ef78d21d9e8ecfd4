"""The part of a scenario that rates a run: the limits of the checks, and the benchmarks."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from simulator.config.section import Section

# No scenario has more.
MOST_REQUESTS = 900_000
METRICS = ("total_msgs", "failures", "duplicates", "median_latency")


@dataclass(frozen=True)
class Tests:
    """The limits of the checks, and three rising thresholds per metric, or no metric at all."""

    maximum_get_fail_fraction: float
    maximum_put_fail_fraction: float
    maximum_get_generation_fail_fraction: float
    maximum_appends_batched_fraction: float
    benchmarks: dict[str, tuple[float, float, float]]
    # `None` for no limit: then availability is not judged.
    maximum_unanswered: int | None = None
    maximum_failures: int | None = None


def read_tests(file: Section) -> Tests:
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
        maximum_unanswered=_limit(tests, "maximum_unanswered"),
        maximum_failures=_limit(tests, "maximum_failures"),
    )
    if benchmarks is not None:
        benchmarks.refuse_unknown()
    tests.refuse_unknown()
    return read


def _limit(tests: Section, key: str) -> int | None:
    """A number of requests; none if the key is absent."""
    limit: int | None = tests.take(key, None)
    return limit if limit is None else tests.number(key, 0, MOST_REQUESTS, whole=True)


def _thresholds(benchmarks: Section, metric: str) -> tuple[float, float, float]:
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
