//! One client's connection to one server, whatever the server is.

use std::io;
use std::rc::Rc;
use std::str::FromStr;

use tokio::net::TcpStream;

use crate::shared::Shared;
use crate::{etcd, resp};

/// What a server speaks, and which promise a write asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// SET and GET of Redis.
    Resp,
    /// The same, and each SET is followed by a WAIT for one replica.
    RespWait,
    /// Put and Range of etcd. A Range is linearizable by default.
    Etcd,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "resp" => Ok(Self::Resp),
            "resp-wait" => Ok(Self::RespWait),
            "etcd" => Ok(Self::Etcd),
            _ => Err("it is resp, resp-wait or etcd".to_owned()),
        }
    }
}

/// A connection of a client, which has at most one request outstanding.
pub(crate) enum Connection {
    Resp(resp::Connection),
    SharedResp(Rc<Shared>),
    Etcd(etcd::Connection),
}

impl Connection {
    /// A connection of one client, or one that clients may share.
    pub(crate) async fn open(protocol: Protocol, address: &str, is_shared: bool) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(match protocol {
            Protocol::Resp if is_shared => Self::SharedResp(Shared::new(stream)),
            Protocol::Resp => Self::Resp(resp::Connection::new(stream, false)),
            Protocol::RespWait => Self::Resp(resp::Connection::new(stream, true)),
            Protocol::Etcd => Self::Etcd(etcd::Connection::new(stream, address).await?),
        })
    }

    /// A further client on the same connection, if clients may share it. A WAIT would hold up the
    /// requests behind it, so its clients do not.
    pub(crate) fn share(&self) -> Option<Self> {
        match self {
            Self::Resp(_) => None,
            Self::SharedResp(shared) => Some(Self::SharedResp(shared.clone())),
            Self::Etcd(connection) => Some(Self::Etcd(connection.clone())),
        }
    }

    /// Returns when the server has acknowledged the write.
    pub(crate) async fn set(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match self {
            Self::Resp(connection) => connection.set(key, value).await,
            Self::SharedResp(shared) => shared.set(key, value).await,
            Self::Etcd(connection) => connection.put(key, value).await,
        }
    }

    /// The value of a key, or `None` if the key is absent.
    pub(crate) async fn get(&mut self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Resp(connection) => connection.get(key).await,
            Self::SharedResp(shared) => shared.get(key).await,
            Self::Etcd(connection) => connection.range(key).await,
        }
    }
}
