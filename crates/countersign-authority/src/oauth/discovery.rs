//! What an issuer says of itself: metadata (RFC 8414, OpenID Connect Discovery) and its key set.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use countersign_token::Algorithm;
use serde_json::json;

use super::Endpoint;
use super::token::{CLIENT_CREDENTIALS, TOKEN_EXCHANGE};
use crate::config::Authentication;
use crate::transition::STAGE_SECONDS;

/// The documents of one issuer that never change while it runs.
pub(super) struct Documents {
    metadata: Bytes,
    pub(super) token_endpoint: String,
    cache_control: HeaderValue,
}

impl Documents {
    pub(super) fn new(issuer: &str) -> Self {
        let token_endpoint = format!("{issuer}/token");
        // Only what exists: there is no authorization endpoint, so there are no response types.
        let metadata = json!({
            "issuer": issuer,
            "token_endpoint": token_endpoint,
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": [],
            "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
            "token_endpoint_auth_methods_supported":
                [Authentication::ClientSecretBasic.as_str(), Authentication::PrivateKeyJwt.as_str()],
            "token_endpoint_auth_signing_alg_values_supported":
                Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>(),
            "subject_types_supported": ["public"],
        });
        // No longer than a key is staged: who caches a set has the next key before it signs.
        let cache_control = format!("public, max-age={STAGE_SECONDS}");
        Self {
            metadata: Bytes::from(metadata.to_string()),
            token_endpoint,
            cache_control: HeaderValue::try_from(cache_control)
                .unwrap_or(HeaderValue::from_static("no-cache")),
        }
    }
}

/// One document at both well-known paths: it holds nothing that only one of the two specifications knows.
pub(super) async fn metadata(State(endpoint): State<Endpoint>) -> Response {
    let documents = &endpoint.documents;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, documents.cache_control.clone()),
    ];
    (headers, documents.metadata.clone()).into_response()
}

/// The issuer's own key set, never a shared one.
pub(super) async fn key_set(State(endpoint): State<Endpoint>, request: HeaderMap) -> Response {
    let Some(document) = endpoint.authority.key_set(&endpoint.issuer.url) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let unchanged = request.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
            .any(|tag| tag == document.etag || tag == "*")
    });
    let etag = HeaderValue::try_from(document.etag).unwrap_or(HeaderValue::from_static("\"\""));
    let headers = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, endpoint.documents.cache_control.clone()),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let content_type = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/jwk-set+json"),
    )];
    (headers, content_type, document.body).into_response()
}
