//! Denials: tokens that no longer count, whatever their signature and their issuance say.
//!
//! They form a chain of their own: each names the one before it.

use super::EntryError;
use super::field::{Fields, Writing, codes};

pub(super) const TYPE_DENIAL: u8 = 7;
pub(super) const TYPE_SPAN_DENIAL: u8 = 8;
const TARGET_TOKEN: u8 = 1;
const TARGET_LINEAGE: u8 = 2;
const TARGET_SESSION: u8 = 3;

/// Tokens that no longer count. A denial is never taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Which tokens.
    pub denied: Denied,
    /// Why.
    pub reason: ReasonCode,
    /// Index of the denial before this one.
    pub previous: Option<u64>,
    /// When, in unix seconds.
    pub at: u64,
}

/// Which tokens a denial is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The token with this fingerprint.
    Token([u8; 32]),
    /// The token with this fingerprint and all its descendants: every issuance whose lineage has it as root.
    Lineage([u8; 32]),
    /// Every token of a session, by [`session_id`](super::session_id).
    Session([u8; 32]),
    /// Every token of a key issued in a span of time.
    KeySpan {
        /// Index of the key's announcement.
        key: u64,
        /// First second of issue, unix time.
        from: u64,
        /// Last second of issue; none while the span is open.
        until: Option<u64>,
    },
}

impl Denied {
    /// The word used in logs and JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Lineage(_) => "lineage",
            Self::Session(_) => "session",
            Self::KeySpan { .. } => "key_span",
        }
    }
}

codes! {
    /// Why a key changed its state, a realm was fenced or tokens were denied.
    ReasonCode, "reason" {
        /// As planned: rotation, end of life, end of a session.
        Routine = 1, "routine";
        /// Signs that a key or a token is in other hands.
        Suspicion = 2, "suspicion";
        /// It is known that a key or a token is in other hands.
        Compromise = 3, "compromise";
        /// It should not have been issued.
        Misissued = 4, "misissued";
        /// The subject or the tenant asked for it.
        Requested = 5, "requested";
    }
}

impl Denial {
    pub(super) fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let (target, hash) = match &self.denied {
            Denied::Token(hash) => (TARGET_TOKEN, hash),
            Denied::Lineage(hash) => (TARGET_LINEAGE, hash),
            Denied::Session(hash) => (TARGET_SESSION, hash),
            Denied::KeySpan { key, from, until } => return self.encode_span(*key, *from, *until),
        };
        let mut out = Writing::begin(TYPE_DENIAL, 46);
        out.u8(target);
        self.encode_circumstances(&mut out)?;
        out.bytes(hash);
        Ok(out.end())
    }

    fn encode_span(&self, key: u64, from: u64, until: Option<u64>) -> Result<Vec<u8>, EntryError> {
        let mut out = Writing::begin(TYPE_SPAN_DENIAL, 28);
        self.encode_circumstances(&mut out)?;
        out.u40("the key's index", key)?;
        out.span("the span", from, until)?;
        Ok(out.end())
    }

    fn encode_circumstances(&self, out: &mut Writing) -> Result<(), EntryError> {
        out.u8(self.reason.code());
        out.link("the previous denial", self.previous)?;
        out.u40("the time", self.at)
    }

    pub(super) fn decode_hash(fields: &mut Fields<'_>) -> Result<Self, EntryError> {
        let target = fields.u8()?;
        let denied = match target {
            TARGET_TOKEN => Denied::Token,
            TARGET_LINEAGE => Denied::Lineage,
            TARGET_SESSION => Denied::Session,
            code => {
                return Err(EntryError::CodeUnknown {
                    field: "denial target",
                    code,
                });
            }
        };
        Ok(Self {
            reason: ReasonCode::take(fields)?,
            previous: fields.link()?,
            at: fields.u40()?,
            denied: denied(fields.bytes()?),
        })
    }

    pub(super) fn decode_span(fields: &mut Fields<'_>) -> Result<Self, EntryError> {
        let reason = ReasonCode::take(fields)?;
        let previous = fields.link()?;
        let at = fields.u40()?;
        let key = fields.u40()?;
        let (from, until) = fields.span()?;
        Ok(Self {
            denied: Denied::KeySpan { key, from, until },
            reason,
            previous,
            at,
        })
    }
}
