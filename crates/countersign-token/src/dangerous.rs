//! What a token says, unverified: for logs and for showing a token to its owner. **Never decide on it.**
//!
//! And [`verify_signature_alone`]: what a signature proves without the rules for tokens.

use std::fmt;

use crate::claims::Claims;
use crate::fingerprint::Fingerprint;
use crate::token::ParsedToken;

pub use crate::jws::verify_signature_alone;

/// The content of a token nobody has verified. A forger wrote it, until proved otherwise.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::{ParsedToken, dangerous::Unverified};
///
/// let token = ParsedToken::parse(&text)?;
/// let claimed = Unverified::of(&token);
/// // For a log, or to tell the owner of a token what is in it. Anybody can write a token that says so.
/// println!("says that it is {:?}'s, of {:?}", claimed.subject(), claimed.issuer());
/// assert_eq!(claimed.subject(), Some("ada"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Unverified<'a>(&'a ParsedToken);

impl<'a> Unverified<'a> {
    /// Looks into a token without verifying it.
    pub fn of(token: &'a ParsedToken) -> Self {
        Self(token)
    }

    fn claims(self) -> Claims<'a> {
        self.0.claims()
    }

    /// What the ledger would call the token. This much is certain.
    pub fn fingerprint(self) -> Fingerprint {
        self.0.fingerprint()
    }

    /// `iss`.
    pub fn issuer(self) -> Option<&'a str> {
        self.claims().issuer()
    }

    /// `kid`.
    pub fn key_id(self) -> Option<&'a str> {
        self.0.header().key_id()
    }

    /// `alg`.
    pub fn algorithm_name(self) -> Option<&'a str> {
        self.0.header().algorithm_name()
    }

    /// `typ`, in lower case and without `application/`.
    pub fn token_type(self) -> Option<&'a str> {
        self.0.header().token_type()
    }

    /// `sub`.
    pub fn subject(self) -> Option<&'a str> {
        self.claims().subject()
    }

    /// `client_id`, `azp` or `appid`.
    pub fn client_id(self) -> Option<&'a str> {
        self.claims().client()
    }

    /// `aud`, one by one; none if it is absent.
    pub fn audience(self) -> impl Iterator<Item = &'a str> + Clone {
        self.claims().audience()
    }

    /// `scope` or `scp`.
    pub fn scope(self) -> Option<&'a str> {
        self.claims().scope()
    }

    /// `jti`.
    pub fn token_id(self) -> Option<&'a str> {
        self.claims().token_id()
    }

    /// `sid`.
    pub fn session_id(self) -> Option<&'a str> {
        self.claims().session_id()
    }

    /// `iat`, unix seconds.
    pub fn issued_at(self) -> Option<u64> {
        self.claims().issued_at()
    }

    /// `nbf`, unix seconds.
    pub fn not_before(self) -> Option<u64> {
        self.claims().not_before()
    }

    /// `exp`, unix seconds.
    pub fn expires_at(self) -> Option<u64> {
        self.claims().expires_at()
    }

    /// `tid`.
    pub fn tenant(self) -> Option<&'a str> {
        self.claims().tenant()
    }

    /// `email`.
    pub fn email(self) -> Option<&'a str> {
        self.claims().email()
    }

    /// `act.sub`.
    pub fn actor(self) -> Option<&'a str> {
        self.claims().actor()
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unverified({})", self.fingerprint())
    }
}
