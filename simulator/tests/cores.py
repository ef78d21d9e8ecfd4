"""Runs in virtual time of replicas in Python that have a pure core, as those of docs/tour.md have.

The scenario, the network, the clients and the verdict are those of `run.py`.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any
from unittest import mock

from simulator.config import Scenario
from simulator.console import Console
from simulator.judge import judged
from simulator.tests import virtual
from simulator.tests.virtual import VirtualReplica, VirtualRun

# Of each message, one way, about as on one machine.
DELAY_SECONDS = 0.0003
PAUSE_SECONDS = 0.01  # between looks at whether a pause is over


def load(name: str, source: str) -> ModuleType:
    """A module with this source. Its dataclasses look for it among the modules."""
    module = sys.modules[name] = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


class Rules:
    """Steps a core when a message arrives and when its time has come."""

    def __init__(self, voice: VirtualReplica, module: str, disk: dict[str, Any]) -> None:
        self.voice = voice
        self.transport = voice._transport
        self.changes: list[dict[str, Any]] = disk.setdefault("changes", [])
        others = self.transport.arguments(voice.id)[1:]
        self.core = sys.modules[module].Replica(voice.id, others, Random(f"{voice.id} {voice._life}"))
        if self.changes:
            self.core.restore(json.loads(json.dumps(self.changes)))
        self.wake = 0.0

    def greet(self) -> None:
        self.step([])

    def take(self, message: dict[str, Any]) -> None:
        self.step([message])

    def step(self, arrived: list[dict[str, Any]]) -> None:
        now = self.transport.time.monotonic()
        messages = self.core.step(now, arrived)
        if hasattr(self.core, "unsaved"):
            self.changes += self.core.unsaved
            self.core.unsaved = []
        for message in messages:
            self.voice.send_raw(json.dumps(message).encode())
        wake = max(self.core.deadline(), now)
        if self.wake <= now or wake < self.wake:
            self.wake_at(wake)

    def wake_at(self, time: float) -> None:
        self.wake = time
        self.transport.time.after(time - self.transport.time.monotonic(), lambda: self.ring(time))

    def ring(self, time: float) -> None:
        if self.transport.living.get(self.voice.id) is not self or time != self.wake:
            return
        if self.voice.is_paused:
            self.wake_at(self.transport.time.monotonic() + PAUSE_SECONDS)
        else:
            self.step([])


class CoreRun(VirtualRun):
    """A finished run of the replicas of a module that was loaded, judged by our checker."""

    def __init__(
        self, scenario: Scenario, module: ModuleType, seed: int = 1, traces: Sequence[Path] = ()
    ) -> None:
        with (
            mock.patch.object(virtual, "FakeReplica", Rules),
            mock.patch.object(virtual, "DELAY_SECONDS", DELAY_SECONDS),
        ):
            super().__init__(scenario, module.__name__, seed=seed, traces=traces)
        said = io.StringIO()
        self.results = [judged(self.results[0], Path(os.environ["KVSTORE"]), Console(said, said))]
        self.said += said.getvalue()
