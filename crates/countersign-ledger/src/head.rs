//! The signed head: what the ledger says its newest tree is, to whoever follows it.
//!
//! A checkpoint promises tiles, so it comes up to a publishing interval late. A head promises nothing but that these
//! entries are durable and in this order: it is signed at once, and with the number that the asker drew, so that no old
//! answer can be passed off as a new one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::note::{NoteError, NoteSigner, Verifier};
use crate::tree::Hash;

/// The first line of the text: no ledger is called so, thus no head is ever taken for a checkpoint, nor the other way
/// round.
const HEADER: &str = "countersign/head/v1";
/// In place of the number in a head that nobody asked for.
const UNASKED: &str = "-";

/// A number that is used once: 128 random bits of the asker.
pub type Nonce = [u8; 16];

/// What a signed head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The ledger's name.
    pub origin: String,
    /// Number of durable entries.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
    /// The number that the asker drew; `None` in a head that was pushed.
    pub nonce: Option<Nonce>,
}

impl Head {
    /// The note text.
    #[must_use]
    pub fn encode(&self) -> String {
        let nonce = self.nonce.map_or_else(|| UNASKED.to_owned(), hex::encode);
        let root = STANDARD.encode(self.root);
        format!("{HEADER}\n{}\n{}\n{root}\n{nonce}\n", self.origin, self.size)
    }

    /// Reads a note text. There is one spelling.
    pub fn parse(text: &str) -> Result<Self, HeadError> {
        let mut lines = text.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(HeadError::Malformed);
        }
        let mut line = || lines.next().ok_or(HeadError::Malformed);
        let origin = line()?.to_owned();
        let size = line()?.parse().map_err(|_| HeadError::Malformed)?;
        let root = STANDARD
            .decode(line()?)
            .ok()
            .and_then(|root| root.try_into().ok());
        let nonce = match line()? {
            UNASKED => None,
            nonce => Some(parse_nonce(nonce).ok_or(HeadError::Malformed)?),
        };
        let head = Self {
            origin,
            size,
            root: root.ok_or(HeadError::Malformed)?,
            nonce,
        };
        if head.encode() == text {
            Ok(head)
        } else {
            Err(HeadError::Malformed)
        }
    }

    /// Checks the note's signature and that its origin is the key's name, then reads it.
    pub fn open(note: &[u8], verifier: &Verifier) -> Result<Self, HeadError> {
        let head = Self::parse(verifier.open(note)?)?;
        if head.origin == verifier.name() {
            Ok(head)
        } else {
            Err(HeadError::OriginMismatch)
        }
    }

    /// The signed note. Only for durable entries, and only one root for each size.
    pub fn sign(&self, signer: &NoteSigner) -> Vec<u8> {
        signer.sign(&self.encode())
    }
}

/// Reads a nonce as it stands in a request and in the head: 32 lower-case hexadecimal digits.
pub(crate) fn parse_nonce(text: &str) -> Option<Nonce> {
    let nonce: Nonce = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(nonce) == text).then_some(nonce)
}

/// Why a head was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not a head in its one spelling.
    #[error("not a head")]
    Malformed,
    /// The origin is not the key's name.
    #[error("the head's origin is not the name of the key that signed it")]
    OriginMismatch,
}

impl HeadError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Malformed => "head_malformed",
            Self::OriginMismatch => "head_origin_mismatch",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Note(error) => error.hint(),
            Self::Malformed | Self::OriginMismatch => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;

    fn head(nonce: Option<Nonce>) -> Head {
        Head {
            origin: "a.example/l".into(),
            size: 70_000,
            root: [3; 32],
            nonce,
        }
    }

    #[test]
    fn reads_what_it_writes() {
        for head in [head(None), head(Some([0xab; 16]))] {
            assert_eq!(Head::parse(&head.encode()), Ok(head));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = head(Some([0xab; 16])).encode();
        for (from, to) in [
            ("v1", "v2"),
            ("70000", "070000"),
            ("70000", "+70000"),
            ("abab", "ABAB"),
            ("ab\n", "\n"),
            ("ab\n", "ab\nmore\n"),
            ("ab\n", "ab"),
            ("AwM", "Aw"),
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text);
            assert_eq!(Head::parse(&other), Err(HeadError::Malformed), "{other:?}");
        }
    }

    #[test]
    fn a_head_is_no_checkpoint_and_a_checkpoint_is_no_head() {
        let signer = NoteSigner::from_seed("a.example/l", &[1; 32]).unwrap();
        let note = head(None).sign(&signer);
        assert_eq!(Head::open(&note, signer.verifier()), Ok(head(None)));
        assert!(Checkpoint::open(&note, signer.verifier()).is_err());
        let checkpoint = Checkpoint {
            origin: "a.example/l".into(),
            size: 1,
            root: [0; 32],
        };
        let note = signer.sign(&checkpoint.encode());
        assert_eq!(Head::open(&note, signer.verifier()), Err(HeadError::Malformed));
        let other = NoteSigner::from_seed("b.example/l", &[1; 32]).unwrap();
        let note = head(None).sign(&other);
        assert_eq!(
            Head::open(&note, other.verifier()),
            Err(HeadError::OriginMismatch)
        );
    }
}
