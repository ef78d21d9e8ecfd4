"""Traffic: packet storms, floods to clients, and messages of a replica to itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from simulator.advice.finding import Advice, Tally, at, name
from simulator.advice.rule import Message, Operation, Rule
from simulator.advice.scene import Scene

# The share of the most messages of a run at which a storm is near.
_NEAR = 0.5
# A second with more messages to clients than both is a flood: no client asks so often again.
_MOST_RESPONSES = 500
_MOST_PER_REQUEST = 10
# A replica may invent types without end.
_MOST_KINDS = 300


class Storm(Rule):
    """Replicas send so many messages that the run ends early, or nearly does."""

    is_manner = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._total: Counter[tuple[str, str]] = Counter()
        self._second = 0
        self._now: Counter[tuple[str, str]] = Counter()
        self._received: Counter[str] = Counter()
        # Of each kind: the messages of its busiest second, that second, and the messages that its
        # sender received in it.
        self._peak: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._storm: float | None = None

    def sent(self, message: Message) -> None:
        if int(message.time) != self._second:
            self._close_second()
            self._second = int(message.time)
        kind = (message.sender, message.type)
        if kind not in self._total and len(self._total) >= _MOST_KINDS:
            kind = (message.sender, "of many types")
        self._total[kind] += 1
        self._now[kind] += 1

    def delivered(self, message: Message) -> None:
        self._received[message.target] += 1

    def _close_second(self) -> None:
        for kind, count in self._now.items():
            if count > self._peak.get(kind, (0, 0, 0))[0]:
                self._peak[kind] = (count, self._second, self._received[kind[0]])
        self._now.clear()
        self._received.clear()

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        if text.startswith("possible packet storm"):
            self._storm = time

    def advice(self) -> Iterable[Advice]:
        self._close_second()
        settings = self.scene.heading.get("settings")
        most = settings.get("max_packets") if isinstance(settings, dict) else None
        total = self._total.total()
        is_near = isinstance(most, int) and total > _NEAR * most
        if not self._total or not (self._storm is not None or is_near):
            return
        kind, count = self._total.most_common(1)[0]
        sender, type = kind
        rate, second, received = self._peak[kind]
        is_storm = self._storm is not None
        head = f"Packet storm at {at(self._storm or 0)}" if is_storm else f"{total:,} messages, near a storm"
        yield Advice(
            "storm" if is_storm else "near-storm",
            f"{head}: {sender} sent {count:,} {name(type)}, {rate:,} of them in second {second}, when it "
            f"received {received:,} messages: send on timers, not in a loop or for each message that "
            "arrives",
            self._storm if self._storm is not None else float(second), (), (sender,),
        )


class ClientFlood(Rule):
    """A replica sends far more messages to clients than it has requests."""

    is_manner = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._second = 0
        self._sent: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._total: Counter[str] = Counter()
        # Of each replica: the messages of its worst second, that second, and the requests then.
        self._worst: dict[str, tuple[int, int, int]] = {}

    def to_client(self, message: Message) -> None:
        self._turn(message.time)
        self._sent[message.sender] += 1
        self._total[message.sender] += 1

    def asked(self, operation: Operation, message: Message) -> None:
        self._turn(message.time)
        self._asked[message.target] += 1

    def _turn(self, time: float) -> None:
        if int(time) == self._second:
            return
        for replica, count in self._sent.items():
            is_flood = count > max(_MOST_RESPONSES, _MOST_PER_REQUEST * self._asked[replica])
            if is_flood and count > self._worst.get(replica, (0, 0, 0))[0]:
                self._worst[replica] = count, self._second, self._asked[replica]
        self._sent.clear()
        self._asked.clear()
        self._second = int(time)

    def advice(self) -> Iterable[Advice]:
        self._turn(-1.0)
        if not self._worst:
            return
        replica = max(self._worst, key=lambda replica: self._worst[replica][0])
        count, second, asked = self._worst[replica]
        yield Advice(
            "client-flood",
            f"{replica} sent {self._total[replica]:,} messages to clients, {count:,} of them in second "
            f"{second}, when it had {asked:,} requests: answer each request once, and send a client "
            "nothing else",
            float(second), (), (replica,),
        )


class ToItself(Rule):
    """A replica sends messages to itself through the network."""

    is_manner = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._found: Tally[tuple[float, str, str]] = Tally()

    def sent(self, message: Message) -> None:
        if message.sender == message.target:
            self._found.add((message.time, message.sender, message.type))

    def advice(self) -> Iterable[Advice]:
        if not self._found:
            return
        time, replica, type = self._found.first()
        yield Advice(
            "to-itself",
            f"{replica} sent {name(type)} to itself at {at(time)}{self._found.more}: each counts as a "
            "message between replicas, so leave the own ID out",
            time, (), (replica,),
        )
