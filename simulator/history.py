"""The history file: one JSON line per request as sent, in the order of sending.

Beside the fields of all requests, a line has those of its operation: `from` and `to`, or `by`. The
answer to a compare-and-set or delete is in `done`, that to an increment or append in `result`.

An attempt that repeats a declined one names it in `retry_of`: once the attempt is acknowledged, the
declined one can have no effect. The field is absent while another replica may still hold a copy of
the declined attempt.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulator.client import Request

# The field with the answer to an operation beside get and put.
_ANSWERS = {"cas": "done", "delete": "done", "increment": "result", "append": "result"}


def write(path: Path, requests: list[Request]) -> None:
    with path.open("w") as file:
        for request in requests:
            line: dict[str, Any] = {
                "id": request.mid,
                "client": request.client,
                "type": request.type,
                "key": request.key,
                "value": request.value,
                "invoked": request.invoked,
                "returned": request.returned,
                "outcome": request.outcome,
                "replica": request.answered_by,
            }
            line |= request.call.arguments
            if request.outcome == "ok" and request.type in _ANSWERS:
                line[_ANSWERS[request.type]] = request.answer
            if request.retry_of is not None:
                line["retry_of"] = request.retry_of
            file.write(json.dumps(line) + "\n")


def path_for(path: Path, scenario: str) -> Path:
    """The file for the history of one scenario of many: `path` with its name before the suffix."""
    return path.with_name(f"{path.stem}-{scenario}{path.suffix}")
