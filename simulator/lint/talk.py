"""The first script: a cluster joins, elects a leader, answers, idles, and is told nonsense."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from functools import partial

from simulator.lint.cluster import CLIENT, REPLICAS, Cluster, Response
from simulator.lint.finding import FAIL, NOTE, OK, Finding, listed, verdict
from simulator.lint.limits import Limits
from simulator.lint.requests import Request, have_ended
from simulator.lint.script import Script, Stage, Until, never
from simulator.messages import UNKNOWN_LEADER, excerpt
from simulator.transport import DATAGRAM_BYTES, MESSAGE_BYTES

_IDLE_SECONDS = 1.0
# A run of 30 seconds ends after 20,000 messages, which is 667 per second.
_MOST_IDLE_RATE = 300
# As long as a scenario may have them, and so many that a batch of all is longer than a message.
_LONG_VALUE_BYTES = 4096
_LONG_PUTS = 8
_VALUES = {
    "plain": "0123456789abcdef",
    "empty": "",
    "unicode": "grüße, 日本, 🙂",
    "quotes": "\"'`\\ / \\\\ \\\"",
    "control": "line\nline\ttab\r",
    "JSON": '{"src": "0000", "type": "ok"}',
    "long": "x" * _LONG_VALUE_BYTES,
}
_GARBAGE = (
    b"not JSON", b"{", b'{"src":"0001","dst":', b"\xff\xfe\x00garbage", b"[]", b"17", b"null", b'"text"',
    b"{}",
    b'{"src":17,"dst":[],"leader":null,"type":{}}', b"[" * 8000, b'{"a":' * 2000,
)

def gather(cluster: Cluster, join_seconds: float) -> Generator[Until, bool, bool]:
    """Start the replicas and wait until all have joined; returns whether they have."""
    cluster.launch()
    yield Until(lambda: len(cluster.joined_at) == len(REPLICAS) or bool(cluster.dead()), join_seconds)
    has_joined = len(cluster.joined_at) == len(REPLICAS)
    if has_joined:
        cluster.gather()
    return has_joined


class Talk:
    """The script, and what it finds."""

    def __init__(self, stage: Stage, cluster: Cluster, dialect: str, limits: Limits) -> None:
        self._stage = stage
        self._cluster = cluster
        self._dialect = dialect
        self._limits = limits
        self._most_bytes = DATAGRAM_BYTES if dialect == "udp" else MESSAGE_BYTES
        self.has_joined = False
        self.findings: list[Finding] = []

    def _find(self, manner: str, holds: bool, seen: str, rule: str) -> None:
        self.findings.append(verdict(manner, holds, seen, rule, self._stage.is_over))

    def script(self) -> Script:
        cluster = self._cluster
        self.has_joined = yield from gather(cluster, self._limits.join)
        self._judge_joining()
        if not self.has_joined:
            return
        firsts = [Request("get", f"unknown-{id}") for id in REPLICAS]
        yield from self._ask(firsts, REPLICAS, self._limits.election)
        yield Until(lambda: len(cluster.leaders()) == 1, self._limits.agree)
        self._judge_election()
        self._judge_unknown_keys(firsts)
        yield from self._check_values()
        yield from self._check_followers()
        yield from self._check_length()
        yield from self._check_idleness()
        yield from self._check_unknown()
        self._judge_answers()
        self._judge_messages()
        yield from self._check_garbage()
        self._judge_output()

    def _ask(self, requests: Sequence[Request], replicas: Sequence[str], seconds: float) -> Script:
        for request, replica in zip(requests, replicas, strict=True):
            self._stage.add(request.script(self._cluster, replica, seconds))
        yield Until(lambda: have_ended(*requests), seconds + 1)

    @property
    def _leader(self) -> str:
        leaders = self._cluster.leaders()
        return leaders[0] if leaders else (self._cluster.living or REPLICAS)[0]

    def _judge_joining(self) -> None:
        cluster = self._cluster
        if self.has_joined:
            took = max(cluster.joined_at.values()) - cluster.begun
            self.findings.append(Finding("joins", OK, f"all {len(REPLICAS)} within {took:.2f} s"))
            return
        missing = [id for id in REPLICAS if id not in cluster.joined_at]
        ended = [id for id in REPLICAS if cluster.has_exited(id)]
        if ended:
            end = " / ".join(cluster.replicas[ended[0]].describe_end().split("\n    "))
            seen = f"{ended[0]} ended with {excerpt(end.encode(), 200)}"
        else:
            seen = f"{listed(missing)} had not joined after {self._limits.join:g} s"
        rule = "connect to the socket ./MY-ID in the working directory"
        if self._dialect == "udp":
            rule = "send a hello to 127.0.0.1:PORT as the first datagram, at once"
        self.findings.append(Finding("joins", FAIL, f"{seen}; {rule}"))

    def _judge_election(self) -> None:
        cluster = self._cluster
        named = {id: leader for id, leader in cluster.named.items() if leader != UNKNOWN_LEADER}
        leaders = cluster.leaders()
        rule = "every message says in `leader` which replica leads"
        if not named:
            self._find("elects", False, f"no replica has named a leader in {self._limits.election:g} s", rule)
        elif not leaders:
            said = listed(f"{id} names {leader}" for id, leader in named.items())
            self._find("elects", False, f"{said}, and no replica names itself", rule)
        elif len(leaders) > 1:
            text = f"{listed(leaders)} each name themselves as leader; in the end only one may lead"
            self.findings.append(Finding("elects", NOTE, text))
        else:
            self._find("elects", True, f"{leaders[0]} leads and says so", rule)

    def _judge_unknown_keys(self, gets: Sequence[Request]) -> None:
        wrong = [get for get in gets if get.answer is None or get.value != ""]
        seen = f"{len(gets)} gets of keys that were never put were answered with an empty value"
        if wrong:
            seen = f"get of a key that was never put, first to {wrong[0].asked}: {_told(wrong[0])}"
        self._find("unknown key", not wrong, seen, 'the `value` is ""')

    def _check_values(self) -> Script:
        leader = self._leader
        puts = {label: Request("put", f"key-{label}", value) for label, value in _VALUES.items()}
        yield from self._ask(list(puts.values()), [leader] * len(puts), self._limits.answer)
        unanswered = [label for label, put in puts.items() if put.answer is None]
        seen = f"{len(puts)} puts were answered ok"
        if unanswered:
            seen = f"put of {listed(unanswered)} values to {leader}: {_told(puts[unanswered[0]])}"
        self._find("puts", not unanswered, seen, "a put is answered by one ok with its MID")
        gets = {label: Request("get", f"key-{label}") for label in _VALUES}
        yield from self._ask(list(gets.values()), [leader] * len(gets), self._limits.answer)
        wrong = [label for label, get in gets.items() if get.answer is None or get.value != _VALUES[label]]
        seen = f"{listed(_VALUES)} values came back as they were put"
        if wrong:
            seen = f"get of {listed(wrong)} values from {leader}: {_told(gets[wrong[0]])}"
        self._find("gets", not wrong, seen, "a get is answered with the very text of the last put")

    def _check_followers(self) -> Script:
        leader = self._leader
        followers = [id for id in self._cluster.living if id != leader]
        puts = [Request("put", f"via-{id}", "value") for id in followers]
        yield from self._ask(puts, followers, self._limits.answer)
        firsts = {id: next(iter(put.answers), None) for id, put in zip(followers, puts, strict=True)}
        wrong = [id for id, first in firsts.items() if first is None or not _leads_on(first)]
        kinds = Counter(first.type for first in firsts.values() if first is not None)
        seen = f"a put to a follower: {listed(kinds) if kinds else 'no answer'}"
        if wrong:
            first = firsts[wrong[0]]
            told = "no answer" if first is None else f"{first.type} with leader {first.leader}"
            seen = f"put to {wrong[0]}, which does not lead: {told}"
        self._find("followers", not wrong, seen, "a follower answers redirect, and names the leader")

    def _check_length(self) -> Script:
        leader = self._leader
        puts = [Request("put", f"long-{number}", "y" * _LONG_VALUE_BYTES) for number in range(_LONG_PUTS)]
        yield from self._ask(puts, [leader] * len(puts), self._limits.answer)
        unanswered = [put for put in puts if put.answer is None]
        too_long = [(id, rule) for id, rule in self._cluster.breaches if rule.startswith("longer than")]
        seen = f"the longest of its messages had {self._cluster.longest:,} bytes"
        if too_long:
            seen = f"{too_long[0][0]} sent a message that was {too_long[0][1]}"
        elif unanswered:
            seen = f"{len(unanswered)} of {len(puts)} puts of {_LONG_VALUE_BYTES:,} bytes at once had no ok"
        rule = f"a message has at most {self._most_bytes:,} bytes, so long batches are split"
        self._find("length", not (unanswered or too_long), seen, rule)

    def _check_idleness(self) -> Script:
        yield Until(never, 0.2)
        before, begun = self._cluster.between.copy(), time.monotonic()
        yield Until(never, _IDLE_SECONDS)
        seconds = max(0.001, time.monotonic() - begun)
        sent = self._cluster.between - before
        rate = sent.total() / seconds
        types = ", ".join(f"{excerpt(type.encode(), 30)} {count}" for type, count in sent.most_common(3))
        rule = f"at most {_MOST_IDLE_RATE} are in order; send heartbeats on a timer of 50 ms or longer"
        seen = f"{rate:.0f} messages per second without requests" + (f" ({types})" if types else "")
        self._find("idle", rate <= _MOST_IDLE_RATE, seen, rule)

    def _check_unknown(self) -> Script:
        """A request with further keys is answered; one of an unknown type does no harm."""
        cluster, leader = self._cluster, self._leader
        before = cluster.living
        for id in before:
            cluster.ask(id, "no-such-type", key="k", value={"nested": [1, None]})
        get = Request("get", "key-plain", extra={"nested": [1, None, "text"]}, another=17)
        yield from self._ask([get], [leader], self._limits.answer)
        dead = yield from self._lost(before)
        holds = not dead and get.value == _VALUES["plain"]
        seen = "further keys and unknown types do no harm"
        if dead:
            seen = f"{listed(dead)} ended after a message of an unknown type: {_end(cluster, dead[0])}"
        elif not holds:
            seen = f"get with further keys: {_told(get)}"
        self._find("extras", holds, seen, "ignore keys and types that you do not know, or answer fail")

    def _judge_answers(self) -> None:
        """Each request has at most one answer."""
        twice = {mid: found for mid, found in self._cluster.responses.items() if len(found) > 1}
        seen = f"{len(self._cluster.responses)} requests, none was answered twice"
        if twice:
            mid, found = next(iter(twice.items()))
            said = listed(f"{one.type} from {one.replica}" for one in found[:3])
            seen = f"{len(twice)} requests were answered more than once, such as {mid}: {said}"
        self._find("once", not twice, seen, "each MID has exactly one answer")

    def _judge_messages(self) -> None:
        breaches = Counter({
            breach: count for breach, count in self._cluster.breaches.items()
            if not breach[1].startswith("longer than")
        })
        seen = "all messages are JSON objects with src, dst, leader and type"
        if breaches:
            [((id, rule), count)] = breaches.most_common(1)
            example = self._cluster.examples[id, rule]
            seen = f"{count} messages{f' of {id}' if id else ''}, such as {example}"
            # It explains most of the other failures, so it comes first.
            self.findings.insert(1, Finding("messages", FAIL, f"{seen}; {rule}"))
        else:
            self.findings.insert(1, Finding("messages", OK, seen))

    def _check_garbage(self) -> Script:
        """Only scenarios with corrupt messages send garbage, so a death is no breach."""
        cluster = self._cluster
        before = set(cluster.living)
        if not before:
            return
        pieces = (*_GARBAGE, b"") if self._dialect == "udp" else _GARBAGE
        lacking = b'{"src":"%s","dst":"%s","leader":"FFFF","type":"get"}'
        for piece in (*pieces, lacking % (CLIENT.encode(), REPLICAS[0].encode())):
            for id in sorted(before):
                cluster.give(id, piece)
            yield Until(lambda: not before <= set(cluster.living), self._limits.later / len(pieces))
            lost = yield from self._lost(before)
            if lost:
                self._note_death(lost[0], piece)
                return
        put = Request("put", "after-garbage", "value")
        yield from self._ask([put], [self._leader], self._limits.election)
        text = f"{len(pieces)} kinds of garbage do no harm"
        if put.answer is None:
            text = f"put after {len(pieces)} kinds of garbage: {_told(put)}; drop what you cannot read"
        self.findings.append(Finding("garbage", NOTE if put.answer is None else OK, text))

    def _lost(self, before: Iterable[str]) -> Generator[Until, bool, list[str]]:
        """The replicas that live no more. An exit follows the end of a connection shortly."""
        lost = sorted(set(before) - set(self._cluster.living))
        if lost:
            yield Until(partial(_have_exited, self._cluster, lost), self._limits.end)
        return lost

    def _note_death(self, id: str, piece: bytes) -> None:
        text = (
            f"{id} ended after {excerpt(piece, 30)!r}: {_end(self._cluster, id)}; only scenarios with "
            "corrupt messages send such bytes: drop what you cannot read"
        )
        self.findings.append(Finding("garbage", NOTE, text))

    def _judge_output(self) -> None:
        lines, size = self._cluster.lines.total(), self._cluster.output_bytes.total()
        seen = f"{lines:,} lines on stdout and stderr"
        self._find("output", lines <= 5000 and size <= 1 << 20, seen, "a flood of output slows the run")


def _leads_on(answer: Response) -> bool:
    """Whether an answer helps a client on: it is done, or knows whom to ask."""
    return answer.type == "ok" or (answer.type == "redirect" and answer.leader in REPLICAS)


def _have_exited(cluster: Cluster, replicas: Iterable[str]) -> bool:
    return all(map(cluster.has_exited, replicas))


def _told(request: Request) -> str:
    """The last answer to a request, in words."""
    if not request.answers:
        return f"no answer from {request.asked}"
    last = request.answers[-1]
    if last.type != "ok":
        count = len(request.answers)
        return f"{count} answers without an ok, the last one {last.type} with leader {last.leader}"
    return f"ok with value {excerpt(repr(last.message.get('value')).encode(errors='replace'), 60)}"


def _end(cluster: Cluster, id: str) -> str:
    if not cluster.has_exited(id):
        return "it closed its connection"
    said = cluster.replicas[id].describe_end().split("\n    ")
    how = said[0].partition(",")[0]
    return how if len(said) == 1 else f"{how}, {excerpt(said[-1].encode(), 80)}"
