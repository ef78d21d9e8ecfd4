"""The commands beside a run: `run.py NAME ...`, each in a package of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path

from simulator.config.section import nearest

# The module of each command, whose `main` takes the arguments after the name and returns the exit
# code. Only the chosen one is imported.
COMMANDS = {
    "compare": "simulator.compare.cli",
    "lint": "simulator.lint.cli",
    "maelstrom": "simulator.maelstrom.cli",
    "merge": "simulator.campaign.merge",
    "new": "simulator.new.cli",
    "replay": "simulator.trace.cli",
    "sweep": "simulator.campaign.sweep",
}


def unknown(name: str, scenarios: Iterable[Path]) -> str | None:
    """The complaint about a word that is no command; `None` for a path, which may be a scenario."""
    if Path(name).suffix or "/" in name or Path(name).exists():
        return None
    stems = {path.stem: str(path) for path in scenarios}
    known = (*COMMANDS, "all", *stems)
    hint = f"; did you mean {stems[name]}?" if name in stems else nearest(name, known)
    return f"{name}: neither a configuration file nor a command; commands are {', '.join(COMMANDS)}{hint}"


def find(arguments: list[str]) -> Callable[[list[str]], int] | None:
    """The `main` of the command that the first argument names; `None` for a run."""
    module = COMMANDS.get(arguments[0]) if arguments else None
    if module is None:
        return None
    main: Callable[[list[str]], int] = importlib.import_module(module).main
    return main
