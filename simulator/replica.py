"""One replica process: starts, pauses and ends it, shows its output, and lets it not outlive us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from simulator.lines import LAST_LINES, Pipe, Printed
from simulator.signals import name_of

# The exit code of a program that does not understand its command line.
REFUSAL = 2
# The name of the variable that tells a replica its own directory, which survives its restarts.
DATA_DIRECTORY = "KVSTORE_DATA_DIR"
_PR_SET_PDEATHSIG = 1
# Without it, a replica in Python loses the output in its buffer at SIGTERM.
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1"}
_libc = ctypes.CDLL(None)


class StartError(Exception):
    """The replicas could not be started; nothing was simulated."""


class OptionsRefused(Exception):
    """The replicas refuse their options; no scenario could change that."""


def die_with_simulator() -> None:
    """Bind this child's life to its parent's: a SIGKILL of the simulator leaves no replica."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Replica:
    """A process in a session of its own: signals reach all that it starts, and Ctrl-C does not."""

    def __init__(
        self,
        id: str,
        command: list[str],
        directory: Path,
        selector: selectors.BaseSelector,
        show: Callable[[str, str, str], None] | None,
        environment: Mapping[str, str],
        printed: Printed | None = None,
    ) -> None:
        """`show` takes the replica, "out" or "err", and a line of it.

        `environment` adds to that of the simulator. `printed` has counted the lines of earlier
        lives.
        """
        self.id = id
        self.is_paused = False
        self.last_errors: deque[str] = deque(maxlen=LAST_LINES)
        try:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if show is None else subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={**inherited_environment(), **_ENVIRONMENT, **environment},
                preexec_fn=die_with_simulator,  # noqa: PLW1509 (the simulator has one thread)
            )
        except OSError as error:
            raise StartError(f"cannot run {command[0]}: {error.strerror}") from None
        self._show = show
        outputs = ((self.process.stderr, self._take_error), (self.process.stdout, self._take_output))
        printed = printed or Printed()
        self._pipes = [Pipe(file, selector, printed, take) for file, take in outputs if file is not None]

    def _take_output(self, line: str, is_kept: bool) -> None:
        if self._show is not None and is_kept:
            self._show(self.id, "out", line)

    def _take_error(self, line: str, is_kept: bool) -> None:
        self.last_errors.append(line)
        if self._show is not None and is_kept:
            self._show(self.id, "err", line)

    def has_exited(self, within: float = 0) -> bool:
        """Whether the process is gone; then its output is read to the end, its group killed."""
        if self.process.returncode is None:
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                return False
            self.kill()
            for pipe in self._pipes:
                pipe.drain()
                pipe.close()
        return True

    def describe_end(self) -> str:
        """How the process ended, with its last lines on stderr."""
        code = self.process.returncode
        how = f"signal {name_of(-code)}" if code < 0 else f"exit code {code}"
        said = "".join(f"\n    {line}" for line in self.last_errors)
        return f"{how}, last lines of stderr:{said}" if said else f"{how}, nothing on stderr"

    def pause(self) -> None:
        self.is_paused = True
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> bool:
        """Let a paused process continue; false if it is not paused, or is killed."""
        if not self.is_paused:
            return False
        self.is_paused = False
        self._signal_group(signal.SIGCONT)
        return True

    def terminate(self) -> None:
        self._signal_group(signal.SIGTERM)
        self.resume()  # A process that stands still would not see the signal.

    def kill(self) -> None:
        self.is_paused = False
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def inherited_environment() -> dict[str, str]:
    """The environment of the simulator, without a directory that all replicas would share."""
    return {name: value for name, value in os.environ.items() if name != DATA_DIRECTORY}
