//! What is to be issued, decided but not yet signed.

use countersign_ledger::Lineage;

/// A decision to issue one access token.
///
/// Made for a client by the token endpoint, for an operator by [`Grant::new`], and for an exchange only by
/// [`crate::exchange::decide`]: nobody else can set a lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The issuer, exactly as in `iss`.
    pub issuer: String,
    /// Whom the token is about (`sub`).
    pub subject: String,
    /// The client that gets it.
    pub client_id: String,
    /// The one audience.
    pub audience: String,
    /// The scopes; may be empty.
    pub scope: Vec<String>,
    /// Seconds to live; the realm's default when absent, never more than the realm's longest.
    pub lifetime_seconds: Option<u64>,
    /// Further claims about the subject.
    pub claims: SubjectClaims,
    pub(crate) exchanged: Option<Exchanged>,
}

/// The claims that an in-process issuance may add. The list is closed: everything else is the authority's to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectClaims {
    /// `email`.
    pub email: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `oid`, the subject's identifier inside the tenant.
    pub object_id: Option<String>,
    /// `sid`, the session.
    pub session_id: Option<String>,
}

/// What an exchange hands down from its subject token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exchanged {
    /// The subject token's expiry, in unix seconds; the new token does not live longer.
    pub(crate) expires_at_max: u64,
    /// The key that signed the subject token. It was looked at when the exchange was decided, and is once more before
    /// the new token is signed.
    pub(crate) subject_key_id: String,
    /// The client that acts for the subject.
    pub(crate) actor: String,
    /// Whose descendant the new token is.
    pub(crate) lineage: Lineage,
}

impl Grant {
    /// A grant without scope and extra claims, with the realm's lifetime.
    pub fn new(
        issuer: impl Into<String>,
        subject: impl Into<String>,
        client_id: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            client_id: client_id.into(),
            audience: audience.into(),
            scope: Vec::new(),
            lifetime_seconds: None,
            claims: SubjectClaims::default(),
            exchanged: None,
        }
    }
}
