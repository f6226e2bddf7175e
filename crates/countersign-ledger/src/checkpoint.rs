//! Checkpoints (C2SP tlog-checkpoint v1.0.0): origin, size and root of a tree, as the text of a signed note.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::note::{NoteError, Verifier};
use crate::tree::Hash;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The ledger's name.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The note text.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads a note text. Extension lines are allowed and ignored, as the specification asks.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Malformed)?
            .split('\n');
        let origin = lines
            .next()
            .filter(|line| !line.is_empty())
            .ok_or(CheckpointError::Malformed)?;
        let size_text = lines.next().ok_or(CheckpointError::Malformed)?;
        let size: u64 = size_text.parse().map_err(|_| CheckpointError::SizeInvalid)?;
        if size.to_string() != size_text {
            return Err(CheckpointError::SizeInvalid);
        }
        let root = STANDARD.decode(lines.next().ok_or(CheckpointError::Malformed)?);
        let root = root
            .ok()
            .and_then(|root| Hash::try_from(root).ok())
            .ok_or(CheckpointError::RootInvalid)?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Malformed);
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    /// Checks the note's signature and that its origin is the key's name, then reads it.
    pub fn open(note: &[u8], verifier: &Verifier) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(verifier.open(note)?)?;
        if checkpoint.origin == verifier.name() {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::OriginMismatch)
        }
    }
}

/// Why a checkpoint was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not origin, size and root on lines of their own.
    #[error("not a checkpoint")]
    Malformed,
    /// Not a decimal number without leading zeros.
    #[error("the checkpoint's size is not a canonical decimal number")]
    SizeInvalid,
    /// Not base64 of 32 bytes.
    #[error("the checkpoint's root is not base64 of 32 bytes")]
    RootInvalid,
    /// The origin is not the key's name.
    #[error("the checkpoint's origin is not the name of the key that signed it")]
    OriginMismatch,
}

impl CheckpointError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::Malformed => "checkpoint_malformed",
            Self::SizeInvalid => "checkpoint_size_invalid",
            Self::RootInvalid => "checkpoint_root_invalid",
            Self::OriginMismatch => "checkpoint_origin_mismatch",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Note(error) => error.hint(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn reads_what_it_writes() {
        let checkpoint = Checkpoint {
            origin: "a.example/l".into(),
            size: 7,
            root: [3; 32],
        };
        assert_eq!(Checkpoint::parse(&checkpoint.encode()), Ok(checkpoint));
    }

    #[test]
    fn extension_lines_are_ignored_and_other_spellings_refused() {
        assert_eq!(
            Checkpoint::parse(&format!("o\n0\n{ROOT}\nextra\n")).unwrap().size,
            0
        );
        let check = |text: String, expect| assert_eq!(Checkpoint::parse(&text), Err(expect), "{text:?}");
        check(String::new(), CheckpointError::Malformed);
        check(format!("\n0\n{ROOT}\n"), CheckpointError::Malformed);
        check(format!("o\n0\n{ROOT}"), CheckpointError::Malformed);
        check(format!("o\n0\n{ROOT}\n\n"), CheckpointError::Malformed);
        check(format!("o\n00\n{ROOT}\n"), CheckpointError::SizeInvalid);
        check(format!("o\n+1\n{ROOT}\n"), CheckpointError::SizeInvalid);
        check(
            format!("o\n18446744073709551616\n{ROOT}\n"),
            CheckpointError::SizeInvalid,
        );
        check("o\n0\nAAAA\n".into(), CheckpointError::RootInvalid);
    }
}
