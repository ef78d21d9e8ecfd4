//! The acknowledgements that a relay collects say more than its followers have done.

use raft::message::Acknowledgement;

use super::{Adapter, messages};
use crate::exchange::Inbound;
use crate::micros::Micros;
use crate::replica::{Effect, Replica};
use crate::replication::{Body, Message};

#[derive(Debug)]
pub(super) struct AcksForTheWay;

impl Adapter for AcksForTheWay {
    fn input(&mut self, _: &Replica, _: Micros, mut inbound: Inbound) -> Vec<Inbound> {
        if let Inbound::Peer { message: Message { body: Body::RelayEntries(relay), .. }, .. } = &mut inbound {
            let sent_at = relay.append.sent_at;
            let way = relay.way.drain(..).map(|id| Acknowledgement { id, sent_at });
            relay.acknowledged.extend(way);
        }
        vec![inbound]
    }
}

#[derive(Debug)]
pub(super) struct RecallsAsNew;

impl Adapter for RecallsAsNew {
    fn output(&mut self, _: &mut Replica, _: Micros, effects: &mut Vec<Effect>) {
        for (_, message) in messages(effects) {
            let (sent_at, acknowledged) = match &mut message.body {
                Body::RelayEntries(relay) => (relay.append.sent_at, &mut relay.acknowledged),
                Body::RelayEntriesResponse(response) => (response.sent_at, &mut response.acknowledged),
                _ => continue,
            };
            acknowledged.iter_mut().for_each(|acknowledgement| acknowledgement.sent_at = sent_at);
        }
    }
}
