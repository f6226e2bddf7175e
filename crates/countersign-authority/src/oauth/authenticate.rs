//! Who asks: `client_secret_basic` (RFC 6749 §2.3.1) or `private_key_jwt` (RFC 7523), exactly one of them.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_token::assertion::{self, AssertionPolicy};
use countersign_token::dangerous::Unverified;
use countersign_token::{ParsedToken, Reason};
use zeroize::Zeroizing;

use super::Endpoint;
use super::error::TokenError;
use super::form::{Form, decode};
use crate::client::Client;

/// The one assertion type (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Client libraries make assertions of one to five minutes; a longer one is only more to remember and to steal.
const ASSERTION_LIFETIME_MAX_SECONDS: u64 = 300;

/// Authenticates the client of a token request.
pub(super) async fn authenticate(
    endpoint: &Endpoint,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Arc<Client>, TokenError> {
    let basic = headers.contains_key(header::AUTHORIZATION);
    let asserted = form.value("client_assertion").is_some() || form.value("client_assertion_type").is_some();
    let posted = form.value("client_secret").is_some();
    let client = match (basic, asserted, posted) {
        (true, false, false) => by_secret(endpoint, headers)?,
        (false, true, false) => by_assertion(endpoint, form).await?,
        (false, false, true) => return Err(TokenError::ClientMethod),
        (false, false, false) => return Err(TokenError::ClientMissing),
        _ => return Err(TokenError::ClientTwice),
    };
    match form.value("client_id") {
        Some(id) if id != client.id => Err(TokenError::ClientMismatch),
        _ => Ok(client),
    }
}

fn by_secret(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Arc<Client>, TokenError> {
    let (id, secret) = basic_credentials(headers)?;
    let client = client(endpoint, &id)?;
    if client.has_secret(secret.as_bytes()) {
        Ok(client)
    } else {
        tracing::info!(client = client.id, "the client's secret is wrong");
        Err(TokenError::ClientRefused)
    }
}

/// Identifier and secret, each form-encoded inside the Basic credentials.
fn basic_credentials(headers: &HeaderMap) -> Result<(Zeroizing<String>, Zeroizing<String>), TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(TokenError::ClientTwice);
    };
    let (scheme, encoded) = value
        .to_str()
        .unwrap_or_default()
        .split_once(' ')
        .unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(TokenError::ClientMethod);
    }
    let decoded = STANDARD
        .decode(encoded.trim_start_matches(' '))
        .map_err(|_| TokenError::ClientRefused)?;
    let decoded = Zeroizing::new(decoded);
    let colon = decoded
        .iter()
        .position(|&byte| byte == b':')
        .ok_or(TokenError::ClientRefused)?;
    let (id, rest) = decoded.split_at_checked(colon).ok_or(TokenError::ClientRefused)?;
    let secret = rest.strip_prefix(b":").unwrap_or_default();
    Ok((
        decode(id).ok_or(TokenError::ClientRefused)?,
        decode(secret).ok_or(TokenError::ClientRefused)?,
    ))
}

async fn by_assertion(endpoint: &Endpoint, form: &Form) -> Result<Arc<Client>, TokenError> {
    let (Some(text), Some(kind)) = (
        form.value("client_assertion"),
        form.value("client_assertion_type"),
    ) else {
        return Err(TokenError::ParameterMissing);
    };
    if kind != ASSERTION_TYPE {
        return Err(TokenError::ClientMethod);
    }
    let refused = |reason: Reason| {
        tracing::info!(reason = reason.as_str(), "a client's assertion is refused");
        TokenError::ClientRefused
    };
    let token = ParsedToken::parse(text).map_err(|refusal| refused(refusal.reason))?;
    // Only to select the client; the assertion is then verified against that client's keys and name.
    let id = Unverified::of(&token)
        .subject()
        .ok_or(TokenError::ClientRefused)?;
    let client = client(endpoint, id)?;
    let keys = client.keys().ok_or(TokenError::ClientRefused)?;
    let now = endpoint.authority.now();
    let audiences = [
        endpoint.issuer.url.clone(),
        endpoint.documents.token_endpoint.clone(),
    ];
    let mut policy = AssertionPolicy::new(&client.id, &audiences, now);
    policy.lifetime_max = ASSERTION_LIFETIME_MAX_SECONDS;
    let verified = assertion::verify(&token, keys, &policy).map_err(|refusal| refused(refusal.reason))?;
    // Whoever else it is addressed to receives it too and could show it here, while we have not seen it.
    let mut audience = Unverified::of(&token).audience();
    if !audience.all(|name| policy.audiences.iter().any(|ours| ours == name)) {
        return Err(refused(Reason::AudienceMismatch));
    }
    spend(endpoint, &client, &verified, now).await?;
    Ok(client)
}

/// Makes the assertion worthless for anybody who has seen it. Durable before the answer: a restart does not forget.
async fn spend(
    endpoint: &Endpoint,
    client: &Client,
    assertion: &assertion::Assertion,
    now: u64,
) -> Result<(), TokenError> {
    let mut token_id = [0; 32];
    token_id.copy_from_slice(digest(&SHA256, assertion.token_id.as_bytes()).as_ref());
    let state = &endpoint.authority.shared().keyring.state;
    match state
        .spend_assertion(&client.id, &token_id, assertion.expires_at, now)
        .await
    {
        Ok(true) => Ok(()),
        Ok(false) => {
            tracing::warn!(client = client.id, "a client's assertion was used before");
            Err(TokenError::ClientRefused)
        }
        Err(error) => {
            tracing::error!(code = error.code(), %error, "an assertion could not be spent");
            Err(TokenError::StateUnavailable)
        }
    }
}

/// A client is known at its own issuer only.
fn client(endpoint: &Endpoint, id: &str) -> Result<Arc<Client>, TokenError> {
    let client = endpoint.authority.shared().clients.get(id);
    client
        .filter(|client| client.issuer == endpoint.issuer.url)
        .cloned()
        .ok_or(TokenError::ClientRefused)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(authorization: &str, expect: Result<(&str, &str), TokenError>) {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::try_from(authorization).unwrap(),
        );
        let found = basic_credentials(&headers).map(|(id, secret)| ((*id).clone(), (*secret).clone()));
        assert_eq!(
            found,
            expect.map(|(id, secret)| (id.to_owned(), secret.to_owned())),
            "{authorization}"
        );
    }

    #[test]
    fn basic_credentials_are_form_encoded_inside() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        check(&basic("id:secret"), Ok(("id", "secret")));
        check(&basic("a%3Ab:c%20d+e:f"), Ok(("a:b", "c d e:f")));
        check(
            &basic("id:secret").replace("Basic", "bASIC"),
            Ok(("id", "secret")),
        );
        check(&basic("id"), Err(TokenError::ClientRefused));
        check(&basic("id:%zz"), Err(TokenError::ClientRefused));
        check("Basic !", Err(TokenError::ClientRefused));
        check("Bearer abc", Err(TokenError::ClientMethod));
        check("Basic", Err(TokenError::ClientMethod));
    }

    #[test]
    fn two_authorization_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        assert_eq!(basic_credentials(&headers).unwrap_err(), TokenError::ClientTwice);
    }
}
