#![doc = include_str!("../README.md")]
//!
//! # How a token is read
//!
//! ```text
//!  text ──▶ RawToken ──▶ ParsedToken ──▶ verify(token, check) ──▶ VerifiedToken
//!           size, shape   base64url,        │                      or Refusal { reason }
//!                         JSON, header      │
//!                                           ├─ iss selects one IssuerRecord of the Registry
//!                                           ├─ kid selects one KeyRecord inside that record
//!                                           ├─ scope, state, signing window, then the signature
//!                                           └─ times, audience, realm, tenant, scopes of the Resource
//! ```
//!
//! What it does:
//!
//! - finds the one token of a request ([`Authorization`]);
//! - reads a token once and strictly: compact form only, canonical base64url, no member twice at any depth, a closed
//!   list of header members;
//! - checks one visible, ordered list of [`RULES`], each with a [`Reason`]; [`verify()`] stops at the first that does
//!   not hold, [`explain`] shows all;
//! - reads and writes key sets, key by key, with the reason for each key that is not taken;
//! - sees to it that a token bound to a key or a certificate comes with the proof of it ([`Proofs`], [`dpop`]);
//! - verifies a client's assertion at a token endpoint ([`assertion`]).
//!
//! What it deliberately does not do:
//!
//! - no I/O, no clock, no background work: the caller brings keys and the time;
//! - no signing, no shared secrets, no encryption, no `none`;
//! - no key is ever taken from a token (`jku`, `jwk`, `x5u`, `x5c`), and none is tried that the token's issuer does not
//!   own;
//! - nothing is read from a token before it is verified, except through the module [`dangerous`];
//! - a signature proves which key, not that the token was issued: that is the ledger's part. For a key that is
//!   `suspect` ([`VerifiedToken::key_state`]) the caller must ask it, or refuse ([`VerifiedToken::without_ledger`]).
//!
//! # Without a framework
//!
//! ```
//! use countersign_token::{
//!     Check, IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeySet, ParsedToken, Registry, Resource, verify,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // One record an issuer: what it signs as, in which realm, for how long, and with which keys.
//! let issuer = IssuerName::parse("https://login.example/{tenantid}/v2.0")?;
//! let context = KeyContext::new(&issuer, "enterprise", KeyMetadata::Assumed);
//! let keys = KeySet::parse(br#"{"keys":[]}"#, &context)?;
//! let registry = Registry::new(vec![IssuerRecord::new(issuer, "enterprise", 3_600, keys)])?;
//!
//! // What a token must be good for.
//! let resource = Resource::new("mail", "https://mail.example", "enterprise");
//!
//! let check = Check::new(&registry, &resource, 1_700_000_000);
//! match ParsedToken::parse("eyJhbGciOiJub25lIn0.e30.").and_then(|token| verify(&token, &check)) {
//!     Ok(token) => println!("{} of {}", token.subject(), token.issuer()),
//!     Err(refusal) => assert_eq!(refusal.code(), "algorithm_none"),
//! }
//! # Ok(())
//! # }
//! ```
#![warn(clippy::arithmetic_side_effects)]

pub mod assertion;
mod authorization;
mod base64url;
mod bundle;
mod claims;
mod confirmation;
mod curve25519;
pub mod dangerous;
pub mod dpop;
mod email;
mod facts;
mod fingerprint;
mod header;
mod issuer;
mod json;
#[cfg(test)]
mod json_oracle;
mod jwk;
mod jwks;
mod jws;
mod key;
pub mod limits;
#[cfg(test)]
mod parts_oracle;
mod principal;
mod public_key;
mod reason;
mod registry;
mod resource;
mod rules;
mod signature;
mod span;
mod token;
mod verify;
mod weak_key;

pub use authorization::Authorization;
pub use bundle::TrustBundle;
pub use confirmation::{Dpop, Proofs};
pub use fingerprint::{CertificateThumbprint, Fingerprint, Thumbprint, TokenDigest};
pub use issuer::{
    AudienceRule, EmailVerified, IssuerMatch, IssuerName, IssuerNameError, IssuerRecord, IssuerTemplate,
    TenantRule, is_guid,
};
pub use jwks::{JwksError, KeyContext, KeyFault, KeyMetadata, KeyRefusal, KeySet};
pub use key::{Algorithm, KeyRecord, KeyState, SigningWindow};
pub use principal::Principal;
pub use public_key::PublicKey;
pub use reason::{Detail, Reason, Refusal};
pub use registry::{Registry, RegistryError};
pub use resource::{ProofRule, Resource, UnverifiedEmail};
pub use rules::{RULES, Rule};
pub use token::{ParsedToken, RawToken};
pub use verify::{Check, Explanation, Outcome, Step, VerifiedToken, explain, verify};
