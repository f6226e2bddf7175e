//! A client's assertion at the token endpoint (RFC 7523, `private_key_jwt`): the same reading and the same keys, other
//! rules.

use crate::claims::Claims;
use crate::issuer::IssuerName;
use crate::jwk;
use crate::jwks::{JwksError, KeyContext, KeyMetadata, KeySet};
use crate::jws::select_key;
use crate::limits::{ASSERTION_LIFETIME_MAX_DEFAULT, CLOCK_SKEW_DEFAULT};
use crate::reason::{Detail, Reason, Refusal};
use crate::token::ParsedToken;

/// The realm that client keys are filed under. They sign no tokens.
const CLIENT_REALM: &str = "client";

/// Accepted `typ` values; an absent one is accepted too, as RFC 7523 does not ask for it.
const TOKEN_TYPES: &[&str] = &["jwt", "client-authentication+jwt"];

/// What an assertion must say.
///
/// ```
/// use countersign_token::assertion::AssertionPolicy;
///
/// let ours = ["https://id.example".to_owned(), "https://id.example/token".to_owned()];
/// let mut policy = AssertionPolicy::new("mail-client", &ours, 1_700_000_000);
/// policy.lifetime_max = 60;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AssertionPolicy<'a> {
    /// The client, which must be issuer and subject of the assertion.
    pub client_id: &'a str,
    /// What the authorization server answers to; one of them must be in `aud`.
    pub audiences: &'a [String],
    /// The time, in unix seconds.
    pub now: u64,
    /// Longest time from `iat` (or from now, if there is none) to `exp`, in seconds; by default
    /// [`ASSERTION_LIFETIME_MAX_DEFAULT`].
    pub lifetime_max: u64,
    /// Clock difference that is forgiven, in seconds; by default [`CLOCK_SKEW_DEFAULT`].
    pub clock_skew: u64,
}

impl<'a> AssertionPolicy<'a> {
    /// What an assertion of this client must say, with the defaults.
    pub const fn new(client_id: &'a str, audiences: &'a [String], now: u64) -> Self {
        Self {
            client_id,
            audiences,
            now,
            lifetime_max: ASSERTION_LIFETIME_MAX_DEFAULT,
            clock_skew: CLOCK_SKEW_DEFAULT,
        }
    }
}

/// A verified assertion. The caller must see to it that `token_id` is used once before `expires_at`.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let claims = serde_json::json!({"iss": "mail-client", "sub": "mail-client", "aud": "https://id.example", "jti": "1",
/// #     "exp": given::NOW + 60});
/// # let (text, jwks) = given::signed_by_client(&claims);
/// # let keys = countersign_token::assertion::client_keys(jwks.as_bytes(), "mail-client")?;
/// # let ours = ["https://id.example".to_owned()];
/// # let policy = countersign_token::assertion::AssertionPolicy::new("mail-client", &ours, given::NOW);
/// # let token = countersign_token::ParsedToken::parse(&text)?;
/// use std::collections::HashMap;
///
/// use countersign_token::assertion;
///
/// // Which assertions of which client were used, and until when that must be remembered.
/// let mut used = HashMap::new();
/// let assertion = assertion::verify(&token, &keys, &policy)?;
/// let is_first = used.insert(("mail-client", assertion.token_id), assertion.expires_at).is_none();
/// assert!(is_first);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assertion {
    /// `jti`.
    pub token_id: String,
    /// `exp`, unix seconds, with the skew added: until then the `token_id` must be remembered.
    pub expires_at: u64,
    /// The key that signed.
    pub key_id: String,
}

/// Reads a client's registered key set. Such keys need no scope members, and no `kid`: the thumbprint stands for it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::assertion;
///
/// let keys = assertion::client_keys(
///     br#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
///     "mail-client",
/// )?;
/// assert!(keys.key("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").is_some());
/// # Ok(())
/// # }
/// ```
pub fn client_keys(json: &[u8], client_id: &str) -> Result<KeySet, JwksError> {
    let issuer = IssuerName::Exact(client_id.to_owned());
    let context = KeyContext {
        issuer: &issuer,
        realm: CLIENT_REALM,
        metadata: KeyMetadata::Assumed,
    };
    KeySet::parse_each(json, |value| jwk::read_client_record(value, &context))
}

/// Verifies an assertion.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let claims = serde_json::json!({"iss": "mail-client", "sub": "mail-client", "aud": "https://id.example", "jti": "1",
/// #     "exp": given::NOW + 60});
/// # let (text, jwks) = given::signed_by_client(&claims);
/// use countersign_token::{ParsedToken, assertion, assertion::AssertionPolicy};
///
/// let keys = assertion::client_keys(jwks.as_bytes(), "mail-client")?;
/// let ours = ["https://id.example".to_owned()];
/// let policy = AssertionPolicy::new("mail-client", &ours, 1_700_000_000);
///
/// let assertion = assertion::verify(&ParsedToken::parse(&text)?, &keys, &policy)?;
/// assert_eq!(assertion.token_id, "1");
/// // Remembered until then, so that nobody uses it again.
/// assert_eq!(assertion.expires_at, 1_700_000_000 + 60 + 30);
/// # Ok(())
/// # }
/// ```
pub fn verify(
    token: &ParsedToken,
    keys: &KeySet,
    policy: &AssertionPolicy<'_>,
) -> Result<Assertion, Refusal> {
    let claims = token.claims();
    let typ = token.header().token_type();
    if typ.is_some_and(|typ| !TOKEN_TYPES.contains(&typ)) {
        return Err(Refusal::new(
            Reason::TokenTypeMismatch,
            "`typ` is not an assertion's",
        ));
    }
    let (token_id, expires_at) = required(claims)?;
    let is_client = |claim: Option<&str>| claim == Some(policy.client_id);
    if !is_client(claims.issuer()) || !is_client(claims.subject()) {
        return Err(Refusal::new(
            Reason::ClientMismatch,
            "`iss` and `sub` must be the client's id",
        ));
    }
    let key = select_key(token.header(), keys)?;
    if !token.is_signed_by(key) {
        return Err(Refusal::new(
            Reason::SignatureInvalid,
            "the signature does not verify",
        ));
    }
    check_times(claims, expires_at, policy)?;
    if !claims
        .audience()
        .any(|audience| policy.audiences.iter().any(|ours| ours == audience))
    {
        return Err(Refusal::new(
            Reason::AudienceMismatch,
            "`aud` does not name this authorization server",
        ));
    }
    Ok(Assertion {
        token_id: token_id.to_owned(),
        expires_at: expires_at.saturating_add(policy.clock_skew),
        key_id: key.id().to_owned(),
    })
}

fn required(claims: Claims<'_>) -> Result<(&str, u64), Refusal> {
    let missing = |name| Refusal {
        reason: Reason::ClaimMissing,
        detail: Detail::Member(name),
    };
    claims.issuer().ok_or(missing("iss"))?;
    claims.subject().ok_or(missing("sub"))?;
    if claims.audience().next().is_none() {
        return Err(missing("aud"));
    }
    let expires_at = claims.expires_at().ok_or(missing("exp"))?;
    Ok((claims.token_id().ok_or(missing("jti"))?, expires_at))
}

fn check_times(claims: Claims<'_>, expires_at: u64, policy: &AssertionPolicy<'_>) -> Result<(), Refusal> {
    let refuse = |reason, what, value, bound, limit| {
        Err(Refusal {
            reason,
            detail: Detail::Amount {
                what,
                value,
                bound,
                limit,
            },
        })
    };
    let latest = policy.now.saturating_add(policy.clock_skew);
    if expires_at.saturating_add(policy.clock_skew) <= policy.now {
        return refuse(Reason::TokenExpired, "exp", expires_at, "now", policy.now);
    }
    if let Some(not_before) = claims.not_before().filter(|time| *time > latest) {
        return refuse(
            Reason::TokenNotYetValid,
            "nbf",
            not_before,
            "now with skew",
            latest,
        );
    }
    if let Some(issued_at) = claims.issued_at().filter(|time| *time > latest) {
        return refuse(Reason::IssuedInFuture, "iat", issued_at, "now with skew", latest);
    }
    let lifetime = expires_at.saturating_sub(claims.issued_at().unwrap_or(policy.now));
    if lifetime > policy.lifetime_max {
        return refuse(
            Reason::LifetimeTooLong,
            "lifetime",
            lifetime,
            "longest",
            policy.lifetime_max,
        );
    }
    Ok(())
}
