"""Fills the template of the page."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from simulator.campaign.job import PASSED, Job, Outcome, shown
from simulator.campaign.junit import clean
from simulator.campaign.plan import replace_file
from simulator.campaign.statistics import wilson
from simulator.campaign.summary import failures, tables
from simulator.campaign.tally import Tally

FILE = "summary.html"
_HERE = Path(__file__).resolve().parent


def write(tally: Tally, directory: Path) -> None:
    """Write the page into a directory."""
    replace_file(directory / FILE, render(tally))


def render(tally: Tally) -> str:
    """The page as text."""
    scenarios = list(tally.scenarios.values())
    verdicts = tally.verdicts
    runs, passed = verdicts.total(), verdicts[PASSED]
    contents = {
        "style": _text("page.css"),
        "title": f"{passed:,} of {runs:,} runs passed",
        "facts": _facts(tally),
        "rates": tables.rates(scenarios),
        "failures": failures.render(_failed(tally), runs - passed),
        "distributions": tables.distributions(scenarios) or "<p>These runs have no metrics.",
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda place: contents[place[1]], _text("page.html"))
    # Output of replicas may hold characters that HTML, like XML, cannot have.
    return clean(page)


def _facts(tally: Tally) -> str:
    plan, verdicts = tally.plan, tally.verdicts
    low, high = wilson(verdicts[PASSED], verdicts.total())
    template = plan.template
    words = [
        f"{len(plan.scenarios)} scenarios, seeds {plan.seeds}, shard {plan.shard}",
        f"pass rate between {low:.1%} and {high:.1%} (interval of Wilson, 95 %)",
        "virtual time" if template.virtual
        else f"{_replica(template)}, transport {template.transport}",
    ]
    if verdicts.total() < len(plan):
        words.append(f"{len(plan) - verdicts.total():,} of {len(plan):,} runs are missing")
    return "".join(f"<li>{html.escape(word)}" for word in words)


def _replica(template: Job) -> str:
    if template.replica is None:
        return f"our own replica {shlex.join(template.options)}".strip()
    return f"replica {shlex.join([shown(template.replica), *template.options])}"


def _failed(tally: Tally) -> Iterator[Outcome]:
    names = [name for name, one in tally.scenarios.items() if one.verdicts[PASSED] < one.runs]
    return (one for one in tally.outcomes(names) if not one.passed) if names else iter(())


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
