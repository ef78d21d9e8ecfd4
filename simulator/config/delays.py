"""The delays of a scenario's file: one distribution, and links that have their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulator.config.section import Section, nearest
from simulator.delays import CLIENTS, DISTRIBUTIONS, MOST_DELAY, NO_DELAY, Delay, Distribution, Link

_MOST_SHAPE = 100


def read_delay(file: Section, replicas: Sequence[str]) -> Delay:
    section = file.section("delay", default={})
    reorder = file.flag("reorder")
    distribution = _distribution(section) or NO_DELAY
    links = tuple(_link(item, replicas) for item in section.sections("links"))
    section.refuse_unknown()
    delay = Delay(distribution, links, reorder)
    if reorder and not delay:
        file.refuse("reorder", True, "needs delay, because other messages do not overtake each other")
    return delay


def _distribution(section: Section) -> Distribution | None:
    """The distribution in a section that has at most one."""
    found: Distribution | None = None
    for kind in DISTRIBUTIONS:
        section.know(kind)
        if kind not in section:
            continue
        value = section.take(kind)
        fits, rule = _RULES[kind]
        numbers = [value] if kind == "constant" else value
        if type(numbers) is not list or not all(type(one) in (int, float) for one in numbers):
            section.refuse(kind, value, rule)
        if len(numbers) != (1 if kind == "constant" else 2) or not fits(*numbers):
            section.refuse(kind, value, rule)
        if found is not None:
            section.refuse(kind, value, f"must be the only distribution of this delay, without {found.kind}")
        found = Distribution(kind, tuple(numbers))
    return found


_RULES: dict[str, tuple[Callable[..., bool], str]] = {
    "constant": (lambda seconds: 0 <= seconds <= MOST_DELAY, f"must be a number from 0 to {MOST_DELAY}"),
    "uniform": (
        lambda least, most: 0 <= least <= most <= MOST_DELAY,
        f"must be two numbers from 0 to {MOST_DELAY}, the lesser one first",
    ),
    "normal": (
        lambda mean, deviation: 0 <= mean <= MOST_DELAY and 0 <= deviation <= MOST_DELAY,
        f"must be the mean and the deviation, two numbers from 0 to {MOST_DELAY}",
    ),
    "pareto": (
        lambda least, shape: 0 <= least <= MOST_DELAY and 0 < shape <= _MOST_SHAPE,
        f"must be the least delay from 0 to {MOST_DELAY}, and a shape above 0 and at most {_MOST_SHAPE}",
    ),
}


def _link(item: Section, replicas: Sequence[str]) -> Link:
    senders, receivers = _ends(item, "from", replicas), _ends(item, "to", replicas)
    distribution = _distribution(item)
    item.refuse_unknown()
    if distribution is None:
        item.refuse("delay", item.take("delay", None), f"needs one of {', '.join(DISTRIBUTIONS)}")
    return Link(senders, receivers, distribution)


def _ends(item: Section, key: str, replicas: Sequence[str]) -> tuple[str, ...] | None:
    """The processes at one end of a link; `None` stands for all."""
    if key not in item:
        item.know(key)
        return None
    value: Any = item.take(key)
    ids = value if type(value) is list else [value]
    known = (*replicas, CLIENTS)
    for id in ids or [None]:
        if id not in known:
            rule = f"must be {replicas[0]} to {replicas[-1]}, {CLIENTS}, or a list of these"
            item.refuse(key, value, f"{rule}{nearest(id, known)}")
    return tuple(ids)
