"""`run.py new`: the command line."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from simulator.new import steps

DONE, BAD_USAGE = 0, 2
LANGUAGES = ("python",)
_PAGE = steps.MINIMAL.with_name("README.md")


class UsageError(Exception):
    """An argument that cannot be used."""


def main(arguments: list[str]) -> int:
    try:
        chosen = _parse(arguments)
    except SystemExit as end:
        return BAD_USAGE if end.code else DONE
    try:
        program = write(chosen.language, chosen.directory, chosen.step)
    except UsageError as error:
        print(f"run.py new: {error}", file=sys.stderr)
        return BAD_USAGE
    except OSError as error:
        print(f"run.py new: {chosen.directory}: {error.strerror}", file=sys.stderr)
        return BAD_USAGE
    print(f"{program}: a replica that speaks the protocol. Next:")
    print(f"./run.py --replica {shlex.quote(str(program))} {_next_scenario(chosen.step)}")
    return DONE


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py new",
        description="Write a minimal replica, from which docs/tour.md leads to a correct one.",
        epilog="Exit code: 0 written, 2 bad usage, or the directory cannot be written.",
    )
    parser.add_argument("language", metavar="LANGUAGE", help=f"one of: {', '.join(LANGUAGES)}")
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="where it is written; must be new or empty"
    )
    parser.add_argument(
        "--step", type=int, default=0, metavar="N",
        help="write the replica after step N of docs/tour.md; 0, the default, is the minimal one",
    )
    return parser.parse_args(arguments)


def write(language: str, directory: Path, step: int = 0) -> Path:
    """Write the replica and a page about it; returns the path of the program."""
    if language not in LANGUAGES:
        raise UsageError(f"there is no replica in {language!r}; there is one in {', '.join(LANGUAGES)}")
    last = len(steps.steps())
    if not 0 <= step <= last:
        raise UsageError(f"--step {step}: must be a number from 0 to {last}")
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is no directory")
    if directory.is_dir() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty")
    directory.mkdir(parents=True, exist_ok=True)
    program, page = directory / steps.MINIMAL.name, directory / _PAGE.name
    try:
        program.write_text(steps.program(step), encoding="utf-8")
        program.chmod(0o755)
        text = _PAGE.read_text(encoding="utf-8")
        text = text.replace("DIRECTORY/replica.py", shlex.quote(str(program)))
        page.write_text(text, encoding="utf-8", errors="surrogateescape")
    except OSError:
        # A second try finds the directory empty.
        for path in (program, page):
            path.unlink(missing_ok=True)
        raise
    return program


def _next_scenario(step: int) -> str:
    following = steps.steps()[step:]
    return following[0].scenario if following else "all"
