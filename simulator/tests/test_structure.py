"""The shape of the package: short functions, short files, and a map with all modules."""

import ast
import re
import unittest
from collections.abc import Iterator
from pathlib import Path

from simulator.tests.support import ROOT

PACKAGE = ROOT / "simulator"
MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_FILE = 450
# The reference replica is read as one page, from its first line to its last.
LONGER = {"examples/replica.py": 540}
# A line of the map, or a name in the text beside it.
_IN_MAP = r"^ *([a-z_0-9]+) {2}|`([a-z_0-9]+)`"


def sources() -> Iterator[Path]:
    """All files of the package, without its tests."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "tests" not in path.relative_to(PACKAGE).parts:
            yield path


def long_functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > MOST_LINES_OF_A_FUNCTION:
                yield node.name, lines


def modules_of(package: Path) -> set[str]:
    """The modules and packages in a package that another module can import."""
    names = {path.stem for path in package.glob("*.py")}
    names |= {path.parent.name for path in package.glob("*/__init__.py")}
    return names - {"__init__", "tests"}


class Structure(unittest.TestCase):
    def test_no_function_is_longer_than_a_page(self) -> None:
        found = [
            f"{path.relative_to(ROOT)}: {name} has {lines} lines"
            for path in sources() for name, lines in long_functions(ast.parse(path.read_text()))
        ]
        self.assertEqual(found, [])

    def test_no_file_is_longer_than_one_idea(self) -> None:
        # An example is a whole program in one file.
        lengths = {path: path.read_text().count("\n") for path in sources() if path.parent.name != "examples"}
        found = [f"{path.relative_to(ROOT)}: {lines}" for path, lines in lengths.items() if lines > MOST_LINES_OF_A_FILE]
        self.assertEqual(found, [])

    def test_each_module_is_in_the_map_of_its_package(self) -> None:
        missing = []
        for file in sources():
            if file.name == "__init__.py":
                text = ast.get_docstring(ast.parse(file.read_text())) or ""
                known = {line or word for line, word in re.findall(_IN_MAP, text, re.MULTILINE)}
                missing += [f"{file.parent.name}: {name}" for name in sorted(modules_of(file.parent) - known)]
        self.assertEqual(missing, [])

    def test_long_function_and_missing_module_are_seen(self) -> None:
        body = "\n".join("    x = 1" for _ in range(MOST_LINES_OF_A_FUNCTION))
        tree = ast.parse(f"class A:\n  def short(self): pass\ndef long():\n{body}\n")
        self.assertEqual(list(long_functions(tree)), [("long", MOST_LINES_OF_A_FUNCTION + 1)])
        self.assertIn("cli", modules_of(PACKAGE))
        self.assertIn("trace", modules_of(PACKAGE))


if __name__ == "__main__":
    unittest.main()
