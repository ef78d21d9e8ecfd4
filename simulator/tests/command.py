"""The command line of a run in virtual time: no process starts."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from simulator import cli, kept
from simulator.tests.support import write_config
from simulator.tests.virtual import virtual_time

TIMES = {"lifetime": 5, "start_wait": 0.5, "end_wait": 1}


class CommandCase(unittest.TestCase):
    """The name of the program is the behaviour of the replicas."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name).resolve()
        self.failed = self.directory / "failed"
        patch = mock.patch.dict(os.environ, {kept.PLACE: str(self.failed)})
        patch.start()
        self.addCleanup(patch.stop)
        self.config = write_config(self.directory, **TIMES)

    def program(self, behaviour: str) -> str:
        path = self.directory / behaviour
        path.touch(0o755)
        return str(path)

    def run_py(self, behaviour: str, *arguments: Any) -> int:
        """The exit code; the output is in `out` and `errors`."""
        out, errors = io.StringIO(), io.StringIO()
        words = ["--replica", self.program(behaviour), "--transport", "virtual", "--no-check", *map(str, arguments)]
        if "all" not in words:
            words.append(str(self.config))
        # The console takes the streams of its module's start unless it is told otherwise.
        with virtual_time(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors), \
                mock.patch.object(cli.Console.__init__, "__defaults__", (out, out)):
            code = cli.main(words)
        self.out, self.errors = out.getvalue(), errors.getvalue()
        return code

    def kept_runs(self) -> list[str]:
        return sorted(path.name for path in self.failed.iterdir()) if self.failed.exists() else []
