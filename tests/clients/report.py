"""How a script reports its checks to the suite: one line on stdout for each."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

# A phase that writes during a failover goes on until this many writes were acknowledged after it.
WRITES = 100
# Service that is not back after that never comes back.
PATIENCE_S = 60.0


def check(name: str, body: Callable[[], object]) -> None:
    """Runs one check. It fails by an exception, such as an assertion that does not hold."""
    try:
        body()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        fail(name, f"{type(error).__name__}: {error} (line {place.lineno}: {place.line})")
    else:
        say("ok", name)


def eventually(body: Callable[[], object]) -> None:
    """Repeats the body until its assertions hold: the leader may change meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            body()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def fail(name: str, reason: str) -> None:
    say("FAILED", f"{name}: {' '.join(reason.split())}")


def note(text: str) -> None:
    """A fact that no check judges."""
    say("note", text)


def say(word: str, rest: str = "") -> None:
    print(word, rest, flush=True)


def equal(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"{_short(found)} instead of {_short(wanted)}")


def raises(kind: type[Exception], call: Callable[[], object], text: str = "") -> None:
    """The call must raise exactly this class of error, with this text in it."""
    try:
        found = call()
    except Exception as error:
        if type(error) is not kind or text not in str(error):
            raise AssertionError(f"{type(error).__name__}: {error} instead of {kind.__name__}") from error
        return
    raise AssertionError(f"{_short(found)} instead of {kind.__name__}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


@dataclass
class Writer:
    """Writes of one client while the leader is killed: each key once, and a counter."""

    name: str
    set: Callable[[str, str], object]
    get: Callable[[str], object]
    # Without repetitions by the library.
    increment: Callable[[str], object]
    acknowledged: list[int] = field(default_factory=list)
    counted: int = 0
    uncounted: int = 0
    last_at: float = 0.0
    gap_s: float = 0.0

    def step(self, number: int) -> None:
        """One write of a key of its own, and one of the counter."""
        try:
            self.set(f"{self.name}:{number}", f"value {number}")
        except Exception:
            time.sleep(0.01)
        else:
            self.acknowledged.append(number)
            now = time.monotonic()
            self.gap_s = max(self.gap_s, now - self.last_at) if self.last_at else 0.0
            self.last_at = now
        try:
            self.increment(f"{self.name}:count")
        except Exception:
            self.uncounted += 1
        else:
            self.counted += 1

    def judge(self) -> None:
        """All that was acknowledged must be there."""
        lost = [number for number in self.acknowledged if not self._has(number)]
        equal((f"{self.name}: lost", lost), (f"{self.name}: lost", []))
        count = int(str(self.get(f"{self.name}:count")))
        if not self.counted <= count <= self.counted + self.uncounted:
            raise AssertionError(f"count {count}, but {self.counted} + {self.uncounted} unknown increments")

    def _has(self, number: int) -> bool:
        return self.get(f"{self.name}:{number}") == f"value {number}"


def failover(writers: list[Writer]) -> None:
    """Writes by all writers at once, while the suite kills the leader."""
    killed = threading.Event()
    warm = threading.Barrier(len(writers) + 1)
    arguments = [(writer, killed, warm) for writer in writers]
    threads = [threading.Thread(target=_write, args=each, daemon=True) for each in arguments]
    for thread in threads:
        thread.start()
    try:
        warm.wait(PATIENCE_S)
    except threading.BrokenBarrierError:
        fail("writes before the kill", "no service")
        return
    say("ready")
    sys.stdin.readline()
    killed.set()
    for writer, thread in zip(writers, threads, strict=True):
        thread.join(PATIENCE_S)
        name = f"writes through a killed leader, {writer.name}"
        if thread.is_alive():
            fail(name, f"no service for {PATIENCE_S:.0f} s")
            continue
        check(name, writer.judge)
        note(
            f"{writer.name}: {len(writer.acknowledged)} acknowledged, {writer.uncounted} unknown increments, "
            f"{writer.gap_s:.2f} s without service"
        )


def _write(writer: Writer, killed: threading.Event, warm: threading.Barrier) -> None:
    number = 0
    while len(writer.acknowledged) < WRITES:
        writer.step(number)
        number += 1
    warm.wait(PATIENCE_S)
    while not killed.is_set():
        writer.step(number)
        number += 1
    enough = len(writer.acknowledged) + WRITES
    while len(writer.acknowledged) < enough:
        writer.step(number)
        number += 1
