#!/usr/bin/env python3
"""Opens reports of runs in a headless Chromium, and uses them as a person would.

    tests/picture/run.py                     skips with a line where Chromium is missing
    tests/picture/run.py --pictures target   writes pictures of all themes and widths besides
    tests/picture/run.py --frames            measures how smoothly 200,000 messages move

Needs chromium and chromedriver (Debian: chromium, chromium-driver). Exit code 1 if a check fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from picture import page, page_checks, reader_checks, summary_checks, verdict_checks
from picture.browser import Browser, MissingError, programs
from simulator import picture
from simulator.tests import synthetic_trace

_WIDTHS, _THEMES = (1280, 400), ("light", "dark")
_MANY = 200_000
_SPANS = {"the whole run": 30e6, "a second": 1e6, "5 ms": 5e3}


def main() -> int:
    chosen = _arguments()
    try:
        programs()
    except MissingError as error:
        print(f"skipped: {error}")
        return 0
    with tempfile.TemporaryDirectory() as directory:
        page.prepare(Path(directory))
        verdict_checks.prepare(Path(directory))
        summary_checks.prepare(Path(directory))
        loader = unittest.defaultTestLoader
        modules = (page_checks, reader_checks, summary_checks, verdict_checks)
        suite = unittest.TestSuite(map(loader.loadTestsFromModule, modules))
        has_passed = unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful()
        if chosen.pictures:
            _take_pictures(chosen.pictures)
        if chosen.frames:
            _measure_frames(Path(directory))
    return 0 if has_passed else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=Path, metavar="DIRECTORY", help="write pictures there")
    parser.add_argument("--frames", action="store_true", help="measure frames per second")
    return parser.parse_args()


def _take_pictures(directory: Path) -> None:
    browser = Browser()
    try:
        for width in _WIDTHS:
            for theme in _THEMES:
                browser.prefer(theme)
                browser.resize(width, 900)
                browser.open(page.pages["failed"])
                path = directory / f"report-{width}-{theme}.png"
                browser.screenshot(path)
                print(path)
    finally:
        browser.close()


def _measure_frames(directory: Path) -> None:
    trace, html = directory / "many.trace", directory / "many.html"
    synthetic_trace.write(trace, _MANY)
    picture.write(trace, html)
    print(f"{_MANY:,} messages: a page of {html.stat().st_size:,} bytes")
    browser = Browser()
    try:
        browser.resize(1280, 900)
        browser.open(html)
        _tell_first_picture(browser)
        for name, span in _SPANS.items():
            _tell_frames(browser, f"moving {name}", f"view.pan({span} / 200 * (frames < 60 ? 1 : -1))", span)
        zoom = "view.zoom(frames < 60 ? 0.86 : 1 / 0.86, 1.2e7)"
        _tell_frames(browser, "zooming from the whole run to 4 ms and back", zoom, _SPANS["the whole run"])
        browser.script("picture.showPath(picture.run.invoked.length >> 1)")
        _tell_frames(browser, "zooming with a path", zoom, _SPANS["the whole run"])
    finally:
        browser.close()


def _tell_first_picture(browser: Browser) -> None:
    """The seconds from the begin of loading until something, and then the run, is drawn."""
    first, ready = browser.asynchronously("""
        requestAnimationFrame(() => setTimeout(() => {
            const [paint] = performance.getEntriesByName("first-contentful-paint");
            done([paint?.startTime ?? NaN, performance.getEntriesByName("drawn")[0].startTime]);
        }));""")
    print(f"first paint after {first / 1000:.2f} s, the run is drawn after {ready / 1000:.2f} s")


def _tell_frames(browser: Browser, name: str, act: str, span: float) -> None:
    """The frames per second while `act` changes the view, and the longest frame."""
    rate, longest = browser.asynchronously(f"""
        const [start, view] = [performance.now(), picture.view];
        let [frames, before, longest] = [0, start, 0];
        view.show(1e7, 1e7 + {span});
        const step = (now) => {{
            if (frames > 1) longest = Math.max(longest, now - before);
            before = now;
            {act};
            picture.diagram.draw();
            if (++frames < 120) requestAnimationFrame(step);
            else done([frames / (performance.now() - start) * 1000, longest]);
        }};
        requestAnimationFrame(step);""")
    print(f"{name}: {rate:.0f} frames per second, the longest takes {longest:.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
