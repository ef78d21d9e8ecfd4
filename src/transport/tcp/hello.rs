//! The beginning of a connection: both sides prove that they know the secret of the cluster, and
//! agree on who they are.
//!
//! ```text
//! dialer                                             listener
//!   magic, version, nonce                  -->
//!                                          <--       magic, version, nonce
//!   own ID, ID that it means,
//!   cluster, proof                         -->
//!                                          <--       verdict, own ID, proof
//! ```
//!
//! A proof is the HMAC-SHA256, under the secret, of all bytes of the hello before it, so the secret
//! is never sent and a proof is good for one connection only. The two sides prove different texts:
//! neither can send back what it received. Without a secret the key is empty.
//!
//! * Until the dialer has proven the secret, it gets nothing but the version and a nonce. It gets
//!   these only after the magic.
//! * A dialer with a proof gets a verdict, also if it is refused.
//! * The whole hello has one deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use hmac::{Hmac, KeyInit, Mac};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;

use crate::clock::BootTime;
use crate::id::Id;

pub(super) const MAGIC: [u8; 6] = *b"KVMESH";
/// The version of this format and of all that follows a hello.
const VERSION: u16 = 2;
const NONCE_BYTES: usize = 32;
pub(super) const PROOF_BYTES: usize = 32;
pub(super) const GREETING_BYTES: usize = MAGIC.len() + 2 + NONCE_BYTES;

/// The longest name of a cluster.
pub(super) const MAX_CLUSTER_BYTES: usize = 255;

/// What a replica is known by in a hello.
pub(super) struct Identity {
    pub(super) own: Id,
    pub(super) cluster: String,
    pub(super) secret: Vec<u8>,
    pub(super) members: Vec<Id>, // the others
}

/// Why the listener refuses a dialer that knows the secret. The dialer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    OtherCluster,
    NotMember,
    OtherReplica,
}

impl Verdict {
    fn code(self) -> u8 {
        match self {
            Self::Welcome => 0,
            Self::OtherCluster => 1,
            Self::NotMember => 2,
            Self::OtherReplica => 3,
        }
    }

    fn of(code: u8) -> Option<Self> {
        [Self::Welcome, Self::OtherCluster, Self::NotMember, Self::OtherReplica]
            .into_iter()
            .find(|verdict| verdict.code() == code)
    }
}

/// Why a hello failed, as this side says it in its log. "It" is the other side.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelloError {
    #[error("it does not speak the protocol of replicas")]
    NotMesh,
    #[error("it speaks version {0} of the protocol of replicas, and this replica speaks {VERSION}")]
    Version(u16),
    #[error("its secret is not that of this cluster")]
    Secret,
    #[error("it closed the connection at the proof: perhaps the secrets differ")]
    ProofRefused,
    #[error("it is {from} of the cluster {cluster:?}, and this replica is in another one")]
    Cluster { from: Id, cluster: String },
    #[error("it calls itself {0}, which is no other member of this cluster")]
    NotMember(Id),
    #[error("it is {from} and means to reach {to}, which this replica is not")]
    OtherReplica { from: Id, to: Id },
    #[error("it is in another cluster")]
    RefusedCluster,
    #[error("this replica is no other member of its cluster")]
    RefusedMember,
    #[error("it is {0}, another replica")]
    RefusedReplica(Id),
    #[error("it did not finish the hello in time")]
    Late,
    #[error("it did not finish the hello before others needed its place")]
    Crowded,
    #[error("the connection ended in the hello: {0}")]
    Io(io::Error),
}

impl HelloError {
    /// Each kind is logged once per burst.
    pub(super) fn kind(&self) -> std::mem::Discriminant<Self> {
        std::mem::discriminant(self)
    }
}

impl From<io::Error> for HelloError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Io(error),
        }
    }
}

/// The hello of the side that dialled, which means to reach `to`.
pub(super) fn dial(
    identity: &Identity,
    to: Id,
    stream: &TcpStream,
    until: BootTime,
) -> Result<(), HelloError> {
    let mut wire = Wire { stream, until };
    let mut hello = Vec::with_capacity(512);
    hello.extend(greeting()?);
    wire.write(&hello)?;
    let version = wire.read_greeting(&mut hello)?;
    if version != VERSION {
        return Err(HelloError::Version(version));
    }
    let introduction = hello.len();
    hello.extend(identity.own.number().to_le_bytes());
    hello.extend(to.number().to_le_bytes());
    let cluster = identity.cluster.as_bytes();
    hello.push(u8::try_from(cluster.len()).unwrap_or(u8::MAX)); // longer names were refused at the start
    hello.extend(cluster);
    hello.extend(proof(identity, b"dialer", &hello).finalize().into_bytes());
    wire.write(&hello[introduction..])?;

    let verdict = hello.len();
    wire.read(&mut hello, 3).map_err(|error| match error {
        HelloError::Io(_) => HelloError::ProofRefused,
        other => other,
    })?;
    let (code, listener) = (hello[verdict], id_at(&hello, verdict + 1).ok_or(HelloError::NotMesh)?);
    wire.check_proof(identity, b"listener", &mut hello)?;
    match Verdict::of(code).ok_or(HelloError::NotMesh)? {
        Verdict::Welcome if listener == to => Ok(()),
        Verdict::Welcome | Verdict::OtherReplica => Err(HelloError::RefusedReplica(listener)),
        Verdict::OtherCluster => Err(HelloError::RefusedCluster),
        Verdict::NotMember => Err(HelloError::RefusedMember),
    }
}

/// The hello of the side that listens. Returns the replica that dialled. `is_proven` is called once the
/// dialer has proven the secret; the hello ends if it returns false.
pub(super) fn listen(
    identity: &Identity,
    stream: &TcpStream,
    until: BootTime,
    is_proven: impl FnOnce() -> bool,
) -> Result<Id, HelloError> {
    let mut wire = Wire { stream, until };
    let mut hello = Vec::with_capacity(512);
    let version = wire.read_greeting(&mut hello)?;
    let own = greeting()?;
    wire.write(&own)?;
    if version != VERSION {
        return Err(HelloError::Version(version));
    }
    hello.extend(own);
    let introduction = hello.len();
    wire.read(&mut hello, 5)?;
    let length = usize::from(hello[introduction + 4]);
    wire.read(&mut hello, length)?;
    wire.check_proof(identity, b"dialer", &mut hello)?;
    if !is_proven() {
        return Err(HelloError::Crowded);
    }
    let from = id_at(&hello, introduction).ok_or(HelloError::NotMesh)?;
    let to = id_at(&hello, introduction + 2).ok_or(HelloError::NotMesh)?;
    let cluster = &hello[introduction + 5..introduction + 5 + length];
    let (verdict, result) = if cluster != identity.cluster.as_bytes() {
        let cluster = String::from_utf8_lossy(cluster).into_owned();
        (Verdict::OtherCluster, Err(HelloError::Cluster { from, cluster }))
    } else if to != identity.own {
        (Verdict::OtherReplica, Err(HelloError::OtherReplica { from, to }))
    } else if !identity.members.contains(&from) {
        (Verdict::NotMember, Err(HelloError::NotMember(from)))
    } else {
        (Verdict::Welcome, Ok(from))
    };
    let answer = hello.len();
    hello.push(verdict.code());
    hello.extend(identity.own.number().to_le_bytes());
    hello.extend(proof(identity, b"listener", &hello).finalize().into_bytes());
    wire.write(&hello[answer..])?;
    result
}

pub(super) fn greeting() -> io::Result<[u8; GREETING_BYTES]> {
    let mut greeting = [0; GREETING_BYTES];
    greeting[..MAGIC.len()].copy_from_slice(&MAGIC);
    greeting[MAGIC.len()..MAGIC.len() + 2].copy_from_slice(&VERSION.to_le_bytes());
    // So few bytes are returned at once and whole.
    getrandom(&mut greeting[MAGIC.len() + 2..], GetRandomFlags::empty())?;
    Ok(greeting)
}

fn id_at(bytes: &[u8], at: usize) -> Option<Id> {
    let number = bytes.get(at..at + 2)?.try_into().ok()?;
    Id::new(u16::from_le_bytes(number))
}

/// The proof of one side over all bytes of the hello so far.
pub(super) fn proof(identity: &Identity, side: &[u8], hello: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(&identity.secret);
    let mut mac = mac.expect("HMAC takes a key of any length");
    mac.update(side);
    mac.update(hello);
    mac
}

/// A connection during its hello: each call ends by the deadline.
struct Wire<'a> {
    stream: &'a TcpStream,
    until: BootTime,
}

impl Wire<'_> {
    fn left(&self) -> Result<Option<std::time::Duration>, HelloError> {
        let left = self.until.left();
        if left.is_zero() { Err(HelloError::Late) } else { Ok(Some(left)) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), HelloError> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write_all(bytes)?;
        Ok(())
    }

    /// Reads exactly so many bytes more.
    fn read(&mut self, into: &mut Vec<u8>, length: usize) -> Result<(), HelloError> {
        let mut at = into.len();
        into.resize(at + length, 0);
        while at < into.len() {
            self.stream.set_read_timeout(self.left()?)?;
            match self.stream.read(&mut into[at..]) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(length) => at += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads a greeting and returns its version. Other bytes are refused as soon as they differ.
    fn read_greeting(&mut self, into: &mut Vec<u8>) -> Result<u16, HelloError> {
        for byte in MAGIC {
            self.read(into, 1)?;
            if into.last() != Some(&byte) {
                return Err(HelloError::NotMesh);
            }
        }
        let version = into.len();
        self.read(into, 2 + NONCE_BYTES)?;
        Ok(u16::from_le_bytes([into[version], into[version + 1]]))
    }

    /// Reads the proof of the other side, and compares it in constant time.
    fn check_proof(
        &mut self,
        identity: &Identity,
        side: &[u8],
        hello: &mut Vec<u8>,
    ) -> Result<(), HelloError> {
        let at = hello.len();
        self.read(hello, PROOF_BYTES)?;
        let (before, given) = hello.split_at(at);
        proof(identity, side, before).verify_slice(given).map_err(|_| HelloError::Secret)
    }
}
