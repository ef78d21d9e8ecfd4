"""Django: its own cache back end for Redis, and sessions in this cache."""

from __future__ import annotations

import sys
import time
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from redis.backoff import NoBackoff
from redis.retry import Retry

from clients.report import Writer, check, equal, failover, note, raises

_BACKEND = "django.core.cache.backends.redis.RedisCache"


def _count(request: HttpRequest) -> HttpResponse:
    """A page that counts its visits in the session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    request.session["name"] = "grüße"
    return HttpResponse(str(request.session["visits"]))


def _log_out(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse("out")


urlpatterns = [path("count", _count), path("out", _log_out)]


def _key(key: str, prefix: str, version: int) -> str:
    """Keys of the first version have no prefix, so that the suite finds them."""
    return key if version == 1 else f"{version}:{key}"


def _set_up(addresses: list[str], **options: Any) -> Any:
    """Django writes to the first address and reads from the others."""
    urls = [f"redis://{address}" for address in addresses]
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        CACHES={
            "default": {
                "BACKEND": _BACKEND,
                "KEY_FUNCTION": _key,
                "LOCATION": urls,
                "OPTIONS": options,
            }
        },
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of the tests",
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        USE_TZ=True,
    )
    django.setup()
    from django.core.cache import cache

    return cache


def commands(addresses: list[str]) -> None:
    """Writes go to one replica and reads to others, so each value must be there at once."""
    cache = _set_up(addresses)
    cache.clear()
    check("values", lambda: _values(cache))
    check("times to live", lambda: _times_to_live(cache))
    check("numbers", lambda: _numbers(cache))
    check("many keys", lambda: _many(cache))
    check("sessions", lambda: _sessions(cache))


def _values(cache: Any) -> None:
    for value in ("grüße", b"\x00\xff", 7, 1.5, None, {"nested": [1, "two"]}, True, "x" * 500_000):
        cache.set("key", value)
        equal(cache.get("key", "absent"), value)
    equal(cache.get("absent", "otherwise"), "otherwise")
    equal(cache.add("key", "second"), False)
    equal(cache.add("new", "first"), True)
    equal(cache.get_or_set("new", "second"), "first")
    equal(cache.has_key("new"), True)
    equal(cache.set("new", "third", version=2), None)
    equal((cache.get("new"), cache.get("new", version=2)), ("first", "third"))
    equal(cache.delete("new"), True)
    equal(cache.delete("new"), False)


def _times_to_live(cache: Any) -> None:
    cache.set("short", "lived", timeout=1)
    deadline = time.monotonic() + 30
    while cache.get("short") is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(cache.get("short"), None)
    cache.set("gone", "at once", timeout=0)
    equal(cache.get("gone"), None)
    cache.set("long", "lived", timeout=1_000)
    equal(cache.touch("long", 2_000), True)
    equal(cache.touch("long", None), True)
    equal(cache.touch("absent", 10), False)
    equal(cache.get("long"), "lived")


def _numbers(cache: Any) -> None:
    cache.set("number", 40)
    equal(cache.incr("number"), 41)
    equal(cache.incr("number", 9), 50)
    equal(cache.decr("number", 60), -10)
    equal(cache.get("number"), -10)
    raises(ValueError, lambda: cache.incr("absent"))


def _many(cache: Any) -> None:
    wanted = {f"many:{number}": number for number in range(100)}
    equal(cache.set_many(wanted, timeout=1_000), [])
    equal(cache.get_many([*wanted, "absent"]), wanted)
    cache.delete_many(["many:0", "many:1", "absent"])
    equal(len(cache.get_many(wanted)), 98)
    cache.clear()
    equal(cache.get_many(wanted), {})


def _sessions(cache: Any) -> None:
    from django.test import Client

    one, other = Client(), Client()
    equal([one.get("/count").content for _ in range(3)], [b"1", b"2", b"3"])
    equal(other.get("/count").content, b"1")
    equal(one.session["name"], "grüße")
    key = f"django.contrib.sessions.cache{one.session.session_key}"
    equal(cache.get(key)["visits"], 3)
    one.get("/out")
    equal(cache.get(key), None)
    equal(one.get("/count").content, b"1")
    equal(other.get("/count").content, b"2")


def through_failover(addresses: list[str]) -> None:
    """The back end knows no other server for its writes, so its first one is a survivor."""
    cache = _set_up(addresses[-1:], retry=Retry(NoBackoff(), 0))
    cache.set("cache:count", 0, timeout=None)
    failover([Writer("cache", cache.set, cache.get, cache.incr)])


def repeat(addresses: list[str]) -> None:
    from redis import RedisError

    cache = _set_up(addresses)
    cache.set("repeated", 0)
    try:
        note(f"incr returns {cache.incr('repeated')}")
    except RedisError as error:
        note(f"incr raises {type(error).__name__}: {error}")


def main(phase: str, addresses: list[str]) -> None:
    if phase == "commands":
        commands(addresses)
    elif phase == "cluster":
        commands(addresses[::-1])
    elif phase == "failover":
        through_failover(addresses)
    elif phase == "repeat-default":
        repeat(addresses)
    else:
        sys.exit(f"no such phase: {phase}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
