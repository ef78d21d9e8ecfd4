"""The slow network of one host: connections to other replicas lead through this program, which
holds each byte back for a time.

    relay.py PORT=HOST:PORT...

Listens on these ports of 127.0.0.1, prints each, and connects to the address behind each. Lines on
standard input set the delay: the shortest and the longest one in milliseconds. It ends with its
input.
"""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress

_CHUNK_BYTES = 65_536
# So many chunks of one connection are on their way at most; more push back to the sender.
_CHUNKS = 1_024
_CONNECT_S = 3.0


class Relay:
    """The delay of all connections, and the connections."""

    def __init__(self) -> None:
        self._least_s = self._most_s = 0.0

    def set_delay(self, least_ms: float, most_ms: float) -> None:
        self._least_s, self._most_s = least_ms / 1_000, most_ms / 1_000

    async def listen(self, port: int, host: str, to: int) -> int:
        """Relays connections to this port; 0 is any port that is free. Returns the port."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.CancelledError):  # The relay ends.
                await self._serve(reader, writer, host, to)

        server = await asyncio.start_server(connected, "127.0.0.1", port)
        return int(server.sockets[0].getsockname()[1])

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, to: int
    ) -> None:
        """One connection: both directions until either side ends it."""
        try:
            connecting = asyncio.open_connection(host, to)
            far_reader, far_writer = await asyncio.wait_for(connecting, _CONNECT_S)
        except (OSError, asyncio.TimeoutError):
            writer.close()
            return
        ways = [self._carry(reader, far_writer), self._carry(far_reader, writer)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (writer, far_writer):
            each.close()
            with suppress(OSError):
                await each.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: bytes keep their order, also when the delay becomes shorter."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS)

        async def deliver() -> None:
            while True:
                due, data = await under_way.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                if not data:
                    return
                writer.write(data)
                await writer.drain()

        async def take() -> None:
            while True:
                try:
                    data = await reader.read(_CHUNK_BYTES)
                except OSError:
                    data = b""
                await under_way.put((loop.time() + random.uniform(self._least_s, self._most_s), data))
                if not data:
                    return

        taking = asyncio.ensure_future(take())
        try:
            await deliver()
        finally:
            taking.cancel()


async def main() -> None:
    relay = Relay()
    for argument in sys.argv[1:]:
        port, _, address = argument.partition("=")
        host, _, to = address.rpartition(":")
        print(await relay.listen(int(port), host, int(to)), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        least_ms, most_ms = map(float, line.split())
        relay.set_delay(least_ms, most_ms)


if __name__ == "__main__":
    asyncio.run(main())
