//! Strict verification of JWT access tokens.
#![warn(clippy::arithmetic_side_effects)]

pub mod assertion;
mod base64url;
mod bundle;
mod claims;
pub mod dangerous;
mod fingerprint;
mod header;
mod issuer;
mod json;
mod jwk;
mod jwks;
mod key;
pub mod limits;
mod public_key;
mod reason;
mod registry;
mod resource;
mod rules;
mod token;
mod verify;

pub use bundle::TrustBundle;
pub use fingerprint::{Fingerprint, Thumbprint};
pub use issuer::{
    IssuerMatch, IssuerName, IssuerNameError, IssuerRecord, IssuerTemplate, TenantRule, is_guid,
};
pub use jwks::{JwksError, KeyContext, KeyFault, KeyMetadata, KeyRefusal, KeySet};
pub use key::{Algorithm, KeyRecord, KeyState, SigningWindow};
pub use public_key::{PublicKey, jwk_thumbprint};
pub use reason::{Detail, Reason, Refusal, reasons_markdown};
pub use registry::{Registry, RegistryError};
pub use resource::{Resource, UnverifiedEmail};
pub use rules::{RULES, Rule};
pub use token::{ParsedToken, RawToken};
pub use verify::{Check, Explanation, Outcome, Step, VerifiedToken, explain, verify};
