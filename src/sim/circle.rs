//! How a client behaves when each replica redirects it to another one, as in `run.py`
//! (`simulator/causes.py`). Each replica may decline a request once in good faith. From then on the
//! client repeats one declined request at a time, and pauses before each.

use std::collections::VecDeque;

use crate::micros::Micros;

/// The first pause, in microseconds. Each later one is half as long again.
const FIRST_PAUSE_US: Micros = 4_000;

/// The longest pause, in microseconds.
const LONGEST_PAUSE_US: Micros = 50_000;

/// The declined requests of one client that wait to be repeated.
#[derive(Debug, Default)]
pub(super) struct Circle {
    declined: VecDeque<usize>,
    pause_us: Micros,
    due: Option<Micros>, // when the client repeats the first of them
}

impl Circle {
    /// Whether a request that was declined in this attempt, counted from 1, goes round in circles.
    pub(super) fn holds(attempt: usize, replicas: usize) -> bool {
        attempt > replicas
    }

    /// Takes in a declined request. Returns the time of the next repetition, unless an earlier call
    /// returned it.
    pub(super) fn enter(&mut self, now: Micros, number: usize) -> Option<Micros> {
        self.declined.push_back(number);
        if self.declined.len() > 1 { None } else { self.pause(now) }
    }

    /// The request to repeat now, if any, and the time of the next repetition.
    pub(super) fn next(&mut self, now: Micros) -> Option<(usize, Option<Micros>)> {
        self.due.take_if(|due| *due <= now)?;
        let number = self.declined.pop_front()?;
        Some((number, if self.declined.is_empty() { None } else { self.pause(now) }))
    }

    /// A replica served a request, so all that wait are worth another attempt at once.
    pub(super) fn leave(&mut self) -> VecDeque<usize> {
        std::mem::take(self).declined
    }

    fn pause(&mut self, now: Micros) -> Option<Micros> {
        self.pause_us = (self.pause_us * 3 / 2).clamp(FIRST_PAUSE_US, LONGEST_PAUSE_US);
        self.due = Some(now + self.pause_us);
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declined_requests_are_repeated_one_at_a_time_with_growing_pauses() {
        let mut circle = Circle::default();
        assert_eq!(circle.enter(100, 1), Some(4_100));
        assert_eq!(circle.enter(200, 2), None);
        assert_eq!(circle.next(4_099), None);
        assert_eq!(circle.next(4_100), Some((1, Some(10_100))));
        assert_eq!(circle.enter(5_000, 1), None);
        assert_eq!(circle.next(10_100), Some((2, Some(19_100))));
        assert_eq!(circle.next(19_100), Some((1, None)));
        let mut now = 20_000;
        for _ in 0..20 {
            let due = circle.enter(now, 1).expect("no other request waits");
            assert!(due - now <= LONGEST_PAUSE_US);
            assert_eq!(circle.next(due), Some((1, None)));
            now = due;
        }
    }

    #[test]
    fn served_client_repeats_all_at_once_and_begins_with_the_shortest_pause_again() {
        let mut circle = Circle::default();
        circle.enter(0, 1);
        circle.enter(0, 2);
        assert_eq!(circle.leave(), [1, 2]);
        assert_eq!(circle.next(1_000_000), None);
        assert_eq!(circle.enter(50, 3), Some(4_050));
    }
}
