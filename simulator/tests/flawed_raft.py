"""The reference replica in virtual time, correct or with one typical mistake of a beginner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from simulator import messages
from simulator.config import Scenario
from simulator.examples.replica import LEADER, Message, Replica
from simulator.tests import virtual
from simulator.tests.virtual import VirtualReplica, VirtualRun


class AnswersEarly(Replica):
    """It acknowledges a put as soon as it is in its own log."""

    def serve(self, request: Message) -> None:
        super().serve(request)
        if request["type"] == "put" and self.pending.pop((request["src"], request["MID"]), None):
            self.answer(request, "ok")


class ChecksNoLog(Replica):
    """It votes for candidates with an older log, too."""

    def take_request_vote(self, request: Message) -> None:
        super().take_request_vote(request | {"last_term": 1 << 40})


class VotesForAll(Replica):
    """It votes for each candidate that asks, also a second time in a term."""

    def take_request_vote(self, request: Message) -> None:
        if request["term"] == self.term:
            self.voted_for = None
        super().take_request_vote(request)


class NeedsNoVotes(Replica):
    """It leads as soon as it has voted for itself."""

    def request_votes(self) -> None:
        self.become_leader()


class Storms(Replica):
    """A leader sends two messages for each answer."""

    def take_appended(self, answer: Message) -> None:
        super().take_appended(answer)
        if self.role == LEADER:
            self.replicate(answer["src"])
            self.replicate(answer["src"])


class ReadsLocally(Replica):
    """Each replica answers gets from its own state."""

    def take_request(self, request: Message) -> None:
        if request["type"] == "get":
            self.answer(request, "ok", value=self.store.get(request["key"], ""))
        else:
            super().take_request(request)


class Forgets(Replica):
    """It drops the requests that it cannot serve at once."""

    def take_request(self, request: Message) -> None:
        if self.role == LEADER:
            super().take_request(request)


class NeverLeads(Replica):
    """It is a candidate for ever."""

    def take_vote(self, vote: Message) -> None:
        """It does not count votes."""


class HasNoPatience(Replica):
    """Its election timeout is shorter than the pause between heartbeats."""

    def reset_election_timer(self) -> None:
        self.election_deadline = self.now + 0.08 * (1 + self.random.random())


class SendsItself(Replica):
    """A candidate asks itself for its vote, too."""

    def request_votes(self) -> None:
        self.tell(self.id, "request_vote", last_index=0, last_term=0)
        super().request_votes()


class Actor:
    """Takes the place of the toy replica in a virtual run."""

    def __init__(self, make: Callable[..., Replica], seed: int, voice: VirtualReplica, *_: Any) -> None:
        self._voice = voice
        self._time = voice._transport.time
        others = [id for id in voice._transport._replicas if id != voice.id]
        self._replica = make(voice.id, others, Random(f"{seed} {voice.id}"))
        self._wakes_at: float | None = None

    def greet(self) -> None:
        self._step([])

    def take(self, message: Message) -> None:
        self._step([message])

    def _step(self, arrived: list[Message]) -> None:
        for message in self._replica.step(self._time.monotonic(), arrived):
            self._voice.send_raw(messages.encode(json.loads(json.dumps(message))))
        deadline = max(self._replica.deadline(), self._time.monotonic() + 0.001)
        if self._wakes_at is None or deadline < self._wakes_at:
            self._wakes_at = deadline
            self._time.after(deadline - self._time.monotonic(), lambda: self._wake(deadline))

    def _wake(self, deadline: float) -> None:
        if deadline != self._wakes_at:
            return
        self._wakes_at = None
        transport = self._voice._transport
        if transport.living.get(self._voice.id) is not self:
            return
        if self._voice.is_paused:
            self._wakes_at = self._time.monotonic() + 0.05
            wakes_at = self._wakes_at
            self._time.after(0.05, lambda: self._wake(wakes_at))
        else:
            self._step([])


def run(make: Callable[..., Replica], scenario: Scenario, trace: Path, seed: int = 1) -> VirtualRun:
    """A run of five such replicas, which leaves a trace."""
    with mock.patch.object(virtual, "FakeReplica", lambda *arguments: Actor(make, seed, *arguments)):
        return VirtualRun(scenario, "raft", seed=seed, traces=[trace])
