//! HTTP: keys for clients that have no more than curl, and pages for those that operate a replica.
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/livez` | GET | 200 while the process works |
//! | `/readyz` | GET | 200 if a linearizable read works now, else 503 with the reason |
//! | `/status` | GET | the replica and its cluster as JSON ([`Status`]) |
//! | `/metrics` | GET | counters in the text format of Prometheus |
//! | `/backup` | GET | the state of this replica, for `kvstore restore` |
//! | `/kv/KEY` | GET, HEAD | the value; its revision is the entity tag |
//! | `/kv/KEY` | PUT | sets the key to the body |
//! | `/kv/KEY` | DELETE | deletes the key |
//!
//! `docs/http.md` has the headers and the status codes.
//!
//! The server runs on one thread with an async runtime of its own. It asks the store, and reads facts
//! that other threads publish, so it never makes the replica wait. It has bounds for each thing that a
//! client can make it hold: connections, heads, bodies, and the time for each of them.
//!
//! | file | job |
//! |---|---|
//! | `options` | the settings |
//! | `server` | the thread and its connections |
//! | `timed` | a connection that fails when its client takes no bytes for too long |
//! | `service` | from a request to its answer |
//! | `target` | the key in a path, and the query |
//! | `conditions` | If-Match, If-None-Match, Idempotency-Key |
//! | `password` | the password of a request |
//! | `keys` | reads and writes of keys |
//! | `backup` | `/backup` |
//! | `ask` | questions for the store, and the wait for their answers |
//! | `answer` | answers as HTTP has them |
//! | `status` | `/status` |
//! | `metrics` | `/metrics` |
//! | `sources` | where the facts for these come from |
//! | `counters` | the server's own numbers |

mod answer;
mod ask;
mod backup;
mod conditions;
mod counters;
mod keys;
mod metrics;
mod options;
mod password;
mod server;
mod service;
mod sources;
mod status;
mod target;
#[cfg(test)]
mod tests;
mod timed;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpListener as AsyncListener;
use tokio::runtime::Builder;
use tokio::sync::watch;

pub use counters::HttpCounters;
pub use options::HttpOptions;
pub use sources::Sources;
pub use status::{DiskStatus, ElectionStatus, FollowerStatus, LinkStatus, LogStatus, MemberStatus, Status};

use super::store::Store;
use server::Stop;
use service::Service;

/// A server for HTTP clients.
pub struct HttpServer;

/// A server that runs. To drop it ends it at once.
pub struct Handle {
    address: SocketAddr,
    counters: Arc<HttpCounters>,
    stop: watch::Sender<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves the clients of this listener on a thread of its own.
    ///
    /// # Errors
    ///
    /// The error of the operating system that keeps the thread or its runtime from starting.
    pub fn start(
        listener: TcpListener,
        options: HttpOptions,
        store: Arc<dyn Store>,
        sources: Sources,
    ) -> io::Result<Handle> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            AsyncListener::from_std(listener)?
        };
        let counters = Arc::new(HttpCounters::default());
        let service = Arc::new(Service::new(options, Arc::clone(&counters), sources, &store));
        let (stop, stopped) = watch::channel(None);
        let run = move || runtime.block_on(server::serve(listener, service, stopped));
        let thread = thread::Builder::new().name("http".to_owned()).spawn(run)?;
        Ok(Handle { address, counters, stop, thread: Some(thread) })
    }
}

impl Handle {
    /// The address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The counters, which stay readable after the end of the server.
    pub fn counters(&self) -> Arc<HttpCounters> {
        Arc::clone(&self.counters)
    }

    /// Takes no more connections and requests, answers the requests that it has taken within the
    /// limit, and returns when all connections are closed.
    pub fn stop(mut self, limit: Duration) {
        self.end(limit);
    }

    fn end(&mut self, limit: Duration) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.send_replace(Some(limit));
        // A panic of the thread has had its line on stderr.
        let _panic = thread.join();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}
