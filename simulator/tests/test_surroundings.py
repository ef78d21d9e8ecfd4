"""The virtual environment, the build of our replica, and the private directory."""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from simulator import build, environment, workspace
from simulator.tests.support import ROOT


class Environment(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.commands: list[list[str]] = []
        # This hides the module, wherever the machine may have it.
        patch = mock.patch.object(environment, "_is_importable", self.is_importable)
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(setattr, sys, "path", list(sys.path))

    def is_importable(self, module: str) -> bool:
        packages = environment._packages(self.root / ".venv")
        return str(packages) in sys.path and (packages / module).is_dir()

    def prepare(self, run: object) -> str:
        with mock.patch("subprocess.run", run), contextlib.redirect_stderr(io.StringIO()) as said:
            environment.prepare(self.root)
        return said.getvalue()

    def install(self, command: list[str], **_: object) -> None:
        self.commands.append(command)
        if "pip" in command:
            for requirement in command:
                module = requirement.partition(">")[0]
                if module in environment.REQUIREMENTS:
                    (environment._packages(self.root / ".venv") / module).mkdir(parents=True)

    def fail(self, command: list[str], **_: object) -> None:
        self.commands.append(command)
        raise subprocess.CalledProcessError(1, command, stderr="first\nno network\n")

    def test_first_use_installs_and_the_next_finds_it(self) -> None:
        self.prepare(self.install)
        self.assertTrue(all(map(self.is_importable, ("orjson", "rich"))))
        self.assertEqual([command[2] for command in self.commands], ["venv", "pip"])
        self.assertIn("--retries", self.commands[1])
        sys.path.pop()
        self.assertEqual(self.prepare(self.install), "")
        self.assertEqual(len(self.commands), 2)

    def test_failure_is_told_and_not_tried_again_at_once(self) -> None:
        said = self.prepare(self.fail)
        self.assertEqual(said.count("going on without orjson and rich"), 1)
        self.assertIn("-m venv failed: no network", said)
        said = self.prepare(self.fail)
        self.assertEqual(len(said.splitlines()), 1)
        self.assertIn("-m venv failed: no network", said)
        self.assertEqual(len(self.commands), 1)

    def test_failure_is_tried_again_after_a_day(self) -> None:
        self.prepare(self.fail)
        os.utime(self.root / ".venv" / "failed", (0, 0))
        self.prepare(self.install)
        self.assertTrue(self.is_importable("orjson"))

    def test_environment_of_an_earlier_version_gets_the_library_that_it_lacks(self) -> None:
        packages = environment._packages(self.root / ".venv")
        (packages / "orjson").mkdir(parents=True)
        sys.path.append(str(packages))
        self.prepare(self.install)
        self.assertEqual(self.commands[1][-1], environment.REQUIREMENTS["rich"])
        self.assertTrue(self.is_importable("rich"))

    def test_directory_that_cannot_be_made_is_told(self) -> None:
        (self.root / ".venv").write_text("in the way")
        said = self.prepare(self.install)
        self.assertEqual(len(said.splitlines()), 1)
        self.assertIn("going on without orjson and rich", said)


class Build(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        root = Path(directory.name)
        (root / "src").mkdir()
        self.program = root / "target" / "release" / "kvstore"
        self.program.parent.mkdir(parents=True)
        self.source = root / "src" / "main.rs"
        self.source.touch()
        for name, value in (("REPOSITORY", root), ("_PROGRAM", self.program)):
            patch = mock.patch.object(build, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def is_built(self) -> bool:
        with mock.patch("subprocess.run") as run, contextlib.redirect_stderr(io.StringIO()) as told:
            self.assertEqual(build.own_program(), self.program)
        announced = "building kvstore, once for all runs: some minutes\n"
        self.assertEqual(told.getvalue(), announced if run.called else "")
        return run.called

    def test_program_is_built_when_missing_or_older_than_its_sources(self) -> None:
        self.assertTrue(self.is_built())
        self.program.touch()
        os.utime(self.source, (1, 1))
        self.assertFalse(self.is_built())
        os.utime(self.program, (0, 0))
        self.assertTrue(self.is_built())

    def test_a_newer_source_of_a_member_of_the_workspace_is_built(self) -> None:
        self.program.touch()
        os.utime(self.source, (1, 1))
        member = build.REPOSITORY / "crates" / "member" / "src" / "lib.rs"
        member.parent.mkdir(parents=True)
        member.touch()
        os.utime(self.program, (2, 2))
        self.assertTrue(self.is_built())

    def said_of_failure(self, version: str) -> str:
        """The complaint about a failed build under a cargo of this version."""
        (build.REPOSITORY / "Cargo.toml").write_text('[package]\nrust-version = "1.88"\n')

        def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            if "--version" in command:
                return subprocess.CompletedProcess(command, 0, stdout=f"cargo {version} (abc 2025-01-01)\n")
            raise subprocess.CalledProcessError(101, command[:2])

        with mock.patch("subprocess.run", run), self.assertRaises(build.BuildError) as caught:
            build.own_program()
        return str(caught.exception)

    def test_version_of_the_readme_is_that_of_the_build(self) -> None:
        needed = re.search(r'^rust-version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)
        self.assertIsNotNone(needed)
        self.assertIn(f"(Rust {needed[1] if needed else ''} or newer)", (ROOT / "README.md").read_text())

    def test_only_the_program_itself_is_built(self) -> None:
        with mock.patch("subprocess.run") as run:
            build.own_program()
        self.assertIn(["--bin", "kvstore"], [run.call_args[0][0][n:n + 2] for n in range(5)])

    def test_cargo_that_is_too_old_is_told_with_the_version_that_is_needed(self) -> None:
        for version in ("1.87.0", "1.9.1", "0.99.0"):
            with self.subTest(version):
                said = f"kvstore could not be built: cargo {version} is too old, 1.88 or newer is needed"
                self.assertEqual(self.said_of_failure(version), said)

    def test_another_failed_build_is_told(self) -> None:
        for version in ("1.88.0", "1.100.2", "2.0.0-nightly"):
            with self.subTest(version):
                self.assertIn("could not be built: Command", self.said_of_failure(version))

    def test_missing_cargo_is_told_with_the_version_that_is_needed(self) -> None:
        (build.REPOSITORY / "Cargo.toml").write_text('rust-version = "1.88"\n')
        with (
            mock.patch("subprocess.run", side_effect=FileNotFoundError("cargo")),
            self.assertRaisesRegex(build.BuildError, "there is no cargo; Rust 1.88 or newer"),
        ):
            build.own_program()


def nest(directory: Path, depth: int) -> None:
    """Make directories within each other, whose path is longer than the kernel takes."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


class Workspace(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        patch = mock.patch("tempfile.tempdir", str(self.root))
        patch.start()
        self.addCleanup(patch.stop)

    def test_directory_is_gone_after_an_error_too(self) -> None:
        with self.assertRaises(RuntimeError), workspace.private_directory() as directory:
            (directory / "0000").touch()
            raise RuntimeError
        self.assertEqual(os.listdir(self.root), [])

    def test_directory_with_thousands_of_nested_ones_is_removed(self) -> None:
        with workspace.private_directory() as directory:
            nest(directory, 3_000)
        self.assertFalse(directory.exists())

    def test_only_directories_of_dead_simulators_are_swept(self) -> None:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        (self.root / f"kvstore-simulator-{gone.pid}-a").mkdir()
        (self.root / f"kvstore-simulator-{os.getpid()}-b").mkdir()
        (self.root / "kvstore-simulator-notes-c").mkdir()
        workspace.sweep()
        self.assertEqual(
            sorted(os.listdir(self.root)),
            [f"kvstore-simulator-{os.getpid()}-b", "kvstore-simulator-notes-c"],
        )
