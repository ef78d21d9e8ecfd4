//! The seqpacket dialect: a connection of sequenced packets to a simulator that listens
//! on a path named like the replica.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::task::Waker;

use rustix::net::{SocketType, send};

use super::socket::{Socket, Unit, Wait, connect_unix};
use super::{Address, Received, Transport, refuse_long};
use crate::clock::BootTime;

/// The longest message that simulators of this dialect read; a longer one arrives cut.
pub const SEQPACKET_MAX_DATAGRAM: usize = 16_384;

/// A connected `SOCK_SEQPACKET` socket.
pub struct Seqpacket(Socket);

impl Seqpacket {
    /// Connects to the simulator's socket at this path.
    ///
    /// # Errors
    ///
    /// The error of the operating system, above all that the path has no listener.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Self::new(connect_unix(path, SocketType::SEQPACKET)?)
    }

    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self(Socket::new(fd, Unit::Datagram)?))
    }

    /// The end of a connection looks like an empty packet.
    fn detect_end(&self, received: Received) -> io::Result<Received> {
        match received {
            Received::Datagram(0) if self.0.is_hung_up()? => Ok(Received::Closed),
            received => Ok(received),
        }
    }

    fn transmit(&self, datagram: &[u8], wait: Wait) -> io::Result<()> {
        refuse_long(datagram, SEQPACKET_MAX_DATAGRAM)?;
        self.0.send(wait, |flags| send(self.0.fd(), datagram, flags)).map(drop)
    }
}

impl Transport for Seqpacket {
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        self.detect_end(self.0.receive(buffer, until)?)
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.detect_end(self.0.try_receive(buffer)?)
    }

    fn send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::Yes)
    }

    fn try_send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::No)
    }

    fn max_datagram(&self) -> usize {
        SEQPACKET_MAX_DATAGRAM
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }

    fn stop(&self) {
        self.0.stop();
    }
}
