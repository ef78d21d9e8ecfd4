"""The pinned libraries, installed under target/ once for each set of versions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
_TARGET = REPOSITORY / "target" / "clients"

PYTHON = {"redis": "8.1.0", "django": "5.2.19"}
# connect-redis 10 needs Node.js 22; Debian has 20.
JAVASCRIPT = {
    "ioredis": "6.0.0",
    "redis": "6.3.1",
    "connect-redis": "9.0.0",
    "express-session": "1.19.0",
}


class MissingError(Exception):
    """The libraries of a language cannot be installed here."""


def python() -> Path:
    """The interpreter of an environment with the libraries for Python."""

    def install(directory: Path) -> None:
        _run([sys.executable, "-m", "venv", str(directory)])
        pins = [f"{name}=={version}" for name, version in PYTHON.items()]
        _run([str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *pins])

    return _installed("python", PYTHON, install) / "bin" / "python"


def javascript() -> Path:
    """A directory with the libraries for Node.js, and the scripts, which look for them beside
    themselves."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise MissingError(f"{program} is not installed")

    def install(directory: Path) -> None:
        directory.mkdir(parents=True)
        content = {"private": True, "dependencies": JAVASCRIPT}
        (directory / "package.json").write_text(json.dumps(content))
        quiet = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
        _run(["npm", "install", "--prefix", str(directory), *quiet])

    directory = _installed("javascript", JAVASCRIPT, install)
    for script in Path(__file__).parent.glob("*.mjs"):
        shutil.copy(script, directory)
    return directory


def _installed(kind: str, versions: dict[str, str], install: Callable[[Path], None]) -> Path:
    """The directory of these versions. A directory of an interrupted installation is no use."""
    directory = _TARGET / "-".join([kind, *(f"{name}-{version}" for name, version in versions.items())])
    complete = directory / "complete"
    if not complete.exists():
        shutil.rmtree(directory, ignore_errors=True)
        install(directory)
        complete.touch()
    return directory


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(str(error)) from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise MissingError(f"{command[0]} failed: {lines[-1]}")
