//! A request in words on a line, which Redis splits much as a shell does.

use crate::bytes::Bytes;

/// The words of a line; `None` if a quote has no end, or a word follows it without a space.
///
/// In double quotes `\n`, `\r`, `\t`, `\b`, `\a` and `\xff` stand for bytes, and `\` before any
/// other byte for that byte. In single quotes only `\'` does. The line ends at a zero byte.
pub fn split(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut rest = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut words = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        // Redis counts the vertical tab as a space here, too.
        if let Some(after) = rest.strip_prefix(b"\x0b") {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = word(rest)?;
        words.push(word.into());
        rest = after;
    }
}

/// The first word, which has begun, and the rest of the line.
fn word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = line;
    while let Some((first, after)) = rest.split_first() {
        match first {
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => {
                let rest = ended(double_quoted(after, &mut word)?)?;
                return Some((word, rest));
            }
            b'\'' => {
                let rest = ended(single_quoted(after, &mut word)?)?;
                return Some((word, rest));
            }
            byte => word.push(*byte),
        }
        rest = after;
    }
    Some((word, rest))
}

/// The rest of the line after a closing quote, which ends its word.
fn ended(rest: &[u8]) -> Option<&[u8]> {
    let space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    rest.first().is_none_or(space).then_some(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
                word.push(digit(*high) << 4 | digit(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                after
            }
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn line_is_split_as_redis_splits_it() {
        type Case<'a> = (&'a [u8], Option<&'a [&'a [u8]]>);
        let cases: &[Case<'_>] = &[
            (b"", Some(&[])),
            (b" \t\x0b ", Some(&[])),
            (b"set a b", Some(&[b"set", b"a", b"b"])),
            (b"  a   b  ", Some(&[b"a", b"b"])),
            (b"\"a b\" 'c d'", Some(&[b"a b", b"c d"])),
            (b"\"\" ''", Some(&[b"", b""])),
            (b"a\"b c\"", Some(&[b"ab c"])),
            (b"\"\\x41\\n\\\"\\q\\x4\"", Some(&[b"A\n\"qx4"])),
            (b"'\\n\\''", Some(&[b"\\n'"])),
            (b"\"a", None),
            (b"'a", None),
            (b"\"a\"b", None),
            (b"'a'b", None),
            (b"\"a\\", None),
            (b"a\0b", Some(&[b"a"])),
            (b"\"a\0\"", None),
        ];
        for (line, expected) in cases {
            let words = split(line);
            let words = words.as_ref().map(|words| words.iter().map(|word| &**word).collect::<Vec<_>>());
            assert_eq!(words.as_deref(), *expected, "{}", line.escape_ascii());
        }
    }
}
