"""Partitions as sets of cut ways, and the rules of nftables that cut them.

A way leads from one host to another one; the way back is another way. Replicas have the numbers
from 1, and 0 is the host of the clients.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

CLIENTS = 0

Way = tuple[int, int]
Ways = frozenset[Way]
NONE: Ways = frozenset()


def between(one: Iterable[int], other: Iterable[int]) -> Ways:
    """All ways between two groups, in both directions."""
    others = list(other)
    return frozenset(way for a in one for b in others for way in ((a, b), (b, a)))


def halves(replicas: list[int], random_: random.Random) -> Ways:
    """A minority that is drawn, and the majority."""
    size = random_.randint(1, (len(replicas) - 1) // 2)
    minority = random_.sample(replicas, size)
    return between(minority, _without(replicas, minority))


def alone(replica: int, replicas: list[int]) -> Ways:
    """One replica hears no other one, and no other one hears it. Clients reach all."""
    return between([replica], _without(replicas, [replica]))


def isolated(replica: int, replicas: list[int]) -> Ways:
    """The same, and its clients are cut off, too."""
    return between([replica], [CLIENTS, *_without(replicas, [replica])])


def mute(replica: int, replicas: list[int]) -> Ways:
    """One replica hears all others, and none hears it."""
    return frozenset((replica, other) for other in _without(replicas, [replica]))


def deaf(replica: int, replicas: list[int]) -> Ways:
    """One replica hears none of the others, and all hear it."""
    return frozenset((other, replica) for other in _without(replicas, [replica]))


def bridge(replicas: list[int], random_: random.Random) -> Ways:
    """Two groups that only one replica connects. With three replicas two of them are cut apart."""
    mixed = random_.sample(replicas, len(replicas))
    middle = len(mixed) // 2
    return between(mixed[:middle], mixed[middle + 1 :])


def _without(replicas: list[int], some: list[int]) -> list[int]:
    return [replica for replica in replicas if replica not in some]


def ruleset(host: int, cut: Ways, loss_percent: int, address: Callable[[int], str], hosts: int) -> str:
    """The input of `nft -f` for one host. It replaces all earlier rules at once. Packets are
    dropped where they arrive, so each way has one place. Packets of clients are never lost at
    random."""
    cut_off = sorted(source for source, target in cut if target == host)
    drops = [f"ip saddr {address(source)} drop" for source in cut_off]
    lossy = [source for source in range(1, hosts) if source != host and source not in cut_off]
    if loss_percent and host != CLIENTS:
        rule = f"numgen random mod 100 < {loss_percent} drop"
        drops += [f"ip saddr {address(source)} {rule}" for source in lossy]
    lines = [
        "table ip faults",
        "delete table ip faults",
        "table ip faults {",
        " chain arriving {",
        "  type filter hook input priority 0; policy accept;",
        *(f"  {drop}" for drop in drops),
        " }",
        "}",
    ]
    return "\n".join(lines) + "\n"
