//! A whole cluster in virtual time: a queue of events with their times, and a loop that performs
//! them. Every decision of chance comes from generators that the plan's seed feeds. No decision has
//! another source, so one plan gives one run, to the byte, on any machine.

mod routing;

use std::io;

use fastrand::Rng;
use raft::types::Term;
use serde_json::json;

use super::bugs::Bug;
use super::clients::{Clients, Follows, Sending};
use super::coverage::Coverage;
use super::faults::Faults;
use super::invariants::{Before, Invariants, Observation, Violation};
use super::leadership::LeadershipTransfers;
use super::liveness;
use super::network::Network;
use super::plan::{Condition, Plan, Storage};
use super::queue::{Event, Queue};
use super::recorder::{Heading, MessageNumber, Recorder};
use super::requester::Requester;
use super::server::Server;
use super::trace::{Place, Trace};
use super::traffic::Traffic;
use super::transfers::Transfers;
use super::wall_clock;
use crate::exchange::{Inbound, Outbound};
use crate::id::Id;
use crate::micros::Micros;
use crate::replica::{Effect, Options};
use crate::request::Response;
use crate::wire::Decoder;
use routing::Parcel;

/// A cluster, its clients, and the network between them.
pub struct Cluster {
    pub(super) plan: Plan,
    pub(super) now: Micros,
    pub(super) servers: Vec<Server>,
    pub(super) network: Network,
    pub(super) clients: Clients,
    pub(super) faults: Faults,
    pub(super) rng: Rng, // for faults, starts and disks
    pub(super) coverage: Coverage,
    pub(super) invariants: Invariants,
    pub(super) trace: Trace,
    pub(super) recovery_us: Option<Micros>, // how long a healthy majority took to acknowledge a put
    queue: Queue,
    decoders: Vec<Decoder>, // used if the plan encodes datagrams
    held: Vec<Parcel>,      // on links that faults hold
    requester: Requester,
    pub(super) traffic: Traffic,
    transfers: Transfers,
    leadership: LeadershipTransfers,
    pub(super) elected_at: Vec<Micros>, // when a replica began to lead, in order
    last_leader: Option<usize>,
    pub(super) unmet: Vec<String>, // the faults whose condition was not met within the lifetime
    scales: Option<Vec<u8>>,       // holds each encoded datagram if bytes are counted
}

impl Cluster {
    /// The cluster of a plan at time 0, with a bug around each replica if one is given. With
    /// `traced`, the cluster writes a transcript of all that happens.
    pub fn new(plan: Plan, bug: Option<Bug>, traced: bool) -> Self {
        let mut root = Rng::with_seed(plan.seed);
        let mut rng = root.fork();
        let network = Network::new(plan.network, plan.replicas, root.fork());
        let clients = Clients::new(plan.workload, plan.replicas, root.fork());
        let network = network.with_links(plan.links.clone(), root.fork());
        let ids: Vec<Id> = (0..plan.replicas).filter_map(|n| Id::new(n as u16)).collect();
        let state_machine = plan.bounds.settings();
        let server = |(n, &own): (usize, &Id)| {
            let peers = ids.iter().copied().filter(|&id| id != own).collect();
            let max_datagram = plan.network.max_datagram;
            let (applied_at_once, tuning) = (plan.applied_at_once, plan.tuning);
            let log = plan.log.limits();
            let forwards = plan.forwards;
            let usual = Options::new(own, peers, 0);
            let options = Options { applied_at_once, log, state_machine, tuning, forwards, ..usual };
            let (rate, wall_clock) = (plan.clock_rate(n), plan.wall_clock(n));
            Server::new(options, max_datagram, plan.storage, plan.clock_origin, rate, wall_clock, bug)
        };
        let mut cluster = Self {
            servers: ids.iter().enumerate().map(server).collect(),
            now: 0,
            network,
            clients,
            faults: Faults::new(plan.faults.len()),
            coverage: Coverage::default(),
            invariants: Invariants::new(plan.replicas, state_machine),
            trace: Trace::new(traced, plan.replicas),
            recovery_us: None,
            queue: Queue::default(),
            decoders: ids
                .iter()
                .map(|&own| Decoder::new(own, ids.iter().copied()).with_checksums())
                .collect(),
            held: Vec::new(),
            requester: Requester::new(plan.workload.poll_us),
            traffic: Traffic::default(),
            transfers: Transfers::default(),
            leadership: LeadershipTransfers::default(),
            elected_at: Vec::new(),
            last_leader: None,
            unmet: Vec::new(),
            scales: None,
            rng: rng.fork(),
            plan,
        };
        cluster.begin();
        cluster
    }

    fn begin(&mut self) {
        for at in 0..self.servers.len() {
            self.start(at).unwrap_or_else(|_| unreachable!("an empty disk is not damaged"));
        }
        for (number, at) in self.clients.times().into_iter().enumerate() {
            self.schedule(at, Event::Start(number));
        }
        for number in 0..self.plan.faults.len() {
            self.schedule(self.plan.faults[number].at_us, Event::Fault(number));
        }
    }

    /// Runs to the end of the plan's lifetime, and through the liveness phase if there is one.
    ///
    /// # Errors
    ///
    /// The first rule that was broken.
    pub fn run(&mut self) -> Result<(), Violation> {
        self.run_until(self.plan.lifetime_us)?;
        self.unmet = self.find_unmet();
        for unmet in &self.unmet {
            self.trace.say(self.now, Place::Network, || unmet.clone());
        }
        if let Some(liveness) = self.plan.liveness.clone() {
            liveness::run(self, &liveness)?;
        }
        self.check_history()
    }

    pub(super) fn check_history(&mut self) -> Result<(), Violation> {
        let difference_ms = wall_clock::difference_ms(&self.plan.wall_clocks, self.now);
        let decided = self.invariants.check_history(self.now, &self.clients, difference_ms)?;
        self.coverage.undecided += u64::from(!decided);
        Ok(())
    }

    pub(super) fn run_until(&mut self, end: Micros) -> Result<(), Violation> {
        self.run_while(end, |_| true)?;
        self.now = end;
        Ok(())
    }

    /// Runs until a time, or until the clients have seen enough.
    pub(super) fn run_while(
        &mut self,
        end: Micros,
        goes_on: impl Fn(&Clients) -> bool,
    ) -> Result<(), Violation> {
        while goes_on(&self.clients)
            && let Some((due, event)) = self.queue.pop(end)
        {
            self.now = due;
            self.coverage.events += 1;
            self.happen(event)?;
        }
        Ok(())
    }

    /// From now on the cluster also counts the bytes of all datagrams, and so encodes each of them.
    pub(super) fn count_bytes(&mut self) {
        self.scales = Some(Vec::new());
    }

    /// From now on the cluster records a trace for a file.
    pub(super) fn record(&mut self, bug: Option<Bug>, heading: &Heading, file: Box<dyn io::Write>) {
        self.trace.recorder = Some(Recorder::new(&self.plan, bug, &self.clients, heading, file));
    }

    /// Records the links that faults cut now, because some have changed.
    pub(super) fn record_links(&mut self) {
        if let Some(recorder) = &mut self.trace.recorder {
            recorder.links(self.now, &self.network);
        }
    }

    /// Records an event of a replica.
    pub(super) fn record_event(&mut self, kind: &str, at: usize) {
        if let Some(recorder) = &mut self.trace.recorder {
            recorder.event(self.now, kind, &json!({ "replica": self.servers[at].id().to_string() }));
        }
    }

    pub(super) fn schedule(&mut self, at: Micros, event: Event) {
        self.queue.push(at, event);
    }

    /// Counts of the messages between replicas.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Counts of the situations that the run has reached.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The clients, with their requests and the answers to them.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The transcript.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The time that a healthy majority took to acknowledge a put, by the slowest clock, if it was
    /// not overloaded.
    pub fn recovery_us(&self) -> Option<Micros> {
        self.recovery_us
    }

    /// Virtual time that has passed.
    pub fn now(&self) -> Micros {
        self.now
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Start(_) | Event::TimeOut(_) | Event::Repeat(_) if self.requester.sleeps() => {
                if let Some(until) = self.requester.wait(self.now, event) {
                    self.schedule(until, Event::Poll);
                }
            }
            Event::Poll if self.requester.is_due(self.now) => self.wake_requester()?,
            Event::Poll => {}
            Event::Start(number) => {
                let up = self.up();
                let sending = self.clients.start(self.now, number, &up);
                self.ask(sending);
            }
            Event::Request { to, number, message } => self.request(to, number, message),
            Event::TimeOut(number) => {
                let up = self.up();
                if let Some(sending) = self.clients.time_out(self.now, number, &up) {
                    self.coverage.resent += 1;
                    self.ask(sending);
                }
            }
            Event::Repeat(client) => {
                let up = self.up();
                let follows = self.clients.repeat(self.now, client, &up);
                self.follow(follows);
            }
            Event::Response { from, response, message } => return self.respond(from, &response, message),
            Event::Deliver { from, to, inputs, message, changed } => {
                self.deliver((from, to), inputs, message, changed);
            }
            Event::Batch { at, life } if self.lives(at, life) => return self.batch(at),
            Event::Transmit { at, life } if self.lives(at, life) => return self.transmit(at),
            Event::Release { at, life } if self.lives(at, life) => {
                self.servers[at].release();
                self.wake_sender(at);
            }
            Event::Wake { at, life } if self.lives(at, life) => self.wake(at),
            Event::Synced { at, life, number } if self.lives(at, life) => return self.synced(at, number),
            Event::Saved { at, life, number } if self.lives(at, life) => self.end_stage(at, number),
            Event::Batch { .. } | Event::Transmit { .. } | Event::Release { .. } => {}
            Event::Wake { .. } | Event::Synced { .. } | Event::Saved { .. } => {}
            Event::Fault(number) => return self.begin_fault(number),
            Event::Met(number) => return self.meet(number),
            Event::Turn(number) => self.turn(number),
            Event::Undo(number) => return self.end_fault(number),
        }
        Ok(())
    }

    fn lives(&self, at: usize, life: u32) -> bool {
        self.servers[at].life == life && self.servers[at].replica().is_some()
    }

    /// The replicas to which clients send: those that accept a connection, or all.
    pub(super) fn up(&self) -> Vec<bool> {
        let asks_all = self.plan.workload.asks_the_dead;
        self.servers.iter().map(|server| asks_all || server.replica().is_some()).collect()
    }

    // Clients.

    pub(super) fn ask(&mut self, sending: Sending) {
        let Sending { number, to, lost, again_at } = sending;
        if let Some(again_at) = again_at {
            self.schedule(again_at, Event::TimeOut(number));
        }
        let Some(to) = to else { return };
        self.trace.request(self.now, &self.clients.all()[number].request, to, lost);
        let id = self.servers[to].id();
        let message = self.trace.recorder.as_mut().map_or(0, |recorder| {
            let message = recorder.request(self.now, &self.clients, number, id);
            if lost {
                recorder.loses(self.now, message, "client");
            }
            message
        });
        if !lost {
            let at = self.now + self.network.delay_from_client_us(to);
            self.schedule(at, Event::Request { to, number, message });
        }
    }

    /// The loop that sends all requests wakes up and sends those that are due.
    fn wake_requester(&mut self) -> Result<(), Violation> {
        for event in self.requester.wake(self.now) {
            self.happen(event)?;
        }
        self.requester.sleep();
        Ok(())
    }

    fn request(&mut self, to: usize, number: usize, message: MessageNumber) {
        if self.arrives_at(to, message) {
            let request = self.clients.all()[number].request.clone();
            self.servers[to].receive(Inbound::Client(request));
            self.wake_consensus(to);
        }
    }

    /// Whether a message finds its receiver up. A message to a replica that is down is lost.
    fn arrives_at(&mut self, to: usize, message: MessageNumber) -> bool {
        let is_up = self.servers[to].replica().is_some();
        if let Some(recorder) = &mut self.trace.recorder {
            if is_up {
                recorder.arrives(self.now, message);
            } else {
                recorder.loses(self.now, message, "down");
            }
        }
        is_up
    }

    fn respond(&mut self, from: usize, response: &Response, message: MessageNumber) -> Result<(), Violation> {
        self.trace.response(self.now, from, response);
        let up = self.up();
        let is_first = self.clients.asked(&response.id).is_some_and(|asked| asked.outcome.is_none());
        let follows = self.clients.receive(self.now, from, response, &up);
        if let Some(recorder) = &mut self.trace.recorder {
            recorder.arrives(self.now, message);
            if let Some(asked) = self.clients.asked(&response.id).filter(|_| is_first) {
                recorder.answer(self.now, asked, response.leader);
            }
        }
        let follows = follows.map_err(|detail| Violation::new("answered once", self.now, from, detail))?;
        self.follow(follows);
        Ok(())
    }

    /// The clients send the requests that follow from an answer, or pause.
    fn follow(&mut self, follows: Follows) {
        for sending in follows.sendings {
            self.ask(sending);
        }
        if let Some((client, at)) = follows.pause {
            self.schedule(at, Event::Repeat(client));
        }
    }

    // The stages of a replica.

    fn deliver(
        &mut self,
        (from, to): (usize, usize),
        inputs: Vec<Inbound>,
        message: MessageNumber,
        changed: Option<String>,
    ) {
        if let Some(changed) = changed.filter(|_| self.servers[to].replica().is_some()) {
            self.trace.damage(self.now, (from, to), message, &changed);
        }
        if !self.arrives_at(to, message) || inputs.is_empty() {
            return;
        }
        for input in inputs {
            self.trace.arrival(self.now, from, to, &input);
            self.servers[to].receive(input);
        }
        self.wake_consensus(to);
    }

    pub(super) fn wake_consensus(&mut self, at: usize) {
        let server = &mut self.servers[at];
        if !server.batch_due && server.replica().is_some() {
            server.batch_due = true;
            let (due, life) = (self.now + self.network.stage_us(), server.life);
            self.schedule(due, Event::Batch { at, life });
        }
    }

    fn wake(&mut self, at: usize) {
        if self.servers[at].wake_at.take_if(|due| *due <= self.now).is_some() {
            self.wake_consensus(at);
        }
    }

    /// The consensus stage of a replica takes all that waits for it.
    pub(super) fn batch(&mut self, at: usize) -> Result<(), Violation> {
        if self.servers[at].paused > 0 {
            return Ok(()); // the stage stays woken, and runs when the pause ends
        }
        let before = Before::of(&self.servers[at]);
        self.servers[at].batch_due = false;
        let effects = self.servers[at].batch(self.now);
        self.trace.effects(self.now, at, &effects, &before, &self.servers[at]);
        let moment = Observation {
            now: self.now,
            at,
            servers: &self.servers,
            before: &before,
            effects: &effects,
            clients: &self.clients,
        };
        self.invariants.after_batch(&moment)?;
        self.coverage.note(&moment, self.invariants.knowledge());
        self.coverage.transfers_resumed += self.transfers.note(&moment);
        self.coverage.leaderships_transferred += u64::from(self.leadership.note(&moment));
        let (leads, term) = (moment.node().is_leader(), moment.node().hard_state().current_term);
        if leads && !before.led {
            self.note_leader(at, term);
        }
        let strike = self.strike_on(at, &before, &effects);
        self.perform(at, effects);
        if let Some(number) = strike {
            self.trigger(at, number)?;
        }
        if self.servers[at].replica().is_some() {
            self.set_timer(at);
            if self.servers[at].has_input() {
                self.wake_consensus(at);
            }
        }
        Ok(())
    }

    /// A replica begins to lead.
    fn note_leader(&mut self, at: usize, term: Term) {
        self.elected_at.push(self.now);
        if let Some(recorder) = &mut self.trace.recorder {
            let leader = self.servers[at].id().to_string();
            recorder.event(self.now, "leader", &json!({ "replica": leader, "by": leader, "term": term }));
        }
        if self.last_leader.replace(at) != Some(at) {
            self.occur(|on| *on == Condition::LeaderChanged);
        }
    }

    fn perform(&mut self, at: usize, effects: Vec<Effect>) {
        let has_disk = self.plan.storage != Storage::Memory;
        if !has_disk {
            self.servers[at].forget_compacted();
        }
        for effect in effects {
            match effect {
                Effect::Send(outbound) => self.push(at, outbound),
                effect if has_disk => {
                    if let Err(failed) = self.write(at, effect) {
                        return self.end_by_disk(at, failed);
                    }
                }
                _ => {}
            }
        }
        self.wake_sender(at);
    }

    fn push(&mut self, at: usize, outbound: Outbound) {
        if let Outbound::Peer { message, .. } = &outbound {
            self.traffic.note_message(message);
        }
        if let Some(window_us) = self.servers[at].push(outbound) {
            let life = self.servers[at].life;
            self.schedule(self.now + window_us, Event::Release { at, life });
        }
    }

    fn wake_sender(&mut self, at: usize) {
        let server = &mut self.servers[at];
        if !server.transmit_due {
            server.transmit_due = true;
            let (due, life) = (self.now + self.network.stage_us(), server.life);
            self.schedule(due, Event::Transmit { at, life });
        }
    }

    /// Lets a replica's clock run at this rate.
    pub(super) fn set_clock_rate(&mut self, at: usize, ppm: i64) {
        self.servers[at].set_clock_rate(self.now, ppm);
        if self.servers[at].replica().is_some() {
            self.set_timer(at);
        }
    }

    pub(super) fn set_timer(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(deadline) = server.deadline() else { return };
        let due = deadline.max(self.now + 1);
        if server.wake_at.is_none_or(|set| due < set) {
            server.wake_at = Some(due);
            let life = server.life;
            self.schedule(due, Event::Wake { at, life });
        }
    }

    /// The sender stage of a replica sends all that waits for it.
    pub(super) fn transmit(&mut self, at: usize) -> Result<(), Violation> {
        if self.servers[at].paused > 0 || self.servers[at].clogged > 0 {
            return Ok(());
        }
        self.servers[at].transmit_due = false;
        while let Some(datagram) = self.servers[at].take_datagram() {
            self.send(at, datagram)?;
        }
        Ok(())
    }
}
