"""Medians over the rounds, as tables of Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

WORKLOADS = {"writes": 0, "half of each": 50, "reads": 100}
TITLES = {
    "kvstore": "kvstore, three replicas",
    "kvstore-read-index": "kvstore, `--reads read-index`",
    "etcd": "etcd, three members",
    "redis": "Redis, one node",
    "redis-wait": "Redis, one replica and WAIT",
}
_WAYS = {"leader": "", "shared": ", on one connection", "follower": ", at a follower"}
# The load of which the ratios are told.
_CLIENTS = 64


def report(measured: dict[str, Any]) -> str:
    """All tables of one comparison."""
    parts = [_about(measured)]
    parts += [_loads(measured["cells"], workload) for workload in WORKLOADS]
    parts += [_ratios(measured["cells"]), _busy(measured["cells"])]
    parts += [_memory(measured["memory"], measured["keys"]), _failovers(measured["failovers"])]
    return "\n".join(part for part in parts if part)


def middle(cells: Iterable[dict[str, Any]], key: str, **wanted: Any) -> float | None:
    """The median over the rounds of this figure of the cells that have these values."""
    found = [cell[key] for cell in cells if all(cell[name] == value for name, value in wanted.items())]
    return median(found) if found else None


def _about(measured: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    machine = f"{measured['cores']} cores, load before the run {measured['load_before']:.2f}"
    lines = [f"{versions}; {machine}; rounds: {measured['rounds']}, {measured['seconds']:g} s for each cell."]
    spreads = sorted(_spreads(measured["cells"]))
    if spreads:
        lines.append(
            f"The rates of the rounds of a cell lie {median(spreads):.0%} of their median apart at the "
            f"median of all cells, and {spreads[-1]:.0%} at most."
        )
    return "\n".join([*lines, ""])


def _spreads(cells: list[dict[str, Any]]) -> Iterator[float]:
    """How far the rates of the rounds are apart, beside their median, cell by cell."""
    rates: dict[tuple[Any, ...], list[float]] = {}
    for cell in cells:
        key = (cell["system"], cell["way"], cell["workload"], cell["clients"])
        rates.setdefault(key, []).append(cell["rate"])
    for found in rates.values():
        if len(found) > 1 and median(found) > 0:
            yield (max(found) - min(found)) / median(found)


def _loads(cells: list[dict[str, Any]], workload: str) -> str:
    """Rates and latencies of one workload: a row per system, a column per number of clients."""
    cells = [cell for cell in cells if cell["workload"] == workload]
    counts = sorted({cell["clients"] for cell in cells})
    rows = []
    for system, way in dict.fromkeys((cell["system"], cell["way"]) for cell in _in_order(cells)):
        own = [cell for cell in cells if (cell["system"], cell["way"]) == (system, way)]
        rows.append([TITLES[system] + _WAYS[way], *(_load(own, count) for count in counts)])
    head = [f"{workload}: requests per second (p50 / p99 / p99.9 in ms)"]
    return _table([*head, *(f"{count} client{'s' * (count != 1)}" for count in counts)], rows)


def _in_order(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The followers of all systems come after the leaders."""
    systems, ways = list(TITLES), list(_WAYS)
    return sorted(
        cells,
        key=lambda cell: (cell["way"] == "follower", systems.index(cell["system"]), ways.index(cell["way"])),
    )


def _load(cells: list[dict[str, Any]], clients: int) -> str:
    rate = middle(cells, "rate", clients=clients)
    if rate is None:
        return "-"
    latencies = [middle(cells, key, clients=clients) or 0 for key in ("p50_us", "p99_us", "p999_us")]
    return f"{digits(rate, 3)} ({' / '.join(digits(latency / 1e3, 2) for latency in latencies)})"


def _ratios(cells: list[dict[str, Any]]) -> str:
    peers = [cell for cell in _in_order(cells) if not cell["system"].startswith("kvstore")]
    rows = []
    for system, way in dict.fromkeys((cell["system"], cell["way"]) for cell in peers):
        row = [
            _ratio(cells, (system, way), workload, key)
            for workload in ("writes", "reads") for key in ("rate", "p99_us")
        ]
        if way != "follower" and any(ratio != "-" for ratio in row):
            rows.append([f"kvstore beside {TITLES[system]}{_WAYS[way].replace(',', ', both')}", *row])
    head = ["writes per second", "p99 of writes", "reads per second", "p99 of reads"]
    return _table([f"{_CLIENTS} clients, ratios", *head], rows)


def _ratio(cells: list[dict[str, Any]], peer: tuple[str, str], workload: str, key: str) -> str:
    wanted = {"workload": workload, "clients": _CLIENTS}
    system, way = peer
    own = middle(cells, key, system="kvstore", way=way, **wanted)
    other = middle(cells, key, system=system, way=way, **wanted)
    return digits(own / other, 2) if own and other else "-"


def _busy(cells: list[dict[str, Any]]) -> str:
    cells = [cell for cell in cells if cell["clients"] == _CLIENTS and cell["way"] == "leader"]
    rows = []
    for system in dict.fromkeys(cell["system"] for cell in _in_order(cells)):
        shares = [middle(cells, "busy", system=system, workload=workload) for workload in WORKLOADS]
        rows.append([TITLES[system], *("-" if share is None else f"{share:.2f}" for share in shares)])
    return _table([f"cores that the {_CLIENTS} clients took", *WORKLOADS], rows)


def _memory(memory: list[dict[str, Any]], keys: int) -> str:
    rows = []
    for system in TITLES:
        own = [entry for entry in memory if entry["system"] == system]
        if own:
            rows.append([TITLES[system], *(_megabytes(own, moment) for moment in ("filled", "end"))])
    head = ["resident memory in MB: all processes (the largest)", f"with {keys:,} keys", "after the load"]
    return _table(head, rows)


def _megabytes(entries: list[dict[str, Any]], moment: str) -> str:
    own = [entry["bytes"] for entry in entries if entry["moment"] == moment]
    if not own:
        return "-"
    total, largest = median(map(sum, own)), median(map(max, own))
    return f"{total / 1e6:.0f} ({largest / 1e6:.0f})"


def _failovers(failovers: list[dict[str, Any]]) -> str:
    rows = []
    for system in TITLES:
        own = [kill for kill in failovers if kill["system"] == system]
        if own:
            gaps = [kill["longest_gap_ms"] / 1e3 for kill in own]
            lost = f"{sum(kill['lost'] for kill in own)} of {sum(kill['acknowledged'] for kill in own):,}"
            rows.append([TITLES[system], str(len(own)), f"{median(gaps):.2f} s", f"{max(gaps):.2f} s", lost])
    head = ["kill -9 of the leader: time without service", "kills", "median", "longest"]
    return _table([*head, "acknowledged writes lost"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), ""])


def digits(value: float, count: int) -> str:
    """The value with so many digits that say something, and no exponent."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{count - 1}e}")
    behind = count - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(behind, 0)}f}"
