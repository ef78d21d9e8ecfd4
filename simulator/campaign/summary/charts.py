"""Small drawings as SVG: a pass rate with its interval, and a histogram."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH, _HEIGHT = 120, 16
_HISTOGRAM_HEIGHT = 28


def interval(rate: float, low: float, high: float) -> str:
    """A bar of the interval from `low` to `high` on a line from 0 to 1, with a tick at `rate`."""
    words = f"{rate:.1%} passed, between {low:.1%} and {high:.1%}"
    left, width = low * _WIDTH, max(1.0, (high - low) * _WIDTH)
    return (
        f'<svg class="interval" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{words}">'
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="8" y2="8"/>'
        f'<rect class="range" x="{left:.2f}" width="{width:.2f}" y="4" height="8"/>'
        f'<rect class="tick" x="{rate * (_WIDTH - 2):.2f}" width="2" y="1" height="14"/></svg>'
    )


def histogram(counts: Sequence[int]) -> str:
    """A bar per count; one of a single value is as high as one of a hundred."""
    most = max(counts)
    width = _WIDTH / len(counts)
    bars = []
    for number, count in enumerate(counts):
        if count:
            height = max(1.0, count / most * _HISTOGRAM_HEIGHT)
            bars.append(
                f'<rect x="{number * width:.2f}" width="{width - 0.5:.2f}" '
                f'y="{_HISTOGRAM_HEIGHT - height:.2f}" height="{height:.2f}"/>'
            )
    words = f"{sum(counts)} runs in {len(counts)} equal parts: {', '.join(map(str, counts))}"
    return (
        f'<svg class="histogram" viewBox="0 0 {_WIDTH} {_HISTOGRAM_HEIGHT}" role="img" aria-label="{words}">'
        f"{''.join(bars)}</svg>"
    )
