#!/usr/bin/env python3
"""The network simulator: `./run.py configs/simple-1.json`, or `./run.py --help`."""

import sys

from simulator.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
