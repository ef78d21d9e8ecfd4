//! The checksum of a message between replicas under a simulator, which may change a byte on the way:
//! a changed digit would be a valid message with another term.
//!
//! The last key of the message is `crc`: the CRC-32 of the text before it, in eight hexadecimal
//! digits. So the checksum covers every byte, and finds each change of up to 32 bits in a row.
//!
//! A network may also write a message anew, with white space or with its keys in another order. The
//! decoder then writes again what it has read, and compares the checksum of that text.

/// The key, up to its digits.
const KEY: [u8; 8] = *br#","crc":""#;

/// Number of the digits.
const DIGITS: usize = 8;

/// The end of a message, from the comma before the key.
type Tail = [u8; KEY.len() + DIGITS + 2];

/// How much longer a message becomes by its checksum: its closing brace was there before.
pub const CHECKSUM_BYTES: usize = size_of::<Tail>() - 1;

/// Adds the checksum to a message, which is an object with a key at least. Other bytes stay as they
/// are.
pub fn seal(message: &mut Vec<u8>) {
    if message.pop_if(|last| *last == b'}').is_some() {
        let tail = tail(message);
        message.extend_from_slice(&tail);
    }
}

/// Whether a message ends with the checksum of the bytes before it. White space may follow.
pub(super) fn is_right(datagram: &[u8]) -> bool {
    let split = datagram.trim_ascii_end().split_last_chunk();
    split.is_some_and(|(text, found): (&[u8], &Tail)| *found == tail(text))
}

/// Whether these digits are the checksum of a message that has none yet.
pub(super) fn is_of(digits: &str, message: &[u8]) -> bool {
    let text = message.strip_suffix(b"}").unwrap_or(message);
    tail(text)[KEY.len()..][..DIGITS] == *digits.as_bytes()
}

fn tail(text: &[u8]) -> Tail {
    let checksum = crc32fast::hash(text);
    let mut tail = Tail::default();
    tail[..KEY.len()].copy_from_slice(&KEY);
    for (at, digit) in tail[KEY.len()..][..DIGITS].iter_mut().enumerate() {
        let value = checksum >> (4 * (DIGITS - 1 - at)) & 0xF;
        *digit = b"0123456789abcdef"[value as usize];
    }
    tail[KEY.len() + DIGITS..].copy_from_slice(br#""}"#);
    tail
}

#[cfg(test)]
mod tests {
    use raft::message::RequestVote;

    use super::*;
    use crate::exchange::Inbound;
    use crate::replication::{Body, Message};
    use crate::wire::guarantees::{self, OWN, PEER, PEERS};
    use crate::wire::{Decoder, Malformed, encode_peer, encode_sealed};

    fn sealed(text: &str) -> Vec<u8> {
        let mut message = text.as_bytes().to_vec();
        seal(&mut message);
        message
    }

    #[test]
    fn checksum_is_the_last_key() {
        let message = sealed(r#"{"a":1}"#);
        assert_eq!(message, br#"{"a":1,"crc":"a702fc6e"}"#);
        assert_eq!(message.len(), r#"{"a":1}"#.len() + CHECKSUM_BYTES);
        assert!(is_right(&message) && is_right(&[&message[..], b" \n"].concat()));
        assert!(is_of("a702fc6e", br#"{"a":1}"#) && !is_of("A702FC6E", br#"{"a":1}"#));
    }

    #[test]
    fn each_change_of_one_byte_is_found() {
        let message = sealed(r#"{"type":"stale_term","term":7}"#);
        for at in 0..message.len() {
            for change in 1..=u8::MAX {
                let mut changed = message.clone();
                changed[at] ^= change;
                assert!(!is_right(&changed), "byte {at} became {}", changed[at]);
            }
        }
    }

    #[test]
    fn text_that_is_shorter_than_a_checksum_has_none() {
        for text in ["", "}", r#","crc":"00000000""#] {
            assert!(!is_right(text.as_bytes()), "{text}");
        }
    }

    fn vote() -> Message {
        let vote = RequestVote {
            pre_vote: false,
            transfer: true,
            campaign: 3,
            last_log_index: 12,
            last_log_term: 5,
        };
        Message { term: 17, body: Body::RequestVote(vote) }
    }

    fn datagram(messages: &[Message]) -> Vec<u8> {
        let mut datagram = Vec::new();
        encode_sealed(&mut datagram, PEER, OWN, Some(PEER), messages);
        datagram
    }

    fn decode(datagram: &[u8]) -> Result<Vec<Inbound>, Malformed> {
        guarantees::read(&mut Decoder::new(OWN, PEERS).with_checksums(), datagram)
    }

    #[test]
    fn receiver_takes_no_message_that_has_changed_on_its_way() {
        for messages in [vec![vote()], vec![vote(), vote()]] {
            let sent = datagram(&messages);
            let read = decode(&sent).expect("it is as it was sent");
            assert_eq!(read.len(), messages.len());
            for (at, bit) in (0..sent.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut changed = sent.clone();
                changed[at] ^= 1 << bit;
                assert!(decode(&changed).is_err(), "{}", String::from_utf8_lossy(&changed));
            }
        }
        let other_term = String::from_utf8(datagram(&[vote()])).expect("UTF-8").replace(":17", ":18");
        assert_eq!(decode(other_term.as_bytes()), Err(Malformed::Damaged));
    }

    #[test]
    fn message_of_a_replica_needs_a_checksum_and_a_request_does_not() {
        let mut message = Vec::new();
        encode_peer(&mut message, PEER, OWN, None, &[vote()]);
        assert_eq!(decode(&message), Err(Malformed::Damaged));
        let get = r#"{"src":"0010","dst":"0000","leader":"FFFF","type":"get","MID":"m","key":"k"}"#;
        assert!(matches!(decode(get.as_bytes()).as_deref(), Ok([Inbound::Client(_)])));
    }

    /// White space between all values, and the keys in another order.
    #[test]
    fn message_that_the_network_writes_anew_keeps_its_checksum() {
        for messages in [vec![vote()], vec![vote(), vote()]] {
            let sent = datagram(&messages);
            let json: serde_json::Value = serde_json::from_slice(&sent).expect("JSON");
            let anew = serde_json::to_string_pretty(&json).expect("it has a text");
            assert_eq!(decode(anew.as_bytes()), decode(&sent));
            assert_eq!(decode(anew.replace(": 17", ": 18").as_bytes()), Err(Malformed::Damaged));
        }
    }
}
