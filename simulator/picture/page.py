"""Fills the template of the page with the packed run, the style and the program."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

from simulator.messages import printable
from simulator.picture.reading import Run

_HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "reading", "colours", "periods", "layout", "hits", "search", "path", "text", "events", "evidence",
    "places", "ruler", "lanes", "operations", "arrows", "density", "diagram", "plots", "charts", "summary",
    "details", "interaction", "main",
)
# It chooses the colours before anything is drawn.
FIRST_SCRIPT = "theme"


def render(run: Run, packed: bytes) -> str:
    """The page as text."""
    title = f"{run.head.get('scenario', 'run')}, seed {run.head.get('seed', '?')}"
    contents = {
        "title": html.escape(printable(title)),
        "style": _text("page.css"),
        "theme": _text(f"script/{FIRST_SCRIPT}.js"),
        "script": "\n".join(_text(f"script/{name}.js") for name in SCRIPTS),
        "run": base64.b64encode(packed).decode("ascii"),
    }
    # One pass, so that no content is taken for a place of the template.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: contents[place[1]], _text("page.html"))


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
