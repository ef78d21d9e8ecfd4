"""The relay delays bytes, keeps their order, and passes an end on."""

import socket
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

RELAY = Path(__file__).with_name("relay.py")
PATIENCE_S = 30.0


class Relay(unittest.TestCase):
    def setUp(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.server.close)
        threading.Thread(target=self.echo, daemon=True).start()
        command = [sys.executable, str(RELAY), f"0=127.0.0.1:{self.server.getsockname()[1]}"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.addCleanup(self.stop)
        assert self.process.stdout
        port = int(self.process.stdout.readline())
        self.client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.addCleanup(self.client.close)

    def stop(self) -> None:
        self.process.communicate()
        self.assertEqual(self.process.returncode, 0)

    def echo(self) -> None:
        connection, _ = self.server.accept()
        with connection:
            while data := connection.recv(65_536):
                connection.sendall(data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.client.recv(65_536)):
            data += more
        return data

    def delay(self, least_ms: float, most_ms: float) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{least_ms} {most_ms}\n")
        self.process.stdin.flush()

    def test_bytes_are_delayed_in_both_directions(self) -> None:
        self.client.sendall(b"a")
        self.assertEqual(self.receive(1), b"a")
        self.delay(50, 60)
        # The relay reads its input beside its connections, so a first byte may be faster.
        deadline = time.monotonic() + PATIENCE_S
        took_s = 0.0
        while took_s < 0.1:
            self.assertLess(time.monotonic(), deadline)
            start = time.monotonic()
            self.client.sendall(b"b")
            self.assertEqual(self.receive(1), b"b")
            took_s = time.monotonic() - start

    def test_bytes_keep_their_order_while_delays_vary(self) -> None:
        self.delay(0, 20)
        sent = b"".join(number.to_bytes(2, "big") for number in range(2_000))
        for start in range(0, len(sent), 100):
            self.client.sendall(sent[start : start + 100])
        self.assertEqual(self.receive(len(sent)), sent)

    def test_end_of_one_side_reaches_the_other_one(self) -> None:
        self.client.sendall(b"last")
        self.assertEqual(self.receive(4), b"last")
        self.client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.client.recv(1), b"")


if __name__ == "__main__":
    unittest.main()
