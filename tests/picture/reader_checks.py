"""The page for readers who use a keyboard or a screen reader, or who see less contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from picture.page import Page

_CONTROLS = {
    "button", "combobox", "searchbox", "textbox", "application", "link", "img", "image", "DisclosureTriangle",
    "dialog", "complementary", "search",
}
_CONTRAST = Path(__file__).with_name("contrast.js").read_text()


class Reader(Page):
    def tree(self) -> list[dict[str, Any]]:
        """The nodes of Chromium's accessibility tree that a reader hears of."""
        self.browser.protocol("Accessibility.enable")
        nodes = self.browser.protocol("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]

    def test_each_control_has_a_name(self) -> None:
        for name in ("failed", "faults"):
            browser = self.open(name)
            browser.script("for (const box of document.querySelectorAll('details')) box.open = true")
            if name == "failed":
                browser.click(".failure:last-child .primary")
            with self.subTest(name=name):
                controls = [node for node in self.tree() if node["role"]["value"] in _CONTROLS]
                self.assertGreater(len(controls), 20)
                unnamed = [node for node in controls if not node.get("name", {}).get("value")]
                self.assertEqual([node["role"]["value"] for node in unnamed], [])

    def test_headings_and_live_regions_are_told(self) -> None:
        self.open("failed")
        roles = [node["role"]["value"] for node in self.tree()]
        for role in ("heading", "status", "main", "banner", "search", "region"):
            with self.subTest(role=role):
                self.assertIn(role, roles)

    def test_texts_have_enough_contrast(self) -> None:
        for theme in ("light", "dark"):
            for name in ("failed", "passed", "damaged"):
                browser = self.open(name, theme=theme)
                browser.script("for (const box of document.querySelectorAll('details')) box.open = true")
                if name == "failed":
                    browser.click(".failure:last-child .primary")
                with self.subTest(theme=theme, name=name):
                    self.assertEqual(browser.script(f"{_CONTRAST} return lowTexts()"), [])

    def test_texts_in_the_diagram_have_enough_contrast(self) -> None:
        for theme in ("light", "dark"):
            with self.subTest(theme=theme):
                browser = self.open("failed", theme=theme)
                self.assertEqual(browser.script(f"{_CONTRAST} return lowColours()"), [])

    def test_keyboard_reaches_the_place_of_a_failed_check_and_leaves_it_again(self) -> None:
        browser = self.open("failed")
        stops = []
        for _ in range(40):
            browser.press("tab")
            stops.append(browser.script("""
                const { id, className, textContent } = document.activeElement;
                return id || className || textContent;"""))
            if "primary" in stops[-1]:
                break
        self.assertIn("primary", stops[-1])
        browser.press("enter")
        self.assertEqual(browser.script("return document.activeElement.id"), "diagram")
        self.assertIn("incorrect", browser.text("#case-words"))
        browser.press("escape")
        self.assertEqual(self.status(), "Nothing is selected.")
        for _ in range(60):
            browser.press("tab")
            stops.append(browser.script("return document.activeElement.id"))
        self.assertIn("copy", stops, "no control holds the focus")

    def test_print_is_light_and_shows_the_failed_checks(self) -> None:
        browser = self.open("failed", theme="dark")
        browser.script("window.dispatchEvent(new Event('beforeprint'))")
        browser.protocol("Emulation.setEmulatedMedia", media="print")
        try:
            self.assertEqual(browser.script("return document.documentElement.dataset.theme"), "light")
            shown = "return document.querySelector(arguments[0]).checkVisibility()"
            self.assertTrue(browser.script(shown, ".failure h3"))
            self.assertFalse(browser.script(shown, ".tools"))
            self.assertEqual(browser.script(f"{_CONTRAST} return lowTexts()"), [])
        finally:
            browser.protocol("Emulation.setEmulatedMedia", media="")
            browser.script("window.dispatchEvent(new Event('afterprint'))")
