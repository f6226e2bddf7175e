use std::fmt::{self, Display, Write as _};

/// The longest text of foreign origin in one field of the log. All texts of one token together are bounded by the
/// token's own size, so that a line stays below 40 KiB whatever is sent.
const TEXT_LENGTH_MAX: usize = 512;

/// A run of token characters at least this long, beginning like a JSON object in base64url, is taken for a token.
/// The shortest real one is several times longer.
const TOKEN_LENGTH_MIN: usize = 32;

/// How a JSON object that begins with a brace and then white space or an odd name looks in base64url. Words hold these
/// too (framework), so they count at the beginning of a run only.
const RARE_BEGINNINGS: [&str; 5] = ["eyI", "eyA", "ewo", "ewk", "ew0"];

/// What stands in the place of a token.
const REDACTED: &str = "[token]";

/// Text of foreign origin as it may stand in the log: no token inside, at most [`TEXT_LENGTH_MAX`] bytes.
/// Escaping is left to the JSON writer.
pub(crate) fn for_log(text: &impl Display) -> String {
    let mut kept = Capped(String::new());
    // Capped fails on purpose once it is full; what it holds then is what is wanted.
    let _ = write!(kept, "{text}");
    let mut text = redact(&kept.0).unwrap_or(kept.0);
    if text.len() > TEXT_LENGTH_MAX {
        text.truncate(text.floor_char_boundary(TEXT_LENGTH_MAX));
    }
    text
}

/// The same for header bytes: what is not printable ASCII is percent-encoded.
pub(crate) fn bytes_for_log(bytes: &[u8]) -> String {
    for_log(&Printable(bytes))
}

struct Printable<'a>(&'a [u8]);

impl Display for Printable<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            if byte.is_ascii_graphic() || *byte == b' ' {
                formatter.write_char(char::from(*byte))?;
            } else {
                write!(formatter, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// Takes in a little more than is shown, so that a token cut at the end is still recognised as one.
struct Capped(String);

impl fmt::Write for Capped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = (TEXT_LENGTH_MAX + 2 * TOKEN_LENGTH_MIN).saturating_sub(self.0.len());
        let part = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        self.0.push_str(part);
        if part.len() < text.len() {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

/// The text with everything that looks like a token replaced, or `None` when nothing does.
fn redact(text: &str) -> Option<String> {
    let mut result = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(start) = token_start(rest) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character| !in_token(character)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        let is_token = run.len() >= TOKEN_LENGTH_MIN;
        result.push_str(before);
        result.push_str(if is_token { REDACTED } else { run });
        found |= is_token;
        rest = after;
    }
    result.push_str(rest);
    found.then_some(result)
}

fn token_start(text: &str) -> Option<usize> {
    text.match_indices('e').map(|(at, _)| at).find(|at| {
        let (before, from) = text.split_at(*at);
        from.starts_with("eyJ")
            || RARE_BEGINNINGS
                .iter()
                .any(|beginning| from.starts_with(beginning))
                && !before.ends_with(in_token)
    })
}

/// The characters of a compact token, and those of one that was percent-encoded on the way.
fn in_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.%=+~".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_any_text_is_taken_out() {
        let token = format!("eyJ{}.eyJ{}.{}", "a".repeat(40), "b".repeat(90), "c".repeat(86));
        assert_eq!(for_log(&format!("/files/{token}/x")), "/files/[token]/x");
        assert_eq!(
            for_log(&format!("/f;t={}", token.replace('.', "%2E"))),
            "/f;t=[token]"
        );
        let late = format!("{}{token}", "x".repeat(TEXT_LENGTH_MAX - 10));
        assert!(
            !for_log(&late).contains("eyJ"),
            "a token that the cap cuts short is one all the same"
        );
    }

    #[test]
    fn a_token_with_white_space_in_its_header_is_one_too() {
        let tail = format!("{}.{}", "a".repeat(40), "b".repeat(86));
        for beginning in RARE_BEGINNINGS {
            assert_eq!(
                for_log(&format!("/files/{beginning}{tail}/x")),
                "/files/[token]/x"
            );
        }
        let word = "/docs/frameworks-and-homework-for-the-patient-reader.html";
        assert_eq!(for_log(&word), word);
    }

    #[test]
    fn bytes_become_printable() {
        assert_eq!(bytes_for_log(b"/it's?\xff\n \"x\""), "/it's?%FF%0A \"x\"");
    }

    #[test]
    fn other_text_stays_and_is_capped() {
        assert_eq!(for_log(&"eyJobs are fun, eyJ"), "eyJobs are fun, eyJ");
        assert_eq!(for_log(&"ä".repeat(1000)).len(), TEXT_LENGTH_MAX);
    }
}
