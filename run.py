#!/usr/bin/env python3
"""The network simulator: `./run.py configs/simple-1.json`, or `./run.py --help`."""

import sys

INTERRUPTED = 130

if __name__ == "__main__":
    try:
        from simulator import environment, output, signals

        # `output` first, because the imports below use these streams; then `environment`, which
        # decides what they can import.
        signals.end_in_order()
        output.prepare()
        environment.prepare()
        # An exception in the middle of the import of orjson crashes Python.
        with signals.held():
            from simulator.cli import main

        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        # A signal gets here only before or after a run: within one, the event loop takes it.
        sys.exit(INTERRUPTED)
