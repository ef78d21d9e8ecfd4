"""Messages on the wire: identifiers, and the one place that turns bytes into a message."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

UNKNOWN_LEADER = "FFFF"
BROADCAST = "FFFF"
HELLO = "hello"
RESPONSES = frozenset({"ok", "fail", "redirect"})

_is_id = re.compile(r"[0-9A-F]{4}").fullmatch


def identifier(number: int) -> str:
    return f"{number:04X}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number


def _standard_decode(raw: bytes) -> Any:
    # json.loads would also accept bytes in UTF-16 or UTF-32.
    return json.loads(raw.decode(), parse_constant=_refuse_constant, parse_float=_finite)


def _standard_encode(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


decode: Callable[[bytes], Any]
encode: Callable[[Any], bytes]
try:
    import orjson  # type: ignore[import-not-found, unused-ignore]

    decode, encode = orjson.loads, orjson.dumps
except ImportError:
    decode, encode = _standard_decode, _standard_encode


def decode_any(raw: bytes) -> Any:
    """Any JSON, also a lone surrogate, which orjson refuses."""
    try:
        return decode(raw)
    except ValueError:
        return _standard_decode(raw)


class Malformed(ValueError):
    """A message that breaks the protocol, and the broken rule."""


def parse(raw: bytes) -> dict[str, Any]:
    """The message in `raw`, with its four common fields checked."""
    try:
        message = decode(raw)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if type(message) is not dict:
        raise Malformed("not a JSON object")
    get = message.get
    for field in ("src", "dst", "leader"):
        value = get(field)
        if type(value) is not str or not _is_id(value):
            raise Malformed(f'"{field}" must be four hexadecimal digits in upper case')
    if type(get("type")) is not str:
        raise Malformed('"type" must be a string')
    return message


def check_response(message: dict[str, Any]) -> None:
    """Refuse a response with a type or MID that no replica may send to a client."""
    if message["type"] not in RESPONSES:
        raise Malformed('"type" of a message to a client must be "ok", "fail" or "redirect"')
    if type(message.get("MID")) is not str:
        raise Malformed('"MID" must be a string')


def excerpt(raw: bytes, length: int = 160) -> str:
    """The start of a message, made safe for one line of an error."""
    shown = printable(raw[:length].decode("utf-8", "backslashreplace"))
    return shown + ("..." if len(raw) > length else "")


def printable(text: str) -> str:
    """`text` with an escape sequence of Python for each character that does not print."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
