"""The results that `run.py` and the explorer leave -> the checks, tiers and metrics of a run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.checks import Check
from simulator.messages import printable
from simulator.report import describe_failure

_MOST_FILE_BYTES = 64 << 20
_MOST_EXPLANATION = 4_000
_MOST_ADVICE, _MOST_ADVICE_TEXT = 5, 400
_KEPT = re.compile(r"^kept in (.+?): ", re.M)
# figure of the run -> metric; the others are made of several figures.
_FIGURES = {
    "total_messages": "total_msgs",
    "failures": "failures",
    "duplicates": "duplicates",
    "median_latency": "median_latency",
    "p99_latency": "p99_latency",
}


@dataclass(frozen=True)
class Found:
    """The part of a result that a campaign keeps."""

    correct: bool
    failed: tuple[dict[str, str], ...] = ()
    tiers: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    advice: tuple[str, ...] = ()


def of_file(path: Path) -> Found | None:
    """The result in a file of `run.py --json`; `None` if there is none."""
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            return None
        return _of_result(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _of_result(result: dict[str, Any]) -> Found:
    checks = [_check(content) for content in result["checks"] if not content["holds"]]
    return Found(
        correct=bool(result["correct"]),
        failed=tuple({"name": check.name, "text": _text(check)} for check in checks),
        tiers={tier["metric"]: int(tier["tier"]) for tier in result["tiers"]},
        metrics=metrics(result["figures"]),
        advice=tuple(
            printable(str(advice["text"]))[:_MOST_ADVICE_TEXT]
            for advice in result.get("advice", [])[:_MOST_ADVICE]
        ),
    )


def metrics(figures: dict[str, Any]) -> dict[str, float | None]:
    """The figures that campaigns compare; `None` for one that the run could not measure."""
    found: dict[str, float | None] = {name: figures[figure] for figure, name in _FIGURES.items()}
    found["unanswered"] = figures["unanswered_gets"] + figures["unanswered_puts"]
    failovers = figures["failovers"]
    found["failover"] = sum(failovers) / len(failovers) if failovers else None
    return found


def _check(content: dict[str, Any]) -> Check:
    return Check(**{name: value for name, value in content.items() if name != "holds"})


def _text(check: Check) -> str:
    text = describe_failure(check)
    return f"{text}\n{check.explanation[:_MOST_EXPLANATION]}" if check.explanation else text


def of_explorer(output: str, seed: int, correct: bool) -> Found:
    """The result of one seed as the explorer prints it. It has no metrics."""
    if correct:
        return Found(correct)
    prefix = f"seed {seed}: "
    told = [line.removeprefix(prefix) for line in output.splitlines() if line.startswith(prefix)]
    return Found(correct, tuple({"name": "Rules", "text": printable(line)} for line in told))


def place_kept(output: str) -> str | None:
    """The directory in which a failed run says that it kept its files."""
    found = _KEPT.search(output)
    return found[1] if found else None
