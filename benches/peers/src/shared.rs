//! A connection to Redis or kvstore that many clients share: the requests of all clients that are
//! ready go out as one write, and the replies come in the order of the requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot};

use crate::resp::{READ_BYTES, Reply, parse, value_of, was_stored, write_command};

/// The end of the connection that its clients share.
pub(crate) struct Shared {
    /// Requests that are not sent yet.
    requests: RefCell<Vec<u8>>,
    /// Clients that wait for a reply, in the order of their requests.
    waiting: RefCell<VecDeque<oneshot::Sender<Reply>>>,
    has_requests: Notify,
}

impl Shared {
    /// Two tasks serve the connection until it ends. Clients that wait then get an error.
    pub(crate) fn new(stream: TcpStream) -> Rc<Self> {
        let shared = Rc::new(Self {
            requests: RefCell::default(),
            waiting: RefCell::default(),
            has_requests: Notify::new(),
        });
        let (reads, writes) = stream.into_split();
        tokio::task::spawn_local(send(shared.clone(), writes));
        let receiving = shared.clone();
        tokio::task::spawn_local(async move {
            let _ = receive(&receiving, reads).await;
            receiving.waiting.borrow_mut().clear();
        });
        shared
    }

    pub(crate) async fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        was_stored(self.ask(&[b"SET", key, value]).await?)
    }

    pub(crate) async fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        value_of(self.ask(&[b"GET", key]).await?)
    }

    async fn ask(&self, words: &[&[u8]]) -> io::Result<Reply> {
        let (sender, reply) = oneshot::channel();
        write_command(&mut self.requests.borrow_mut(), words);
        self.waiting.borrow_mut().push_back(sender);
        self.has_requests.notify_one();
        reply.await.map_err(|_| io::ErrorKind::UnexpectedEof.into())
    }
}

async fn send(shared: Rc<Shared>, mut stream: OwnedWriteHalf) -> io::Result<()> {
    loop {
        shared.has_requests.notified().await;
        let requests = mem::take(&mut *shared.requests.borrow_mut());
        stream.write_all(&requests).await?;
    }
}

async fn receive(shared: &Shared, mut stream: OwnedReadHalf) -> io::Result<()> {
    let mut received = Vec::with_capacity(READ_BYTES);
    loop {
        let mut taken = 0;
        while let Some((reply, length)) = parse(&received[taken..])? {
            taken += length;
            if let Some(client) = shared.waiting.borrow_mut().pop_front() {
                // A client that has ended needs no reply.
                let _ = client.send(reply);
            }
        }
        received.drain(..taken);
        received.reserve(READ_BYTES);
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio::task::{JoinSet, LocalSet};

    /// A server that answers a GET with its key, and ends its side after some replies.
    async fn serve(listener: TcpListener, replies: usize) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        let mut received = String::new();
        let mut sent = 0;
        while sent < replies {
            let mut buffer = [0; 1_024];
            let length = stream.read(&mut buffer).await?;
            received += str::from_utf8(&buffer[..length]).expect("text");
            while sent < replies
                && let Some(rest) = received.strip_prefix("*2\r\n$3\r\nGET\r\n$1\r\n")
                && rest.len() >= 3
            {
                let reply = format!("$1\r\n{}\r\n", &rest[..1]);
                received = rest[3..].to_owned();
                stream.write_all(reply.as_bytes()).await?;
                sent += 1;
            }
        }
        stream.shutdown().await?;
        std::future::pending().await
    }

    fn ask(replies: usize) -> Vec<io::Result<bool>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listens");
            tokio::task::spawn_local(serve(listener, replies));
            let shared = Shared::new(stream);
            let mut clients: JoinSet<io::Result<bool>> = JoinSet::new();
            for key in b'a'..=b'z' {
                let shared = shared.clone();
                clients.spawn_local(async move {
                    let value = shared.get(&[key]).await?;
                    Ok(value.is_some_and(|value| value == [key]))
                });
            }
            clients.join_all().await
        })
    }

    #[test]
    fn each_client_gets_the_reply_to_its_own_request() {
        let replies = ask(26);
        assert!(replies.iter().all(|reply| matches!(reply, Ok(true))), "{replies:?}");
    }

    #[test]
    fn clients_without_a_reply_get_an_error_when_the_connection_ends() {
        let replies = ask(10);
        assert_eq!(replies.iter().filter(|reply| matches!(reply, Ok(true))).count(), 10, "{replies:?}");
        assert_eq!(replies.iter().filter(|reply| reply.is_err()).count(), 16, "{replies:?}");
    }
}
