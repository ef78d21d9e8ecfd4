//! The loop that sends all requests. Simulators of the course's family sleep until a replica sends
//! a datagram, or for a fixed time. When they wake up they send the requests that are due, so
//! requests come in bursts.

use super::queue::Event;
use crate::micros::Micros;

/// The times at which the loop wakes up, and the requests that wait for it.
#[derive(Debug)]
pub(super) struct Requester {
    poll_us: Micros, // its longest sleep; 0 if it never sleeps
    asleep: bool,
    woke_at: Micros,
    due_at: Option<Micros>, // when it wakes up by itself, if a request waits
    waiting: Vec<Event>,
}

impl Requester {
    /// A loop that sleeps at most `poll_us` at a time.
    pub(super) fn new(poll_us: Micros) -> Self {
        Self { poll_us, asleep: poll_us > 0, woke_at: 0, due_at: None, waiting: Vec::new() }
    }

    /// Whether a request that is due now must wait.
    pub(super) fn sleeps(&self) -> bool {
        self.asleep
    }

    /// Takes a request that is due while the loop sleeps. Returns the time at which the loop wakes
    /// up by itself, at the first such request.
    pub(super) fn wait(&mut self, now: Micros, event: Event) -> Option<Micros> {
        self.waiting.push(event);
        if self.due_at.is_some() {
            return None;
        }
        // The loop has slept for whole spans since its last message.
        let spans = (now - self.woke_at).div_ceil(self.poll_us);
        self.due_at = Some(self.woke_at + spans * self.poll_us);
        self.due_at
    }

    /// Whether the loop wakes up by itself now.
    pub(super) fn is_due(&self, now: Micros) -> bool {
        self.due_at == Some(now)
    }

    /// The loop wakes up and hands out the requests that wait.
    pub(super) fn wake(&mut self, now: Micros) -> Vec<Event> {
        (self.asleep, self.woke_at, self.due_at) = (false, now, None);
        std::mem::take(&mut self.waiting)
    }

    /// The loop falls asleep again.
    pub(super) fn sleep(&mut self) {
        self.asleep = self.poll_us > 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times at which the loop sends requests that are due at these times. Only a message at
    /// 130 wakes it.
    fn sent_at(poll_us: Micros, due: &[Micros]) -> Vec<Micros> {
        let mut requester = Requester::new(poll_us);
        let (mut sent, mut by_itself) = (Vec::new(), None);
        for now in 0..500 {
            if now == 130 || by_itself.take_if(|at| *at == now).is_some() && requester.is_due(now) {
                sent.extend(requester.wake(now).iter().map(|_| now));
                requester.sleep();
            }
            for _ in due.iter().filter(|&&at| at == now) {
                match requester.sleeps() {
                    true => by_itself = requester.wait(now, Event::Start(0)).or(by_itself),
                    false => sent.push(now),
                }
            }
        }
        sent
    }

    #[test]
    fn request_waits_until_a_message_or_the_end_of_the_sleep() {
        assert_eq!(sent_at(0, &[20, 110, 150]), [20, 110, 150]);
        assert_eq!(sent_at(100, &[20, 30]), [100, 100]);
        assert_eq!(sent_at(100, &[110, 120]), [130, 130], "the message comes first");
        assert_eq!(sent_at(100, &[110, 150]), [130, 230], "each sleep begins with the last message");
        assert_eq!(sent_at(100, &[140, 335]), [230, 430], "it sleeps in whole spans");
    }
}
