//! What somebody can do who copied the data directory: sign anything, record nothing. For drills.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_authority::dangerous::{SigningKey, unseal_signing_key};
use countersign_token::is_guid;
use serde_json::{Value, json};

use crate::failure::Failure;

/// A private key outside the authority.
pub(crate) struct StolenKey(SigningKey);

/// What a forged token claims.
pub(crate) struct Lie<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) now: u64,
    pub(crate) lifetime: u64,
}

impl StolenKey {
    /// Takes the active key of `issuer` out of the data directory.
    pub(crate) async fn take(data: &Path, issuer: &str) -> Result<Self, Failure> {
        unseal_signing_key(data, issuer, "active")
            .await
            .map(Self)
            .map_err(|error| Failure::unavailable(error.code(), &error).maybe_hint(error.hint()))
    }

    /// Signs a token that is perfect in form: every claim that RFC 9068 asks for, the tenant of its issuer.
    pub(crate) fn sign(&self, lie: &Lie<'_>) -> Result<String, Failure> {
        let mut claims = json!({
            "iss": lie.issuer,
            "sub": lie.subject,
            "aud": lie.audience,
            "iat": lie.now,
            "exp": lie.now.saturating_add(lie.lifetime),
            "jti": random_id()?,
            "client_id": "mail-app",
            "scope": lie.scope,
        });
        if let (Some(tenant), Some(members)) = (tenant_of(lie.issuer), claims.as_object_mut()) {
            members.insert("tid".to_owned(), Value::from(tenant));
        }
        let header = json!({"alg": self.0.algorithm().as_str(), "typ": "at+jwt", "kid": self.0.key_id()});
        self.0
            .sign(&header, &claims)
            .map_err(|error| Failure::fault("signing_failed", error))
    }
}

/// The last path segment of an enterprise issuer is its tenant.
fn tenant_of(issuer: &str) -> Option<&str> {
    issuer.rsplit('/').next().filter(|segment| is_guid(segment))
}

fn random_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::fault("random_failed", "the system's random generator does not answer"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
