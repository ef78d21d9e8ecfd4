//! The port for Redis clients: the sockets around
//! [`Connection`](super::redis::connection::Connection), all on one thread.
//!
//! ```text
//!   sockets --epoll--> server --receive--> Connection --take_asks--> Store
//!                        ^                     |                       |
//!                        |<------output--------+                       |
//!                        +<--------- mailbox <------- answer ----------+
//! ```
//!
//! # One turn
//!
//! The thread waits for sockets and for the mailbox. It reads each readable socket once, gives the
//! answers of the mailbox to their connections, and then serves every connection that has changed:
//! it hands the asks to the store and writes the output. So the replies of one turn leave in one
//! system call per client.
//!
//! # No client hurts another
//!
//! * A turn reads `READ_BYTES` of a client at most and writes
//!   `WRITE_BYTES`. A client that floods waits for its next turn.
//! * A connection is not read while its requests wait (`Connection::wants_input`), so the kernel
//!   pushes back to the client.
//! * The buffers of all connections have one bound, [`ServerOptions::memory_bytes`]. Above three
//!   quarters of it, the server answers `-OOM` to commands on keys of connections that hold more
//!   than their share of half of it. Above the bound, it drops the connections that hold the most.
//!   A connection within its share is neither refused nor dropped.
//! * A client that takes no replies is dropped (`Settings::output_bytes`).
//!
//! # Why epoll by rustix
//!
//! The loop needs level-triggered epoll and an eventfd. `rustix` has both, and is a dependency
//! already; mio would add another one, and is edge-triggered.
//!
//! | file | job |
//! |---|---|
//! | `options` | the settings of a server |
//! | `server` | the thread: one turn after the other |
//! | `link` | a socket with its connection |
//! | `mailbox` | answers that other threads bring |
//! | `surroundings` | the facts for a connection |
//! | `info` | the sections of INFO, and CONFIG GET |
//! | `counters` | numbers that operators read |

mod counters;
mod info;
mod link;
mod mailbox;
mod options;
mod server;
mod surroundings;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use counters::ServerCounters;
pub use options::ServerOptions;

use super::facts::ClusterFacts;
use super::store::Store;
use crate::clock::BootTime;
use mailbox::Mailbox;
use server::Server;

/// The port for Redis clients.
pub struct RedisServer;

/// A server that runs. It stops at once when the handle is dropped.
pub struct Handle {
    mailbox: Arc<Mailbox>,
    counters: Arc<ServerCounters>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl RedisServer {
    /// Serves the clients of this listener on a thread of its own.
    ///
    /// # Errors
    ///
    /// The error of the operating system that keeps the thread or its epoll from starting.
    pub fn start(
        listener: TcpListener,
        options: ServerOptions,
        store: Arc<dyn Store>,
        facts: Arc<dyn ClusterFacts>,
    ) -> io::Result<Handle> {
        let address = listener.local_addr()?;
        let (mailbox, counters) = (Arc::new(Mailbox::new()?), Arc::new(ServerCounters::default()));
        let (for_server, counts) = (Arc::clone(&mailbox), Arc::clone(&counters));
        let mut server = Server::new(listener, options, store, facts, for_server, counts)?;
        let thread = thread::Builder::new().name("redis".to_owned()).spawn(move || server.run())?;
        Ok(Handle { mailbox, counters, address, thread: Some(thread) })
    }
}

impl Handle {
    /// The address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The counters, which stay readable after the end of the server.
    pub fn counters(&self) -> Arc<ServerCounters> {
        Arc::clone(&self.counters)
    }

    /// Takes no more connections and requests, answers the requests that it has taken within the
    /// limit, and returns when all connections are closed.
    pub fn stop(mut self, limit: Duration) {
        self.end(limit);
    }

    fn end(&mut self, limit: Duration) {
        let Some(thread) = self.thread.take() else { return };
        self.mailbox.stop_at(BootTime::now() + limit);
        // A panic of the thread has had its line in the log.
        let _panic = thread.join();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}
