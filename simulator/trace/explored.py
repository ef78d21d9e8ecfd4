"""The trace of a run in virtual time, as far as it can be judged here.

The explorer checks rules about the inside of replicas, of which a trace has only the verdict. The
history of the clients is judged again if the checker knows all of its operations.
"""

from __future__ import annotations

from pathlib import Path

from simulator.checks import Verdict
from simulator.console import Output
from simulator.judge import judge
from simulator.messages import printable
from simulator.trace.evidence import BrokenRecord, Evidence, text_of
from simulator.trace.reader import Reader
from simulator.trace.recorder import ANSWERS

SOURCE = "explore"
_KNOWN = frozenset((*ANSWERS, "put"))


def judged_again(reader: Reader, checker: Path | None, console: Output) -> bool:
    """Tell the verdict of the explorer and that on the history; true if both are good."""
    evidence = Evidence(reader.heading)
    try:
        evidence.take_all(reader)
    except BrokenRecord as error:
        reader.stop(str(error))
    name, seed = (text_of(reader.heading.get(key)) for key in ("scenario", "seed"))
    console.notice(f"{name}: seed {seed}, a trace of {evidence.messages:,} messages in virtual time")
    for happening in evidence.happenings:
        console.notice(str(happening))
    failed = _failed_checks(reader)
    if failed is None:
        console.error(str(reader.damage))
        return False
    for text in failed or ["every rule holds"]:
        console.line(text)
    verdict = _verdict(evidence, checker)
    if verdict is not None and not verdict.linearizable:
        console.line(f"the history is not known to be linearizable: {verdict.explanation}")
    return not failed and (verdict is None or verdict.linearizable is True)


def _failed_checks(reader: Reader) -> list[str] | None:
    """The words about each failed check; `None` if the trace is damaged."""
    if reader.damage is not None or reader.ending is None:
        return None
    try:
        failed = [check for check in reader.ending["checks"] if not check["passed"]]
        return ["\n".join(map(printable, str(check["text"]).split("\n"))) for check in failed]
    except (TypeError, KeyError, RecursionError):
        reader.stop("is no last line")
        return None


def _verdict(evidence: Evidence, checker: Path | None) -> Verdict | None:
    """The verdict on the history; `None` without a checker, or with operations that it lacks."""
    requests = list(evidence.requests.values())
    if checker is None or not requests or not {request.type for request in requests} <= _KNOWN:
        return None
    return judge(checker, requests)
