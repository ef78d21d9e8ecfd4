#!/usr/bin/env python3
"""A replica with bad manners, which $MANNERS names, separated by commas. Otherwise it looks sound.

`twice`: it answers puts twice. `mangles`: it answers gets with other characters. `chatters`: it
sends messages without end. `shouts`: its lines of output have no end. `lower`: it writes IDs in
lower case. `long`: one message is too long. `faints`: it dies of a message of an unknown type.
`clings`: it ignores SIGTERM and the end of the socket.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import Any

from endpoint import Endpoint
from unsafe_replica import Replica

MANNERS = os.environ.get("MANNERS", "").split(",")
TOO_LONG = 20_000


class IllMannered(Replica):
    def send(self, destination: str, type: str, **fields: Any) -> None:
        if "lower" in MANNERS:
            destination = destination.lower()
        if "mangles" in MANNERS and "value" in fields and type == "ok":
            fields["value"] = fields["value"].encode("ascii", "replace").decode()
        super().send(destination, type, **fields)
        if "twice" in MANNERS and type == "ok" and "value" not in fields:
            super().send(destination, type, **fields)

    def beat(self) -> None:
        super().beat()
        if "shouts" in MANNERS:
            print("a line\n" * 6000, flush=True)
        if "chatters" in MANNERS:
            for _ in range(500):
                self.send("FFFF", "chatter")
        if "long" in MANNERS:
            self.send("FFFF", "alive", filling="x" * TOO_LONG)
            MANNERS.remove("long")

    def take(self, message: dict[str, Any]) -> None:
        if "faints" in MANNERS and message["type"] == "no-such-type":
            sys.exit("what is that?")
        super().take(message)


def main() -> None:
    if "clings" in MANNERS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(EOFError):
        IllMannered(Endpoint(sys.argv[1:])).run()
    while "clings" in MANNERS:
        time.sleep(1)


main()
