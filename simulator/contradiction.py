"""The circumstances of contradictory answers: the attempts, their replicas, kills, partitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from simulator.chronicle import Happening
from simulator.client import Request

_MOST_LINES = 24
_MID = re.compile(r"(?<!\w)[0-9a-f]{8}(?!\w)")


def mids_in(text: str) -> list[str]:
    """The MIDs that a text contains, each one once."""
    return list(dict.fromkeys(_MID.findall(text)))


def explain(text: str, history: Sequence[Request], happenings: Sequence[Happening]) -> str:
    """The circumstances of the requests whose MIDs `text`, the words of the checker, contains."""
    named = set(mids_in(text))
    requests = [request for request in history if request.mid in named]
    if not requests:
        return ""
    reasons = [reason for get in requests if (reason := _reason_in(history, get))]
    reasons += [_repetition(request) for request in requests if _may_have_run_twice(request)]
    return "\n".join(["", "What the replicas did:", *timeline(requests, happenings), *reasons])


def _reason_in(history: Sequence[Request], get: Request) -> str:
    """A possible reason for the value of `get`, if a later put had overwritten that value."""
    if get.type != "get" or get.outcome != "ok":
        return ""
    writes = [request for request in history if request.type != "get" and request.key == get.key]
    puts = [write for write in writes if write.type == "put"]
    if len(puts) < len(writes):
        return ""  # Other writes than puts may have changed the value.
    acknowledged = [
        put for put in puts
        if put.outcome == "ok" and put.returned is not None and put.returned < get.invoked
    ]
    source = next((put for put in reversed(acknowledged) if put.value == get.value), None)
    newer = [put for put in acknowledged if source is None or put.invoked > (source.returned or 0)]
    if not newer or any(put.value == get.value for put in newer):
        return ""
    if source is None and any(put.value == get.value for put in puts):
        return ""  # A put that was not acknowledged by then may take effect at any time.
    return reason(get, source, newer[-1])


def _may_have_run_twice(request: Request) -> bool:
    """Whether a replica may have done it twice, and a second time would have changed more."""
    return request.type in ("increment", "append") and _copies(request) > 1


def _repetition(request: Request) -> str:
    name = f"{request.type.capitalize()} {request.mid}"
    return f"{name} was sent {_copies(request)} times: perhaps it was applied twice."


def _copies(request: Request) -> int:
    return sum(attempt.sent for attempt in attempts(request))


def reason(get: Request, source: Request | None, newer: Request) -> str:
    """A possible reason for the value of `source` in `get` although `newer` had overwritten it.

    `source` is `None` for a value that no client has put.
    """
    replica = get.answered_by
    if source is None and get.value:
        return f"Replica {replica} answered get {get.mid} with a value that was never put."
    if source is None:
        return f"Replica {replica} does not have the key, although put {newer.mid} was acknowledged before."
    copies = _copies(source)
    if copies > 1:
        old = "" if newer.answered_by == replica else f" So does an old state of replica {replica}."
        return (
            f"Put {source.mid} was sent {copies} times: "
            f"if it was applied twice, the second time after put {newer.mid}, "
            f"that explains get {get.mid}.{old}"
        )
    if newer.answered_by == replica:
        return f"Replica {replica} acknowledged put {newer.mid} itself, and has lost it since."
    return f"Replica {replica} answered get {get.mid} from an old state, without put {newer.mid}."


def attempts(request: Request) -> list[Request]:
    """The attempts of one operation up to this one, in order."""
    chain = [request]
    while (before := chain[-1].before) is not None:
        chain.append(before)
    return chain[::-1]


def timeline(requests: Iterable[Request], happenings: Iterable[Happening]) -> list[str]:
    """The requests with their earlier attempts, and the events of the cluster between them."""
    all_attempts = {attempt.mid: attempt for request in requests for attempt in attempts(request)}
    shown = [(attempt.invoked, _describe(attempt)) for attempt in all_attempts.values()]
    start = min(attempt.invoked for attempt in all_attempts.values())
    end = max(attempt.returned or attempt.invoked for attempt in all_attempts.values())
    shown += [(one.time, str(one)) for one in happenings if start <= one.time <= end]
    lines = [line for _, line in sorted(shown)]
    left = len(lines) - _MOST_LINES
    return lines[:_MOST_LINES] + ([f"and {left:,} more"] if left > 0 else [])


def _describe(request: Request) -> str:
    again = f", sent {request.sent} times" if request.sent > 1 else ""
    if request.returned is None:
        answer = f"asked {request.target}{again}, no answer"
    else:
        answer = f"{request.outcome} from {request.answered_by} at {request.returned:.3f}{again}"
    return f"[{request.invoked:7.3f}] {request.type} {request.mid}: {answer}"
