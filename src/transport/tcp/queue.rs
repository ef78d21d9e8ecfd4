//! The queue to one other replica: what its connection has not taken yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::frame::HEADER_BYTES;
use super::mesh::MeshLimits;

/// How many waiting frames one call writes at most.
const MAX_SLICES: usize = 64;

/// The connection to a replica, and what it has not taken yet.
#[derive(Default)]
pub(super) struct Queue {
    stream: Option<Arc<TcpStream>>,
    waiting: VecDeque<Vec<u8>>, // frames; empty without a connection
    written: usize,             // how much of the first one is written
    bytes: usize,               // of all of them
    is_closing: bool,           // it takes no more
}

impl Queue {
    /// The queue of a new connection.
    pub(super) fn of(stream: &Arc<TcpStream>) -> Self {
        Self { stream: Some(Arc::clone(stream)), ..Self::default() }
    }

    pub(super) fn stream(&self) -> Option<Arc<TcpStream>> {
        self.stream.clone()
    }

    /// From now on it takes no more.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many frames wait.
    pub(super) fn frames(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a frame of this length may wait, too.
    pub(super) fn has_room(&self, limits: &MeshLimits, length: usize) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < limits.queued && self.bytes + length <= limits.queued_bytes)
    }

    /// Writes a frame, or keeps what the connection does not take.
    pub(super) fn push(&mut self, header: &[u8; HEADER_BYTES], content: &[u8]) -> io::Result<()> {
        let Some(stream) = &self.stream else { return Ok(()) };
        let parts = [IoSlice::new(header), IoSlice::new(content)];
        let length = header.len() + content.len();
        let written = if self.waiting.is_empty() { write_once(stream, &parts)? } else { 0 };
        if written < length {
            let mut frame = Vec::with_capacity(length);
            frame.extend(header);
            frame.extend(content);
            self.written = if self.waiting.is_empty() { written } else { self.written };
            self.waiting.push_back(frame);
            self.bytes += length;
        }
        Ok(())
    }

    /// Writes once, and returns whether to go on: something is left, and the connection took a part.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        let Some(stream) = self.stream.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return Ok(false);
        };
        let parts: Vec<IoSlice<'_>> = (self.waiting.iter().take(MAX_SLICES).enumerate())
            .map(|(at, frame)| IoSlice::new(if at == 0 { &frame[self.written..] } else { frame }))
            .collect();
        let written = write_once(stream, &parts)?;
        self.written += written;
        while let Some(length) = self.waiting.front().map(Vec::len).filter(|length| self.written >= *length) {
            self.written -= length;
            self.bytes -= length;
            self.waiting.pop_front();
        }
        Ok(written > 0 && !self.waiting.is_empty())
    }
}

/// Writes what a socket takes at once; nothing if it takes nothing.
fn write_once(mut stream: &TcpStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    match stream.write_vectored(parts) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(length) => Ok(length),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        Err(error) => Err(error),
    }
}
