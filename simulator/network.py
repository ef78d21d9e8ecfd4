"""The decisions of the network: counts, drops, partitions, and the current leader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from simulator.messages import BROADCAST, UNKNOWN_LEADER

# Replicas may name a new leader in each message for a long time.
MOST_LEADERS = 1000
# Reasons why a message is lost, as a trace has them.
CLIENT, DOWN = "client", "down"

# The senders of messages that are lost, and their targets.
Cut = tuple[frozenset[str], frozenset[str]]


class Network:
    """The rules of the network. It moves no bytes, so a test of a rule needs no process."""

    def __init__(
        self,
        replicas: Sequence[str],
        drops: float,
        drop_random: Random,
        client_drops: float,
        client_drop_random: Random,
        duplicates: float = 0.0,
        duplicate_random: Random | None = None,
        corrupt: float = 0.0,
        corrupt_random: Random | None = None,
    ) -> None:
        self.replicas = tuple(replicas)
        self.living = list(replicas)
        self.down: list[str] = []  # killed by a restart, and not connected again yet
        self.lives = dict.fromkeys(replicas, 1)  # that each replica has had
        self.majority_side: frozenset[str] | None = None
        self.cuts: tuple[Cut, ...] = ()
        self.flapping: frozenset[str] = frozenset()  # lose and regain their links
        self.cut_off: frozenset[str] = frozenset()  # those of them that have none now
        self.slowness: dict[str, float] = {}  # seconds more for each message of slow replicas
        self._is_cut: frozenset[tuple[str, str]] = frozenset()
        self.leader = UNKNOWN_LEADER
        self.leaders = [UNKNOWN_LEADER]  # in order, the first `MOST_LEADERS` of them
        self.leader_changes = 0
        self.sent = 0
        self.arrived = dict.fromkeys(replicas, 0)  # that the network passed on to each replica
        self.dropped_by_chance = 0
        self.dropped_by_partition = 0
        self.sent_to_dead = 0
        self.sent_to_down = 0  # by replicas and by clients
        self.client_messages_dropped = 0
        self.duplicated = 0
        self.corrupted = 0
        self.overflowed = 0  # lost because a link of limited bandwidth had too many to send
        self._drops = drops
        self._random = drop_random
        self._client_drops = client_drops
        self._client_random = client_drop_random
        self._duplicates = duplicates
        self._duplicate_random = duplicate_random or Random(0)
        self._corrupt = corrupt
        self._corrupt_random = corrupt_random or Random(0)
        self._others = {r: tuple(o for o in replicas if o != r) for r in replicas}

    def __contains__(self, id: str) -> bool:
        return id in self._others

    @property
    def has_quorum(self) -> bool:
        """Whether a majority of the replicas lives and can communicate all the time."""
        side = frozenset(self.majority_side or self.living) - self.flapping
        return sum(replica in side for replica in self.living) > len(self.replicas) // 2

    def hear(self, sender: str, leader: str) -> None:
        """Follow the leader that `sender` names, unless a partition or a flap cuts `sender` off."""
        if leader != self.leader and sender not in self.cut_off and (
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
        if self._is_cut and (sender, target) in self._is_cut:
            self.dropped_by_partition += 1
            return "partition"
        if self._drops and self._random.random() < self._drops:
            self.dropped_by_chance += 1
            return "chance"
        self.arrived[target] += 1
        return None

    def duplicates(self) -> bool:
        """Whether the next message between replicas that arrives does so twice."""
        twice = self._duplicates > 0 and self._duplicate_random.random() < self._duplicates
        self.duplicated += twice
        return twice

    def damage(self, raw: bytes) -> bytes | None:
        """The next message between replicas that arrives, if it does so with a changed byte."""
        if not self._corrupt or self._corrupt_random.random() >= self._corrupt:
            return None
        self.corrupted += 1
        changed = bytearray(raw)
        changed[self._corrupt_random.randrange(len(raw))] ^= self._corrupt_random.randrange(1, 256)
        return bytes(changed)

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
        self.lives[replica] += 1
        self.down.remove(replica)
        self.living.append(replica)
        self.living.sort()

    def partition(self, random: Random, with_leader: bool) -> None:
        """Put floor(n/2)+1 replicas on one side, the current leader among them if `with_leader`."""
        order = self._order(random)
        if with_leader and self.leader in self.living:
            order.remove(self.leader)
            order.insert(0, self.leader)
        self.split(order[:self._majority])

    def _order(self, random: Random) -> list[str]:
        """All replicas in a random order, the dead ones last.

        So they only fill up a majority when too few live: one that cannot elect a leader would test
        nothing.
        """
        dead = [replica for replica in self.replicas if replica not in self.living]
        return random.sample(self.living, len(self.living)) + random.sample(dead, len(dead))

    @property
    def _majority(self) -> int:
        return len(self.replicas) // 2 + 1

    def split(self, majority: Iterable[str]) -> None:
        """No message passes between `majority` and the other replicas."""
        side = frozenset(majority)
        others = frozenset(self.replicas) - side
        self._cut(side, (side, others), (others, side))

    def split_one_way(self, random: Random) -> None:
        """No message passes from a minority to the other replicas. Theirs arrive there."""
        side = frozenset(self._order(random)[:self._majority])
        self._cut(side, (frozenset(self.replicas) - side, side))

    def bridge(self, random: Random) -> str:
        """Make two halves that hear each other only through one replica, which is returned."""
        order = self._order(random)
        middle = len(order) // 2
        # The dead come last, and the bridge should live.
        bridge = order.pop(0)
        left, right = frozenset(order[:middle]), frozenset(order[middle:])
        self._cut(None, (left, right), (right, left))
        return bridge

    def _cut(self, majority_side: frozenset[str] | None, *cuts: Cut) -> None:
        self.majority_side = majority_side
        self.cuts = cuts
        self._cut_links()

    def flap(self, flapping: Iterable[str], cut_off: Iterable[str]) -> None:
        """Replace the replicas that flap, and those of them that have no link now.

        A partition stays as it is.
        """
        self.flapping, self.cut_off = frozenset(flapping), frozenset(cut_off)
        self._cut_links()

    def all_cuts(self) -> Iterator[Cut]:
        """Those of the partition, and both ways of each replica that a flap cuts off."""
        yield from self.cuts
        for replica in sorted(self.cut_off):
            alone = frozenset((replica,))
            others = frozenset(self._others[replica])
            yield from ((alone, others), (others, alone))

    def _cut_links(self) -> None:
        self._is_cut = frozenset(
            (sender, target)
            for senders, targets in self.all_cuts() for sender in senders for target in targets
        )

    def heal(self) -> None:
        """End the partition and all flaps, and let no replica be slow."""
        self.slowness.clear()
        self.flap((), ())
        self._cut(None)
