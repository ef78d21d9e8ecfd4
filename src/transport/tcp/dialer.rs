//! The thread that owns the connection to one other replica: it dials, says hello, writes what the
//! connection did not take at once, and pings.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use rustix::event::{PollFd, PollFlags};
use tracing::{info, warn};

use super::burst::Bursts;
use super::frame::{Frame, FrameReader};
use super::hello::{self, HelloError};
use super::mesh::Shared;
use super::peer::Peer;
use crate::clock::BootTime;

/// The first and the longest pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long one address may take to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// How often a connection is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// The pauses between attempts: each is drawn from the upper half of a span that doubles.
struct Pauses {
    span: Duration,
    rng: Rng,
}

impl Pauses {
    fn new(seed: u64) -> Self {
        Self { span: FIRST_PAUSE, rng: Rng::with_seed(seed) }
    }

    fn next(&mut self) -> Duration {
        let pause = self.span.mul_f64(0.5 + self.rng.f64() / 2.0);
        self.span = (2 * self.span).min(LONGEST_PAUSE);
        pause
    }

    fn restart(&mut self) {
        self.span = FIRST_PAUSE;
    }
}

/// Why an attempt failed.
enum Failure {
    Refused(HelloError),
    Unreachable(io::Error),
}

/// Why a connection ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The mesh has stopped.
    Stopped,
    /// The other replica has left.
    Left,
}

/// The dialer of one replica.
pub(super) struct Dialer {
    mesh: Arc<Shared>,
    index: usize,
    pauses: Pauses,
    bursts: Bursts<Option<std::mem::Discriminant<HelloError>>>,
}

impl Dialer {
    pub(super) fn new(mesh: Arc<Shared>, index: usize, seed: u64) -> Self {
        Self { mesh, index, pauses: Pauses::new(seed), bursts: Bursts::new() }
    }

    fn peer(&self) -> &Peer {
        &self.mesh.peers[self.index]
    }

    /// Keeps a connection to the replica until the mesh stops.
    pub(super) fn run(mut self) {
        while !self.mesh.is_stopped() {
            match self.dial() {
                Ok(stream) => {
                    self.pauses.restart();
                    self.bursts.clear();
                    let stream = Arc::new(stream);
                    self.peer().connect(&stream);
                    let ended = self.serve(&stream);
                    self.peer().disconnect();
                    // A replica that leaves in order answers or returns all that it has on the
                    // connection from it, whose end says that this was all.
                    let answers = matches!(ended, Ok(Ended::Left)) && self.peer().has_incoming();
                    if !answers {
                        self.mesh.clients.lost(self.peer().id);
                    }
                    if let Err(error) = ended {
                        info!(peer = %self.peer().id, "the connection to it ended: {error}");
                    }
                }
                Err(failure) => self.report(failure),
            }
            let pause = self.pauses.next();
            self.pause(BootTime::now() + pause);
        }
    }

    /// Connects to the first address that takes the connection. The name is resolved each time: a
    /// replica may return under another address.
    fn dial(&self) -> Result<TcpStream, Failure> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for address in (self.mesh.resolve)(&self.peer().address).map_err(Failure::Unreachable)? {
            match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
                Ok(stream) => return self.greet(stream),
                Err(error) => last = error,
            }
        }
        Err(Failure::Unreachable(last))
    }

    fn greet(&self, stream: TcpStream) -> Result<TcpStream, Failure> {
        stream.set_nodelay(true).map_err(Failure::Unreachable)?;
        let until = BootTime::now() + self.mesh.limits.hello;
        hello::dial(&self.mesh.identity, self.peer().id, &stream, until).map_err(Failure::Refused)?;
        stream.set_nonblocking(true).map_err(Failure::Unreachable)?;
        Ok(stream)
    }

    fn report(&self, failure: Failure) {
        let peer = self.peer();
        let kind = match &failure {
            Failure::Refused(refused) => Some(refused.kind()),
            Failure::Unreachable(_) => None,
        };
        let more = self.bursts.admit(kind, BootTime::now());
        let reason = match failure {
            Failure::Refused(reason) => {
                if let Some(more) = more {
                    warn!(peer = %peer.id, address = peer.address, more, "no connection: {reason}");
                }
                reason.to_string()
            }
            Failure::Unreachable(error) => {
                if let Some(more) = more {
                    info!(peer = %peer.id, address = peer.address, more, "can't be reached yet: {error}");
                }
                error.to_string()
            }
        };
        peer.set_refusal(reason);
    }

    /// Waits until then, or until there is a reason to dial at once.
    fn pause(&mut self, until: BootTime) {
        loop {
            if self.peer().dial_now.swap(false, Ordering::SeqCst) {
                return;
            }
            let left = until.left();
            if left.is_zero() || self.mesh.is_stopped() {
                return;
            }
            if self.peer().alarm.wait(&mut Vec::new(), Some(left)).is_err() {
                return;
            }
        }
    }

    /// Serves the connection until it ends, until the other replica leaves, or until the mesh stops.
    fn serve(&self, stream: &TcpStream) -> io::Result<Ended> {
        let peer = self.peer();
        peer.dial_now.store(false, Ordering::SeqCst);
        let silence = self.mesh.limits.silence;
        let mut reader = FrameReader::new(0);
        let mut heard_at = BootTime::now();
        let mut ping_at = heard_at;
        while !self.mesh.is_stopped() {
            let now = BootTime::now();
            if now >= heard_at + silence {
                // The replica is gone or does not receive, so it does not send either.
                peer.hang_up_incoming();
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it has not answered a ping in time"));
            }
            if now >= ping_at {
                peer.ping(now)?;
                ping_at = now + PING_INTERVAL.min(silence / 4);
            }
            let is_left = peer.write_waiting()?;
            let has_input = wait(peer, stream, is_left, ping_at.min(heard_at + silence))?;
            if has_input && read_pongs(peer, stream, &mut reader, &mut heard_at)? == Said::Leaving {
                return self.part(stream);
            }
        }
        self.linger(stream)?;
        Ok(Ended::Stopped)
    }

    /// The other replica is about to leave: it gets what was sent, and then the end.
    fn part(&self, stream: &TcpStream) -> io::Result<Ended> {
        let (peer, until) = (self.peer(), BootTime::now() + self.mesh.limits.silence);
        peer.send_no_more();
        while peer.write_waiting()? && !until.left().is_zero() {
            wait(peer, stream, true, until)?;
        }
        stream.shutdown(Shutdown::Write)?;
        read_to_end(peer, stream, until)?;
        Ok(Ended::Left)
    }

    /// Writes what is still sent, then tells the other side that this was all.
    fn linger(&self, stream: &TcpStream) -> io::Result<()> {
        let (peer, until) = (self.peer(), BootTime::now() + self.mesh.limits.linger);
        loop {
            let is_left = peer.write_waiting()?;
            if until.left().is_zero() || (!is_left && self.mesh.is_finished()) {
                break;
            }
            wait(peer, stream, is_left, until)?;
        }
        stream.shutdown(Shutdown::Write)?;
        read_to_end(peer, stream, until)
    }
}

/// Takes what the other side still says, until its end. A socket that is closed before would be reset,
/// and the other side might lose what it has not read yet.
fn read_to_end(peer: &Peer, stream: &TcpStream, until: BootTime) -> io::Result<()> {
    let mut reader = FrameReader::new(0);
    while !until.left().is_zero() {
        if !wait(peer, stream, false, until)? {
            continue;
        }
        match read_pongs(peer, stream, &mut reader, &mut BootTime::now()) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Waits for the connection or the alarm; true if there is something to read.
fn wait(peer: &Peer, stream: &TcpStream, writes: bool, until: BootTime) -> io::Result<bool> {
    let flags = if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let mut fds = vec![PollFd::new(stream, flags)];
    peer.alarm.wait(&mut fds, Some(until.left()))?;
    Ok(fds[0].revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR))
}

/// The news on a connection from the side that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Pongs at most.
    Pongs,
    /// The other replica is about to leave.
    Leaving,
}

/// Takes the pongs that are there. The other side sends nothing else on this connection, but that it
/// leaves.
fn read_pongs(
    peer: &Peer,
    mut stream: &TcpStream,
    reader: &mut FrameReader,
    heard_at: &mut BootTime,
) -> io::Result<Said> {
    if !reader.fill(&mut stream)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut said = Said::Pongs;
    while let Some(frame) = reader.next().map_err(|bad| invalid(bad.to_string()))? {
        match frame {
            Frame::Pong(stamp) => {
                *heard_at = BootTime::now();
                peer.took_round_trip(stamp, *heard_at);
            }
            Frame::Leaving => said = Said::Leaving,
            _ => return Err(invalid("it sent more than pongs".to_owned())),
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again() {
        let mut pauses = Pauses::new(1);
        let mut span = FIRST_PAUSE;
        for _ in 0..10 {
            let pause = pauses.next();
            assert!(pause >= span / 2 && pause <= span, "{pause:?} of {span:?}");
            span = (2 * span).min(LONGEST_PAUSE);
        }
        pauses.restart();
        assert!(pauses.next() <= FIRST_PAUSE);
    }

    #[test]
    fn pauses_of_two_seeds_differ() {
        assert_ne!(Pauses::new(1).next(), Pauses::new(2).next());
    }
}
