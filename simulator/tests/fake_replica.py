#!/usr/bin/env python3
"""A toy replica in both dialects: 0000 always leads. $FAKE_BEHAVIOUR names the way in which it misbehaves."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

LEADER = "0000"
BURST = 2000
BEHAVIOUR = os.environ.get("FAKE_BEHAVIOUR", "correct")


class Replica:
    def __init__(self, arguments):
        self.is_datagram = len(arguments[0]) != 4
        self.id = arguments[1] if self.is_datagram else arguments[0]
        self.store = {}
        self.answered = 0
        self.requests = 0
        self.burst = 0
        if self.is_datagram:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 0))
            self.socket.connect(("127.0.0.1", int(arguments[0])))
            self.send("FFFF", "hello")
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.connect(self.id)

    def send(self, destination, type, **fields):
        message = {"src": self.id, "dst": destination, "leader": LEADER, "type": type, **fields}
        self.socket.send(json.dumps(message).encode() + b"\n")

    def run(self):
        if BEHAVIOUR == "eager":
            self.send("FFFF", "hello")
            self.send("FFFF", "append")
        print("ready", flush=True)
        if self.id != LEADER and BEHAVIOUR == "sleeps":
            time.sleep(1.5)
        while True:
            raw = self.socket.recv(65536)
            if not raw:
                return
            self.take(json.loads(raw))

    def take(self, message):
        if message["type"] == "burst":
            assert message["number"] == self.burst, "out of order"
            self.burst += 1
            if self.burst == BURST:
                print("whole burst received", flush=True)
        if message["type"] not in ("get", "put"):
            return
        self.requests += 1
        if self.id != LEADER:
            self.send(message["src"], "redirect", MID=message["MID"])
            return
        if self.requests == 1:
            self.misbehave_once(message)
        if BEHAVIOUR == "fails" and self.requests % 10 == 0:
            self.send(message["src"], "fail", MID=message["MID"])
            return
        self.answer(message)

    def misbehave_once(self, message):
        if BEHAVIOUR == "malformed":
            self.socket.send(b'{"src": "0000", "dst": "0001", "leader": "nobody", "type": "append"}')
        elif BEHAVIOUR == "impostor":
            self.socket.send(b'{"src": "0001", "dst": "0002", "leader": "0000", "type": "append"}')
        elif BEHAVIOUR == "too_long":
            self.send("0001", "append", filling="x" * 16384)
        elif BEHAVIOUR == "unknown_mid":
            self.send(message["src"], "ok", MID="invented")
        elif BEHAVIOUR == "unknown_destination":
            self.send("ABCD", "append")
        elif BEHAVIOUR == "quits":
            print("last words", file=sys.stderr, flush=True)
            sys.exit(3)
        elif BEHAVIOUR == "storm":
            while True:
                self.send("FFFF", "append")
        elif BEHAVIOUR == "sleeps":
            for number in range(BURST):
                self.send("0001", "burst", number=number, filling="x" * 200)

    def answer(self, message):
        client, mid, key = message["src"], message["MID"], message["key"]
        if message["type"] == "put":
            self.store[key] = message["value"]
            self.send("FFFF", "append", key=key)
            self.send(client, "ok", MID=mid)
        elif BEHAVIOUR == "wrong_value":
            self.send(client, "ok", MID=mid, value="wrong")
        else:
            self.send(client, "ok", MID=mid, value=self.store.get(key, ""))
        if BEHAVIOUR == "answers_twice" and self.requests % 10 == 0:
            self.send(client, "ok", MID=mid, value="")


def main(arguments):
    if BEHAVIOUR == "exits_at_once":
        print("no thanks", file=sys.stderr)
        sys.exit(7)
    if BEHAVIOUR == "never_joins":
        signal.pause()
    if BEHAVIOUR == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "1000"])
    Replica(arguments).run()


main(sys.argv[1:])
