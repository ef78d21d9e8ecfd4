//! What a follower and the leader tell each other about reads that the follower serves.

use raft::types::MAX_NUMBER;

use super::Malformed;
use super::read::Reader;
use super::write::Writer;
use crate::exchange::{ReadIndex, Round};

/// The version of the form, which is the first byte.
pub const READ_INDEX_VERSION: u8 = 1;

/// The numbers of the messages. A message keeps its number for ever.
mod kind {
    pub const REQUEST: u8 = 0;
    pub const RESPONSE: u8 = 1;
}

/// Appends a message to a buffer.
pub fn encode_read_index(message: &ReadIndex, buffer: &mut Vec<u8>) {
    let mut writer = Writer(buffer);
    let mut begin = |kind, round: &Round| {
        writer.byte(READ_INDEX_VERSION);
        writer.byte(kind);
        writer.number(round.life);
        writer.number(round.number);
    };
    match message {
        ReadIndex::Request { round, applied } => {
            begin(kind::REQUEST, round);
            writer.number(*applied);
        }
        ReadIndex::Response { round, index, time } => {
            begin(kind::RESPONSE, round);
            writer.number(*index);
            writer.signed(*time);
        }
    }
}

/// Reads the message that these bytes are.
///
/// # Errors
///
/// The first reason to refuse them.
pub fn decode_read_index(bytes: &[u8]) -> Result<ReadIndex, Malformed> {
    let mut reader = Reader(bytes);
    reader.version(READ_INDEX_VERSION)?;
    let kind = reader.byte()?;
    let round = Round { life: reader.bounded("life")?, number: reader.bounded("round")? };
    let message = match kind {
        kind::REQUEST => ReadIndex::Request { round, applied: reader.bounded("applied")? },
        kind::RESPONSE => {
            let (index, time) = (reader.bounded("index")?, reader.signed("time")?);
            if time.unsigned_abs() > MAX_NUMBER {
                return Err(Malformed::BadField("time"));
            }
            ReadIndex::Response { round, index, time }
        }
        _ => return Err(Malformed::UnknownKind("read index")),
    };
    reader.end()?;
    Ok(message)
}
