"""The page of a campaign: its width, contrast, failures and copy button."""

from __future__ import annotations

import json
from pathlib import Path

from picture import page
from picture.page import Page
from simulator.campaign import session
from simulator.campaign.job import Job, Outcome
from simulator.campaign.numbers import Seeds, Shard
from simulator.campaign.plan import Plan
from simulator.campaign.store import Store
from simulator.campaign.summary import page as summary
from simulator.campaign.tally import Tally
from simulator.tests.support import ROOT

_CONTRAST = Path(__file__).with_name("contrast.js").read_text()
_COMMAND = "./run.py configs/crash-4.json --seed=3 --replica='a <b> & c'"
_TEXT = "Linearizable history: no\n  client  operation" + " " * 200 + "time"


def prepare(directory: Path) -> None:
    """Write the page of a campaign of two scenarios in which one run failed."""
    out = directory / "campaign"
    out.mkdir()
    configs = [ROOT / "configs" / name for name in ("simple-1.json", "crash-4.json")]
    plan = Plan.of(configs, Seeds.of("1..30"), Shard(), Job(configs[0], 0), configs[0])
    store, tally = Store(out), Tally(plan, [out / "results.jsonl"])
    for job in plan.jobs():
        metrics = {"total_msgs": 400.0 + job.seed % 7, "median_latency": 0.0002 * job.seed, "failover": 0.5}
        outcome = Outcome(job.key, job.config_name, job.seed, "passed", metrics=dict(metrics), seconds=30.5)
        if job.seed == 3 and job.config == configs[1]:
            outcome = Outcome(
                job.key, job.config_name, job.seed, "failed", "Linearizable history: no",
                ({"name": "Linearizable history", "text": _TEXT},), advice=("ask a quorum",),
                command=_COMMAND, kept="kept/crash-4-3",
            )
        tally.add(outcome, (0, store.append(outcome)))
    store.close()
    session.write(tally, out)
    page.pages["campaign"] = out / summary.FILE


class Summary(Page):
    def test_page_is_no_wider_than_its_window(self) -> None:
        for width in (1280, 400):
            browser = self.open("campaign", width)
            browser.script("document.querySelector('details').open = true")
            self.assertEqual(browser.script("return document.documentElement.scrollWidth"), width)

    def test_texts_have_enough_contrast(self) -> None:
        for theme in ("light", "dark"):
            browser = self.open("campaign", theme=theme)
            browser.script("document.querySelector('details').open = true")
            self.assertEqual(browser.script(f"{_CONTRAST} return lowTexts()"), [])

    def test_failure_is_opened_and_its_command_copied_by_keyboard(self) -> None:
        browser = self.open("campaign")
        browser.script("document.querySelector('summary').focus()")
        browser.press("enter")
        self.assertTrue(browser.script("return document.querySelector('details').open"))
        self.assertIn("ask a quorum", browser.text("details"))
        # The wide text before the button takes the focus, too, so that arrows scroll it.
        browser.press("tab", "tab")
        self.assertEqual(browser.script("return document.activeElement.className"), "copy")
        browser.press("enter")
        browser.wait("document.querySelector('button.copy').textContent != 'copy'")
        if browser.text("button.copy") == "selected":
            self.assertEqual(browser.script("return String(getSelection())"), _COMMAND)
        shown = browser.script("return document.querySelector('.command code').textContent")
        self.assertEqual(json.dumps(shown), json.dumps(_COMMAND))

    def test_each_drawing_has_words_for_a_screen_reader(self) -> None:
        browser = self.open("campaign")
        labels = browser.script("return [...document.querySelectorAll('svg')].map((one) => one.ariaLabel)")
        self.assertEqual(len(labels), 2 + 2 * 3)
        self.assertTrue(all(labels))
