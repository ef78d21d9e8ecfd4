"""The picture of a run: one HTML page that needs nothing beside itself, from a trace.

    reading     a trace file -> the records of a run
    shapes      parts of records in the shapes that the page relies on
    packing     the records -> columns of numbers and two texts, compressed
    page        the compressed columns -> the page, by the template
    page.html, page.css     the template, and what it looks like
    script/     the page's program; the page runs these files one after the other, as one module

In `script`, in the order in which the page runs them:

    theme.js        light or dark, before anything is drawn
    reading.js      the compressed columns -> the arrays of a run
    colours.js      the colours of the theme, of types and of leaders
    periods.js      leaders, lives, pauses and partitions over time
    layout.js       time -> x, process -> y
    hits.js         the messages, log lines, events and faults that a search has found
    search.js       a query -> its hits
    path.js         one request -> the messages that carried it
    text.js         times, names and messages in words
    events.js       the marks of events and faults, and their words
    evidence.js     the messages and requests that the words of a fault are about
    places.js       where a failed check, a fault or advice shows, and what explains it
    ruler.js        the axis, and the strip with the whole run
    lanes.js        the lanes: leaders, partitions, pauses, log lines
    operations.js   the requests of the clients
    arrows.js       messages, one by one
    density.js      messages, where they are too many
    diagram.js      the space-time diagram: draws all of it, finds the item at a point
    plots.js        the axes and marks of a chart
    charts.js       latency and message rates
    summary.js      verdict, advice, tiers, checks, events
    details.js      the selected item, the path of a request, the table of the messages in view
    interaction.js  mouse, touch and keyboard
    main.js         starts all of it
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from simulator.advice import advise
from simulator.picture import packing, page, reading


@dataclass(frozen=True)
class Drawn:
    """The source and the verdict in a trace, and the place of its damage if it has any."""

    source: str
    verdict: str
    damage: str | None


def write(trace_path: Path, html_path: Path) -> Drawn:
    """Draw a trace as a page. Raises a TraceError for a file that is no trace, and an OSError."""
    run = reading.read(trace_path)
    advice = [asdict(one) for one in advise(trace_path)]
    html_path.write_text(page.render(run, packing.pack(run, advice)), encoding="utf-8")
    return Drawn(str(run.head.get("source")), str((run.end or {}).get("verdict", "unknown")), run.damage)
