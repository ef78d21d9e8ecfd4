"""The values of omitted keys, as the simulators of this family have them year by year."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defaults:
    """The values of omitted keys in the simulators of this family from the year `since` on."""

    since: int
    start_wait: float = 2
    end_wait: float = 2
    lifetime_includes_waits: bool = True


OURS = Defaults(2016)
_DEFAULTS = (
    Defaults(2015, end_wait=0), OURS, Defaults(2021, start_wait=3),
    Defaults(2022, start_wait=5, lifetime_includes_waits=False),
)
FIRST_YEAR = _DEFAULTS[0].since


def defaults_of(year: int) -> Defaults:
    """The defaults of the version of `year`, which is at least `FIRST_YEAR`."""
    return max(
        (defaults for defaults in _DEFAULTS if defaults.since <= year), key=lambda defaults: defaults.since
    )
