#!/usr/bin/env python3
"""The network simulator: `./run.py configs/simple-1.json`, or `./run.py --help`."""

import sys

from simulator import environment, output

INTERRUPTED = 130

if __name__ == "__main__":
    try:
        # First, because what is imported below uses these streams, and what is importable then.
        output.prepare()
        environment.prepare()
        from simulator.cli import main

        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        # Only before or after a run: within one, the event loop takes the signal itself.
        sys.exit(INTERRUPTED)
