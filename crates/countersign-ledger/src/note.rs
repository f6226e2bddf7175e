//! Signed notes (C2SP signed-note v1.0.0).
//!
//! A note is text, an empty line, and signature lines. Lines of unknown keys are ignored; a line of a known key that
//! does not verify spoils the whole note.

mod key;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub use key::{KeyError, KeyKind, Verifier};

use crate::bytes::take;

const SIGNATURE_MARK: &str = "\u{2014} ";
/// Verifiers must take at least 16; more than this is not a note anybody meant.
const SIGNATURES_MAX: usize = 128;
/// Far above any checkpoint (16 post-quantum signatures are some 110 KB), far below a burden.
const NOTE_BYTES_MAX: usize = 1 << 20;

/// A note taken apart. Nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    lines: Vec<SignatureLine<'a>>,
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    name: &'a str,
    id: [u8; 4],
    signature: Vec<u8>,
    line: &'a str,
}

/// What the lines of a known key say once they verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signed {
    /// When it was signed, in unix seconds, by the signer's clock. `None` for a plain signature and for a cosignature
    /// that makes no statement about time.
    pub time: Option<u64>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Malformed);
        }
        // The last empty line ends the text: the text itself may contain empty lines.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let text = note
            .get(..text.len().saturating_add(1))
            .ok_or(NoteError::Malformed)?;
        Ok(Self {
            text,
            lines: signature_lines(signatures)?,
        })
    }

    /// The text with its last newline. Not to be believed before [`verify`](Self::verify).
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The signature lines in their order.
    pub fn lines(&self) -> &[SignatureLine<'a>] {
        &self.lines
    }

    /// Checks every line of `verifier`'s key. `None` if there is none; an error if one of them does not verify.
    pub fn verify(&self, verifier: &Verifier) -> Result<Option<Signed>, NoteError> {
        let mut signed: Option<Signed> = None;
        for line in self.lines_of(verifier) {
            let found = verifier
                .check(self.text, &line.signature)
                .ok_or(NoteError::SignatureInvalid)?;
            signed = signed.max(Some(found));
        }
        Ok(signed)
    }

    /// The lines that carry the name and id of `verifier`'s key; whether they verify is not known.
    pub fn lines_of<'b>(
        &'b self,
        verifier: &'b Verifier,
    ) -> impl Iterator<Item = &'b SignatureLine<'a>> + use<'a, 'b> {
        self.lines
            .iter()
            .filter(move |line| line.name == verifier.name() && line.id == verifier.id())
    }
}

impl<'a> SignatureLine<'a> {
    /// The signer's name, as it claims.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The line as it stands in the note, without its newline.
    pub fn as_str(&self) -> &'a str {
        self.line
    }

    fn parse(line: &'a str) -> Result<Self, NoteError> {
        let (name, blob) = line
            .strip_prefix(SIGNATURE_MARK)
            .and_then(|rest| rest.split_once(' '))
            .ok_or(NoteError::Malformed)?;
        let blob = STANDARD.decode(blob).map_err(|_| NoteError::Malformed)?;
        let mut rest = blob.as_slice();
        let id = take(&mut rest).ok_or(NoteError::Malformed)?;
        if !name_is_allowed(name) || rest.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(Self {
            name,
            id,
            signature: rest.to_vec(),
            line,
        })
    }
}

/// The lines that a witness answers with, each ended by a newline: signature lines without a note around them.
pub fn signature_lines(lines: &str) -> Result<Vec<SignatureLine<'_>>, NoteError> {
    if lines.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    if lines.split('\n').count() > SIGNATURES_MAX {
        return Err(NoteError::TooLong);
    }
    lines.split('\n').map(SignatureLine::parse).collect()
}

/// A note of `text`, which ends in a newline, and signature lines without theirs.
#[must_use]
pub fn assemble<'a>(text: &str, lines: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut note = format!("{text}\n");
    for line in lines {
        note.push_str(line);
        note.push('\n');
    }
    note.into_bytes()
}

/// The line `— <name> base64(<key id><signature>)`, without its newline.
pub(crate) fn line(verifier: &Verifier, signature: &[u8]) -> String {
    let blob = [verifier.id().as_slice(), signature].concat();
    format!("{SIGNATURE_MARK}{} {}", verifier.name(), STANDARD.encode(blob))
}

/// A name and an Ed25519 key that signs notes. The secret is wiped by the cryptographic library when dropped.
pub struct NoteSigner {
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl NoteSigner {
    /// A signer from its 32-byte seed. For a ledger the name is its origin.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::SeedRejected)?;
        let verifier = Verifier::new(name, KeyKind::Ed25519, pair.public_key().as_ref())?;
        Ok(Self { pair, verifier })
    }

    /// A fresh random seed, wiped when dropped.
    pub fn generate_seed() -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(seed.as_mut_slice()).map_err(|_| KeyError::RandomUnavailable)?;
        Ok(seed)
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// The public half in its text form, `<name>+<id>+<key>`.
    pub fn verifier_key(&self) -> String {
        self.verifier.to_string()
    }

    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs `text`, which must end in a newline, and returns the whole note.
    pub fn sign(&self, text: &str) -> Vec<u8> {
        assemble(text, [self.line(text).as_str()])
    }

    /// Signs `text` and returns the signature line alone, without its newline.
    pub fn line(&self, text: &str) -> String {
        line(&self.verifier, self.pair.sign(text.as_bytes()).as_ref())
    }
}

impl std::fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoteSigner")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// What the specification allows as a name: not empty, no white space, no plus sign.
fn name_is_allowed(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+')
}

/// Why a note was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Not text, an empty line and signature lines.
    #[error("not a signed note")]
    Malformed,
    /// Larger than any note.
    #[error("the note is too long")]
    TooLong,
    /// No line by the expected key.
    #[error("the note carries no signature by the expected key")]
    NotSigned,
    /// A line by the expected key does not verify.
    #[error("the signature by the expected key does not verify")]
    SignatureInvalid,
}

impl NoteError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "note_malformed",
            Self::TooLong => "note_too_long",
            Self::NotSigned => "note_not_signed",
            Self::SignatureInvalid => "note_signature_invalid",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotSigned => Some("check that the verifier key belongs to this ledger"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> NoteSigner {
        NoteSigner::from_seed("example.com/ledger", &[7; 32]).unwrap()
    }

    #[test]
    fn a_note_opens_under_its_key_only() {
        let note = signer().sign("hello\n\nworld\n");
        let verifier = Verifier::parse(&signer().verifier_key()).unwrap();
        assert_eq!(verifier.open(&note), Ok("hello\n\nworld\n"));
        let other = NoteSigner::from_seed("example.com/ledger", &[8; 32]).unwrap();
        assert_eq!(other.verifier().open(&note), Err(NoteError::NotSigned));
    }

    #[test]
    fn the_example_of_the_specification_opens() {
        let verifier =
            Verifier::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
        let note = "This is an example message.\n\n\u{2014} example.com/foo \
            Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        assert_eq!(
            verifier.open(note.as_bytes()),
            Ok("This is an example message.\n")
        );
        let other = note.replace("example message", "exemplary message");
        assert_eq!(verifier.open(other.as_bytes()), Err(NoteError::SignatureInvalid));
    }

    #[test]
    fn unknown_lines_are_ignored_and_a_spoiled_line_spoils() {
        let note = String::from_utf8(signer().sign("text\n")).unwrap();
        let other = NoteSigner::from_seed("w", &[9; 32]).unwrap().line("text\n");
        let both = format!("{note}{other}\n");
        assert_eq!(signer().verifier().open(both.as_bytes()), Ok("text\n"));
        let spoiled = both.replace("text", "texts");
        assert_eq!(
            signer().verifier().open(spoiled.as_bytes()),
            Err(NoteError::SignatureInvalid)
        );
        // One good line does not excuse a bad one.
        let good = signer().line("text\n");
        let bad = signer().line("texts\n");
        for lines in [[&good, &bad], [&bad, &good]] {
            let note = assemble("text\n", lines.map(String::as_str));
            assert_eq!(signer().verifier().open(&note), Err(NoteError::SignatureInvalid));
        }
    }

    #[test]
    fn the_same_name_or_id_alone_is_another_key() {
        let note = signer().sign("text\n");
        let parsed = Note::parse(&note).unwrap();
        let blob = parsed.lines()[0].as_str().rsplit_once(' ').unwrap().1.to_owned();
        let renamed = assemble("text\n", [format!("\u{2014} example.com/other {blob}").as_str()]);
        assert_eq!(signer().verifier().open(&renamed), Err(NoteError::NotSigned));
    }

    #[test]
    fn sixteen_large_signatures_and_strange_names_are_taken() {
        let good = signer().line("text\n");
        let mut lines: Vec<String> = (0u8..15)
            .map(|number| {
                let blob = STANDARD.encode(vec![number; 5_000]);
                format!("\u{2014} \u{7f}name\u{1f600}{number} {blob}")
            })
            .collect();
        lines.push(good.clone());
        let note = assemble("text\n", lines.iter().map(String::as_str));
        assert_eq!(signer().verifier().open(&note), Ok("text\n"));
        let crowd = assemble("text\n", vec![good.as_str(); SIGNATURES_MAX]);
        assert_eq!(signer().verifier().open(&crowd), Ok("text\n"));
        let too_many = assemble("text\n", vec![good.as_str(); SIGNATURES_MAX + 1]);
        assert_eq!(signer().verifier().open(&too_many), Err(NoteError::TooLong));
        let too_long = vec![b'a'; NOTE_BYTES_MAX + 1];
        assert_eq!(signer().verifier().open(&too_long), Err(NoteError::TooLong));
    }

    #[test]
    fn hostile_notes_are_refused() {
        let verifier = signer().verifier().clone();
        for note in [
            "",
            "\n",
            "\n\n",
            "a\n\n",
            "a\n\nb\n",
            "a\n\n\u{2014} x\n",
            "a\n\n\u{2014} x AA==\n",
            "a\n\n\u{2014} x AAAAAA==\n",
            "a\n\n\u{2014} x AAAAAAAA",
            "a\n\n\u{2014} x AAAAAAA\n",
            "a\n\n\u{2014}  AAAAAAAA\n",
            "a\n\n\u{2014} x+y AAAAAAAA\n",
            "a\n\n\u{2014} x\u{2003}y AAAAAAAA\n",
            "a\n\n- x AAAAAAAA\n",
            "a\u{0}\n\n\u{2014} x AAAAAAAA\n",
            "a\r\n\n\u{2014} x AAAAAAAA\n",
            "a\t\n\n\u{2014} x AAAAAAAA\n",
        ] {
            assert_eq!(
                verifier.open(note.as_bytes()),
                Err(NoteError::Malformed),
                "{note:?}"
            );
        }
        assert_eq!(verifier.open(b"a\n\n\xff"), Err(NoteError::Malformed));
    }
}
