//! Glob-style patterns, with the meaning that Redis gives them: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
//!
//! Odd patterns match too as in Redis on x86-64: a class without its end ends with the pattern, the
//! ends of a range may stand in any order, and bytes above 127 count as negative in a range.

/// Whether the whole text matches.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Redis does not compare at all with this pattern. Else it would not match the empty text.
    if pattern == b"*" {
        return true;
    }
    let (mut rest, mut place) = (pattern, 0);
    // The pattern after the last star, and the place in the text from which it was compared. An
    // earlier star need not be tried again: the last one can take all that an earlier one could.
    let mut star: Option<(&[u8], usize)> = None;
    while place < text.len() {
        if rest.first() == Some(&b'*') {
            rest = skip_stars(rest);
            if rest.is_empty() {
                return true;
            }
            star = Some((rest, place));
        } else if let Some(after) = after_one(rest, text[place]) {
            place += 1;
            rest = if place == text.len() { skip_stars(after) } else { after };
        } else if let Some((after_star, from)) = star {
            (rest, place) = (after_star, from + 1);
            star = Some((rest, place));
        } else {
            return false;
        }
    }
    rest.is_empty()
}

fn skip_stars(pattern: &[u8]) -> &[u8] {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    &pattern[stars..]
}

/// The pattern after the part that matches this byte; `None` if it does not match.
fn after_one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', b'^', class @ ..] => {
            let (rest, found) = after_class(class, byte);
            (!found).then_some(rest)
        }
        [b'[', class @ ..] => {
            let (rest, found) = after_class(class, byte);
            found.then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// The pattern after a class, and whether the class has this byte.
fn after_class(mut class: &[u8], byte: u8) -> (&[u8], bool) {
    let mut found = false;
    loop {
        class = match class {
            [] => return (class, found),
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => return (rest, found),
            [start, b'-', end, rest @ ..] => {
                let (start, end, byte) = (start.cast_signed(), end.cast_signed(), byte.cast_signed());
                found |= (start.min(end)..=start.max(end)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns, texts that match, and texts that do not.
    const CASES: &[(&str, &[&str], &[&str])] = &[
        ("", &[""], &["a"]),
        ("*", &["", "a", "ab"], &[]),
        ("**", &["a", "ab"], &[""]),
        ("a", &["a"], &["", "b", "aa"]),
        ("a*", &["a", "ab", "a*"], &["", "ba"]),
        ("*a", &["a", "ba", "aa", "aba"], &["", "ab"]),
        ("a*b*c", &["abc", "aXbYc", "abbcc", "abcbc"], &["ab", "acb", "abcd"]),
        ("*ab*ab", &["abab", "ababab", "xabyab"], &["ab", "aba", "abxaby"]),
        ("?", &["a", "?"], &["", "ab"]),
        ("a?c", &["abc"], &["ac", "abbc"]),
        ("[abc]", &["a", "c"], &["d", "", "ab"]),
        ("[^abc]", &["d", "^"], &["a", ""]),
        ("[a-c]x", &["ax", "cx"], &["dx", "-x"]),
        ("[c-a]", &["b"], &["d", "-"]),
        ("[a-]", &["a", "]", "_"], &["b", "-"]),
        ("[a-", &["a", "-"], &["b"]),
        ("[", &[], &["[", ""]),
        ("[^", &["a", "["], &["", "ab"]),
        ("[ab", &["a", "b"], &["[", "ab"]),
        ("[\\]]", &["]"], &["\\"]),
        ("[\\", &["\\"], &["a"]),
        ("[]", &[], &["a", "]", "[]"]),
        ("\\*", &["*"], &["a", "\\*"]),
        ("\\", &["\\"], &["", "a"]),
        ("\\\\", &["\\"], &["\\\\"]),
        ("h[^e]*o", &["hallo", "hxo"], &["hello", "ho"]),
    ];

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, matching, others) in CASES {
            for (texts, expected) in [(matching, true), (others, false)] {
                for text in *texts {
                    assert_eq!(
                        matches(pattern.as_bytes(), text.as_bytes()),
                        expected,
                        "{pattern:?} {text:?}"
                    );
                }
            }
        }
        assert!(
            matches(b"[a-\xff]", b"\xff") && matches(b"[a-\xff]", b"B") && !matches(b"[a-\xff]", b"\x80")
        );
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "a*".repeat(1_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(10_000).as_bytes()));
    }
}
