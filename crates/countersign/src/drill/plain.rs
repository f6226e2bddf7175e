//! The "before" picture: a service that verifies with the `jsonwebtoken` crate as its documentation shows.
//!
//! It is configured well: algorithm pinned by the key, audience and issuers checked, all of `exp`, `iss`, `aud`
//! and `sub` required. What it has in common with the services of 2023 is its shape: one pool with the keys of
//! every issuer, one flat list of allowed issuers, keys loaded once, users recognised by their e-mail.

use std::collections::HashMap;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

/// The claims that the plain service reads.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) exp: u64,
    pub(crate) email: Option<String>,
}

impl Claims {
    /// Whom the plain service takes the caller for: the e-mail if there is one, as many applications do.
    pub(crate) fn user(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.sub)
    }
}

/// A service that trusts several issuers through one pool of keys.
pub(crate) struct PlainVerifier {
    keys: HashMap<String, (Algorithm, DecodingKey)>,
    issuers: Vec<String>,
    audience: String,
}

impl PlainVerifier {
    /// Pools the key sets of all `issuers`.
    pub(crate) fn new(key_sets: &[JwkSet], issuers: &[String], audience: &str) -> Self {
        let keys = key_sets
            .iter()
            .flat_map(|set| &set.keys)
            .filter_map(pooled)
            .collect();
        Self {
            keys,
            issuers: issuers.to_vec(),
            audience: audience.to_owned(),
        }
    }

    /// Verifies as the crate's documentation shows. `now` is the drill's clock: `jsonwebtoken` itself reads the
    /// machine's, which the drill's never lags behind, so the expiry is checked against both.
    pub(crate) fn verify(&self, token: &str, now: u64) -> Result<Claims, String> {
        let header = decode_header(token).map_err(|error| error.to_string())?;
        let kid = header.kid.ok_or("no kid")?;
        let (algorithm, key) = self.keys.get(&kid).ok_or("unknown kid")?;
        let mut validation = Validation::new(*algorithm);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&self.issuers);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Claims>(token, key, &validation)
            .map_err(|error| error.to_string())?
            .claims;
        if claims.exp <= now {
            return Err("ExpiredSignature".to_owned());
        }
        Ok(claims)
    }
}

fn pooled(jwk: &Jwk) -> Option<(String, (Algorithm, DecodingKey))> {
    let kid = jwk.common.key_id.clone()?;
    let algorithm = jwk.common.key_algorithm?.to_string().parse().ok()?;
    Some((kid, (algorithm, DecodingKey::from_jwk(jwk).ok()?)))
}
