"""A headless Chromium, driven through chromedriver by the W3C WebDriver protocol."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_START_SECONDS = 30
_ANSWER_SECONDS = 60
KEYS = {
    "left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015",
    "enter": "\ue007", "tab": "\ue004", "escape": "\ue00c",
}


class MissingError(Exception):
    """Chromium or its driver is not installed."""


class BrowserError(Exception):
    """A refused command, or a script of the page that failed."""


def programs() -> tuple[str, str]:
    """Chromium and its driver."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise MissingError("chromium and chromedriver are not installed")
    return chromium, driver


class Browser:
    """One window of its own process. `close` ends it."""

    def __init__(self) -> None:
        chromium, driver = programs()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        port = _free_port()
        self._driver = subprocess.Popen(
            [driver, f"--port={port}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._base = f"http://127.0.0.1:{port}"
        flags = [*_FLAGS, f"--user-data-dir={self._profile.name}"]
        options = {"binary": chromium, "args": flags}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            self._wait_for_driver()
            made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        except BaseException:
            self._end()
            raise
        self._base += f"/session/{made['sessionId']}"

    def close(self) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._end()

    def _end(self) -> None:
        self._driver.terminate()
        self._driver.wait()
        self._profile.cleanup()

    def _wait_for_driver(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._call("GET", "/status")
                return
            except OSError:
                if time.monotonic() > deadline or self._driver.poll() is not None:
                    raise BrowserError("chromedriver does not start") from None
                time.sleep(0.05)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"]) from None

    def protocol(self, command: str, **parameters: Any) -> Any:
        """A command of the Chrome DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width: int, height: int) -> None:
        self.protocol(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """The colour scheme of the system, "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.protocol("Emulation.setEmulatedMedia", features=[feature])

    def open(self, page: Path) -> None:
        """Open a report, and wait until it has drawn its run or has said why it cannot."""
        self._call("POST", "/url", {"url": page.resolve().as_uri()})
        self.wait("document.documentElement.dataset.ready || !document.getElementById('damage').hidden")

    def wait(self, condition: str) -> None:
        """Wait until a condition of the page holds."""
        self.asynchronously(
            "const look = () => (" + condition + ") ? done(true) : requestAnimationFrame(look); look();"
        )

    def script(self, script: str, *arguments: Any) -> Any:
        """The value that a script of the page returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def asynchronously(self, script: str) -> Any:
        """The value that a script of the page hands to `done`."""
        script = f"const done = arguments[arguments.length - 1]; {script}"
        return self._call("POST", "/execute/async", {"script": script, "args": []})

    def find(self, selector: str) -> str:
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def click(self, selector: str) -> None:
        self._call("POST", f"/element/{self.find(selector)}/click")

    def text(self, selector: str) -> str:
        return str(self._call("GET", f"/element/{self.find(selector)}/text"))

    def type(self, selector: str, text: str) -> None:
        self._call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, in the element that has the focus."""
        codes = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": code} for code in codes for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def point(self, selector: str, x: float, y: float, *further: dict[str, Any]) -> None:
        """Move the mouse to a place inside an element, and carry out further actions."""
        box = self.box(selector)
        move = {"type": "pointerMove", "duration": 0, "x": round(box["x"] + x), "y": round(box["y"] + y)}
        pointer = {
            "type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"},
            "actions": [move, *further],
        }
        self._call("POST", "/actions", {"actions": [pointer]})

    def box(self, selector: str) -> dict[str, float]:
        """The place of an element in the window."""
        box: dict[str, float] = self.script(
            "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector
        )
        return box

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        taken = self.protocol("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """The messages of the page on the console since the last call."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
