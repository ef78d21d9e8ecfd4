"""Why a replica did not join: tries whether it joins in another dialect."""

from __future__ import annotations

import selectors
import time
from collections.abc import Mapping, Sequence

from simulator.replica import Replica
from simulator.transport import TRANSPORTS, Transport
from simulator.workspace import private_directory

_GRACE_SECONDS = 1.0


class _Trial:
    """The listener of one replica, which notes only whether the replica joins."""

    def __init__(self) -> None:
        self.has_joined = False

    def joined(self, replica: str) -> None:
        self.has_joined = True

    def received(self, replica: str, raw: bytes) -> None:
        pass

    def left(self, replica: str) -> None:
        pass

    def congested(self, replica: str) -> None:
        pass

    def passed(self, replica: str, messages: int) -> None:
        pass

    def stray(self, raw: bytes, reason: str) -> None:
        pass


def dialect_of(
    command: Sequence[str], replicas: Sequence[str], tried: str, environment: Mapping[str, str],
    join_seconds: float,
) -> str | None:
    """The dialect, other than `tried`, in which `command` joins as the first replica."""
    for name, transport in TRANSPORTS.items():
        if name != tried and _joins(command, replicas, transport, environment, join_seconds):
            return name
    return None


def _joins(
    command: Sequence[str], replicas: Sequence[str], dialect: type[Transport],
    environment: Mapping[str, str], join_seconds: float,
) -> bool:
    with selectors.EpollSelector() as selector, private_directory() as directory:
        trial = _Trial()
        transport = dialect(directory, replicas, selector, trial)
        arguments = [*command, *transport.arguments(replicas[0])]
        replica = Replica(replicas[0], arguments, directory, selector, None, environment)
        deadline = time.monotonic() + join_seconds
        try:
            while not (trial.has_joined or replica.has_exited() or time.monotonic() >= deadline):
                for key, ready in selector.select(0.01):
                    key.data(ready)
        finally:
            transport.close_all()
            replica.terminate()
            if not replica.has_exited(within=_GRACE_SECONDS):
                replica.kill()
                replica.has_exited(within=_GRACE_SECONDS)
        return trial.has_joined
