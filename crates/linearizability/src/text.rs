//! Texts of a history as parts of a line on a terminal.

/// The longest text that is shown whole, in characters. A longer one is cut in its middle.
const TEXT_LENGTH: usize = 20;

/// Characters that take two columns: East Asian wide and full-width ones, and pictures.
const WIDE: [(u32, u32); 15] = [
    (0x1100, 0x115F),
    (0x231A, 0x231B),
    (0x2E80, 0x303E),
    (0x3041, 0xA4CF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFE30, 0xFE6F),
    (0xFF01, 0xFF60),
    (0xFFE0, 0xFFE6),
    (0x1F300, 0x1F64F),
    (0x1F680, 0x1F6FF),
    (0x1F900, 0x1F9FF),
    (0x1FA70, 0x1FAFF),
    (0x20000, 0x3FFFD),
];

/// Any text as a part of a line: without characters that a terminal would obey, and if it is long
/// with its two ends only.
pub fn legible(text: &str) -> String {
    ends(text, TEXT_LENGTH, |c| c.escape_debug().to_string())
}

/// Any text as a part of a line, whole, and quotation marks as they are.
pub fn printable(text: &str) -> String {
    text.chars().map(escaped).collect()
}

/// Both ends of a long text as parts of a line, and quotation marks as they are.
pub(crate) fn printable_up_to(length: usize, text: &str) -> String {
    ends(text, length, escaped)
}

fn ends(text: &str, most: usize, escape: impl Fn(char) -> String) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.chars().map(escape).collect();
    }
    let half = most / 2;
    let end: String = text.chars().skip(length - half + 1).map(&escape).collect();
    format!("{}…{end}", text.chars().take(half).map(escape).collect::<String>())
}

/// A combining character is escaped, too, so that it does not join the one before it.
fn escaped(c: char) -> String {
    if matches!(c, '"' | '\'' | '\\') { c.to_string() } else { c.escape_debug().to_string() }
}

/// The width of a text on a terminal, in columns.
pub fn columns(text: &str) -> usize {
    let is_wide = |c: char| WIDE.iter().any(|&(from, to)| (from..=to).contains(&u32::from(c)));
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// The text and as many spaces as make it this wide.
pub fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_control_characters_is_legible_in_one_line() {
        assert_eq!(legible("a\n\u{1b}[31m\"\\"), r#"a\n\u{1b}[31m\"\\"#);
        assert_eq!(legible(&"0123456789".repeat(3)), "0123456789…123456789");
        // One character would overwrite its neighbour, and the other turn the line round.
        assert_eq!(legible("e\u{301}\u{202e}x"), r"e\u{301}\u{202e}x");
        assert_eq!(printable("it's \"a\\b\"\u{7}"), r#"it's "a\b"\u{7}"#);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!((columns("鍵 k"), columns("é"), columns("🔑")), (4, 1, 2));
        assert_eq!(padded("鍵", 4), "鍵  ");
        assert_eq!(padded("long", 2), "long");
    }
}
