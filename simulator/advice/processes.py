"""Processes and their bytes: replicas that do not join or die, and broken messages."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.advice.finding import Advice, Tally, at
from simulator.advice.rule import Rule
from simulator.advice.scene import Scene
from simulator.messages import excerpt

_LONGEST_LINE_BYTES = 90
_LAST_LINES = 5
_NOT_JOINED = re.compile("did not join within")
# The last words of programs that could not connect, in several languages and systems.
_NO_SOCKET = re.compile("no such file|not ?found|refused|ENOENT|cannot connect", re.I)
_WRONG_KIND_OF_SOCKET = re.compile("wrong type for socket|EPROTOTYPE", re.I)
_FLOOD = re.compile(r"replica ([0-9A-F]{4}) printed ([\d,]+) lines; ")
_MALFORMED = re.compile(r"malformed message: (?:from replica ([0-9A-F]{4}): )?([^:]*)")
_MOST_KINDS = 100


class Deaths(Rule):
    """A replica does not join, or its process ends by itself."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._ends: list[tuple[float, str, str]] = []
        self._errors: dict[str, deque[str]] = {}
        self._never_started: set[str] = set()

    def printed(self, time: float, replica: str, stream: str, text: str) -> None:
        if stream == "err" and replica in self.scene.replicas and text.strip():
            self._errors.setdefault(replica, deque(maxlen=_LAST_LINES)).append(text)

    def event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "end" and len(self._ends) < len(self.scene.replicas):
            self._ends.append((time, str(fields["replica"]), str(fields["text"])))

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        if " did not start: it " in text and replicas:
            self._ends.append((time, replicas[0], text.partition(" did not start: it ")[2]))
            self._never_started.add(replicas[0])

    def advice(self) -> Iterable[Advice]:
        late = [end for end in self._ends if _NOT_JOINED.search(end[2])]
        if late:
            ids = tuple(replica for _, replica, _ in late)
            yield Advice(
                "not-joined",
                f"{', '.join(ids)} never joined: connect to the socket ./ID in the working directory, or, "
                "with --transport udp, send a hello to the port at once; ./run.py lint tells more",
                None, (), ids,
            )
        died = [end for end in self._ends if end not in late]
        if died:
            time, replica, text = died[0]
            how = text.partition(", last lines")[0].partition(", nothing")[0]
            yield Advice(
                "died",
                f"{replica} {how} at {at(time)}{_others(len(died))}: {self._last_words(replica, text)}"
                f"{self._hint(replica, text)}",
                time, (), tuple(dict.fromkeys(replica for _, replica, _ in died)),
            )

    def _last_line(self, replica: str, text: str) -> str:
        told = [line.strip() for line in text.split("\n")[1:] if line.strip()]
        said = told or list(self._errors.get(replica, ()))
        return said[-1].strip() if said else ""

    def _last_words(self, replica: str, text: str) -> str:
        line = self._last_line(replica, text)
        if not line:
            return "nothing on stderr"
        return f"its last line on stderr is {excerpt(line.encode(errors='replace'), _LONGEST_LINE_BYTES)}"

    def _hint(self, replica: str, text: str) -> str:
        """What a replica that did not start may have done wrong as it connected."""
        line = self._last_line(replica, text)
        if replica not in self._never_started:
            return ""
        if _WRONG_KIND_OF_SOCKET.search(line):
            return f"; the socket ./{replica} is a SOCK_SEQPACKET, or with --transport stream a SOCK_STREAM"
        if _NO_SOCKET.search(line):
            return f"; a replica connects to the socket ./{replica} in its working directory"
        return ""


def _others(count: int) -> str:
    return "" if count == 1 else f", as {count - 1} more did"


class BrokenMessages(Rule):
    """A message breaks a rule of the protocol, so that the simulator drops it."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], float] = {}

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        found = _MALFORMED.match(text)
        if found is None:
            return
        kind = (found[1] or (replicas[0] if replicas else ""), found[2].strip())
        if kind in self._first or len(self._first) < _MOST_KINDS:
            self._first.setdefault(kind, time)
            self._counts[kind] += 1

    def advice(self) -> Iterable[Advice]:
        for (replica, rule), count in self._counts.most_common(1):
            time = self._first[replica, rule]
            sender = f"{replica} sent" if replica else "a replica sent"
            is_too_long = rule.startswith("longer than")
            advice = "send fewer entries at once" if is_too_long else "see docs/replica-protocol.md"
            more = "" if count == 1 else f" (one of {count:,})"
            yield Advice(
                "too-long" if is_too_long else "malformed",
                f"{sender} a message at {at(time)}{more} that breaks the protocol: {rule}; {advice}",
                time, (), (replica,) if replica else (),
            )


class StrayMessages(Rule):
    """A replica sends to an unknown destination, or answers a request that it made up."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._found: Tally[tuple[float, str, str]] = Tally()

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        if text.startswith(("unknown destination: ", "unexpected MID: ")):
            self._found.add((time, text, replicas[0] if replicas else ""))

    def advice(self) -> Iterable[Advice]:
        if not self._found:
            return
        time, text, replica = self._found.first()
        shown = excerpt(text.encode(errors="replace"), _LONGEST_LINE_BYTES)
        yield Advice(
            "stray",
            f"{shown} at {at(time)}{self._found.more}: answer to the src of a request, with its very MID",
            time, (), (replica,) if replica else (),
        )


class Deaf(Rule):
    """A replica does not read its messages in time."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._deaf: dict[str, str] = {}

    def fault(self, time: float, text: str, replicas: tuple[str, ...]) -> None:
        if replicas and ("did not read:" in text or "reads too slowly" in text):
            self._deaf.setdefault(replicas[0], text)

    def advice(self) -> Iterable[Advice]:
        for replica, text in list(self._deaf.items())[:1]:
            yield Advice(
                "deaf",
                f"{excerpt(text.encode(errors='replace'), _LONGEST_LINE_BYTES)}: read all that waits before "
                "anything else, and never block on a send",
                None, (), (replica,),
            )


class Flood(Rule):
    """A replica prints more lines than the simulator keeps."""

    is_manner = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._lines: dict[str, str] = {}

    def event(self, time: float, kind: str, fields: Mapping[str, Any]) -> None:
        found = _FLOOD.match(str(fields.get("text"))) if kind == "note" else None
        if found is not None:
            self._lines.setdefault(found[1], found[2])

    def advice(self) -> Iterable[Advice]:
        for replica, lines in list(self._lines.items())[:1]:
            others = _others(len(self._lines)).replace(" did", " printed a flood, too")
            yield Advice(
                "flood",
                f"{replica} printed {lines} lines{others}: print changes, not each turn of a loop, because "
                "output slows the replica down and hides its mistakes",
                None, (), tuple(self._lines),
            )
