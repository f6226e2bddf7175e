use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use countersign_token::{Reason, VerifiedToken};

use crate::config::Dialect;
use crate::decision::{Decision, words};

/// What an identity header says when there is nothing to say. Never left out and never empty: a proxy may
/// pass the caller's own header on where the gate's is missing.
const NOTHING: &str = "-";

/// When to ask again after "cannot tell", in seconds. The gate looks again by itself in between.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// The answer to the proxy. Nothing in it tells a forger which rule stopped him.
pub(crate) fn answer(decision: &Decision, dialect: Dialect) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match (decision.identity(), decision.reason) {
        (Some(token), _) => identify(&mut response, token),
        (None, Some(reason)) => refuse(&mut response, kind(reason), dialect),
        // A refusal always has a reason; should one not, it is still a refusal.
        (None, None) => refuse(&mut response, Kind::CannotTell, dialect),
    }
    response
}

/// What a refusal means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nobody presented a token.
    NoToken,
    /// The token does not count, for whatever cause.
    BadToken,
    /// The token counts, but not for this.
    NoAuthority,
    /// The proxy or the caller asks something that has no answer.
    BadRequest,
    /// It is the gate that lacks something: asking again later may help.
    CannotTell,
}

/// The one place where a reason becomes a kind of answer. No wildcard: a new reason must be placed here.
fn kind(reason: Reason) -> Kind {
    match reason {
        Reason::TokenMissing => Kind::NoToken,

        Reason::AuthorizationRepeated
        | Reason::AuthorizationSchemeUnsupported
        | Reason::TokenInQuery
        | Reason::RequestMalformed
        | Reason::TokenTooLarge
        | Reason::SegmentCountWrong
        | Reason::HeaderTooLarge
        | Reason::Base64urlInvalid
        | Reason::HeaderJsonInvalid
        | Reason::HeaderMemberRepeated
        | Reason::HeaderKeyForbidden
        | Reason::CriticalHeaderUnsupported
        | Reason::EncryptionUnsupported
        | Reason::ContentTypeForbidden
        | Reason::HeaderMemberUnknown
        | Reason::HeaderMemberInvalid
        | Reason::AlgorithmMissing
        | Reason::AlgorithmNone
        | Reason::AlgorithmSymmetric
        | Reason::AlgorithmUnsupported
        | Reason::ClaimsJsonInvalid
        | Reason::ClaimRepeated
        | Reason::ClaimInvalid
        | Reason::ClaimMissing
        | Reason::ClientAmbiguous
        | Reason::IssuerUnknown
        | Reason::TokenTypeMismatch
        | Reason::TenantMismatch
        | Reason::KeyIdMissing
        | Reason::KeyRealmMismatch
        | Reason::KeyUnknown
        | Reason::KeyRevoked
        | Reason::KeyStaged
        | Reason::KeyExpired
        | Reason::AlgorithmMismatch
        | Reason::KeyOutsideWindow
        | Reason::SignatureInvalid
        | Reason::TokenExpired
        | Reason::TokenNotYetValid
        | Reason::IssuedInFuture
        | Reason::LifetimeTooLong
        | Reason::AudienceMismatch
        | Reason::AudienceNotAllowed
        | Reason::ResourceRealmMismatch
        | Reason::EmailUnverified
        | Reason::ConfirmationUnsupported
        | Reason::ConfirmationRequired
        | Reason::ProofMissing
        | Reason::CertificateMismatch
        | Reason::ConfirmationMissing
        | Reason::ProofRepeated
        | Reason::ProofMalformed
        | Reason::ProofTypeMismatch
        | Reason::ProofAlgorithmUnsupported
        | Reason::ProofKeyInvalid
        | Reason::ProofUrlInvalid
        | Reason::ProofMethodMismatch
        | Reason::ProofUrlMismatch
        | Reason::ProofOutsideWindow
        | Reason::ProofNonceMismatch
        | Reason::ProofTokenMismatch
        | Reason::ProofKeyMismatch
        | Reason::ProofSignatureInvalid
        | Reason::ProofReplayed
        | Reason::ClientMismatch
        | Reason::NeverIssued
        | Reason::TokenDenied => Kind::BadToken,

        Reason::TenantNotAllowed | Reason::ScopeInsufficient => Kind::NoAuthority,

        Reason::RequestTooLarge | Reason::ResourceUnknown => Kind::BadRequest,

        Reason::ProvenanceUnknown | Reason::KeysUnavailable | Reason::DecisionUnlogged => Kind::CannotTell,
    }
}

fn refuse(response: &mut Response<Body>, kind: Kind, dialect: Dialect) {
    let (status, challenge) = match kind {
        Kind::NoToken => (StatusCode::UNAUTHORIZED, Some("Bearer")),
        Kind::BadToken => (StatusCode::UNAUTHORIZED, Some("Bearer error=\"invalid_token\"")),
        Kind::NoAuthority => (StatusCode::FORBIDDEN, Some("Bearer error=\"insufficient_scope\"")),
        Kind::BadRequest => (StatusCode::FORBIDDEN, None),
        Kind::CannotTell => (cannot_tell(dialect), None),
    };
    *response.status_mut() = status;
    if let Some(challenge) = challenge {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if kind == Kind::CannotTell {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
}

/// nginx knows 2xx, 401 and 403; of anything else it makes an error of its own, 500.
fn cannot_tell(dialect: Dialect) -> StatusCode {
    match dialect {
        Dialect::Nginx => StatusCode::FORBIDDEN,
        Dialect::Caddy | Dialect::Traefik => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn identify(response: &mut Response<Body>, token: &VerifiedToken) {
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        // Only visible ASCII is left in the value, so this cannot fail; if it did, the header would say nothing.
        let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(NOTHING));
        headers.insert(HeaderName::from_static(name), value);
    };
    set("x-countersign-subject", &text(token.subject()));
    set("x-countersign-issuer", &text(token.issuer()));
    set("x-countersign-realm", &text(token.realm()));
    set("x-countersign-tenant", &text(token.tenant().unwrap_or_default()));
    set(
        "x-countersign-client",
        &text(token.client_id().unwrap_or_default()),
    );
    set("x-countersign-scope", &scope_text(token.scope()));
    set("x-countersign-fingerprint", &token.fingerprint().to_string());
}

fn scope_text(scope: &str) -> String {
    let words: Vec<String> = words(scope).map(text).collect();
    if words.is_empty() {
        NOTHING.to_owned()
    } else {
        words.join(" ")
    }
}

/// The value in visible ASCII; everything else, the percent sign too, percent-encoded. Two different values
/// never give the same text, and none gives the placeholder.
fn text(value: &str) -> String {
    if value.is_empty() {
        return NOTHING.to_owned();
    }
    if value == NOTHING {
        return "%2D".to_owned();
    }
    let mut result = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            result.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(result, "%{byte:02X}");
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_refusal_in_every_dialect() {
        for reason in Reason::ALL {
            for dialect in [Dialect::Nginx, Dialect::Caddy, Dialect::Traefik] {
                let mut response = Response::new(Body::empty());
                refuse(&mut response, kind(*reason), dialect);
                let status = response.status().as_u16();
                let expected: &[u16] = if dialect == Dialect::Nginx {
                    &[401, 403]
                } else {
                    &[401, 403, 503]
                };
                assert!(expected.contains(&status), "{reason} {dialect:?}: {status}");
                assert_eq!(
                    status == 401,
                    response.headers().contains_key("www-authenticate") && status != 403
                );
                assert_eq!(
                    kind(*reason) == Kind::CannotTell,
                    response.headers().contains_key("retry-after")
                );
            }
        }
    }

    #[test]
    fn identity_is_visible_ascii_and_unambiguous() {
        for (value, expect) in [
            ("", "-"),
            ("-", "%2D"),
            ("alice", "alice"),
            ("https://a.example/x?y", "https://a.example/x?y"),
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            (
                "a\r\nX-Countersign-Realm: enterprise",
                "a%0D%0AX-Countersign-Realm:%20enterprise",
            ),
            ("Zoë", "Zo%C3%AB"),
            ("\0\x7f", "%00%7F"),
        ] {
            assert_eq!(text(value), expect);
            assert!(HeaderValue::from_str(&text(value)).is_ok());
        }
        assert_eq!(scope_text(""), "-");
        assert_eq!(scope_text("mail.read  ä"), "mail.read %C3%A4");
    }
}
