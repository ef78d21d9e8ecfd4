"""The page of a run in a browser: looks, meaning, zoom, search, selection."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from picture.page import DIAGRAM, DOWN, UP, Page, messages, records


class Looks(Page):
    def test_page_fits_its_window_in_both_themes(self) -> None:
        papers = {"light": "rgb(245, 246, 248)", "dark": "rgb(14, 19, 25)"}
        for name, width, theme in product(("passed", "failed", "damaged"), (1280, 400), papers):
            with self.subTest(name=name, width=width, theme=theme):
                browser = self.open(name, width, theme)
                self.assertLessEqual(browser.script("return document.documentElement.scrollWidth"), width)
                paper = browser.script("return getComputedStyle(document.body).backgroundColor")
                self.assertEqual(paper, papers[theme])

    def test_every_canvas_shows_something(self) -> None:
        browser = self.open("passed")
        for canvas in ("diagram", "overview", "latency", "distribution", "rates"):
            with self.subTest(canvas=canvas):
                colours = browser.script("""
                    const canvas = document.getElementById(arguments[0]);
                    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                    return new Set(new Uint32Array(data.buffer)).size;""", canvas)
                self.assertGreater(colours, 3)

    def test_run_that_did_not_start_says_why(self) -> None:
        verdict = self.open("no start").text("#verdict")
        self.assertIn("Did not start", verdict)
        self.assertIn("last lines of stderr: no thanks", verdict)

    def test_runs_of_all_sizes_are_drawn(self) -> None:
        for name, least in {"no messages": 0, "no replicas": 4_000, "21 replicas": 4_000}.items():
            for width in (1280, 400):
                with self.subTest(name=name, width=width):
                    browser = self.open(name, width)
                    is_damaged = "return document.getElementById('damage').checkVisibility()"
                    self.assertFalse(browser.script(is_damaged))
                    self.assertGreaterEqual(browser.script("return picture.run.sent.length"), least)
                    self.assertLessEqual(browser.script("return document.documentElement.scrollWidth"), width)

    def test_theme_that_is_chosen_wins_over_that_of_the_system(self) -> None:
        browser = self.open("passed", theme="light")
        before = browser.script("return picture.palette.card")
        browser.script("""
            const theme = document.getElementById("theme");
            theme.value = "dark";
            theme.dispatchEvent(new Event("change"));""")
        self.assertNotEqual(browser.script("return picture.palette.card"), before)
        browser.script("localStorage.clear()")

    def test_verdict_and_tiers_are_on_top(self) -> None:
        browser = self.open("passed")
        self.assertIn("Passed", browser.text("#verdict"))
        self.assertIn("Partial credit", browser.text("#tiers"))
        self.assertIn("25 ms", browser.text("#tiers"))

    def test_damaged_trace_is_drawn_up_to_its_damage_and_replicas_write_no_markup(self) -> None:
        browser = self.open("damaged")
        self.assertIn("line 501", browser.text("#damage"))
        self.assertIn("No verdict", browser.text("#verdict"))
        self.assertEqual(browser.text("#scenario")[:4], "<img")
        self.assertNotIn("hacked", browser.script("return document.title.slice(0, 6)"))
        self.assertGreater(browser.script("return picture.run.sent.length"), 100)


class Meaning(Page):
    def test_leaders_and_terms_follow_the_messages(self) -> None:
        browser = self.open("events")
        leaders = browser.script("""
            return picture.periods.leaders.map((periods) =>
                periods.map(({ from, to, leader, term }) => [from, to, leader, term]));""")
        self.assertEqual(leaders[0], [[1_000, 50_000, 0, 1]])
        self.assertEqual(
            leaders[1], [[2_000, 80_000, 0, 1], [80_000, 90_000, -1, 2], [90_000, 100_000, 1, 2]]
        )

    def test_pauses_kills_and_restarts_last_as_long_as_they_do(self) -> None:
        browser = self.open("events")
        silences = browser.script("""
            const { downs, pauses } = picture.periods;
            return [...downs, ...pauses].flat().map(({ from, to, why }) => [from, to, why]);""")
        self.assertEqual(silences, [
            [50_000, 100_000, "killed"], [60_000, 70_000, "restarting"], [3_000, 4_000, "paused"],
        ])

    def test_each_cut_has_its_sides_until_the_next_one_or_the_end(self) -> None:
        browser = self.open("events")
        cuts = browser.script("""
            return picture.periods.partitions.map(({ from, to, sides }) => [from, to, sides]);""")
        a, b = "side-a", "side-b"
        self.assertEqual(cuts, [
            [20_010, 30_000, [a, a, None, b, b]], [20_020, 30_000, [b, b, None, a, a]],
            [30_000, 40_000, [a, a, a, b, b]],
        ])

    def test_marks_are_in_the_words_of_the_run_and_each_moment_has_its_own(self) -> None:
        browser = self.open("events")
        marks = browser.script("return picture.diagram.marks.map(({ text }) => text)")
        self.assertEqual(marks, [
            "0002 paused", "0002 continues", "part_bridge: over 0002", "part_bridge: over 0002",
            "part_easy: majority side 0000 0001 0002", "part_end: healed", "0000 killed",
            "0003 killed, starts again", "0003 joined again", 'unheard of {"a":1}',
        ])

    def test_lost_messages_and_those_without_a_fate_are_told_apart(self) -> None:
        browser = self.open("events")
        browser.script("document.getElementById('view-box').open = true")
        browser.wait("document.querySelectorAll('#view-table tbody tr').length === 4")
        table = browser.text("#view-table")
        self.assertIn("lost: chance", table)
        self.assertIn("still on its way at the end", table)


    def test_flap_has_one_mark_and_all_of_its_cuts(self) -> None:
        browser = self.open("faults")
        marks = browser.script("return picture.diagram.marks.map(({ text }) => text)")
        self.assertEqual(marks, [
            "flap: 0002 loses and regains its links, 500 µs after write_acknowledged",
            "slow: 0003 takes 0.05 s longer", "0003 is as fast as before",
        ])
        self.assertEqual(browser.script("return picture.periods.partitions.length"), 20)
        browser.script("document.getElementById('events-box').open = true")
        self.assertEqual(browser.text("#events").count("flap"), 1)

    def test_slow_replica_damaged_message_and_full_link_are_named(self) -> None:
        browser = self.open("faults")
        slow = browser.script("return picture.periods.slows[3].map(({ from, to, why }) => [from, to, why])")
        self.assertEqual(slow, [[460_000, 490_000, "slow, +50 ms"]])
        browser.script("picture.search('damaged')")
        self.assertIn("damaged on its way", self.status())
        self.assertIn("appenn", browser.text("#item-body"))
        browser.script("picture.search('lost:overflow')")
        self.assertIn("lost: overflow", self.status())
        browser.script("picture.view.show(8e6, 8.1e6); picture.diagram.draw()")
        self.assertEqual(browser.script("return picture.diagram.shown"), [2], "it is still on its way")


class Zoom(Page):
    def test_buttons_zoom_in_and_out_and_show_all(self) -> None:
        browser = self.open("passed")
        whole = self.span()
        browser.click("#zoom-in")
        self.assertLess(self.span(), whole / 2)
        browser.click("#zoom-out")
        self.assertAlmostEqual(self.span(), whole, delta=1)
        browser.click("#zoom-in")
        browser.click("#zoom-all")
        self.assertAlmostEqual(self.span(), whole, delta=1)

    def test_keys_zoom_and_move(self) -> None:
        browser = self.open("passed")
        whole = self.span()
        browser.script("picture.diagram.canvas.focus()")
        browser.press("+", "+", "+", "+")
        zoomed, (start, _) = self.span(), self.view()
        self.assertLess(zoomed, whole / 4)
        browser.press("right")
        self.assertAlmostEqual(self.view()[0], start + zoomed / 8, delta=1)
        browser.press("left", "-")
        self.assertAlmostEqual(self.span(), zoomed * 1.5, delta=1)
        browser.press("0")
        self.assertAlmostEqual(self.span(), whole, delta=1)

    def test_wheel_zooms_around_the_pointer_once_the_diagram_has_the_focus(self) -> None:
        browser = self.open("passed")
        whole = self.span()
        turn = """return picture.diagram.canvas.dispatchEvent(
            new WheelEvent("wheel", { deltaY: -200, clientX: 640, bubbles: true, cancelable: true }))"""
        self.assertTrue(browser.script(turn), "the page scrolls")
        self.assertEqual(self.span(), whole)
        browser.script("picture.diagram.canvas.focus()")
        self.assertFalse(browser.script(turn), "the page does not scroll")
        self.assertLess(self.span(), whole)

    def test_drag_moves_the_view(self) -> None:
        browser = self.open("passed")
        browser.click("#zoom-in")
        start, _ = self.view()
        browser.script("document.getElementById('space-time').scrollIntoView()")
        pull = {"type": "pointerMove", "duration": 50, "x": -200, "y": 0, "origin": "pointer"}
        browser.point(DIAGRAM, 800, 200, DOWN, pull, UP)
        expected = start + 200 / browser.script("return picture.layout.plotWidth") * self.span()
        self.assertAlmostEqual(self.view()[0], expected, delta=self.span() / 100)

    def test_two_fingers_zoom(self) -> None:
        browser = self.open("passed", width=400)
        whole = self.span()
        browser.script("document.getElementById('diagram').scrollIntoView()")
        box = browser.box(DIAGRAM)

        def touch(kind: str, *xs: float) -> None:
            points = [{"x": box["x"] + x, "y": box["y"] + 200, "id": i} for i, x in enumerate(xs)]
            browser.protocol("Input.dispatchTouchEvent", type=kind, touchPoints=points)

        touch("touchStart", 150, 200)
        for wide in (20, 40, 60, 80):
            touch("touchMove", 150 - wide, 200 + wide)
        touch("touchEnd")
        self.assertLess(self.span(), whole / 2)


class Search(Page):
    def search(self, query: str) -> int:
        browser = self.browser
        browser.script("document.getElementById('query').value = ''")
        browser.type("#query", query)
        browser.press("enter")
        count: int = browser.script("return picture.hits.length")
        return count

    def test_search_finds_messages_by_mid_key_replica_type_and_loss(self) -> None:
        self.open("failed")
        all_messages = list(messages())
        put = next(m for m in all_messages if m[5]["type"] == "put")
        mid, key = put[5]["MID"], put[5]["key"]

        def having(text: str) -> int:
            return sum(f'"{text}"' in json.dumps(m[5], ensure_ascii=False) for m in all_messages)

        expected = {
            f"mid:{mid}": having(mid), f"key:{key}": having(key),
            "append_ack": sum(m[5]["type"] == "append_ack" for m in all_messages),
            "replica:0003 append": sum(
                "0003" in m[3:5] and m[5]["type"] == "append" for m in all_messages
            ),
            "lost:chance": sum(m[6] == "chance" for m in all_messages),
            "from:0000 to:0002 type:append": sum(m[3:5] == ["0000", "0002"] for m in all_messages),
        }
        for query, count in expected.items():
            with self.subTest(query=query):
                self.assertGreater(count, 0)
                self.assertEqual(self.search(query), count)

    def test_search_finds_log_lines_events_and_faults(self) -> None:
        browser = self.open("failed")
        expected = {
            "log:timeout": "0001 printed at", "event:PAUSED": "0003 paused",
            "incorrect value": "Fault: incorrect",
        }
        for query, text in expected.items():
            with self.subTest(query=query):
                self.assertEqual(self.search(query), 1)
                self.assertIn(text, self.status())
                time = browser.script("return picture.hits.records[0].time")
                start, end = self.view()
                self.assertTrue(start <= time <= end)
        self.assertGreater(self.search("0003"), self.search("replica:0003 type:append"))
        self.search("0003")
        self.assertRegex(browser.text("#hits"), r"^\d+ of [\d,]+: [\d,]+ messages, 2 events$")

    def test_next_and_previous_go_through_the_hits(self) -> None:
        browser = self.open("failed")
        self.search("append_ack")
        first = self.status()
        browser.click("#next")
        self.assertNotEqual(self.status(), first)
        self.assertRegex(browser.text("#hits"), r"^2 of [\d,]+ messages$")
        browser.click("#previous")
        self.assertEqual(self.status(), first)

    def test_search_without_a_hit_says_so(self) -> None:
        browser = self.open("failed")
        self.assertEqual(self.search("there is no such text"), 0)
        self.assertEqual(browser.text("#hits"), "Nothing matches.")


class Selection(Page):
    def test_click_on_a_request_shows_its_content_and_its_path(self) -> None:
        puts = [m for m in messages() if m[5]["type"] == "put" and m[1] > 2_000_000]
        for parity, how in enumerate(("key and value", "MID")):
            with self.subTest(how=how):
                self.click_on(next(put for put in puts if int(put[5]["MID"], 16) % 2 == parity))

    def click_on(self, put: list[Any]) -> None:
        """Click on a message, whose content and path must be shown then."""
        browser = self.open("failed")
        message = browser.script(
            "return picture.run.mid.findIndex((mid) => picture.run.mids[mid] === arguments[0])", put[5]["MID"]
        )
        browser.script("""
            const { run } = picture;
            picture.zoomTo(run.sent[arguments[0]], run.arrives[arguments[0]] + 800);""", message)
        browser.script("document.getElementById('space-time').scrollIntoView()")
        x, y = self.place_of(message)
        browser.point(DIAGRAM, x, y, DOWN, UP)
        self.assertIn(put[5]["value"], browser.text("#item-body"))
        self.assertIn(f"put from {put[3]} to {put[4]}", self.status())
        parts = browser.text("#path-table")
        self.assertEqual(parts.count("copies it"), 4)
        self.assertIn("answer", parts)

    def test_pointer_over_a_message_shows_its_content(self) -> None:
        browser = self.open("failed")
        browser.script("picture.zoomTo(picture.run.sent[100], picture.run.arrives[100], 20)")
        browser.script("document.getElementById('space-time').scrollIntoView()")
        x, y = self.place_of(100)
        browser.point(DIAGRAM, x, y)
        self.assertIn('"src"', browser.text("#tip"))

    def test_keys_choose_a_lane_a_message_and_the_path_of_its_request(self) -> None:
        browser = self.open("failed")
        browser.script("picture.zoomTo(2e6, 2.01e6); picture.diagram.canvas.focus()")
        browser.press("down", "down")
        self.assertEqual(self.status(), "Lane of replica 0001.")
        browser.press("n")
        self.assertIn("append from 0000 to 0001", self.status())
        browser.press("enter")
        self.assertIn("Path of put", browser.text("#path-title"))
        browser.press("escape")
        self.assertEqual(self.status(), "Nothing is selected.")

    def test_failed_checks_lead_to_their_operations(self) -> None:
        browser = self.open("failed")
        browser.click(".failure:last-child .primary")
        marked = browser.script("""
            const { run, marked } = picture;
            return marked.map((i) => run.mids[run.operationMid[i]]);""")
        self.assertEqual(marked, ["00000001", "00000003"])
        start, end = self.view()
        begun = [record for record in records if isinstance(record, list) and record[0] == "q"]
        times = [record[1] for record in begun if record[2] in marked]
        self.assertTrue(start < min(times) and max(times) < end)
        self.assertIn("Sent at", self.status())
        self.assertIn("get 00000003 is older", browser.text("#case"))
        browser.click("#case-steps button")
        self.assertIn("Path of", browser.text("#path-title"))
        browser.click("#clear")
        self.assertFalse(browser.script("return document.getElementById('case').checkVisibility()"))

    def test_fault_leads_to_its_moment(self) -> None:
        browser = self.open("failed")
        browser.click("#faults-list button")
        self.assertIn("Fault: incorrect value", self.status())
        self.assertEqual(len(browser.script("return picture.marked")), 1)

    def test_type_that_is_hidden_is_not_drawn(self) -> None:
        browser = self.open("failed")
        browser.script("picture.zoomTo(2e6, 2.05e6)")
        browser.script("picture.diagram.draw()")
        before = browser.script("return picture.diagram.shown.length")
        browser.click("#legend-peers button")
        browser.script("picture.diagram.draw()")
        self.assertLess(browser.script("return picture.diagram.shown.length"), before)
        pressed = browser.script("return document.querySelector('#legend-peers button').ariaPressed")
        self.assertEqual(pressed, "false")

    def test_messages_in_view_are_a_table(self) -> None:
        browser = self.open("failed")
        browser.script("picture.zoomTo(2e6, 2.1e6); document.getElementById('view-box').open = true")
        browser.wait("document.querySelectorAll('#view-table tbody tr').length > 2")
        self.assertIn("append", browser.text("#view-table"))
