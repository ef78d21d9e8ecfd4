#!/usr/bin/env python3
"""A checker that reads the history, decides nothing, and ends as $FAKE_VERDICT says."""

import json
import os
import signal
import sys

command, path = sys.argv[1:]
assert command == "check"
with open(path) as file:
    requests = [json.loads(line) for line in file]
print(f"read {len(requests)} requests", file=sys.stderr)
verdict = os.environ.get("FAKE_VERDICT", "linearizable")
if verdict == "not linearizable":
    print("the first line\x1b[2J\n    of a diagram")
    sys.exit(1)
if verdict == "undecided":
    print("undecided: it is too hard")
    sys.exit(3)
if verdict == "malformed history":
    print("line 7: no such thing", file=sys.stderr)
    sys.exit(2)
if verdict == "crash":
    os.kill(os.getpid(), signal.SIGKILL)
