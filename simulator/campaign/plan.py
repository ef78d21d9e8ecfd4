"""The jobs of a campaign in their fixed order, and the file that says which campaign it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simulator import build, config
from simulator.campaign.job import Job, Outcome, shown
from simulator.campaign.numbers import Seeds, Shard

FILE = "campaign.json"
_FORMAT = 1
_MOST_FILE_BYTES = 16 << 20
_READ_BYTES = 1 << 20
_KEYS: dict[str, type | tuple[type, ...]] = {
    "format": int, "scenarios": dict, "seeds": str, "shard": str, "replica": (str, type(None)),
    "options": list, "transport": str, "virtual": bool, "arguments": list, "program": str,
}


class CampaignError(Exception):
    """Files that are no campaign, or those of another one: one line."""


@dataclass(frozen=True)
class Plan:
    """All that decides the jobs of a campaign and their results."""

    scenarios: dict[str, str]  # the name of each one, and the SHA-256 of its file
    seeds: Seeds
    shard: Shard
    template: Job  # has the program and its options; the jobs differ in scenario and seed
    program: str  # the SHA-256 of the program

    @classmethod
    def of(cls, configs: list[Path], seeds: Seeds, shard: Shard, template: Job, program: Path) -> Plan:
        """The plan with the present content of these files; may raise OSError."""
        scenarios = {shown(path): digest(path) for path in configs}
        return cls(scenarios, seeds, shard, template, digest(program))

    def __len__(self) -> int:
        whole = len(self.scenarios) * len(self.seeds)
        return len(range(self.shard.number - 1, whole, self.shard.of))

    def jobs(self) -> Iterator[Job]:
        """The jobs of the shard, one seed of each scenario after the other.

        The shard takes every n-th job of the order in which the seeds of a scenario follow each
        other. So all shards have about as many runs of each scenario.
        """
        configs = [build.REPOSITORY / name for name in self.scenarios]
        count = len(self.seeds)
        for place, seed in enumerate(self.seeds):
            for number, path in enumerate(configs):
                if self.shard.has(number * count + place):
                    yield replace(self.template, config=path, seed=seed)

    def files(self) -> list[Path]:
        """The scenarios and the program, unless it is our own."""
        replica = [] if self.template.replica is None else [self.template.replica]
        return [build.REPOSITORY / name for name in self.scenarios] + replica

    def lifetimes(self) -> dict[str, float]:
        """The simulated seconds of each scenario."""
        return {name: config.load(build.REPOSITORY / name).lifetime for name in self.scenarios}

    def runs_of_each(self) -> dict[str, int]:
        """How many jobs of the shard each scenario has."""
        count, of = len(self.seeds), self.shard.of
        first = self.shard.number - 1
        # The jobs of the shard before each scenario, and before the end.
        before = [
            len(range(first, number * count, of)) for number in range(len(self.scenarios) + 1)
        ]
        return {name: before[number + 1] - before[number] for number, name in enumerate(self.scenarios)}

    def has(self, outcome: Outcome) -> bool:
        """Whether the outcome is one of a job of the shard."""
        place = self.seeds.place(outcome.seed)
        if place is None or outcome.config not in self.scenarios:
            return False
        return self.shard.has(list(self.scenarios).index(outcome.config) * len(self.seeds) + place)

    def whole(self) -> Plan:
        """The campaign that this is a shard of."""
        return replace(self, shard=Shard())

    def to_json(self) -> dict[str, Any]:
        template = self.template
        return {
            "format": _FORMAT,
            "scenarios": self.scenarios,
            "seeds": str(self.seeds),
            "shard": str(self.shard),
            "replica": None if template.replica is None else shown(template.replica),
            "options": list(template.options),
            "transport": template.transport,
            "virtual": template.virtual,
            "arguments": list(template.arguments),
            "program": self.program,
        }

    @classmethod
    def of_json(cls, content: Any) -> Plan:
        """The plan of a file; raises ValueError if it is none."""
        if type(content) is not dict or content.keys() != _KEYS.keys() or content["format"] != _FORMAT:
            raise ValueError("no campaign")
        if not all(isinstance(content[name], types) for name, types in _KEYS.items()):
            raise ValueError("no campaign")
        texts = (*content["options"], *content["arguments"], *content["scenarios"].values())
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("no campaign")
        replica = content["replica"]
        template = Job(
            Path(), 0, None if replica is None else build.REPOSITORY / replica, tuple(content["options"]),
            content["transport"], content["virtual"], tuple(content["arguments"]),
        )
        seeds, shard = Seeds.of(content["seeds"]), Shard.parse(content["shard"])
        return cls(content["scenarios"], seeds, shard, template, content["program"])

    def difference(self, other: Plan) -> str | None:
        """The first thing in which the plans differ, in words; `None` if they are the same."""
        mine, others = self.to_json(), other.to_json()
        for name in others["scenarios"].keys() & mine["scenarios"].keys():
            if mine["scenarios"][name] != others["scenarios"][name]:
                return f"the content of {name} has changed"
        # A shard takes other jobs if the scenarios have another order.
        if list(mine["scenarios"]) != list(others["scenarios"]):
            return "its scenarios are others, or in another order"
        for key, value in mine.items():
            if value != others[key]:
                if key == "program":
                    return "the program has changed"
                return f"{key}: {_brief(others[key])} and not {_brief(value)}"
        return None


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            found.update(data)
    return found.hexdigest()


def load(directory: Path) -> Plan:
    """The plan of the campaign in a directory."""
    path = directory / FILE
    try:
        with path.open("rb") as file:
            return Plan.of_json(json.loads(file.read(_MOST_FILE_BYTES)))
    except OSError as error:
        raise CampaignError(f"{path}: no campaign ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise CampaignError(f"{path}: this file describes no campaign") from None


def save(plan: Plan, directory: Path) -> None:
    """Write the plan; a reader sees all of it or none."""
    replace_file(directory / FILE, json.dumps(plan.to_json(), indent=1) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Write a file under another name first, so that the old one stays if the disk is full."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
