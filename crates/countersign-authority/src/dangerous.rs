//! Signing without any rule, as a thief does it.
//!
//! For drills: it reads a data directory as somebody with a copy of it would, and signs whatever it is given. Nothing
//! signed here is recorded, which is the point.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::config::SigningAlgorithm;
use crate::durable;
use crate::keyring::KeyringError;
use crate::layout::Layout;
use crate::private_key::{KeyError, PrivateKey};
use crate::seal::{SealingKey, key_context};
use crate::state::{KeyRow, State};

/// Why the thief comes away with nothing.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// The issuer has no key in that state or with that identifier.
    #[error("the directory has no such key")]
    KeyUnknown,
    /// The private part is gone, or something cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

impl UnsealError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyUnknown => "key_unknown",
            Self::Keyring(error) => error.code(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::KeyUnknown => Some("name a state (`active`, `staged`) or a `kid` of that issuer"),
            Self::Keyring(error) => error.hint(),
        }
    }
}

/// A private key outside every rule.
#[derive(Debug)]
pub struct SigningKey {
    key: PrivateKey,
    row: KeyRow,
}

/// Takes a private key of `issuer` from a data directory: the one in that state (`active`, `staged`), or with that
/// `kid`.
///
/// # Errors
///
/// A retired, suspect or revoked key has no private part any more: that is `file_missing`.
pub async fn unseal_signing_key(
    directory: &Path,
    issuer: &str,
    state_or_key_id: &str,
) -> Result<SigningKey, UnsealError> {
    let layout = Layout::new(directory);
    let row = find(&layout, issuer, state_or_key_id).await?;
    let seal = SealingKey::load(&layout.sealing_key(&row.realm)).map_err(KeyringError::from)?;
    let sealed = durable::read_secret(&layout.sealed_key(&row.key_id)).map_err(KeyringError::from)?;
    let pkcs8 = seal
        .unseal(&key_context(&row.issuer, &row.key_id), &sealed)
        .map_err(KeyringError::from)?;
    let key = PrivateKey::from_pkcs8(row.algorithm, &pkcs8).map_err(KeyringError::from)?;
    Ok(SigningKey { key, row })
}

async fn find(layout: &Layout, issuer: &str, state_or_key_id: &str) -> Result<KeyRow, UnsealError> {
    if !layout.state().exists() {
        return Err(KeyringError::from(crate::FileError::Missing(layout.state())).into());
    }
    let opened = State::open_to_read(&layout.state()).await;
    let state = opened
        .map_err(KeyringError::from)?
        .ok_or(UnsealError::KeyUnknown)?;
    let mut rows = state.keys().await.map_err(KeyringError::from)?;
    state.close().await.map_err(KeyringError::from)?;
    rows.retain(|row| {
        row.issuer == issuer && (row.key_id == state_or_key_id || row.state.as_str() == state_or_key_id)
    });
    rows.pop().ok_or(UnsealError::KeyUnknown)
}

impl SigningKey {
    /// Signs any header and claims as a JWS, true or not.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, KeyError> {
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut token);
        self.key.complete(&mut token)?;
        Ok(token)
    }

    /// The `kid` under which the issuer publishes the key.
    pub fn key_id(&self) -> &str {
        &self.row.key_id
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.row.algorithm
    }

    /// The issuer it was taken from.
    pub fn issuer(&self) -> &str {
        &self.row.issuer
    }
}
