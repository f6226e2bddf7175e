//! The line format of tlog-policy.
//!
//! The file is bytes: names and URLs may be any text, so they are compared as bytes and never as characters.

use std::collections::{HashMap, HashSet};

use super::{Log, Name, Party, Policy, Quorum, Witness};
use crate::note::{KeyError, Verifier};

/// Far more than any policy; a post-quantum vkey is some 1.8 KB.
const POLICY_BYTES_MAX: usize = 1 << 20;

pub(super) fn parse(bytes: &[u8]) -> Result<Policy, PolicyError> {
    let mut reader = Reader::default();
    if bytes.len() > POLICY_BYTES_MAX {
        return Err(PolicyFault::TooLong.at(0));
    }
    let Some(lines) = bytes.strip_suffix(b"\n") else {
        // A file that was cut off must not be taken for a smaller policy.
        let line = bytes.split(|byte| *byte == b'\n').count();
        return Err(PolicyFault::Unterminated.at(line));
    };
    for (number, line) in (1..).zip(lines.split(|byte| *byte == b'\n')) {
        reader.line(line).map_err(|fault| fault.at(number))?;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    logs: Vec<Log>,
    parties: Vec<Party>,
    names: HashMap<Name, usize>,
    /// Parties that are a member of a group already.
    members: HashSet<usize>,
    quorum: Option<Quorum>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyFault> {
        if line
            .iter()
            .any(|byte| !matches!(byte, b'\t' | 0x20..=0x7e | 0x80..))
        {
            return Err(PolicyFault::Character);
        }
        let items: Vec<&[u8]> = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|item| !item.is_empty())
            .collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] => self.log(key, None),
            [b"log", key, url] => self.log(key, Some(url)),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            [b"log" | b"witness" | b"group" | b"quorum", ..] => Err(PolicyFault::Items),
            _ => Err(PolicyFault::Keyword),
        }
    }

    fn log(&mut self, key: &[u8], url: Option<&&[u8]>) -> Result<(), PolicyFault> {
        let verifier = verifier(key)?;
        let known = |log: &Log| log.verifier.public_key() == verifier.public_key();
        if self.logs.iter().any(known) {
            return Err(PolicyFault::KeyTwice);
        }
        self.refuse_ambiguous(&verifier)?;
        self.logs.push(Log {
            verifier,
            url: url.map(|url| url.to_vec()),
        });
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&&[u8]>) -> Result<(), PolicyFault> {
        let verifier = verifier(key)?;
        if !verifier.kind().is_cosignature() {
            return Err(PolicyFault::WitnessKeyKind);
        }
        let known = |witness: &Witness| witness.verifier.public_key() == verifier.public_key();
        if self.witnesses().any(known) {
            return Err(PolicyFault::KeyTwice);
        }
        self.refuse_ambiguous(&verifier)?;
        let witness = Witness {
            name: Name(name.to_vec()),
            verifier,
            url: url.map(|url| url.to_vec()),
        };
        self.define(Party::Witness(witness))
    }

    fn group(&mut self, name: &[u8], threshold: &[u8], members: &[&[u8]]) -> Result<(), PolicyFault> {
        if members.is_empty() {
            return Err(PolicyFault::Items);
        }
        let threshold = match threshold {
            b"any" => 1,
            b"all" => members.len(),
            digits => decimal(digits).ok_or(PolicyFault::Threshold)?,
        };
        if !(1..=members.len()).contains(&threshold) {
            return Err(PolicyFault::Threshold);
        }
        let members = members.iter().map(|member| {
            let index = self.defined(member)?;
            if self.members.insert(index) {
                Ok(index)
            } else {
                Err(PolicyFault::MemberTwice)
            }
        });
        let members = members.collect::<Result<_, _>>()?;
        self.define(Party::Group {
            name: Name(name.to_vec()),
            threshold,
            members,
        })
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyFault> {
        if self.quorum.is_some() {
            return Err(PolicyFault::QuorumTwice);
        }
        self.quorum = Some(match name {
            b"none" => Quorum::Nobody,
            name => Quorum::Party(self.defined(name)?),
        });
        Ok(())
    }

    fn define(&mut self, party: Party) -> Result<(), PolicyFault> {
        let name = party.name().clone();
        if name.as_bytes() == b"none" {
            return Err(PolicyFault::NameReserved);
        }
        if self.names.insert(name, self.parties.len()).is_some() {
            return Err(PolicyFault::NameTwice);
        }
        self.parties.push(party);
        Ok(())
    }

    fn defined(&self, name: &[u8]) -> Result<usize, PolicyFault> {
        let index = self.names.get(&Name(name.to_vec()));
        index.copied().ok_or(PolicyFault::NameUnknown)
    }

    /// Two keys with one name and one id could not be told apart in a note.
    fn refuse_ambiguous(&self, verifier: &Verifier) -> Result<(), PolicyFault> {
        let logs = self.logs.iter().map(|log| &log.verifier);
        let witnesses = self.witnesses().map(|witness| &witness.verifier);
        let clash = |known: &Verifier| {
            known != verifier && known.name() == verifier.name() && known.id() == verifier.id()
        };
        if logs.chain(witnesses).any(clash) {
            return Err(PolicyFault::KeyAmbiguous);
        }
        Ok(())
    }

    fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.parties.iter().filter_map(|party| match party {
            Party::Witness(witness) => Some(witness),
            Party::Group { .. } => None,
        })
    }

    fn finish(self) -> Result<Policy, PolicyError> {
        Ok(Policy {
            logs: self.logs,
            parties: self.parties,
            quorum: self.quorum.ok_or(PolicyFault::QuorumMissing.at(0))?,
        })
    }
}

fn verifier(key: &[u8]) -> Result<Verifier, PolicyFault> {
    let key = std::str::from_utf8(key).map_err(|_| KeyError::Malformed)?;
    Ok(Verifier::parse(key)?)
}

/// A decimal number without sign or leading zeros.
fn decimal(digits: &[u8]) -> Option<usize> {
    if digits.starts_with(b"0") || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Why a file is not a policy, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub fault: PolicyFault,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFault {
    /// Larger than any policy.
    #[error("the file is too long")]
    TooLong,
    /// The last line does not end.
    #[error("the last line does not end in a newline")]
    Unterminated,
    /// A control character other than tab and newline.
    #[error("a control character other than tab and newline")]
    Character,
    /// Not one of the four keywords.
    #[error("a line begins with log, witness, group, quorum or #")]
    Keyword,
    /// Too few or too many items for the keyword.
    #[error("too few or too many items for this keyword")]
    Items,
    /// Not a usable vkey.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A witness cosigns.
    #[error("a witness's key is of a cosignature type (0x04 or 0x06)")]
    WitnessKeyKind,
    /// The same public key twice.
    #[error("this public key was listed before")]
    KeyTwice,
    /// Another key has the same name and id.
    #[error("another key has this name and id")]
    KeyAmbiguous,
    /// `none` is taken.
    #[error("none cannot be the name of a witness or group")]
    NameReserved,
    /// Defined before.
    #[error("this name was defined before")]
    NameTwice,
    /// Not defined on a line above.
    #[error("a name that no line above defines")]
    NameUnknown,
    /// Neither any, all nor a number of members.
    #[error("a group's threshold is any, all or a number from 1 to that of its members")]
    Threshold,
    /// A member of another group already, or listed twice.
    #[error("a member may stand in one group only, once")]
    MemberTwice,
    /// No quorum line.
    #[error("there is no quorum line")]
    QuorumMissing,
    /// A second quorum line.
    #[error("there is a second quorum line")]
    QuorumTwice,
}

impl PolicyFault {
    fn at(self, line: usize) -> PolicyError {
        PolicyError { line, fault: self }
    }
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.fault),
            line => write!(f, "line {line}: {}", self.fault),
        }
    }
}

impl std::error::Error for PolicyError {}

impl PolicyError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self.fault {
            PolicyFault::TooLong => "policy_too_long",
            PolicyFault::Unterminated => "policy_unterminated",
            PolicyFault::Character => "policy_character",
            PolicyFault::Keyword => "policy_keyword",
            PolicyFault::Items => "policy_items",
            PolicyFault::Key(error) => error.code(),
            PolicyFault::WitnessKeyKind => "policy_witness_key_kind",
            PolicyFault::KeyTwice => "policy_key_twice",
            PolicyFault::KeyAmbiguous => "policy_key_ambiguous",
            PolicyFault::NameReserved => "policy_name_reserved",
            PolicyFault::NameTwice => "policy_name_twice",
            PolicyFault::NameUnknown => "policy_name_unknown",
            PolicyFault::Threshold => "policy_threshold",
            PolicyFault::MemberTwice => "policy_member_twice",
            PolicyFault::QuorumMissing => "policy_quorum_missing",
            PolicyFault::QuorumTwice => "policy_quorum_twice",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.fault {
            PolicyFault::Unterminated => {
                "end the file with a newline, after checking that nothing is missing"
            }
            PolicyFault::QuorumMissing => "add a line: quorum none, or the name of a witness or group",
            PolicyFault::Keyword | PolicyFault::Items => {
                "log VKEY [URL], witness NAME VKEY [URL], group NAME any|all|K NAME..., quorum NAME|none"
            }
            PolicyFault::Key(error) => return error.hint(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::KeyKind;

    fn key(kind: KeyKind, name: &str, byte: u8) -> String {
        let length = if kind == KeyKind::MlDsa44 { 1_312 } else { 32 };
        Verifier::new(name, kind, &vec![byte; length])
            .unwrap()
            .to_string()
    }

    fn witness(byte: u8) -> String {
        key(KeyKind::CosignatureV1, "w.example", byte)
    }

    fn fault(text: &str) -> PolicyFault {
        parse(text.as_bytes()).unwrap_err().fault
    }

    #[test]
    fn the_shape_of_the_specification_is_read() {
        let mut text = format!("log {}\n\n", key(KeyKind::Ed25519, "l.example", 1));
        for (number, name) in (10..).zip(["X1", "X2", "X3", "Y1", "Y2", "Y3"]) {
            text += &["witness ", name, " ", &witness(number), "\n"].concat();
        }
        text += "group X-witnesses 2 X1 X2 X3\n# a remark: \u{e9}\n \t# another\ngroup Y-witnesses any Y1 Y2 Y3\n \t\n";
        text += "\tgroup  X-and-Y\tall X-witnesses   Y-witnesses \nquorum X-and-Y\n";
        let policy = parse(text.as_bytes()).unwrap();
        assert_eq!(policy.logs().len(), 1);
        assert_eq!(policy.witnesses().count(), 6);
        assert_eq!(policy.quorum().unwrap().to_string(), "X-and-Y");
    }

    #[test]
    fn names_and_urls_are_bytes() {
        let key = witness(1);
        let mut text = format!("witness \u{212a} {key} http://").into_bytes();
        text.extend(b"\xff\xfe\nwitness K ");
        text.extend(witness(2).bytes());
        text.extend(b" https://w.example\nquorum \xe2\x84\xaa\n");
        let policy = parse(&text).unwrap();
        assert_eq!(policy.quorum().unwrap().as_bytes(), "\u{212a}".as_bytes());
        let urls: Vec<_> = policy.witnesses().map(Witness::url).collect();
        assert_eq!(urls, [None, Some("https://w.example")]);
    }

    #[test]
    fn each_fault_is_named() {
        let log = key(KeyKind::Ed25519, "l.example", 1);
        let two = format!("witness a {}\nwitness b {}\n", witness(1), witness(2));
        let check = |text: String, expect| assert_eq!(fault(&text), expect, "{text}");
        check(String::new(), PolicyFault::Unterminated);
        check("quorum none".into(), PolicyFault::Unterminated);
        check("\n".into(), PolicyFault::QuorumMissing);
        check("quorum none\nquorum none\n".into(), PolicyFault::QuorumTwice);
        check("quorum none\r\n".into(), PolicyFault::Character);
        check("# \u{7f}\nquorum none\n".into(), PolicyFault::Character);
        check("quorums none\n".into(), PolicyFault::Keyword);
        check("quorum none # why\n".into(), PolicyFault::Items);
        check("quorum\n".into(), PolicyFault::Items);
        check(format!("log {log} u v\n"), PolicyFault::Items);
        check("log\n".into(), PolicyFault::Items);
        check("witness a\n".into(), PolicyFault::Items);
        check("log nonsense\n".into(), PolicyFault::Key(KeyError::Malformed));
        check(format!("witness a {log}\n"), PolicyFault::WitnessKeyKind);
        check(format!("log {log}\nlog {log}\n"), PolicyFault::KeyTwice);
        let renamed = key(KeyKind::CosignatureV1, "other.example", 1);
        check(format!("log {log}\nlog {renamed}\n"), PolicyFault::KeyTwice);
        check(
            format!("{two}witness c {}\n", key(KeyKind::CosignatureV1, "x", 1)),
            PolicyFault::KeyTwice,
        );
        check(format!("{two}witness a {}\n", witness(3)), PolicyFault::NameTwice);
        check(
            format!("witness none {}\n", witness(3)),
            PolicyFault::NameReserved,
        );
        check(format!("{two}group none any a\n"), PolicyFault::NameReserved);
        check(format!("{two}group a any b\n"), PolicyFault::NameTwice);
        check(format!("{two}group g any\n"), PolicyFault::Items);
        check(format!("{two}group g any c\n"), PolicyFault::NameUnknown);
        check(format!("{two}group g any none\n"), PolicyFault::NameUnknown);
        check(format!("{two}group g any g\n"), PolicyFault::NameUnknown);
        for threshold in ["0", "3", "-1", "+1", "01", "1.0", "some", "99999999999999999999"] {
            check(format!("{two}group g {threshold} a b\n"), PolicyFault::Threshold);
        }
        check(format!("{two}group g any a a\n"), PolicyFault::MemberTwice);
        check(
            format!("{two}group g any a\ngroup h any a b\n"),
            PolicyFault::MemberTwice,
        );
        check(format!("quorum a\n{two}"), PolicyFault::NameUnknown);
        check(format!("{two}quorum c\n"), PolicyFault::NameUnknown);
        let error = parse(format!("{two}quorum c\n").as_bytes()).unwrap_err();
        assert_eq!((error.line, error.to_string().starts_with("line 3: ")), (3, true));
        let lengthy = vec![b'#'; POLICY_BYTES_MAX + 1];
        assert_eq!(parse(&lengthy).unwrap_err().fault, PolicyFault::TooLong);
    }

    #[test]
    fn a_log_may_be_its_own_witness_under_another_kind_and_quorum_may_come_early() {
        let text = format!(
            "witness a {}\nquorum a\nlog {}\nwitness late {}\n",
            witness(1),
            key(KeyKind::Ed25519, "w.example", 1),
            key(KeyKind::MlDsa44, "pq.example", 7)
        );
        assert!(parse(text.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            names in proptest::collection::vec(proptest::collection::vec(0x80u8.., 1..4), 1..5),
            rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = Vec::new();
            for (name, number) in names.iter().zip(1u8..) {
                bytes.extend([b"witness ", name.as_slice(), b" ", witness(number).as_bytes(), b"\n"].concat());
            }
            bytes.extend([b"quorum ", names[0].as_slice(), b"\n"].concat());
            bytes.extend(rest);
            if let Ok(policy) = parse(&bytes) {
                prop_assert_eq!(parse(&policy.encode()), Ok(policy));
            }
        }
    }
}
