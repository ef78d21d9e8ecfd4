"""Gives the history of a run to a checker, which decides whether it is linearizable."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from simulator import contradiction, history, signals
from simulator.checks import Verdict
from simulator.client import Request
from simulator.console import Output
from simulator.messages import printable
from simulator.result import Result
from simulator.workspace import private_directory

_LINEARIZABLE, _NOT_LINEARIZABLE, _UNDECIDED = 0, 1, 3


def judged(result: Result, checker: Path, console: Output) -> Result:
    """The result with the verdict of `checker` on its history, of which the console tells."""
    verdict = judge(checker, result.history)
    if verdict.linearizable is None:
        console.error(f"the history could not be checked: {verdict.explanation}")
        # The console has shown it already, among the errors.
        verdict = replace(verdict, explanation="")
    elif verdict.linearizable:
        name, requests = result.scenario.name, len(result.history)
        console.notice(f"{name}: the history of {requests} requests is linearizable")
    else:
        surroundings = contradiction.explain(verdict.explanation, result.history, result.happenings)
        verdict = replace(verdict, explanation=f"{verdict.explanation}\n{_shown(surroundings)}".rstrip())
    return replace(result, verdict=verdict)


def judge(checker: Path, requests: list[Request]) -> Verdict:
    """Run `checker` on the history; if it does not answer, the verdict says why it is missing."""
    try:
        with private_directory() as directory:
            path = directory / "history.jsonl"
            history.write(path, requests)
            return judge_file(checker, path)
    except OSError as error:
        return Verdict(None, f"it could not be written down: {error.strerror}")


def judge_file(checker: Path, path: Path) -> Verdict:
    """Run `checker` on a history file; without an answer, the verdict says why it is missing."""
    try:
        done = subprocess.run(
            [str(checker), "check", str(path)], stdin=subprocess.DEVNULL,
            capture_output=True, check=False, encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        return Verdict(None, f"cannot run {checker}: {error.strerror}")
    if done.returncode == _LINEARIZABLE:
        return Verdict(True)
    if done.returncode == _NOT_LINEARIZABLE:
        return Verdict(False, _shown(done.stdout))
    if done.returncode == _UNDECIDED:
        return Verdict(None, _last_line(done.stdout))
    return Verdict(None, f"{checker} {_end(done.returncode)}: {_last_line(done.stderr)}")


def _shown(text: str) -> str:
    """Text with the names and values of a history, made safe for a terminal line by line."""
    return "\n".join(printable(line) for line in text.rstrip().split("\n"))


def _end(code: int) -> str:
    return f"was ended by {signals.name_of(-code)}" if code < 0 else f"quit with exit code {code}"


def _last_line(text: str) -> str:
    return printable((text.strip().splitlines() or ["it printed nothing"])[-1])
