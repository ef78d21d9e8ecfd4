//! The network between the processes: one connection to each of them, and one thread, the caller's,
//! that carries every message to its receiver.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// Processes in a cluster.
pub const REPLICAS: u16 = 3;
/// Clients have the IDs from here on.
pub const FIRST_CLIENT: u16 = 0x1000;
/// The ID that stands for "all others" and for "no leader".
pub const NOBODY: u16 = 0xFFFF;

/// Where a message has the ID of its sender.
pub const SRC: Range<usize> = 8..12;
/// Where it has the ID of its receiver.
pub const DST: Range<usize> = 21..25;
/// Where it has the ID of the leader.
pub const LEADER: Range<usize> = 37..41;

/// More than any message has.
const MAX_BYTES: usize = 256 << 10;

/// A cluster on this network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

/// Messages and bytes of a cluster, by their direction.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub from_leader: Sum,
    pub to_leader: Sum,
    pub answers: Sum,
}

#[derive(Clone, Copy, Default)]
pub struct Sum {
    pub messages: u64,
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// The mean size of a message.
    pub fn mean(&self) -> usize {
        (self.bytes / self.messages.max(1)) as usize
    }
}

/// The progress of a follower that catches up.
#[derive(Clone, Copy)]
pub struct Watch {
    place: Place,
    follower: u16,
    /// The highest commit index that the leader has named.
    committed: u64,
    /// The highest index that the follower has acknowledged.
    matched: u64,
}

/// A connection to a process.
#[derive(Default)]
struct Link {
    fd: Option<OwnedFd>,       // None while there is no process
    unsent: VecDeque<Vec<u8>>, // if this thread waited for a process that waits for this thread, neither would go on
}

#[derive(Default)]
pub struct Network {
    links: Vec<Link>,
    ready: Vec<usize>, // those that had something to read when they were last polled, and may have more
    tallies: Vec<Tally>,
    pub watch: Option<Watch>,
    buffer: Vec<u8>,
}

impl Network {
    /// Makes room for a cluster.
    pub fn add_cluster(&mut self) -> Place {
        self.buffer.resize(MAX_BYTES, 0);
        let place = Place(self.tallies.len());
        self.tallies.push(Tally::default());
        self.links.extend((0..REPLICAS).map(|_| Link::default()));
        place
    }

    /// Connects a process, or disconnects it.
    pub fn connect(&mut self, place: Place, own: u16, fd: Option<OwnedFd>) {
        self.links[link_of(place, own)] = Link { fd, unsent: VecDeque::new() };
        self.ready.clear(); // the next poll finds them again
    }

    /// Messages since the last call.
    pub fn take_tally(&mut self, place: Place) -> Tally {
        std::mem::take(&mut self.tallies[place.0])
    }

    pub fn deliver(&mut self, place: Place, to: u16, message: &[u8]) {
        self.links[link_of(place, to)].deliver(message);
    }

    /// The message that [`next_answer`](Self::next_answer) has found.
    pub fn answer(&self, length: usize) -> &[u8] {
        &self.buffer[..length]
    }

    /// Carries messages until one is for a client: returns its cluster and its length. `None` if no
    /// message moves for so long.
    pub fn next_answer(&mut self, patience: Duration) -> Option<(Place, usize)> {
        loop {
            while let Some(&at) = self.ready.last() {
                let Some(length) = self.receive(at) else {
                    self.ready.pop();
                    continue;
                };
                if self.route(Place(at / usize::from(REPLICAS)), length) {
                    return Some((Place(at / usize::from(REPLICAS)), length));
                }
            }
            if !self.wait(patience) {
                return None;
            }
        }
    }

    /// Takes a message from a process, if it has one.
    fn receive(&mut self, at: usize) -> Option<usize> {
        let fd = self.links[at].fd.as_ref()?;
        match recv(fd, &mut self.buffer[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(Errno::CONNRESET) => {
                self.links[at] = Link::default();
                None
            }
            Ok((_, length)) => Some(length),
            Err(Errno::AGAIN) => None,
            Err(error) => panic!("the connection to a process: {error}"),
        }
    }

    /// Carries a message to other processes, or returns true if it is for a client.
    fn route(&mut self, place: Place, length: usize) -> bool {
        let message = &self.buffer[..length];
        let (from, to) = (read_hex(&message[SRC]), read_hex(&message[DST]));
        let tally = &mut self.tallies[place.0];
        if to >= FIRST_CLIENT && to != NOBODY {
            tally.answers.add(length);
            return true;
        }
        let is_of_leader = from == read_hex(&message[LEADER]);
        if is_of_leader {
            tally.from_leader.add(length)
        } else {
            tally.to_leader.add(length)
        };
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.place == place) {
            watch.see(from, message);
        }
        for other in (0..REPLICAS).filter(|&other| other == to || (to == NOBODY && other != from)) {
            self.links[link_of(place, other)].deliver(message);
        }
        false
    }

    /// Waits for something to do; false if there was nothing for so long.
    fn wait(&mut self, patience: Duration) -> bool {
        let open =
            || self.links.iter().enumerate().filter_map(|(at, link)| Some((at, link, link.fd.as_ref()?)));
        let mut fds: Vec<_> = open().map(|(_, link, fd)| PollFd::new(fd, link.wanted())).collect();
        let timeout = Timespec::try_from(patience).expect("short");
        if poll(&mut fds, Some(&timeout)).expect("it can be polled") == 0 {
            return false;
        }
        let events: Vec<_> = open().zip(&fds).map(|((at, ..), fd)| (at, fd.revents())).collect();
        for (at, events) in events {
            if events.contains(PollFlags::OUT) {
                self.links[at].send_unsent();
            }
            if events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.ready.push(at);
            }
        }
        true
    }
}

impl Link {
    fn wanted(&self) -> PollFlags {
        if self.unsent.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }

    fn deliver(&mut self, message: &[u8]) {
        if self.fd.is_some() && (!self.unsent.is_empty() || !self.try_send(message)) {
            self.unsent.push_back(message.to_vec());
        }
    }

    /// Whether there was room for it. A message to a process that is gone is lost.
    fn try_send(&self, message: &[u8]) -> bool {
        let Some(fd) = &self.fd else { return true };
        match send(fd, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => true,
            Err(Errno::AGAIN) => false,
            Err(error) => panic!("the connection to a process: {error}"),
        }
    }

    fn send_unsent(&mut self) {
        while self.unsent.front().is_some_and(|message| self.try_send(message)) {
            self.unsent.pop_front();
        }
    }
}

impl Watch {
    pub fn new(place: Place, follower: u16) -> Self {
        Self { place, follower, committed: 0, matched: 0 }
    }

    /// Whether the follower has all that is committed.
    pub fn is_in_step(&self) -> bool {
        self.matched > 0 && self.matched >= self.committed
    }

    fn see(&mut self, from: u16, message: &[u8]) {
        if let Some(index) = number_after(message, br#""leader_commit":"#) {
            self.committed = self.committed.max(index);
            if from == self.follower {
                self.matched = index; // it leads
            }
        } else if from == self.follower
            && let Some(index) = number_after(message, br#""match_index":"#)
        {
            self.matched = self.matched.max(index);
        }
    }
}

fn link_of(place: Place, own: u16) -> usize {
    place.0 * usize::from(REPLICAS) + usize::from(own)
}

/// The number behind the last such text.
fn number_after(message: &[u8], text: &[u8]) -> Option<u64> {
    // The keys of a message come before its entries, and an acknowledgement is short.
    let head = &message[..message.len().min(512)];
    let at = head.windows(text.len()).rposition(|window| window == text)? + text.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// The number that these hexadecimal digits spell.
pub fn read_hex(digits: &[u8]) -> u16 {
    let digit = |digit: u8| if digit <= b'9' { digit - b'0' } else { digit - b'A' + 10 };
    digits.iter().fold(0, |number, &next| number << 4 | u16::from(digit(next)))
}

/// Spells a number in so many digits.
pub fn write_hex(digits: &mut [u8], number: impl Into<u64>) {
    let mut left = number.into();
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(left % 16) as usize];
        left /= 16;
    }
}
