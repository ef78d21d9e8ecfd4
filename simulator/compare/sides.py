"""The two programs, or sets of options, that are compared."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Side:
    """`program` is `None` for our own program. `options` are those of the replica."""

    name: str  # "A" or "B"
    program: Path | None
    options: tuple[str, ...]

    def __str__(self) -> str:
        program = "our own program" if self.program is None else str(self.program)
        return " ".join(filter(None, [program, shlex.join(self.options)]))
