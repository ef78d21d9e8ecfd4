#!/usr/bin/env python3
"""Runs real Redis client libraries against three real replicas, whose leader is killed meanwhile.

    tests/clients/run.py                     three replicas of `target/release/kvstore dev`
    tests/clients/run.py --redis             a redis-server, to see that the checks are right
    tests/clients/run.py --only ioredis      one library

Installs the libraries under target/ at the first run. A library that cannot be installed here is
skipped. Prints one line per check; exit code 1 if one fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clients import libraries, wire
from clients.proxy import Proxy
from clients.script import Score, Script
from clients.servers import Cluster, Redis, Sentinel, ServerError

_PYTHON = {"redis-py": "clients.redis_py", "django": "clients.django_cache"}
_JAVASCRIPT = {"ioredis": "ioredis.mjs", "node-redis": "node_redis.mjs", "connect-redis": "connect_redis.mjs"}
_LIBRARIES = (*_PYTHON, *_JAVASCRIPT)

# How often an INCR whose answer is lost with its connection reaches the server, by library and
# settings: first if one answer is lost, then if every answer is lost, up to this number.
_LOST = 30
_REPEATS = {
    "redis-py": {"default": (2, 11), "asyncio": (2, 11), "off": (1, 1)},
    "django": {"default": (1, 1)},
    "ioredis": {"default": (2, _LOST + 1), "off": (1, 1)},
    "node-redis": {"default": (1, 1)},
}
# The same if the connection stays open, and one answer never comes.
_SILENT_REPEATS = {"redis-py": 2, "django": 1, "ioredis": 1, "node-redis": 1}
# The same through a sentinel.
_SENTINEL_REPEATS = {
    "redis-py": {"sentinel": (1, 1)},
    "ioredis": {"sentinel": (2, _LOST + 1), "sentinel-off": (1, 1)},
    "node-redis": {"sentinel": (2, 17), "sentinel-off": (1, 1)},
}


def main() -> int:
    chosen = _arguments()
    score = Score()
    for script in _scripts(chosen.only or list(_LIBRARIES), score):
        try:
            server = Redis() if chosen.redis else Cluster(chosen.kvstore)
        except (OSError, ServerError) as error:
            score.record(script.library, "FAILED", f"no server: {error}")
            continue
        try:
            _test(script, server, score)
        except (OSError, ServerError, wire.Refused) as error:
            score.record(script.library, "FAILED", f"{type(error).__name__}: {error}\n{server.output()}")
        finally:
            server.close()
    print(f"{score.passed} passed, {score.failed} failed, {score.skipped} skipped")
    return 1 if score.failed else 0


def _arguments() -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--only", action="append", choices=_LIBRARIES, help="this library (repeatable)")
    parser.add_argument("--redis", action="store_true", help="against a redis-server")
    program = libraries.REPOSITORY / "target" / "release" / "kvstore"
    parser.add_argument("--kvstore", type=Path, default=program, help="the program [default: %(default)s]")
    return parser.parse_args()


def _scripts(names: list[str], score: Score) -> Iterator[Script]:
    """The scripts of the libraries that can be installed here."""
    for name in names:
        try:
            if name in _PYTHON:
                yield Script(name, (str(libraries.python()), "-m", _PYTHON[name]))
            else:
                yield Script(name, ("node", str(libraries.javascript() / _JAVASCRIPT[name])))
        except libraries.MissingError as error:
            score.record(name, "skipped", f"cannot be installed here: {error}")


def _test(script: Script, server: Redis | Cluster, score: Score) -> None:
    """All phases of one library on one server, the one with the kill last."""
    addresses = server.leader_first()
    script.run(score, "commands", addresses, _nothing)
    if server.has_replicas:
        script.run(score, "cluster", server.leader_first(), _nothing)
    repeats = dict(_REPEATS.get(script.library, {}))
    if not server.has_replicas:
        repeats |= _SENTINEL_REPEATS.get(script.library, {})
    for setting, (once, always) in repeats.items():
        _count_repeats(script, score, setting, addresses[-1], (1, once))
        _count_repeats(script, score, setting, addresses[-1], (_LOST, always))
    if script.library in _SILENT_REPEATS:
        expected = (1, _SILENT_REPEATS[script.library])
        _count_repeats(script, score, "silent", addresses[-1], expected)
    script.run(score, "failover", server.leader_first(), server.kill_leader)


def _nothing() -> None:
    pass


def _count_repeats(
    script: Script, score: Score, setting: str, address: str, expected: tuple[int, int]
) -> None:
    """How often one INCR takes effect, if so many of its answers are lost."""
    swallows, wanted = expected
    with ExitStack() as stack:
        proxy = stack.enter_context(closing(Proxy(address, swallows, closes=setting != "silent")))
        target = proxy.address
        if setting.startswith("sentinel"):
            target = stack.enter_context(closing(Sentinel(proxy.address))).address
        wire.ask(address, "DEL", "repeated")
        phase = "repeat-default" if setting == "silent" else f"repeat-{setting}"
        script.run(score, phase, [target], _nothing)
        count = int(wire.ask(address, "GET", "repeated") or 0)
    lost = "its answer" if swallows == 1 else "any answer"
    settings = "default settings" if setting == "silent" else f"settings {setting}"
    lost += " on an open connection" if setting == "silent" else ""
    text = f"INCR without {lost}, {settings}: sent {proxy.increments} times, counted {count}"
    is_right = proxy.increments == count == wanted
    if is_right:
        score.record(script.library, "ok", text)
    else:
        score.record(script.library, "FAILED", f"{text}, not {wanted}")


if __name__ == "__main__":
    sys.exit(main())
