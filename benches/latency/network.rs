//! The network's own end of each transport: the middle between the replicas, on the calling thread.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use kvstore::transport::{Hub, SEQPACKET_MAX_DATAGRAM, Seqpacket, Transport, Udp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, recv,
    send, socket_with, sockopt,
};

use crate::testkit::id;

/// How long no message may move before [`Network::receive`] returns `None`.
pub const SILENCE: Duration = Duration::from_millis(50);

/// The size that replicas ask for; the system grants as much as it allows.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// The transports.
#[derive(Clone, Copy)]
pub enum Kind {
    Memory,
    Seqpacket,
    Udp,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Memory, Self::Seqpacket, Self::Udp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Seqpacket => "seqpacket",
            Self::Udp => "udp",
        }
    }
}

/// The middle of a network. It doesn't look into datagrams.
pub trait Network {
    /// Takes the next datagram that a replica has sent; its length, or `None` after a [`SILENCE`].
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize>;

    /// Hands a datagram to a replica, and never waits until it is received.
    fn deliver(&mut self, to: u16, datagram: &[u8]);
}

/// A network and the replicas' ends of it, in the order of their IDs.
pub fn connect(kind: Kind, replicas: u16) -> (Box<dyn Network>, Vec<Arc<dyn Transport>>) {
    match kind {
        Kind::Memory => {
            let hub = Hub::new(SEQPACKET_MAX_DATAGRAM);
            let transports = (0..replicas).map(|own| hub.attach(id(own)) as _).collect();
            (Box::new(hub), transports)
        }
        Kind::Seqpacket => {
            let (links, transports) = (0..replicas).map(|_| Link::connect()).unzip();
            (Box::new(Links { links, ready: Vec::new() }), transports)
        }
        Kind::Udp => connect_udp(replicas),
    }
}

impl Network for Hub {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let bytes = self.sent().recv_timeout(SILENCE).ok()?.bytes;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Some(bytes.len())
    }

    fn deliver(&mut self, to: u16, datagram: &[u8]) {
        assert!(Hub::deliver(self, id(to), datagram.to_vec()));
    }
}

/// The connections to all replicas.
struct Links {
    links: Vec<Link>,
    ready: Vec<usize>, // those that had something to read when they were last polled, and may have more
}

struct Link {
    fd: OwnedFd,
    unsent: VecDeque<Vec<u8>>, // if this thread waited for a replica that waits for this thread, neither would go on
}

impl Link {
    fn connect() -> (Self, Arc<dyn Transport>) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("replica");
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("fd");
        bind(&listener, &SocketAddrUnix::new(&path).expect("a short path")).expect("a free path");
        listen(&listener, 1).expect("listens");
        let transport = Arc::new(Seqpacket::connect(&path).expect("connects"));
        let fd = accept(&listener).expect("a replica has connected");
        let _refused = sockopt::set_socket_send_buffer_size(&fd, SOCKET_BUFFER_BYTES);
        (Self { fd, unsent: VecDeque::new() }, transport)
    }

    /// Whether there was room for it.
    fn try_send(&self, datagram: &[u8]) -> bool {
        match send(&self.fd, datagram, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => true,
            Err(Errno::AGAIN) => false,
            Err(error) => panic!("a replica is gone: {error}"),
        }
    }

    fn send_unsent(&mut self) {
        while self.unsent.front().is_some_and(|datagram| self.try_send(datagram)) {
            self.unsent.pop_front();
        }
    }
}

impl Links {
    /// Waits for something to do; false after a [`SILENCE`].
    fn wait(&mut self) -> bool {
        let wanted = |link: &Link| {
            if link.unsent.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
        };
        let mut fds: Vec<_> = self.links.iter().map(|link| PollFd::new(&link.fd, wanted(link))).collect();
        let timeout = Timespec::try_from(SILENCE).expect("short");
        if poll(&mut fds, Some(&timeout)).expect("it can be polled") == 0 {
            return false;
        }
        let events: Vec<_> = fds.iter().map(PollFd::revents).collect();
        for (at, (link, events)) in self.links.iter_mut().zip(events).enumerate() {
            if events.contains(PollFlags::OUT) {
                link.send_unsent();
            }
            if events.contains(PollFlags::IN) {
                self.ready.push(at);
            }
        }
        true
    }
}

impl Network for Links {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            while let Some(&at) = self.ready.last() {
                match recv(&self.links[at].fd, &mut *buffer, RecvFlags::DONTWAIT) {
                    Ok((_, length)) => return Some(length),
                    Err(Errno::AGAIN) => drop(self.ready.pop()),
                    Err(error) => panic!("a replica is gone: {error}"),
                }
            }
            if !self.wait() {
                return None;
            }
        }
    }

    fn deliver(&mut self, to: u16, datagram: &[u8]) {
        let link = &mut self.links[usize::from(to)];
        if !link.unsent.is_empty() || !link.try_send(datagram) {
            link.unsent.push_back(datagram.to_vec());
        }
    }
}

/// The one socket that all replicas send to, and where each of them is.
struct Datagrams {
    socket: UdpSocket,
    replicas: Vec<SocketAddr>,
}

fn connect_udp(replicas: u16) -> (Box<dyn Network>, Vec<Arc<dyn Transport>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let _refused = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES);
    let open = |own| {
        let transport: Arc<dyn Transport> = Arc::new(Udp::open(id(own), port).expect("opens"));
        let (_, address) = socket.recv_from(&mut [0; 100]).expect("the hello");
        (address, transport)
    };
    let (replicas, transports) = (0..replicas).map(open).unzip();
    socket.set_read_timeout(Some(SILENCE)).expect("not zero");
    (Box::new(Datagrams { socket, replicas }), transports)
}

impl Network for Datagrams {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.socket.recv_from(buffer).ok().map(|(length, _)| length)
    }

    fn deliver(&mut self, to: u16, datagram: &[u8]) {
        self.socket.send_to(datagram, self.replicas[usize::from(to)]).expect("it is sent, or lost");
    }
}
