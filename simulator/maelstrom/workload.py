"""The random choices of the workload lin-kv: few keys at a time, and few values, so that operations
collide."""

from __future__ import annotations

import random
from typing import Any

from simulator.maelstrom.settings import KINDS, Settings

_VALUES = 5
_CLIENTS_PER_KEY = 5
# A key makes way for a new one after so many operations, so there are absent keys all the time.
_OPERATIONS_PER_KEY = 60
_CREATES = 0.25


class Workload:
    """Draws one request after the other."""

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        self._rng = rng
        self._weights = settings.weights
        self._uses = dict.fromkeys(range(max(1, settings.clients // _CLIENTS_PER_KEY)), 0)

    def draw(self) -> dict[str, Any]:
        """The body of a request, but for its `msg_id`."""
        key = self._draw_key()
        kind = self._rng.choices(KINDS, self._weights)[0]
        body: dict[str, Any] = {"type": kind, "key": key}
        if kind == "write":
            body["value"] = self._draw_value()
        if kind == "cas":
            body |= {"from": self._draw_value(), "to": self._draw_value()}
            if self._rng.random() < _CREATES:
                body["create_if_not_exists"] = True
        return body

    def _draw_key(self) -> int:
        key = self._rng.choice(list(self._uses))
        self._uses[key] += 1
        if self._uses[key] == _OPERATIONS_PER_KEY:
            del self._uses[key]
            self._uses[max(self._uses, default=key) + 1] = 0
        return key

    def _draw_value(self) -> int:
        return self._rng.randrange(_VALUES)
