//! The next request of a client.

use fastrand::Rng;

use super::super::intents::Intent;
use super::super::operations::Draw;
use super::{Clients, FRESH_IDS, client_id};
use crate::bytes::Bytes;
use crate::operation::Operation;

impl Clients {
    /// The draw of this client's next operation.
    pub(super) fn draw(&self, client: usize, seed: u64) -> Draw<'_> {
        Draw {
            shares: self.workload.operations,
            gets: self.workload.gets,
            keys: self.workload.shared_keys,
            known: [&self.clients[client].known, &self.known],
            rng: Rng::with_seed(seed),
        }
    }

    /// From now on this client uses another ID, and knows no leader.
    pub(super) fn renew(&mut self, client: usize) {
        let number = self.first_id + self.clients.len() + self.asked.len() % FRESH_IDS;
        let client = &mut self.clients[client];
        (client.id, client.leader) = (client_id(number), None);
    }

    pub(super) fn key_to_get(&self, intent: &Intent) -> Option<Bytes> {
        if !intent.wants_get {
            return None;
        }
        match self.workload.shared_keys {
            0 => pick(&self.clients[intent.client].readable, intent.choice).cloned(),
            _ => Some(self.shared_key(intent.choice)),
        }
    }

    fn shared_key(&self, choice: f64) -> Bytes {
        format!("k{}", (choice * self.workload.shared_keys as f64) as usize).into()
    }

    pub(super) fn put(&mut self, intent: &Intent) -> Operation {
        if self.workload.shared_keys > 0 {
            return Operation::set(self.shared_key(intent.choice), "");
        }
        let client = &mut self.clients[intent.client];
        let start = (intent.choice * client.keys.len() as f64) as usize;
        let own = (0..client.keys.len()).map(|offset| &client.keys[(start + offset) % client.keys.len()]);
        let free = own.filter(|_| intent.wants_own_key).find(|key| !client.busy.contains(*key)).cloned();
        let key = free.unwrap_or_else(|| {
            let key: Bytes = format!("{:032x}", intent.new_key).into();
            client.keys.push(key.clone());
            client.unread.insert(key.clone());
            key
        });
        client.busy.insert(key.clone());
        Operation::set(key, format!("{:032x}", intent.value))
    }
}

fn pick<T>(from: &[T], choice: f64) -> Option<&T> {
    from.get((choice * from.len() as f64) as usize)
}
