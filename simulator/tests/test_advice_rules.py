"""Each rule of the advice: a story that breaks it, and the nearest one that does not."""

from __future__ import annotations

import unittest

from simulator.advice import MOST_LINES
from simulator.advice.finding import MOST_CHARACTERS
from simulator.tests.trace_story import CLIENT, Story

FIVE = ("0000", "0001", "0002", "0003", "0004")


class Writes(unittest.TestCase):
    def elect(self, story: Story, leader: str, *voters: str) -> None:
        story.term += 1
        for voter in voters:
            story.send(leader, voter, "request_vote", term=story.term, leader="FFFF")
            story.send(voter, leader, "vote", term=story.term, granted=True, leader="FFFF")
        story.leader = leader
        story.send(leader, voters[0], "append", term=story.term, entries=[])

    def test_new_leader_without_an_acknowledged_write_is_told(self) -> None:
        story = Story()
        lost = story.put("0000", "a", followers=("0001",))
        self.elect(story, "0002", "0001")
        story.put("0002", "b")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.mids, advice.replicas), ("vote-check", (lost,), ("0002", "0000")))
        self.assertIn("5.4.1", advice.text)

    def test_new_leader_that_has_all_acknowledged_writes_is_right(self) -> None:
        story = Story()
        story.put("0000", "a", followers=("0001",))
        self.elect(story, "0001", "0002")
        story.put("0001", "b")
        self.assertEqual(story.kinds(), [])

    def test_new_leader_may_lack_a_write_that_a_snapshot_has_overtaken(self) -> None:
        story = Story()
        story.put("0000", "a", followers=("0001",))
        story.send("0001", "0002", "install_snapshot", data="eyJhIjogMX0=")
        self.elect(story, "0002", "0001")
        story.put("0002", "b")
        self.assertEqual(story.kinds(), [])

    def test_values_that_no_message_shows_lead_to_no_advice(self) -> None:
        story = Story()
        for leader, key in (("0000", "a"), ("0002", "b")):
            story.lead(leader)
            mid = story.ask(leader, key=key)
            story.send(leader, "0001", "append", data="c2VjcmV0")
            story.send("0001", leader, "appended")
            story.answer(leader, mid)
        self.assertEqual(story.kinds(), [])

    def test_values_in_forwarded_requests_alone_do_not_make_copies_visible(self) -> None:
        story = Story()
        for leader, key in (("0000", "a"), ("0002", "b")):
            story.lead(leader)
            mid = story.ask("0001", key=key)
            story.send("0001", leader, "forward", value=f"value-{mid}")
            story.send(leader, "0001", "append", data="c2VjcmV0")
            story.send("0001", leader, "appended")
            story.answer(leader, mid)
        self.assertEqual(story.kinds(), [])

    def test_heartbeats_do_not_stand_for_copies(self) -> None:
        story = Story()
        story.put("0000", "a")
        mid = story.ask("0000", key="b")
        story.replicate("0000", mid, "0001", acknowledge=False)
        story.lines.pop()  # the copy
        for follower in ("0001", "0002"):
            story.send("0000", follower, "heartbeat")
            story.send(follower, "0000", "alive")
        story.answer("0000", mid)
        story.replicate("0000", mid, "0001", "0002")
        self.assertEqual(story.kinds(), ["early-answer"])


class Reads(unittest.TestCase):
    def two_puts(self, story: Story) -> tuple[str, str]:
        return story.put("0000"), story.put("0000")

    def test_follower_that_answers_with_an_overwritten_value_is_told(self) -> None:
        story = Story()
        old, new = self.two_puts(story)
        read = story.get("0001", "k", f"value-{old}")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.mids), ("stale-follower", (read, new)))
        self.assertIn("0001, a follower of 0000,", advice.text)

    def test_read_that_overlaps_the_later_write_may_return_the_earlier_value(self) -> None:
        story = Story()
        old = story.put("0000")
        read = story.ask("0001", "get")
        story.put("0000")
        story.answer("0001", read, value=f"value-{old}")
        self.assertEqual(story.kinds(), [])

    def test_empty_answer_after_an_acknowledged_write_is_stale(self) -> None:
        story = Story()
        story.put("0000")
        story.get("0001", "k", "")
        self.assertEqual(story.kinds(), ["stale-follower"])

    def test_deposed_leader_that_serves_reads_is_told(self) -> None:
        story = Story()
        story.put("0000")
        story.lead("0001")
        story.put("0001", followers=("0002",))
        story.get("0000", "k", "value-00000000", leader="0000")
        [advice] = story.advice()
        self.assertEqual(advice.kind, "stale-leader")
        self.assertIn("0000, a leader that was deposed,", advice.text)

    def test_write_that_a_follower_acknowledged_without_its_leader_is_told(self) -> None:
        story = Story()
        story.put("0000")
        story.lead("0001")
        story.send("0001", "0000", "append", term=story.term, entries=[])
        lost = story.ask("0000")
        story.send("0000", "0002", "append", term=1, entries=[f"value-{lost}"])
        story.send("0002", "0000", "appended", term=1)
        story.answer("0000", lost)
        story.get("0001", "k", "value-00000000")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("follower-write", ("0001", "0000")))
        self.assertIn("which 0000, its follower, had acknowledged", advice.text)

    def test_write_that_is_gone_after_the_restart_of_a_majority_is_told(self) -> None:
        for restarted, cause in ((("0000", "0001"), "at the start"), (("0000",), "older log")):
            story = Story()
            story.put("0000")
            for replica in restarted:
                story.event("restart", replica=replica)
                story.event("back", replica=replica)
            story.lead("0001")
            story.send("0001", "0002", "append", term=story.term, entries=[])
            story.get("0001", "k", "")
            [advice] = story.advice()
            self.assertEqual(advice.kind, "lost-write")
            self.assertIn(cause, advice.text)

    def test_put_that_is_applied_a_second_time_is_told(self) -> None:
        for arrivals, kinds in ((2, ["applied-twice"]), (1, [])):
            story = Story()
            twice = story.ask("0000")
            for _ in range(arrivals - 1):
                story.send(CLIENT, "0000", "put", MID=twice, key="k", value=f"value-{twice}")
            story.replicate("0000", twice, "0001")
            first = story.get("0000", "k", f"value-{twice}")
            other = story.put("0000")
            again = story.get("0000", "k", f"value-{twice}")
            story.answer("0000", twice, "redirect")
            mids = [twice, first, other, again]
            story.end(linearizability={"verdict": "violation", "text": "", "mids": mids})
            self.assertEqual(story.kinds(), kinds)

    def test_leader_that_forgets_its_own_write_is_told(self) -> None:
        story = Story()
        old, _ = self.two_puts(story)
        story.get("0000", "k", f"value-{old}")
        self.assertEqual(story.kinds(), ["lost-write"])

    def test_value_that_no_client_has_put_is_told(self) -> None:
        story = Story()
        story.put("0000")
        story.get("0000", "k", "nonsense")
        self.assertEqual(story.kinds(), ["wrong-value"])

    def test_keys_with_other_operations_are_not_judged(self) -> None:
        story = Story()
        story.put("0000")
        story.get("0000", "k", "value-00000000x")
        mid = story.ask("0000", "append", value="x")
        story.send("0000", "0001", "append")
        story.send("0001", "0000", "appended")
        story.answer("0000", mid, result=16)
        self.assertEqual(story.kinds(), [])

    def test_contradiction_that_the_checker_has_found_comes_first(self) -> None:
        story = Story()
        story.put("0000", "other", followers=())
        old, _ = self.two_puts(story)
        read = story.get("0001", "k", f"value-{old}")
        verdict = {"verdict": "violation", "text": "", "mids": [read]}
        self.assertEqual(story.kinds()[0], "early-answer")
        story.lines.pop()
        story.end(linearizability=verdict)
        self.assertEqual(story.kinds(), ["stale-follower", "early-answer"])


class Elections(unittest.TestCase):
    def test_two_leaders_of_one_term_are_told(self) -> None:
        story = Story()
        story.put("0000")
        story.send("0000", "0001", "append", term=7)
        story.send("0002", "0001", "append", term=7, leader="0002")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("split-brain", ("0000", "0002")))

    def test_candidates_of_one_term_that_name_themselves_are_no_leaders(self) -> None:
        story = Story()
        story.put("0000")
        for candidate in ("0001", "0002"):
            story.send(candidate, "0000", "request_vote", term=7, leader=candidate)
        self.assertEqual(story.kinds(), [])

    def test_old_leader_that_acknowledges_after_the_newer_one_is_told_without_terms(self) -> None:
        story = Story(FIVE)
        story.put("0000", "a")
        for leader, key in (("0001", "b"), ("0000", "c")):
            story.leader = leader
            mid = story.ask(leader, key=key)
            for other in set(FIVE) - {"0000", "0001"}:
                story.send(leader, other, "copy", data=f"value-{mid}")
                story.send(other, leader, "copied", leader=leader)
            story.answer(leader, mid)
        self.assertEqual(story.kinds(), ["split-brain"])

    def test_leader_that_was_elected_again_is_no_old_one(self) -> None:
        story = Story()
        story.put("0000", "a")
        for leader in ("0001", "0000"):
            story.lead(leader)
            story.send("0002" if leader == "0001" else "0001", leader, "vote")
            story.send("0000", "0001", "hello", leader=leader)
            story.put(leader, f"by {leader}")
        self.assertEqual(story.kinds(), [])

    def vote(self, story: Story, candidate: str, **more: object) -> None:
        story.send("0002", candidate, "vote_response", **({"term": 5, "granted": True} | more))

    def test_two_votes_in_a_term_are_told_with_the_restart_between(self) -> None:
        story = Story()
        story.put("0000")
        self.vote(story, "0000")
        story.event("restart", replica="0002")
        story.event("back", replica="0002")
        self.vote(story, "0001")
        [advice] = story.advice()
        self.assertEqual(advice.kind, "two-votes")
        self.assertIn("after a restart", advice.text)

    def test_repeated_vote_refusals_and_pre_votes_are_right(self) -> None:
        story = Story()
        story.put("0000")
        self.vote(story, "0000")
        self.vote(story, "0000")
        self.vote(story, "0001", granted=False)
        self.vote(story, "0001", pre_vote=True)
        self.vote(story, "0001", term=6)
        self.assertEqual(story.kinds(), [])

    def test_votes_within_a_bundle_are_seen(self) -> None:
        story = Story()
        story.put("0000")
        for candidate in ("0000", "0001"):
            vote = {"type": "vote", "term": 5, "granted": True}
            story.send("0002", candidate, "bundle", messages=[vote])
        self.assertEqual(story.kinds(), ["two-votes"])

    def test_run_without_a_leader_is_told_with_the_most_frequent_message(self) -> None:
        story = Story()
        story.leader = "FFFF"
        for _ in range(9):
            story.send("0001", "0002", "request_vote")
        story.now = 5
        story.answer("0000", story.ask("0000", "get"), "redirect")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("no-leader", ("0001",)))
        self.assertIn("0001 sent 9 request_vote and received 0 messages", advice.text)

    def test_run_without_messages_between_replicas_has_no_leader(self) -> None:
        story = Story()
        story.now = 5
        story.answer("0000", story.ask("0000", "get"), "redirect", leader="FFFF")
        [advice] = story.advice()
        self.assertEqual(advice.kind, "no-leader")
        self.assertIn("No replica sent a message", advice.text)

    def test_broken_messages_are_not_told_as_no_messages(self) -> None:
        story = Story()
        story.add("f", "malformed message: from replica 0000: not JSON: b'x'", {"replicas": ["0000"]})
        story.now = 5
        story.answer("0000", story.ask("0000", "get"), "redirect", leader="FFFF")
        self.assertEqual(story.kinds(), ["malformed"])

    def kill_the_leader(self) -> Story:
        story = Story(FIVE)
        story.put("0000")
        story.send("0000", "0001", "append", term=1)
        story.event("kill", replica="0000")
        return story

    def test_leader_without_a_successor_is_told(self) -> None:
        story = self.kill_the_leader()
        story.answer("0001", story.ask("0001", "get"), "redirect")
        story.send("0002", "0001", "gossip")
        story.now += 4
        story.answer("0002", story.ask("0002", "get"), "redirect")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("no-leader", ("0000",)))
        self.assertIn("0000, the leader, was killed at 2.00", advice.text)
        self.assertIn("0002 has sent 1 gossip", advice.text)

    def test_leader_without_a_successor_is_no_mistake_without_requests_or_with_a_later_leader(self) -> None:
        idle = self.kill_the_leader()
        idle.now += 4
        idle.send("0002", "0001", "gossip")
        self.assertEqual(idle.kinds(), [])
        story = self.kill_the_leader()
        story.ask("0001", "get")
        story.lead("0002")
        story.send("0002", "0001", "append")
        story.event("kill", replica="0001")
        story.now += 4
        story.put("0002", followers=("0003", "0004"))
        self.assertEqual(story.kinds(), [])

    def test_terms_that_climb_without_a_fault_are_told(self) -> None:
        story = Story()
        story.now = 4
        story.put("0000")
        for term in range(2, 20):
            story.send("0001", "0002", "request_vote", term=term)
        self.assertEqual(story.kinds(), ["terms"])

    def test_terms_may_climb_in_a_partition(self) -> None:
        story = Story()
        story.now = 4
        story.put("0000")
        story.event("partition", side=["0000", "0002"])
        for term in range(2, 20):
            story.send("0001", "0002", "request_vote", fate="partition", term=term)
        self.assertEqual(story.kinds(), [])

    def change(self, story: Story) -> None:
        for turn in range(8):
            story.now += 1
            story.lead(story.replicas[turn % 2])
            for replica in story.replicas[:2]:
                story.send(replica, "0002", "beat")

    def test_leaders_that_change_without_a_fault_are_told(self) -> None:
        story = Story()
        story.now = 4
        self.change(story)
        story.put(story.leader)
        [advice] = story.advice()
        self.assertEqual(advice.kind, "leader-changes")
        self.assertRegex(advice.text, "^7 leaders without a fault, first 0001 at 6.")

    def test_leaders_may_change_by_faults(self) -> None:
        for begin, end in (("pause", "resume"), ("slow", "slow_end")):
            with self.subTest(begin):
                story = Story()
                story.now = 4
                story.event(begin, replica="0002", by=1)
                self.change(story)
                story.event(end, replica="0002")
                story.put(story.leader)
                self.assertEqual(story.kinds(), [])


class Traffic(unittest.TestCase):
    def send_many(self, story: Story, messages: int) -> None:
        for _ in range(messages):
            story.send("0001", "0000", "request_vote")

    def test_packet_storm_is_told_with_sender_type_and_rate(self) -> None:
        story = Story()
        story.put("0000")
        self.send_many(story, 600)
        story.add("f", "possible packet storm: more than 600 messages between replicas: ..", {})
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("storm", ("0001",)))
        self.assertIn("0001 sent 600 request_vote, 600 of them in second 2, when it received 1 messages", advice.text)

    def test_run_that_passed_near_a_storm_is_told(self) -> None:
        for most, kinds in ((1000, ["near-storm"]), (2000, [])):
            story = Story(settings={"max_packets": most})
            story.put("0000")
            self.send_many(story, 600)
            story.end("passed")
            self.assertEqual(story.kinds(), kinds, most)

    def test_flood_of_output_is_told_also_if_the_run_passed(self) -> None:
        story = Story()
        story.put("0000")
        for replica in ("0001", "0002"):
            text = f"replica {replica} printed 50,450 lines; the first 20,000 were kept"
            story.event("note", text=text)
        story.end("passed")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("flood", ("0001", "0002")))
        self.assertIn("0001 printed 50,450 lines, as 1 more", advice.text)

    def test_messages_to_itself_are_told(self) -> None:
        story = Story()
        story.put("0000")
        story.send("0000", "0000", "append")
        story.end("passed")
        self.assertEqual(story.kinds(), ["to-itself"])


class Answers(unittest.TestCase):
    def test_request_without_an_answer_is_told_with_its_replica(self) -> None:
        story = Story()
        story.put("0000")
        mid = story.ask("0001", "get")
        story.now += 2
        story.put("0000")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.mids, advice.replicas), ("unanswered", (mid,), ("0001",)))

    def test_request_to_a_dead_replica_or_shortly_before_the_end_may_stay_without_answer(self) -> None:
        story = Story()
        story.put("0000")
        story.ask("0001", "get")
        story.event("kill", replica="0001")
        story.now += 2
        story.put("0000")
        story.ask("0002", "get")
        self.assertEqual(story.kinds(), [])

    def test_cluster_without_a_majority_owes_no_answers(self) -> None:
        story = Story()
        story.put("0000")
        for replica in ("0001", "0002"):
            story.event("kill", replica=replica)
        story.ask("0000")
        story.now += 2
        story.event("note", text="end")
        self.assertEqual(story.kinds(), [])

    def test_requests_that_a_cut_off_leader_keeps_are_told(self) -> None:
        story = Story()
        story.put("0000")
        story.event("partition", side=["0001", "0002"])
        mid = story.ask("0000", key="b")
        story.send("0000", "0001", "append", fate="partition")
        story.now += 2
        story.event("heal")
        story.now += 5
        story.lead("0001")
        story.put("0001", "c")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.mids), ("cut-off", (mid,)))

    def test_entry_that_is_never_sent_again_is_told(self) -> None:
        story = Story()
        story.put("0000")
        mid = story.ask("0000", key="b")
        for follower in ("0001", "0002"):
            story.send("0000", follower, "append", fate="chance", entries=[f"value-{mid}"])
        story.now += 3
        story.put("0000", "c")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.mids, advice.replicas), ("no-repetition", (mid,), ("0000", "0001")))

    def test_request_in_a_circle_is_told_with_its_way(self) -> None:
        story = Story()
        story.now = 5
        story.put("0000")
        before = None
        for turn in range(20):
            replica, other = ("0001", "0002") if turn % 2 else ("0002", "0001")
            mid = story.ask(replica, "get", before=before)
            story.answer(replica, mid, "redirect", leader=other)
            before = mid
        [advice] = story.advice()
        self.assertEqual(advice.kind, "circle")
        self.assertIn("declined 20 times, at last from 0001 to 0002, 0002 to 0001, 0001 to 0002", advice.text)

    def test_declines_with_lost_messages_between_them_are_no_circle(self) -> None:
        for pause, kinds in ((0.6, []), (0.1, ["circle"])):
            story = Story(settings={"client_timeout": 0.5})
            story.now = 5
            story.put("0000")
            before = None
            for turn in range(20):
                replica, other = ("0001", "0002") if turn % 2 else ("0002", "0001")
                before = story.ask(replica, "get", before=before)
                story.answer(replica, before, "redirect", leader=other)
                story.now += pause
            self.assertEqual(story.kinds(), kinds)

    def test_leader_that_redirects_to_itself_is_told(self) -> None:
        story = Story()
        before = None
        for _ in range(4):
            mid = story.ask("0000", "get", before=before)
            story.answer("0000", mid, "redirect", leader="0000")
            before = mid
        [advice] = story.advice()
        self.assertEqual(advice.kind, "circle")
        self.assertIn(f"0000 redirected get {before} 4 times to itself", advice.text)

    def test_replica_that_hangs_is_told_with_what_it_was_sent(self) -> None:
        for heartbeats, kind in ((30, "hung"), (5, "unanswered")):
            story = Story()
            story.put("0000")
            mid = story.ask("0001", "get")
            for _ in range(heartbeats):
                story.now += 0.4
                story.send("0000", "0001", "append")
            story.put("0000", followers=("0002",))
            [advice] = story.advice()
            self.assertEqual((advice.kind, advice.mids, advice.replicas), (kind, (mid,), ("0001",)))

    def test_request_with_a_broken_answer_is_not_told_as_unanswered(self) -> None:
        story = Story()
        story.put("0000")
        story.ask("0001", "get")
        text = 'malformed message: from replica 0001: "MID" must be a string: ...'
        story.add("f", text, {"replicas": ["0001"]})
        story.now += 2
        story.put("0000")
        self.assertEqual(story.kinds(), ["malformed"])

    def test_second_answer_is_told_also_if_the_run_passed(self) -> None:
        story = Story()
        mid = story.put("0000")
        story.send("0001", CLIENT, "ok", MID=mid)
        story.end("passed")
        [advice] = story.advice()
        self.assertEqual((advice.kind, advice.replicas), ("duplicate", ("0001", "0000")))

    def test_flood_of_messages_to_clients_is_told_with_its_rate(self) -> None:
        for count, kinds in ((600, ["client-flood"]), (400, [])):
            with self.subTest(count):
                story = Story()
                story.put("0000")
                for number in range(count):
                    story.send("0001", CLIENT, "ok", MID=f"nothing-{number}")
                story.end("passed")
                self.assertEqual(story.kinds(), kinds)
        story.lines.pop()
        for number in range(600):
            story.send("0001", CLIENT, "ok", MID=f"nothing-{number}")
        [advice] = story.advice()
        self.assertIn("0001 sent 1,000 messages to clients, 1,000 of them in second 2, when it had 0 requests", advice.text)

    def test_many_answers_to_many_requests_are_no_flood(self) -> None:
        story = Story()
        for _ in range(600):
            story.put("0000")
        story.end("passed")
        self.assertEqual(story.kinds(), [])

    def test_answer_to_another_client_is_no_answer(self) -> None:
        story = Story()
        mid = story.ask("0000")
        story.send("0001", "0014", "ok", MID=mid)
        story.replicate("0000", mid, "0001", "0002")
        story.answer("0000", mid)
        self.assertEqual(story.kinds(), [])

    def test_answer_after_one_that_the_network_has_lost_is_a_duplicate(self) -> None:
        story = Story()
        mid = story.ask("0000")
        story.replicate("0000", mid, "0001", "0002")
        story.send("0001", CLIENT, "ok", "client", MID=mid)
        story.answer("0000", mid)
        [advice] = story.advice()
        self.assertIn(f"0000 answered {mid} at", advice.text)
        self.assertIn("which 0001 had answered already", advice.text)

    def test_answer_to_a_request_that_was_sent_again_is_no_duplicate(self) -> None:
        story = Story()
        mid = story.put("0000")
        story.send(CLIENT, "0001", "put", MID=mid, key="k", value="v")
        story.send("0001", CLIENT, "redirect", MID=mid)
        story.end("passed")
        self.assertEqual(story.kinds(), [])


class Lines(unittest.TestCase):
    def test_lines_are_few_and_short_whatever_names_replicas_choose(self) -> None:
        story = Story()
        for _ in range(600):
            story.send("0001", "0001", "\x1b[2J" + "type" * 1000, term=1 << 80)
        story.add("f", "possible packet storm", {})
        story.add("f", "malformed message: from replica 0001: longer than 16384 bytes: {", {"replicas": ["0001"]})
        story.event("end", replica="0002", text="quit with exit code 1, last lines of stderr:\n    " + "\x1b[2Jx" * 900)
        mid = story.put("0000", followers=())
        story.send("0000", CLIENT, "ok", MID=mid)
        story.send("0000", "FFF0", "ok")
        found = story.advice()
        self.assertEqual(len(found), MOST_LINES)
        for advice in found:
            self.assertLessEqual(len(advice.text), MOST_CHARACTERS)
            self.assertTrue(advice.text.isprintable(), advice.text)


if __name__ == "__main__":
    unittest.main()
