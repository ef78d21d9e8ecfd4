//! Datagrams on their way from a replica to another, and to clients.

use super::Cluster;
use crate::exchange::Inbound;
use crate::id::Id;
use crate::outbox::Datagram;
use crate::replication::Message;
use crate::request::{Outcome, Response};
use crate::sim::invariants::Violation;
use crate::sim::network::Fate;
use crate::sim::plan::Condition;
use crate::sim::queue::Event;
use crate::sim::recorder::MessageNumber;
use crate::wire;

/// A datagram on its way from one replica to another.
#[derive(Debug)]
pub(super) struct Parcel {
    from: usize,
    to: usize,
    message: MessageNumber,
    inputs: Vec<Inbound>,
    text: Vec<u8>, // empty unless the network looks at it
}

impl Parcel {
    fn new(from: usize, to: Id, message: MessageNumber, inputs: Vec<Inbound>) -> Self {
        Self { from, to: usize::from(to.number()), message, inputs, text: Vec::new() }
    }
}

impl Cluster {
    pub(in crate::sim) fn send(&mut self, at: usize, datagram: Datagram) -> Result<(), Violation> {
        self.wake_requester()?;
        let from = self.servers[at].id();
        match datagram {
            Datagram::Client(response) => self.answer(at, response),
            Datagram::Forward { to, request } => {
                let recorder = self.trace.recorder.as_mut();
                let message = recorder.map_or(0, |recorder| recorder.forward(self.now, (from, to), &request));
                self.note_sent("forward");
                self.route(Parcel::new(at, to, message, vec![Inbound::Client(request)]));
            }
            Datagram::ReadIndex { to, message } => {
                let recorder = self.trace.recorder.as_mut();
                let number =
                    recorder.map_or(0, |recorder| recorder.read_index(self.now, (from, to), &message));
                let inputs = vec![Inbound::ReadIndex { from, message }];
                self.route(Parcel::new(at, to, number, inputs));
            }
            Datagram::Peer { to, leader, messages } => {
                self.invariants.check_datagram(self.now, at, &messages)?;
                self.send_to_peer(at, to, leader, messages);
            }
        }
        Ok(())
    }

    fn send_to_peer(&mut self, at: usize, to: Id, leader: Option<Id>, messages: Vec<Message>) {
        let from = self.servers[at].id();
        let bytes = self.scales.as_mut().map_or(0, |scales| {
            wire::encode_sealed(scales, from, to, leader, &messages);
            scales.len()
        });
        self.traffic.note_datagram(&messages, bytes);
        let recorder = self.trace.recorder.as_mut();
        let number =
            recorder.map_or(0, |recorder| recorder.datagram(self.now, (from, to), leader, &messages));
        self.note_sent(wire::kind_of(&messages));
        let mut text = Vec::new();
        if self.plan.links.need_bytes() {
            wire::encode_sealed(&mut text, from, to, leader, &messages);
        }
        let inputs = self.through_the_wire(at, to, leader, messages);
        self.route(Parcel { text, ..Parcel::new(at, to, number, inputs) });
    }

    /// A replica sends a message of this type to another one.
    fn note_sent(&mut self, kind: &str) {
        self.occur(|on| matches!(on, Condition::MessageSent(awaited) if awaited == kind));
    }

    fn answer(&mut self, from: usize, response: Response) {
        let is_lost = self.clients.loses();
        let id = self.servers[from].id();
        let message = self.trace.recorder.as_mut().map_or(0, |recorder| {
            let message = recorder.response(self.now, id, &response);
            if is_lost {
                recorder.loses(self.now, message, "client");
            }
            message
        });
        if !is_lost {
            self.note_answer(&response);
            let at = self.now + self.network.delay_to_client_us(from);
            self.schedule(at, Event::Response { from, response, message });
        }
    }

    /// A replica acknowledges the write of a client, or answers its read.
    fn note_answer(&mut self, response: &Response) {
        let is_done = matches!(response.outcome, Outcome::Done(_)) && !response.outcome.is_declined();
        let is_write = self.acknowledges(response);
        if is_done && self.clients.asked(&response.id).is_some() {
            let occurs = if is_write { Condition::WriteAcknowledged } else { Condition::GetAnswered };
            self.occur(|on| *on == occurs);
        }
    }

    /// Encodes a datagram and decodes it again, if the plan wants that.
    fn through_the_wire(
        &mut self,
        from: usize,
        to: Id,
        leader: Option<Id>,
        messages: Vec<Message>,
    ) -> Vec<Inbound> {
        let from = self.servers[from].id();
        if !self.plan.network.wire {
            return messages.into_iter().map(|message| Inbound::Peer { from, message }).collect();
        }
        let (mut bytes, mut arrived) = (Vec::new(), Vec::new());
        wire::encode_sealed(&mut bytes, from, to, leader, &messages);
        let decoded = self.decoders[usize::from(to.number())].decode(&mut bytes, &mut arrived);
        assert_eq!(decoded, Ok(()), "a replica refuses what another one wrote");
        arrived
    }

    fn route(&mut self, parcel: Parcel) {
        let Parcel { from, to, message, ref inputs, ref text } = parcel;
        match self.network.route(self.now, from, to, text.len()) {
            Fate::Arrives(mut times) => {
                // A connection repeats no request, or its client would get two answers.
                let is_request = matches!(inputs[..], [Inbound::Client(_)]);
                times.truncate(if is_request { 1 } else { times.len() });
                self.coverage.repeated += times.len() as u64 - 1;
                for at in times {
                    let (inputs, changed) = self.arrival(&parcel);
                    self.schedule(at, Event::Deliver { from, to, inputs, message, changed });
                }
            }
            Fate::Waits => self.held.push(parcel),
            Fate::Lost(loss) => {
                self.coverage.lost += 1;
                if let Some(recorder) = &mut self.trace.recorder {
                    recorder.loses(self.now, message, loss.reason());
                }
                self.trace.loss(self.now, from, to, inputs, loss);
            }
        }
    }

    /// The messages of a datagram as its receiver reads them. They may have changed on their way; then
    /// their text is told, too.
    fn arrival(&mut self, parcel: &Parcel) -> (Vec<Inbound>, Option<String>) {
        if parcel.text.is_empty() || !self.network.damages() {
            return (parcel.inputs.clone(), None);
        }
        let mut text = parcel.text.clone();
        self.network.change(&mut text);
        let (told, mut inputs) = (legible(&text), Vec::new());
        // A receiver drops what it refuses.
        let _refused = self.decoders[parcel.to].decode(&mut text, &mut inputs).is_err();
        (inputs, Some(told))
    }

    /// The held messages between these two travel on, all at once.
    pub(in crate::sim) fn release(&mut self, from: usize, to: usize) {
        let (released, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|parcel: &Parcel| (parcel.from, parcel.to) == (from, to));
        self.held = held;
        for parcel in released {
            self.route(parcel);
        }
    }
}

/// A text whose bytes that are no UTF-8 have escapes, as `run.py` writes it.
fn legible(text: &[u8]) -> String {
    let mut legible = String::new();
    for chunk in text.utf8_chunks() {
        legible.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| legible.push_str(&format!("\\x{byte:02x}")));
    }
    legible
}
