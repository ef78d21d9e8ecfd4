"""The results as JUnit XML, which graders and CI systems read: a suite per scenario."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from simulator.campaign.job import ERROR, FAILED, PASSED, Outcome, shown
from simulator.campaign.tally import Scenario, Tally

FILE = "junit.xml"
# XML 1.0 cannot have these characters, not even as references.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(tally: Tally, directory: Path) -> None:
    """Write the file, one run after the other."""
    path = directory / FILE
    fresh = path.with_name(f".{FILE}.new")
    with fresh.open("w", encoding="utf-8") as file:
        verdicts = tally.verdicts
        seconds = sum(one.seconds for one in tally.scenarios.values())
        counts = _counts(verdicts.total(), verdicts[FAILED], verdicts[ERROR], seconds)
        name = _attribute(f"campaign of {_replica(tally)}")
        file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name={name}{counts}>\n')
        for scenario in tally.scenarios.values():
            _write_suite(scenario, tally, file)
        file.write("</testsuites>\n")
    os.replace(fresh, path)


def _replica(tally: Tally) -> str:
    """The program, by which a grader tells the files of several submissions apart."""
    replica = tally.plan.template.replica
    return "kvstore" if replica is None else shown(replica)


def _write_suite(scenario: Scenario, tally: Tally, file: TextIO) -> None:
    verdicts = scenario.verdicts
    counts = _counts(scenario.runs, verdicts[FAILED], verdicts[ERROR], scenario.seconds)
    file.write(f"  <testsuite name={_attribute(scenario.name)}{counts}>\n")
    for outcome in tally.outcomes([scenario.name]):
        file.write(_case(outcome))
    file.write("  </testsuite>\n")


def _counts(runs: int, failed: int, errors: int, seconds: float) -> str:
    return f' tests="{runs}" failures="{failed}" errors="{errors}" time="{seconds:.3f}"'


def _case(outcome: Outcome) -> str:
    name = (
        f'classname={_attribute(outcome.config)} name="seed {outcome.seed}" time="{outcome.seconds:.3f}"'
    )
    if outcome.verdict == PASSED:
        return f"    <testcase {name}/>\n"
    element = "failure" if outcome.verdict == FAILED else "error"
    kind = ", ".join(check["name"] for check in outcome.failed) or "no result"
    return (
        f"    <testcase {name}>\n"
        f"      <{element} type={_attribute(kind)} message={_attribute(outcome.reason)}>"
        f"{escape(clean(text_of(outcome)))}</{element}>\n"
        f"    </testcase>\n"
    )


def text_of(outcome: Outcome) -> str:
    """All that is known of a run that did not pass."""
    lines = [check["text"] for check in outcome.failed] or [outcome.reason]
    lines += [f"advice: {text}" for text in outcome.advice]
    lines.append(f"repeat: {outcome.command}")
    if outcome.kept is not None:
        lines.append(f"files: {outcome.kept}")
    if outcome.verdict == ERROR and outcome.said:
        lines += ["output:", outcome.said]
    return "\n".join(lines)


def _attribute(text: str) -> str:
    return quoteattr(clean(text))


def clean(text: str) -> str:
    """`text` with an escape sequence for each character that XML cannot have."""
    return _FORBIDDEN.sub(lambda found: repr(found[0])[1:-1], text)
