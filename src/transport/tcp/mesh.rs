//! The transport of a replica of a real cluster: its threads, and where each datagram goes.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::LocalClients;
use super::dialer::Dialer;
use super::door::{self, Door};
use super::envelope::{Envelope, Kind};
use super::frame::{MAX_RELAYS, RETURNED};
use super::hello::{Identity, MAX_CLUSTER_BYTES};
use super::inbox::{Inbox, InboxWaker, Wait};
use super::origins::{MAX_PEERS, OriginTable, Origins};
use super::peer::{Link, Peer};
use super::traffic::{Flow, Traffic};
use crate::clock::BootTime;
use crate::id::Id;
use crate::transport::{Address, Received, Transport, refuse_long};

/// The longest datagram of a mesh: two of the longest values, and a megabyte for keys and the rest. A
/// connection that announces a longer one is closed.
pub const MAX_DATAGRAM: usize = 9 * 1024 * 1024;

/// How much longer [`Mesh::finish`] waits for the threads than they linger. A thread that resolves a
/// name may take longer, and owes nothing.
const FINISH_MARGIN: Duration = Duration::from_millis(300);

/// How often a mesh that leaves looks whether the others have ended their connections.
const LOOK: Duration = Duration::from_millis(2);

/// The settings of a mesh.
pub struct MeshOptions {
    /// This replica.
    pub own: Id,
    /// The name of the cluster, up to 255 bytes. A replica of another one is refused.
    pub cluster: String,
    /// What the replicas of the cluster know and no stranger knows. Without it, each process that
    /// can reach the port can pass for a replica.
    pub secret: Option<String>,
    /// Where the others dial.
    pub listen: TcpListener,
    /// The other replicas and their addresses, `host:port`. A name is resolved at each attempt.
    pub peers: Vec<(Id, String)>,
    /// The seed of the pauses between attempts.
    pub seed: u64,
    /// What strangers and slow peers may cost.
    pub limits: MeshLimits,
}

/// What strangers and slow peers may cost.
#[derive(Clone, Debug)]
pub struct MeshLimits {
    /// How long a hello may take.
    pub hello: Duration,
    /// How many connections may be without a hello at once. The oldest is closed beyond that.
    pub strangers: usize,
    /// How many datagrams may wait for one peer.
    pub queued: usize,
    /// How many bytes of them may wait; one datagram always may.
    pub queued_bytes: usize,
    /// How many datagrams of the own front ends may wait for the receiver.
    pub submitted: usize,
    /// How many bytes of them may wait.
    pub submitted_bytes: usize,
    /// A connection whose pings are not answered for so long is closed.
    pub silence: Duration,
    /// How long a stopped mesh keeps its connections for what is still to be written.
    pub linger: Duration,
}

impl Default for MeshLimits {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(3),
            strangers: 64,
            queued: 4_096,
            queued_bytes: 16 * 1024 * 1024,
            submitted: 65_536,
            submitted_bytes: 64 * 1024 * 1024,
            silence: Duration::from_secs(5),
            linger: Duration::from_millis(200),
        }
    }
}

/// A mesh at one moment, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshView {
    /// The links to all others, in the order of the options.
    pub links: Vec<Link>,
    /// The messages to and from each of them.
    pub flows: Vec<Flow>,
    /// How many connections were closed because they did not belong here, or came in too great a number.
    pub strangers_refused: u64,
    /// How many answers no connection was known for, because it had ended.
    pub unroutable: u64,
}

/// Finds the addresses of a name, `host:port`.
pub(super) type Resolve = Box<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// What all threads of a mesh share.
pub(super) struct Shared {
    pub(super) resolve: Resolve,
    pub(super) own: Id,
    pub(super) identity: Identity,
    pub(super) limits: MeshLimits,
    pub(super) peers: Vec<Peer>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) clients: Arc<dyn LocalClients>,
    pub(super) origins: Mutex<OriginTable>,
    pub(super) inbox: Inbox,
    pub(super) door: Door,
    is_retiring: AtomicBool,
    is_leaving: AtomicBool,
    is_stopped: AtomicBool,
    is_finished: AtomicBool,
    unroutable: AtomicU64,
}

impl Shared {
    pub(super) fn peer(&self, id: Id) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id == id)
    }

    /// Whether this replica tells the others to send no more, or has stopped.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::SeqCst) || self.is_stopped()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::SeqCst)
    }

    /// Sends an answer wherever the client's requests came from. `came` says through which connection
    /// the answer came, and how often it was relayed before.
    pub(super) fn answer(&self, client: Id, datagram: &[u8], came: Option<(Origins, u8)>) {
        let origins = self.origins.lock().of(client);
        let (origins, relays) = match came {
            Some((from, relays)) => (origins.without(from), relays + 1),
            None => (origins, 0),
        };
        if origins.is_empty() {
            self.unroutable.fetch_add(1, Ordering::Relaxed);
        }
        if origins.has(Origins::OWN) {
            self.clients.deliver(datagram);
        }
        for peer in self.peers.iter().filter(|peer| origins.has(Origins::peer(peer.index))) {
            if relays <= MAX_RELAYS {
                peer.send(&self.limits, Kind::Answer, relays, datagram, || {});
            }
        }
    }

    fn send_to_peer(&self, to: Id, datagram: &[u8]) {
        let Some((Envelope { kind, id }, peer)) =
            Envelope::read(datagram).map(|(envelope, _)| envelope).zip(self.peer(to))
        else {
            self.unroutable.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if kind != Kind::Request {
            peer.send(&self.limits, kind, 0, datagram, || {});
            return;
        }
        let origins = self.origins.lock().of(id);
        // The answer would come by way of this replica, which may have left by then.
        if self.is_retiring.load(Ordering::SeqCst) && origins.only_peer().is_some() {
            return self.return_request(origins, datagram);
        }
        let tell = || {
            if origins.has(Origins::OWN) {
                self.clients.forwarded(to, datagram);
            }
        };
        if !peer.send(&self.limits, kind, 0, datagram, tell) {
            self.return_request(origins, datagram);
        }
    }

    /// Tells the client of a request, by way of the connection that it came from, that it was
    /// certainly not forwarded. Where requests of the client come from several replicas, a request
    /// of the same name may still be under way from another one, so no client is told.
    pub(super) fn return_request(&self, origins: Origins, datagram: &[u8]) {
        if origins == Origins::OWN {
            self.clients.refused(datagram);
        } else if let Some(index) = origins.only_peer() {
            self.peers[index].send(&self.limits, Kind::Answer, RETURNED, datagram, || {});
        }
    }
}

/// The transport of one replica to the others.
pub struct Mesh {
    shared: Arc<Shared>,
    ended: Receiver<Infallible>, // disconnected when all threads have ended
}

impl Mesh {
    /// Starts the threads of a mesh: one that listens, and one for each other replica.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the options contradict themselves, else the error of the system.
    pub fn start(options: MeshOptions, clients: Arc<dyn LocalClients>) -> io::Result<Arc<Self>> {
        Self::start_with(options, clients, Box::new(|name| Ok(name.to_socket_addrs()?.collect())))
    }

    pub(super) fn start_with(
        options: MeshOptions,
        clients: Arc<dyn LocalClients>,
        resolve: Resolve,
    ) -> io::Result<Arc<Self>> {
        check(&options)?;
        let MeshOptions { own, cluster, secret, listen, peers, seed, limits } = options;
        listen.set_nonblocking(true)?;
        let members: Vec<Id> = peers.iter().map(|(id, _)| *id).collect();
        let traffic = Arc::new(Traffic::new(members.iter().copied()));
        let secret = secret.unwrap_or_default().into_bytes();
        let peers = peers.into_iter().enumerate();
        let shared = Arc::new(Shared {
            resolve,
            own,
            identity: Identity { own, cluster, secret, members },
            limits,
            peers: peers
                .map(|(index, (id, address))| Peer::new(index, id, address, &traffic))
                .collect::<Result<_, _>>()?,
            traffic,
            clients,
            origins: Mutex::new(OriginTable::new(BootTime::now())),
            inbox: Inbox::new()?,
            door: Door::new()?,
            is_retiring: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            is_finished: AtomicBool::new(false),
            unroutable: AtomicU64::new(0),
        });
        let (alive, ended) = bounded(0);
        let mesh = Arc::new(Self { shared: Arc::clone(&shared), ended }); // stops the threads if one does not start
        for index in 0..shared.peers.len() {
            let dialer = Dialer::new(Arc::clone(&shared), index, seed.wrapping_add(index as u64));
            spawn("dialer", &alive, move || dialer.run())?;
        }
        spawn("door", &alive, move || door::run(&shared, &listen))?;
        Ok(mesh)
    }

    /// Hands a datagram of the own front ends to the receiver: a [`Kind::Request`] or a
    /// [`Kind::LocalRead`]. False if it was not taken: there is no room, or the mesh has stopped.
    pub fn submit(&self, datagram: Vec<u8>) -> bool {
        let Some((Envelope { kind: Kind::Request | Kind::LocalRead, id }, _)) = Envelope::read(&datagram)
        else {
            return false;
        };
        if self.shared.is_stopped() {
            return false;
        }
        self.shared.origins.lock().learn(id, Origins::OWN, BootTime::now());
        self.shared.inbox.submit(&self.shared.limits, datagram)
    }

    /// Hands any bytes to the receiver.
    #[cfg(test)]
    pub(in crate::transport) fn submit_bytes(&self, bytes: &[u8]) {
        assert!(self.shared.inbox.submit(&self.shared.limits, bytes.to_vec()));
    }

    /// The mesh as operators see it.
    pub fn view(&self) -> MeshView {
        MeshView {
            links: self.links(),
            flows: self.shared.traffic.flows(),
            strangers_refused: self.shared.door.refused(),
            unroutable: self.unroutable(),
        }
    }

    /// The counts of all messages, for the dialect that knows those of Raft.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.shared.traffic
    }

    /// The links to all others, in the order of the options.
    pub fn links(&self) -> Vec<Link> {
        self.shared.peers.iter().map(Peer::link).collect()
    }

    /// How many answers no connection was known for, because it had ended.
    pub fn unroutable(&self) -> u64 {
        self.shared.unroutable.load(Ordering::Relaxed)
    }

    /// This replica.
    pub fn own(&self) -> Id {
        self.shared.own
    }

    /// This replica is to stop. From now on a request of another replica that it would have to forward
    /// goes back to that one, which finds its way to the leader without this replica.
    pub fn retire(&self) {
        self.shared.is_retiring.store(true, Ordering::SeqCst);
    }

    /// Takes no more connections, and asks the others to send no more. Returns when the receiver has all
    /// that they had sent, or after this time. The answers to it can still be sent.
    pub fn leave(&self, limit: Duration) {
        self.shared.is_leaving.store(true, Ordering::SeqCst);
        self.shared.door.close();
        self.shared.peers.iter().for_each(Peer::ask_for_end);
        let until = BootTime::now() + limit;
        while self.shared.peers.iter().any(Peer::has_incoming) && !until.left().is_zero() {
            thread::sleep(LOOK);
        }
    }

    /// Stops, and waits until all that was sent is written, if that takes no longer than
    /// [`MeshLimits::linger`].
    pub fn finish(&self) {
        self.stop();
        self.shared.is_finished.store(true, Ordering::SeqCst);
        self.shared.peers.iter().for_each(|peer| peer.alarm.ring());
        let _late = self.ended.recv_timeout(self.shared.limits.linger + FINISH_MARGIN);
        self.shared.inbox.clear(&self.shared);
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.stop();
    }
}

fn check(options: &MeshOptions) -> io::Result<()> {
    let refuse = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned()));
    let ids: BTreeSet<Id> = options.peers.iter().map(|(id, _)| *id).collect();
    if ids.contains(&options.own) {
        return refuse("a replica is no peer of its own");
    }
    if ids.len() < options.peers.len() {
        return refuse("two peers have the same ID");
    }
    if ids.len() > MAX_PEERS {
        return refuse("a cluster has at most 64 replicas");
    }
    if options.cluster.len() > MAX_CLUSTER_BYTES {
        return refuse("the name of a cluster has at most 255 bytes");
    }
    if options.secret.as_ref().is_some_and(String::is_empty) {
        return refuse("an empty secret is none");
    }
    Ok(())
}

fn spawn(name: &str, alive: &Sender<Infallible>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let alive = alive.clone();
    let run = move || {
        work();
        drop(alive);
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

impl Transport for Mesh {
    fn receive(&self, buffer: &mut [u8], until: Option<BootTime>) -> io::Result<Received> {
        self.shared.inbox.receive(&self.shared, buffer, Wait::Until(until))
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.shared.inbox.receive(&self.shared, buffer, Wait::No)
    }

    /// Never waits. Without a connection to the replica, or if its queue is full, the datagram is
    /// dropped and counted, and the own client of a request is told.
    fn send(&self, to: Address, datagram: &[u8]) -> io::Result<()> {
        refuse_long(datagram, MAX_DATAGRAM)?;
        match to {
            Address::Peer(id) => self.shared.send_to_peer(id, datagram),
            Address::Client(id) => self.shared.answer(id, datagram, None),
        }
        Ok(())
    }

    fn try_send(&self, to: Address, datagram: &[u8]) -> io::Result<()> {
        self.send(to, datagram)
    }

    fn gather(&self) {
        self.shared.peers.iter().for_each(Peer::gather);
    }

    fn flush(&self) {
        self.shared.peers.iter().for_each(Peer::flush);
    }

    fn max_datagram(&self) -> usize {
        MAX_DATAGRAM
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::new(InboxWaker(Arc::clone(&self.shared))))
    }

    fn stop(&self) {
        if !self.shared.is_stopped.swap(true, Ordering::SeqCst) {
            self.shared.inbox.ring();
            self.shared.door.close();
            self.shared.peers.iter().for_each(|peer| peer.alarm.ring());
        }
    }
}
