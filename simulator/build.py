"""Our own programs: finds them, or builds them. One is the default replica and the checker."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_TARGET = REPOSITORY / "target"
_PROGRAM = _TARGET / "release" / "kvstore"


class BuildError(Exception):
    """One of our programs could not be built."""


def own_program() -> Path:
    """The release build of kvstore, built first if it is missing or older than its sources."""
    return _built(_PROGRAM)


def explorer() -> Path:
    """The release build of the explorer, as `own_program`."""
    return _built(_PROGRAM.with_name("explore"))


def _built(program: Path) -> Path:
    name = program.name
    # cargo gets the directory on its command line, because the environment may name another one.
    command = ["cargo", "build", "--release", "--bin", name, "--target-dir", str(_TARGET)]
    if not program.exists() or _newest_source() > program.stat().st_mtime:
        # A replica in another language needs it, too: it judges the histories.
        print(f"building {name}, once for all runs: some minutes", file=sys.stderr, flush=True)
        try:
            subprocess.run(command, cwd=REPOSITORY, check=True)
        except FileNotFoundError:
            raise BuildError(
                f"{name} could not be built: there is no cargo; Rust {_needed()} or newer has one"
            ) from None
        except (OSError, subprocess.CalledProcessError) as error:
            raise BuildError(f"{name} could not be built: {_too_old() or error}") from None
    return program


def _needed() -> str:
    """The oldest version of Rust that can build kvstore, as Cargo.toml says."""
    manifest = (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^rust-version = "([\d.]+)"', manifest, re.M)
    if found is None:
        raise BuildError("Cargo.toml does not say which version of Rust it needs")
    return found[1]


def _too_old() -> str | None:
    """The complaint about an old cargo, which itself may fail before it can name the version."""
    try:
        said = subprocess.run(["cargo", "--version"], capture_output=True, check=False, text=True).stdout
    except OSError:
        return None
    found = re.match(r"cargo ([\d.]+)", said)
    if found is None or _numbers(found[1]) >= _numbers(_needed()):
        return None
    return f"cargo {found[1]} is too old, {_needed()} or newer is needed"


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.strip(".").split(".")]


def _newest_source() -> float:
    return max((path.stat().st_mtime for path in _sources()), default=0.0)


def _sources() -> Iterator[Path]:
    for name in ("Cargo.toml", "Cargo.lock"):
        if (REPOSITORY / name).exists():
            yield REPOSITORY / name
    for name in ("src", "crates"):
        yield from (path for path in (REPOSITORY / name).rglob("*") if path.is_file())
