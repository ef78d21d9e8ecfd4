"""The history file: one JSON line per request as sent, in the order of sending."""

from __future__ import annotations

import json
from pathlib import Path

from simulator.clients import Request


def write(path: Path, requests: list[Request]) -> None:
    with path.open("w") as file:
        for request in requests:
            line = {
                "id": request.mid,
                "client": request.client,
                "type": request.type,
                "key": request.key,
                "value": request.value,
                "invoked": request.invoked,
                "returned": request.returned,
                "outcome": request.outcome,
            }
            file.write(json.dumps(line) + "\n")


def path_for(path: Path, scenario: str) -> Path:
    """Where the history of one scenario of many goes: its name comes before the suffix."""
    return path.with_name(f"{path.stem}-{scenario}{path.suffix}")
