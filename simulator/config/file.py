"""The file of a scenario: read whole and checked, or written from a scenario."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulator.config.dialects import OURS, Defaults
from simulator.config.scenario import Scenario, read_scenario
from simulator.config.section import REQUIRED, ConfigError, Section, nearest
from simulator.messages import printable

_MOST_FILE_BYTES = 16 << 20


def load(path: Path, defaults: Defaults = OURS) -> Scenario:
    """The scenario in the file at `path`; raises ConfigError for the first broken rule."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_FILE_BYTES + 1)
        if len(text) > _MOST_FILE_BYTES:
            rule = f"must have at most {_MOST_FILE_BYTES} bytes"
            raise ConfigError(path, "(file)", "...", rule)
        content = json.loads(text)
    except OSError as error:
        others = sorted(str(other) for other in path.parent.glob("*.json"))
        hint = nearest(str(path), others) if isinstance(error, FileNotFoundError) else ""
        rule = f"must be a readable file ({error.strerror}){hint}"
        raise ConfigError(path, "(file)", REQUIRED, rule) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, "(file)", "...", f"must be JSON ({error})") from None
    return read_scenario(printable(path.stem), Section(path, "", content), defaults)


def as_file(scenario: Scenario) -> dict[str, Any]:
    """The content of a file with this scenario, without the keys that have no value."""
    content = asdict(scenario)
    del content["name"]
    content["delay"] = scenario.delay.as_file()
    if scenario.delay.reorder:
        content["reorder"] = True
    content["events"] = [event.as_file() for event in scenario.events]
    tests = content.pop("tests")
    if tests["benchmarks"]:
        content["tests"] = {key: value for key, value in tests.items() if value is not None}
    return {key: value for key, value in content.items() if value not in (None, {}, [])}


def of_content(name: str, content: Any) -> Scenario:
    """The scenario with the content of a file, in our own dialect."""
    return read_scenario(name, Section(Path(name), "", content), OURS)
