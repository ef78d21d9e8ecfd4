//! The trace of a run in a file, as `run.py` writes it too: `docs/trace.md` has the format. The
//! transcript ([`super::trace`]) tells the same in words.

mod requests;
mod sink;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::{Value, json};

use sink::Sink;

use super::bugs::Bug;
use super::clients::{Asked, Clients};
use super::invariants::{LINEARIZABILITY, Violation};
use super::network::Network;
use super::plan::Plan;
use super::run::{Figures, Outcome};
use super::trace::Place;
use crate::exchange::ReadIndex;
use crate::id::Id;
use crate::micros::Micros;
use crate::replication::Message;
use crate::request::{Request, Response};
use crate::wire;

/// The version of the format.
const VERSION: u32 = 1;

/// The parts of the first line that a plan does not tell.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// The name of the scenario.
    pub scenario: String,
    /// The command that runs it again.
    pub command: String,
}

/// The number of a message in a trace.
pub(super) type MessageNumber = u64;

/// The records of a run so far.
#[derive(Debug)]
pub struct Recorder {
    sink: Sink,
    messages: MessageNumber,
    begun: BTreeSet<usize>, // the requests that have a record
    replicas: usize,
    body: Vec<u8>,
}

impl Recorder {
    /// A trace with its first line.
    pub(super) fn new(
        plan: &Plan,
        bug: Option<Bug>,
        clients: &Clients,
        heading: &Heading,
        file: Box<dyn io::Write>,
    ) -> Self {
        let mut recorder = Self {
            sink: Sink::new(file),
            messages: 0,
            begun: BTreeSet::new(),
            replicas: plan.replicas,
            body: Vec::new(),
        };
        recorder.line(&json!({
            "kvstore_trace": VERSION,
            "source": "explore",
            "scenario": heading.scenario,
            "seed": plan.seed,
            "replicas": (0..plan.replicas).map(replica).collect::<Vec<_>>(),
            "clients": clients.ids().map(|id| id.to_string()).collect::<Vec<_>>(),
            "settings": serde_json::to_value(plan).expect("a plan has a JSON form"),
            "command": heading.command,
            "replica": bug.map_or_else(|| "kvstore".to_owned(), |bug| format!("kvstore with {}", bug.name())),
        }));
        recorder
    }

    fn line(&mut self, value: &Value) {
        self.sink.line(format_args!("{value}"));
    }

    /// A line of a replica, or an event in words.
    pub(super) fn say(&mut self, now: Micros, place: Place, text: &str) {
        match place {
            Place::Network => self.event(now, "note", &json!({ "text": text })),
            Place::Replica(at) => self.line(&json!(["o", now, replica(at), "out", text])),
        }
    }

    pub(super) fn event(&mut self, now: Micros, kind: &str, fields: &Value) {
        self.line(&json!(["e", now, kind, fields]));
    }

    /// A datagram leaves one replica for another.
    pub(super) fn datagram(
        &mut self,
        now: Micros,
        (from, to): (Id, Id),
        leader: Option<Id>,
        messages: &[Message],
    ) -> MessageNumber {
        let mut body = std::mem::take(&mut self.body);
        wire::encode_sealed(&mut body, from, to, leader, messages);
        let number = self.message(now, from, to, &String::from_utf8_lossy(&body));
        self.body = body;
        number
    }

    /// A replica passes a request on to the leader.
    pub(super) fn forward(&mut self, now: Micros, (from, to): (Id, Id), request: &Request) -> MessageNumber {
        let mut fields = requests::fields(&request.command);
        fields.insert("MID".to_owned(), request.id.mid.to_string().into());
        fields.insert("src".to_owned(), request.id.client.to_string().into());
        self.between(now, (from, to), "forward", &json!({ "request": fields }))
    }

    /// A message about reads that a follower serves.
    pub(super) fn read_index(
        &mut self,
        now: Micros,
        (from, to): (Id, Id),
        message: &ReadIndex,
    ) -> MessageNumber {
        match message {
            ReadIndex::Request { round, applied } => {
                let fields = json!({ "round": round.number, "applied": applied });
                self.between(now, (from, to), "read_index", &fields)
            }
            ReadIndex::Response { round, index, .. } => {
                let fields = json!({ "round": round.number, "index": index });
                self.between(now, (from, to), "read_index_response", &fields)
            }
        }
    }

    /// A message between replicas that the JSON of the simulators does not have.
    fn between(&mut self, now: Micros, (from, to): (Id, Id), kind: &str, fields: &Value) -> MessageNumber {
        let mut body = fields.clone();
        body["src"] = from.to_string().into();
        body["dst"] = to.to_string().into();
        body["type"] = kind.into();
        self.message(now, from, to, &body.to_string())
    }

    /// A replica answers a client.
    pub(super) fn response(&mut self, now: Micros, from: Id, response: &Response) -> MessageNumber {
        let mut body = std::mem::take(&mut self.body);
        wire::encode_response(&mut body, from, response);
        let number = self.message(now, from, response.id.client, &String::from_utf8_lossy(&body));
        self.body = body;
        number
    }

    /// A client sends a request, for the first time or again.
    pub(super) fn request(&mut self, now: Micros, clients: &Clients, number: usize, to: Id) -> MessageNumber {
        let asked = &clients.all()[number];
        let id = &asked.request.id;
        let mut fields = requests::fields(&asked.request.command);
        if self.begun.insert(number) {
            let mut operation = fields.clone();
            if let Some(before) = asked.before {
                let before = clients.all()[before].request.id.mid.to_string();
                operation.insert("before".to_owned(), before.into());
            }
            self.line(&json!(["q", now, &*id.mid, id.client.to_string(), operation]));
        }
        let leader = clients.leader_of(number).map_or_else(|| "FFFF".to_owned(), replica);
        fields.extend([
            ("src".to_owned(), id.client.to_string().into()),
            ("dst".to_owned(), to.to_string().into()),
            ("leader".to_owned(), leader.into()),
            ("MID".to_owned(), id.mid.to_string().into()),
        ]);
        self.message(now, id.client, to, &Value::from(fields).to_string())
    }

    fn message(&mut self, now: Micros, from: Id, to: Id, body: &str) -> MessageNumber {
        let number = self.messages;
        self.messages += 1;
        self.sink.line(format_args!("[\"m\",{now},{number},\"{from}\",\"{to}\",{body}]"));
        number
    }

    pub(super) fn arrives(&mut self, now: Micros, message: MessageNumber) {
        self.line(&json!(["d", now, message]));
    }

    /// The next copy of a message arrives with this text.
    pub(super) fn changes(&mut self, now: Micros, message: MessageNumber, changed: &str) {
        self.line(&json!(["c", now, message, changed]));
    }

    pub(super) fn loses(&mut self, now: Micros, message: MessageNumber, reason: &str) {
        self.line(&json!(["x", now, message, reason]));
    }

    /// A request has its answer.
    pub(super) fn answer(&mut self, now: Micros, asked: &Asked, leader: Option<Id>) {
        let Some(outcome) = &asked.outcome else { return };
        let (word, mut fields) = requests::answer(&asked.request.command, outcome);
        let leader = leader.map_or_else(|| "FFFF".to_owned(), |id| id.to_string());
        fields.extend([
            ("replica".to_owned(), asked.answered_by.map(replica).into()),
            ("leader".to_owned(), leader.into()),
        ]);
        self.line(&json!(["a", now, &*asked.request.id.mid, word, fields]));
    }

    /// The links that faults cut now: all of them are mended, and then those are cut.
    pub(super) fn links(&mut self, now: Micros, network: &Network) {
        self.event(now, "heal", &json!({}));
        let cut_from = |from: usize| -> BTreeSet<usize> {
            (0..self.replicas).filter(|&to| to != from && network.is_cut(from, to)).collect()
        };
        let mut senders: BTreeMap<BTreeSet<usize>, BTreeSet<usize>> = BTreeMap::new();
        for from in 0..self.replicas {
            let cut = cut_from(from);
            if !cut.is_empty() {
                senders.entry(cut).or_default().insert(from);
            }
        }
        let names = |set: &BTreeSet<usize>| set.iter().copied().map(replica).collect::<Vec<_>>();
        let groups: Vec<_> = senders.iter().collect();
        match groups[..] {
            [(left, right), (to, from)]
                if left == from && right == to && left.len() + right.len() == self.replicas =>
            {
                self.event(now, "partition", &json!({ "side": names(from) }));
            }
            _ => {
                for &(to, from) in &groups {
                    self.event(now, "one_way", &json!({ "from": names(from), "to": names(to) }));
                }
            }
        }
    }

    /// Writes the last line.
    ///
    /// # Errors
    ///
    /// The first error of the file.
    pub(super) fn end(mut self, clients: &Clients, outcome: &Outcome) -> io::Result<()> {
        let violation = outcome.violation.as_ref();
        let mids = violation.map_or_else(Vec::new, |violation| named_in(&violation.detail, clients));
        if let Some(violation) = violation {
            let replicas: Vec<_> = violation.replica.map(replica).into_iter().collect();
            let involved = json!({ "mids": mids, "replicas": replicas });
            self.line(&json!(["f", violation.at_us, violation.to_string(), involved]));
        }
        self.line(&json!({
            "end": true,
            "time": outcome.virtual_us,
            "verdict": if violation.is_none() { "passed" } else { "failed" },
            "checks": [check(violation)],
            "tiers": [],
            "linearizability": linearizability(outcome, &mids),
            "result": { "figures": figures(&outcome.figures) },
        }));
        self.sink.end()
    }
}

fn replica(at: usize) -> String {
    format!("{at:04X}")
}

fn check(violation: Option<&Violation>) -> Value {
    match violation {
        None => json!({ "name": "Every rule", "passed": true, "text": "" }),
        Some(violation) => json!({ "name": violation.rule, "passed": false, "text": violation.to_string() }),
    }
}

fn linearizability(outcome: &Outcome, mids: &[String]) -> Value {
    match &outcome.violation {
        Some(violation) if violation.rule == LINEARIZABILITY => {
            json!({ "verdict": "violation", "text": violation.detail.trim_start(), "mids": mids })
        }
        // A run ends at the first broken rule, before its history is judged.
        Some(_) => Value::Null,
        None if outcome.coverage.undecided > 0 => json!({ "verdict": "unknown", "text": "", "mids": [] }),
        None => json!({ "verdict": "linearizable", "text": "", "mids": [] }),
    }
}

fn figures(figures: &Figures) -> Value {
    json!({
        "messages": figures.messages,
        "failures": figures.failures,
        "duplicates": figures.duplicates,
        "redirects": figures.redirects,
        "early_reads": figures.early_reads,
        "median_latency_us": figures.median_latency_us,
        "p99_latency_us": figures.p99_latency_us,
        "election_us": figures.election_us,
        "recovery_us": figures.recovery_us,
    })
}

/// The requests that the words about a broken rule name: at their begin, before "got", or in the
/// drawing of a contradiction, where each has a line that begins with its client and ends with its
/// name.
fn named_in(words: &str, clients: &Clients) -> Vec<String> {
    let named = |line: &str| -> Option<String> {
        let mut words = line.split_whitespace();
        let (first, second, last) = (words.next()?, words.next()?, words.next_back()?);
        if second == "got" {
            return clients.named(first).map(|_| first.to_owned());
        }
        let asked = clients.named(last)?;
        (asked.request.id.client.to_string() == first).then(|| last.to_owned())
    };
    words.lines().filter_map(named).collect()
}
