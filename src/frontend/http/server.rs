//! The connections of a server, on a thread of its own.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::counters::add;
use super::options::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::service::Service;
use super::timed::Timed;

/// The pause after a connection could not be accepted, mostly because the process has too many files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer to a client beyond the limit of connections.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 21\r\n\r\ntoo many connections\n";

/// When a server stops: the time that its connections have to end.
pub(super) type Stop = Option<Duration>;

/// Serves connections until it is told to stop, and until they have ended or the time for that is
/// over.
pub(super) async fn serve(listener: TcpListener, service: Arc<Service>, mut stop: watch::Receiver<Stop>) {
    let most = service.options.max_connections.min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most));
    let mut is_failing = false;
    while let Some(accepted) = accept(&listener, &mut stop).await {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    warn!(%error, "can't accept HTTP clients");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        is_failing = false;
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            add(&service.counters.refused);
            refuse(stream);
            continue;
        };
        add(&service.counters.accepted);
        add(&service.counters.connections);
        let (service, stop) = (Arc::clone(&service), stop.clone());
        tokio::spawn(async move {
            serve_connection(stream, &service, stop).await;
            service.counters.connections.fetch_sub(1, Ordering::Relaxed);
            drop(permit);
        });
    }
    drop(listener); // no further client waits in vain
    let limit = stop.borrow().unwrap_or_default();
    let all = permits.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
    if timeout(limit, all).await.is_err() {
        warn!("HTTP clients are cut off, because their requests take too long");
    }
}

/// The next connection; `None` if the server is to stop.
async fn accept(listener: &TcpListener, stop: &mut watch::Receiver<Stop>) -> Option<io::Result<TcpStream>> {
    let mut stopped = pin!(stop.wait_for(Option::is_some));
    poll_fn(|context| match stopped.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => {
            listener.poll_accept(context).map(|accepted| Some(accepted.map(|(stream, _)| stream)))
        }
    })
    .await
}

/// Tells a client that there are too many, as far as it takes that at once.
fn refuse(stream: TcpStream) {
    let told = stream.into_std().and_then(|mut stream| stream.write_all(TOO_MANY));
    if let Err(error) = told {
        debug!(%error, "an HTTP client was refused without a word");
    }
}

async fn serve_connection(stream: TcpStream, service: &Arc<Service>, mut stop: watch::Receiver<Stop>) {
    let options = &service.options;
    let answer = service_fn(|request| {
        let service = Arc::clone(service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(options.head_limit);
    http.max_buf_size(MAX_HEAD_BYTES).max_header_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
    http.half_close(true); // a client that sends no more still gets its answers
    let stream = TokioIo::new(Timed::new(stream, options.write_limit));
    let mut connection = pin!(http.serve_connection(stream, answer));
    let mut stopped = pin!(stop.wait_for(Option::is_some));
    let mut is_told = false;
    let ended = poll_fn(|context| {
        if !is_told && stopped.as_mut().poll(context).is_ready() {
            is_told = true;
            connection.as_mut().graceful_shutdown(); // after the request that it has
        }
        connection.as_mut().poll(context)
    });
    if let Err(error) = ended.await {
        debug!(%error, "an HTTP connection failed");
        note_failure(service, &error);
    }
}

fn note_failure(service: &Service, error: &hyper::Error) {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let took_nothing = source.is_some_and(|source| source.kind() == io::ErrorKind::TimedOut);
    if error.is_timeout() || took_nothing {
        add(&service.counters.slow_clients);
    } else if error.is_parse() {
        add(&service.counters.protocol_errors);
    }
}
