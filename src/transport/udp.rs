//! The datagram dialect: UDP on the loopback interface, everything to the one port where the simulator is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rustix::net::sendto;

use super::socket::{Socket, Wait};
use super::{Received, Transport, refuse_long};
use crate::clock::BootTime;
use crate::id::Id;
use crate::wire;

/// The longest datagram that UDP carries over IPv4.
pub const UDP_MAX_DATAGRAM: usize = 65_507;

/// A UDP socket on the loopback interface.
pub struct Udp {
    socket: Socket,
    simulator: SocketAddr,
}

impl Udp {
    /// Opens a socket on a free port and tells the simulator about it at once: a
    /// replica that has not said hello counts as dead.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    pub fn open(own: Id, port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let simulator = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let udp = Self { socket: Socket::new(socket.into())?, simulator };
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello, own);
        udp.send(&hello)?;
        Ok(udp)
    }

    fn transmit(&self, datagram: &[u8], wait: Wait) -> io::Result<()> {
        refuse_long(datagram, UDP_MAX_DATAGRAM)?;
        self.socket.send(wait, |flags| sendto(self.socket.fd(), datagram, flags, &self.simulator))
    }
}

impl Transport for Udp {
    // Bound to the loopback address, the socket hears nobody from outside.
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        self.socket.receive(buffer, until)
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.try_receive(buffer)
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
        self.socket.stop();
    }
}
