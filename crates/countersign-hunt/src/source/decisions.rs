//! Source: decision logs of gates (`docs/decision-log.md`), NDJSON in plain files.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::normal_form::{Position, Provenance, Use};
use crate::timestamp::parse_rfc3339_ms;

/// The longest line that is read. A gate writes lines of a few kilobytes; a longer one is no decision.
pub const LINE_BYTES_MAX: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// Reads a decision log row by row, in constant memory.
#[derive(Debug)]
pub struct Decisions<R> {
    reader: R,
    line: Vec<u8>,
    next: Position,
}

/// One row: a use, or what is wrong with the row.
#[derive(Debug)]
pub struct Row<'a> {
    /// Where it stands.
    pub position: Position,
    /// What it says.
    pub parsed: Result<Use<'a>, Fault>,
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Longer than [`LINE_BYTES_MAX`].
    LineTooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON, or more than one value.
    NotJson,
    /// JSON that ends too early: a write was cut short.
    Truncated,
    /// No JSON object, or a member is missing, double, of the wrong type or no word of its list.
    MemberInvalid,
    /// `time` is no RFC 3339 time since 1970.
    TimeInvalid,
    /// `fingerprint` is not 64 hexadecimal digits.
    FingerprintInvalid,
    /// `key_thumbprint` is not base64url of 32 bytes.
    ThumbprintInvalid,
}

/// Why a file cannot be read as a decision log at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file starts like a gzip or zstd file.
    #[error("the file is compressed")]
    Compressed,
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<R: BufRead> Decisions<R> {
    /// Starts at the beginning of a file. A byte order mark is skipped.
    pub fn new(mut reader: R) -> Result<Self, ReadError> {
        let start = reader.fill_buf()?;
        if start.starts_with(GZIP_MAGIC) || start.starts_with(ZSTD_MAGIC) {
            return Err(ReadError::Compressed);
        }
        let skipped = if start.starts_with(BYTE_ORDER_MARK) {
            BYTE_ORDER_MARK.len()
        } else {
            0
        };
        reader.consume(skipped);
        let offset = u64::try_from(skipped).unwrap_or_default();
        Ok(Self {
            reader,
            line: Vec::new(),
            next: Position { line: 1, offset },
        })
    }

    /// The next row; none at the end. Empty lines are no rows.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        loop {
            let position = self.next;
            let length = self.read_line()?;
            if length == 0 {
                return Ok(None);
            }
            self.next.line += 1;
            self.next.offset += length;
            if self.line.len() > LINE_BYTES_MAX {
                return Ok(Some(Row {
                    position,
                    parsed: Err(Fault::LineTooLong),
                }));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Row {
                    position,
                    parsed: parse(&self.line),
                }));
            }
        }
    }

    /// Reads up to the next line feed and returns how many bytes that took; keeps little more than the longest line.
    fn read_line(&mut self) -> io::Result<u64> {
        self.line.clear();
        let limit = u64::try_from(LINE_BYTES_MAX)
            .unwrap_or(u64::MAX)
            .saturating_add(2);
        let kept = self
            .reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.line)?;
        let mut length = u64::try_from(kept).unwrap_or(u64::MAX);
        let is_ended = self.line.last() == Some(&b'\n');
        if !is_ended && length == limit {
            length += skip_line(&mut self.reader)?;
        }
        if is_ended {
            self.line.pop();
        }
        Ok(length)
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(length);
        skipped += u64::try_from(length).unwrap_or(u64::MAX);
        if end.is_some() || length == 0 {
            return Ok(skipped);
        }
    }
}

/// The members that a hunt reads. Others are the log's business; a missing one is as good as `null`, as far as the
/// log's page allows `null`.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    time: Text<'a>,
    #[serde(borrow)]
    gate: Text<'a>,
    decision: Outcome,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    fingerprint: Option<Text<'a>>,
    #[serde(borrow)]
    issuer: Option<Text<'a>>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    key_thumbprint: Option<Text<'a>>,
    #[serde(borrow)]
    subject: Option<Text<'a>>,
    #[serde(borrow)]
    resource: Option<Text<'a>>,
    #[serde(borrow)]
    source_ip: Option<Text<'a>>,
    issued_at: Option<u64>,
    expires_at: Option<u64>,
    provenance: Option<Provenance>,
    ledger_index: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Admit,
    Refuse,
}

/// Borrowed where the JSON string has no escapes. A plain `Option<Cow<str>>` would always copy.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn parse(line: &[u8]) -> Result<Use<'_>, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::NotUtf8)?;
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => Fault::Truncated,
        serde_json::error::Category::Data => Fault::MemberInvalid,
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => Fault::NotJson,
    })?;
    Ok(Use {
        time_ms: parse_rfc3339_ms(&line.time.0).ok_or(Fault::TimeInvalid)?,
        gate: line.gate.0,
        is_admitted: matches!(line.decision, Outcome::Admit),
        reason: line.reason.map(|text| text.0),
        fingerprint: line.fingerprint.map(|text| fingerprint(&text.0)).transpose()?,
        issuer: line.issuer.map(|text| text.0),
        key_id: line.key_id.map(|text| text.0),
        key_thumbprint: line.key_thumbprint.map(|text| thumbprint(&text.0)).transpose()?,
        subject: line.subject.map(|text| text.0),
        resource: line.resource.map(|text| text.0),
        source_ip: line.source_ip.map(|text| text.0),
        issued_at: line.issued_at,
        expires_at: line.expires_at,
        provenance: line.provenance,
        ledger_index: line.ledger_index,
    })
}

fn fingerprint(text: &str) -> Result<[u8; 32], Fault> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| Fault::FingerprintInvalid)?;
    Ok(bytes)
}

fn thumbprint(text: &str) -> Result<[u8; 32], Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Fault::ThumbprintInvalid)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    const FINGERPRINT: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    const MINIMAL: &str = r#"{"time":"2026-08-01T12:00:00.250Z","gate":"front","decision":"admit"}"#;

    /// What each row of `bytes` is: `line:offset` and `ok` or the fault.
    fn check(name: &str, bytes: &[u8], expect: &[&str]) {
        // A tiny buffer, so that no row depends on where a read ends.
        let mut rows = Decisions::new(BufReader::with_capacity(7, bytes)).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            let word = match row.parsed {
                Ok(_) => "ok".to_owned(),
                Err(fault) => serde_json::to_value(fault).unwrap().as_str().unwrap().to_owned(),
            };
            found.push(format!("{}:{} {word}", row.position.line, row.position.offset));
        }
        assert_eq!(found, expect, "{name}");
    }

    fn with(members: &str) -> Vec<u8> {
        MINIMAL.replace('}', &format!(",{members}}}")).into_bytes()
    }

    #[test]
    fn files_as_they_come() {
        let m = MINIMAL;
        let cut = &m[..40];
        check("empty file", b"", &[]);
        check("line feeds only", b"\n\r\n \n", &[]);
        check("byte order mark only", b"\xef\xbb\xbf", &[]);
        check("one line", format!("{m}\n").as_bytes(), &["1:0 ok"]);
        check(
            "no last line feed",
            format!("{m}\n{m}").as_bytes(),
            &["1:0 ok", "2:70 ok"],
        );
        check(
            "truncated last line",
            format!("{m}\n{cut}").as_bytes(),
            &["1:0 ok", "2:70 truncated"],
        );
        check(
            "torn line",
            format!("{cut}\n{m}\n").as_bytes(),
            &["1:0 truncated", "2:41 ok"],
        );
        check(
            "carriage returns",
            format!("{m}\r\n\r\n{m}\r\n").as_bytes(),
            &["1:0 ok", "3:73 ok"],
        );
        check(
            "byte order mark",
            format!("\u{feff}{m}\n{m}\n").as_bytes(),
            &["1:3 ok", "2:73 ok"],
        );
        check(
            "mark in the middle",
            format!("{m}\n\u{feff}{m}\n").as_bytes(),
            &["1:0 ok", "2:70 not_json"],
        );
        check("two in a line", format!("{m}{m}\n").as_bytes(), &["1:0 not_json"]);
        check(
            "not utf-8",
            &with(r#""subject":"?""#).replace_byte(b'?', 0xff),
            &["1:0 not_utf8"],
        );
        check("utf-16", b"\xff\xfe{\0}\0\n\0", &["1:0 not_utf8", "2:7 not_json"]);
        check("zeros", b"\0\0\0\n", &["1:0 not_json"]);
        check(
            "text",
            b"hello\n[]\n7\n",
            &["1:0 not_json", "2:6 member_invalid", "3:9 member_invalid"],
        );
    }

    trait ReplaceByte {
        fn replace_byte(self, from: u8, to: u8) -> Self;
    }

    impl ReplaceByte for Vec<u8> {
        fn replace_byte(mut self, from: u8, to: u8) -> Self {
            self.iter_mut()
                .filter(|byte| **byte == from)
                .for_each(|byte| *byte = to);
            self
        }
    }

    #[test]
    fn broken_members() {
        for (members, expect) in [
            (r#""nested":{"a":[1]},"duration_us":1.5"#, "ok"),
            (r#""issuer":null,"ledger_index":null,"audience":null"#, "ok"),
            (r#""subject":"a\u00e4\n\ud83d\ude00""#, "ok"),
            (r#""subject":"\ud83d""#, "not_json"),
            (r#""subject":7"#, "member_invalid"),
            (r#""gate":"again""#, "member_invalid"),
            (r#""issued_at":-1"#, "member_invalid"),
            (r#""issued_at":1.5"#, "member_invalid"),
            (r#""expires_at":18446744073709551616"#, "member_invalid"),
            (r#""provenance":"perhaps""#, "member_invalid"),
            (r#""fingerprint":"""#, "fingerprint_invalid"),
            (r#""fingerprint":"0011""#, "fingerprint_invalid"),
            (r#""key_thumbprint":"AAAA""#, "thumbprint_invalid"),
            (
                r#""key_thumbprint":"+++++++++++++++++++++++++++++++++++++++++++""#,
                "thumbprint_invalid",
            ),
        ] {
            check(members, &with(members), &[&format!("1:0 {expect}")]);
        }
        for (line, expect) in [
            (MINIMAL.replace("admit", "allow"), "member_invalid"),
            (MINIMAL.replace("gate", "door"), "member_invalid"),
            (MINIMAL.replace("2026-08-01T", "2026-08-01 at "), "time_invalid"),
            (MINIMAL.replace("2026", "1926"), "time_invalid"),
            ("{".repeat(100_000), "not_json"),
            (format!("{{\"x\":{}", "[".repeat(100_000)), "truncated"),
        ] {
            check(
                &line[..line.len().min(80)],
                line.as_bytes(),
                &[&format!("1:0 {expect}")],
            );
        }
    }

    #[test]
    fn a_line_of_any_length_costs_no_more_than_the_longest() {
        for excess in [0, 1, 2, 3, 5_000_000] {
            let long = format!("{MINIMAL}{}", " ".repeat(LINE_BYTES_MAX + excess - MINIMAL.len()));
            let first = if excess == 0 {
                "1:0 ok"
            } else {
                "1:0 line_too_long"
            };
            let second = format!("2:{} ok", long.len() + 1);
            check("long", format!("{long}\n{MINIMAL}").as_bytes(), &[first, &second]);
            check("long last", long.as_bytes(), &[first]);
        }
    }

    #[test]
    fn a_whole_row() {
        let thumbprint = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let line = format!(
            r#"{{"time":"2026-08-01T14:00:00.250+02:00","gate":"front","decision":"refuse","reason":"never_issued",
            "issuer":"https://a.example","key_id":"k","key_thumbprint":"{thumbprint}","fingerprint":"{FINGERPRINT}",
            "subject":"al\u0069ce","issued_at":1,"expires_at":2,"provenance":"not_recorded","ledger_index":3,
            "resource":"mail","source_ip":"203.0.113.9"}}"#
        );
        let line = line.replace('\n', "");
        let used = parse(line.as_bytes()).unwrap();
        assert_eq!(used.time_ms, 1_785_585_600_250);
        assert_eq!(
            (used.gate.as_ref(), used.is_admitted, used.is_signature_proved()),
            ("front", false, true)
        );
        assert_eq!(
            used.fingerprint.map(hex::encode),
            Some(FINGERPRINT.to_lowercase())
        );
        assert_eq!(
            used.key_thumbprint,
            Some(std::array::from_fn(|index| u8::try_from(index).unwrap()))
        );
        assert_eq!(
            (used.reason.as_deref(), used.issuer.as_deref()),
            (Some("never_issued"), Some("https://a.example"))
        );
        assert_eq!(
            (used.key_id.as_deref(), used.subject.as_deref()),
            (Some("k"), Some("alice"))
        );
        assert_eq!(
            (used.resource.as_deref(), used.source_ip.as_deref()),
            (Some("mail"), Some("203.0.113.9"))
        );
        assert_eq!(
            (used.issued_at, used.expires_at, used.ledger_index),
            (Some(1), Some(2), Some(3))
        );
        assert!(
            matches!(used.issuer, Some(Cow::Borrowed(_))),
            "a string without escapes is not copied"
        );
    }

    #[test]
    fn a_compressed_file_is_named_as_one() {
        for magic in [GZIP_MAGIC, ZSTD_MAGIC] {
            assert!(matches!(Decisions::new(magic), Err(ReadError::Compressed)));
        }
    }
}
