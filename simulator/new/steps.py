"""The steps of docs/tour.md: each is a section whose code changes the replica of the step before.

A block of code has whole definitions: imports, constants, functions, classes, or methods in the
class that they belong to. A definition takes the place of the one with its name. A new one comes
after the one of its kind before it in the block; else it is the last method, the last constant or
the first class. In a method that begins with `...` the same goes for its statements: those that the
method had before stay.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TOUR = Path(__file__).resolve().parents[2] / "docs" / "tour.md"
MINIMAL = Path(__file__).with_name("python") / "replica.py"

_SECTION = re.compile(r"^## (\d+)\. (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One section of the tour: its code, and the output that it shows before and after that."""

    number: int
    title: str
    scenario: str
    before: list[str]
    code: list[str]
    after: list[str]


def steps(tour: str | None = None) -> list[Step]:
    text = TOUR.read_text(encoding="utf-8") if tour is None else tour
    _, *sections = _SECTION.split(text)
    return [
        _step(int(number), title, content)
        for number, title, content in zip(sections[::3], sections[1::3], sections[2::3], strict=True)
    ]


def _step(number: int, title: str, content: str) -> Step:
    fences = _FENCE.findall(content)
    code = [position for position, (kind, _) in enumerate(fences) if kind == "python"]
    lines: list[list[str]] = [[], []]
    for position, (kind, text) in enumerate(fences):
        if kind == "":
            lines[position > code[0]] += text.splitlines()
    scenario = next(text.split()[-1] for kind, text in fences if kind == "sh")
    return Step(number, title, scenario, lines[0], [fences[position][1] for position in code], lines[1])


def program(step: int, tour: str | None = None) -> str:
    """The source of the replica after so many steps; 0 is the minimal one."""
    source = MINIMAL.read_text(encoding="utf-8")
    for one in steps(tour)[:step]:
        for block in one.code:
            source = patched(source, block)
    return source


@dataclass
class Part:
    """A definition of a program: its text, and the methods of a class, each a part, too."""

    kind: str
    name: str
    text: str
    methods: list[Part] = field(default_factory=list)
    has_head: bool = True  # beside the line with the name of a class


def patched(source: str, block: str) -> str:
    """`source` with the definitions of `block` in their places."""
    parts = _parts(source)
    _merge(parts, _parts(block))
    return _text(parts)


def _merge(parts: list[Part], changes: list[Part]) -> None:
    before: Part | None = None
    for change in changes:
        names = [part.name for part in parts]
        if change.name in names:
            _replace(parts[names.index(change.name)], change)
        elif before is not None and before.kind == change.kind:
            parts.insert(names.index(before.name) + 1, change)
        else:
            parts.insert(_place(parts, change), change)
        before = change


def _place(parts: list[Part], change: Part) -> int:
    kinds = ("block",) if change.kind == "constant" else (change.kind,)
    if all(part.kind == "block" for part in parts):
        return len(parts)
    return next(number for number, part in enumerate(parts) if part.kind in kinds)


def _replace(part: Part, change: Part) -> None:
    if _is_extension(change):
        part.text = _extended(part.text, change.text)
    elif change.has_head:
        part.text = change.text
    _merge(part.methods, change.methods)


def _is_extension(change: Part) -> bool:
    return re.search(r"^ +\.\.\.$", change.text, re.MULTILINE) is not None


def _extended(method: str, change: str) -> str:
    """A method with the statements of `change`: each takes the place of the one to its target."""
    statements, indent = _statements(method), " " * 8
    head = method.splitlines()[0]
    for target, text in _statements(change).items():
        if target != "...":
            statements[target] = text
    return "\n".join([head, *(textwrap.indent(text, indent) for text in statements.values())])


def _statements(method: str) -> dict[str, str]:
    """The statements of a method by their targets, with the comments above them."""
    source = textwrap.dedent(method)
    lines = source.splitlines()
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    found = {}
    for node in function.body:
        first, last = _span(node, lines)
        target: ast.AST = node
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        found[ast.unparse(target)] = textwrap.dedent("\n".join(lines[first:last]))
    return found


def _parts(source: str) -> list[Part]:
    lines = source.splitlines()
    return [_part(node, lines) for node in ast.parse(source).body]


def _part(node: ast.stmt, lines: Sequence[str]) -> Part:
    kind, name = _kind_and_name(node)
    first, last = _span(node, lines)
    if not isinstance(node, ast.ClassDef):
        return Part(kind, name, "\n".join(lines[first:last]))
    functions = [one for one in node.body if isinstance(one, ast.FunctionDef)]
    methods = [_part(one, lines) for one in functions]
    end = _span(functions[0], lines)[0] if functions else last
    has_head = len(functions) < len(node.body)
    return Part(kind, name, "\n".join(lines[first:end]).rstrip(), methods, has_head)


def _kind_and_name(node: ast.stmt) -> tuple[str, str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return "block", node.name
    if isinstance(node, ast.Import):
        return "import", f"import {node.names[0].name}"
    if isinstance(node, ast.ImportFrom):
        return "import", f"from {node.module}"
    if isinstance(node, ast.Assign):
        return "constant", ast.unparse(node.targets[0])
    if isinstance(node, ast.If):
        return "main", "main"
    return "docstring", "docstring"


def _span(node: ast.stmt, lines: Sequence[str]) -> tuple[int, int]:
    """The lines of a definition, with its decorators and the comment above it."""
    decorators = node.decorator_list if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
    first = min([node.lineno, *(one.lineno for one in decorators)]) - 1
    while first and lines[first - 1].lstrip().startswith("#") and not lines[first - 1].startswith("#!"):
        first -= 1
    assert node.end_lineno is not None
    return first, node.end_lineno


def _text(parts: list[Part]) -> str:
    return "#!/usr/bin/env python3\n" + "".join(_lines(parts))


def _lines(parts: list[Part]) -> Iterator[str]:
    imports = sorted((part for part in parts if part.kind == "import"), key=_order_of_import)
    others = [part for part in parts if part.kind not in ("import", "docstring")]
    before = ""
    for part in [*(part for part in parts if part.kind == "docstring"), *imports, *others]:
        if before:
            yield _gap(before, part)
        yield part.text + "\n"
        for number, method in enumerate(part.methods):
            yield ("\n" if number or part.has_head else "") + method.text + "\n"
        before = "future" if "__future__" in part.name else part.kind


def _order_of_import(part: Part) -> tuple[bool, bool, str]:
    return "__future__" not in part.name, part.name.startswith("from"), part.name


def _gap(before: str, part: Part) -> str:
    if "block" in (before, part.kind):
        return "\n\n"
    return "" if before == part.kind and not part.text.startswith("#") else "\n"
