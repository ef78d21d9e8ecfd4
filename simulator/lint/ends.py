"""The second script: the leader of a cluster is ended, the others go on, and end in their turn."""

from __future__ import annotations

import time

from simulator.lint.cluster import REPLICAS, Cluster
from simulator.lint.finding import SKIPPED, Finding, verdict
from simulator.lint.limits import Limits
from simulator.lint.requests import Request, have_ended
from simulator.lint.script import Script, Stage, Until
from simulator.lint.talk import gather


class Ends:
    """The script, and what it finds."""

    def __init__(self, stage: Stage, cluster: Cluster, dialect: str, limits: Limits) -> None:
        self._stage = stage
        self._cluster = cluster
        self._dialect = dialect
        self._limits = limits
        self.findings: list[Finding] = []

    def script(self) -> Script:
        cluster = self._cluster
        if not (yield from gather(cluster, self._limits.join)):
            return  # The first script tells why.
        put = Request("put", "first", "value")
        yield from self._ask(put, REPLICAS[0], self._limits.election)
        if put.answer is None:
            self.findings.append(Finding("failover", SKIPPED, "not checked, because no put was answered"))
            yield from self._check_term(REPLICAS[0])
            return
        leader = (cluster.leaders() or [put.answer.replica])[0]
        yield from self._check_term(leader)
        yield from self._check_failover(leader)
        yield from self._check_hang_up()

    def _ask(self, request: Request, replica: str, seconds: float) -> Script:
        self._stage.add(request.script(self._cluster, replica, seconds))
        yield Until(lambda: have_ended(request), seconds + 1)

    def _check_term(self, id: str) -> Script:
        begun = time.monotonic()
        self._cluster.terminate(id)
        ends = yield Until(lambda: self._cluster.has_exited(id), self._limits.end)
        took = time.monotonic() - begun
        seen = f"{id} ended {took:.2f} s after it" if ends else f"{id} still runs {took:.1f} s after it"
        rule = f"end within {self._limits.end:g} s, or SIGKILL follows"
        self.findings.append(verdict("SIGTERM", ends, seen, rule, self._stage.is_over))
        if not ends:
            self._cluster.replicas[id].kill()

    def _check_failover(self, dead: str) -> Script:
        living = self._cluster.living
        if len(living) < len(REPLICAS) - 1:
            text = f"not checked, because only {len(living)} replicas were left"
            self.findings.append(Finding("failover", SKIPPED, text))
            return
        begun = time.monotonic()
        put = Request("put", "second", "value")
        yield from self._ask(put, living[0], self._limits.failover)
        took = time.monotonic() - begun
        seen = f"no put was answered within {took:.1f} s after the end of {dead}"
        if put.answer is not None:
            seen = f"{put.answer.replica} answered a put {took:.2f} s after the end of {dead}, the leader"
        rule = "two of three replicas elect a leader, and go on"
        self.findings.append(verdict("failover", put.answer is not None, seen, rule, self._stage.is_over))

    def _check_hang_up(self) -> Script:
        living = self._cluster.living
        if self._dialect == "udp" or not living:
            return
        id = living[-1]
        begun = time.monotonic()
        self._cluster.hang_up(id)
        ends = yield Until(lambda: self._cluster.has_exited(id), self._limits.end)
        took = time.monotonic() - begun
        seen = f"{id} ended {took:.2f} s after it" if ends else f"{id} still runs {took:.1f} s after it"
        rule = "the end of the socket is the end of the run: exit"
        self.findings.append(verdict("socket end", ends, seen, rule, self._stage.is_over))
