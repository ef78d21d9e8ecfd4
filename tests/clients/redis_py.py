"""redis-py: values, transactions, locks, errors, SENTINEL, and the asynchronous client."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import (
    ConnectionError,
    LockError,
    LockNotOwnedError,
    ResponseError,
    WatchError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from clients.report import Writer, check, equal, eventually, failover, note, raises

_LARGE = bytes(range(256)) * 4_096  # 1 MiB


def _place(address: str) -> dict[str, Any]:
    host, port = address.rsplit(":", 1)
    return {"host": host, "port": int(port)}


def _sentinel(addresses: list[str]) -> tuple[Sentinel, str]:
    """A client of the replicas as sentinels, and the name by which they know their cluster. It
    repeats no question to a sentinel that is away: the next sentinel answers."""
    impatient = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 5}
    places = [(place["host"], place["port"]) for place in map(_place, addresses)]
    with redis.Redis(**_place(addresses[-1])) as client:
        (name,) = client.sentinel_masters()
    return Sentinel(places, sentinel_kwargs=impatient), str(name)


def commands(addresses: list[str]) -> None:
    for address in addresses:
        for protocol in (2, 3):
            place = "first" if address == addresses[0] else address
            _commands(address, protocol, f"RESP{protocol}, {place}")
    check("refused connection", _refused)


def _commands(address: str, protocol: int, where: str) -> None:
    with redis.Redis(**_place(address), protocol=protocol, decode_responses=True) as client:
        client.flushall()
        check(f"values, {where}", lambda: _values(client))
        check(f"times to live, {where}", lambda: _times_to_live(client))
        check(f"pipelines, {where}", lambda: _pipelines(client))
        check(f"WATCH, {where}", lambda: _watch(client))
        check(f"errors, {where}", lambda: _errors(client))
        check(f"SCAN, {where}", lambda: _scan(client))
        check(f"server, {where}", lambda: _server(client, protocol))
    with redis.Redis(**_place(address), protocol=protocol) as plain:
        check(f"bytes, {where}", lambda: _bytes(plain))
        check(f"Lock, {where}", lambda: _lock(plain))
    check(f"asyncio, {where}", lambda: asyncio.run(_asynchronous(address, protocol)))


def _values(client: Any) -> None:
    equal(client.set("text", "grüße"), True)
    equal(client.get("text"), "grüße")
    equal(client.get("absent"), None)
    equal(client.set("text", "other", nx=True), None)
    equal(client.set("text", "other", get=True), "grüße")
    equal(client.incr("number"), 1)
    equal(client.decrby("number", 3), -2)
    equal(client.incrbyfloat("number", 0.5), -1.5)
    equal(client.mset({"a": "1", "b": "2"}), True)
    equal(client.mget("a", "absent", "b"), ["1", None, "2"])
    equal(client.msetnx({"a": "3", "c": "3"}), False)
    equal(client.append("a", "23"), 3)
    equal(client.getrange("a", 1, -1), "23")
    equal(client.setrange("a", 1, "xx"), 3)
    equal(client.strlen("a"), 3)
    equal(client.getdel("a"), "1xx")
    equal(client.exists("a", "b", "b"), 2)
    equal(client.type("b"), "string")
    equal(client.delete("b", "c"), 1)
    equal(client.unlink("number"), 1)


def _times_to_live(client: Any) -> None:
    client.set("short", "lived", px=1)
    while client.exists("short"):
        pass
    equal(client.get("short"), None)
    client.setex("long", 1_000, "lived")
    equal(990 < client.ttl("long") <= 1_000, True)
    equal(client.expire("long", 2_000, gt=True), True)
    equal(1_990_000 < client.pttl("long") <= 2_000_000, True)
    equal(client.getex("long", persist=True), "lived")
    equal(client.ttl("long"), -1)
    equal(client.expireat("long", 33_177_117_420), True)
    equal(client.expiretime("long"), 33_177_117_420)
    equal(client.persist("long"), True)
    equal(client.ttl("absent"), -2)


def _pipelines(client: Any) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for number in range(200):
            pipeline.set(f"piped:{number}", number).get(f"piped:{number}")
        replies = pipeline.execute()
    equal(replies, [reply for number in range(200) for reply in (True, str(number))])
    with client.pipeline() as pipeline:
        pipeline.set("a", "1").incr("a").get("a").mget("a", "absent")
        equal(pipeline.execute(), [True, 2, "2", ["2", None]])
    with client.pipeline() as pipeline:
        pipeline.set("a", "text").incr("a").set("b", "after")
        replies = pipeline.execute(raise_on_error=False)
    equal((replies[0], type(replies[1]), replies[2]), (True, ResponseError, True))
    equal(client.get("b"), "after")


def _watch(client: Any) -> None:
    client.set("watched", "1")
    with client.pipeline() as pipeline:
        pipeline.watch("watched")
        client.set("watched", "2")
        pipeline.multi()
        pipeline.set("watched", "3")
        raises(WatchError, pipeline.execute)
    equal(client.get("watched"), "2")

    def doubled(pipeline: Any) -> None:
        value = int(pipeline.get("watched"))
        pipeline.multi()
        pipeline.set("watched", value * 2)

    equal(client.transaction(doubled, "watched"), [True])
    equal(client.get("watched"), "4")


def _errors(client: Any) -> None:
    client.set("text", "no number")
    raises(ResponseError, lambda: client.incr("text"), "value is not an integer or out of range")
    raises(ResponseError, lambda: client.execute_command("NO-SUCH-COMMAND"), "unknown command")
    raises(ResponseError, lambda: client.execute_command("GET"), "wrong number of arguments for 'get'")
    raises(ResponseError, lambda: client.set("text", "x", px=0), "invalid expire time in 'set' command")
    raises(ResponseError, lambda: client.execute_command("SET", "a", "b", "NX", "XX"), "syntax error")
    raises(ResponseError, lambda: client.execute_command("SELECT", "10000"), "DB index is out of range")
    equal(client.get("text"), "no number")


def _scan(client: Any) -> None:
    client.flushdb()
    wanted = {f"scanned:{number}" for number in range(500)}
    client.mset(dict.fromkeys(wanted, "x") | {"other": "x"})
    equal(set(client.scan_iter("scanned:*", count=50)), wanted)
    equal(set(client.keys("scanned:*")), wanted)
    equal(client.dbsize(), 501)
    equal(client.randomkey() is not None, True)


def _server(client: Any, protocol: int) -> None:
    equal(client.ping(), True)
    equal(client.echo("said"), "said")
    equal(client.client_setname("checker"), True)
    equal(client.client_getname(), "checker")
    equal(client.client_info()["name"], "checker")
    equal(client.client_info()["resp"], str(protocol))
    equal(client.client_id() in [int(one["id"]) for one in client.client_list()], True)
    equal("redis_version" in client.info("server"), True)
    equal(client.role()[0] in ("master", "slave"), True)
    equal(client.time()[0] > 1_700_000_000, True)
    equal("maxmemory" in client.config_get("maxmemory"), True)
    equal(client.command_count() > 50, True)
    equal("get" in {str(name).lower() for name in client.command()}, True)


def _bytes(client: Any) -> None:
    key = b"\x00\r\n\xff key"
    client.set(key, _LARGE)
    equal(client.get(key) == _LARGE, True)
    equal(client.getrange(key, 255, 257), b"\xff\x00\x01")
    equal(client.set("empty", b""), True)
    equal(client.get("empty"), b"")


def _lock(client: Any) -> None:
    client.delete("lock")
    lock, other = (client.lock("lock", timeout=100) for _ in range(2))
    equal(lock.acquire(), True)
    equal(other.acquire(blocking=False), False)
    equal((lock.locked(), lock.owned(), other.owned()), (True, True, False))
    equal(lock.extend(100), True)
    equal(190_000 < client.pttl("lock") <= 200_000, True)
    equal(lock.extend(50, replace_ttl=True), True)
    equal(40_000 < client.pttl("lock") <= 50_000, True)
    equal(lock.reacquire(), True)
    equal(90_000 < client.pttl("lock") <= 100_000, True)
    equal(lock.release(), None)
    equal(client.exists("lock"), 0)
    raises(LockError, lock.release)
    with client.lock("lock", timeout=100) as held:
        client.set("lock", "stolen")
        raises(LockNotOwnedError, lambda: held.extend(10))
        client.set("lock", held.local.token)
    equal(client.exists("lock"), 0)


async def _asynchronous(address: str, protocol: int) -> None:
    async with redis.asyncio.Redis(**_place(address), protocol=protocol, decode_responses=True) as client:
        await client.flushall()
        numbers = await asyncio.gather(*(client.incr("asked") for _ in range(50)))
        equal(sorted(numbers), list(range(1, 51)))
        async with client.pipeline() as pipeline:
            equal(await pipeline.set("a", "1").incr("a").execute(), [True, 2])
        async with client.pipeline() as pipeline:
            await pipeline.watch("a")
            await client.set("a", "changed")
            pipeline.multi()
            pipeline.set("a", "lost")
            try:
                raise AssertionError(f"EXEC answered {await pipeline.execute()}")
            except WatchError:
                pass
        async with client.lock("lock", timeout=100) as lock:
            equal(await lock.extend(100), True)
        equal(sorted([key async for key in client.scan_iter("a*")]), ["a", "asked"])


def _refused() -> None:
    with redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0)) as client:
        raises(ConnectionError, client.ping)


def cluster(addresses: list[str]) -> None:
    name = "SENTINEL finds the leader from each replica"
    check(name, lambda: eventually(lambda: _finds_leader(addresses)))
    name = "SENTINEL serves master_for and slave_for"
    check(name, lambda: eventually(lambda: _serves_by_role(addresses)))
    check("CLIENT SETINFO names the library", lambda: _names_library(addresses[-1]))
    check("a write is seen at once at each replica", lambda: _is_seen(addresses))
    check("a lock holds at each replica", lambda: _lock_holds(addresses))
    check("KV.REV only grows", lambda: _revisions(addresses[-1]))
    check("KV.DO counts once", lambda: _counts_once(addresses))
    check("READONLY reads what the replica has", lambda: _readonly(addresses[-1]))


def _finds_leader(addresses: list[str]) -> None:
    for address in addresses:
        sentinel, name = _sentinel([address])
        host, port = sentinel.discover_master(name)
        with redis.Redis(host=host, port=port) as leader:
            equal(leader.role()[0], b"master")
        followers = {f"{host}:{port}" for host, port in sentinel.discover_slaves(name)}
        equal(followers, set(addresses) - {f"{host}:{port}"})


def _serves_by_role(addresses: list[str]) -> None:
    sentinel, name = _sentinel(addresses)
    master, replica = sentinel.master_for(name), sentinel.slave_for(name)
    equal(master.set("by", "sentinel"), True)
    equal(master.role()[0], b"master")
    equal(replica.get("by"), b"sentinel")
    equal(replica.role()[0], b"slave")


def _names_library(address: str) -> None:
    with redis.Redis(**_place(address)) as client:
        equal(client.client_info()["lib-name"].startswith("redis-py"), True)
        equal(client.client_info()["lib-ver"], redis.__version__)


def _is_seen(addresses: list[str]) -> None:
    clients = [redis.Redis(**_place(address)) for address in addresses]
    for number in range(60):
        clients[number % 3].set("seen", number)
        equal([int(client.get("seen")) for client in clients], [number] * 3)


def _lock_holds(addresses: list[str]) -> None:
    locks = [redis.Redis(**_place(address)).lock("shared", timeout=100) for address in addresses]
    equal([lock.acquire(blocking=False) for lock in locks], [True, False, False])
    locks[0].release()
    equal(locks[1].acquire(blocking=False), True)
    locks[1].release()


def _revisions(address: str) -> None:
    with redis.Redis(**_place(address)) as client:
        revisions = []
        for number in range(5):
            client.set("revised", number)
            revisions.append(client.execute_command("KV.REV", "revised"))
        equal(revisions, sorted(set(revisions)))


def _counts_once(addresses: list[str]) -> None:
    clients = [redis.Redis(**_place(address)) for address in addresses]
    clients[0].delete("once")
    replies = [client.execute_command("KV.DO", "beef", "1", "INCR", "once") for client in clients]
    equal(replies, [1, 1, 1])
    equal(clients[0].get("once"), b"1")


def _readonly(address: str) -> None:
    with redis.Redis(**_place(address), single_connection_client=True) as client:
        client.set("stale", "value")
        equal(client.get("stale"), b"value")
        equal(client.readonly(), True)
        while client.get("stale") != b"value":
            pass
        equal(client.readwrite(), True)


def through_failover(addresses: list[str]) -> None:
    once = Retry(NoBackoff(), 0)
    plain = redis.Redis(**_place(addresses[-1]), decode_responses=True)
    unrepeated = redis.Redis(**_place(addresses[-1]), retry=once)
    writers = [Writer("plain", plain.set, plain.get, unrepeated.incr)]
    if len(addresses) > 1:
        sentinel, name = _sentinel(addresses)
        leader = sentinel.master_for(name, decode_responses=True)
        counter = sentinel.master_for(name, retry=once)
        writers.append(Writer("sentinel", leader.set, leader.get, counter.incr))
    failover(writers)


def repeat(client: Any) -> None:
    try:
        note(f"INCR returns {client.incr('repeated')}")
    except redis.RedisError as error:
        note(f"INCR raises {type(error).__name__}: {error}")


async def repeat_asynchronously(address: str) -> None:
    async with redis.asyncio.Redis(**_place(address)) as client:
        try:
            note(f"INCR returns {await client.incr('repeated')}")
        except redis.RedisError as error:
            note(f"INCR raises {type(error).__name__}: {error}")


def main(phase: str, addresses: list[str]) -> None:
    if phase == "commands":
        commands(addresses)
    elif phase == "cluster":
        cluster(addresses)
    elif phase == "failover":
        through_failover(addresses)
    elif phase == "repeat-default":
        repeat(redis.Redis(**_place(addresses[0])))
    elif phase == "repeat-off":
        repeat(redis.Redis(**_place(addresses[0]), retry=Retry(NoBackoff(), 0)))
    elif phase == "repeat-asyncio":
        asyncio.run(repeat_asynchronously(addresses[0]))
    elif phase == "repeat-sentinel":
        sentinel, name = _sentinel(addresses)
        repeat(sentinel.master_for(name))
    else:
        sys.exit(f"no such phase: {phase}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
