"""The first line of a trace, which says what runs, and the last one, which says how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.checks import Check
from simulator.config import Scenario, as_file
from simulator.contradiction import mids_in
from simulator.report import describe_failure
from simulator.result import Result

RUN = "run.py"
VERSION = 1


def first_line(
    scenario: Scenario, seed: int, replicas: Sequence[str], clients: Sequence[str], program: str
) -> dict[str, Any]:
    return {
        "kvstore_trace": VERSION,
        "source": RUN,
        "scenario": scenario.name,
        "seed": seed,
        "replicas": replicas,
        "clients": clients,
        "settings": {**as_file(scenario), "seed": seed},
        "replica": program,
    }


def last_line(result: Result) -> dict[str, Any]:
    content = result.to_json()
    return {
        "end": True,
        "time": int(1e6 * result.figures.seconds),
        "verdict": "passed" if result.is_correct else "failed",
        "checks": [
            {"name": check.name, "passed": check.holds, "text": _text(check)} for check in result.checks
        ],
        "tiers": content["tiers"],
        "linearizability": _linearizability(result),
        "result": content,
    }


def _text(check: Check) -> str:
    return "" if check.holds else f"{describe_failure(check)}\n{check.explanation}".rstrip()


def _linearizability(result: Result) -> dict[str, Any] | None:
    if result.verdict is None:
        return None
    words = {True: "linearizable", False: "violation", None: "unknown"}
    text = result.verdict.explanation
    return {"verdict": words[result.verdict.linearizable], "text": text, "mids": mids_in(text)}
