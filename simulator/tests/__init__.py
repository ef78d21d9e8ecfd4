"""Tests of the simulator: `python3 -m unittest discover -s simulator/tests -t .`"""

import atexit
import os
import shutil
import tempfile

# Runs that fail on purpose are not kept among those of the user.
if "KVSTORE_FAILED_DIR" not in os.environ:
    _failed = tempfile.mkdtemp(prefix="kvstore-failed-")
    os.environ["KVSTORE_FAILED_DIR"] = _failed
    atexit.register(shutil.rmtree, _failed, ignore_errors=True)
