//! Verifier keys: what a signature line is checked with, and the text form in which they are handed around.

use aws_lc_rs::signature::{ED25519, ML_DSA_44, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Note, NoteError, Signed, name_is_allowed};
use crate::bytes::take;
use crate::checkpoint::Checkpoint;
use crate::cosignature::{TIME_MAX, ed25519_message, ml_dsa_message};
use crate::tree::sha256;

/// An ML-DSA signature covers the signer's name behind a length of one byte.
const ML_DSA_NAME_MAX: usize = 255;

/// What a key signs, by the signature type byte of signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyKind {
    /// Ed25519 over the note's text.
    Ed25519 = 0x01,
    /// Ed25519 over a time and the checkpoint: tlog-cosignature.
    CosignatureV1 = 0x04,
    /// ML-DSA-44 over a time and the checkpoint: tlog-cosignature.
    MlDsa44 = 0x06,
}

impl KeyKind {
    /// The signature type byte.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// Whether its signatures are cosignatures, as a witness gives them.
    pub fn is_cosignature(self) -> bool {
        matches!(self, Self::CosignatureV1 | Self::MlDsa44)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::CosignatureV1, Self::MlDsa44]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }

    fn public_key_length(self) -> usize {
        match self {
            Self::Ed25519 | Self::CosignatureV1 => 32,
            Self::MlDsa44 => 1_312,
        }
    }
}

/// The public half of a note key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    kind: KeyKind,
    public: Vec<u8>,
}

impl Verifier {
    /// A verifier of `kind` from the public key's bytes.
    pub fn new(name: &str, kind: KeyKind, public: &[u8]) -> Result<Self, KeyError> {
        // Stricter than for lines of unknown keys: the names of our own keys reach terminals.
        if !name_is_allowed(name) || name.chars().any(char::is_control) {
            return Err(KeyError::NameInvalid);
        }
        if kind == KeyKind::MlDsa44 && name.len() > ML_DSA_NAME_MAX {
            return Err(KeyError::NameInvalid);
        }
        if public.len() != kind.public_key_length() {
            return Err(KeyError::Malformed);
        }
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, kind, public),
            kind,
            public: public.to_vec(),
        })
    }

    /// Reads a vkey, `<name>+<8 hex digits>+<base64 of type and key>`.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Malformed);
        };
        let key = STANDARD.decode(key).map_err(|_| KeyError::Malformed)?;
        let (kind, public) = key.split_first().ok_or(KeyError::Malformed)?;
        let kind = KeyKind::from_byte(*kind).ok_or(KeyError::TypeUnsupported)?;
        let verifier = Self::new(name, kind, public)?;
        if hex::encode(verifier.id) == id {
            Ok(verifier)
        } else {
            Err(KeyError::IdMismatch)
        }
    }

    /// The key's name; for a ledger's key also its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key id, which with the name tells which lines are its.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key's bytes, without the type.
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// Checks a note and returns its text, the last newline included.
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, NoteError> {
        let note = Note::parse(note)?;
        note.verify(self)?.ok_or(NoteError::NotSigned)?;
        Ok(note.text())
    }

    /// Checks one signature over `text`. `None` if it does not verify.
    pub(super) fn check(&self, text: &str, signature: &[u8]) -> Option<Signed> {
        let time = match self.kind {
            KeyKind::Ed25519 => {
                self.verify(text.as_bytes(), signature)?;
                None
            }
            KeyKind::CosignatureV1 => {
                let (time, signature) = timestamped(signature)?;
                self.verify(ed25519_message(time, text).as_bytes(), signature)?;
                Some(time)
            }
            KeyKind::MlDsa44 => {
                let (time, signature) = timestamped(signature)?;
                let checkpoint = Checkpoint::parse(text).ok()?;
                self.verify(&ml_dsa_message(&self.name, time, &checkpoint)?, signature)?;
                (time != 0).then_some(time)
            }
        };
        Some(Signed { time })
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let verified = match self.kind {
            KeyKind::Ed25519 | KeyKind::CosignatureV1 => {
                UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature)
            }
            KeyKind::MlDsa44 => UnparsedPublicKey::new(&ML_DSA_44, &self.public).verify(message, signature),
        };
        verified.ok()
    }
}

/// Time and signature of a `timestamped_signature`.
fn timestamped(mut blob: &[u8]) -> Option<(u64, &[u8])> {
    let time = take(&mut blob).map(u64::from_be_bytes)?;
    (time <= TIME_MAX).then_some((time, blob))
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [&[self.kind.byte()], self.public.as_slice()].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex::encode(self.id),
            STANDARD.encode(key)
        )
    }
}

fn key_id(name: &str, kind: KeyKind, public: &[u8]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), &[b'\n', kind.byte()], public].concat());
    let mut id = [0; 4];
    id.copy_from_slice(hash.split_at(4).0);
    id
}

/// Why a note key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not `<name>+<id>+<key>`.
    #[error("the verifier key is not of the form name+id+key")]
    Malformed,
    /// Empty, too long, or with white space or a plus sign.
    #[error("a key name must not be empty or contain white space or '+'")]
    NameInvalid,
    /// Neither Ed25519 nor ML-DSA-44.
    #[error("the key is of none of the types 0x01, 0x04 (ed25519) and 0x06 (ml-dsa-44)")]
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

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: [u8; 32] = [5; 32];

    #[test]
    fn a_key_of_the_go_documentation_parses() {
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let verifier = Verifier::parse(vkey).unwrap();
        assert_eq!(
            (verifier.name(), verifier.kind()),
            ("PeterNeumann", KeyKind::Ed25519)
        );
        assert_eq!(verifier.to_string(), vkey);
    }

    #[test]
    fn every_kind_reads_what_it_writes() {
        for (kind, length) in [
            (KeyKind::Ed25519, 32),
            (KeyKind::CosignatureV1, 32),
            (KeyKind::MlDsa44, 1_312),
        ] {
            let verifier = Verifier::new("w.example/1", kind, &vec![9; length]).unwrap();
            assert_eq!(Verifier::parse(&verifier.to_string()), Ok(verifier));
        }
    }

    #[test]
    fn the_kind_is_part_of_the_id() {
        let id = |kind| Verifier::new("a", kind, &PUBLIC).unwrap().id();
        assert_ne!(id(KeyKind::Ed25519), id(KeyKind::CosignatureV1));
    }

    #[test]
    fn hostile_keys_are_refused() {
        let text = Verifier::new("a", KeyKind::Ed25519, &PUBLIC).unwrap().to_string();
        let check = |vkey: &str, expect| assert_eq!(Verifier::parse(vkey), Err(expect), "{vkey:?}");
        check("", KeyError::Malformed);
        check("a", KeyError::Malformed);
        check("a+00000000", KeyError::Malformed);
        check("a+00000000+", KeyError::Malformed);
        check("a+00000000+AA", KeyError::Malformed);
        check(&text.replacen('a', "b", 1), KeyError::IdMismatch);
        check(&text.replacen('a', "", 1), KeyError::NameInvalid);
        check(&text.replacen('a', "a b", 1), KeyError::NameInvalid);
        check(&text.replacen('a', "a\u{1b}[2J", 1), KeyError::NameInvalid);
        check(&format!("{text}="), KeyError::Malformed);
        check(
            &format!("a+00000000+{}", STANDARD.encode([2; 33])),
            KeyError::TypeUnsupported,
        );
        check(
            &format!("a+00000000+{}", STANDARD.encode([1; 34])),
            KeyError::Malformed,
        );
        check(
            &format!("a+00000000+{}", STANDARD.encode([6; 33])),
            KeyError::Malformed,
        );
        let long = "n".repeat(256);
        assert_eq!(
            Verifier::new(&long, KeyKind::MlDsa44, &[0; 1_312]),
            Err(KeyError::NameInvalid)
        );
        assert!(Verifier::new(&long, KeyKind::CosignatureV1, &PUBLIC).is_ok());
    }
}
