"""The load generator: a program of Rust in this directory, the same for all systems."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from systems import PLACE, PeersError

_MANIFEST = Path(__file__).resolve().parent / "Cargo.toml"
_BUILD = PLACE / "build"
KEYS = 100_000
VALUE_BYTES = 100
# The clients that store the keys at first, and those that write while a leader is killed.
_FILLERS = 64
_WRITERS = 8
# A generator that runs for so much longer than it was told hangs.
_PATIENCE_S = 120.0
# The leader dies so long after all clients have an acknowledgement.
_KILL_AFTER_S = 1.0


@dataclass(frozen=True)
class Target:
    """The servers that get the load, and how they speak."""

    protocol: str
    addresses: list[str]
    # Whether all clients share one connection, where the protocol can do so.
    is_shared: bool = False


class Generator:
    """Runs the program, one load after the other."""

    def __init__(self, program: Path, keys: int = KEYS) -> None:
        self._program = program
        self._keys = keys

    @classmethod
    def build(cls, keys: int) -> Generator:
        """Builds the program with cargo, or refuses with the last line of cargo."""
        command = ["cargo", "build", "--release", "--locked", "--manifest-path", str(_MANIFEST)]
        try:
            done = subprocess.run(
                [*command, "--target-dir", str(_BUILD)], capture_output=True, check=False, text=True
            )
        except OSError as error:
            raise PeersError(f"the load generator cannot be built: cargo: {error.strerror}") from None
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
            reason = errors[0] if errors else f"cargo ended with status {done.returncode}"
            raise PeersError(f"the load generator cannot be built: {reason}")
        return cls(_BUILD / "release" / "peers-load", keys)

    def fill(self, target: Target) -> None:
        """Stores each key once."""
        self._run(target, ["fill", "--clients", str(_FILLERS)], _PATIENCE_S)

    def run(self, target: Target, clients: int, reads: int, seconds: float, seed: int) -> dict[str, Any]:
        """Rate, latencies, and how many cores the generator took itself."""
        options = ["run", "--clients", str(clients), "--reads", str(reads), "--seconds", str(seconds)]
        return self._run(target, [*options, "--seed", str(seed)], seconds + _PATIENCE_S)

    def failover(
        self, target: Target, seconds: float, first_key: int, kill: Callable[[], None]
    ) -> dict[str, Any]:
        """Writes of some clients while `kill` kills the leader: how long none was acknowledged."""
        options = ["failover", "--clients", str(_WRITERS), "--seconds", str(seconds)]
        command = self._command(target, [*options, "--first-key", str(first_key)])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            patience = threading.Timer(seconds + _PATIENCE_S, process.kill)
            patience.start()
            try:
                assert process.stdout is not None
                if process.stdout.readline() == "ready\n":
                    time.sleep(_KILL_AFTER_S)
                    kill()
                output, errors = process.communicate()
            except BaseException:
                process.kill()
                raise
            finally:
                patience.cancel()
        return _result(process.returncode, output, errors)

    def _command(self, target: Target, options: list[str]) -> list[str]:
        command = [str(self._program), *options, "--protocol", target.protocol]
        command += ["--addresses", ",".join(target.addresses)]
        command += ["--shared"] if target.is_shared else []
        return [*command, "--keys", str(self._keys), "--value-bytes", str(VALUE_BYTES)]

    def _run(self, target: Target, options: list[str], patience_s: float) -> dict[str, Any]:
        command = self._command(target, options)
        try:
            done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=patience_s)
        except subprocess.TimeoutExpired:
            raise PeersError(f"the load generator hangs: {' '.join(command)}") from None
        return _result(done.returncode, done.stdout, done.stderr)


def _result(status: int, output: str, errors: str) -> dict[str, Any]:
    """The result that the generator has printed."""
    if status != 0:
        reason = errors.strip().splitlines()[-1:] or [f"peers-load ended with status {status}"]
        raise PeersError(f"the load generator failed: {reason[0]}")
    try:
        result: dict[str, Any] = json.loads(output)
    except ValueError:
        raise PeersError(f"the load generator printed no result: {output[:80]!r}") from None
    return result
