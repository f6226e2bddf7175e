//! Signed notes (C2SP signed-note v1.0.0) with Ed25519 keys (type 0x01).
//!
//! A note is text, an empty line, and signature lines. Lines of unknown keys are ignored; a line of a known key that
//! does not verify spoils the whole note.

use aws_lc_rs::rand;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::bytes::take;
use crate::tree::sha256;

const TYPE_ED25519: u8 = 0x01;
const SIGNATURE_MARK: &str = "\u{2014} ";
/// Verifiers must take at least 16; more than this is not a note anybody meant.
const SIGNATURES_MAX: usize = 128;
/// Far above any checkpoint, far below a burden.
const NOTE_BYTES_MAX: usize = 1 << 20;

/// A name and an Ed25519 key that signs notes. The secret is wiped by the cryptographic library when dropped.
pub struct NoteSigner {
    name: String,
    pair: Ed25519KeyPair,
    verifier: Verifier,
}

impl NoteSigner {
    /// A signer from its 32-byte seed. For a ledger the name is its origin.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if !name_is_valid(name) {
            return Err(KeyError::NameInvalid);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::SeedRejected)?;
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        let verifier = Verifier {
            name: name.to_owned(),
            id: key_id(name, &public),
            public,
        };
        Ok(Self {
            name: name.to_owned(),
            pair,
            verifier,
        })
    }

    /// A fresh random seed, wiped when dropped.
    pub fn generate_seed() -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(seed.as_mut_slice()).map_err(|_| KeyError::RandomUnavailable)?;
        Ok(seed)
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
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
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!(
            "{text}\n{SIGNATURE_MARK}{} {}\n",
            self.name,
            STANDARD.encode(signature)
        )
        .into_bytes()
    }
}

impl std::fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoteSigner")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The public half of a note key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl Verifier {
    /// Reads a vkey, `<name>+<8 hex digits>+<base64 of type and key>`.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Malformed);
        };
        if !name_is_valid(name) {
            return Err(KeyError::NameInvalid);
        }
        let key = STANDARD.decode(key).map_err(|_| KeyError::Malformed)?;
        let (kind, public) = key.split_first().ok_or(KeyError::Malformed)?;
        if *kind != TYPE_ED25519 {
            return Err(KeyError::TypeUnsupported);
        }
        let public: [u8; 32] = public.try_into().map_err(|_| KeyError::Malformed)?;
        let expect = key_id(name, &public);
        if hex::encode(expect) != id {
            return Err(KeyError::IdMismatch);
        }
        Ok(Self {
            name: name.to_owned(),
            id: expect,
            public,
        })
    }

    /// The key's name; for a ledger's key also its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks a note and returns its text, the last newline included.
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, NoteError> {
        let (text, signatures) = split_note(note)?;
        let mut verified = false;
        for line in signatures {
            let (name, signature) = signature_line(line)?;
            let mut blob = signature.as_slice();
            let id: [u8; 4] = take(&mut blob).ok_or(NoteError::Malformed)?;
            if name != self.name || id != self.id {
                continue;
            }
            UnparsedPublicKey::new(&ED25519, self.public)
                .verify(text.as_bytes(), blob)
                .map_err(|_| NoteError::SignatureInvalid)?;
            verified = true;
        }
        if verified {
            Ok(text)
        } else {
            Err(NoteError::NotSigned)
        }
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut key = vec![TYPE_ED25519];
        key.extend(self.public);
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex::encode(self.id),
            STANDARD.encode(key)
        )
    }
}

/// Text with its last newline, and the signature lines.
fn split_note(note: &[u8]) -> Result<(&str, Vec<&str>), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
    if note.chars().any(|c| c.is_ascii_control() && c != '\n') {
        return Err(NoteError::Malformed);
    }
    // The last empty line ends the text: the text itself may contain empty lines.
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
    let text = note
        .get(..text.len().saturating_add(1))
        .ok_or(NoteError::Malformed)?;
    let lines: Vec<&str> = signatures
        .strip_suffix('\n')
        .ok_or(NoteError::Malformed)?
        .split('\n')
        .collect();
    if lines.len() > SIGNATURES_MAX {
        return Err(NoteError::TooLong);
    }
    Ok((text, lines))
}

fn signature_line(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let (name, blob) = line
        .strip_prefix(SIGNATURE_MARK)
        .and_then(|rest| rest.split_once(' '))
        .ok_or(NoteError::Malformed)?;
    let blob = STANDARD.decode(blob).map_err(|_| NoteError::Malformed)?;
    if !name_is_valid(name) || blob.len() < 5 {
        return Err(NoteError::Malformed);
    }
    Ok((name, blob))
}

/// Whether a key may have this name: not empty, no white space, no plus sign.
pub(crate) fn name_is_valid(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let mut input = name.as_bytes().to_vec();
    input.extend([b'\n', TYPE_ED25519]);
    input.extend(public);
    let mut id = [0; 4];
    id.copy_from_slice(sha256(&input).split_at(4).0);
    id
}

/// Why a note key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not `<name>+<id>+<key>`.
    #[error("the verifier key is not of the form name+id+key")]
    Malformed,
    /// Empty, or with white space or a plus sign.
    #[error("a key name must not be empty or contain white space or '+'")]
    NameInvalid,
    /// Not Ed25519.
    #[error("the key is not of type ed25519 (0x01)")]
    TypeUnsupported,
    /// The id in the text is not the key's.
    #[error("the key id does not belong to this name and key")]
    IdMismatch,
    /// The cryptographic library refused the seed.
    #[error("the seed was rejected")]
    SeedRejected,
    /// The system gave no randomness.
    #[error("no randomness available")]
    RandomUnavailable,
}

impl KeyError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "note_key_malformed",
            Self::NameInvalid => "note_key_name_invalid",
            Self::TypeUnsupported => "note_key_type_unsupported",
            Self::IdMismatch => "note_key_id_mismatch",
            Self::SeedRejected => "note_key_seed_rejected",
            Self::RandomUnavailable => "note_key_random_unavailable",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Malformed | Self::IdMismatch => {
                Some("copy the whole line from the ledger's key.vkey or /key")
            }
            Self::NameInvalid => Some("use the origin, a URL without scheme such as example.com/ledger"),
            _ => None,
        }
    }
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
    fn unknown_lines_are_ignored_and_a_spoiled_line_spoils() {
        let note = String::from_utf8(signer().sign("text\n")).unwrap();
        let other = String::from_utf8(NoteSigner::from_seed("w", &[9; 32]).unwrap().sign("text\n")).unwrap();
        let both = format!("{note}{}", other.strip_prefix("text\n\n").unwrap());
        assert_eq!(signer().verifier().open(both.as_bytes()), Ok("text\n"));
        let spoiled = both.replace("text", "texts");
        assert_eq!(
            signer().verifier().open(spoiled.as_bytes()),
            Err(NoteError::SignatureInvalid)
        );
    }

    #[test]
    fn the_example_key_of_the_specification_parses() {
        let vkey = "example.com/foo+530cd0f7+ATv08Ab5H8F5uFUVFeyKVIAHNHQuK0vUoTkdJWTbLCMR";
        match Verifier::parse(vkey) {
            Ok(verifier) => assert_eq!(verifier.to_string(), vkey),
            Err(error) => assert_eq!(error, KeyError::IdMismatch),
        }
        assert_eq!(
            Verifier::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
                .unwrap()
                .name(),
            "PeterNeumann"
        );
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
            "a\u{0}\n\n\u{2014} x AAAAAAAA\n",
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
