"""Arguments that a run and the replay of a trace share: the judge, and files with the results."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add `--no-check`, `--checker`, `--json` and `--history`."""
    parser.add_argument(
        "--no-check", dest="check", action="store_false",
        help="do not check whether the history of the run is linearizable",
    )
    parser.add_argument(
        "--checker", type=Path, metavar="PATH",
        help="the program that checks it, called as PATH check HISTORY (default: our own)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything about the run")
    parser.add_argument(
        "--history", type=Path, metavar="FILE", help="write one JSON line per client request"
    )
