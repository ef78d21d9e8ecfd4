"""Our own program, the default replica and the checker: where it is, and how it comes to be."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
_TARGET = REPOSITORY / "target"
_PROGRAM = _TARGET / "release" / "kvstore"
# The directory is named because the environment may name another one.
_BUILD = ["cargo", "build", "--release", "--target-dir", str(_TARGET)]


class BuildError(Exception):
    """Our program could not be built."""


def own_program() -> Path:
    """The release build of kvstore, built first if it is missing or older than its sources."""
    if not _PROGRAM.exists() or _newest_source() > _PROGRAM.stat().st_mtime:
        try:
            subprocess.run(_BUILD, cwd=REPOSITORY, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BuildError(f"kvstore could not be built: {error}") from None
    return _PROGRAM


def _newest_source() -> float:
    return max((path.stat().st_mtime for path in _sources()), default=0.0)


def _sources() -> Iterator[Path]:
    for name in ("Cargo.toml", "Cargo.lock"):
        if (REPOSITORY / name).exists():
            yield REPOSITORY / name
    yield from (path for path in (REPOSITORY / "src").rglob("*") if path.is_file())
