//! What the ledger says of keys and realms, and the waypoints from which it can be found.
//!
//! Announcements, transitions and fences form one chain: each names the one before it.

use super::EntryError;
use super::denial::ReasonCode;
use super::field::{Fields, Writing, codes};

pub(super) const TYPE_ANNOUNCEMENT: u8 = 3;
pub(super) const TYPE_TRANSITION: u8 = 4;
pub(super) const TYPE_FENCE: u8 = 5;
pub(super) const TYPE_WAYPOINT: u8 = 6;

/// A signing key exists. Its state is `staged`; its index is its name in every later entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAnnouncement {
    /// Index of the key entry before this one.
    pub previous: Option<u64>,
    /// When, in unix seconds.
    pub at: u64,
    /// Start of the signing window, unix seconds; for a staged key the planned one.
    pub sign_from: u64,
    /// Last second of the signing window; none while it is open.
    pub sign_until: Option<u64>,
    /// [`realm_id`](super::realm_id) of the key's realm.
    pub realm: [u8; 32],
    /// [`issuer_id`](super::issuer_id) of the key's issuer.
    pub issuer: [u8; 32],
    /// RFC 7638 thumbprint of the key.
    pub key: [u8; 32],
}

/// A signing key entered another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTransition {
    /// The state entered; never `staged`.
    pub state: KeyStateCode,
    /// Why.
    pub reason: ReasonCode,
    /// Index of the key entry before this one.
    pub previous: Option<u64>,
    /// Index of the key's announcement.
    pub key: u64,
    /// When, in unix seconds.
    pub at: u64,
    /// Start of the signing window, unix seconds.
    pub sign_from: u64,
    /// Last second of the signing window; none while it is open.
    pub sign_until: Option<u64>,
}

/// Whatever was being issued in a realm at this moment is refused: an issuance must know of this entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmFence {
    /// Why.
    pub reason: ReasonCode,
    /// Index of the key entry before this one.
    pub previous: Option<u64>,
    /// When, in unix seconds.
    pub at: u64,
    /// [`realm_id`](super::realm_id) of the realm.
    pub realm: [u8; 32],
}

/// Stands at every multiple of [`WAYPOINT_EVERY`](super::WAYPOINT_EVERY): from here, everything that is said of keys
/// and denials can be read without reading what lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waypoint {
    /// Index of the last key entry before this one.
    pub last_key_entry: Option<u64>,
    /// Index of the last denial before this one.
    pub last_denial: Option<u64>,
}

codes! {
    /// A key's state as stored in the ledger, the most restrictive last. A key only moves down this list.
    KeyStateCode, "key state" {
        /// Announced, not yet signing.
        Staged = 1, "staged";
        /// Signing.
        Active = 2, "active";
        /// No longer signing; its tokens are still good.
        Retired = 3, "retired";
        /// Nothing it signed is good any more.
        Expired = 4, "expired";
        /// Perhaps stolen: only recorded tokens count.
        Suspect = 5, "suspect";
        /// Nothing it signed counts.
        Revoked = 6, "revoked";
    }
}

impl KeyStateCode {
    /// Whether a key in this state may enter that one. Trust only shrinks, and an expired key has none left for
    /// suspicion to keep.
    pub fn may_become(self, to: Self) -> bool {
        self < to && !(self == Self::Expired && to == Self::Suspect)
    }
}

impl KeyAnnouncement {
    pub(super) fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut out = Writing::begin(TYPE_ANNOUNCEMENT, 118);
        out.link("the previous key entry", self.previous)?;
        out.u40("the time", self.at)?;
        out.span("the signing window", self.sign_from, self.sign_until)?;
        out.bytes(&self.realm);
        out.bytes(&self.issuer);
        out.bytes(&self.key);
        Ok(out.end())
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, EntryError> {
        let previous = fields.link()?;
        let at = fields.u40()?;
        let (sign_from, sign_until) = fields.span()?;
        Ok(Self {
            previous,
            at,
            sign_from,
            sign_until,
            realm: fields.bytes()?,
            issuer: fields.bytes()?,
            key: fields.bytes()?,
        })
    }
}

impl KeyTransition {
    pub(super) fn encode(&self) -> Result<Vec<u8>, EntryError> {
        if self.state == KeyStateCode::Staged {
            return Err(EntryError::TransitionToStaged);
        }
        let mut out = Writing::begin(TYPE_TRANSITION, 29);
        out.u8(self.state.code());
        out.u8(self.reason.code());
        out.link("the previous key entry", self.previous)?;
        out.u40("the key's index", self.key)?;
        out.u40("the time", self.at)?;
        out.span("the signing window", self.sign_from, self.sign_until)?;
        Ok(out.end())
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, EntryError> {
        let state = KeyStateCode::take(fields)?;
        if state == KeyStateCode::Staged {
            return Err(EntryError::TransitionToStaged);
        }
        let reason = ReasonCode::take(fields)?;
        let previous = fields.link()?;
        let key = fields.u40()?;
        let at = fields.u40()?;
        let (sign_from, sign_until) = fields.span()?;
        Ok(Self {
            state,
            reason,
            previous,
            key,
            at,
            sign_from,
            sign_until,
        })
    }
}

impl RealmFence {
    pub(super) fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut out = Writing::begin(TYPE_FENCE, 45);
        out.u8(self.reason.code());
        out.link("the previous key entry", self.previous)?;
        out.u40("the time", self.at)?;
        out.bytes(&self.realm);
        Ok(out.end())
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, EntryError> {
        Ok(Self {
            reason: ReasonCode::take(fields)?,
            previous: fields.link()?,
            at: fields.u40()?,
            realm: fields.bytes()?,
        })
    }
}

impl Waypoint {
    pub(super) fn encode(self) -> Result<Vec<u8>, EntryError> {
        let mut out = Writing::begin(TYPE_WAYPOINT, 12);
        out.link("the last key entry", self.last_key_entry)?;
        out.link("the last denial", self.last_denial)?;
        Ok(out.end())
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, EntryError> {
        Ok(Self {
            last_key_entry: fields.link()?,
            last_denial: fields.link()?,
        })
    }
}
