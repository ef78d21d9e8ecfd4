//! The arguments that are not options: they say which replica this process is, and where its network
//! is.

use std::fmt;
use std::num::NonZeroU16;

use kvstore::id::{Id, IdError};

use super::{Options, TransportKind};

/// The replica that this process is, and the place of its network.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    /// Where the simulator listens.
    pub simulator: Simulator,
    /// This replica.
    pub own: Id,
    /// All others; at least one, no duplicates.
    pub peers: Vec<Id>,
}

/// Where the simulator listens.
#[derive(Debug, PartialEq, Eq)]
pub enum Simulator {
    /// On the socket named like this replica, in the working directory. The connection shows its
    /// kind.
    Unix,
    /// On such a socket, of sequenced packets.
    Seqpacket,
    /// On such a socket, of lines.
    Stream,
    /// On this port of 127.0.0.1.
    Udp(NonZeroU16),
}

/// Why a command line makes no sense. One line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Nothing but options.
    #[error("no IDs given: usage is kvstore [PORT] <MY ID> <ID>...")]
    NoIds,
    /// The first word is neither an ID nor a port.
    #[error("{0:?} is neither an ID (four hexadecimal digits, upper case) nor a UDP port (1 to 65535)")]
    NeitherIdNorPort(String),
    /// The word in the place of the port is no port.
    #[error("{0:?} is not a UDP port (1 to 65535)")]
    BadPort(String),
    /// A word in the place of an ID is no ID.
    #[error("{word:?} is not an ID: {reason}")]
    BadId {
        /// The word.
        word: String,
        /// The rule that it breaks.
        reason: IdError,
    },
    /// This replica cannot be its own peer.
    #[error("{0} is this replica's own ID and cannot be another's too")]
    OwnAmongOthers(Id),
    /// An ID names two replicas.
    #[error("{0} is given twice")]
    Duplicate(Id),
    /// A cluster of one replica has no follower.
    #[error("no other replica given")]
    NoOthers,
}

impl Options {
    /// Reads the arguments that are not options. `is_socket` says whether a socket of this name
    /// is in the working directory.
    pub fn role(&self, is_socket: impl Fn(&str) -> bool) -> Result<Role, UsageError> {
        let (first, rest) = self.words.split_first().ok_or(UsageError::NoIds)?;
        match self.transport {
            Some(TransportKind::Seqpacket) => read_ids(Simulator::Seqpacket, &self.words),
            Some(TransportKind::Stream) => read_ids(Simulator::Stream, &self.words),
            Some(TransportKind::Udp) => {
                let port = parse_port(first).ok_or_else(|| UsageError::BadPort(first.clone()))?;
                read_ids(Simulator::Udp(port), rest)
            }
            None => match tell_apart(first, is_socket)? {
                Simulator::Udp(port) => read_ids(Simulator::Udp(port), rest),
                unix => read_ids(unix, &self.words),
            },
        }
    }
}

fn tell_apart(first: &str, is_socket: impl Fn(&str) -> bool) -> Result<Simulator, UsageError> {
    let is_id = first.parse::<Id>() != Err(IdError::Malformed);
    match (is_id, parse_port(first)) {
        (true, Some(_)) if is_socket(first) => Ok(Simulator::Unix),
        (_, Some(port)) => Ok(Simulator::Udp(port)),
        (true, None) => Ok(Simulator::Unix),
        (false, None) => Err(UsageError::NeitherIdNorPort(first.to_owned())),
    }
}

fn parse_port(word: &str) -> Option<NonZeroU16> {
    // The digits are checked because `parse` would take a leading plus sign.
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
}

fn read_ids(simulator: Simulator, words: &[String]) -> Result<Role, UsageError> {
    let parse =
        |word: &String| word.parse::<Id>().map_err(|reason| UsageError::BadId { word: word.clone(), reason });
    let ids = words.iter().map(parse).collect::<Result<Vec<Id>, _>>()?;
    let (&own, peers) = ids.split_first().ok_or(UsageError::NoIds)?;
    if peers.contains(&own) {
        return Err(UsageError::OwnAmongOthers(own));
    }
    if let Some((_, id)) = peers.iter().enumerate().find(|&(at, id)| peers[..at].contains(id)) {
        return Err(UsageError::Duplicate(*id));
    }
    if peers.is_empty() {
        return Err(UsageError::NoOthers);
    }
    Ok(Role { simulator, own, peers: peers.to_vec() })
}

impl fmt::Display for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.write_str("unix socket"),
            Self::Seqpacket => f.write_str("seqpacket"),
            Self::Stream => f.write_str("stream"),
            Self::Udp(port) => write!(f, "udp port {port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::testkit::id;

    fn role(line: &str, sockets: &[&str]) -> Result<Role, UsageError> {
        let options = Options::try_parse_from(line.split_whitespace()).expect("options are fine");
        options.role(|name| sockets.contains(&name))
    }

    fn simulator(line: &str, sockets: &[&str]) -> Simulator {
        role(line, sockets).expect("a good command line").simulator
    }

    fn udp(port: u16) -> Simulator {
        Simulator::Udp(NonZeroU16::new(port).expect("not 0"))
    }

    #[test]
    fn first_word_tells_the_dialects_apart() {
        assert_eq!(simulator("kvstore 00A0 0001 0002", &[]), Simulator::Unix);
        assert_eq!(simulator("kvstore 0000 0001 0002", &[]), Simulator::Unix, "0 is no port");
        assert_eq!(simulator("kvstore 54321 0000 0001", &[]), udp(54321));
        assert_eq!(simulator("kvstore 80 0000 0001", &[]), udp(80));
    }

    #[test]
    fn word_that_could_be_both_is_an_id_if_there_is_such_a_socket() {
        assert_eq!(simulator("kvstore 0001 0000 0002", &["0001"]), Simulator::Unix);
        assert_eq!(simulator("kvstore 0001 0000 0002", &["0000"]), udp(1));
        assert_eq!(simulator("kvstore 9000 0000 0002", &[]), udp(9000));
    }

    #[test]
    fn transport_option_overrides_the_first_word() {
        assert_eq!(simulator("kvstore --transport seqpacket 0001 0000", &[]), Simulator::Seqpacket);
        assert_eq!(simulator("kvstore --transport stream 0001 0000", &[]), Simulator::Stream);
        assert_eq!(simulator("kvstore --transport udp 0001 0000 0002", &["0001"]), udp(1));
        let refusal = role("kvstore --transport udp 00A1 0000 0002", &[]);
        assert_eq!(refusal, Err(UsageError::BadPort("00A1".into())));
    }

    #[test]
    fn own_id_and_peers_keep_their_places() {
        let expected = Role { simulator: udp(9000), own: id(2), peers: vec![id(0), id(1)] };
        assert_eq!(role("kvstore 9000 0002 0000 0001", &[]), Ok(expected));
    }

    #[test]
    fn command_line_that_makes_no_sense_is_refused() {
        let bad_id = |word: &str, reason| Err(UsageError::BadId { word: word.into(), reason });
        assert_eq!(role("kvstore", &[]), Err(UsageError::NoIds));
        assert_eq!(role("kvstore 9000", &[]), Err(UsageError::NoIds));
        assert_eq!(role("kvstore 9000 0000", &[]), Err(UsageError::NoOthers));
        assert_eq!(role("kvstore 0000", &[]), Err(UsageError::NoOthers));
        assert_eq!(role("kvstore 0000 001", &[]), bad_id("001", IdError::Malformed));
        assert_eq!(role("kvstore 0000 00a1", &[]), bad_id("00a1", IdError::Malformed));
        assert_eq!(role("kvstore 0000 FFFF", &[]), bad_id("FFFF", IdError::Reserved));
        assert_eq!(role("kvstore FFFF 0001", &[]), bad_id("FFFF", IdError::Reserved));
        assert_eq!(role("kvstore 0000 0001 0001", &[]), Err(UsageError::Duplicate(id(1))));
        assert_eq!(role("kvstore 0000 0001 0000", &[]), Err(UsageError::OwnAmongOthers(id(0))));
        for word in ["abc", "65536", "99999999999", "+80", "00a0", "12.5"] {
            let refusal = Err(UsageError::NeitherIdNorPort(word.into()));
            assert_eq!(role(&format!("kvstore {word} 0001 0002"), &[]), refusal);
        }
    }
}
