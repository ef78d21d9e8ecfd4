#!/usr/bin/env python3
"""A linearizable key-value store: Raft in one file of Python, made to be read.

    ./run.py --replica simulator/examples/replica.py configs/partition-4.json

`Replica` is the protocol without input and output: `step` takes the messages that have arrived, and
returns the messages to send. `Connection` and `Disk` do the rest. Sections in brackets are those of
the Raft paper (Ongaro and Ousterhout, 2014), and of Ongaro's dissertation where it says so.

Four kinds of messages pass between replicas. `request_vote` and `vote` elect a leader. `append`
carries entries of the log, or none as a heartbeat, and `appended` is its answer.

There are no snapshots, so the memory of a replica grows with its log.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

Message = dict[str, Any]

UNKNOWN = "FFFF"
FOLLOWER, CANDIDATE, LEADER = "follower", "candidate", "leader"

# A follower waits between one and two of these for its leader, and a leader one for a quorum.
ELECTION_SECONDS = 0.5
# The leader sends to each follower at least this often.
HEARTBEAT_SECONDS = 0.15
# The least wait before a message counts as lost: a busy machine may delay an answer that long.
LEAST_PATIENCE_SECONDS = 0.01
# Of the entries in one message. The simulator takes messages of up to 16,384 bytes.
MOST_ENTRY_BYTES = 12_000
# Requests that wait for a leader.
MOST_HELD = 10_000


class Entry(NamedTuple):
    """An entry of the log: a put, or nothing, with the term of the leader that appended it."""

    term: int
    request: Message | None

    @property
    def size(self) -> int:
        return len(json.dumps(self))


@dataclass
class Progress:
    """The leader's knowledge of one follower.

    The follower's log equals the leader's up to `match_index`, and may do so up to the entry before
    `next_index`. It has answered the leader's round `round`, and was last heard at `heard_at`. The
    last message to it was to bring it to `target_index`.
    """

    next_index: int
    heard_at: float
    match_index: int = 0
    target_index: int = 0
    round: int = 0
    sent_round: int = 0
    sent_at: float = 0.0
    unanswered: int = 0  # messages since its last answer


class Replica:
    """One replica of Raft. It has no clock, no sockets and no files: `step` is all of it."""

    def __init__(self, id: str, others: Sequence[str], random: Random) -> None:
        self.id = id
        self.others = others
        self.random = random
        self.quorum = (len(others) + 1) // 2 + 1
        self.now = 0.0
        self.outbox: list[Message] = []
        # These three survive a restart, if there is a disk (figure 2). `unsaved` are their changes.
        self.term = 0
        self.voted_for: str | None = None
        self.log: list[Entry] = []  # the first entry has the index 1
        self.unsaved: list[Message] = []
        self.role = FOLLOWER
        self.leader = UNKNOWN
        self.election_deadline = 0.0  # 0: not set yet
        self.votes: dict[str, bool] = {}
        self.commit_index = 0  # never above the last index; never decreases
        self.applied = 0  # never above the commit index
        self.store: dict[str, str] = {}
        self.done: set[tuple[str, str]] = set()  # the client and MID of each put that is applied
        self.held: list[Message] = []  # requests that wait for a leader
        # All below is of use to a leader alone.
        self.progress: dict[str, Progress] = {}
        self.first_index = 0  # of the entries of its own term
        self.pending: dict[tuple[str, str], Message] = {}  # puts in the log, not committed yet
        self.reads: list[tuple[int, int, Message]] = []  # round and index that each get waits for
        self.round = 0
        self.has_news = False  # entries or gets that no follower has been told of
        self.attempts = 0
        self.retry_at = 0.0
        self.round_trip = LEAST_PATIENCE_SECONDS

    # The one way in and the one way out.

    def step(self, now: float, arrived: Iterable[Message]) -> list[Message]:
        """Take all messages that have arrived, do all that is due, and return what to send."""
        self.now = now
        if not self.election_deadline:
            self.reset_election_timer()
        for message in arrived:
            self.take(message)
        if self.role == LEADER:
            self.lead()
        elif now >= self.election_deadline:
            self.campaign()
        elif self.role == CANDIDATE and now >= self.retry_at:
            self.request_votes()
        outbox, self.outbox = self.outbox, []
        return outbox

    def deadline(self) -> float:
        """The time at which `step` must run again, even if no message has arrived."""
        if self.role == FOLLOWER:
            return self.election_deadline
        if self.role == CANDIDATE:
            return min(self.election_deadline, self.retry_at)
        heartbeat = min(follower.sent_at for follower in self.progress.values()) + HEARTBEAT_SECONDS
        return heartbeat if self.is_confirmed() else min(heartbeat, self.retry_at)

    def take(self, message: Message) -> None:
        if message["src"] not in self.others:
            self.take_request(message)
            return
        # A newer term ends all that this replica was in its own [5.1].
        if message["term"] > self.term:
            self.save_term(message["term"], None)
            self.follow(UNKNOWN)
        if message["type"] == "request_vote":
            self.take_request_vote(message)
        elif message["type"] == "vote":
            self.take_vote(message)
        elif message["type"] == "append":
            self.take_append(message)
        elif message["type"] == "appended":
            self.take_appended(message)

    def send(self, destination: str, type: str, **fields: Any) -> None:
        common = {"src": self.id, "dst": destination, "leader": self.leader, "type": type}
        self.outbox.append(common | fields)

    def tell(self, replica: str, type: str, **fields: Any) -> None:
        self.send(replica, type, term=self.term, **fields)

    # Clients.

    def take_request(self, request: Message) -> None:
        if request["type"] not in ("get", "put"):
            self.answer(request, "fail", error="this replica knows get and put alone")
        elif self.role == LEADER:
            self.serve(request)
        elif self.leader != UNKNOWN:
            self.answer(request, "redirect")
        elif len(self.held) < MOST_HELD:
            self.held.append(request)
        else:
            self.answer(request, "fail")

    def answer(self, request: Message, type: str, **fields: Any) -> None:
        self.send(request["src"], type, MID=request["MID"], **fields)

    def serve(self, request: Message) -> None:
        """Begin a client's request as its leader.

        A get waits until a later round has shown that this replica still leads, and until it has
        applied all that was committed when the get came (ReadIndex, dissertation 6.4). All gets
        that wait share that round. A new leader knows what is committed only once an entry of its
        own term is.
        """
        if request["type"] == "get":
            self.reads.append((self.round + 1, max(self.commit_index, self.first_index), request))
            self.has_news = True
            return
        name = request["src"], request["MID"]
        entry = Entry(self.term, request)
        if name in self.done:
            self.answer(request, "ok")
        elif entry.size > MOST_ENTRY_BYTES:
            self.answer(request, "fail")
        elif name not in self.pending:
            self.pending[name] = request
            self.append(entry)

    def release_held(self) -> None:
        """Take the requests again that have waited for a leader."""
        held, self.held = self.held, []
        for request in held:
            self.take_request(request)

    # Elections [5.2].

    def reset_election_timer(self) -> None:
        self.election_deadline = self.now + ELECTION_SECONDS * (1 + self.random.random())

    def follow(self, leader: str) -> None:
        """Follow a leader, known or not. Requests that this replica owes as a leader wait."""
        if self.role == LEADER:
            self.held += [*self.pending.values(), *(request for _, _, request in self.reads)]
            self.pending.clear()
            self.reads.clear()
            self.reset_election_timer()
        self.role = FOLLOWER
        self.leader = leader
        if leader != UNKNOWN:
            self.reset_election_timer()
            self.release_held()

    def campaign(self) -> None:
        """Become a candidate. The clients that wait may find a leader elsewhere."""
        self.save_term(self.term + 1, self.id)
        self.role = CANDIDATE
        self.leader = UNKNOWN
        self.votes = {self.id: True}
        self.reset_election_timer()
        held, self.held = self.held, []
        for request in held:
            self.answer(request, "redirect")
        self.request_votes()

    def request_votes(self) -> None:
        for other in self.others:
            if other not in self.votes:
                last_index, last_term = self.last()
                self.tell(other, "request_vote", last_index=last_index, last_term=last_term)
        self.retry_at = self.now + HEARTBEAT_SECONDS

    def last(self) -> tuple[int, int]:
        """The index and the term of the last entry."""
        return len(self.log), self.term_at(len(self.log))

    def take_request_vote(self, request: Message) -> None:
        """Vote once per term, and only for a log that has all that may be committed [5.4.1]."""
        last_index, last_term = self.last()
        is_up_to_date = (request["last_term"], request["last_index"]) >= (last_term, last_index)
        is_free = self.voted_for in (None, request["src"])
        granted = request["term"] == self.term and is_free and is_up_to_date
        if granted:
            self.save_term(self.term, request["src"])
            self.reset_election_timer()
        self.tell(request["src"], "vote", granted=granted)

    def take_vote(self, vote: Message) -> None:
        if self.role != CANDIDATE or vote["term"] != self.term:
            return
        self.votes[vote["src"]] = vote["granted"]
        if sum(self.votes.values()) >= self.quorum:
            self.become_leader()

    def become_leader(self) -> None:
        """Append an entry without a put: it commits all that earlier leaders have left [8]."""
        self.role = LEADER
        self.leader = self.id
        self.first_index = len(self.log) + 1
        self.progress = {other: Progress(self.first_index, self.now) for other in self.others}
        self.append(Entry(self.term, None))
        self.release_held()

    # The leader's side of replication [5.3].

    def append(self, entry: Entry) -> None:
        self.save_entries(len(self.log), [entry])
        self.has_news = True

    def lead(self) -> None:
        """Send what is due: news, news again that a quorum has not confirmed, and heartbeats.

        A leader that does not hear from a quorum steps down, so that its clients ask elsewhere.
        """
        heard_at = sorted(follower.heard_at for follower in self.progress.values())
        if self.now - heard_at[-(self.quorum - 1)] > ELECTION_SECONDS:
            self.follow(UNKNOWN)
            return
        self.round += 1
        if self.has_news or (not self.is_confirmed() and self.now >= self.retry_at):
            self.attempts = 0 if self.has_news else self.attempts + 1
            patience = max(LEAST_PATIENCE_SECONDS, 4 * self.round_trip)
            self.retry_at = self.now + min(HEARTBEAT_SECONDS, patience * 2 ** min(self.attempts, 8))
            self.has_news = False
            for other in self.choose_followers():
                self.replicate(other)
        for other, follower in self.progress.items():
            if self.now >= follower.sent_at + HEARTBEAT_SECONDS:
                self.replicate(other)

    def choose_followers(self) -> list[str]:
        """As many followers as a quorum needs, in turns. Those that do not answer come last."""
        def order(other: str) -> tuple[int, float]:
            return self.progress[other].unanswered, self.progress[other].sent_at

        return sorted(self.others, key=order)[: self.quorum - 1]

    def replicate(self, other: str) -> None:
        """Send one follower the entries that it lacks, as many as fit."""
        follower = self.progress[other]
        previous = follower.next_index - 1
        entries: list[Entry] = []
        room = MOST_ENTRY_BYTES
        for entry in self.log[previous:]:
            room -= entry.size
            if room < 0:
                break
            entries.append(entry)
        self.tell(
            other, "append", round=self.round, previous_index=previous,
            previous_term=self.term_at(previous), entries=entries, commit_index=self.commit_index,
        )
        follower.target_index = len(self.log)
        follower.sent_at = self.now
        follower.sent_round = self.round
        follower.unanswered += 1

    def take_appended(self, answer: Message) -> None:
        if self.role != LEADER or answer["term"] != self.term:
            return
        follower = self.progress[answer["src"]]
        if answer["round"] == follower.sent_round:
            self.round_trip += (self.now - follower.sent_at - self.round_trip) / 8
        follower.heard_at = self.now
        follower.unanswered = 0
        follower.round = max(follower.round, answer["round"])
        if answer["matches"]:
            follower.match_index = max(follower.match_index, answer["index"])
        follower.next_index = max(follower.match_index, answer["index"]) + 1
        self.advance_commit_index()
        self.answer_reads()
        # It refused the last message, or that had no room for all.
        if answer["round"] == follower.sent_round and follower.match_index < follower.target_index:
            self.replicate(answer["src"])

    def of_quorum(self, numbers: Iterable[int]) -> int:
        """The greatest number that, with the leader, a quorum has reached; one per follower."""
        return sorted(numbers, reverse=True)[self.quorum - 2]

    def is_confirmed(self) -> bool:
        """Whether a quorum has all entries, and all rounds that a get waits for."""
        has_all = self.of_quorum(f.match_index for f in self.progress.values()) == len(self.log)
        return has_all and not self.reads

    def advance_commit_index(self) -> None:
        """Commit what a quorum has, if it is of this term. That commits all before it [5.4.2]."""
        index = self.of_quorum(follower.match_index for follower in self.progress.values())
        if index > self.commit_index and self.term_at(index) == self.term:
            self.commit_index = index
            self.apply()

    def answer_reads(self) -> None:
        confirmed = self.of_quorum(follower.round for follower in self.progress.values())
        waiting, self.reads = self.reads, []
        for round, index, request in waiting:
            if round <= confirmed and index <= self.applied:
                self.answer(request, "ok", value=self.store.get(request["key"], ""))
            else:
                self.reads.append((round, index, request))

    # The follower's side of replication [5.3].

    def take_append(self, append: Message) -> None:
        """Take the entries if the logs are equal before them; else say where they may be equal."""
        if append["term"] < self.term:
            self.tell(append["src"], "appended", round=append["round"], matches=False, index=0)
            return
        self.follow(append["src"])
        previous = append["previous_index"]
        matches = previous <= len(self.log) and self.term_at(previous) == append["previous_term"]
        if matches:
            entries = [Entry(*entry) for entry in append["entries"]]
            self.merge(previous, entries)
            index = previous + len(entries)
            self.commit_index = max(self.commit_index, min(append["commit_index"], index))
            self.apply()
        else:
            index = self.hint(previous)
        self.tell(append["src"], "appended", round=append["round"], matches=matches, index=index)

    def merge(self, previous: int, entries: list[Entry]) -> None:
        """Truncate only at an entry of another term: a late message may have fewer entries."""
        for number, entry in enumerate(entries):
            index = previous + number + 1
            if index > len(self.log) or self.term_at(index) != entry.term:
                self.save_entries(index - 1, entries[number:])
                return

    def hint(self, previous: int) -> int:
        """The index before all of the term that differs at `previous`, or the end of the log."""
        if previous > len(self.log):
            return len(self.log)
        term = self.term_at(previous)
        while previous > self.commit_index and self.term_at(previous) == term:
            previous -= 1
        return previous

    def term_at(self, index: int) -> int:
        return self.log[index - 1].term if index else 0

    def apply(self) -> None:
        """Do what is committed, in the order of the log, and each put once."""
        while self.applied < self.commit_index:
            self.applied += 1
            request = self.log[self.applied - 1].request
            if request is None:
                continue
            name = request["src"], request["MID"]
            if name not in self.done:
                self.done.add(name)
                self.store[request["key"]] = request["value"]
            if self.pending.pop(name, None) is not None:
                self.answer(request, "ok")

    # The state that survives a restart (figure 2).

    def save_term(self, term: int, voted_for: str | None) -> None:
        if (term, voted_for) != (self.term, self.voted_for):
            self.term, self.voted_for = term, voted_for
            self.unsaved.append({"term": term, "voted_for": voted_for})

    def save_entries(self, previous: int, entries: list[Entry]) -> None:
        """Put entries after the index `previous`, in the place of all that was there."""
        self.log[previous:] = entries
        self.unsaved.append({"previous": previous, "entries": entries})

    def restore(self, records: Iterable[Message]) -> None:
        """Do the changes again that an earlier life has saved."""
        for record in records:
            if "term" in record:
                self.term, self.voted_for = record["term"], record["voted_for"]
            else:
                self.log[record["previous"]:] = [Entry(*entry) for entry in record["entries"]]


class Disk:
    """A file with one change per line, in this replica's directory. A torn line is no change."""

    def __init__(self, directory: Path) -> None:
        self.file = (directory / "changes").open("a+b")
        self.file.seek(0)
        content = self.file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self.file.truncate(len(whole))
        self.records = [json.loads(line) for line in whole.splitlines()]

    def save(self, changes: list[Message]) -> None:
        for change in changes:
            self.file.write(json.dumps(change).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


class Connection:
    """The socket to the simulator: UDP if the arguments begin with a port, else SOCK_SEQPACKET."""

    def __init__(self, arguments: list[str]) -> None:
        is_datagram = len(arguments[0]) != 4
        self.id, *self.others = arguments[1:] if is_datagram else arguments
        if is_datagram:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.connect(("127.0.0.1", int(arguments[0])))
            self.send({"src": self.id, "dst": UNKNOWN, "leader": UNKNOWN, "type": "hello"})
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.connect(self.id)

    def send(self, message: Message) -> None:
        if message["dst"] in self.others:
            message["sum"] = checksum(message)
        self.socket.send(json.dumps(message).encode())

    def receive(self, seconds: float) -> list[Message]:
        """All messages that are there, or the first that comes in time; EOFError at the end."""
        arrived: list[Message] = []
        while select.select([self.socket], [], [], 0 if arrived else max(0.0, seconds))[0]:
            raw = self.socket.recv(65_536)
            if not raw:
                raise EOFError
            message = self.decoded(raw)
            if message is not None:
                arrived.append(message)
        return arrived

    def decoded(self, raw: bytes) -> Message | None:
        """The message, unless it is damaged. Those between replicas have a checksum."""
        try:
            message: Message = json.loads(raw)
            if message["src"] in self.others or "sum" in message:
                is_sound = message.pop("sum", None) == checksum(message)
            else:
                names = ("src", "MID", "key", "value" if message["type"] == "put" else "type")
                is_sound = all(isinstance(message[name], str) for name in names)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return message if is_sound else None


def checksum(message: Message) -> int:
    return zlib.crc32(json.dumps(message).encode())


def main() -> None:
    connection = Connection(sys.argv[1:])
    replica = Replica(connection.id, connection.others, Random())
    directory = os.environ.get("KVSTORE_DATA_DIR")
    disk = Disk(Path(directory)) if directory else None
    if disk is not None:
        replica.restore(disk.records)
    arrived: list[Message] = []
    while True:
        messages = replica.step(time.monotonic(), arrived)
        # A promise leaves only after the disk has it.
        changes, replica.unsaved = replica.unsaved, []
        if disk is not None and changes:
            disk.save(changes)
        for message in messages:
            connection.send(message)
        try:
            arrived = connection.receive(replica.deadline() - time.monotonic())
        except EOFError:
            return


if __name__ == "__main__":
    main()
