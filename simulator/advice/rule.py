"""The interface of a rule, and the operations and messages that it hears of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.advice.finding import Advice

if TYPE_CHECKING:
    from simulator.advice.scene import Scene


@dataclass(slots=True)
class Operation:
    """An operation of a client, with all of its attempts."""

    number: int
    type: str
    key: str
    invoked: float
    mid: str  # of the last attempt
    client: str
    value: str | None = None  # of the last attempt; the explorer chooses another one for each
    attempts: int = 1
    responses: int = 0  # to the last attempt
    arrived: float | None = None  # when the last attempt reached `target`
    target: str | None = None
    outcome: str | None = None  # of the last attempt
    returned: float | None = None
    answer: Any = None
    answered_by: str | None = None
    is_early: bool = False  # it was acknowledged before a majority had it

    @property
    def is_done(self) -> bool:
        return self.outcome == "ok"


@dataclass(slots=True)
class Message:
    """A message between replicas, or from or to a client, to one destination."""

    time: float
    sender: str
    target: str
    body: Mapping[str, Any]
    is_repeated: bool  # it has the body of the message before, so only the destination is new
    carried: dict[int, int] | None = None  # the knowledge of the sender
    values: tuple[int, ...] = ()  # the numbers of the writes whose values it has

    @property
    def type(self) -> str:
        return str(self.body.get("type"))


class Rule:
    """The events of a run -> advice, if a replica breaks a rule."""

    # Whether the advice is of use for a run that has passed.
    is_manner = False

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def sent(self, message: Message) -> None:
        """A replica sends to a replica."""

    def delivered(self, message: Message) -> None:
        """The message of a replica reaches a replica."""

    def lost(self, message: Message, reason: str) -> None:
        """The message of a replica to a replica is lost."""

    def to_client(self, message: Message) -> None:
        """A replica sends to a client, perhaps without a request."""

    def began(self, operation: Operation) -> None:
        """A client begins an operation, or a further attempt of it."""

    def asked(self, operation: Operation, message: Message) -> None:
        """A request reaches a replica."""

    def responded(self, operation: Operation, message: Message) -> None:
        """A replica sends a response to a request. The operation is as it was before."""

    def finished(self, operation: Operation, leader: str) -> None:
        """A client has the answer to an attempt, which names a leader."""

    def reigns(self, time: float, replica: str) -> None:
        """A replica begins to name itself as leader."""

    def event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        """An event happens. The scene is as it was before."""

    def printed(self, time: float, replica: str, stream: str, text: str) -> None:
        """A process prints a line."""

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        """The simulator reports a mistake of a replica."""

    def advice(self) -> Iterable[Advice]:
        """The advice, after the last record. `scene.ending` tells how the run ended."""
        return ()


HEARD = (
    "sent", "delivered", "lost", "to_client", "began", "asked", "responded", "finished", "reigns", "event",
    "printed",
    "fault",
)
