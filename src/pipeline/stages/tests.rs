//! The policy on a network that takes a datagram only when the script permits it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::thread;

use crossbeam_channel as channel;
use raft::message::RequestVote;

use super::*;
use crate::id::Id;
use crate::outbox::Outbox;
use crate::replication::{Body, Message};
use crate::testkit::{CLIENT, STORED, id, response};
use crate::transport::{Address, Hub, MemoryTransport, Received, Transport};
use crate::wire::Decoder;

/// Only a test that fails waits so long.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

const MAX_DATAGRAM: usize = 1_000;

/// Receives from a hub, and sends one datagram per permit, as a part of a row.
struct Gate {
    network: Arc<MemoryTransport>,
    permits: channel::Receiver<()>,
    gathers: AtomicBool,
}

impl Transport for Gate {
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        self.network.receive(buffer, until)
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.network.try_receive(buffer)
    }

    fn send(&self, to: Address, datagram: &[u8]) -> io::Result<()> {
        assert!(self.gathers.load(Ordering::SeqCst));
        match self.permits.recv() {
            Ok(()) => self.network.send(to, datagram),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn try_send(&self, to: Address, datagram: &[u8]) -> io::Result<()> {
        assert!(self.gathers.load(Ordering::SeqCst));
        match self.permits.try_recv() {
            Ok(()) => self.network.send(to, datagram),
            Err(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn gather(&self) {
        assert!(!self.gathers.swap(true, Ordering::SeqCst));
    }

    fn flush(&self) {
        assert!(self.gathers.swap(false, Ordering::SeqCst));
    }

    fn max_datagram(&self) -> usize {
        MAX_DATAGRAM
    }

    fn waker(&self) -> Waker {
        self.network.waker()
    }

    fn stop(&self) {
        self.network.stop();
    }
}

/// The consensus thread's side and the network's side of both stages.
struct Script {
    stages: Stages,
    hub: Hub,
    network: Arc<MemoryTransport>,
    permits: channel::Sender<()>,
    gate: Arc<Gate>,
}

const OWN: Id = id(0);

impl Script {
    fn start() -> Self {
        let hub = Hub::new(MAX_DATAGRAM);
        let network = hub.attach(OWN);
        let (permits, permits_out) = channel::unbounded();
        let gathers = AtomicBool::new(false);
        let gate = Arc::new(Gate { network: Arc::clone(&network), permits: permits_out, gathers });
        let transport: Arc<dyn Transport> = Arc::clone(&gate) as _;
        let receiver = Receiver::new(Arc::clone(&transport), Box::new(Decoder::new(OWN, [])));
        let sender = Sender::new(transport, Outbox::new(OWN, MAX_DATAGRAM, true), Duration::ZERO);
        let (receiver, receiver_worker) = Offloadable::new(receiver);
        let (sender, sender_worker) = Offloadable::new(sender);
        thread::spawn(|| receiver_worker.run());
        thread::spawn(|| sender_worker.run());
        Self { stages: Stages::new(receiver, sender, None), hub, network, permits, gate }
    }

    /// A script whose stages are offloaded because the network has refused the answer "0".
    fn offloaded() -> Self {
        let mut script = Self::start();
        script.send(vec![answer(0)]);
        assert!(!script.stages.are_inline());
        assert_eq!(script.stages.due(), None);
        script
    }

    /// Sends all of these messages; none is dropped.
    fn send(&mut self, mut batch: Vec<Outbound>) {
        assert_eq!(self.stages.send(&mut batch).expect("no failure"), 0);
        assert_eq!(batch, []);
    }

    fn permit(&self, datagrams: usize) {
        (0..datagrams).for_each(|_| self.permits.send(()).expect("the gate is there"));
    }

    /// The numbers of the next answers that leave.
    fn answers(&self, count: usize) -> Vec<u64> {
        let number = |_| {
            let packet = self.hub.sent().recv_timeout(TEST_TIMEOUT).expect("it is sent");
            let text = String::from_utf8(packet.bytes).expect("replicas speak UTF-8");
            let mid = text.split_once(r#""MID":""#).and_then(|(_, rest)| rest.split_once('"'));
            mid.expect("it is an answer").0.parse().expect("a number")
        };
        (0..count).map(number).collect()
    }

    /// Lets a client ask, and the consensus thread receive the request.
    fn receive_request(&mut self) -> Taken {
        let request = br#"{"src":"0015","dst":"0000","leader":"FFFF","type":"get","MID":"m","key":"k"}"#;
        assert!(self.hub.deliver(OWN, request.to_vec()));
        let mut messages = Vec::new();
        let until = BootTime::now() + TEST_TIMEOUT;
        while messages.is_empty() {
            let taken = self.stages.receive(1, until, &mut messages).expect("no failure");
            assert_ne!(taken, Taken::Closed);
            if !messages.is_empty() {
                return taken;
            }
        }
        unreachable!("the loop ends with a message")
    }

    /// Recalls the sender, which has sent everything, until it is inline.
    fn recall_sender(&mut self) {
        self.wait_until(|stages| stages.sender.has_taken_all());
        self.stages.recall(0);
        self.wait_until(|stages| {
            stages.send(&mut Vec::new()).expect("no failure");
            stages.sender.is_inline()
        });
        assert!(!self.stages.are_inline(), "the receiver returns after the sender");
    }

    fn wait_until(&mut self, mut holds: impl FnMut(&mut Stages) -> bool) {
        let until = BootTime::now() + TEST_TIMEOUT;
        while !holds(&mut self.stages) {
            assert!(BootTime::now() < until, "it never holds");
            thread::yield_now();
        }
    }
}

fn answer(number: u64) -> Outbound {
    Outbound::Client(response(CLIENT, number.to_string(), STORED))
}

fn peer_message() -> Outbound {
    let vote =
        RequestVote { pre_vote: true, transfer: false, campaign: 1, last_log_index: 0, last_log_term: 0 };
    let message = Message { term: 1, body: Body::RequestVote(vote) };
    Outbound::Peer { to: id(1), leader: None, message }
}

#[test]
fn idle_stages_run_inline() {
    let mut script = Script::start();
    script.permit(2);
    script.send(vec![answer(1), answer(2)]);
    assert_eq!(script.receive_request(), Taken::Full);
    assert!(script.stages.are_inline());
    assert_eq!(script.answers(2), [1, 2]);
    assert!(!script.gate.gathers.load(Ordering::SeqCst), "each row is flushed");
}

#[test]
fn stages_are_offloaded_when_the_network_takes_no_more_and_return_without_reordering() {
    let mut script = Script::offloaded();
    script.send(vec![answer(1)]);
    script.receive_request();
    script.permit(2);
    assert_eq!(script.answers(2), [0, 1]);
    script.recall_sender();
    script.permit(1);
    script.send(vec![answer(2)]);
    assert_eq!(script.answers(1), [2]);
    script.stages.recall(0);
    script.receive_request();
    script.wait_until(|stages| {
        let mut none = Vec::new();
        stages.receive(1, BootTime::now(), &mut none).expect("no failure");
        stages.are_inline()
    });
    script.receive_request();
}

#[test]
fn receiver_that_returns_while_the_sender_is_offloaded_is_offloaded_again() {
    let mut script = Script::offloaded();
    script.permit(1);
    assert_eq!(script.answers(1), [0]);
    script.recall_sender();
    script.stages.recall(0);
    script.send(vec![answer(1)]); // the network takes no more
    assert!(!script.stages.sender.is_inline());
    script.receive_request(); // the receiver returns together with this request
    script.receive_request();
    assert!(!script.stages.are_inline());
}

#[test]
fn stuck_sender_costs_messages_to_replicas_and_no_answer() {
    let mut script = Script::offloaded();
    let batches = Sender::CAPACITY.inputs as u64;
    (1..=batches).for_each(|number| script.send(vec![answer(number)]));
    let mut batch = vec![peer_message(), answer(batches + 1), peer_message()];
    assert_eq!(script.stages.send(&mut batch).expect("no failure"), 2);
    assert_eq!(batch, [answer(batches + 1)], "it is to be offered again");
    script.permit(batches as usize + 1);
    assert_eq!(script.answers(batches as usize + 1), (0..=batches).collect::<Vec<_>>());
}

#[test]
fn end_sends_everything_and_counts_it_wherever_the_stages_are() {
    for offloads in [false, true] {
        let mut script = if offloads { Script::offloaded() } else { Script::start() };
        script.permit(10);
        script.receive_request();
        script.network.stop();
        let mut counts = Counts::default();
        script.stages.end(vec![answer(1)], &mut counts).expect("no failure");
        assert_eq!((counts.received, counts.sent), (1, 1 + u64::from(offloads)));
    }
}
