"""One script of one library in one phase: starts it, passes its lines on, and counts them."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# A phase that takes longer hangs.
_PATIENCE_S = 180.0
_TESTS = Path(__file__).resolve().parent.parent


@dataclass
class Score:
    """The checks of a run so far."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def record(self, library: str, word: str, text: str) -> None:
        """Prints the line of a check, and counts it."""
        print(f"{word:7} {library}: {text}", flush=True)
        self.passed += word == "ok"
        self.failed += word == "FAILED"
        self.skipped += word == "skipped"


@dataclass(frozen=True)
class Script:
    """The script of a library, and the command that runs it."""

    library: str
    command: tuple[str, ...]

    def run(self, score: Score, phase: str, addresses: list[str], when_ready: Callable[[], None]) -> None:
        """Runs one phase. `when_ready` is called once the script says that it is ready."""
        environment = os.environ | {"PYTHONPATH": str(_TESTS), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [*self.command, phase, *addresses],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        guard = threading.Timer(_PATIENCE_S, process.kill)
        guard.start()
        others = []
        assert process.stdin and process.stdout
        with process:
            for line in process.stdout:
                word, _, text = line.rstrip().partition(" ")
                if word == "ready":
                    when_ready()
                    self._tell(process)
                elif word in ("ok", "FAILED", "note"):
                    score.record(self.library, word, text)
                else:
                    others.append(line.rstrip())
        guard.cancel()
        if process.returncode != 0:
            last = " | ".join(others[-30:])
            score.record(self.library, "FAILED", f"{phase} ended with {process.returncode}: {last}")

    @staticmethod
    def _tell(process: subprocess.Popen[str]) -> None:
        assert process.stdin
        try:
            process.stdin.write("killed\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # Its exit code tells why.
