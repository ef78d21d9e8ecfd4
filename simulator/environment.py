"""A faster JSON parser: installed in `.venv` on first use; the program also runs without it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
# It only adds speed: simulator/messages.py falls back on the standard library.
REQUIREMENT = "orjson>=3.8,<4"
_MODULE = "orjson"
_RETRY_SECONDS = 24 * 3600
_NETWORK_SECONDS = 5
_INSTALL_SECONDS = 120


class Unavailable(Exception):
    """The environment cannot be set up, and why."""


def prepare(root: Path = _ROOT) -> None:
    """Make the requirement importable, or say in one line why not, and go on."""
    if _is_importable():
        return
    environment = root / ".venv"
    packages = _packages(environment)
    try:
        if not (packages / _MODULE).is_dir():
            _set_up_once(environment, packages)
        sys.path.append(str(packages))
        importlib.invalidate_caches()
        if not _is_importable():
            raise Unavailable(f"{packages} holds no usable {_MODULE}")
    except Unavailable as reason:
        print(
            f"going on with the standard library alone, which is slower: {reason}", file=sys.stderr
        )


def _is_importable() -> bool:
    return importlib.util.find_spec(_MODULE) is not None


def _packages(environment: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return environment / "lib" / version / "site-packages"


def _set_up_once(environment: Path, packages: Path) -> None:
    """Install under a lock, so that simulators started together install once."""
    try:
        environment.mkdir(exist_ok=True)
        # Creating a virtual environment again empties its directory, so the directory is the lock.
        lock = os.open(environment, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unavailable(f"{environment}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (packages / _MODULE).is_dir():
            _set_up(environment)
    finally:
        os.close(lock)


def _set_up(environment: Path) -> None:
    failure = environment / "failed"
    if failure.exists() and time.time() - failure.stat().st_mtime < _RETRY_SECONDS:
        raise Unavailable(f"{failure.read_text()} (tried again after a day, or without {failure})")
    print(f"setting up {environment} for {REQUIREMENT}", file=sys.stderr)
    python = environment / "bin" / "python"
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(environment)])
        _run([
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--retries", "0", "--timeout", str(_NETWORK_SECONDS), REQUIREMENT,
        ])
    except Unavailable as reason:
        with contextlib.suppress(OSError):
            failure.write_text(str(reason))
        raise


def _run(command: list[str]) -> None:
    name = " ".join(command[1:3])
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or ["nothing said"]
        raise Unavailable(f"{name} failed: {said[-1]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{name} failed: {error}") from None
