"""The clients: what they ask, whom they ask, and whether the answer is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any, Callable

from simulator import messages
from simulator.messages import UNKNOWN_LEADER, Malformed
from simulator.network import Network
from simulator.workload import Intent


@dataclass
class Request:
    """One request as sent. A retry of the same operation is another request, with another MID."""

    mid: str
    client: str
    type: str
    key: str
    value: str | None
    invoked: float
    returned: float | None = None
    outcome: str = "unknown"


@dataclass
class Tally:
    """The same count for gets and for puts."""

    get: int = 0
    put: int = 0

    def add(self, type: str) -> None:
        if type == "get":
            self.get += 1
        else:
            self.put += 1

    @property
    def total(self) -> int:
        return self.get + self.put


@dataclass
class Client:
    """What one client knows. At most one put per key is in flight, so `acknowledged` has an order."""

    id: str
    leader: str = UNKNOWN_LEADER
    keys: list[str] = field(default_factory=list)
    readable_keys: list[str] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)

    def key_to_get(self, choice: float) -> str | None:
        if not self.readable_keys:
            return None
        return self.readable_keys[int(choice * len(self.readable_keys))]

    def key_to_put(self, choice: float) -> str | None:
        """An own key without a put in flight: the chosen one, or the next one that is free."""
        start = int(choice * len(self.keys))
        for offset in range(len(self.keys)):
            key = self.keys[(start + offset) % len(self.keys)]
            if key not in self.in_flight:
                return key
        return None

    def acknowledge(self, key: str, value: str) -> None:
        if key not in self.acknowledged:
            self.readable_keys.append(key)
        self.acknowledged[key] = value
        self.in_flight.discard(key)


class Clients:
    """All clients, their requests, and the counts that the report is made of."""

    def __init__(
        self,
        ids: list[str],
        network: Network,
        random: Random,
        send: Callable[[str, bytes], None],
        clock: Callable[[], float],
        complain: Callable[[str], None],
    ) -> None:
        self._clients = [Client(id) for id in ids]
        self._by_id = {client.id: client for client in self._clients}
        self._network = network
        self._random = random
        self._send = send
        self._clock = clock
        self._complain = complain
        self.requests: dict[str, Request] = {}
        self.generated = Tally()
        self.answered = Tally()
        self.failures = Tally()
        self.gets_not_generated = 0
        self.incorrect_gets = 0
        self.unexpected = 0
        self.duplicates = 0
        self.redirects = 0
        self.responses = 0
        self.latencies: list[float] = []

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def forget_leader(self) -> None:
        for client in self._clients:
            client.leader = UNKNOWN_LEADER

    def start(self, intent: Intent) -> None:
        """Turn a planned request into an operation, now that it is known which keys exist."""
        client = self._clients[intent.client]
        key = client.key_to_get(intent.choice) if intent.wants_get else None
        if key is not None:
            self.generated.add("get")
            self._request(client, "get", key, None)
            return
        if intent.wants_get:
            self.gets_not_generated += 1
        key = client.key_to_put(intent.choice) if intent.wants_own_key else None
        if key is None:
            key = intent.new_key
            client.keys.append(key)
        client.in_flight.add(key)
        self.generated.add("put")
        self._request(client, "put", key, intent.value)

    def _request(self, client: Client, type: str, key: str, value: str | None) -> None:
        target = client.leader
        living = self._network.living
        if target not in living:
            if not living:
                return  # Nobody can ever answer: the operation stays unanswered.
            target = self._random.choice(living)
        mid = f"{len(self.requests):08x}"
        message = {
            "src": client.id, "dst": target, "leader": client.leader,
            "type": type, "MID": mid, "key": key,
        }
        if value is not None:
            message["value"] = value
        raw = messages.encode(message)
        self.requests[mid] = Request(mid, client.id, type, key, value, self._clock())
        self._send(target, raw)

    def receive(self, message: dict[str, Any], now: float) -> None:
        """Take a response from the network, judge it, and retry where the protocol says so."""
        messages.check_response(message)
        self.responses += 1
        client = self._by_id[message["dst"]]
        request = self.requests.get(message["MID"])
        if request is None or request.client != client.id:
            self._unexpected(message, "no request of this client has it")
            return
        client.leader = message["leader"]
        if request.outcome == "ok":
            self.duplicates += 1
            return
        if request.outcome != "unknown":
            # The client has moved on to a new MID, so this is neither an answer nor a duplicate of one.
            self._unexpected(message, f"already answered with {request.outcome}")
            return
        self._answer(client, request, message, now)

    def _answer(
        self, client: Client, request: Request, message: dict[str, Any], now: float
    ) -> None:
        outcome = message["type"]
        if outcome == "ok" and request.type == "get" and type(message.get("value")) is not str:
            raise Malformed('"value" of the answer to a get must be a string')
        request.outcome = outcome
        request.returned = now
        self.latencies.append(now - request.invoked)
        if outcome == "ok":
            self._complete(client, request, message)
            return
        if outcome == "fail":
            self.failures.add(request.type)
        else:
            self.redirects += 1
        self._request(client, request.type, request.key, request.value)

    def _complete(self, client: Client, request: Request, message: dict[str, Any]) -> None:
        self.answered.add(request.type)
        if request.type == "put":
            client.acknowledge(request.key, request.value)
            return
        request.value = message["value"]
        expected = client.acknowledged[request.key]
        if request.value != expected:
            self.incorrect_gets += 1
            self._complain(
                f"incorrect value: replica {message['src']} answered get {request.key} of client "
                f"{client.id} with {request.value!r} instead of {expected!r} (MID {request.mid})"
            )

    def _unexpected(self, message: dict[str, Any], reason: str) -> None:
        self.unexpected += 1
        self._complain(
            f"unexpected MID: replica {message['src']} sent {message['type']} with MID "
            f"{message['MID']!r} to client {message['dst']}: {reason}"
        )
