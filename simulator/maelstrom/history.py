"""Operations as the lines of a history, in the format of our checker (`kvstore check --help`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.maelstrom.clients import ABSENT, DIFFERS, FAIL, OK, UNKNOWN, Operation


def write(path: Path, operations: list[Operation]) -> None:
    with path.open("w") as file:
        for line in lines(operations):
            file.write(json.dumps(line) + "\n")


def lines(operations: list[Operation]) -> Iterator[dict[str, Any]]:
    """One object for each operation that says something.

    An operation that failed for good is as good as not sent, and an unanswered read says nothing.
    """
    for operation in operations:
        result = _result(operation)
        if result is not None:
            yield {
                "id": f"{operation.client}-{operation.msg_id}",
                "client": operation.client,
                "key": json.dumps(operation.body["key"]),
                "invoked": operation.invoked,
                "returned": None if operation.outcome == UNKNOWN else operation.returned,
                "outcome": UNKNOWN if operation.outcome == UNKNOWN else OK,
            } | result


def _result(operation: Operation) -> dict[str, Any] | None:
    body = operation.body
    if operation.outcome == FAIL:
        if operation.code == ABSENT and operation.kind != "write":
            # A compare-and-set that found no key has seen no more than a read has.
            return {"type": "get", "value": "", "exists": False}
        if operation.code == DIFFERS and operation.kind == "cas":
            return _cas(body) | {"done": False}
        return None
    if operation.kind == "write":
        return {"type": "put", "value": json.dumps(body["value"])}
    if operation.kind == "cas":
        return _cas(body) | ({"done": True} if operation.outcome == OK else {})
    if operation.outcome == UNKNOWN:
        return None
    # A null stands for an absent key, and nothing writes one.
    exists = operation.value is not None
    return {"type": "get", "value": json.dumps(operation.value) if exists else "", "exists": exists}


def _cas(body: dict[str, Any]) -> dict[str, Any]:
    cas = {"type": "cas", "from": json.dumps(body["from"]), "to": json.dumps(body["to"])}
    return cas | ({"create": True} if body.get("create_if_not_exists") else {})
