//! The exchange policy (RFC 8693) as one pure function: it cannot renew, and each refusal has a name.
//!
//! In the incident a token API took its own output as input and so renewed a forged token for ever. Here the subject
//! of an exchange must be a *primary* token that the ledger knows, and the result never lives longer than it.

use std::fmt;

use countersign_ledger::{IssuanceKind, Lineage};
use countersign_token::{Reason, VerifiedToken};

use crate::grant::{Exchanged, Grant, SubjectClaims};

/// The one token type that goes in and comes out (RFC 8693 §3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The rule that refused an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The client is not registered for exchange.
    ExchangeNotAllowed,
    /// The client belongs to another realm or tenant than the issuer.
    ClientOfOtherIssuer,
    /// The subject token is not declared to be an access token.
    SubjectTypeUnsupported,
    /// Something else than an access token was asked for; never a refresh token.
    RequestedTypeUnsupported,
    /// An actor token was sent: the actor is the authenticated client and nobody else.
    ActorTokenUnsupported,
    /// No target was named and the client has several.
    TargetMissing,
    /// More than one target was named.
    TargetSeveral,
    /// The client is not registered for the target.
    TargetNotRegistered,
    /// The target is where the subject token already leads: that would only renew it.
    SelfExchange,
    /// The subject token does not verify as a token for this client's own API.
    SubjectNotVerified,
    /// The subject token comes from another realm.
    SubjectOfOtherRealm,
    /// The subject token belongs to another tenant.
    SubjectOfOtherTenant,
    /// The subject token is not addressed to this client.
    SubjectNotForClient,
    /// The subject token has expired; the clock skew that gates forgive is not forgiven here.
    SubjectExpired,
    /// The ledger does not show that the subject token was issued.
    SubjectNeverIssued,
    /// The subject token was denied after it was issued.
    SubjectDenied,
    /// The ledger cannot be asked.
    SubjectProvenanceUnknown,
    /// The subject token came out of an exchange itself.
    SubjectNotPrimary,
    /// The ledger recorded the subject token as something else than an access token.
    SubjectNotAccessToken,
    /// The subject token lacks a scope that this exchange builds on.
    SubjectScopeMissing,
    /// A scope was asked for that the policy does not grant at the target, or none that it grants is left.
    ScopeNotGranted,
}

impl Rule {
    /// All rules.
    pub const ALL: &[Self] = &[
        Self::ExchangeNotAllowed,
        Self::ClientOfOtherIssuer,
        Self::SubjectTypeUnsupported,
        Self::RequestedTypeUnsupported,
        Self::ActorTokenUnsupported,
        Self::TargetMissing,
        Self::TargetSeveral,
        Self::TargetNotRegistered,
        Self::SelfExchange,
        Self::SubjectNotVerified,
        Self::SubjectOfOtherRealm,
        Self::SubjectOfOtherTenant,
        Self::SubjectNotForClient,
        Self::SubjectExpired,
        Self::SubjectNeverIssued,
        Self::SubjectDenied,
        Self::SubjectProvenanceUnknown,
        Self::SubjectNotPrimary,
        Self::SubjectNotAccessToken,
        Self::SubjectScopeMissing,
        Self::ScopeNotGranted,
    ];

    /// The stable name, for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExchangeNotAllowed => "exchange_not_allowed",
            Self::ClientOfOtherIssuer => "client_of_other_issuer",
            Self::SubjectTypeUnsupported => "subject_type_unsupported",
            Self::RequestedTypeUnsupported => "requested_type_unsupported",
            Self::ActorTokenUnsupported => "actor_token_unsupported",
            Self::TargetMissing => "target_missing",
            Self::TargetSeveral => "target_several",
            Self::TargetNotRegistered => "target_not_registered",
            Self::SelfExchange => "self_exchange",
            Self::SubjectNotVerified => "subject_not_verified",
            Self::SubjectOfOtherRealm => "subject_of_other_realm",
            Self::SubjectOfOtherTenant => "subject_of_other_tenant",
            Self::SubjectNotForClient => "subject_not_for_client",
            Self::SubjectExpired => "subject_expired",
            Self::SubjectNeverIssued => "subject_never_issued",
            Self::SubjectDenied => "subject_denied",
            Self::SubjectProvenanceUnknown => "subject_provenance_unknown",
            Self::SubjectNotPrimary => "subject_not_primary",
            Self::SubjectNotAccessToken => "subject_not_access_token",
            Self::SubjectScopeMissing => "subject_scope_missing",
            Self::ScopeNotGranted => "scope_not_granted",
        }
    }
}

/// Why an exchange is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", rule.as_str())]
pub struct Refusal {
    /// The rule that refused.
    pub rule: Rule,
}

/// What the subject token is, once it has been verified and looked up.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its fingerprint.
    pub fingerprint: [u8; 32],
    /// The realm of its issuer.
    pub realm: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// Whom it is about.
    pub subject: String,
    /// Its audiences.
    pub audience: Vec<String>,
    /// Its scopes.
    pub scope: Vec<String>,
    /// Its session, handed down.
    pub session_id: Option<String>,
    /// The key that signed it.
    pub key_id: String,
    /// Its expiry, in unix seconds.
    pub expires_at: u64,
    /// What the ledger says of it.
    pub record: Record,
}

/// What the ledger says of a subject token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// It was issued, as this kind of token.
    Recorded(IssuanceKind),
    /// It was issued, and denied since.
    Denied,
    /// It was never issued.
    NotRecorded,
    /// The ledger cannot be asked.
    CannotTell,
}

/// The authenticated client, as far as the policy is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Requester<'a> {
    /// Its identifier.
    pub id: &'a str,
    /// Its realm.
    pub realm: &'a str,
    /// Its tenant.
    pub tenant: Option<&'a str>,
    /// The audience that it is itself.
    pub resource: Option<&'a str>,
    /// The targets it is registered for.
    pub audiences: &'a [String],
    /// The scopes it is registered for at those targets.
    pub scopes: &'a [String],
    /// The scopes of the subject token that stand for those at the targets; without any, the scopes are the same.
    pub subject_scopes: &'a [String],
    /// Whether it may exchange at all.
    pub exchange: bool,
}

/// The parameters of the request, unjudged.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeRequest<'a> {
    /// `subject_token_type`.
    pub subject_token_type: &'a str,
    /// `requested_token_type`.
    pub requested_token_type: Option<&'a str>,
    /// Whether `actor_token` or `actor_token_type` was sent.
    pub actor_token: bool,
    /// Every `resource` and `audience`.
    pub targets: &'a [&'a str],
    /// `scope`, split.
    pub scope: &'a [&'a str],
}

/// The issuer whose endpoint was asked.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Its `iss`.
    pub issuer: &'a str,
    /// Its realm.
    pub realm: &'a str,
    /// Its tenant.
    pub tenant: Option<&'a str>,
}

/// Decides an exchange. The result acts for the same subject, at one registered target, with registered scopes, and
/// expires no later than the subject token; it remembers its parent and root and cannot be exchanged again.
///
/// No scope is granted that the subject token does not stand for: it carries it, or carries all of the client's
/// `subject_scopes`, which the registration declares to stand for its `scopes`. A request without `scope` gets all of
/// those.
pub fn decide(
    subject: Result<&Subject, Reason>,
    client: &Requester<'_>,
    request: &ExchangeRequest<'_>,
    policy: &Policy<'_>,
    now: u64,
) -> Result<Grant, Refusal> {
    check_client(client, policy)?;
    check_types(request)?;
    let target = target(client, request)?;
    let subject = subject.map_err(|_| Refusal {
        rule: Rule::SubjectNotVerified,
    })?;
    check_subject(subject, client, policy, now)?;
    ensure(
        !subject.audience.iter().any(|audience| audience == target),
        Rule::SelfExchange,
    )?;
    let scope = scope(subject, client, request)?;
    Ok(Grant {
        scope,
        claims: SubjectClaims {
            session_id: subject.session_id.clone(),
            ..SubjectClaims::default()
        },
        exchanged: Some(Exchanged {
            expires_at_max: subject.expires_at,
            actor: client.id.to_owned(),
            subject_key_id: subject.key_id.clone(),
            // The subject is primary, so it is parent and root in one.
            lineage: Lineage {
                parent: subject.fingerprint,
                root: subject.fingerprint,
            },
        }),
        ..Grant::new(policy.issuer, &subject.subject, client.id, target)
    })
}

fn check_client(client: &Requester<'_>, policy: &Policy<'_>) -> Result<(), Refusal> {
    ensure(client.exchange, Rule::ExchangeNotAllowed)?;
    ensure(
        client.realm == policy.realm && client.tenant == policy.tenant,
        Rule::ClientOfOtherIssuer,
    )
}

fn check_types(request: &ExchangeRequest<'_>) -> Result<(), Refusal> {
    ensure(
        request.subject_token_type == ACCESS_TOKEN_TYPE,
        Rule::SubjectTypeUnsupported,
    )?;
    let requested = request.requested_token_type.unwrap_or(ACCESS_TOKEN_TYPE);
    ensure(requested == ACCESS_TOKEN_TYPE, Rule::RequestedTypeUnsupported)?;
    ensure(!request.actor_token, Rule::ActorTokenUnsupported)
}

fn target<'a>(client: &Requester<'a>, request: &ExchangeRequest<'a>) -> Result<&'a str, Refusal> {
    let target = match (request.targets, client.audiences) {
        ([target], _) => *target,
        ([], [only]) => only.as_str(),
        ([], _) => {
            return Err(Refusal {
                rule: Rule::TargetMissing,
            });
        }
        _ => {
            return Err(Refusal {
                rule: Rule::TargetSeveral,
            });
        }
    };
    ensure(client.resource != Some(target), Rule::SelfExchange)?;
    ensure(
        client.audiences.iter().any(|audience| audience == target),
        Rule::TargetNotRegistered,
    )?;
    Ok(target)
}

fn check_subject(
    subject: &Subject,
    client: &Requester<'_>,
    policy: &Policy<'_>,
    now: u64,
) -> Result<(), Refusal> {
    ensure(subject.realm == policy.realm, Rule::SubjectOfOtherRealm)?;
    ensure(
        subject.tenant.as_deref() == policy.tenant,
        Rule::SubjectOfOtherTenant,
    )?;
    let addressed = client
        .resource
        .is_some_and(|own| subject.audience.iter().any(|audience| audience == own));
    ensure(addressed, Rule::SubjectNotForClient)?;
    ensure(subject.expires_at > now, Rule::SubjectExpired)?;
    let rule = match subject.record {
        Record::Recorded(IssuanceKind::Access) => return Ok(()),
        Record::Recorded(IssuanceKind::Exchanged) => Rule::SubjectNotPrimary,
        Record::Recorded(_) => Rule::SubjectNotAccessToken,
        Record::Denied => Rule::SubjectDenied,
        Record::NotRecorded => Rule::SubjectNeverIssued,
        Record::CannotTell => Rule::SubjectProvenanceUnknown,
    };
    Err(Refusal { rule })
}

fn scope(
    subject: &Subject,
    client: &Requester<'_>,
    request: &ExchangeRequest<'_>,
) -> Result<Vec<String>, Refusal> {
    let carried = |scope: &String| subject.scope.contains(scope);
    ensure(
        client.subject_scopes.iter().all(carried),
        Rule::SubjectScopeMissing,
    )?;
    let stands_for = |scope: &&String| !client.subject_scopes.is_empty() || carried(scope);
    let granted: Vec<String> = client.scopes.iter().filter(stands_for).cloned().collect();
    if request.scope.is_empty() {
        // A resource may take a token without scopes for one without limits.
        let left = client.scopes.is_empty() || !granted.is_empty();
        return ensure(left, Rule::ScopeNotGranted).map(|()| granted);
    }
    let is_granted = |wanted: &&str| granted.iter().any(|scope| scope == wanted);
    ensure(request.scope.iter().all(is_granted), Rule::ScopeNotGranted)?;
    Ok(request.scope.iter().map(|&scope| scope.to_owned()).collect())
}

fn ensure(holds: bool, rule: Rule) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal { rule }) }
}

impl Subject {
    /// From a verified token and what the ledger says of it.
    pub fn new(token: &VerifiedToken, record: Record) -> Self {
        Self {
            fingerprint: *token.fingerprint().as_bytes(),
            realm: token.realm().to_owned(),
            tenant: token.tenant().map(ToOwned::to_owned),
            subject: token.subject().to_owned(),
            audience: token.audience().map(str::to_owned).collect(),
            scope: token
                .scope()
                .split(' ')
                .filter(|scope| !scope.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
            session_id: token.session_id().map(ToOwned::to_owned),
            key_id: token.key_id().to_owned(),
            expires_at: token.expires_at(),
            record,
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Subject({})", hex::encode(self.fingerprint))
    }
}

#[cfg(test)]
mod tests;
