//! Replies and refusals, and the numbers of their kinds.

use super::Malformed;
use super::read::Reader;
use super::write::Writer;
use crate::reply::{Refusal, Reply};

/// How deep arrays of replies may nest. The reply to a batch with a scan has three levels.
const MAX_DEPTH: usize = 8;

/// The numbers of the kinds of reply. A kind keeps its number for ever.
mod kind {
    pub const OK: u8 = 1;
    pub const NIL: u8 = 2;
    pub const BYTES: u8 = 3;
    pub const INTEGER: u8 = 4;
    pub const ARRAY: u8 = 5;
    pub const ERROR: u8 = 6;
}

pub(crate) fn write_reply(writer: &mut Writer<'_>, reply: &Reply) {
    match reply {
        Reply::Ok => writer.byte(kind::OK),
        Reply::Nil => writer.byte(kind::NIL),
        Reply::Bytes(bytes) => {
            writer.byte(kind::BYTES);
            writer.bytes(bytes);
        }
        Reply::Integer(number) => {
            writer.byte(kind::INTEGER);
            writer.signed(*number);
        }
        Reply::Array(replies) => {
            writer.byte(kind::ARRAY);
            writer.list(replies, write_reply);
        }
        Reply::Error(refusal) => {
            writer.byte(kind::ERROR);
            writer.byte(refusal_number(*refusal));
        }
    }
}

pub(crate) fn read_reply(reader: &mut Reader<'_>) -> Result<Reply, Malformed> {
    read_nested(reader, MAX_DEPTH)
}

fn read_nested(reader: &mut Reader<'_>, depth: usize) -> Result<Reply, Malformed> {
    match reader.byte()? {
        kind::OK => Ok(Reply::Ok),
        kind::NIL => Ok(Reply::Nil),
        kind::BYTES => Ok(Reply::Bytes(reader.bytes("reply")?.into())),
        kind::INTEGER => Ok(Reply::Integer(reader.signed("reply")?)),
        kind::ARRAY if depth > 1 => {
            let read = |reader: &mut Reader<'_>| read_nested(reader, depth - 1);
            Ok(Reply::Array(reader.list(usize::MAX, "reply", read)?))
        }
        kind::ERROR => Ok(Reply::Error(read_refusal(reader)?)),
        _ => Err(Malformed::UnknownKind("reply")),
    }
}

/// A refusal keeps its number for ever.
fn refusal_number(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::NotAnInteger => 1,
        Refusal::Overflow => 2,
        Refusal::NotAFloat => 3,
        Refusal::NanOrInfinity => 4,
        Refusal::TooLong => 5,
        Refusal::InvalidDeadline => 6,
        Refusal::UnknownCommand => 7,
        Refusal::Syntax => 8,
        Refusal::Reused => 9,
        Refusal::Forgotten => 10,
        Refusal::SessionExpired => 11,
        Refusal::ReplyTooLong => 12,
        Refusal::ReplyForgotten => 13,
        Refusal::OutOfMemory => 14,
    }
}

fn read_refusal(reader: &mut Reader<'_>) -> Result<Refusal, Malformed> {
    Ok(match reader.byte()? {
        1 => Refusal::NotAnInteger,
        2 => Refusal::Overflow,
        3 => Refusal::NotAFloat,
        4 => Refusal::NanOrInfinity,
        5 => Refusal::TooLong,
        6 => Refusal::InvalidDeadline,
        7 => Refusal::UnknownCommand,
        8 => Refusal::Syntax,
        9 => Refusal::Reused,
        10 => Refusal::Forgotten,
        11 => Refusal::SessionExpired,
        12 => Refusal::ReplyTooLong,
        13 => Refusal::ReplyForgotten,
        14 => Refusal::OutOfMemory,
        _ => return Err(Malformed::UnknownKind("refusal")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_reply(&mut Writer(&mut bytes), reply);
        bytes
    }

    #[test]
    fn bytes_of_a_reply_never_change() {
        let texts = Reply::Array(vec![Reply::Ok, Reply::Nil, Reply::Bytes("text".into())]);
        let replies = [
            (texts, "05030102030474657874"),
            (Reply::Integer(-2), "0403"),
            (Reply::Error(Refusal::ReplyForgotten), "060d"),
        ];
        for (reply, expected) in replies {
            let bytes = written(&reply);
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digits, expected);
            assert_eq!(read_reply(&mut Reader(&bytes)), Ok(reply));
        }
    }

    #[test]
    fn each_refusal_has_a_number() {
        for number in 1..=14 {
            let refusal = read_refusal(&mut Reader(&[number])).expect("known");
            assert_eq!(refusal_number(refusal), number);
        }
        assert_eq!(read_refusal(&mut Reader(&[15])), Err(Malformed::UnknownKind("refusal")));
    }

    #[test]
    fn reply_that_nests_too_deep_is_refused() {
        let mut reply = Reply::Ok;
        for _ in 1..MAX_DEPTH {
            reply = Reply::Array(vec![reply]);
        }
        assert_eq!(read_reply(&mut Reader(&written(&reply))), Ok(reply.clone()));
        let deeper = written(&Reply::Array(vec![reply]));
        assert_eq!(read_reply(&mut Reader(&deeper)), Err(Malformed::UnknownKind("reply")));
        let deepest = [5, 1].repeat(1_000_000);
        assert_eq!(read_reply(&mut Reader(&deepest)), Err(Malformed::UnknownKind("reply")));
    }
}
