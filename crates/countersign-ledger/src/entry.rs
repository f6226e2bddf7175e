//! Entry format v1: what one leaf of the ledger says. Byte tables in `docs/ledger-format.md`.
//!
//! Every type of entry has one length and one encoding, big-endian. Nothing in an entry is personal: hashes, indices,
//! times and codes only. An issuance names its key by the index of the entry that announced it, so an issuance under a
//! key that was never announced cannot even be written down.

mod denial;
mod error;
mod field;
mod issuance;
mod key;
mod name;
mod response;

pub use denial::{Denial, Denied, ReasonCode};
pub use error::EntryError;
pub use issuance::{Issuance, IssuanceKind, Lineage};
pub use key::{KeyAnnouncement, KeyStateCode, KeyTransition, RealmFence, Waypoint};
pub use name::{issuer_id, opaque_key, realm_id, session_id};
pub use response::{ActionCode, ResponseAction, StageCode};

use field::Fields;

/// The only entry version this crate writes and reads.
pub const ENTRY_VERSION: u8 = 1;
/// The entry at every multiple of this index, but 0, is a [`Waypoint`].
pub const WAYPOINT_EVERY: u64 = 1 << 16;

/// One leaf of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A token was issued.
    Issuance(Issuance),
    /// A signing key exists; it is staged.
    KeyAnnouncement(KeyAnnouncement),
    /// A signing key entered another state.
    KeyTransition(KeyTransition),
    /// What was being issued in a realm at this moment is not recorded any more.
    RealmFence(RealmFence),
    /// Where the chains of key entries and of denials can be taken up.
    Waypoint(Waypoint),
    /// Tokens that no longer count.
    Denial(Denial),
    /// A step of a response to an incident.
    Response(ResponseAction),
}

impl Entry {
    /// The one encoding of this entry. An error when a value does not fit its field.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        match self {
            Self::Issuance(issuance) => issuance.encode(),
            Self::KeyAnnouncement(announcement) => announcement.encode(),
            Self::KeyTransition(transition) => transition.encode(),
            Self::RealmFence(fence) => fence.encode(),
            Self::Waypoint(waypoint) => waypoint.encode(),
            Self::Denial(denial) => denial.encode(),
            Self::Response(action) => action.encode(),
        }
    }

    /// Reads an entry. Total and strict: `decode(x) == Ok(e)` implies `e.encode() == Ok(x)`.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut fields = Fields::of(bytes);
        let version = fields.u8()?;
        if version != ENTRY_VERSION {
            return Err(EntryError::VersionUnknown { version });
        }
        let entry = match fields.u8()? {
            issuance::TYPE_ISSUANCE => Issuance::decode(&mut fields, false).map(Self::Issuance),
            issuance::TYPE_DESCENDANT => Issuance::decode(&mut fields, true).map(Self::Issuance),
            key::TYPE_ANNOUNCEMENT => KeyAnnouncement::decode(&mut fields).map(Self::KeyAnnouncement),
            key::TYPE_TRANSITION => KeyTransition::decode(&mut fields).map(Self::KeyTransition),
            key::TYPE_FENCE => RealmFence::decode(&mut fields).map(Self::RealmFence),
            key::TYPE_WAYPOINT => Waypoint::decode(&mut fields).map(Self::Waypoint),
            denial::TYPE_DENIAL => Denial::decode_hash(&mut fields).map(Self::Denial),
            denial::TYPE_SPAN_DENIAL => Denial::decode_span(&mut fields).map(Self::Denial),
            response::TYPE_RESPONSE => ResponseAction::decode(&mut fields).map(Self::Response),
            code => Err(EntryError::TypeUnknown { code }),
        }?;
        fields.end()?;
        Ok(entry)
    }

    /// When it happened, in unix seconds, as the entry says; a waypoint has no time.
    pub fn at(&self) -> Option<u64> {
        match self {
            Self::Issuance(issuance) => Some(issuance.issued_at),
            Self::KeyAnnouncement(announcement) => Some(announcement.at),
            Self::KeyTransition(transition) => Some(transition.at),
            Self::RealmFence(fence) => Some(fence.at),
            Self::Waypoint(_) => None,
            Self::Denial(denial) => Some(denial.at),
            Self::Response(action) => Some(action.at),
        }
    }
}

#[cfg(test)]
mod tests;
