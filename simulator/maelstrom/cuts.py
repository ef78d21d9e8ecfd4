"""Cuts between nodes: for each node, the nodes whose messages do not reach it."""

from __future__ import annotations

import random
from collections.abc import Callable

Deaf = dict[str, set[str]]


def isolate_one(nodes: list[str], rng: random.Random) -> Deaf:
    """One node is alone."""
    return _split(nodes, 1, rng)


def isolate_minority_third(nodes: list[str], rng: random.Random) -> Deaf:
    """Less than a third of the nodes are apart, but at least one."""
    return _split(nodes, max(1, (len(nodes) - 1) // 3), rng)


def split_in_halves(nodes: list[str], rng: random.Random) -> Deaf:
    """A majority on one side, and all others on the other."""
    return _split(nodes, len(nodes) // 2, rng)


def ring_of_majorities(nodes: list[str], rng: random.Random) -> Deaf:
    """Each node hears a majority, itself included: its neighbours on a ring, on both sides."""
    ring = rng.sample(nodes, len(nodes))
    reach = (len(nodes) // 2 + 1) // 2
    deaf = {}
    for place, node in enumerate(ring):
        heard = {ring[(place + step) % len(ring)] for step in range(-reach, reach + 1)}
        deaf[node] = set(nodes) - heard
    return deaf


CUTS: dict[str, Callable[[list[str], random.Random], Deaf]] = {
    "one": isolate_one,
    "minority-third": isolate_minority_third,
    "halves": split_in_halves,
    "majorities-ring": ring_of_majorities,
}


def _split(nodes: list[str], size: int, rng: random.Random) -> Deaf:
    apart = set(rng.sample(nodes, size))
    others = set(nodes) - apart
    return {node: others if node in apart else apart for node in nodes}
