use std::io;

use serde_json::ser::Formatter;

/// Compact JSON that stays one line to every reader and looks like what it is on every terminal.
///
/// JSON itself escapes below the space only. Many a reader also ends a line at U+0085, U+2028 or U+2029, terminals
/// take U+009B for the start of a command, and the marks of writing direction show a text in another order. Whoever
/// sends a token chooses such letters.
pub(crate) struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_odd) {
            let (plain, from) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut letters = from.chars();
            if let Some(letter) = letters.next() {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = letters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Control characters, line ends, and letters that are not seen but change what is.
fn is_odd(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use serde::Serialize as _;

    use super::*;

    #[test]
    fn what_ends_a_line_or_is_not_seen_is_escaped_and_nothing_else() {
        for (text, expected) in [
            ("alice", r#""alice""#),
            ("Zo\u{eb} \u{1f600}", "\"Zo\u{eb} \u{1f600}\""),
            ("a\u{85}b\u{2028}c\u{2029}", r#""a\u0085b\u2028c\u2029""#),
            ("\u{9b}2J\u{7f}", r#""\u009b2J\u007f""#),
            ("\u{202e}nimda\u{feff}", r#""\u202enimda\ufeff""#),
            ("\"\n\u{1}", r#""\"\n\u0001""#),
        ] {
            let mut line = Vec::new();
            text.serialize(&mut serde_json::Serializer::with_formatter(&mut line, OneLine))
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&line), expected);
            assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
        }
    }
}
