//! Replies on their way to the client, in the order of its requests.
//!
//! ```text
//!            output                places
//!   [ +OK :1 $5 hello ] [ waits ] [ :2 ] [ waits ] [ +PONG ]
//!     sent ^             ^ first
//! ```
//!
//! A reply goes to the output if all replies before it are there. Else its place in the queue keeps
//! it.

use std::collections::VecDeque;

use super::value::{Protocol, Value};

/// An output buffer without bytes keeps memory for so many.
const IDLE_BUFFER_BYTES: usize = 512;

/// A queue without places keeps memory for so many.
const IDLE_PLACES: usize = 16;

/// The place of a reply that is not known yet.
pub type Place = u64;

/// The replies that a client is owed.
#[derive(Debug, Default)]
pub struct Replies {
    output: Vec<u8>,
    sent: usize,                       // bytes of `output` that the client has; at most its length
    first: Place,                      // the place at the front of `places`
    places: VecDeque<Option<Vec<u8>>>, // the one at the front is not known
    kept: usize,                       // the bytes in `places`
}

impl Replies {
    /// Adds a reply that is known.
    pub fn push(&mut self, value: &Value, protocol: Protocol) {
        let place = self.reserve();
        self.fill(place, value, protocol);
    }

    /// Adds a place for a reply that is not known.
    pub fn reserve(&mut self) -> Place {
        self.places.push_back(None);
        self.first + self.places.len() as u64 - 1
    }

    /// Fills a place. A place that is gone or full stays as it is.
    pub fn fill(&mut self, place: Place, value: &Value, protocol: Protocol) {
        let Some(position) = place.checked_sub(self.first) else { return };
        if position == 0 && self.places.front().is_some_and(Option::is_none) {
            self.leave();
            value.write(protocol, &mut self.output);
            while let Some(Some(bytes)) = self.places.front() {
                self.kept -= bytes.len();
                self.output.extend_from_slice(bytes);
                self.leave();
            }
        } else if let Some(slot @ None) = self.places.get_mut(position as usize) {
            let mut bytes = Vec::new();
            value.write(protocol, &mut bytes);
            self.kept += bytes.len();
            *slot = Some(bytes);
        }
    }

    fn leave(&mut self) {
        self.places.pop_front();
        self.first += 1;
        if self.places.is_empty() {
            self.places.shrink_to(IDLE_PLACES);
        }
    }

    /// The bytes that the client has not taken yet, and may take.
    pub fn output(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The client has taken so many bytes of the output.
    pub fn sent(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes).min(self.output.len());
        if self.sent < self.output.len() {
            return;
        }
        self.sent = 0;
        self.output.clear();
        if self.output.capacity() > IDLE_BUFFER_BYTES {
            self.output = Vec::new();
        }
    }

    /// How many places wait, from the first one whose reply is not known.
    pub fn waiting(&self) -> usize {
        self.places.len()
    }

    /// How many bytes wait for the client, those behind a reply that is not known included.
    pub fn bytes(&self) -> usize {
        self.output().len() + self.kept
    }

    /// How many bytes of memory the buffers take, about.
    pub fn held_bytes(&self) -> usize {
        self.output.capacity() + self.kept + self.places.capacity() * size_of::<Option<Vec<u8>>>()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        let first = self.first + self.places.len() as u64;
        *self = Self { first, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_leave_in_the_order_of_their_places() {
        let mut replies = Replies::default();
        let number = |number| Value::Integer(number);
        replies.push(&number(1), Protocol::Resp2);
        assert_eq!(replies.output(), b":1\r\n");
        let places = [replies.reserve(), replies.reserve(), replies.reserve()];
        replies.push(&number(5), Protocol::Resp2);
        replies.fill(places[1], &number(3), Protocol::Resp2);
        replies.fill(places[1], &number(9), Protocol::Resp2);
        assert_eq!((replies.output(), replies.bytes(), replies.waiting()), (&b":1\r\n"[..], 12, 4));
        replies.fill(places[0], &number(2), Protocol::Resp2);
        assert_eq!(replies.output(), b":1\r\n:2\r\n:3\r\n");
        replies.sent(4);
        replies.fill(places[2], &number(4), Protocol::Resp2);
        replies.fill(places[2], &number(9), Protocol::Resp2);
        assert_eq!(replies.output(), b":2\r\n:3\r\n:4\r\n:5\r\n");
        assert_eq!((replies.bytes(), replies.waiting()), (16, 0));
        replies.sent(16);
        assert_eq!(replies.bytes(), 0);
        let place = replies.reserve();
        replies.clear();
        replies.fill(place, &number(6), Protocol::Resp2);
        assert_eq!(replies.bytes(), 0);
    }
}
