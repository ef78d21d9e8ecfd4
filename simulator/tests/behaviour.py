"""The answers of the toy replica of the tests, as a process of its own or in virtual time."""

from __future__ import annotations

from typing import Any, Protocol

LEADER = "0000"

Message = dict[str, Any]


class Voice(Protocol):
    """How a replica sends."""

    id: str

    def send(self, destination: str, type: str, leader: str, **fields: Any) -> None: ...

    def send_raw(self, raw: bytes) -> None: ...


class FakeReplica:
    """0000 always leads. `behaviour` names the way in which the replica misbehaves."""

    def __init__(self, voice: Voice, behaviour: str) -> None:
        self.voice = voice
        self.id = voice.id
        self.behaviour = behaviour
        self.store: dict[str, str] = {}
        self.requests = 0
        self.declined: list[str] = []
        self.late: dict[str, str] = {}

    def send(self, destination: str, type: str, **fields: Any) -> None:
        self.voice.send(destination, type, LEADER, **fields)

    def greet(self) -> None:
        """All that it sends before it receives anything."""
        if self.behaviour == "eager":
            self.send("FFFF", "hello")
            self.send("FFFF", "append")

    def take(self, message: Message) -> None:
        if message["type"] not in ("get", "put"):
            return
        self.requests += 1
        if self.id != LEADER:
            self.send(message["src"], "redirect", MID=message["MID"])
            return
        if self.requests == 1:
            self.misbehave_once(message)
        if self.behaviour == "fails" and self.requests % 10 == 0:
            self.send(message["src"], "fail", MID=message["MID"])
            return
        if self.behaviour == "applies_twice" and message["type"] == "put":
            self.apply_twice(message)
        else:
            self.answer(message)

    def apply_twice(self, put: Message) -> None:
        """Decline the first attempt of each put; apply others again after the next of their key."""
        if put["value"] not in self.declined:
            self.declined.append(put["value"])
            self.send(put["src"], "redirect", MID=put["MID"])
            return
        self.answer(put)
        late = self.late.pop(put["key"], None)
        if late is None:
            self.late[put["key"]] = put["value"]
        else:
            self.store[put["key"]] = late

    def misbehave_once(self, message: Message) -> None:
        """Do the fault that the first request triggers."""
        if self.behaviour == "malformed":
            self.voice.send_raw(b'{"src": "0000", "dst": "0001", "leader": "nobody", "type": "append"}')
        elif self.behaviour == "impostor":
            self.voice.send_raw(b'{"src": "0001", "dst": "0002", "leader": "0000", "type": "append"}')
        elif self.behaviour == "unknown_mid":
            self.send(message["src"], "ok", MID="invented")
        elif self.behaviour == "unknown_destination":
            self.send("ABCD", "append")

    def answer(self, message: Message) -> None:
        client, mid, key = message["src"], message["MID"], message["key"]
        if message["type"] == "put":
            self.store[key] = message["value"]
            if self.behaviour == "talks_on":
                self.send(client, "ok", MID=mid)
            self.send("FFFF", "append", key=key)
            if self.behaviour != "talks_on":
                self.send(client, "ok", MID=mid)
        elif self.behaviour == "wrong_value":
            self.send(client, "ok", MID=mid, value="wrong")
        else:
            self.send(client, "ok", MID=mid, value=self.store.get(key, ""))
        if self.behaviour == "answers_twice" and self.requests % 10 == 0:
            self.send(client, "ok", MID=mid, value="")
