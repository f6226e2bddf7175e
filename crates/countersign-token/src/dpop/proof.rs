//! One proof: read strictly, then checked step by step.

use std::fmt;

use serde_json::{Map, Value};

use super::{ReplayKey, ReplayStore, RequestUrl};
use crate::base64url;
use crate::facts::Verdict;
use crate::fingerprint::{Thumbprint, TokenDigest};
use crate::json;
use crate::jwk;
use crate::key::Algorithm;
use crate::limits::{CLOCK_SKEW_DEFAULT, PROOF_AGE_MAX_DEFAULT, PROOF_ID_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::public_key::PublicKey;
use crate::reason::{Detail, Reason, Refusal};
use crate::rules;

const TYPE: &str = "dpop+jwt";

/// The closed list of header members (RFC 9449 §4.2).
const HEADER_MEMBERS: &[&str] = &["typ", "alg", "jwk"];

/// The claims that are read. A proof may carry others.
const CLAIMS: &[&str] = &["jti", "htm", "htu", "iat", "ath", "nonce"];

/// A well-formed proof. What it says is not proved until [`Self::verify`] has said so.
///
/// ```
/// use countersign_token::{Reason, dpop::Proof};
///
/// // Two proofs, joined by a proxy.
/// let refusal = Proof::parse("eyJ0eXAi.e30.AA,eyJ0eXAi.e30.AA").unwrap_err();
/// assert_eq!(refusal.reason, Reason::ProofMalformed);
/// ```
pub struct Proof {
    signing_input: Box<str>,
    signature: Vec<u8>,
    key: PublicKey,
    id: Box<str>,
    method: Box<str>,
    url: RequestUrl,
    issued_at: u64,
    nonce: Option<Box<str>>,
    token: Option<Box<str>>,
}

/// The request a proof must have been made for, and how strictly that is seen.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::Algorithm;
/// use countersign_token::dpop::{MemoryReplayStore, Request, RequestUrl};
///
/// let (used, url) = (MemoryReplayStore::new(100_000), RequestUrl::parse("https://mail.example/inbox")?);
/// let mut request = Request::new("GET", &url, &used);
/// request.algorithms = &[Algorithm::Es256, Algorithm::EdDsa];
/// assert_eq!((request.age_max, request.clock_skew), (60, 30));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The method, compared byte by byte: `GET`.
    pub method: &'a str,
    /// The address, as the client sees it.
    pub url: &'a RequestUrl,
    /// Algorithms a proof may be signed with; by default all that this crate has, none of which is symmetric.
    pub algorithms: &'a [Algorithm],
    /// How old a proof may be, in seconds; by default [`PROOF_AGE_MAX_DEFAULT`].
    pub age_max: u64,
    /// Clock difference that is forgiven, in both directions, in seconds; by default [`CLOCK_SKEW_DEFAULT`].
    pub clock_skew: u64,
    /// The nonces that count now, for example the newest and the one before; `None`, the default, if no nonce was asked
    /// for. With an empty list no proof passes.
    pub nonces: Option<&'a [&'a str]>,
    /// Which proofs were used.
    pub replay: &'a dyn ReplayStore,
}

impl<'a> Request<'a> {
    /// A request with the defaults.
    ///
    /// ```
    /// use countersign_token::dpop::{MemoryReplayStore, Request, RequestUrl};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let used = MemoryReplayStore::new(100_000);
    /// let url = RequestUrl::parse("https://mail.example/inbox")?;
    /// let mut request = Request::new("GET", &url, &used);
    /// request.age_max = 30;
    /// request.nonces = Some(&["n-2", "n-1"]);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn new(method: &'a str, url: &'a RequestUrl, replay: &'a dyn ReplayStore) -> Self {
        Self {
            method,
            url,
            algorithms: Algorithm::ALL,
            age_max: PROOF_AGE_MAX_DEFAULT,
            clock_skew: CLOCK_SKEW_DEFAULT,
            nonces: None,
            replay,
        }
    }

    /// The last second in which a proof made at `issued_at` counts.
    fn until(&self, issued_at: u64) -> u64 {
        issued_at
            .saturating_add(self.age_max)
            .saturating_add(self.clock_skew)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the nonces, which are secrets until they are used.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("age_max", &self.age_max)
            .field("clock_skew", &self.clock_skew)
            .field("asks_for_nonce", &self.nonces.is_some())
            .finish_non_exhaustive()
    }
}

/// What a proof is checked against. Beside a token, [`verify`](crate::verify()) makes one by itself.
///
/// ```
/// use countersign_token::dpop::{MemoryReplayStore, ProofCheck, Request, RequestUrl};
/// use countersign_token::{Thumbprint, TokenDigest};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let used = MemoryReplayStore::new(100_000);
/// let url = RequestUrl::parse("https://mail.example/inbox")?;
/// // For a token that is no JWT: what it is bound to was asked from the issuer.
/// let key = Thumbprint::from_base64url("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").ok_or("no thumbprint")?;
/// let check = ProofCheck::new(Request::new("GET", &url, &used), 1_700_000_000)
///     .beside(TokenDigest::of("opaque-token"), key);
/// assert_eq!(check.key, Some(key));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProofCheck<'a> {
    /// The request.
    pub request: Request<'a>,
    /// The time, in unix seconds.
    pub now: u64,
    /// The token that came with the proof, which must say so (`ath`); `None` at a token endpoint.
    pub token: Option<TokenDigest>,
    /// The key the token is bound to (`cnf.jkt`); `None` where the token is yet to be issued.
    pub key: Option<Thumbprint>,
}

impl<'a> ProofCheck<'a> {
    /// For a token endpoint, where there is no token yet.
    pub const fn new(request: Request<'a>, now: u64) -> Self {
        Self {
            request,
            now,
            token: None,
            key: None,
        }
    }

    /// For a proof beside a token: which token, and the key that it is bound to.
    #[must_use]
    pub const fn beside(self, token: TokenDigest, key: Thumbprint) -> Self {
        Self {
            token: Some(token),
            key: Some(key),
            ..self
        }
    }
}

/// A proof for which every rule holds. [`Proof::verify`] makes it.
///
/// ```
/// use countersign_token::dpop::VerifiedProof;
///
/// /// The claim that binds a new token to the key.
/// fn confirmation(proof: &VerifiedProof) -> String {
///     format!(r#"{{"jkt":"{}"}}"#, proof.key())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedProof {
    key: Thumbprint,
    issued_at: u64,
}

impl VerifiedProof {
    /// The key that signed: what a new token is bound to, as `cnf.jkt`.
    pub fn key(&self) -> Thumbprint {
        self.key
    }

    /// `iat`, unix seconds.
    pub fn issued_at(&self) -> u64 {
        self.issued_at
    }
}

impl Proof {
    /// Reads the value of a `DPoP` header strictly. No signature is checked yet.
    ///
    /// Several values, or one with a comma, are no proof: which of them was meant, nobody can tell.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (signing_input, header, claims, signature) = split(text)?;
        let header = read_object(header, "the header is not canonical base64url")?;
        let claims = read_object(claims, "the claims are not canonical base64url")?;
        let signature = base64url::decode(signature)
            .ok_or_else(|| malformed("the signature is not canonical base64url"))?;
        check_names(&header, HEADER_MEMBERS, true)?;
        check_names(&claims, CLAIMS, false)?;
        let id = required(&claims, "jti")?;
        if id.len() > PROOF_ID_BYTES_MAX {
            return Err(malformed("`jti` is longer than 256 bytes"));
        }
        let method = required(&claims, "htm")?;
        let url = required(&claims, "htu")?;
        let issued_at = claims
            .get("iat")
            .and_then(Value::as_u64)
            .ok_or_else(|| member(Reason::ProofMalformed, "iat"))?;
        let (nonce, token) = (optional(&claims, "nonce")?, optional(&claims, "ath")?);
        if optional(&header, "typ")? != Some(TYPE) {
            return Err(member(Reason::ProofTypeMismatch, "typ"));
        }
        let algorithm = Algorithm::from_name(required(&header, "alg")?)
            .ok_or_else(|| member(Reason::ProofAlgorithmUnsupported, "alg"))?;
        Ok(Self {
            key: read_key(&header, algorithm)?,
            url: RequestUrl::parse(url).map_err(|e| Refusal::new(Reason::ProofUrlInvalid, e.note()))?,
            signing_input: signing_input.into(),
            signature,
            id: id.into(),
            method: method.into(),
            issued_at,
            nonce: nonce.map(Into::into),
            token: token.map(Into::into),
        })
    }

    /// Checks every rule of RFC 9449 §4.3, the cheap ones before the signature, and last of all that the proof is used
    /// for the first time. A proof that is refused is not used up.
    pub fn verify(&self, check: &ProofCheck<'_>) -> Result<VerifiedProof, Refusal> {
        match rules::first_proof_failure(self, check) {
            Some(refusal) => Err(refusal),
            None => Ok(VerifiedProof {
                key: self.key.thumbprint(),
                issued_at: self.issued_at,
            }),
        }
    }

    pub(crate) fn check_algorithm(&self, check: &ProofCheck<'_>) -> Verdict {
        let allowed = check.request.algorithms.contains(&self.key.algorithm());
        Verdict::unless(!allowed, "the algorithm is not on the list for proofs")
    }

    pub(crate) fn check_method(&self, check: &ProofCheck<'_>) -> Verdict {
        Verdict::unless(
            *self.method != *check.request.method,
            "`htm` is not the request's method",
        )
    }

    pub(crate) fn check_url(&self, check: &ProofCheck<'_>) -> Verdict {
        Verdict::unless(
            self.url != *check.request.url,
            "`htu` is not the request's address",
        )
    }

    pub(crate) fn check_time(&self, check: &ProofCheck<'_>) -> Verdict {
        if check.now > check.request.until(self.issued_at) {
            return Verdict::Failed(Detail::Amount {
                what: "iat",
                value: self.issued_at,
                bound: "now",
                limit: check.now,
            });
        }
        let latest = check.now.saturating_add(check.request.clock_skew);
        Verdict::at_most("iat", self.issued_at, "now with skew", latest)
    }

    pub(crate) fn check_nonce(&self, check: &ProofCheck<'_>) -> Verdict {
        let Some(nonces) = check.request.nonces else {
            return Verdict::Passed;
        };
        match self.nonce.as_deref() {
            None => Verdict::Failed(Detail::Note("`nonce` is absent and one was asked for")),
            Some(nonce) => Verdict::unless(!nonces.contains(&nonce), "`nonce` is not one that counts now"),
        }
    }

    pub(crate) fn check_token(&self, check: &ProofCheck<'_>) -> Verdict {
        let Some(token) = check.token else {
            return Verdict::Passed;
        };
        match self.token.as_deref() {
            None => Verdict::Failed(Detail::Note("`ath` is absent")),
            Some(ath) => Verdict::unless(token.to_base64url() != ath, "`ath` is not this token's"),
        }
    }

    pub(crate) fn check_key(&self, check: &ProofCheck<'_>) -> Verdict {
        let bound_to_other = check.key.is_some_and(|key| key != self.key.thumbprint());
        Verdict::unless(bound_to_other, "the token is bound to another key")
    }

    pub(crate) fn check_signature(&self, _: &ProofCheck<'_>) -> Verdict {
        let holds = self.key.verify(self.signing_input.as_bytes(), &self.signature);
        Verdict::unless(!holds, "the signature does not verify")
    }

    pub(crate) fn check_first_use(&self, check: &ProofCheck<'_>) -> Verdict {
        let key = ReplayKey::new(&self.key.thumbprint(), &self.id);
        let until = check.request.until(self.issued_at);
        let is_first = check.request.replay.first_use(&key, check.now, until);
        Verdict::unless(
            !is_first,
            "the proof was used before, or no more uses can be remembered",
        )
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof(key {})", self.key.thumbprint())
    }
}

fn malformed(note: &'static str) -> Refusal {
    Refusal::new(Reason::ProofMalformed, note)
}

fn member(reason: Reason, name: &'static str) -> Refusal {
    Refusal {
        reason,
        detail: Detail::Member(name),
    }
}

/// Signing input, header, claims and signature.
fn split(text: &str) -> Result<(&str, &str, &str, &str), Refusal> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(malformed("longer than 16 KiB"));
    }
    let segments = || {
        let (signing_input, signature) = text.rsplit_once('.')?;
        let (header, claims) = signing_input.split_once('.')?;
        let is_whole =
            !header.is_empty() && !claims.is_empty() && !signature.is_empty() && !claims.contains('.');
        is_whole.then_some((signing_input, header, claims, signature))
    };
    segments().ok_or_else(|| malformed("not three non-empty segments"))
}

fn read_object(segment: &str, note: &'static str) -> Result<Map<String, Value>, Refusal> {
    let json = base64url::decode(segment).ok_or_else(|| malformed(note))?;
    json::check(&json).map_err(|_| malformed("not strict JSON, or a member stands twice"))?;
    match serde_json::from_slice(&json) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(malformed("not a JSON object")),
    }
}

/// Every name in its registered spelling; with `is_closed`, no others.
fn check_names(members: &Map<String, Value>, known: &[&str], is_closed: bool) -> Result<(), Refusal> {
    let is_off = |name: &String| match known.iter().find(|known| json::reads_as(name, known)) {
        Some(known) => known != name,
        None => is_closed,
    };
    if members.keys().any(is_off) {
        return Err(malformed("a member that is not on the list, or in another case"));
    }
    Ok(())
}

/// A member that, if there, must be a non-empty text.
fn optional<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(member(Reason::ProofMalformed, name)),
    }
}

fn required<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Refusal> {
    optional(members, name)?.ok_or_else(|| member(Reason::ProofMalformed, name))
}

/// The proof's own key: public, of good quality, and for the algorithm that the header names.
fn read_key(header: &Map<String, Value>, algorithm: Algorithm) -> Result<PublicKey, Refusal> {
    let jwk = header
        .get("jwk")
        .ok_or_else(|| member(Reason::ProofKeyInvalid, "jwk"))?;
    // An RSA key without `alg` is for what the header says; every other kind of key says by itself what it is for.
    let key =
        jwk::read_public_key_for(jwk, Some(algorithm).filter(|a| is_rsa(*a))).map_err(|fault| Refusal {
            reason: Reason::ProofKeyInvalid,
            detail: Detail::KeyFault(fault),
        })?;
    if key.algorithm() != algorithm {
        return Err(Refusal::new(
            Reason::ProofKeyInvalid,
            "`alg` is not the key's algorithm",
        ));
    }
    Ok(key)
}

fn is_rsa(algorithm: Algorithm) -> bool {
    use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
}
