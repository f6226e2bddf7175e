//! Resources: what a token must be good for.

use crate::issuer::TenantRule;

/// Something that is protected.
///
/// ```
/// use countersign_token::Resource;
///
/// let mut resource = Resource::new("mail", "https://mail.example", "enterprise");
/// resource.scopes = vec!["mail.read".to_owned()];
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// Its name, for logs.
    pub name: String,
    /// What a token must carry in `aud`, byte by byte.
    pub audience: String,
    /// The realm it belongs to.
    pub realm: String,
    /// Tenants that are let in.
    pub tenants: TenantRule,
    /// Scopes a token must have, all of them.
    pub scopes: Vec<String>,
    /// What to do with e-mail addresses nobody vouches for.
    pub unverified_email: UnverifiedEmail,
    /// Which tokens must come with a proof.
    pub proof: ProofRule,
}

impl Resource {
    /// A resource with the strict defaults: any tenant of its realm, no scopes asked for, unverified e-mail refused,
    /// a proof where the token is bound.
    pub fn new(name: impl Into<String>, audience: impl Into<String>, realm: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            audience: audience.into(),
            realm: realm.into(),
            tenants: TenantRule::Any,
            scopes: Vec::new(),
            unverified_email: UnverifiedEmail::Refuse,
            proof: ProofRule::IfBound,
        }
    }
}

/// Which tokens must come with a proof that their holder shows them: see [`Proofs`](crate::Proofs).
///
/// ```
/// use countersign_token::{ProofRule, Resource};
///
/// let mut mail = Resource::new("mail", "https://mail.example", "enterprise");
/// assert_eq!(mail.proof, ProofRule::IfBound);
/// mail.proof = ProofRule::Required;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProofRule {
    /// Those that are bound to a key or a certificate.
    #[default]
    IfBound,
    /// All: a token that is bound to nothing is refused.
    Required,
}

/// What to do with a token whose `email` nobody vouches for: see [`displayable_email`](crate::VerifiedToken::displayable_email).
///
/// Anyone can set any address in a tenant of his own. A resource that takes the address for the person lets him in as
/// somebody else (nOAuth). Identity is `iss` and `sub`.
///
/// ```
/// use countersign_token::{Resource, UnverifiedEmail};
///
/// let mut resource = Resource::new("mail", "https://mail.example", "enterprise");
/// assert_eq!(resource.unverified_email, UnverifiedEmail::Refuse);
/// resource.unverified_email = UnverifiedEmail::Ignore;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnverifiedEmail {
    /// Refuse the token.
    #[default]
    Refuse,
    /// Let it pass: the resource never looks at e-mail addresses.
    Ignore,
}
