"""Requests per second against clients, drawn as the other pictures of the documentation."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "docs"))

import plot
from report import middle

_SERIES = {
    "kvstore": plot.Series("kvstore", plot.BLUE, "circle"),
    "etcd": plot.Series("etcd", plot.ORANGE, "square"),
    "redis": plot.Series("Redis, one node", plot.GREEN, "triangle"),
    "redis-wait": plot.Series("Redis with WAIT", plot.GREY, "diamond"),
}
TITLE = "Three replicas beside etcd and Redis"
_LEGEND_WIDTHS = (120, 100, 170, 170)
_NOTE = (
    "All on one machine, every acknowledged write on the disk; "
    "medians over the rounds of benches/peers.py. Both axes are logarithmic."
)


def draw(measured: dict[str, Any]) -> dict[str, str]:
    """The picture for light and for dark pages, by the suffix of its name."""
    cells = [cell for cell in measured["cells"] if cell["system"] in _SERIES and cell["way"] != "follower"]
    clients = sorted({cell["clients"] for cell in cells})
    if len(clients) < 2:
        raise ValueError("a picture needs two numbers of clients at least")
    x = plot.Axis("clients that wait for each reply", list(clients), is_logarithmic=True)
    y = plot.Axis("", _powers([cell["rate"] for cell in cells]), is_logarithmic=True)
    panels = [
        plot.panel(place, f"{workload} per second", x, y, _lines(cells, workload))
        for place, workload in enumerate(("writes", "reads"))
    ]
    light = plot.picture(TITLE, panels, _legend(), _NOTE)
    return {"": light, "-dark": plot.dark(light)}


def _legend() -> str:
    entries = []
    for place, series in enumerate(_SERIES.values()):
        x = sum(_LEGEND_WIDTHS[:place])
        entries.append(plot.legend_entry(x, series.name, series.colour, False, series))
    shared = plot.legend_entry(sum(_LEGEND_WIDTHS), "all clients on one connection", plot.INK, True)
    return "\n".join([*entries, shared])


def _lines(cells: list[dict[str, Any]], workload: str) -> list[plot.Line]:
    lines = []
    for (system, series), way in itertools.product(_SERIES.items(), ("leader", "shared")):
        wanted = {"system": system, "way": way, "workload": workload}
        points = []
        for clients in sorted({cell["clients"] for cell in cells}):
            rate = middle(cells, "rate", clients=clients, **wanted)
            if rate:
                points.append((float(clients), rate))
        lines.append(plot.Line(series, way == "shared", points))
    return lines


def _powers(rates: list[float]) -> list[float]:
    """Powers of ten around all rates."""
    first = math.floor(math.log10(max(min(rates), 1)))
    last = max(math.ceil(math.log10(max(*rates, 1))), first + 1)
    return [10**power for power in range(first, last + 1)]
