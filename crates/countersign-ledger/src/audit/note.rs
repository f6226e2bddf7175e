//! Signed notes and checkpoints, read for the audit.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::AuditError;
use crate::tree::sha256;

/// A verifier key of type Ed25519.
pub(super) struct Key {
    /// As it was given, without the newline of its file.
    pub(super) text: String,
    pub(super) name: String,
    /// Key id, as it stands before each signature.
    id: Vec<u8>,
    public: Vec<u8>,
}

impl Key {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('\n');
        let (name, rest) = text.split_once('+')?;
        let (id, key) = rest.split_once('+')?;
        let key = STANDARD.decode(key).ok()?;
        let hash = sha256(&[name.as_bytes(), b"\n", &key].concat());
        let id = hex::decode(id).ok()?;
        let public = key.strip_prefix(&[1])?.to_vec();
        let whole = !name.is_empty() && public.len() == 32 && id.len() == 4 && hash.starts_with(&id);
        whole.then(|| Self {
            text: text.to_owned(),
            name: name.to_owned(),
            id,
            public,
        })
    }
}

/// What a checkpoint claims that `key` has signed, for the log of the key's name.
pub(super) fn open(note: &[u8], key: &Key) -> Result<Claim, AuditError> {
    let claim = Claim::parse(verify(note, key)?).ok_or(AuditError::CheckpointMalformed)?;
    if claim.origin == key.name {
        Ok(claim)
    } else {
        Err(AuditError::OriginMismatch { found: claim.origin })
    }
}

/// The text of a note that carries a good signature by `key`.
fn verify<'a>(note: &'a [u8], key: &Key) -> Result<&'a str, AuditError> {
    let note = std::str::from_utf8(note).map_err(|_| AuditError::CheckpointMalformed)?;
    let gap = note.rfind("\n\n").ok_or(AuditError::CheckpointMalformed)?;
    let (text, signatures) = note
        .split_at_checked(gap.saturating_add(1))
        .ok_or(AuditError::CheckpointMalformed)?;
    let signatures = signatures
        .strip_prefix('\n')
        .and_then(|lines| lines.strip_suffix('\n'));
    let mut good = false;
    for line in signatures.ok_or(AuditError::CheckpointMalformed)?.split('\n') {
        let blob = line
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.split_once(' '));
        let (name, blob) = blob.ok_or(AuditError::CheckpointMalformed)?;
        let blob = STANDARD
            .decode(blob)
            .map_err(|_| AuditError::CheckpointMalformed)?;
        let Some(signature) = blob.strip_prefix(key.id.as_slice()).filter(|_| name == key.name) else {
            continue;
        };
        let verified = UnparsedPublicKey::new(&ED25519, &key.public).verify(text.as_bytes(), signature);
        verified.map_err(|_| AuditError::SignatureInvalid)?;
        good = true;
    }
    if good {
        Ok(text)
    } else {
        Err(AuditError::NotSigned)
    }
}

/// What a checkpoint claims.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) origin: String,
    pub(super) size: u64,
    pub(super) root: [u8; 32],
}

impl Claim {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.strip_suffix('\n')?.split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return None;
        };
        let canonical =
            *size == "0" || !size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit());
        if origin.is_empty() || !canonical || extensions.contains(&"") {
            return None;
        }
        Some(Self {
            origin: (*origin).to_owned(),
            size: size.parse().ok()?,
            root: STANDARD.decode(root).ok()?.try_into().ok()?,
        })
    }
}
