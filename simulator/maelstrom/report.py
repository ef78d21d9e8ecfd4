"""The result of a run as text and as JSON."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

from simulator.checks import Verdict
from simulator.maelstrom.clients import FAIL, OK, UNKNOWN
from simulator.maelstrom.loop import Outcome
from simulator.maelstrom.settings import KINDS, Settings, describe


def figures(outcome: Outcome) -> dict[str, Any]:
    operations = outcome.operations
    total = len(operations)
    outcomes = Counter(operation.outcome for operation in operations)
    codes = Counter(operation.code for operation in operations if operation.code is not None)
    served = [one for one in operations if one.is_served]
    latencies = [one.returned - one.invoked for one in served if one.returned is not None]
    return {
        "operations": {kind: sum(one.kind == kind for one in operations) for kind in KINDS},
        "ok": outcomes[OK],
        "failed": outcomes[FAIL],
        "unknown": outcomes[UNKNOWN],
        "errors": {str(code): count for code, count in sorted(codes.items())},
        "availability": len(served) / total if total else 0.0,
        "median_latency": statistics.median(latencies) if latencies else None,
        "messages_per_operation": outcome.sent / total if total else 0.0,
        "messages_between_nodes_per_operation": outcome.sent_between_nodes / total if total else 0.0,
        "messages_lost": outcome.lost,
        "late_answers": outcome.late,
    }


def is_valid(outcome: Outcome, verdict: Verdict | None) -> bool:
    """Whether the run kept all rules, served an operation, and its history is linearizable."""
    judged = verdict is None or verdict.linearizable is True
    return outcome.broken is None and judged and any(one.is_served for one in outcome.operations)


def to_json(
    settings: Settings, command: list[str], outcome: Outcome, verdict: Verdict | None
) -> dict[str, Any]:
    return {
        "command": command,
        "settings": vars(settings) | {"timeout": settings.timeout},
        "figures": figures(outcome),
        "events": [{"time": at, "event": event} for at, event in outcome.events],
        "broken": outcome.broken,
        "linearizable": None if verdict is None else verdict.linearizable,
        "valid": is_valid(outcome, verdict),
    }


def render(settings: Settings, outcome: Outcome, verdict: Verdict | None) -> str:
    found = figures(outcome)
    kinds = ", ".join(f"{found['operations'][kind]} {kind}" for kind in KINDS)
    errors = ", ".join(f"{count} of code {code}" for code, count in found["errors"].items()) or "none"
    latency = found["median_latency"]
    messages, between = found["messages_per_operation"], found["messages_between_nodes_per_operation"]
    lines = [
        "# Run Finished",
        f"     {describe(settings)}",
        f"     Operations: {len(outcome.operations)} ({kinds})",
        f"     Outcomes: {found['ok']} ok, {found['failed']} failed, {found['unknown']} unknown",
        f"     Errors: {errors}",
        f"     Availability: {found['availability']:.4f}",
        f"     Median latency: {'none' if latency is None else f'{1000 * latency:.3f} ms'}",
        f"     Messages per operation: {messages:.2f}, between nodes: {between:.2f}",
        f"     Messages lost in cuts: {found['messages_lost']}; answers too late: {found['late_answers']}",
    ]
    if outcome.broken is not None:
        lines.append(f"*** Node Error - {outcome.broken}")
    lines.append(f"     Linearizable: {_judged(verdict)}")
    if not any(one.is_served for one in outcome.operations):
        lines.append("*** Node Error - no operation was served")
    lines.append(f"# {'Valid' if is_valid(outcome, verdict) else 'Not Valid'}")
    return "\n".join(lines)


def _judged(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not checked"
    if verdict.linearizable is None:
        return f"could not be checked: {verdict.explanation}"
    return "yes" if verdict.linearizable else f"no\n{verdict.explanation}"
