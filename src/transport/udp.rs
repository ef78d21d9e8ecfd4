//! The datagram dialect: UDP on the loopback interface, everything to and from the simulator's one
//! port. The socket is connected to that port, so the kernel refuses the datagrams of other
//! processes: they neither reach the replica nor take the room of the simulator's messages.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::task::Waker;

use rustix::net::send;

use super::socket::{Socket, Unit, Wait};
use super::{Address, Received, Transport, refuse_long};
use crate::clock::BootTime;
use crate::id::Id;
use crate::wire;

/// The longest datagram that UDP carries over IPv4.
pub const UDP_MAX_DATAGRAM: usize = 65_507;

/// A UDP socket on the loopback interface, connected to the simulator's.
pub struct Udp(Socket);

impl Udp {
    /// Opens a socket on a free port and says hello to the simulator at once: a replica that has
    /// not said hello counts as dead.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn open(own: Id, port: u16) -> io::Result<Self> {
        Self::join(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, own, port)
    }

    pub(super) fn join(socket: UdpSocket, own: Id, port: u16) -> io::Result<Self> {
        socket.connect((Ipv4Addr::LOCALHOST, port))?;
        let udp = Self(Socket::new(socket.into(), Unit::Datagram)?);
        // The simulator does not know this port yet, so a datagram that is here came from another
        // process.
        while udp.try_receive(&mut [])? != Received::TimedOut {}
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello, own);
        udp.transmit(&hello, Wait::Yes)?;
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

    fn send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::Yes)
    }

    fn try_send(&self, _to: Address, datagram: &[u8]) -> io::Result<()> {
        self.transmit(datagram, Wait::No)
    }

    fn max_datagram(&self) -> usize {
        UDP_MAX_DATAGRAM
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }

    fn stop(&self) {
        self.0.stop();
    }
}
