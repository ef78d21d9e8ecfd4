"""The runs that did not pass: the failed checks, advice, files and command of each."""

from __future__ import annotations

import html
from collections.abc import Iterable
from itertools import islice
from urllib.parse import quote

from simulator.campaign.job import FAILED, Outcome

# A page with more is slow to open; the results have all of them.
MOST_SHOWN = 300


def render(outcomes: Iterable[Outcome], count: int) -> str:
    """The first of `count` runs that did not pass, one below the other."""
    if not count:
        return "<p>No run failed."
    shown = "".join(_failure(one) for one in islice(outcomes, MOST_SHOWN))
    more = f"<p>{count - MOST_SHOWN:,} more are in results.jsonl and junit.xml." if count > MOST_SHOWN else ""
    return shown + more


def _failure(one: Outcome) -> str:
    texts = [check["text"] for check in one.failed] or [one.reason]
    parts = ["".join(f"<pre>{html.escape(text)}</pre>" for text in texts)]
    if one.advice:
        parts.append(f"<ul>{''.join(f'<li>{html.escape(text)}' for text in one.advice)}</ul>")
    parts.append(_command(one.command))
    if one.kept is not None:
        link = quote(one.kept, errors="surrogateescape")
        parts.append(f'<p>Files: <a href="{link}">{html.escape(one.kept)}</a>')
    if one.verdict != FAILED and one.said:
        parts.append(f"<pre>{html.escape(one.said)}</pre>")
    return (
        f'<details><summary><span class="{one.verdict}">{one.verdict}</span> '
        f"<b>{html.escape(one.config)}</b> seed {one.seed}: {html.escape(one.reason)}</summary>"
        f"{''.join(parts)}</details>"
    )


def _command(command: str) -> str:
    return (
        f"<div class=command><code>{html.escape(command)}</code>"
        "<button type=button class=copy>copy</button></div>"
    )
