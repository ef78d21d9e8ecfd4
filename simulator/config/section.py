"""One JSON object of a scenario's file, and the refusal of its first broken rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from simulator.messages import printable

# A key without a default.
REQUIRED: Any = object()
_MOST_SHOWN = 80
# Of one list. Each link or event costs time with each message.
_MOST_OBJECTS = 10_000


class ConfigError(Exception):
    """A refused configuration: its file, key and value, and the rule that the value breaks."""

    def __init__(self, path: Path, key: str, value: Any, rule: str) -> None:
        shown = "missing" if value is REQUIRED else _shown(value)
        super().__init__(printable(f"{path}: {_cut(key)}: {shown}: {rule}"))


def _shown(value: Any) -> str:
    try:
        return _cut(json.dumps(value))
    except RecursionError:
        return "..."


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def nearest(name: Any, known: Sequence[str]) -> str:
    """The name that a user may have meant, as a question."""
    near = get_close_matches(name, known, 1) if isinstance(name, str) else []
    return f"; did you mean {near[0]}?" if near else ""


class Section:
    """One JSON object of the file. The parser takes each known key, and refuses the others."""

    def __init__(self, path: Path, prefix: str, content: Any) -> None:
        self._path = path
        self._prefix = prefix
        self._known: list[str] = []
        if type(content) is not dict:
            raise ConfigError(path, prefix or "(file)", content, "must be an object")
        self._content = content

    def refuse(self, key: str, value: Any, rule: str) -> NoReturn:
        raise ConfigError(self._path, self._name(key), value, rule)

    def know(self, key: str) -> None:
        """A key that has no meaning here, but has one beside other keys."""
        self._known.append(key)

    def take(self, key: str, default: Any = REQUIRED, rule: str = "is required") -> Any:
        self._known.append(key)
        value = self._content.get(key, default)
        if value is REQUIRED:
            self.refuse(key, value, rule)
        return value

    def number(
        self, key: str, low: float, high: float, default: Any = REQUIRED, whole: bool = False
    ) -> Any:
        kind = "an integer" if whole else "a number"
        rule = f"must be {kind} from {low} to {high}"
        value = self.take(key, default, rule)
        types = (int,) if whole else (int, float)
        if type(value) not in types or not low <= value <= high:
            self.refuse(key, value, rule)
        return value

    def flag(self, key: str) -> bool:
        """A boolean; an absent key is false."""
        value = self.take(key, False)
        if not isinstance(value, bool):
            self.refuse(key, value, "must be true or false")
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        rule = f"must be one of {', '.join(choices)}"
        value = self.take(key, rule=rule)
        if not isinstance(value, str) or value not in choices:
            self.refuse(key, value, f"{rule}{nearest(value, choices)}")
        return value

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def section(self, key: str, default: Any = REQUIRED) -> Section:
        value = self.take(key, default, "must be an object")
        return Section(self._path, self._name(key), value)

    def sections(self, key: str) -> list[Section]:
        """A list of objects; an absent key is an empty list."""
        value = self.take(key, [])
        if type(value) is not list or len(value) > _MOST_OBJECTS:
            self.refuse(key, value, f"must be a list of at most {_MOST_OBJECTS:,} objects")
        name = self._name(key)
        return [Section(self._path, f"{name}[{i}]", item) for i, item in enumerate(value)]

    def refuse_unknown(self) -> None:
        for key, value in self._content.items():
            if key not in self._known:
                known = ", ".join(self._known)
                self.refuse(key, value, f"unknown key; known are {known}{nearest(key, self._known)}")

    def _name(self, key: str) -> str:
        return f"{self._prefix}.{key}" if self._prefix else key
