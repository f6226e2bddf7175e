//! The token endpoint: `client_credentials` and token exchange.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use countersign_ledger::{Provenance, Shown};
use countersign_token::{Check, Fingerprint, ParsedToken, Reason, Resource, UnverifiedEmail, verify};
use serde::Serialize;

use super::Endpoint;
use super::authenticate::authenticate;
use super::error::TokenError;
use super::form::Form;
use crate::client::Client;
use crate::config::is_scope;
use crate::exchange::{self, ACCESS_TOKEN_TYPE, ExchangeRequest, Policy, Record, Subject};
use crate::grant::Grant;
use crate::issue::IssuedToken;

/// `grant_type` of RFC 6749 §4.4.
pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";
/// `grant_type` of RFC 8693.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A subject token and an assertion of the longest accepted size, encoded, and room for the rest.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A form fits into a few packets. Who takes longer holds one of the server's connections and nothing else.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The fields of a token response.
#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'a str>,
    token_type: &'a str,
    expires_in: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
}

pub(super) async fn token(State(endpoint): State<Endpoint>, request: Request) -> Response {
    match answer(&endpoint, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(issuer = endpoint.issuer.url, ?error, "no token issued");
            error.respond(&endpoint.issuer.url)
        }
    }
}

/// Token responses and errors alike are never stored (RFC 6749 §5.1).
pub(super) fn no_store() -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::PRAGMA, HeaderValue::from_static("no-cache")),
    ]
}

async fn answer(endpoint: &Endpoint, request: Request) -> Result<Response, TokenError> {
    let (parts, body) = request.into_parts();
    check_content_type(&parts.headers)?;
    let body = in_time(to_bytes(body, BODY_BYTES_MAX), BODY_TIMEOUT).await?;
    let form = Form::parse(&body)?;
    let client = authenticate(endpoint, &parts.headers, &form).await?;
    let grant_type = form.value("grant_type").ok_or(TokenError::ParameterMissing)?;
    let (grant, issued_token_type) = match grant_type {
        CLIENT_CREDENTIALS => (client_credentials(endpoint, &client, &form)?, None),
        TOKEN_EXCHANGE => (
            token_exchange(endpoint, &client, &form).await?,
            Some(ACCESS_TOKEN_TYPE),
        ),
        _ => return Err(TokenError::GrantTypeUnsupported),
    };
    match endpoint.authority.issue(grant).await {
        Ok(issued) => Ok(release(&issued, issued_token_type)),
        Err(error) => {
            tracing::error!(client = client.id, code = error.code(), %error, "no token released");
            Err(error.into())
        }
    }
}

async fn in_time(
    body: impl Future<Output = Result<Bytes, axum::Error>>,
    timeout: Duration,
) -> Result<Bytes, TokenError> {
    let read = tokio::time::timeout(timeout, body).await;
    read.map_err(|_| TokenError::BodyLate)?
        .map_err(|_| TokenError::BodyTooLarge)
}

fn release(issued: &IssuedToken, issued_token_type: Option<&str>) -> Response {
    let body = Body {
        access_token: &issued.token,
        issued_token_type,
        token_type: "Bearer",
        expires_in: issued.expires_in,
        scope: &issued.scope.join(" "),
    };
    match serde_json::to_vec(&body) {
        Ok(body) => (no_store(), body).into_response(),
        Err(_) => TokenError::Internal.respond(""),
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), TokenError> {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if is_form {
        Ok(())
    } else {
        Err(TokenError::ContentType)
    }
}

/// A token in the client's own name: one registered audience, registered scopes (all of them if none are named).
fn client_credentials(endpoint: &Endpoint, client: &Client, form: &Form) -> Result<Grant, TokenError> {
    if client.exchange {
        return Err(TokenError::GrantNotAllowed);
    }
    let audience = audience(client, form)?;
    let wanted = scopes(form)?;
    let scope = if wanted.is_empty() {
        client.scopes.clone()
    } else if wanted
        .iter()
        .all(|wanted| client.scopes.iter().any(|scope| scope == wanted))
    {
        wanted.into_iter().map(ToOwned::to_owned).collect()
    } else {
        return Err(TokenError::ScopeNotGranted);
    };
    Ok(Grant {
        scope,
        ..Grant::new(&endpoint.issuer.url, &client.id, &client.id, audience)
    })
}

/// The one audience (RFC 8707); it need not be named if the client has only one.
fn audience<'a>(client: &'a Client, form: &Form) -> Result<&'a str, TokenError> {
    let mut named = form.values("resource");
    match (named.next(), named.next(), client.audiences.as_slice()) {
        (None, _, [only]) => Ok(only),
        (None, _, _) => Err(TokenError::TargetMissing),
        (Some(_), Some(_), _) => Err(TokenError::TargetSeveral),
        (Some(named), None, registered) => {
            let found = registered.iter().find(|audience| *audience == named);
            found.map(String::as_str).ok_or(TokenError::TargetNotRegistered)
        }
    }
}

/// The scopes asked for, each once.
fn scopes(form: &Form) -> Result<Vec<&str>, TokenError> {
    let mut scopes = Vec::new();
    for scope in form
        .value("scope")
        .unwrap_or_default()
        .split(' ')
        .filter(|scope| !scope.is_empty())
    {
        if !is_scope(scope) {
            return Err(TokenError::ScopeMalformed);
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

async fn token_exchange(endpoint: &Endpoint, client: &Client, form: &Form) -> Result<Grant, TokenError> {
    let (Some(subject_token), Some(subject_token_type)) =
        (form.value("subject_token"), form.value("subject_token_type"))
    else {
        return Err(TokenError::ParameterMissing);
    };
    let targets: Vec<&str> = form.values("resource").chain(form.values("audience")).collect();
    let request = ExchangeRequest {
        subject_token_type,
        requested_token_type: form.value("requested_token_type"),
        actor_token: form.value("actor_token").is_some() || form.value("actor_token_type").is_some(),
        targets: &targets,
        scope: &scopes(form)?,
    };
    let issuer = &endpoint.issuer;
    let policy = Policy {
        issuer: &issuer.url,
        realm: &issuer.realm,
        tenant: issuer.tenant.as_deref(),
    };
    let now = endpoint.authority.now();
    let (fingerprint, subject) = examine(endpoint, client, subject_token, now).await;
    let subject = subject.as_ref().map_err(|reason| *reason);
    exchange::decide(subject, &client.requester(), &request, &policy, now).map_err(|refusal| {
        let fingerprint = fingerprint.map(|fingerprint| fingerprint.to_string());
        let reason = subject.err().map(Reason::as_str);
        tracing::warn!(
            rule = refusal.rule.as_str(),
            client = client.id,
            fingerprint,
            reason,
            "exchange refused"
        );
        TokenError::Exchange(refusal.rule)
    })
}

/// Verifies the subject token as a token for the client's own API, under keys of this realm and no other, and asks the
/// ledger for it.
async fn examine(
    endpoint: &Endpoint,
    client: &Client,
    subject_token: &str,
    now: u64,
) -> (Option<Fingerprint>, Result<Subject, Reason>) {
    let issuer = &endpoint.issuer;
    let (Some(own), Some(registry)) = (&client.resource, endpoint.authority.registry(&issuer.realm)) else {
        // The policy refuses the client before it looks at the subject; so the endpoint is no oracle for it either.
        return (None, Err(Reason::ResourceUnknown));
    };
    let token = match ParsedToken::parse(subject_token) {
        Ok(token) => token,
        Err(refusal) => return (None, Err(refusal.reason)),
    };
    // Any tenant of the realm: the policy has a rule of its own for a foreign one, which the log then names.
    // E-mail addresses are neither looked at nor handed down.
    let mut resource = Resource::new("exchange", own, &issuer.realm);
    resource.unverified_email = UnverifiedEmail::Ignore;
    let fingerprint = token.fingerprint();
    let check = Check::new(&registry, &resource, now);
    let verified = match verify(&token, &check) {
        Ok(verified) => verified,
        Err(refusal) => return (Some(fingerprint), Err(refusal.reason)),
    };
    let follower = &endpoint.authority.shared().follower;
    let provenance = follower.provenance(fingerprint.as_bytes(), verified.expires_at());
    let provenance = provenance.await;
    let shown = Shown {
        issuer: verified.issuer(),
        key: *verified.key_thumbprint().as_bytes(),
        session: verified.session_id(),
        issued_at: verified.issued_at(),
    };
    let record = match provenance {
        Provenance::Denied { .. } => Record::Denied,
        Provenance::Recorded { .. } if follower.denies(&shown) => Record::Denied,
        Provenance::Recorded { kind, .. } => Record::Recorded(kind),
        Provenance::NotRecorded => Record::NotRecorded,
        Provenance::CannotTell => Record::CannotTell,
    };
    (Some(fingerprint), Ok(Subject::new(&verified, record)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_not_waited_for() {
        let late = in_time(std::future::pending(), Duration::from_millis(1)).await;
        assert_eq!(late, Err(TokenError::BodyLate));
    }
}
