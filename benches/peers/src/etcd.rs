//! `Put` and `Range` of etcd's service `etcdserverpb.KV`: gRPC is a POST over HTTP/2, whose body is
//! a prefix of five bytes and a message of Protocol Buffers, and whose trailers have the status.

use std::future::poll_fn;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tokio::net::TcpStream;

/// The prefix of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// The wire type of a field of Protocol Buffers that has a length.
const LENGTH_DELIMITED: u64 = 2;
const VARINT: u64 = 0;

/// One client's connection, or its share of one.
#[derive(Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    put: Uri,
    range: Uri,
}

impl Connection {
    pub(crate) async fn new(stream: TcpStream, address: &str) -> io::Result<Self> {
        // A response is a small frame, and clients that share a connection take hundreds of them late.
        // h2 would take that for an attack.
        let mut builder = h2::client::Builder::new();
        builder.data_frame_budget(usize::MAX);
        let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
        // It ends with the connection; an error reaches the request that waits.
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        let uri = |call: &str| {
            Uri::try_from(format!("http://{address}/etcdserverpb.KV/{call}")).map_err(io::Error::other)
        };
        Ok(Self { sender, put: uri("Put")?, range: uri("Range")? })
    }

    pub(crate) async fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let uri = self.put.clone();
        self.call(uri, &[(1, key), (2, value)]).await.map(|_| ())
    }

    /// A linearizable read, as a Range is by default.
    pub(crate) async fn range(&mut self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let uri = self.range.clone();
        let response = self.call(uri, &[(1, key)]).await?;
        let Some(pair) = field(&response, 2)? else { return Ok(None) };
        Ok(Some(field(pair, 5)?.unwrap_or_default().to_vec()))
    }

    /// Sends a message of these fields, and returns the message of the response.
    async fn call(&mut self, uri: Uri, fields: &[(u8, &[u8])]) -> io::Result<Bytes> {
        poll_fn(|context| self.sender.poll_ready(context)).await.map_err(io::Error::other)?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        let (response, mut body) = self.sender.send_request(request, false).map_err(io::Error::other)?;
        body.send_data(encode(fields), true).map_err(io::Error::other)?;
        let (head, body) = response.await.map_err(io::Error::other)?.into_parts();
        if !head.status.is_success() {
            return Err(io::Error::other(format!("HTTP status {}", head.status)));
        }
        read(head.headers, body).await
    }
}

/// The message of a response whose status is good.
async fn read(headers: HeaderMap, mut body: RecvStream) -> io::Result<Bytes> {
    let mut received = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(io::Error::other)?;
        body.flow_control().release_capacity(data.len()).map_err(io::Error::other)?;
        received.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.map_err(io::Error::other)?.unwrap_or(headers);
    match trailers.get("grpc-status").map(HeaderValue::as_bytes) {
        Some(b"0") if received.len() >= PREFIX_BYTES => Ok(received.split_off(PREFIX_BYTES).freeze()),
        _ => Err(io::Error::other(complaint(&trailers))),
    }
}

fn complaint(trailers: &HeaderMap) -> String {
    let word = |name| trailers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
    format!("gRPC status {}: {}", word("grpc-status"), word("grpc-message"))
}

/// A message of fields that are bytes, with its prefix.
fn encode(fields: &[(u8, &[u8])]) -> Bytes {
    let mut message = BytesMut::with_capacity(256);
    message.put_bytes(0, PREFIX_BYTES);
    for (number, value) in fields {
        message.put_u8(number << 3 | LENGTH_DELIMITED as u8);
        let mut rest = value.len();
        while rest >= 0x80 {
            message.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        message.put_u8(rest as u8);
        message.put_slice(value);
    }
    let length = (message.len() - PREFIX_BYTES) as u32;
    message[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    message.freeze()
}

/// The first field with this number, which must have a length.
fn field(mut message: &[u8], wanted: u64) -> io::Result<Option<&[u8]>> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            VARINT => drop(varint(&mut message)?),
            LENGTH_DELIMITED => {
                let length = varint(&mut message)? as usize;
                let (value, rest) = message.split_at_checked(length).ok_or_else(malformed)?;
                if tag >> 3 == wanted {
                    return Ok(Some(value));
                }
                message = rest;
            }
            _ => return Err(malformed()),
        }
    }
    Ok(None)
}

fn varint(message: &mut &[u8]) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().ok_or_else(malformed)?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(malformed())
}

fn malformed() -> io::Error {
    io::Error::other("a malformed message of etcd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_prefix_and_its_fields() {
        assert_eq!(&encode(&[(1, b"k"), (2, b"vw")])[..], b"\0\0\0\0\x07\x0a\x01k\x12\x02vw");
        assert_eq!(&encode(&[(2, &[7; 300])])[..8], b"\0\0\0\x01\x2f\x12\xac\x02");
    }

    #[test]
    fn a_field_is_found_behind_others() {
        // A header, a key-value pair of key "k", a revision and the value "v", and a count.
        let response = b"\x0a\x02\x08\x01\x12\x09\x0a\x01k\x10\xac\x02\x2a\x01v\x20\x01";
        let response = &response[..];
        let pair = field(response, 2).expect("well formed").expect("there");
        assert_eq!(field(pair, 5).expect("well formed"), Some(&b"v"[..]));
        assert_eq!(field(b"\x20\x01", 2).expect("well formed"), None);
    }

    #[test]
    fn a_cut_message_is_refused() {
        for cut in [&b"\x12\x05abc"[..], b"\x12", b"\x80", b"\x0b"] {
            assert!(field(cut, 2).is_err(), "{cut:?}");
        }
    }
}
