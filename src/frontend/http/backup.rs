//! `/backup`: the state of this replica as a stream. A thread of its own encodes it; the client takes
//! the pieces at its own pace.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver as Copies;
use hyper::StatusCode;
use hyper::body::{Body as HttpBody, Bytes as Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::answer::{self, Failed, HttpAnswer};
use crate::replica::Snapshot;
use crate::state_machine::Remains;
use crate::state_machine::snapshot::Encoder;
use crate::storage::Backup;
use crate::view::Board;

/// How long the replica may take to hand out a copy: an idle one does so once per second.
const COPY_LIMIT: Duration = Duration::from_secs(5);
/// How many bytes are encoded at a time, and how many such pieces may wait for the client.
const PIECE_BYTES: usize = 256 << 10;
const PIECES: usize = 4;
/// Between the steps in which a copy is freed, so that other threads hardly wait for the allocator.
const FREE_PAUSE: Duration = Duration::from_micros(200);

/// Backups, one at a time: each copy keeps the memory of what changes meanwhile.
pub(super) struct Backups {
    board: Board,
    limit: Duration,
    free: Arc<Semaphore>,
}

/// A body that comes piece by piece.
pub(super) struct Pieces {
    first: Option<Body>,
    rest: mpsc::Receiver<Body>,
}

impl HttpBody for Pieces {
    type Data = Body;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Body>, Infallible>>> {
        let next = match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.rest.poll_recv(context),
        };
        next.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Backups {
    pub fn new(board: Board) -> Self {
        Self { board, limit: COPY_LIMIT, free: Arc::new(Semaphore::new(1)) }
    }

    /// Begins a backup. The first piece comes when the replica has handed out the copy.
    pub async fn begin(&self) -> Result<HttpAnswer, Failed> {
        let unavailable = |why: &'static str| Failed::new(StatusCode::SERVICE_UNAVAILABLE, why);
        let permit = Arc::clone(&self.free).try_acquire_owned();
        let permit = permit.map_err(|_| unavailable("another backup is under way"))?;
        let (pieces, mut rest) = mpsc::channel(PIECES);
        let (copies, limit) = (self.board.ask_for_copy(), self.limit);
        let work = move || stream(&copies, limit, &pieces, permit);
        let started: io::Result<_> = thread::Builder::new().name("backup".to_owned()).spawn(work);
        started.map_err(|_| unavailable("no thread can be started"))?;
        // An answer without a copy would look like a backup that was cut off.
        let first = rest.recv().await.ok_or_else(|| unavailable("the replica hands out no copy"))?;
        Ok(answer::streamed(Pieces { first: Some(first), rest }))
    }
}

/// Encodes the copy of the state. It ends early if the client is gone; then the footer is missing.
fn stream(
    copies: &Copies<Snapshot>,
    limit: Duration,
    pieces: &mpsc::Sender<Body>,
    permit: OwnedSemaphorePermit,
) {
    let Ok(Snapshot { id, state }) = copies.recv_timeout(limit) else { return };
    let mut backup = Backup::new(id);
    let mut encoder = Encoder::new(state);
    let mut is_there = true;
    while is_there && let Some(chunk) = encoder.next_chunk(PIECE_BYTES) {
        is_there = pieces.blocking_send(backup.push(&chunk).into()).is_ok();
    }
    if is_there {
        // The client may be gone by now, which is its own loss.
        let _gone = pieces.blocking_send(backup.end().into());
    }
    let mut remains: Remains = encoder.into_state().into_remains();
    while remains.free_some() {
        thread::sleep(FREE_PAUSE);
    }
    drop(permit);
}
