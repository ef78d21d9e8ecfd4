"""The answers of the toy replica of the tests, as a process of its own or in virtual time."""

from __future__ import annotations

from typing import Any, Protocol

LEADER = "0000"

REQUESTS = ("get", "put", "cas", "increment", "append", "delete")
# Replicas that send requests on to the leader, so that a repeated one reaches it again.
FORWARDING = ("forwards", "increment_again", "append_again", "cas_anyway", "delete_not")
# Answers of replicas that know no requests but get and put.
REFUSALS = {"refuses": {"error": "unknown\ncommand"}, "refuses_without_a_word": {}}

Message = dict[str, Any]


def operate(store: dict[str, str], message: Message) -> Message:
    """Do an operation other than get and put, and return the further fields of the `ok`."""
    type, key = message["type"], message["key"]
    value = store.get(key)
    if type == "delete":
        return {"value": "0" if store.pop(key, None) is None else "1"}
    if type == "cas":
        if value != message["from"]:
            return {"value": ""}
        store[key] = message["to"]
        return {}
    if type == "increment":
        store[key] = str(int(value or 0) + message["by"])
        return {"value": store[key]}
    store[key] = (value or "") + message["value"]
    return {"value": str(len(store[key]))}


class Voice(Protocol):
    """How a replica sends."""

    id: str

    def send(self, destination: str, type: str, leader: str, **fields: Any) -> None: ...

    def send_raw(self, raw: bytes) -> None: ...


class FakeReplica:
    """0000 always leads. `behaviour` names the way in which the replica misbehaves.

    A "durable" one keeps all that it is told in `disk`.
    """

    def __init__(self, voice: Voice, behaviour: str, disk: dict[str, str] | None = None) -> None:
        self.voice = voice
        self.id = voice.id
        self.behaviour = behaviour
        self.store = disk if disk is not None and behaviour == "durable" else {}
        self.requests = 0
        self.declined: list[str] = []
        self.late: dict[str, str] = {}
        self.done: dict[tuple[str, str], Message] = {}

    def send(self, destination: str, type: str, **fields: Any) -> None:
        self.voice.send(destination, type, LEADER, **fields)

    def greet(self) -> None:
        """All that it sends before it receives anything."""
        if self.behaviour == "eager":
            self.send("FFFF", "hello")
            self.send("FFFF", "append")

    def take(self, message: Message) -> None:
        if message["type"] == "forward":
            message = message["request"]
        # Replicas send each other messages of the type "append", too.
        if message["type"] not in REQUESTS or "MID" not in message:
            return
        self.requests += 1
        if self.id != LEADER and self.behaviour in FORWARDING:
            self.send(LEADER, "forward", request=message)
            return
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

    def operate(self, message: Message) -> None:
        """Do each other operation once, however often it arrives, unless that is the flaw."""
        client, mid = message["src"], message["MID"]
        if self.behaviour in REFUSALS:
            self.send(client, "fail", MID=mid, **REFUSALS[self.behaviour])
            return
        type, key = message["type"], message["key"]
        if self.behaviour == "cas_anyway" and type == "cas":
            message = message | {"from": self.store.get(key)}
        if (client, mid) not in self.done or self.behaviour == f"{type}_again":
            before = self.store.get(key)
            self.done[client, mid] = operate(self.store, message)
            if self.behaviour == "delete_not" and type == "delete" and before is not None:
                self.store[key] = before
            self.send("FFFF", "append", key=key)
        self.send(client, "ok", MID=mid, **self.done[client, mid])

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
        if message["type"] not in ("get", "put"):
            self.operate(message)
        elif (client, mid) in self.done:
            self.send(client, "ok", MID=mid, **self.done[client, mid])
        elif message["type"] == "put":
            if self.behaviour in FORWARDING:
                self.done[client, mid] = {}
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
