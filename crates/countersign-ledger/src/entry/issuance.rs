//! The record that a token was issued: nearly every entry is one.

use super::EntryError;
use super::field::{Fields, Writing, codes};
use crate::bytes::U24_MAX;

pub(super) const TYPE_ISSUANCE: u8 = 1;
pub(super) const TYPE_DESCENDANT: u8 = 2;
const LENGTH: usize = 48;
const LENGTH_DESCENDANT: usize = 112;

/// The record that a token was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// What sort of token.
    pub kind: IssuanceKind,
    /// SHA-256 of the signing input as sent (of the token's bytes for an opaque token).
    pub fingerprint: [u8; 32],
    /// The signing key: index of the entry in this ledger that announced it, which names issuer and realm too.
    pub key: u64,
    /// Unix seconds.
    pub issued_at: u64,
    /// Unix seconds; 1 to 16,777,215 seconds (194 days) after `issued_at`.
    pub expires_at: u64,
    /// Where an exchanged or refreshed token came from.
    pub lineage: Option<Lineage>,
}

/// Parent and root of an exchanged or refreshed token, by fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The token this one was made from.
    pub parent: [u8; 32],
    /// The first token of the line.
    pub root: [u8; 32],
}

codes! {
    /// What sort of token was issued.
    IssuanceKind, "issuance kind" {
        /// An access token.
        Access = 1, "access";
        /// An ID token.
        Id = 2, "id";
        /// A refresh token.
        Refresh = 3, "refresh";
        /// The result of a token exchange.
        Exchanged = 4, "exchanged";
        /// Issued by a provider that is recorded from outside.
        Foreign = 5, "foreign";
    }
}

impl Issuance {
    pub(super) fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let (code, length) = match self.lineage {
            None => (TYPE_ISSUANCE, LENGTH),
            Some(_) => (TYPE_DESCENDANT, LENGTH_DESCENDANT),
        };
        let lifetime = self.expires_at.checked_sub(self.issued_at);
        let lifetime = lifetime
            .filter(|lifetime| (1..=U24_MAX).contains(lifetime))
            .ok_or(EntryError::LifetimeInvalid)?;
        let mut out = Writing::begin(code, length);
        out.u8(self.kind.code());
        out.u40("the key's index", self.key)?;
        out.u40("the time of issue", self.issued_at)?;
        out.u24("the lifetime", lifetime)?;
        out.bytes(&self.fingerprint);
        if let Some(lineage) = &self.lineage {
            out.bytes(&lineage.parent);
            out.bytes(&lineage.root);
        }
        Ok(out.end())
    }

    pub(super) fn decode(fields: &mut Fields<'_>, descendant: bool) -> Result<Self, EntryError> {
        let kind = IssuanceKind::take(fields)?;
        let key = fields.u40()?;
        let issued_at = fields.u40()?;
        let lifetime = fields.u24()?;
        if lifetime == 0 {
            return Err(EntryError::LifetimeInvalid);
        }
        Ok(Self {
            kind,
            key,
            issued_at,
            expires_at: issued_at.saturating_add(lifetime),
            fingerprint: fields.bytes()?,
            lineage: if descendant {
                Some(Lineage {
                    parent: fields.bytes()?,
                    root: fields.bytes()?,
                })
            } else {
                None
            },
        })
    }
}
