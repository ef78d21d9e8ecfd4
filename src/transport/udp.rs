//! The datagram dialect: UDP on the loopback interface, everything to and from the one port where the
//! simulator is. The socket is connected to that port, so the kernel refuses what other processes
//! send: it neither reaches the replica nor takes the room of the simulator's messages.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use rustix::net::send;

use super::socket::{Socket, Unit, Wait};
use super::{Received, Transport, refuse_long};
use crate::clock::BootTime;
use crate::id::Id;
use crate::wire;

/// The longest datagram that UDP carries over IPv4.
pub const UDP_MAX_DATAGRAM: usize = 65_507;

/// A UDP socket on the loopback interface, connected to the simulator's.
pub struct Udp(Socket);

impl Udp {
    /// Opens a socket on a free port and tells the simulator about it at once: a
    /// replica that has not said hello counts as dead.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    pub fn open(own: Id, port: u16) -> io::Result<Self> {
        Self::join(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, own, port)
    }

    pub(super) fn join(socket: UdpSocket, own: Id, port: u16) -> io::Result<Self> {
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        let udp = Self(Socket::new(socket.into(), Unit::Datagram)?);
        // The simulator does not know this port yet: what is here by now came from another process.
        while udp.try_receive(&mut [])? != Received::TimedOut {}
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello, own);
        udp.send(&hello)?;
        Ok(udp)
    }

    fn transmit(&self, datagram: &[u8], wait: Wait) -> io::Result<()> {
        refuse_long(datagram, UDP_MAX_DATAGRAM)?;
        self.0.send(wait, |flags| send(self.0.fd(), datagram, flags)).map(drop)
    }
}

impl Transport for Udp {
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        self.0.receive(buffer, until)
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.0.try_receive(buffer)
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::Yes)
    }

    fn try_send(&self, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::No)
    }

    fn max_datagram(&self) -> usize {
        UDP_MAX_DATAGRAM
    }

    fn stop(&self) {
        self.0.stop();
    }
}
