"""The clients: send requests, repeat them, and judge the answers."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from simulator import contradiction, messages
from simulator.call import Call, put
from simulator.causes import Circles, is_in_circle, longer
from simulator.chronicle import Chronicle
from simulator.client import Client, Request
from simulator.config import OPERATIONS
from simulator.messages import UNKNOWN_LEADER, excerpt
from simulator.network import CLIENT, Network
from simulator.operations import Answer, Counts, Operations, answer_of
from simulator.schedule import GET_ANSWERED, WRITE_ACKNOWLEDGED
from simulator.trace.recorder import UNTRACED, Trace
from simulator.workload import Intent


@dataclass(frozen=True)
class Rules:
    """The behaviour of the clients in a scenario."""

    shared_keys: int = 0
    timeout: float | None = None
    read_back: bool = False
    operations: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Tally:
    """The same count for gets and for puts. All requests but gets count as puts."""

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


class Clients:
    """All clients, their requests, and the counts for the report."""

    def __init__(
        self,
        ids: list[str],
        rules: Rules,
        network: Network,
        random: Random,
        send: Callable[[str, bytes], str | None],
        clock: Callable[[], float],
        complain: Callable[[str, str], None],
        acknowledged: Callable[[str], None],
        chronicle: Chronicle,
        notice: Callable[[str], None],
        trace: Trace = UNTRACED,
    ) -> None:
        """`complain` takes the kind of a mistake and its particulars.

        `acknowledged` takes the replica of each acknowledged put or other write, before anything
        else happens. `notice` takes news for the user that are no mistake.
        """
        self._clients = [Client(id) for id in ids]
        self._by_id = {client.id: client for client in self._clients}
        self._rules = rules
        self._network = network
        self._random = random
        self._send = send
        self._clock = clock
        self._complain = complain
        self._acknowledged = acknowledged
        self._chronicle = chronicle
        self._notice = notice
        self._trace = trace
        self._operations = Operations(rules.operations, rules.shared_keys) if rules.operations else None
        # Each request with the time of its next sending. All wait equally long, so times ascend.
        self._waiting: deque[tuple[float, Request]] = deque()
        # Clients in circles, with the time at which each repeats a request.
        self._pausing: list[tuple[float, str]] = []
        self.requests: dict[str, Request] = {}
        self.generated = Tally()
        self.answered = Tally()
        self.failures = Tally()
        self.operations = Counts()
        self.gets_not_generated = 0
        self.gets_withheld = 0
        self.sent_again = 0
        self.incorrect_gets = 0
        self.overtaken_gets = 0
        self.unexpected = 0
        self.duplicates = 0
        self.redirects = 0
        self.circles = Circles(network.replicas)
        self.latencies: list[float] = []
        self._missed: tuple[str, float] | None = None  # the leader killed last, and the time
        self.failovers: list[float] = []

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def lose_leader(self, leader: str) -> None:
        """A kill of the leader. A failover lasts from here to the first ok of another replica."""
        self._missed = leader, self._clock()
        self.forget_leader()

    def rejoined(self, replica: str) -> None:
        """From now on the ok of a leader that was restarted ends the failover, too."""
        if self._missed is not None and self._missed[0] == replica:
            self._missed = UNKNOWN_LEADER, self._missed[1]

    def forget_leader(self) -> None:
        for client in self._clients:
            client.leader = UNKNOWN_LEADER

    def start(self, intent: Intent) -> None:
        """Turn a planned request into an operation, for the existing keys are known only now."""
        client = self._clients[intent.client]
        if self._operations is not None:
            self._begin(client, self._operations.call(intent, client.known))
            return
        key = self._key_to_get(client, intent) if intent.wants_get else None
        if key is not None:
            self._get(client, key)
            return
        if intent.wants_get:
            self.gets_not_generated += 1
            is_withheld = self._network.has_quorum and client.has_overdue_put(self._clock())
            self.gets_withheld += is_withheld
            self._trace.event("no_get", client=client.id, withheld=is_withheld)
        key = self._key_to_put(client, intent)
        client.in_flight[key] = intent.value
        self._begin(client, put(key, intent.value))

    def read_all(self) -> int:
        """Begin to get each key with an acknowledged write; returns their number.

        The client of the last such write gets the key, for no other one may know it.
        """
        writes = (r for r in self.requests.values() if r.type != "get" and r.outcome == "ok")
        readers = {write.key: self._by_id[write.client] for write in writes}
        for key, client in readers.items():
            client.unread.append(key)
        for client in self._clients:
            self._read_next(client)
        return len(readers)

    @property
    def unread(self) -> int:
        """How many keys are left of those that `read_all` has begun to get."""
        return sum(len(client.unread) for client in self._clients)

    def _read_next(self, client: Client) -> None:
        if client.unread:
            self._get(client, client.unread.popleft())

    def _key_to_get(self, client: Client, intent: Intent) -> str | None:
        if self._rules.shared_keys:
            return self._shared_key(intent)
        return client.key_to_get(intent.choice)

    def _key_to_put(self, client: Client, intent: Intent) -> str:
        if self._rules.shared_keys:
            return self._shared_key(intent)
        key = client.key_to_put(intent.choice) if intent.wants_own_key else None
        if key is None:
            key = intent.new_key
            client.keys.append(key)
        return key

    def _shared_key(self, intent: Intent) -> str:
        return f"{int(intent.choice * self._rules.shared_keys):032x}"

    def _get(self, client: Client, key: str, target: str | None = None) -> None:
        self._begin(client, Call("get", key), target)

    def _begin(self, client: Client, call: Call, target: str | None = None) -> None:
        self.generated.add(call.type)
        self.operations.request(call.type)
        self._request(client, call, target)

    def _request(
        self, client: Client, call: Call, target: str | None = None, before: Request | None = None
    ) -> None:
        """Send a new request: to `target`, else to the leader, else to a random living replica.

        While all are down, it goes to one of those that come back, and is lost.
        """
        target = target or client.leader
        if target not in self._network.living:
            reachable = self._network.reachable
            if not reachable:
                self._trace.event("no_request", type=call.type)
                return  # No replica can ever answer: the operation stays unanswered.
            target = self._random.choice(reachable)
        mid = f"{len(self.requests):08x}"
        request = Request(mid, client.id, call, self._clock())
        request.settled = len(client.acknowledged.get(call.key, ()))
        if before is not None:
            request.before, request.attempt = before, before.attempt + 1
        self.requests[mid] = request
        self._trace.request(request)
        self._transmit(client, request, target)

    def _transmit(self, client: Client, request: Request, target: str) -> None:
        request.target = target
        request.sent += 1
        if self._rules.timeout is not None:
            self._waiting.append((self._clock() + self._rules.timeout, request))
        message = {
            "src": client.id, "dst": target, "leader": client.leader,
            "type": request.type, "MID": request.mid, "key": request.key, **request.call.arguments,
        }
        raw, now = messages.encode(message), self._clock()
        fate = self._network.loss_to(target)
        if fate is None:
            if request.type == "put":
                client.waiting_since.setdefault(request.key, now)
            fate = self._send(target, raw)
        self._trace.message(now, client.id, target, raw, fate)

    def next_resend(self) -> float:
        """The time of the next repetition: of an unanswered request, or of one in a circle."""
        while self._waiting and self._waiting[0][1].outcome != "unknown":
            self._waiting.popleft()
        unanswered = self._waiting[0][0] if self._waiting else math.inf
        return min(unanswered, self._pausing[0][0]) if self._pausing else unanswered

    def resend(self) -> None:
        """Repeat the requests that are due, an unanswered one at another living replica if any."""
        now = self._clock()
        while self._pausing and self._pausing[0][0] <= now:
            due, id = heapq.heappop(self._pausing)
            if self._by_id[id].due == due:
                self._go_round(self._by_id[id])
        waited = []
        while self._waiting and self._waiting[0][0] <= now:
            waited.append(self._waiting.popleft()[1])
        for request in waited:
            if request.outcome == "unknown":
                self._send_again(request)

    def _send_again(self, request: Request) -> None:
        client = self._by_id[request.client]
        client.leader = UNKNOWN_LEADER
        targets = self._others(request.target) or self._network.reachable
        if targets:
            self.sent_again += 1
            self._transmit(client, request, self._random.choice(targets))

    def _others(self, replica: str) -> list[str]:
        return [other for other in self._network.living if other != replica]

    def condition_of(self, message: dict[str, Any]) -> str | None:
        """The condition that a response meets: the first ok to a request does."""
        mid = message.get("MID")
        request = self.requests.get(mid) if message["type"] == "ok" and isinstance(mid, str) else None
        if request is None or request.outcome != "unknown":
            return None
        return GET_ANSWERED if request.type == "get" else WRITE_ACKNOWLEDGED

    def receive(
        self, message: dict[str, Any], now: float, raw: bytes = b"", sent: float | None = None
    ) -> None:
        """Take a response from the network, judge it, and retry where the protocol says so.

        For the trace, `raw` are its bytes, and a replica sent it at `sent`, if not now.
        """
        messages.check_response(message)
        client = self._by_id[message["dst"]]
        request = self.requests.get(message["MID"])
        is_lost = self._network.drops_client_message()
        self._trace.response(sent or now, message["src"], client.id, raw, CLIENT if is_lost else None)
        if is_lost:
            if request is not None and request.type == "put":
                client.waiting_since.pop(request.key, None)
            return
        if request is None or request.client != client.id:
            self._unexpected(message, "no request of this client has it")
            return
        client.leader = message["leader"]
        request.responses += 1
        if request.outcome == "unknown":
            self._answer(client, request, message, now)
        elif request.responses <= request.sent:
            pass  # Each sending may be answered, but only the first answer counts.
        elif request.outcome == "ok":
            self.duplicates += 1
        else:
            # The client has moved on to a new MID: this is neither an answer nor a duplicate of
            # one.
            self._unexpected(message, f"already answered with {request.outcome}")

    def _answer(
        self, client: Client, request: Request, message: dict[str, Any], now: float
    ) -> None:
        outcome = message["type"]
        answer = answer_of(request.type, message) if outcome == "ok" else None
        request.outcome, request.answer = outcome, answer
        request.returned = now
        request.answered_by = message["src"]
        self._trace.answer(request, message["leader"])
        self.latencies.append(now - request.invoked)
        if outcome == "ok":
            self._note_failover(message["src"], now)
            self._complete(client, request, answer)
            self._leave_circle(client)
            return
        if request.type == "put":
            client.decline(request)
        if outcome == "fail":
            self.failures.add(request.type)
        else:
            self.redirects += 1
        self.circles.count(request.attempt, outcome, message["src"], message["leader"])
        if self._is_refused(request, message):
            return
        if is_in_circle(request.attempt, len(self._network.replicas)):
            if not client.circling:
                self._pause(client)
            client.circling.append(request)
        else:
            self._repeat(request)

    def _is_refused(self, request: Request, message: dict[str, Any]) -> bool:
        """Whether a replica will never do this operation, so that its client gives up.

        An `error` says so. A replica that does not know the operation at all may say just `fail`.
        """
        if request.type not in OPERATIONS or request.outcome != "fail":
            return False
        error = message.get("error")
        if not isinstance(error, str):
            if self.operations.was_ever_answered(request.type):
                return False
            if not is_in_circle(request.attempt, len(self._network.replicas)):
                return False
            error = "no reason given"
        self._trace.event("refused", mid=request.mid)
        if self.operations.refuse(request.type):
            reason = excerpt(error.encode(errors="replace"))
            self._notice(f"the replica refuses `{request.type}`: {reason}")
        return True

    def _pause(self, client: Client) -> None:
        client.pause = longer(client.pause)
        client.due = self._clock() + client.pause
        heapq.heappush(self._pausing, (client.due, client.id))

    def _go_round(self, client: Client) -> None:
        """Repeat the request that has waited longest. A decline puts it at the end of the queue."""
        client.due = math.inf
        declined = client.circling.popleft()
        if client.circling:
            self._pause(client)
        self._repeat(declined)

    def _leave_circle(self, client: Client) -> None:
        """Repeat all waiting requests at once, because a replica has answered `ok`."""
        client.pause, client.due = 0.0, math.inf
        circling, client.circling = client.circling, deque()
        for declined in circling:
            self._repeat(declined)

    def _repeat(self, declined: Request) -> None:
        self._request(self._by_id[declined.client], declined.call, before=declined)

    def _note_failover(self, replica: str, now: float) -> None:
        if self._missed is not None and self._missed[0] != replica:
            self.failovers.append(now - self._missed[1])
            self._missed = None

    def _complete(self, client: Client, request: Request, answer: Answer) -> None:
        self.answered.add(request.type)
        self.operations.answer(request.type, answer)
        if self._operations is not None:
            self._operations.learn(client.known, request.call, answer)
        replica = request.answered_by or UNKNOWN_LEADER
        if request.type != "get":
            if request.type == "put":
                client.acknowledge(request)
            self._acknowledged(replica)
            self._read_back(client, request, replica)
        elif isinstance(answer, str) and not (self._rules.shared_keys or self._operations):
            # A client cannot know the value of a key that other clients put, too.
            self._judge(client, request, answer, replica)
        self._read_next(client)

    def _judge(self, client: Client, get: Request, value: str, replica: str) -> None:
        if not client.may_read(get, value):
            self.incorrect_gets += 1
            newer = client.latest_before(get)
            source = client.acknowledged_put(get.key, value)
            involved = [newer, get] if source is None else [source, newer, get]
            surroundings = [
                *contradiction.timeline(involved, self._chronicle.happenings),
                contradiction.reason(get, source, newer),
            ]
            self._complain(
                f"incorrect value: from replica {replica}",
                f"get {get.key} of client {client.id} answered with {value!r} instead of "
                f"{newer.value!r} (MID {get.mid})" + "".join(f"\n    {line}" for line in surroundings),
            )
        elif client.is_overtaken(get, value):
            self.overtaken_gets += 1

    def _read_back(self, client: Client, write: Request, replica: str) -> None:
        """Read an acknowledged write from another replica, to find stale reads."""
        others = self._others(replica)
        if self._rules.read_back and others:
            self._get(client, write.key, self._random.choice(others))

    def _unexpected(self, message: dict[str, Any], reason: str) -> None:
        self.unexpected += 1
        self._complain(
            f"unexpected MID: from replica {message['src']}: {reason}",
            f"{message['type']} with MID {message['MID']!r} to client {message['dst']}",
        )
