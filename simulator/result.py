"""The result of a run: the scenario, the figures, the checks and the tiers, also as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from simulator.checks import Check, Verdict, evaluate
from simulator.chronicle import Happening
from simulator.client import Request
from simulator.config import Scenario
from simulator.figures import Figures
from simulator.tiers import Rating, rate


@dataclass(frozen=True)
class Result:
    scenario: Scenario
    seed: int
    program: str
    transport: str
    replica_options: tuple[str, ...]
    figures: Figures
    history: list[Request]
    verdict: Verdict | None = None  # `None` without a check of the history
    happenings: tuple[Happening, ...] = ()

    @cached_property
    def checks(self) -> list[Check]:
        return evaluate(self.scenario, self.figures, self.verdict)

    @property
    def is_correct(self) -> bool:
        return all(check.holds for check in self.checks)

    @cached_property
    def ratings(self) -> list[Rating]:
        """Empty after a failed check: the speed of a wrong answer says nothing."""
        return rate(self.scenario, self.figures) if self.is_correct else []

    def to_json(self) -> dict[str, Any]:
        figures = asdict(self.figures)
        figures["failures"] = self.figures.failures
        configuration = asdict(self.scenario) | {"seed": self.seed}
        if not self.scenario.operations:
            del figures["operations"], configuration["operations"]
        return {
            "configuration": configuration,
            "program": self.program,
            "transport": self.transport,
            "replica_options": self.replica_options,
            "figures": figures,
            "events": [asdict(happening) for happening in self.happenings],
            "correct": self.is_correct,
            "linearizable": self.verdict.linearizable if self.verdict else None,
            "checks": [asdict(check) | {"holds": check.holds} for check in self.checks],
            "tiers": [asdict(rating) | {"verdict": rating.verdict} for rating in self.ratings],
        }
