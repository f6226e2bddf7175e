//! Entry format v1: what one leaf of the ledger says. Byte tables in `docs/ledger-format.md`.
//!
//! Fixed layout, big-endian, one encoding per value. Nothing in an entry is personal: hashes, times and codes only.

use aws_lc_rs::digest;

use crate::bytes::{take, take_u8, take_u64};

/// The only entry version this crate writes and reads.
pub const ENTRY_VERSION: u8 = 1;

const TYPE_ISSUANCE: u8 = 1;
const TYPE_KEY_EVENT: u8 = 2;
const FLAG_LINEAGE: u8 = 0b0000_0001;
const ISSUER_DOMAIN: &[u8] = b"countersign/issuer/v1\0";

/// One leaf of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A token was issued.
    Issuance(Issuance),
    /// A signing key was announced or changed its state.
    Key(KeyEvent),
}

/// The record that a token was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// What sort of token.
    pub kind: IssuanceKind,
    /// SHA-256 of the signing input as sent (of the token's bytes for an opaque token).
    pub fingerprint: [u8; 32],
    /// [`issuer_id`] of the token's `iss`.
    pub issuer: [u8; 32],
    /// RFC 7638 thumbprint of the signing key.
    pub key: [u8; 32],
    /// Unix seconds.
    pub issued_at: u64,
    /// Unix seconds.
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

/// The record that a signing key entered a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// RFC 7638 thumbprint of the key.
    pub key: [u8; 32],
    /// [`issuer_id`] of the key's issuer.
    pub issuer: [u8; 32],
    /// The state entered.
    pub state: KeyStateCode,
    /// When, in unix seconds.
    pub at: u64,
    /// Start of the signing window, unix seconds.
    pub sign_from: u64,
    /// End of the signing window, unix seconds; 0 while it is open.
    pub sign_until: u64,
}

/// What sort of token was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum IssuanceKind {
    /// An access token.
    Access = 1,
    /// An ID token.
    Id = 2,
    /// A refresh token.
    Refresh = 3,
    /// The result of a token exchange.
    Exchanged = 4,
    /// Issued by a provider that is recorded from outside.
    Foreign = 5,
}

impl IssuanceKind {
    /// Every kind, in code order.
    pub const ALL: [Self; 5] = [
        Self::Access,
        Self::Id,
        Self::Refresh,
        Self::Exchanged,
        Self::Foreign,
    ];

    /// The byte in the entry.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind a byte stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The word used in logs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
            Self::Refresh => "refresh",
            Self::Exchanged => "exchanged",
            Self::Foreign => "foreign",
        }
    }
}

/// A key's state as stored in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyStateCode {
    /// Announced, not yet signing.
    Staged = 1,
    /// Signing.
    Active = 2,
    /// No longer signing; its tokens are still good.
    Retired = 3,
    /// Nothing it signed is good any more.
    Expired = 4,
    /// Perhaps stolen: only recorded tokens count.
    Suspect = 5,
    /// Nothing it signed counts.
    Revoked = 6,
}

impl KeyStateCode {
    /// Every state, in code order.
    pub const ALL: [Self; 6] = [
        Self::Staged,
        Self::Active,
        Self::Retired,
        Self::Expired,
        Self::Suspect,
        Self::Revoked,
    ];

    /// The byte in the entry.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The state a byte stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The word used in logs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Expired => "expired",
            Self::Suspect => "suspect",
            Self::Revoked => "revoked",
        }
    }
}

/// The ledger's name for an issuer: SHA-256 of `countersign/issuer/v1`, a zero byte and the exact `iss`.
pub fn issuer_id(iss: &str) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(ISSUER_DOMAIN);
    context.update(iss.as_bytes());
    let mut id = [0; 32];
    id.copy_from_slice(context.finish().as_ref());
    id
}

impl Entry {
    /// The one encoding of this entry: 116 or 180 bytes for an issuance, 92 for a key event.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Issuance(issuance) => encode_issuance(issuance),
            Self::Key(event) => encode_key_event(event),
        }
    }

    /// Reads an entry. Total and strict: `decode(x) == Ok(e)` implies `e.encode() == x`.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut input = bytes;
        let version = take_u8(&mut input).ok_or(EntryError::Truncated)?;
        if version != ENTRY_VERSION {
            return Err(EntryError::VersionUnknown { version });
        }
        let entry = match take_u8(&mut input).ok_or(EntryError::Truncated)? {
            TYPE_ISSUANCE => decode_issuance(&mut input).map(Self::Issuance),
            TYPE_KEY_EVENT => decode_key_event(&mut input).map(Self::Key),
            code => Err(EntryError::TypeUnknown { code }),
        }?;
        if input.is_empty() {
            Ok(entry)
        } else {
            Err(EntryError::TrailingBytes)
        }
    }
}

impl TryFrom<Vec<u8>> for Entry {
    type Error = EntryError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, EntryError> {
        Self::decode(&bytes)
    }
}

fn encode_issuance(issuance: &Issuance) -> Vec<u8> {
    let mut out = Vec::with_capacity(180);
    let flags = if issuance.lineage.is_some() {
        FLAG_LINEAGE
    } else {
        0
    };
    out.extend([ENTRY_VERSION, TYPE_ISSUANCE, issuance.kind.code(), flags]);
    out.extend(issuance.fingerprint);
    out.extend(issuance.issuer);
    out.extend(issuance.key);
    out.extend(issuance.issued_at.to_be_bytes());
    out.extend(issuance.expires_at.to_be_bytes());
    if let Some(lineage) = &issuance.lineage {
        out.extend(lineage.parent);
        out.extend(lineage.root);
    }
    out
}

fn encode_key_event(event: &KeyEvent) -> Vec<u8> {
    let mut out = Vec::with_capacity(92);
    out.extend([ENTRY_VERSION, TYPE_KEY_EVENT, event.state.code(), 0]);
    out.extend(event.key);
    out.extend(event.issuer);
    out.extend(event.at.to_be_bytes());
    out.extend(event.sign_from.to_be_bytes());
    out.extend(event.sign_until.to_be_bytes());
    out
}

fn decode_issuance(input: &mut &[u8]) -> Result<Issuance, EntryError> {
    let code = take_u8(input).ok_or(EntryError::Truncated)?;
    let kind = IssuanceKind::from_code(code).ok_or(EntryError::KindUnknown { code })?;
    let flags = take_u8(input).ok_or(EntryError::Truncated)?;
    if flags & !FLAG_LINEAGE != 0 {
        return Err(EntryError::FlagsReserved { flags });
    }
    Ok(Issuance {
        kind,
        fingerprint: take(input).ok_or(EntryError::Truncated)?,
        issuer: take(input).ok_or(EntryError::Truncated)?,
        key: take(input).ok_or(EntryError::Truncated)?,
        issued_at: take_u64(input).ok_or(EntryError::Truncated)?,
        expires_at: take_u64(input).ok_or(EntryError::Truncated)?,
        lineage: if flags & FLAG_LINEAGE == 0 {
            None
        } else {
            Some(Lineage {
                parent: take(input).ok_or(EntryError::Truncated)?,
                root: take(input).ok_or(EntryError::Truncated)?,
            })
        },
    })
}

fn decode_key_event(input: &mut &[u8]) -> Result<KeyEvent, EntryError> {
    let code = take_u8(input).ok_or(EntryError::Truncated)?;
    let state = KeyStateCode::from_code(code).ok_or(EntryError::StateUnknown { code })?;
    let flags = take_u8(input).ok_or(EntryError::Truncated)?;
    if flags != 0 {
        return Err(EntryError::FlagsReserved { flags });
    }
    Ok(KeyEvent {
        state,
        key: take(input).ok_or(EntryError::Truncated)?,
        issuer: take(input).ok_or(EntryError::Truncated)?,
        at: take_u64(input).ok_or(EntryError::Truncated)?,
        sign_from: take_u64(input).ok_or(EntryError::Truncated)?,
        sign_until: take_u64(input).ok_or(EntryError::Truncated)?,
    })
}

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The bytes end inside a field.
    #[error("the entry ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("bytes follow the entry's last field")]
    TrailingBytes,
    /// Not a version this crate knows.
    #[error("unknown entry version {version}")]
    VersionUnknown {
        /// The version byte.
        version: u8,
    },
    /// Neither issuance nor key event.
    #[error("unknown entry type {code}")]
    TypeUnknown {
        /// The type byte.
        code: u8,
    },
    /// An issuance of an unknown kind.
    #[error("unknown issuance kind {code}")]
    KindUnknown {
        /// The kind byte.
        code: u8,
    },
    /// A key event with an unknown state.
    #[error("unknown key state {code}")]
    StateUnknown {
        /// The state byte.
        code: u8,
    },
    /// A reserved flag bit is set.
    #[error("reserved flag bits are set ({flags:#010b})")]
    FlagsReserved {
        /// The flags byte.
        flags: u8,
    },
}

impl EntryError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated => "entry_truncated",
            Self::TrailingBytes => "entry_trailing_bytes",
            Self::VersionUnknown { .. } => "entry_version_unknown",
            Self::TypeUnknown { .. } => "entry_type_unknown",
            Self::KindUnknown { .. } => "entry_kind_unknown",
            Self::StateUnknown { .. } => "entry_state_unknown",
            Self::FlagsReserved { .. } => "entry_flags_reserved",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::VersionUnknown { .. } | Self::TypeUnknown { .. } => {
                Some("a newer release may have written it: read it with that release")
            }
            _ => None,
        }
    }
}

impl From<std::convert::Infallible> for EntryError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_entry() -> impl Strategy<Value = Entry> {
        let issuance = (
            1u8..=5,
            any::<[[u8; 32]; 3]>(),
            any::<[u64; 2]>(),
            any::<Option<[[u8; 32]; 2]>>(),
        )
            .prop_map(|(kind, hashes, times, lineage)| {
                Entry::Issuance(Issuance {
                    kind: IssuanceKind::from_code(kind).unwrap(),
                    fingerprint: hashes[0],
                    issuer: hashes[1],
                    key: hashes[2],
                    issued_at: times[0],
                    expires_at: times[1],
                    lineage: lineage.map(|pair| Lineage {
                        parent: pair[0],
                        root: pair[1],
                    }),
                })
            });
        let event =
            (1u8..=6, any::<[[u8; 32]; 2]>(), any::<[u64; 3]>()).prop_map(|(state, hashes, times)| {
                Entry::Key(KeyEvent {
                    state: KeyStateCode::from_code(state).unwrap(),
                    key: hashes[0],
                    issuer: hashes[1],
                    at: times[0],
                    sign_from: times[1],
                    sign_until: times[2],
                })
            });
        prop_oneof![issuance, event]
    }

    proptest! {
        #[test]
        fn round_trip_is_exact(entry in any_entry()) {
            let bytes = entry.encode();
            prop_assert_eq!(Entry::decode(&bytes), Ok(entry));
        }

        #[test]
        fn every_prefix_is_truncated_and_every_suffix_is_trailing(entry in any_entry(), extra in any::<u8>()) {
            let mut bytes = entry.encode();
            for cut in 0..bytes.len() {
                prop_assert_eq!(Entry::decode(&bytes[..cut]), Err(EntryError::Truncated));
            }
            bytes.push(extra);
            prop_assert_eq!(Entry::decode(&bytes), Err(EntryError::TrailingBytes));
        }

        #[test]
        fn what_decodes_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }

    #[test]
    fn unknown_codes_and_reserved_bits_are_refused() {
        let issuance = Entry::Issuance(Issuance {
            kind: IssuanceKind::Access,
            fingerprint: [1; 32],
            issuer: [2; 32],
            key: [3; 32],
            issued_at: 4,
            expires_at: 5,
            lineage: None,
        })
        .encode();
        let check = |at: usize, value: u8, expect: EntryError| {
            let mut bytes = issuance.clone();
            bytes[at] = value;
            assert_eq!(Entry::decode(&bytes), Err(expect), "byte {at} = {value}");
        };
        check(0, 0, EntryError::VersionUnknown { version: 0 });
        check(0, 2, EntryError::VersionUnknown { version: 2 });
        check(1, 0, EntryError::TypeUnknown { code: 0 });
        check(1, 3, EntryError::TypeUnknown { code: 3 });
        check(2, 0, EntryError::KindUnknown { code: 0 });
        check(2, 6, EntryError::KindUnknown { code: 6 });
        check(3, 1, EntryError::Truncated);
        check(3, 2, EntryError::FlagsReserved { flags: 2 });
        check(3, 0x80, EntryError::FlagsReserved { flags: 0x80 });
    }

    #[test]
    fn the_issuer_id_is_domain_separated() {
        // printf 'countersign/issuer/v1\0https://a.example' | sha256sum
        let plain = digest::digest(&digest::SHA256, b"https://a.example");
        assert_ne!(&issuer_id("https://a.example")[..], plain.as_ref());
        assert_eq!(issuer_id("https://a.example"), issuer_id("https://a.example"));
    }
}
