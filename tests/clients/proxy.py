"""A proxy between one library and a server. It passes an INCR on, swallows its answer and closes
the connection, as a network does that fails at this moment. Or it leaves the connection open."""

from __future__ import annotations

import re
import select
import socket
import threading

_INCREMENT = re.compile(rb"\$\d\r\nINCR(BY)?\r\n", re.IGNORECASE)
_CHUNK_BYTES = 65_536
_IDLE_S = 0.1


class Proxy:
    """Listens on a port of its own, and serves each connection with a thread."""

    def __init__(self, server: str, swallows: int, closes: bool) -> None:
        host, port = server.rsplit(":", 1)
        self._server = (host, int(port))
        self._left = swallows
        self._closes = closes
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.increments = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            try:
                while not self._closed.is_set() and self._pass_on(client, server):
                    pass
            except OSError:
                pass

    def _pass_on(self, client: socket.socket, server: socket.socket) -> bool:
        """Moves bytes in one direction; false once the connection is to be closed."""
        for source in select.select([client, server], [], [], _IDLE_S)[0]:
            data = source.recv(_CHUNK_BYTES)
            if not data:
                return False
            (server if source is client else client).sendall(data)
            # A library sends one INCR alone, so it is not divided between two chunks.
            if source is client and _INCREMENT.search(data) and self._swallows():
                server.recv(_CHUNK_BYTES)
                return not self._closes
        return True

    def _swallows(self) -> bool:
        with self._lock:
            self.increments += 1
            self._left -= 1
            return self._left >= 0
