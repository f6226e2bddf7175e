//! Every way in which the token endpoint refuses, and its one translation to RFC 6749 §5.2.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::exchange::Rule;
use crate::issue::IssueError;

/// Why the token endpoint refused. The variants carry nothing, so nothing of a request can be echoed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    ContentType,
    BodyTooLarge,
    BodyLate,
    BodyMalformed,
    ParameterRepeated,
    ParameterMissing,
    GrantTypeUnsupported,
    /// No credentials at all.
    ClientMissing,
    /// More than one method of authentication.
    ClientTwice,
    /// `client_id` names another client than the credentials.
    ClientMismatch,
    /// A method of authentication that is not offered.
    ClientMethod,
    /// Unknown client, wrong secret, wrong issuer or unacceptable assertion: which, only the log says.
    ClientRefused,
    /// The client is not registered for this grant.
    GrantNotAllowed,
    TargetMissing,
    TargetSeveral,
    TargetNotRegistered,
    ScopeMalformed,
    ScopeNotGranted,
    Exchange(Rule),
    /// The ledger did not take the record, or cannot be asked.
    LedgerUnavailable,
    /// The state did not take the assertion's identifier.
    StateUnavailable,
    /// Our own fault.
    Internal,
}

/// The fields of an error response.
#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: &'static str,
}

const INVALID_REQUEST: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "invalid_request");
const INVALID_TARGET: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "invalid_target");
const INVALID_SCOPE: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "invalid_scope");
const UNAUTHORIZED_CLIENT: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "unauthorized_client");
const INVALID_CLIENT: (StatusCode, &str) = (StatusCode::UNAUTHORIZED, "invalid_client");
// RFC 6749 knows this code at the authorization endpoint only; servers use it here too, and clients retry on 503.
const UNAVAILABLE: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");

impl TokenError {
    /// Status and `error`.
    fn wire(self) -> (StatusCode, &'static str) {
        match self {
            Self::ContentType
            | Self::BodyTooLarge
            | Self::BodyLate
            | Self::BodyMalformed
            | Self::ParameterRepeated
            | Self::ParameterMissing
            | Self::ClientTwice
            | Self::ClientMismatch => INVALID_REQUEST,
            Self::GrantTypeUnsupported => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::ClientMissing | Self::ClientMethod | Self::ClientRefused => INVALID_CLIENT,
            Self::GrantNotAllowed => UNAUTHORIZED_CLIENT,
            Self::TargetMissing | Self::TargetSeveral | Self::TargetNotRegistered => INVALID_TARGET,
            Self::ScopeMalformed | Self::ScopeNotGranted => INVALID_SCOPE,
            Self::Exchange(rule) => exchange_wire(rule),
            Self::LedgerUnavailable | Self::StateUnavailable => UNAVAILABLE,
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }

    /// `error_description`: for the client's developer, constant, without a hint for a forger.
    fn description(self) -> &'static str {
        match self {
            Self::ContentType => "the body must be application/x-www-form-urlencoded",
            Self::BodyTooLarge => "the body is too large",
            Self::BodyLate => "the body did not arrive in time",
            Self::BodyMalformed => "the body is not a well-formed form",
            Self::ParameterRepeated => "a parameter is repeated",
            Self::ParameterMissing => "a required parameter is missing",
            Self::GrantTypeUnsupported => "the grant type is not supported",
            Self::ClientMissing => "client authentication is missing",
            Self::ClientTwice => "more than one method of client authentication was used",
            Self::ClientMismatch => "client_id names another client than the credentials",
            Self::ClientMethod => "the method of client authentication is not supported",
            Self::ClientRefused => "client authentication failed",
            Self::GrantNotAllowed => "the client may not use this grant type",
            Self::TargetMissing => "name one resource: the client is registered for several",
            Self::TargetSeveral => "name one resource only",
            Self::TargetNotRegistered => "the client is not registered for the resource",
            Self::ScopeMalformed => "the scope is malformed",
            Self::ScopeNotGranted => "the client is not registered for the scope",
            Self::Exchange(rule) => exchange_description(rule),
            Self::LedgerUnavailable => "the issuance cannot be recorded now, so no token was issued",
            Self::StateUnavailable => "the request cannot be completed now, so no token was issued",
            Self::Internal => "the server failed",
        }
    }

    /// The response; `issuer` names the protection space of a challenge.
    pub(super) fn respond(self, issuer: &str) -> Response {
        let (status, error) = self.wire();
        let body = serde_json::to_vec(&Body {
            error,
            error_description: self.description(),
        })
        .unwrap_or_default();
        let mut response = (status, super::token::no_store(), body).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED
            && let Ok(challenge) =
                HeaderValue::try_from(format!(r#"Basic realm="{issuer}", charset="UTF-8""#))
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// RFC 8693 §2.2.2: an unacceptable subject token is `invalid_request`, an unacceptable target `invalid_target`.
fn exchange_wire(rule: Rule) -> (StatusCode, &'static str) {
    match rule {
        Rule::ExchangeNotAllowed | Rule::ClientOfOtherIssuer => UNAUTHORIZED_CLIENT,
        Rule::TargetMissing | Rule::TargetSeveral | Rule::TargetNotRegistered | Rule::SelfExchange => {
            INVALID_TARGET
        }
        Rule::SubjectScopeMissing | Rule::ScopeNotGranted => INVALID_SCOPE,
        Rule::SubjectProvenanceUnknown => UNAVAILABLE,
        Rule::SubjectTypeUnsupported
        | Rule::RequestedTypeUnsupported
        | Rule::ActorTokenUnsupported
        | Rule::SubjectNotVerified
        | Rule::SubjectOfOtherRealm
        | Rule::SubjectOfOtherTenant
        | Rule::SubjectNotForClient
        | Rule::SubjectExpired
        | Rule::SubjectNeverIssued
        | Rule::SubjectDenied
        | Rule::SubjectNotPrimary
        | Rule::SubjectNotAccessToken => INVALID_REQUEST,
    }
}

/// Which of the rules about the subject token refused, only the log says.
fn exchange_description(rule: Rule) -> &'static str {
    match rule {
        Rule::ExchangeNotAllowed | Rule::ClientOfOtherIssuer => TokenError::GrantNotAllowed.description(),
        Rule::TargetMissing => TokenError::TargetMissing.description(),
        Rule::TargetSeveral => TokenError::TargetSeveral.description(),
        Rule::TargetNotRegistered => TokenError::TargetNotRegistered.description(),
        Rule::SelfExchange => "a token cannot be exchanged for its own audience",
        Rule::SubjectScopeMissing | Rule::ScopeNotGranted => {
            "the subject token and the client's registration do not grant the scope"
        }
        Rule::SubjectProvenanceUnknown => TokenError::LedgerUnavailable.description(),
        Rule::SubjectTypeUnsupported => "only access tokens can be exchanged",
        Rule::RequestedTypeUnsupported => "only access tokens are issued",
        Rule::ActorTokenUnsupported => "actor tokens are not supported: the actor is the client",
        Rule::SubjectNotPrimary => "a token from an exchange cannot be exchanged again",
        Rule::SubjectNotVerified
        | Rule::SubjectOfOtherRealm
        | Rule::SubjectOfOtherTenant
        | Rule::SubjectNotForClient
        | Rule::SubjectExpired
        | Rule::SubjectNeverIssued
        | Rule::SubjectDenied
        | Rule::SubjectNotAccessToken => "the subject token is not acceptable",
    }
}

impl From<IssueError> for TokenError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::RecordFailed(_) | IssueError::KeyFenced => Self::LedgerUnavailable,
            IssueError::SubjectExpired => Self::Exchange(Rule::SubjectExpired),
            IssueError::SubjectKeyDistrusted => Self::Exchange(Rule::SubjectNotVerified),
            IssueError::IssuerUnknown
            | IssueError::GrantInvalid(_)
            | IssueError::LifetimeNotAllowed
            | IssueError::KeyNotActive
            | IssueError::KeyOutlived
            | IssueError::SigningFailed => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [TokenError; 21] = [
        TokenError::ContentType,
        TokenError::BodyTooLarge,
        TokenError::BodyLate,
        TokenError::BodyMalformed,
        TokenError::ParameterRepeated,
        TokenError::ParameterMissing,
        TokenError::GrantTypeUnsupported,
        TokenError::ClientMissing,
        TokenError::ClientTwice,
        TokenError::ClientMismatch,
        TokenError::ClientMethod,
        TokenError::ClientRefused,
        TokenError::GrantNotAllowed,
        TokenError::TargetMissing,
        TokenError::TargetSeveral,
        TokenError::TargetNotRegistered,
        TokenError::ScopeMalformed,
        TokenError::ScopeNotGranted,
        TokenError::LedgerUnavailable,
        TokenError::StateUnavailable,
        TokenError::Internal,
    ];

    #[test]
    fn every_refusal_is_a_well_formed_response() {
        for error in ALL
            .into_iter()
            .chain(Rule::ALL.iter().map(|&rule| TokenError::Exchange(rule)))
        {
            let description = error.description();
            // The characters of RFC 6749 appendix A.8.
            assert!(
                description
                    .bytes()
                    .all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
            );
            let response = error.respond("https://i.example");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[header::PRAGMA], "no-cache");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
            let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
            assert_eq!(challenged, response.status() == StatusCode::UNAUTHORIZED);
        }
    }
}
