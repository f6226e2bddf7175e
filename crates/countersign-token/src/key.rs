//! Keys: a public key, parsed once, and the scope it may sign in.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::Digest;

use crate::fingerprint::Thumbprint;
use crate::issuer::IssuerName;
use crate::public_key::PublicKey;

/// A signature algorithm. It is a property of the key; a token only repeats it.
///
/// ```
/// use countersign_token::Algorithm;
///
/// assert_eq!(Algorithm::from_name("ES256"), Some(Algorithm::Es256));
/// assert_eq!(Algorithm::from_name("HS256"), None, "no shared secrets");
/// assert_eq!(Algorithm::MlDsa65.to_string(), "ML-DSA-65");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// ECDSA on P-384 with SHA-384 (RFC 7518 §3.4).
    Es384,
    /// ECDSA on P-521 with SHA-512 (RFC 7518 §3.4).
    Es512,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 8192 bits (RFC 7518 §3.3).
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384, 2048 to 8192 bits (RFC 7518 §3.3).
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512, 2048 to 8192 bits (RFC 7518 §3.3).
    Rs512,
    /// RSASSA-PSS with SHA-256, 2048 to 8192 bits (RFC 7518 §3.5).
    Ps256,
    /// RSASSA-PSS with SHA-384, 2048 to 8192 bits (RFC 7518 §3.5).
    Ps384,
    /// RSASSA-PSS with SHA-512, 2048 to 8192 bits (RFC 7518 §3.5).
    Ps512,
    /// Ed25519: `EdDSA` (RFC 8037) and `Ed25519` (RFC 9864) are two names of it.
    EdDsa,
    /// ML-DSA-44 with an empty context (RFC 9964).
    MlDsa44,
    /// ML-DSA-65 with an empty context (RFC 9964).
    MlDsa65,
    /// ML-DSA-87 with an empty context (RFC 9964).
    MlDsa87,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: &[Self] = &[
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// The JOSE name. Ed25519 is written `EdDSA`, the name that readers older than RFC 9864 know as well.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    /// From the JOSE name, which is case-sensitive. `Ed25519` reads as `EdDSA`: Ed448, which that name could mean as
    /// well, is not supported.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "ML-DSA-44" => Self::MlDsa44,
            "ML-DSA-65" => Self::MlDsa65,
            "ML-DSA-87" => Self::MlDsa87,
            _ => return None,
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a key is in its life, from the least to the most restrictive.
///
/// Exhaustive on purpose: whoever decides by a key's state must decide on each.
///
/// ```
/// use countersign_token::KeyState;
///
/// assert_eq!(KeyState::from_name("suspect"), Some(KeyState::Suspect));
/// // The authority says one thing, an alarm another.
/// let state = KeyState::Active.most_restrictive(KeyState::Suspect);
/// assert_eq!(state.as_str(), "suspect");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Announced, may not sign yet.
    Staged,
    /// Signs.
    Active,
    /// Signs no more; what it signed inside its window still counts. A window without an end holds nothing then.
    Retired,
    /// Nothing it signed counts any more.
    Expired,
    /// May be stolen: only tokens found in the ledger count.
    Suspect,
    /// Distrusted: nothing it ever signed counts.
    Revoked,
}

impl KeyState {
    /// All states, from the least to the most restrictive.
    pub const ALL: &[Self] = &[
        Self::Staged,
        Self::Active,
        Self::Retired,
        Self::Expired,
        Self::Suspect,
        Self::Revoked,
    ];

    /// The name used in key sets, logs and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Expired => "expired",
            Self::Suspect => "suspect",
            Self::Revoked => "revoked",
        }
    }

    /// From the name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    /// Of two statements about one key the one that lets less through.
    #[must_use]
    pub fn most_restrictive(self, other: Self) -> Self {
        self.max(other)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a key was allowed to sign; both ends belong to it. A token's `iat` must lie inside.
///
/// Exhaustive on purpose: a window has two ends.
///
/// ```
/// use countersign_token::SigningWindow;
///
/// let retired = SigningWindow { sign_from: 1_690_000_000, sign_until: Some(1_699_999_999) };
/// assert!(retired.contains(1_699_999_999));
/// assert!(!retired.contains(1_700_000_000), "arithmetically dead");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SigningWindow {
    /// First second, unix time.
    pub sign_from: u64,
    /// Last second, unix time; `None` while the window is still open.
    pub sign_until: Option<u64>,
}

impl SigningWindow {
    /// Open since the beginning of time: for keys whose issuer does not say.
    pub const OPEN: Self = Self {
        sign_from: 0,
        sign_until: None,
    };

    /// Whether a token issued at `issued_at` may be this key's work.
    pub fn contains(&self, issued_at: u64) -> bool {
        self.sign_from <= issued_at && self.sign_until.is_none_or(|until| issued_at <= until)
    }
}

/// A public key and its scope: issuer, realm, state and signing window. Cloning is cheap.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerName, KeyRecord, KeyState, PublicKey, SigningWindow};
/// use serde_json::json;
///
/// let public = PublicKey::from_jwk(&json!({
///     "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
/// }))?;
/// let issuer = IssuerName::parse("https://id.example")?;
/// let key = KeyRecord::new(public, issuer, "staff", KeyState::Active, SigningWindow::OPEN);
/// assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
///
/// let stolen = key.with_state(KeyState::Suspect);
/// assert_eq!(stolen.to_jwk()["cs_state"], "suspect");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord(Arc<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    id: String,
    issuer: IssuerName,
    realm: String,
    state: KeyState,
    window: SigningWindow,
    public: PublicKey,
}

impl KeyRecord {
    /// A key that signs as `issuer` in `realm`; its id is its thumbprint in base64url.
    pub fn new(
        public: PublicKey,
        issuer: IssuerName,
        realm: impl Into<String>,
        state: KeyState,
        window: SigningWindow,
    ) -> Self {
        let id = public.thumbprint().to_base64url();
        Self(Arc::new(Inner {
            id,
            issuer,
            realm: realm.into(),
            state,
            window,
            public,
        }))
    }

    /// The same key under another id: foreign issuers name their keys as they like.
    #[must_use]
    pub fn with_id(&self, id: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            id: id.into(),
            ..(*self.0).clone()
        }))
    }

    /// The same key in another state.
    #[must_use]
    pub fn with_state(&self, state: KeyState) -> Self {
        Self(Arc::new(Inner {
            state,
            ..(*self.0).clone()
        }))
    }

    /// The same key with another signing window.
    #[must_use]
    pub fn with_window(&self, window: SigningWindow) -> Self {
        Self(Arc::new(Inner {
            window,
            ..(*self.0).clone()
        }))
    }

    /// The key id, `kid`.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The issuer this key signs as. Under a templated record it may be one concrete tenant's.
    pub fn issuer(&self) -> &IssuerName {
        &self.0.issuer
    }

    /// The realm this key signs in.
    pub fn realm(&self) -> &str {
        &self.0.realm
    }

    /// The one algorithm this key is used with.
    pub fn algorithm(&self) -> Algorithm {
        self.0.public.algorithm()
    }

    /// Where the key is in its life.
    pub fn state(&self) -> KeyState {
        self.0.state
    }

    /// When the key was allowed to sign.
    pub fn window(&self) -> SigningWindow {
        self.0.window
    }

    /// RFC 7638 thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.public.thumbprint()
    }

    /// The public key itself.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    /// Whether `signature` (in JWS form) is this key's over `signing_input`. Nothing else is checked.
    #[must_use]
    pub fn verify(&self, signing_input: &[u8], signature: &[u8]) -> bool {
        self.0.public.verify(signing_input, signature)
    }

    /// As [`Self::verify`], with the SHA-256 of the signing input already at hand.
    pub(crate) fn verify_hashed<'d>(
        &self,
        signing_input: &[u8],
        digest: impl FnOnce() -> &'d Digest,
        signature: &[u8],
    ) -> bool {
        self.0.public.verify_hashed(signing_input, digest, signature)
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.0.id)
            .field("issuer", &self.0.issuer.as_str())
            .field("realm", &self.0.realm)
            .field("algorithm", &self.algorithm())
            .field("state", &self.0.state)
            .field("window", &self.0.window)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_ordered_by_what_they_let_through() {
        let names: Vec<_> = KeyState::ALL.iter().map(|s| s.as_str()).collect();
        assert_eq!(
            names,
            ["staged", "active", "retired", "expired", "suspect", "revoked"]
        );
        assert_eq!(
            KeyState::Revoked.most_restrictive(KeyState::Suspect),
            KeyState::Revoked
        );
        assert_eq!(
            KeyState::Active.most_restrictive(KeyState::Expired),
            KeyState::Expired
        );
        for state in KeyState::ALL {
            assert_eq!(KeyState::from_name(state.as_str()), Some(*state));
        }
        assert_eq!(KeyState::from_name("Active"), None);
    }

    #[test]
    fn both_ends_belong_to_the_window() {
        let window = SigningWindow {
            sign_from: 10,
            sign_until: Some(20),
        };
        let inside: Vec<u64> = [9, 10, 20, 21, u64::MAX]
            .into_iter()
            .filter(|t| window.contains(*t))
            .collect();
        assert_eq!(inside, [10, 20]);
        assert!(SigningWindow::OPEN.contains(0) && SigningWindow::OPEN.contains(u64::MAX));
    }

    #[test]
    fn algorithm_names_are_case_sensitive() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.as_str()), Some(*algorithm));
        }
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDsa));
        for name in [
            "es256", "none", "HS256", "ES256K", "ES521", "RS1", "Ed448", "EDDSA", "ML-DSA", "",
        ] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
