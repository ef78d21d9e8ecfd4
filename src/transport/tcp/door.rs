//! The listener: strangers knock, say hello within a deadline, and become the connection from a
//! replica or go. Only so many may stand at the door at once; beyond that, the one that has stood
//! there for the longest time goes. A replica says its hello within milliseconds, so strangers that
//! stay silent do not keep it out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};
use tracing::warn;

use super::burst::Bursts;
use super::hello::{self, HelloError};
use super::mesh::Shared;
use crate::clock::BootTime;
use crate::transport::alarm::Alarm;

/// How long the door rests when the system has no more sockets or threads.
const REST: Duration = Duration::from_millis(50);

/// How long a poll of the listener lasts at most.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// The thread of a stranger that went ends soon, but not at once. There are no more threads than this
/// times the number of strangers; a connection that comes when there are is closed.
const THREADS_PER_STRANGER: usize = 2;

/// What the door shares with the strangers at it.
pub(super) struct Door {
    /// Ends its wait.
    pub(super) alarm: Alarm,
    strangers: Mutex<BTreeMap<u64, TcpStream>>, // the one that came first is first
    threads: AtomicUsize,
    refused: AtomicU64,
    bursts: Bursts<Option<std::mem::Discriminant<HelloError>>>,
}

impl Door {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            alarm: Alarm::new()?,
            strangers: Mutex::default(),
            threads: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            bursts: Bursts::new(),
        })
    }

    /// Takes a stranger from the door; false if it had to go before.
    fn leave(&self, number: u64) -> bool {
        self.strangers.lock().remove(&number).is_some()
    }

    /// How many connections were closed at the door.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Ends every hello that goes on.
    pub(super) fn close(&self) {
        self.alarm.ring();
        for stranger in self.strangers.lock().values() {
            let _gone = stranger.shutdown(Shutdown::Both);
        }
    }
}

/// Takes connections until the mesh leaves or stops.
pub(super) fn run(mesh: &Arc<Shared>, listener: &TcpListener) {
    let mut number = 0;
    while !mesh.is_leaving() {
        number += 1;
        let left = match listener.accept() {
            Ok((stream, address)) => match admit(mesh, number, stream, address) {
                Ok(()) => continue,
                Err(_) => REST,
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => LONGEST_WAIT,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                // Most of these are about one connection that was gone again.
                if let Some(more) = mesh.door.bursts.admit(None, BootTime::now()) {
                    warn!(more, "can't take a connection of a replica: {error}");
                }
                REST
            }
        };
        let mut fds = Vec::new();
        if left == LONGEST_WAIT {
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        if mesh.door.alarm.wait(&mut fds, Some(left)).is_err() {
            thread::sleep(REST);
        }
    }
}

/// Lets a stranger say hello on a thread of its own. If too many stand at the door, the one that came
/// first goes.
fn admit(mesh: &Arc<Shared>, number: u64, stream: TcpStream, address: SocketAddr) -> io::Result<()> {
    {
        let mut strangers = mesh.door.strangers.lock();
        let most_threads = THREADS_PER_STRANGER * mesh.limits.strangers;
        if mesh.is_stopped() || mesh.door.threads.load(Ordering::SeqCst) >= most_threads {
            mesh.door.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        if strangers.len() >= mesh.limits.strangers
            && let Some((_, first)) = strangers.pop_first()
        {
            let _gone = first.shutdown(Shutdown::Both);
        }
        strangers.insert(number, stream.try_clone()?);
    }
    mesh.door.threads.fetch_add(1, Ordering::SeqCst);
    let mesh_of_thread = Arc::clone(mesh);
    let greet = move || {
        let greeted = greet(&mesh_of_thread, number, stream);
        mesh_of_thread.door.leave(number);
        mesh_of_thread.door.threads.fetch_sub(1, Ordering::SeqCst);
        let Err(reason) = greeted else { return };
        mesh_of_thread.door.refused.fetch_add(1, Ordering::Relaxed);
        if !mesh_of_thread.is_stopped()
            && let Some(more) = mesh_of_thread.door.bursts.admit(Some(reason.kind()), BootTime::now())
        {
            warn!(%address, more, "refused a connection: {reason}");
        }
    };
    let started = thread::Builder::new().name("hello".to_owned()).spawn(greet);
    if started.is_err() {
        mesh.door.leave(number);
        mesh.door.threads.fetch_sub(1, Ordering::SeqCst);
    }
    started.map(drop)
}

fn greet(mesh: &Shared, number: u64, stream: TcpStream) -> Result<(), HelloError> {
    stream.set_nodelay(true)?;
    let until = BootTime::now() + mesh.limits.hello;
    let has_left = Cell::new(false);
    let is_proven = || {
        has_left.set(true); // from here on the door does not end the connection
        mesh.door.leave(number)
    };
    let id = match hello::listen(&mesh.identity, &stream, until, is_proven) {
        Err(HelloError::Io(_)) if !has_left.get() && !mesh.door.leave(number) => Err(HelloError::Crowded),
        greeted => greeted,
    }?;
    stream.set_nonblocking(true)?;
    if let Some(peer) = mesh.peer(id) {
        mesh.inbox.arrive(peer.index, stream);
        peer.dial_now.store(true, Ordering::SeqCst);
        peer.alarm.ring();
    }
    Ok(())
}
