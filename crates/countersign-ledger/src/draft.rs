//! What callers hand in: entries that do not know their place yet.
//!
//! A draft names a key by issuer and thumbprint. The ledger puts in what depends on the order of entries: the index of
//! the key's announcement, and the links of the chains.

use crate::entry::{Denied, IssuanceKind, KeyStateCode, Lineage, ReasonCode, ResponseAction};
use crate::registry::Epoch;

/// An entry to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    /// A token was issued.
    Issuance(IssuanceDraft),
    /// A signing key exists; it is staged.
    Announcement(AnnouncementDraft),
    /// A signing key enters another state.
    Transition(TransitionDraft),
    /// What is being issued in a realm is refused.
    Fence(FenceDraft),
    /// Tokens that no longer count.
    Denial(DenialDraft),
    /// A step of a response to an incident.
    Response(ResponseAction),
}

/// A key's name outside the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName {
    /// [`issuer_id`](crate::issuer_id) of the key's issuer.
    pub issuer: [u8; 32],
    /// RFC 7638 thumbprint of the key; for opaque tokens the issuer's [`opaque_key`](crate::entry::opaque_key).
    pub key: [u8; 32],
}

/// The issuance of a token, still to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuanceDraft {
    /// What sort of token.
    pub kind: IssuanceKind,
    /// SHA-256 of the signing input as sent (of the token's bytes for an opaque token).
    pub fingerprint: [u8; 32],
    /// The key that signed. It must have been announced and be active.
    pub key: KeyName,
    /// The [epoch](crate::Ledger::key) of the key, read before the token was signed. When a transition of the key or
    /// a fence of its realm comes after that reading and before this entry, the entry is refused.
    pub epoch: Epoch,
    /// The key of the token that this one was made from, and its epoch, read when that token was judged: a change
    /// of that key refuses this entry as well.
    pub parent_key: Option<(KeyName, Epoch)>,
    /// Unix seconds.
    pub issued_at: u64,
    /// Unix seconds; 1 to 16,777,215 seconds (194 days) after `issued_at`.
    pub expires_at: u64,
    /// Where an exchanged or refreshed token came from.
    pub lineage: Option<Lineage>,
}

/// A key to announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncementDraft {
    /// The key. No issuer announces a key twice.
    pub key: KeyName,
    /// [`realm_id`](crate::entry::realm_id) of its realm.
    pub realm: [u8; 32],
    /// When, in unix seconds.
    pub at: u64,
    /// Start of the signing window, unix seconds; for a staged key the planned one.
    pub sign_from: u64,
    /// Last second of the signing window; none while it is open.
    pub sign_until: Option<u64>,
}

/// A key's change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionDraft {
    /// The key. It must have been announced.
    pub key: KeyName,
    /// The state it enters; [never a more trusted one](KeyStateCode::may_become).
    pub state: KeyStateCode,
    /// Why.
    pub reason: ReasonCode,
    /// When, in unix seconds.
    pub at: u64,
    /// Start of the signing window, unix seconds.
    pub sign_from: u64,
    /// Last second of the signing window; none while it is open.
    pub sign_until: Option<u64>,
}

/// A fence of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceDraft {
    /// [`realm_id`](crate::entry::realm_id) of the realm.
    pub realm: [u8; 32],
    /// Why.
    pub reason: ReasonCode,
    /// When, in unix seconds.
    pub at: u64,
}

/// A denial. In [`Denied::KeySpan`] the key is named by the [index](crate::KeyStanding::index) of its announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialDraft {
    /// Which tokens.
    pub denied: Denied,
    /// Why.
    pub reason: ReasonCode,
    /// When, in unix seconds.
    pub at: u64,
}

/// A key that signs from the second in which it is announced: announcement and activation, to be recorded
/// [together](crate::Ledger::append_together).
pub fn active_key(key: KeyName, realm: [u8; 32], at: u64) -> Vec<Draft> {
    let announcement = AnnouncementDraft {
        key,
        realm,
        at,
        sign_from: at,
        sign_until: None,
    };
    let activation = TransitionDraft {
        key,
        state: KeyStateCode::Active,
        reason: ReasonCode::Routine,
        at,
        sign_from: at,
        sign_until: None,
    };
    vec![announcement.into(), activation.into()]
}

impl From<IssuanceDraft> for Draft {
    fn from(draft: IssuanceDraft) -> Self {
        Self::Issuance(draft)
    }
}

impl From<AnnouncementDraft> for Draft {
    fn from(draft: AnnouncementDraft) -> Self {
        Self::Announcement(draft)
    }
}

impl From<TransitionDraft> for Draft {
    fn from(draft: TransitionDraft) -> Self {
        Self::Transition(draft)
    }
}

impl From<FenceDraft> for Draft {
    fn from(draft: FenceDraft) -> Self {
        Self::Fence(draft)
    }
}

impl From<DenialDraft> for Draft {
    fn from(draft: DenialDraft) -> Self {
        Self::Denial(draft)
    }
}

impl From<ResponseAction> for Draft {
    fn from(action: ResponseAction) -> Self {
        Self::Response(action)
    }
}
