#!/usr/bin/env python3
"""A toy replica in all dialects, with 0000 as the leader; $FAKE_BEHAVIOUR names its fault."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

from endpoint import Endpoint

LEADER = "0000"
BURST = 2000
ALL_SENT = "all-sent"
BEHAVIOUR = os.environ.get("FAKE_BEHAVIOUR", "correct")


class Replica:
    def __init__(self, arguments):
        self.endpoint = Endpoint(arguments)
        self.id = self.endpoint.id
        self.store = {}
        self.requests = 0
        self.burst = 0
        self.declined = []
        self.late = {}

    def send(self, destination, type, **fields):
        self.endpoint.send(destination, type, LEADER, **fields)

    def run(self):
        if BEHAVIOUR == "eager":
            self.send("FFFF", "hello")
            self.send("FFFF", "append")
        # Not flushed: a simulator that did not care for it would never see it.
        print("ready")
        print("\x1b[2J\x1b]0;title\x07\ttab\r")
        if self.id == "0001" and BEHAVIOUR == "pauses":
            # Read nothing until the other replica has sent all its messages, more than the sockets
            # hold.
            while not os.path.exists(ALL_SENT):
                time.sleep(0.01)
        while True:
            self.take(self.endpoint.receive())

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
        if BEHAVIOUR == "applies_twice" and message["type"] == "put":
            self.apply_twice(message)
        else:
            self.answer(message)

    def apply_twice(self, put):
        """Decline the first attempt of each put; apply others again after the next of their key."""
        if put["value"] not in self.declined:
            self.declined.append(put["value"])
            self.send(put["src"], "redirect", MID=put["MID"])
            return
        self.answer(put)
        late = self.late.pop(put["key"], None)
        if late is None:
            self.late[put["key"]] = put["value"]
        else:
            self.store[put["key"]] = late

    def misbehave_once(self, message):
        if BEHAVIOUR == "malformed":
            self.endpoint.send_raw(b'{"src": "0000", "dst": "0001", "leader": "nobody", "type": "append"}')
        elif BEHAVIOUR == "impostor":
            self.endpoint.send_raw(b'{"src": "0001", "dst": "0002", "leader": "0000", "type": "append"}')
        elif BEHAVIOUR == "too_long":
            self.send("0001", "append", filling="x" * 16384)
        elif BEHAVIOUR == "unknown_mid":
            self.send(message["src"], "ok", MID="invented")
        elif BEHAVIOUR == "unknown_destination":
            self.send("ABCD", "append")
        elif BEHAVIOUR == "quits":
            print("last words", file=sys.stderr, flush=True)
            sys.exit(3)
        elif BEHAVIOUR == "hangs_up":
            self.endpoint.socket.close()
            signal.pause()
        elif BEHAVIOUR == "storm":
            while True:
                self.send("FFFF", "append")
        elif BEHAVIOUR == "pauses":
            for number in range(BURST):
                self.send("0001", "burst", number=number, filling="x" * 200)
            open(ALL_SENT, "w").close()

    def answer(self, message):
        client, mid, key = message["src"], message["MID"], message["key"]
        if message["type"] == "put":
            self.store[key] = message["value"]
            if BEHAVIOUR == "talks_on":
                self.send(client, "ok", MID=mid)
            self.send("FFFF", "append", key=key)
            if BEHAVIOUR != "talks_on":
                self.send(client, "ok", MID=mid)
        elif BEHAVIOUR == "wrong_value":
            self.send(client, "ok", MID=mid, value="wrong")
        else:
            self.send(client, "ok", MID=mid, value=self.store.get(key, ""))
        if BEHAVIOUR == "answers_twice" and self.requests % 10 == 0:
            self.send(client, "ok", MID=mid, value="")


def escape():
    """Start a process in a session of its own, whose parent is gone."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "1000"])
        os._exit(0)
    os.wait()


def speak_only(dialect, arguments):
    """Exit like a program that knows one dialect only, if the command line belongs to another."""
    if (len(arguments[0]) == 4) == (dialect == "udp"):
        sys.exit("what is this?")
    # So the endpoint does not take this error for a hint to try SOCK_STREAM.
    errno.EPROTOTYPE = None


def main(arguments):
    if BEHAVIOUR.startswith("speaks_"):
        speak_only(BEHAVIOUR.removeprefix("speaks_"), arguments)
    if BEHAVIOUR == "exits_at_once":
        print("no thanks", file=sys.stderr)
        sys.exit(7)
    if BEHAVIOUR == "refuses_its_options":
        print("usage: fake", "there is no --nonsense", sep="\n", file=sys.stderr)
        sys.exit(2)
    if BEHAVIOUR == "takes_two_options":
        print("options", arguments[:2], flush=True)
        arguments = arguments[2:]
    if BEHAVIOUR == "launches":
        # A launcher that does not exec: its child is no child of the simulator.
        sys.exit(subprocess.call([sys.executable, *sys.argv], env=os.environ | {"FAKE_BEHAVIOUR": "daemon"}))
    if BEHAVIOUR == "daemon":
        escape()
    if BEHAVIOUR == "never_joins":
        signal.pause()
    if BEHAVIOUR == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "1000"])
    with contextlib.suppress(EOFError):
        Replica(arguments).run()


main(sys.argv[1:])
