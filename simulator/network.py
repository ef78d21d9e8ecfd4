"""The decisions of the network: counts, drops, partitions, and the current leader."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from simulator.messages import BROADCAST, UNKNOWN_LEADER

# Replicas may name a new leader in each message for a long time.
MOST_LEADERS = 1000
# Reasons why a message is lost, as a trace has them.
CLIENT, DOWN = "client", "down"


class Network:
    """The rules of the network. It moves no bytes, so a test of a rule needs no process."""

    def __init__(
        self,
        replicas: Sequence[str],
        drops: float,
        drop_random: Random,
        client_drops: float,
        client_drop_random: Random,
    ) -> None:
        self.replicas = tuple(replicas)
        self.living = list(replicas)
        self.down: list[str] = []  # killed by a restart, and not connected again yet
        self.majority_side: frozenset[str] | None = None
        self.leader = UNKNOWN_LEADER
        self.leaders = [UNKNOWN_LEADER]  # in order, the first `MOST_LEADERS` of them
        self.leader_changes = 0
        self.sent = 0
        self.dropped_by_chance = 0
        self.dropped_by_partition = 0
        self.sent_to_dead = 0
        self.sent_to_down = 0  # by replicas and by clients
        self.client_messages_dropped = 0
        self._drops = drops
        self._random = drop_random
        self._client_drops = client_drops
        self._client_random = client_drop_random
        self._others = {r: tuple(o for o in replicas if o != r) for r in replicas}

    def __contains__(self, id: str) -> bool:
        return id in self._others

    @property
    def has_quorum(self) -> bool:
        """Whether a majority of the replicas lives and can communicate."""
        side = self.majority_side or self.living
        return sum(replica in side for replica in self.living) > len(self.replicas) // 2

    def hear(self, sender: str, leader: str) -> None:
        """Follow the leader that `sender` names, unless `sender` is in a partition's minority."""
        if leader != self.leader and (
            self.majority_side is None or sender in self.majority_side
        ):
            self.leader = leader
            self.leader_changes += 1
            if len(self.leaders) < MOST_LEADERS:
                self.leaders.append(leader)

    def route(self, sender: str, destination: str) -> list[tuple[str, str | None]]:
        """Count a message between replicas; returns its targets, each with the reason of a loss."""
        targets = self._others[sender] if destination == BROADCAST else (destination,)
        self.sent += len(targets)
        return [(target, self._loss(sender, target)) for target in targets]

    def _loss(self, sender: str, target: str) -> str | None:
        """The reason why a message does not arrive, if it does not."""
        if target in self.down:
            self.sent_to_down += 1
            return DOWN
        if target not in self.living:
            self.sent_to_dead += 1
            return "dead"
        side = self.majority_side
        if side is not None and (sender in side) != (target in side):
            self.dropped_by_partition += 1
            return "partition"
        if self._drops and self._random.random() < self._drops:
            self.dropped_by_chance += 1
            return "chance"
        return None

    def drops_client_message(self) -> bool:
        """Whether the next message from or to a client is lost."""
        lost = self._client_drops > 0 and self._client_random.random() < self._client_drops
        self.client_messages_dropped += lost
        return lost

    def loss_to(self, replica: str) -> str | None:
        """The reason why a client's next message does not arrive at `replica`, if it does not."""
        if self.drops_client_message():
            return CLIENT
        is_down = replica in self.down
        self.sent_to_down += is_down
        return DOWN if is_down else None

    @property
    def reachable(self) -> list[str]:
        """The replicas that a client may ask: the living ones, or else those that come back."""
        return self.living or self.down

    def remove(self, replica: str) -> None:
        """A living replica is dead, or a replica that was down does not come back."""
        (self.living if replica in self.living else self.down).remove(replica)

    def take_down(self, replica: str) -> None:
        """Messages to a living replica are lost until `bring_back`."""
        self.living.remove(replica)
        self.down.append(replica)

    def bring_back(self, replica: str) -> None:
        self.down.remove(replica)
        self.living.append(replica)
        self.living.sort()

    def partition(self, random: Random, with_leader: bool) -> None:
        """Put floor(n/2)+1 replicas on one side, the current leader among them if `with_leader`.

        Dead replicas only fill up the side when too few live: a majority that cannot elect a leader
        would test nothing.
        """
        size = len(self.replicas) // 2 + 1
        dead = [replica for replica in self.replicas if replica not in self.living]
        order = random.sample(self.living, len(self.living)) + random.sample(dead, len(dead))
        if with_leader and self.leader in self.living:
            order.remove(self.leader)
            order.insert(0, self.leader)
        self.majority_side = frozenset(order[:size])

    def heal(self) -> None:
        self.majority_side = None
