#!/usr/bin/env python3
"""Draws messages-per-put.svg and latency.svg from the measurements of the bench of messages.

    cargo bench --bench messages -- --json target/messages.json
    python3 docs/plot.py target/messages.json

The pictures stand beside the measurements unless --into names a directory; --into docs renews those
of the documentation. Each picture has a variant for dark pages, NAME-dark.svg. A picture that was
drawn by hand gets its dark variant by `python3 docs/plot.py docs/put.svg`.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INK, FAINT, PAPER = "#1f2933", "#cbd2d9", "#ffffff"
BLUE, ORANGE, GREEN, GREY = "#1b4f8a", "#d1700f", "#2f8f5b", "#7b8794"
# The colours on a dark page, for those above and those of put.svg.
DARK = {
    INK: "#e4e7eb", FAINT: "#3e4c59", PAPER: "#0d1117",
    BLUE: "#6ea8e5", ORANGE: "#f0a04b", GREEN: "#63c08f", GREY: "#9aa5b1",
    "#52606d": "#cbd2d9", "#3e7cb1": "#5b9bd5", "#81a4cd": "#48698f",
}
NOTE = (
    "Measured in virtual time, with the delays of the simulator: "
    "a seed gives the same figures on every machine."
)

PANEL_WIDTH, PANEL_HEIGHT = 370, 280
LEFT, TOP, GAP = 80, 96, 100
WIDTH = LEFT + 2 * PANEL_WIDTH + GAP + 30
HEIGHT = TOP + PANEL_HEIGHT + 92


@dataclass(frozen=True)
class Axis:
    """Maps values to a length. `ticks` have labels; the outer two are the ends of the axis."""

    label: str
    ticks: list[float]
    is_logarithmic: bool

    def place(self, value: float, length: float) -> float:
        scale = math.log10 if self.is_logarithmic else float
        first, last = scale(self.ticks[0]), scale(self.ticks[-1])
        return length * (scale(value) - first) / (last - first)


@dataclass(frozen=True)
class Series:
    """A system that lines show. Brightness and marks tell the lines apart, too."""

    name: str
    colour: str
    shape: str


REPLICAS = {
    5: Series("5 replicas", BLUE, "circle"),
    7: Series("7 replicas", ORANGE, "square"),
    9: Series("9 replicas", GREEN, "triangle"),
}


@dataclass(frozen=True)
class Line:
    series: Series
    is_dashed: bool
    points: list[tuple[float, float]]


def main(arguments: list[str]) -> int:
    chosen = parse(arguments)
    try:
        drawings = draw(chosen.measured)
        for name, drawing in drawings.items():
            (chosen.into / name).write_text(drawing)
    except OSError as error:
        return refuse(f"{error.filename}: {error.strerror}")
    except KeyError as error:
        return refuse(f"{chosen.measured}: has no {error}")
    except (ValueError, TypeError, AttributeError) as error:
        return refuse(f"{chosen.measured}: not from the bench of messages: {error}")
    for name in drawings:
        print(chosen.into / name)
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="plot.py", description="Draws messages-per-put.svg and latency.svg, each also for dark pages.",
        epilog="cargo bench --bench messages -- --json FILE makes the measurements.",
    )
    parser.add_argument(
        "measured", type=Path, metavar="FILE",
        help="the measurements of the bench of messages, or a picture that needs its dark variant",
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIRECTORY", help="where the pictures go (default: beside FILE)"
    )
    chosen = parser.parse_args(arguments)
    if chosen.into is None:
        chosen.into = chosen.measured.parent
    return chosen


def draw(source: Path) -> dict[str, str]:
    """The pictures of these measurements, or the dark variant of this picture, by name."""
    if source.suffix == ".svg":
        return {f"{source.stem}-dark.svg": dark(source.read_text())}
    measured = json.loads(source.read_text())
    pictures = {"messages-per-put": draw_messages(measured), "latency": draw_latency(measured)}
    light = {f"{name}.svg": drawing for name, drawing in pictures.items()}
    return light | {f"{name}-dark.svg": dark(drawing) for name, drawing in pictures.items()}


def dark(drawing: str) -> str:
    """The same picture in the colours of a dark page."""
    return re.sub("#[0-9a-f]{6}", lambda colour: DARK[colour[0]], drawing)


def refuse(reason: str) -> int:
    print(f"plot.py: {reason}", file=sys.stderr)
    return 1


def draw_messages(measured: dict[str, Any]) -> str:
    y = Axis("messages between replicas per put", [0.1, 0.2, 0.5, 1, 2, 5, 10], is_logarithmic=True)
    panels = [
        panel(place, name, x, y, lines(measured[table], key, "datagrams/put"))
        for place, (name, table, key, x) in enumerate(loads(measured))
    ]
    return picture("The more is asked at once, the fewer messages a put costs", panels, legend())


def draw_latency(measured: dict[str, Any]) -> str:
    rows = measured["open loop"] + measured["closed loop"]
    longest = max(row["p99 (us)"] for row in rows)
    step = next(step for step in (50, 100, 200, 500, 1_000, 5_000, 50_000, math.inf) if 7 * step > longest)
    y = Axis("latency of a put (µs)", [step * n for n in range(math.ceil(longest / step) + 1)], False)
    panels = []
    for place, (name, table, key, x) in enumerate(loads(measured)):
        drawn = lines(measured[table], key, "p50 (us)") + lines(measured[table], key, "p99 (us)", True)
        panels.append(panel(place, name, x, y, drawn))
    entries = legend() + legend_entry(480, "median", INK, False)
    entries += legend_entry(580, "99 of 100 are faster", INK, True)
    return picture("How long a put takes", panels, entries)


def loads(measured: dict[str, Any]) -> list[tuple[str, str, str, Axis]]:
    """Title, table and key of each kind of load, and its axis."""
    offered = [row["offered/s"] for row in measured["open loop"]]
    tens = range(round(math.log10(min(offered))), math.ceil(math.log10(max(offered))) + 1)
    outstanding = sorted({row["outstanding"] for row in measured["closed loop"]})
    return [
        ("clients that do not wait", "open loop", "offered/s",
         Axis("offered load (puts per second)", [10**n for n in tens], True)),
        ("clients that wait for each answer", "closed loop", "outstanding",
         Axis("puts that wait for an answer at any time", outstanding, True)),
    ]


def lines(rows: list[dict[str, Any]], x: str, y: str, is_dashed: bool = False) -> list[Line]:
    return [
        Line(series, is_dashed, [(row[x], row[y]) for row in rows if row["replicas"] == replicas])
        for replicas, series in REPLICAS.items()
    ]


def picture(title: str, panels: list[str], entries: str, note: str = NOTE) -> str:
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="14">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{PAPER}"/>',
        f'<text x="{LEFT}" y="28" font-size="17" font-weight="bold" fill="{INK}">{title}</text>',
        entries,
        *panels,
        f'<text x="{LEFT}" y="{HEIGHT - 14}" font-size="12" fill="{INK}">{note}</text>',
        "</svg>",
        "",
    ])


def legend() -> str:
    return "\n".join(
        legend_entry(130 * place, series.name, series.colour, False, series)
        for place, series in enumerate(REPLICAS.values())
    )


def legend_entry(x: int, name: str, colour: str, is_dashed: bool, series: Series | None = None) -> str:
    x += LEFT
    sample = stroke(f"M{x} 50H{x + 30}", colour, is_dashed)
    dot = mark(x + 15, 50, series) if series else ""
    return f'{sample}{dot}<text x="{x + 38}" y="55" fill="{INK}">{name}</text>'


def stroke(path: str, colour: str, is_dashed: bool = False, width: float = 2) -> str:
    dashes = ' stroke-dasharray="6 5"' if is_dashed else ""
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def mark(x: float, y: float, series: Series) -> str:
    shapes = {
        "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"',
        "square": f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"',
        "triangle": f'<path d="M{x:.1f} {y - 5:.1f}L{x + 5:.1f} {y + 4:.1f}H{x - 5:.1f}Z"',
        "diamond": f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6Z"',
    }
    return f'{shapes[series.shape]} fill="{series.colour}"/>'


def panel(place: int, name: str, x: Axis, y: Axis, drawn: list[Line]) -> str:
    left = LEFT + place * (PANEL_WIDTH + GAP)
    bottom = TOP + PANEL_HEIGHT
    across, along = left + PANEL_WIDTH / 2, TOP + PANEL_HEIGHT / 2
    turned = f'transform="translate({left - 54} {along}) rotate(-90)"'
    parts = [
        f'<text x="{across}" y="{TOP - 12}" text-anchor="middle" fill="{INK}">{name}</text>',
        f'<text x="{across}" y="{bottom + 46}" text-anchor="middle" fill="{INK}">{x.label}</text>',
        f'<text {turned} text-anchor="middle" fill="{INK}">{y.label}</text>',
    ]
    for tick in y.ticks:
        at = bottom - y.place(tick, PANEL_HEIGHT)
        parts.append(stroke(f"M{left} {at:.1f}H{left + PANEL_WIDTH}", FAINT, width=1))
        label = f'text-anchor="end" fill="{INK}">{tick:,.10g}</text>'
        parts.append(f'<text x="{left - 8}" y="{at + 5:.1f}" {label}')
    for tick in x.ticks:
        at = left + x.place(tick, PANEL_WIDTH)
        parts.append(stroke(f"M{at:.1f} {TOP}V{bottom}", FAINT, width=1))
        label = f'text-anchor="middle" fill="{INK}">{tick:,}</text>'
        parts.append(f'<text x="{at:.1f}" y="{bottom + 20}" {label}')
    parts.append(stroke(f"M{left} {TOP}V{bottom}H{left + PANEL_WIDTH}", INK, width=1.5))
    parts += [draw_line(line, x, y, left, bottom) for line in drawn if line.points]
    return "\n".join(parts)


def draw_line(line: Line, x: Axis, y: Axis, left: float, bottom: float) -> str:
    places = [
        (left + x.place(at, PANEL_WIDTH), bottom - y.place(value, PANEL_HEIGHT))
        for at, value in line.points
    ]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    marks = "".join(mark(a, b, line.series) for a, b in places)
    return stroke(path, line.series.colour, line.is_dashed) + marks


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
