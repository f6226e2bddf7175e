//! Private keys at rest: AES-256-GCM under a key per realm, bound to the issuer and key they belong to.
//!
//! The bytes are specified in `docs/sealed-keys.md`.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use zeroize::{Zeroize as _, Zeroizing};

use crate::durable::{self, FileError};

/// The first bytes of a sealed file; the last of them is the format's version.
const MAGIC: &[u8; 8] = b"CSSEAL\x00\x01";
const KEY_LENGTH: usize = 32;
const TAG_LENGTH: usize = 16;

/// Why something could not be sealed or unsealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The sealing key file does not hold 32 bytes.
    #[error("a sealing key is not 32 bytes long")]
    KeyLength,
    /// The file does not begin as a sealed file of a known version does.
    #[error("not a sealed file of a known version")]
    Format,
    /// Another key sealed it, it belongs to another issuer or key, or it was changed.
    #[error("the sealed file does not open under this key and name")]
    Unseal,
    /// The random source or the cipher failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

impl SealError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::KeyLength => "sealing_key_malformed",
            Self::Format => "sealed_file_malformed",
            Self::Unseal => "sealed_file_foreign",
            Self::Crypto => "crypto_failed",
        }
    }

    /// What to do next.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::KeyLength | Self::Format => Some("restore the file from a backup"),
            Self::Unseal => Some("restore `seal/` and `keys/` from one and the same backup"),
            Self::Crypto => None,
        }
    }
}

/// The key that seals the private keys of one realm. Two realms never share one.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Reads the sealing key, or creates it durably when there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        match Self::load(path) {
            Err(SealError::File(FileError::Missing(_))) => Self::create(path),
            loaded => loaded,
        }
    }

    /// Reads the sealing key.
    pub fn load(path: &Path) -> Result<Self, SealError> {
        Self::from_bytes(&durable::read_secret(path)?)
    }

    /// Seals a secret; it opens only under this key and the same context.
    pub fn seal(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Crypto)?;
        let head = MAGIC.len().saturating_add(NONCE_LEN);
        let mut sealed = Vec::with_capacity(head.saturating_add(secret.len()).saturating_add(TAG_LENGTH));
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(secret);
        let (_, body) = sealed.split_at_mut(head);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                body,
            )
            .map_err(|_| SealError::Crypto)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`SealingKey::seal`] made for the same context.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let rest = sealed.strip_prefix(MAGIC).ok_or(SealError::Format)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Format)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(context.as_bytes());
        let length = self
            .0
            .open_in_place(nonce, aad, &mut buffer)
            .map_err(|_| SealError::Unseal)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn create(path: &Path) -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        rand::fill(&mut *bytes).map_err(|_| SealError::Crypto)?;
        durable::write_secret(path, &*bytes)?;
        Self::from_bytes(&*bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let mut key: [u8; KEY_LENGTH] = bytes.try_into().map_err(|_| SealError::KeyLength)?;
        let unbound = UnboundKey::new(&AES_256_GCM, &key);
        key.zeroize();
        unbound
            .map(|unbound| Self(LessSafeKey::new(unbound)))
            .map_err(|_| SealError::Crypto)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(..)")
    }
}

/// What a private key's file is bound to: moved to another issuer or key, it does not open.
pub(crate) fn key_context(issuer: &str, key_id: &str) -> String {
    format!("countersign/sealed-key/v1\0{issuer}\0{key_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (tempfile::TempDir, SealingKey) {
        let directory = tempfile::tempdir().unwrap();
        let key = SealingKey::load_or_create(&directory.path().join("realm.key")).unwrap();
        (directory, key)
    }

    #[test]
    fn a_secret_opens_under_its_context_only() {
        let (_directory, key) = key();
        let context = key_context("https://a.example/consumer", "kid");
        let sealed = key.seal(&context, b"private").unwrap();
        assert_eq!(sealed.len(), 8 + 12 + 7 + 16);
        assert!(!sealed.windows(7).any(|window| window == b"private"));
        assert_eq!(&**key.unseal(&context, &sealed).unwrap(), b"private");
        let other = key_context("https://a.example/enterprise", "kid");
        assert_eq!(
            key.unseal(&other, &sealed).unwrap_err().code(),
            "sealed_file_foreign"
        );
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let (_directory, key) = key();
        let sealed = key.seal("context", b"private").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key.unseal("context", &changed).is_err());
            assert!(key.unseal("context", &sealed[..index]).is_err());
        }
    }

    #[test]
    fn the_same_file_gives_the_same_key_and_another_realm_does_not() {
        let (directory, first) = key();
        let again = SealingKey::load_or_create(&directory.path().join("realm.key")).unwrap();
        let other = SealingKey::load_or_create(&directory.path().join("other.key")).unwrap();
        let sealed = first.seal("context", b"private").unwrap();
        assert!(again.unseal("context", &sealed).is_ok());
        assert!(other.unseal("context", &sealed).is_err());
        assert_eq!(format!("{first:?}"), "SealingKey(..)");
    }

    #[test]
    fn a_sealing_key_of_the_wrong_length_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("realm.key");
        durable::write_secret(&path, &[0; 31]).unwrap();
        assert_eq!(
            SealingKey::load_or_create(&path).unwrap_err().code(),
            "sealing_key_malformed"
        );
    }
}
