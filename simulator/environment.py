"""Two libraries that are installed in `.venv` on first use; the program also runs without them."""

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
# The modules, and what pip installs for them. orjson adds speed: simulator/messages.py falls back
# on the standard library. rich draws the live view; without it there is a line.
REQUIREMENTS = {"orjson": "orjson>=3.8,<4", "rich": "rich>=12,<16"}
_RETRY_SECONDS = 24 * 3600
_NETWORK_SECONDS = 5
_INSTALL_SECONDS = 120


class Unavailable(Exception):
    """The environment cannot be set up, and why."""


def prepare(root: Path = _ROOT) -> None:
    """Make the libraries importable, or say in one line why not, and go on."""
    missing = [module for module in REQUIREMENTS if not _is_importable(module)]
    if not missing:
        return
    environment = root / ".venv"
    packages = _packages(environment)
    try:
        if not _holds(packages, missing):
            _set_up_once(environment, packages, missing)
        sys.path.append(str(packages))
        importlib.invalidate_caches()
        for module in missing:
            if not _is_importable(module):
                raise Unavailable(f"{packages} holds no usable {module}")
    except Unavailable as reason:
        print(
            f"going on without {' and '.join(missing)}, slower or plainer: {reason}", file=sys.stderr
        )


def _is_importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _holds(packages: Path, modules: list[str]) -> bool:
    return all((packages / module).is_dir() for module in modules)


def _packages(environment: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return environment / "lib" / version / "site-packages"


def _set_up_once(environment: Path, packages: Path, missing: list[str]) -> None:
    """Install under a lock, so that simulators started together install once."""
    try:
        environment.mkdir(exist_ok=True)
        # Creating a virtual environment again empties its directory, so the directory is the lock.
        lock = os.open(environment, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unavailable(f"{environment}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _holds(packages, missing):
            _set_up(environment, [REQUIREMENTS[module] for module in missing])
    finally:
        os.close(lock)


def _set_up(environment: Path, requirements: list[str]) -> None:
    failure = environment / "failed"
    if failure.exists() and time.time() - failure.stat().st_mtime < _RETRY_SECONDS:
        raise Unavailable(f"{failure.read_text()} (tried again after a day, or without {failure})")
    print(f"setting up {environment} for {' and '.join(requirements)}", file=sys.stderr)
    python = environment / "bin" / "python"
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(environment)])
        _run([
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--retries", "0", "--timeout", str(_NETWORK_SECONDS), *requirements,
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
