"""Elections: two leaders or two votes in a term, no leader, and one leader after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simulator.advice.finding import Advice, Tally, at, name
from simulator.advice.rule import Message, Operation, Rule
from simulator.advice.scene import WRITES, Scene

_TERMS = ("term", "currentTerm", "current_term", "epoch")
_ELECTION = re.compile("vote|elect|candidat|campaign", re.I)
_PRE_VOTE = re.compile("pre_?-?vote", re.I)
_GRANTS = ("granted", "vote_granted", "voteGranted", "grant")
_MOST_TERMS = 2000
# A run that is shorter may end before its first election.
_ELECTION_SECONDS = 3.0
# So many new terms, or leaders, without a fault are a sign of a mistake.
_MOST_CALM_TERMS = 10
_MOST_CALM_CHANGES = 5


def parts(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A message, or the messages that it bundles in a list."""
    yield body
    for value in body.values():
        if isinstance(value, list):
            yield from (part for part in value if isinstance(part, dict) and "type" in part)


def term_of(part: Mapping[str, Any]) -> int | None:
    for key in _TERMS:
        term = part.get(key)
        if type(term) is int:
            return term
    return None


class TwoVotes(Rule):
    """A replica grants two votes in one term."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._votes: dict[tuple[str, int], str] = {}
        self._found: Tally[tuple[float, str, int, str, str]] = Tally()
        self._lives: Counter[str] = Counter()

    def event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "restart":
            self._lives[str(fields.get("replica"))] += 1

    def sent(self, message: Message) -> None:
        if message.is_repeated:
            return
        for part in parts(message.body):
            term = term_of(part)
            if term is None or not _is_vote(part):
                continue
            voted = self._votes.setdefault((message.sender, term), message.target)
            if voted != message.target:
                self._found.add((message.time, message.sender, term, voted, message.target))
            if len(self._votes) > _MOST_TERMS:
                del self._votes[next(iter(self._votes))]

    def advice(self) -> Iterable[Advice]:
        if not self._found:
            return
        time, voter, term, first, second = self._found.first()
        restarted = ", after a restart" if self._lives[voter] else ""
        yield Advice(
            "two-votes",
            f"{voter} voted in term {term} for {first}, and at {at(time)} for "
            f"{second}{restarted}{self._found.more}: store term and vote before the answer leaves, and "
            "vote once per term (Raft 5.2)",
            time, (), (voter, first, second),
        )


def _is_vote(part: Mapping[str, Any]) -> bool:
    type = str(part.get("type"))
    if not _ELECTION.search(type) or _PRE_VOTE.search(type):
        return False
    if any(value is True and _PRE_VOTE.search(key) for key, value in part.items()):
        return False
    return any(part.get(key) is True for key in _GRANTS)


class SplitBrain(Rule):
    """Two replicas lead in one term, or an old leader acknowledges writes after a newer one."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._leader_of: dict[int, tuple[str, float]] = {}
        self._terms: Tally[tuple[float, int, str, str]] = Tally()
        # Of each leader its last acknowledged write: when, since when it leads, the MID.
        self._acknowledged: dict[str, tuple[float, float, str]] = {}
        self._writes: Tally[tuple[float, str, str, str, str]] = Tally()

    def sent(self, message: Message) -> None:
        body = message.body
        if message.is_repeated or body.get("leader") != message.sender or _ELECTION.search(message.type):
            return
        term = term_of(body)
        if term is None:
            return
        leader, _ = self._leader_of.setdefault(term, (message.sender, message.time))
        if leader != message.sender:
            self._terms.add((message.time, term, leader, message.sender))
        if len(self._leader_of) > _MOST_TERMS:
            del self._leader_of[next(iter(self._leader_of))]

    def responded(self, operation: Operation, message: Message) -> None:
        leader = message.sender
        since = self.scene.reign.get(leader)
        if message.type != "ok" or operation.type not in WRITES or since is None or operation.is_done:
            return
        for other, (when, other_since, mid) in self._acknowledged.items():
            if other_since > since and when < operation.invoked and other != leader:
                self._writes.add((message.time, leader, str(message.body["MID"]), other, mid))
                break
        self._acknowledged[leader] = (message.time, since, str(message.body["MID"]))

    def advice(self) -> Iterable[Advice]:
        if self._terms:
            time, term, first, second = self._terms.first()
            yield Advice(
                "split-brain",
                f"{first} and {second} both led in term {term}, as {second} said at {at(time)}: vote once "
                "per term, and lead only with the votes of a majority (Raft 5.2)",
                time, (), (first, second),
            )
        elif self._writes:
            time, old, mid, new, newer = self._writes.first()
            yield Advice(
                "split-brain",
                f"{old} acknowledged write {mid} at {at(time)}{self._writes.more} after the later leader "
                f"{new} had acknowledged {newer}: lead only with a majority's votes, and step down for a "
                "newer term (Raft 5.2)",
                time, (mid, newer), (old, new),
            )


class NoLeader(Rule):
    """No replica ever names a leader, or none ever names itself."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._named: Counter[str] = Counter()
        self._types: Counter[tuple[str, str]] = Counter()
        self._received: Counter[str] = Counter()
        self._are_broken = False  # there were messages that the simulator could not deliver

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        self._are_broken |= text.startswith("malformed message")

    def sent(self, message: Message) -> None:
        self._named[str(message.body.get("leader"))] += 1
        if len(self._named) > _MOST_TERMS or len(self._types) > _MOST_TERMS:
            return
        self._types[message.type, message.sender] += 1

    def delivered(self, message: Message) -> None:
        self._received[message.target] += 1

    def finished(self, operation: Operation, leader: str) -> None:
        self._named[leader] += 1

    def advice(self) -> Iterable[Advice]:
        is_named = any(leader in self.scene.replicas for leader in self._named)
        if is_named or not self.scene.has_majority or self.scene.now < _ELECTION_SECONDS:
            return
        if not self._types and self._are_broken:
            return
        if not self._types:
            yield Advice(
                "no-leader",
                "No replica sent a message to another, and none named a leader: a replica that hears of "
                "no leader for a random time asks all others for their votes (Raft 5.2)",
            )
            return
        [((type, sender), count)] = self._types.most_common(1)
        yield Advice(
            "no-leader",
            f"No replica ever named a leader. {sender} sent {count:,} {name(type)} and received "
            f"{self._received[sender]:,} messages: a candidate with a majority's votes leads, and says so in "
            "`leader` (Raft 5.2)",
            None, (), (sender,),
        )


class NoSuccessor(Rule):
    """The leader dies, and although a majority lives, no other replica ever names itself."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._dead: tuple[float, str, str] | None = None  # since when, the leader, how it ended
        self._types: Counter[tuple[str, str]] = Counter()
        self._asked: float | None = None  # the first request since then

    def asked(self, operation: Operation, message: Message) -> None:
        if self._dead is not None and self._asked is None and message.target in self.scene.living:
            self._asked = message.time

    def event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        if kind not in ("kill", "end"):
            return
        replica = str(fields.get("replica"))
        if replica in self.scene.reign:
            self._dead = time, replica, "was killed" if kind == "kill" else "ended"
            self._types.clear()
            self._asked = None

    def reigns(self, time: float, replica: str) -> None:
        self._dead = None

    def sent(self, message: Message) -> None:
        if self._dead is not None and len(self._types) < _MOST_TERMS:
            self._types[message.type, message.sender] += 1

    def advice(self) -> Iterable[Advice]:
        scene = self.scene
        if self._dead is None or self._asked is None or not scene.has_majority or scene.cuts or scene.paused:
            return
        time, leader, how = self._dead
        # An idle cluster may wait for a request before it looks for another leader.
        if scene.now - self._asked < _ELECTION_SECONDS or not scene.living.isdisjoint(scene.reign):
            return
        since = "No message between replicas followed"
        if self._types:
            [((type, sender), count)] = self._types.most_common(1)
            since = f"Since then {sender} has sent {count:,} {name(type)}"
        yield Advice(
            "no-leader",
            f"No replica has led since {leader}, the leader, {how} at {at(time)}. {since}: a follower that "
            "hears no leader for a random time asks all others for their votes (Raft 5.2)",
            time, (), (leader,),
        )


class Terms(Rule):
    """Terms climb although there is no fault."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._highest = 0
        self._climbs = 0
        self._first: tuple[float, int, str] | None = None
        self._last = 0.0

    def sent(self, message: Message) -> None:
        if message.is_repeated:
            return
        for part in parts(message.body):
            term = term_of(part)
            if term is None or term <= self._highest:
                continue
            if self._highest and self.scene.is_calm:
                self._climbs += 1
                self._first = self._first or (message.time, term, message.sender)
                self._last = message.time
            self._highest = term

    def advice(self) -> Iterable[Advice]:
        if self._first is None or self._climbs < _MOST_CALM_TERMS:
            return
        time, term, sender = self._first
        yield Advice(
            "terms",
            f"{self._climbs:,} new terms without a fault from {at(time)} to {at(self._last)}, the first "
            f"({term}) by {sender}: draw election timeouts at random, several times as long as the pause "
            "between heartbeats (Raft 5.2)",
            time, (), (sender,),
        )


class Changes(Rule):
    """The leader changes again and again although there is no fault."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._leader: str | None = None
        self._heard: dict[tuple[str, str], float] = {}
        self._calm: list[tuple[float, str, str, float]] = []
        self._changes = 0

    def delivered(self, message: Message) -> None:
        self._heard[message.sender, message.target] = message.time

    def reigns(self, time: float, replica: str) -> None:
        before, self._leader = self._leader, replica
        if before is None or before == replica or not self.scene.is_calm:
            return
        self._changes += 1
        if len(self._calm) < _MOST_CALM_CHANGES:
            self._calm.append((time, before, replica, time - self._heard.get((before, replica), 0.0)))

    def advice(self) -> Iterable[Advice]:
        if self._changes < _MOST_CALM_CHANGES:
            return
        time, before, leader, silence = self._calm[0]
        yield Advice(
            "leader-changes",
            f"{self._changes:,} leaders without a fault, first {leader} at {at(time)}, {silence:.3f} s "
            f"after the last message of {before} to it: an idle leader sends heartbeats before a follower "
            "times out (Raft 5.2)",
            time, (), (before, leader),
        )
