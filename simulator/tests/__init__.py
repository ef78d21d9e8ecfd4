"""Tests of the simulator: `python3 -m unittest discover -s simulator/tests -t .`"""

import atexit
import os
import shutil
import tempfile

from simulator import environment

# Here, so that no run of a test is the first one, which tells on standard error what it installs.
environment.prepare()

# Runs that fail on purpose are not kept among those of the user.
if "KVSTORE_FAILED_DIR" not in os.environ:
    _failed = tempfile.mkdtemp(prefix="kvstore-failed-")
    os.environ["KVSTORE_FAILED_DIR"] = _failed
    atexit.register(shutil.rmtree, _failed, ignore_errors=True)
