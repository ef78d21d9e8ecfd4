#!/usr/bin/env python3
"""The toy replica as a process, in all dialects. $FAKE_BEHAVIOUR names its kind of misbehaviour."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time

from behaviour import FakeReplica
from endpoint import Endpoint

BURST = 2000
ALL_SENT = "all-sent"
DATA = "KVSTORE_DATA_DIR"
BEHAVIOUR = os.environ.get("FAKE_BEHAVIOUR", "correct")


class Disk(dict):
    """A store that is kept in a file: a new process finds all that an earlier one has put in it."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "puts")
        with open(self.path, "a+") as file:
            file.seek(0)
            super().__init__(json.loads(line) for line in file)

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        with open(self.path, "a") as file:
            print(json.dumps([key, value]), file=file)


def count_lives(directory):
    """The number of processes that were started with this directory, this one included."""
    with open(os.path.join(directory, "lives"), "a") as file:
        file.write(".")
        return file.tell()


class Replica(FakeReplica):
    """Adds the misbehaviour that needs a process or a socket."""

    def __init__(self, endpoint):
        super().__init__(endpoint, BEHAVIOUR, Disk(os.environ[DATA]) if BEHAVIOUR == "durable" else None)
        self.endpoint = endpoint
        self.burst = 0

    def run(self):
        self.greet()
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
        super().take(message)

    def misbehave_once(self, message):
        if BEHAVIOUR == "too_long":
            self.send("0001", "append", filling="x" * 16384)
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
        super().misbehave_once(message)


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
    if DATA in os.environ:
        life = count_lives(os.environ[DATA])
        print(f"life {life} of {os.environ[DATA]} in {os.getcwd()} with {arguments}", flush=True)
        if BEHAVIOUR == "starts_once" and life > 1:
            print("one life", "is enough", sep="\n", file=sys.stderr)
            sys.exit(3)
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
        Replica(Endpoint(arguments)).run()


main(sys.argv[1:])
