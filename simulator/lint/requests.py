"""A client that asks until it has its answer: it follows redirects, and asks again after a fail."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial
from typing import Any

from simulator.lint.cluster import Cluster, Response
from simulator.lint.script import Until, never

_PAUSE_SECONDS = 0.05
_MOST_ATTEMPTS = 200


class Request:
    """An operation, its attempts and their answers."""

    def __init__(self, type: str, key: str, value: str | None = None, **more: Any) -> None:
        self.type = type
        self.fields: dict[str, Any] = {"key": key, **({} if value is None else {"value": value}), **more}
        self.asked = ""  # the replica of the last attempt
        self.answers: list[Response] = []  # one per attempt that has one
        self.is_ended = False

    @property
    def answer(self) -> Response | None:
        """The `ok`, if there is one."""
        return next((answer for answer in self.answers if answer.type == "ok"), None)

    @property
    def value(self) -> Any:
        return None if self.answer is None else self.answer.message.get("value")

    def script(self, cluster: Cluster, replica: str, seconds: float) -> Generator[Until, bool, None]:
        """Ask one replica, then those that it sends the client to."""
        deadline = time.monotonic() + seconds
        for attempt in range(_MOST_ATTEMPTS):
            self.asked = replica
            mid = cluster.ask(replica, self.type, **self.fields)
            responses = cluster.responses[mid]
            yield Until(partial(_is_settled, cluster, replica, responses), deadline - time.monotonic())
            if responses:
                self.answers.append(responses[0])
            if not responses or responses[0].type == "ok" or time.monotonic() >= deadline:
                break
            living = cluster.living
            if not living:
                break
            leader = responses[0].leader
            is_told = responses[0].type == "redirect" and leader in living
            replica = leader if is_told else living[attempt % len(living)]
            if not is_told or attempt >= len(living):
                yield Until(never, _PAUSE_SECONDS)
        self.is_ended = True


def _is_settled(cluster: Cluster, replica: str, responses: list[Response]) -> bool:
    """Whether a request has its answer, or can have none because its replica has ended."""
    return bool(responses) or replica not in cluster.living


def have_ended(*requests: Request) -> bool:
    return all(request.is_ended for request in requests)
