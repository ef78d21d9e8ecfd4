"""The figures in the last line of a trace, if each has the type that a run gives it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from simulator.config.scenario import OPERATIONS
from simulator.figures import Figures
from simulator.messages import printable
from simulator.operations import Count

# No run counts further, and no text of a larger number fits into a report.
_MOST = 1 << 62


class _Unusable(Exception):
    """A figure that no run has."""


def figures_in(told: Any) -> Figures | None:
    """The figures of a last line; `None` if one is missing, or is no such figure."""
    if not isinstance(told, dict):
        return None
    try:
        return Figures(**{
            field.name: _READERS[str(field.type)](told[field.name])
            for field in fields(Figures) if field.name in told
        })
    except (_Unusable, TypeError):
        return None


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise _Unusable
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value < _MOST:
        raise _Unusable
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unusable
    return printable(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Unusable
    return value


def _operations(value: Any) -> dict[str, Count]:
    """The counts of the known operations."""
    if not isinstance(value, dict) or not set(value) <= set(OPERATIONS):
        raise _Unusable
    if not all(isinstance(counts, dict) for counts in value.values()):
        raise _Unusable
    return {
        type: Count(**{name: _count(count) for name, count in counts.items()})
        for type, counts in value.items()
    }


# By the type of the field, as it stands in `Figures`.
_READERS: dict[str, Callable[[Any], Any]] = {
    "int": _count,
    "float": _number,
    "float | None": lambda value: None if value is None else _number(value),
    "str": _text,
    "tuple[str, ...]": lambda value: tuple(map(_text, _list(value))),
    "tuple[float, ...]": lambda value: tuple(map(_number, _list(value))),
    "dict[str, Count]": _operations,
}
