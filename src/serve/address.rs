//! Names and ports in the settings, and the lists of them that name all replicas.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kvstore::id::{Id, IdError};
use serde::{Deserialize, Deserializer};

/// A name or an address of a host, and a port. The name is resolved at each use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an address. One of IPv6 has no brackets here.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is no [`HostPort`] or no [`Members`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no host, or no port.
    #[error("{0:?} is not HOST:PORT")]
    Malformed(String),
    /// The port is none.
    #[error("{0:?} has no port from 1 to 65535")]
    BadPort(String),
    /// An element of a list has no ID.
    #[error("{0:?} is not ID=HOST:PORT")]
    NoId(String),
    /// An element of a list has a wrong ID.
    #[error("{0:?} is not an ID: {1}")]
    BadId(String, IdError),
    /// An ID names two replicas.
    #[error("{0} is given twice")]
    Duplicate(Id),
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner,
            // Without brackets, the last part of an IPv6 address looks like a port.
            None if host.contains([':', '[', ']']) => return Err(malformed()),
            None => host,
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '=') {
            return Err(malformed());
        }
        // The digits are checked because `parse` would take a leading plus sign.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|&port| digits && port > 0);
        let port = port.ok_or_else(|| AddressError::BadPort(text.to_owned()))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Addresses of replicas by their IDs: `0001=host:port,0002=host:port`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(pub BTreeMap<Id, HostPort>);

impl Members {
    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, AddressError> {
        let mut members = BTreeMap::new();
        for word in words.map(str::trim) {
            let (id, address) = word.split_once('=').ok_or_else(|| AddressError::NoId(word.to_owned()))?;
            let id: Id = id.parse().map_err(|reason| AddressError::BadId(id.to_owned(), reason))?;
            if members.insert(id, address.parse()?).is_some() {
                return Err(AddressError::Duplicate(id));
            }
        }
        Ok(Self(members))
    }
}

impl FromStr for Members {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::from_words(text.split(','))
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Self::from_words(words.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    #[test]
    fn host_and_port_are_read_as_they_are_shown() {
        for (text, host, port) in [
            ("kv-1.example:7379", "kv-1.example", 7379),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
        ] {
            let address: HostPort = text.parse().expect("good");
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn text_without_a_host_or_a_port_is_refused() {
        for text in ["", "host", ":7379", "fe80::1:7379", "[fe80::1:7379", "two words:7379", "a=b:7379"] {
            assert_eq!(text.parse::<HostPort>(), Err(AddressError::Malformed(text.into())), "{text:?}");
        }
        for text in ["host:", "host:0", "host:65536", "host:+1", "host:http"] {
            assert_eq!(text.parse::<HostPort>(), Err(AddressError::BadPort(text.into())), "{text:?}");
        }
    }

    #[test]
    fn members_are_read_by_id() {
        let members: Members = "0002=b:2, 0001=a:1".parse().expect("good");
        let expected = [(id(1), "a:1"), (id(2), "b:2")];
        let expected = expected.map(|(id, text)| (id, text.parse().expect("good")));
        assert_eq!(members.0, BTreeMap::from(expected));
    }

    #[test]
    fn members_without_an_id_or_with_one_twice_are_refused() {
        let refusal = |text: &str| text.parse::<Members>().expect_err("refused").to_string();
        assert_eq!(refusal("a:1"), "\"a:1\" is not ID=HOST:PORT");
        assert_eq!(refusal("1=a:1"), "\"1\" is not an ID: an ID is four hexadecimal digits, upper case");
        assert_eq!(refusal("0001=a:1,0001=b:1"), "0001 is given twice");
        assert_eq!(refusal("0001=a:1,"), "\"\" is not ID=HOST:PORT");
        assert_eq!(refusal("0001=a"), "\"a\" is not HOST:PORT");
    }
}
