"""The correctness checks: each compares one number with one limit, and all must hold."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.config import Scenario, Tests
from simulator.figures import Figures


@dataclass(frozen=True)
class Check:
    """`value` must not be above `limit`; with `is_minimum`, it must not be below.

    The report shows a failure with its numbers, or with `words` where numbers say nothing.
    """

    name: str
    value: float
    limit: float
    is_minimum: bool = False
    explanation: str = ""
    words: str = ""

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.is_minimum else self.value <= self.limit


@dataclass(frozen=True)
class Verdict:
    """Whether the history is `linearizable`, `None` if the checker could not tell, and why."""

    linearizable: bool | None
    explanation: str = ""


def evaluate(scenario: Scenario, figures: Figures, verdict: Verdict | None) -> list[Check]:
    """All checks. The check of the history is among them only if there is a verdict."""
    checks = _check_figures(scenario, figures)
    if verdict is not None:
        checks.append(_check_history(verdict))
    return checks


def _check_history(verdict: Verdict) -> Check:
    words = "no" if verdict.linearizable is False else "could not be told"
    return Check(
        "Linearizable history", int(verdict.linearizable is True), 1, is_minimum=True,
        explanation=verdict.explanation, words=words,
    )


def _check_figures(scenario: Scenario, figures: Figures) -> list[Check]:
    tests = scenario.tests
    fewest_messages = (
        scenario.requests
        * scenario.replicas
        * (1 - scenario.mix)
        * (1 - tests.maximum_appends_batched_fraction)
    )
    return [
        Check("Incorrect responses", figures.incorrect_gets + figures.incorrect_messages, 0),
        Check("Replicas that died without being killed", figures.replicas_died, 0),
        Check("Acknowledged put() requests", figures.acknowledged_puts, 1, is_minimum=True),
        Check(
            "Unanswered get() requests",
            figures.unanswered_gets,
            _tidy(figures.gets * tests.maximum_get_fail_fraction),
        ),
        Check(
            "Unanswered put() requests",
            figures.unanswered_puts,
            _tidy(figures.puts * tests.maximum_put_fail_fraction),
        ),
        *_check_availability(tests, figures),
        Check(
            "get() requests that could not be generated",
            figures.gets_withheld,
            _tidy(figures.gets * tests.maximum_get_generation_fail_fraction),
            explanation="Each time a put of the same client had waited for a second or longer.",
        ),
        Check(
            "Total messages between replicas",
            figures.total_messages,
            _tidy(fewest_messages),
            is_minimum=True,
        ),
        # A packet storm or the user may cut a run short. Then the run has not shown the rest to
        # hold.
        Check(
            "Simulated seconds", figures.seconds, scenario.lifetime, is_minimum=True,
            words=f"{figures.seconds:.1f} of {scenario.lifetime:g}, because the run was cut short",
        ),
    ]


def _check_availability(tests: Tests, figures: Figures) -> list[Check]:
    """The checks that a scenario asks for with a limit of its own."""
    limited = (
        ("Unanswered requests", figures.unanswered_gets + figures.unanswered_puts, tests.maximum_unanswered),
        ("Answers that are fail", figures.failed_gets + figures.failed_puts, tests.maximum_failures),
    )
    return [Check(name, value, limit) for name, value, limit in limited if limit is not None]


def _tidy(limit: float) -> float:
    """`limit` without the error of binary fractions, which must not decide a comparison."""
    return round(limit, 6)
