//! The normal form: what a row of any source becomes before uses are compared with issuances.

use std::borrow::Cow;

use countersign_ledger::IssuanceKind;
use serde::{Deserialize, Serialize};

/// One observed use of a token, from any log. It borrows from the row it was read from.
///
/// Facts of a refused use are what the token claims of itself; see [`Use::is_signature_proved`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use<'a> {
    /// When the token was used, milliseconds since 1970 in UTC, by the clock of the gate.
    pub time_ms: u64,
    /// Who saw it.
    pub gate: Cow<'a, str>,
    /// Whether the request went through.
    pub is_admitted: bool,
    /// The gate's reason code.
    pub reason: Option<Cow<'a, str>>,
    /// SHA-256 of the token's signing input: the key into the ledger. None where the request had no readable token.
    pub fingerprint: Option<[u8; 32]>,
    /// `iss`, exactly.
    pub issuer: Option<Cow<'a, str>>,
    /// `kid`.
    pub key_id: Option<Cow<'a, str>>,
    /// RFC 7638 thumbprint of the key the gate held for `kid`: the gate's own record, never a claim.
    pub key_thumbprint: Option<[u8; 32]>,
    /// `sub`.
    pub subject: Option<Cow<'a, str>>,
    /// The resource asked for, as the gate names it.
    pub resource: Option<Cow<'a, str>>,
    /// The address the request came from, as the proxy said.
    pub source_ip: Option<Cow<'a, str>>,
    /// `iat`, seconds since 1970.
    pub issued_at: Option<u64>,
    /// `exp`, seconds since 1970.
    pub expires_at: Option<u64>,
    /// What the gate was told when it asked the ledger; none where it did not come to that.
    pub provenance: Option<Provenance>,
    /// The position in the ledger at which the gate found the issuance.
    pub ledger_index: Option<u64>,
}

impl Use<'_> {
    /// Whether the gate had checked the signature: it admits and asks the ledger only after that.
    pub fn is_signature_proved(&self) -> bool {
        self.is_admitted || self.provenance.is_some_and(|said| said != Provenance::NotAsked)
    }
}

/// What a gate was told of a token by the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The token was issued.
    Recorded,
    /// It was not.
    NotRecorded,
    /// The ledger could not be asked, or was behind.
    CannotTell,
    /// The gate did not ask.
    NotAsked,
}

/// One issuance, from any source that records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// SHA-256 of the token's signing input.
    pub fingerprint: [u8; 32],
    /// [`countersign_ledger::issuer_id`] of the token's `iss`.
    pub issuer: [u8; 32],
    /// RFC 7638 thumbprint of the key that signed.
    pub key: [u8; 32],
    /// What sort of token.
    pub kind: IssuanceKind,
    /// Seconds since 1970.
    pub issued_at: u64,
    /// Seconds since 1970.
    pub expires_at: u64,
    /// Position in the ledger.
    pub ledger_index: u64,
}

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, counted from 1.
    pub line: u64,
    /// Offset of the line's first byte.
    pub offset: u64,
}
