"""Parts of a trace in the shapes that the page relies on, whatever a damaged file has there."""

from __future__ import annotations

from typing import Any

Fields = dict[str, Any]

_LISTS = frozenset(("side", "from", "to"))
_NAMES = frozenset(("replica", "client", "mid", "text", "type"))


def ids(value: Any) -> list[str]:
    return [str(id) for id in value] if isinstance(value, list) else []


def event(fields: Fields) -> Fields:
    """The fields of an event: lists of IDs, one ID or text, and others as they are."""
    shaped = dict(fields)
    for name in fields:
        if name in _LISTS:
            shaped[name] = ids(fields[name])
        elif name in _NAMES:
            shaped[name] = str(fields[name])
    if not _is_number(fields.get("by", 0)):
        shaped["by"] = str(fields["by"])
    return shaped


def fault(fields: Fields) -> Fields:
    return {"mids": ids(fields.get("mids")), "replicas": ids(fields.get("replicas"))}


def ending(last: Fields) -> Fields:
    """The last line, of which the page shows the verdict, the checks and the tiers."""
    checks = last.get("checks")
    verdict = last.get("linearizability")
    time = last.get("time")
    return {
        "verdict": str(last.get("verdict", "unknown")),
        "time": time if _is_number(time) else 0,
        "checks": [_check(one) for one in _objects(checks)],
        "tiers": [shaped for one in _objects(last.get("tiers")) if (shaped := _tier(one))],
        "linearizability": _linearizability(verdict) if isinstance(verdict, dict) else None,
    }


def _check(check: Fields) -> Fields:
    passed = check.get("passed") is True
    return {"name": str(check.get("name", "")), "passed": passed, "text": str(check.get("text") or "")}


def _tier(tier: Fields) -> Fields | None:
    if not all(_is_number(tier.get(name)) for name in ("value", "benchmark", "tier")):
        return None
    return tier | {name: str(tier.get(name, "")) for name in ("metric", "verdict")}


def _linearizability(verdict: Fields) -> Fields:
    words = {name: str(verdict.get(name, "")) for name in ("verdict", "text")}
    return {**words, "mids": ids(verdict.get("mids"))}


def _objects(value: Any) -> list[Fields]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
