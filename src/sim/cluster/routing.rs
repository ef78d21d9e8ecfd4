//! Datagrams on their way from a replica to another, and to clients.

use super::Cluster;
use crate::exchange::Inbound;
use crate::id::Id;
use crate::outbox::Datagram;
use crate::replication::Message;
use crate::request::Response;
use crate::sim::invariants::Violation;
use crate::sim::network::Fate;
use crate::sim::queue::Event;
use crate::sim::recorder::MessageNumber;
use crate::wire;

impl Cluster {
    pub(in crate::sim) fn send(&mut self, at: usize, datagram: Datagram) -> Result<(), Violation> {
        self.wake_requester()?;
        let from = self.servers[at].id();
        match datagram {
            Datagram::Client(response) => self.answer(at, response),
            Datagram::Forward { to, request } => {
                let recorder = self.trace.recorder.as_mut();
                let number = recorder.map_or(0, |recorder| recorder.forward(self.now, (from, to), &request));
                self.route(at, usize::from(to.number()), number, vec![Inbound::Client(request)]);
            }
            Datagram::ReadIndex { to, message } => {
                let recorder = self.trace.recorder.as_mut();
                let number =
                    recorder.map_or(0, |recorder| recorder.read_index(self.now, (from, to), &message));
                let inputs = vec![Inbound::ReadIndex { from, message }];
                self.route(at, usize::from(to.number()), number, inputs);
            }
            Datagram::Peer { to, leader, messages } => {
                self.invariants.check_datagram(self.now, at, &messages)?;
                let bytes = self.scales.as_mut().map_or(0, |scales| {
                    wire::encode_sealed(scales, self.servers[at].id(), to, leader, &messages);
                    scales.len()
                });
                self.traffic.note_datagram(&messages, bytes);
                let recorder = self.trace.recorder.as_mut();
                let message =
                    recorder.map_or(0, |recorder| recorder.datagram(self.now, (from, to), leader, &messages));
                let inputs = self.through_the_wire(at, to, leader, messages);
                self.route(at, usize::from(to.number()), message, inputs);
            }
        }
        Ok(())
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
            let at = self.now + self.network.delay_us();
            self.schedule(at, Event::Response { from, response, message });
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

    fn route(&mut self, from: usize, to: usize, message: MessageNumber, inputs: Vec<Inbound>) {
        match self.network.route(self.now, from, to) {
            Fate::Arrives(mut times) => {
                // A connection repeats no request, or its client would get two answers.
                let is_request = matches!(inputs[..], [Inbound::Client(_)]);
                times.truncate(if is_request { 1 } else { times.len() });
                self.coverage.repeated += times.len() as u64 - 1;
                for at in times {
                    self.schedule(at, Event::Deliver { from, to, inputs: inputs.clone(), message });
                }
            }
            Fate::Waits => self.held.push((from, to, message, inputs)),
            Fate::Lost { cut } => {
                self.coverage.lost += 1;
                if let Some(recorder) = &mut self.trace.recorder {
                    recorder.loses(self.now, message, if cut { "partition" } else { "chance" });
                }
                self.trace.loss(self.now, from, to, &inputs, cut);
            }
        }
    }

    /// The held messages between these two travel on, all at once.
    pub(in crate::sim) fn release(&mut self, from: usize, to: usize) {
        let (released, held) =
            std::mem::take(&mut self.held).into_iter().partition(|held| (held.0, held.1) == (from, to));
        self.held = held;
        for (from, to, message, inputs) in released {
            self.route(from, to, message, inputs);
        }
    }
}
