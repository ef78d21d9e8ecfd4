//! The file that says which replica owns a directory. It is written once.
//!
//! ```text
//! "kvs-id\r\n" | version u32 | length u32 | cluster, own ID, member IDs, salt | CRC u32
//! ```

use std::collections::BTreeSet;

use raft::id::Id;

use super::bytes::Reader;
use super::error::Reason;
use crate::digest::digest;

/// The name of the file.
pub const FILE: &str = "identity";
/// The version of all formats of this directory. A reader accepts this one only.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"kvs-id\r\n";
/// No cluster has a longer name.
pub const MAX_NAME_BYTES: usize = 255;
/// More than the file of the largest cluster has.
pub const MAX_FILE_BYTES: u64 = 1 << 18;

/// The replica that owns a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of its cluster, of at most [`MAX_NAME_BYTES`].
    pub cluster: String,
    /// The replica.
    pub own: Id,
    /// All replicas of the cluster when the directory was made, this one included.
    pub members: BTreeSet<Id>,
}

impl Identity {
    /// The name of the cluster and its members, for people.
    pub fn describe_cluster(&self) -> String {
        let members: Vec<String> = self.members.iter().map(Id::to_string).collect();
        format!("{:?} of {}", self.cluster, members.join(" "))
    }
}

/// A number that differs from directory to directory. All files of a directory have it, and no
/// client knows it. So no value of a client can look like a part of a file.
pub type Owner = u64;

/// The contents of the file. `salt` is any number.
pub fn encode(identity: &Identity, salt: u64) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((identity.cluster.len() as u32).to_le_bytes());
    body.extend(identity.cluster.as_bytes());
    body.extend(identity.own.number().to_le_bytes());
    body.extend((identity.members.len() as u32).to_le_bytes());
    body.extend(identity.members.iter().flat_map(|member| member.number().to_le_bytes()));
    body.extend(salt.to_le_bytes());
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The number for all other files.
pub fn owner(file: &[u8]) -> Owner {
    digest(&[file])
}

/// Reads the file.
pub fn decode(bytes: &[u8]) -> Result<Identity, Reason> {
    let (covered, checksum) = bytes.split_last_chunk().ok_or(Reason::Short)?;
    if u32::from_le_bytes(*checksum) != crc32fast::hash(covered) {
        return Err(Reason::Checksum);
    }
    let mut reader = Reader::new(covered);
    if reader.array()? != MAGIC {
        return Err(Reason::Magic);
    }
    let version = reader.u32()?;
    if version != VERSION {
        return Err(Reason::Version(version));
    }
    reader.u32()?;
    let length = reader.u32()? as usize;
    let cluster = String::from_utf8(reader.take(length)?.to_vec()).map_err(|_| Reason::Contents)?;
    let own = reader.id()?.ok_or(Reason::Contents)?;
    let count = reader.u32()?;
    let members = (0..count).map(|_| reader.id()?.ok_or(Reason::Contents)).collect::<Result<_, _>>()?;
    reader.u64()?;
    reader.end()?;
    Ok(Identity { cluster, own, members })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::id;

    fn identity() -> Identity {
        Identity { cluster: "test".into(), own: id(1), members: (0..5).map(id).collect() }
    }

    #[test]
    fn identity_is_read_as_it_was_written() {
        assert_eq!(decode(&encode(&identity(), 17)), Ok(identity()));
    }

    #[test]
    fn newer_version_is_told_from_damage() {
        let mut bytes = encode(&identity(), 17);
        bytes[8] = VERSION as u8 + 1;
        assert_eq!(decode(&bytes), Err(Reason::Checksum));
        let covered = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..covered]).to_le_bytes();
        bytes[covered..].copy_from_slice(&checksum);
        assert_eq!(decode(&bytes), Err(Reason::Version(VERSION + 1)));
    }

    #[test]
    fn owners_of_two_directories_differ() {
        assert_ne!(owner(&encode(&identity(), 17)), owner(&encode(&identity(), 18)));
    }
}
