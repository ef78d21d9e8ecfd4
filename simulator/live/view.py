"""The table of the replicas, as the library `rich` draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.live.rows import Row, Rows, Snapshot, of_clients

_COLUMNS = ("replica", "state", "role", "term", "in/s", "out/s", "hears", "side")
# A table whose columns change their width is hard to read.
_WIDTHS = {"state": 8, "role": len("knows no leader"), "term": 4, "in/s": 6, "out/s": 6}
_NUMBERS = ("term", "in/s", "out/s")
_STATE_STYLES = {"alive": "green", "paused": "yellow", "slow": "yellow", "down": "yellow"}
_DEAD = "red"


class View:
    """The picture of a run of one cluster or of several."""

    def __init__(self) -> None:
        self._rows: list[Rows] = []

    def picture(self, shown: Mapping[str, Any]) -> RenderableType:
        clusters = shown["clusters"]
        if len(self._rows) != len(clusters):
            self._rows = [Rows() for _ in clusters]
        parts: list[RenderableType] = []
        for number, (rows, cluster) in enumerate(zip(self._rows, clusters, strict=True)):
            heading = _heading(shown, cluster) if number == 0 else cluster["name"]
            parts += [Text(heading, style="bold", no_wrap=True), _table(rows.add(cluster))]
            parts.append(Text(of_clients(cluster), no_wrap=True, overflow="ellipsis"))
            parts += [
                Text(event, style="dim", no_wrap=True, overflow="ellipsis") for event in cluster["events"]
            ]
        return Group(*parts)


def _heading(shown: Mapping[str, Any], cluster: Snapshot) -> str:
    name = f", {cluster['name']}" if len(shown["clusters"]) > 1 else ""
    return f"{shown['name']}{name}: {cluster['seconds']:.1f} s, {max(0.0, shown['left']):.0f} s left"


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    has_sides = any(row.side for row in rows)
    names = _COLUMNS if has_sides else _COLUMNS[:-1]
    for name in names:
        table.add_column(
            name, justify="right" if name in _NUMBERS else "left", no_wrap=True, min_width=_WIDTHS.get(name)
        )
    for row in rows:
        state = Text(row.state, style=_STATE_STYLES.get(row.state, _DEAD))
        role = Text(row.role, style=_role_style(row))
        side = Text(row.side, style="magenta" if row.side == "minority" else "cyan")
        rest = [Text(text) for text in (row.term, row.received, row.sent, row.hears)]
        table.add_row(Text(row.id), state, role, *rest, *([side] if has_sides else []))
    return table


def _role_style(row: Row) -> str:
    if row.is_deposed:
        return "bold yellow"
    return "bold green" if row.is_leader else ""
