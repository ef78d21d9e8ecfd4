#!/usr/bin/env python3
"""A replica in each dialect that looks sound, but for the flaw that $FLAW names, if any.

`acknowledges_early`: its leader answers a put before any other replica has it. `reads_locally`:
every replica answers a get from its own state.

Otherwise the living replica with the lowest ID leads as long as it hears a majority. It
acknowledges a put once a majority has stored it, and sends it to the others until they have it.
That is enough for most networks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

from endpoint import Endpoint

FLAW = os.environ.get("FLAW")
BEAT_SECONDS = 0.5
# On a busy machine a slow process must not look like a dead one. And a leader that is cut off from
# the majority stops leading before the majority takes another one.
SILENCE_SECONDS = float(os.environ.get("SILENCE_SECONDS", 4 * BEAT_SECONDS))
MAJORITY_SECONDS = SILENCE_SECONDS / 2
UNKNOWN = "FFFF"

Version = tuple[int, str]


class Replica:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.id = endpoint.id
        self.majority = (len(endpoint.others) + 1) // 2 + 1
        # Empty until the first message arrives, because no replica can be heard before.
        self.heard: dict[str, float] = {}
        self.store: dict[str, tuple[Version, str]] = {}
        self.counter = 0
        # Per put that this replica leads: its message, and the replicas that have yet to store it.
        self.missing: dict[Version, tuple[dict[str, Any], set[str]]] = {}
        self.unanswered: dict[Version, tuple[str, str]] = {}
        self.taken: dict[tuple[str, str], Version] = {}
        self.held: list[dict[str, Any]] = []
        self.redirected: dict[str, float] = {}

    def leader(self) -> str:
        if not self.heard:
            return min(self.id, *self.endpoint.others)
        if len(self.heard_within(MAJORITY_SECONDS)) + 1 < self.majority:
            return UNKNOWN
        return min([self.id, *self.heard_within(SILENCE_SECONDS)])

    def heard_within(self, seconds: float) -> list[str]:
        oldest = time.monotonic() - seconds
        return [other for other, at in self.heard.items() if at > oldest]

    def send(self, destination: str, type: str, **fields: Any) -> None:
        self.endpoint.send(destination, type, self.leader(), **fields)

    def run(self) -> None:
        due = time.monotonic()
        while True:
            message = self.endpoint.receive(max(0, due - time.monotonic()))
            if message is not None:
                self.take(message)
            if time.monotonic() >= due:
                self.beat()
                due = time.monotonic() + BEAT_SECONDS

    def beat(self) -> None:
        self.send("FFFF", "alive")
        if self.leader() != self.id:
            self.missing.clear()
            self.unanswered.clear()
        for put, others in self.missing.values():
            for other in others:
                self.send(other, "store", **put)
        held, self.held = self.held, []
        for request in held:
            self.take(request)

    def take(self, message: dict[str, Any]) -> None:
        source = message["src"]
        if source in self.endpoint.others:
            if not self.heard:
                self.heard = dict.fromkeys(self.endpoint.others, time.monotonic())
            self.heard[source] = time.monotonic()
        handle = getattr(self, f"take_{message['type']}", None)
        if handle is not None:
            handle(source, message)

    def take_get(self, client: str, message: dict[str, Any]) -> None:
        if FLAW == "reads_locally" or self.leader() == self.id:
            _, value = self.store.get(message["key"], (None, ""))
            self.send(client, "ok", MID=message["MID"], value=value)
        else:
            self.redirect(client, message)

    def take_put(self, client: str, message: dict[str, Any]) -> None:
        mid = message["MID"]
        if self.leader() != self.id:
            self.redirect(client, message)
        elif (client, mid) not in self.taken:
            self.replicate(client, mid, message["key"], message["value"])
        elif self.taken[client, mid] not in self.unanswered:
            self.send(client, "ok", MID=mid)

    def redirect(self, client: str, request: dict[str, Any]) -> None:
        """Name the leader, unless the client came from it and it has been silent since."""
        leader = self.leader()
        if self.redirected.get(client, 0) < self.heard.get(leader, 0):
            self.redirected[client] = time.monotonic()
            self.send(client, "redirect", MID=request["MID"])
        else:
            self.held.append(request)

    def replicate(self, client: str, mid: str, key: str, value: str) -> None:
        self.counter += 1
        version = (self.counter, self.id)
        put = {"key": key, "value": value, "version": version}
        self.taken[client, mid] = version
        self.missing[version] = (put, set(self.endpoint.others))
        self.unanswered[version] = (client, mid)
        if FLAW == "acknowledges_early":
            self.acknowledge(version)
        self.send("FFFF", "store", **put)

    def acknowledge(self, version: Version) -> None:
        put, _ = self.missing[version]
        self.keep(put["key"], put["value"], version)
        client, mid = self.unanswered.pop(version)
        self.send(client, "ok", MID=mid)

    def take_store(self, leader: str, message: dict[str, Any]) -> None:
        version = tuple(message["version"])
        self.keep(message["key"], message["value"], version)
        self.send(leader, "stored", version=version)

    def take_stored(self, other: str, message: dict[str, Any]) -> None:
        version = tuple(message["version"])
        if version not in self.missing:
            return
        _, others = self.missing[version]
        others.discard(other)
        if version in self.unanswered and len(self.endpoint.others) - len(others) + 1 >= self.majority:
            self.acknowledge(version)
        if not others:
            del self.missing[version]

    def keep(self, key: str, value: str, version: Version) -> None:
        self.counter = max(self.counter, version[0])
        if key not in self.store or self.store[key][0] < version:
            self.store[key] = (version, value)


if __name__ == "__main__":
    with contextlib.suppress(EOFError):
        Replica(Endpoint(sys.argv[1:])).run()
