#!/usr/bin/env python3
"""A node of Maelstrom whose first argument says how it behaves.

The node `n1` of a correct cluster holds all keys, and the others send it what they are asked.
"""

import json
import sys
import time
from typing import Any

BEHAVIOUR = sys.argv[1]
values: dict[str, Any] = {}
own = ""


def send(src: str, dest: str, body: dict[str, Any]) -> None:
    print(json.dumps({"src": src, "dest": dest, "body": body}), flush=True)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    key, kind = json.dumps(request["key"]), request["type"]
    if kind == "write":
        values[key] = request["value"]
        return {"type": "write_ok"}
    found = values.get(key)
    if kind == "cas" and (found == request["from"] or (found is None and request.get("create_if_not_exists"))):
        values[key] = request["to"]
        return {"type": "cas_ok"}
    if found is None:
        return {"type": "error", "code": 20, "text": "no such key"}
    if kind == "cas":
        return {"type": "error", "code": 22, "text": "another value"}
    return {"type": "read_ok", "value": found}


def spoil(reply: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """What the behaviour makes of a reply."""
    if BEHAVIOUR == "wrong_type":
        return {"type": "add_ok", "in_reply_to": reply["in_reply_to"]}
    if BEHAVIOUR == "extra_key":
        return reply | {"more": 1}
    if BEHAVIOUR == "no_code":
        return {"type": "error", "in_reply_to": reply["in_reply_to"]}
    if BEHAVIOUR == "invents":
        return reply | {"in_reply_to": -1}
    if BEHAVIOUR == "denies" and request["type"] == "write":
        return {"type": "error", "in_reply_to": reply["in_reply_to"], "code": 11, "text": "not now"}
    if BEHAVIOUR == "unavailable":
        return {"type": "error", "in_reply_to": reply["in_reply_to"], "code": 11, "text": "not now"}
    return reply


def handle(client: str, request: dict[str, Any]) -> None:
    if BEHAVIOUR == "quits":
        print("no more", file=sys.stderr)
        sys.exit(3)
    if BEHAVIOUR == "babbles":
        print("hello\x1b[2J", flush=True)
    if BEHAVIOUR == "forges":
        send("n999", client, {"type": "write_ok", "in_reply_to": request["msg_id"]})
    if BEHAVIOUR == "stranger":
        send(own, "n999", {"type": "hello"})
    if BEHAVIOUR == "shouts":
        print("x" * (2 << 20), end="", flush=True)
    reply = answer(request) | {"in_reply_to": request["msg_id"]}
    send(own, client, spoil(reply, request))


for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    if body["type"] == "init":
        own = body["node_id"]
        print("arguments", sys.argv[1:], file=sys.stderr, flush=True)
        if BEHAVIOUR == "silent":
            time.sleep(1_000)
        kind = "hello" if BEHAVIOUR == "wrong_init" else "init_ok"
        send(own, message["src"], {"type": kind, "in_reply_to": body["msg_id"]})
    elif body["type"] == "forward":
        handle(body["client"], body["request"])
    elif own == "n1" or BEHAVIOUR == "own_memory":
        handle(message["src"], body)
    else:
        send(own, "n1", {"type": "forward", "client": message["src"], "request": body})
