//! Issuers: their names, exact or templated, and the record that says what an issuer may do.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::jwks::KeySet;
use crate::limits::CLOCK_SKEW_DEFAULT;

const PLACEHOLDER: &str = "{tenantid}";
const GUID_BYTES: usize = 36;
const GUID_HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The `iss` values an issuer record answers for.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::IssuerName;
///
/// let one = IssuerName::parse("https://id.example")?;
/// assert!(one.matches("https://id.example").is_some());
/// assert!(one.matches("https://id.example/").is_none(), "compared byte by byte");
///
/// let each_tenant: IssuerName = "https://id.example/{tenantid}/v2.0".parse()?;
/// let found = each_tenant.matches("https://id.example/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e/v2.0");
/// assert_eq!(found.and_then(|found| found.tenant), Some("1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e"));
/// assert!(each_tenant.matches("https://id.example/common/v2.0").is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IssuerName {
    /// One `iss`, compared byte by byte.
    Exact(String),
    /// One `iss` per tenant.
    Template(IssuerTemplate),
}

impl IssuerName {
    /// Reads an issuer name; `{tenantid}` makes it a template.
    ///
    /// The placeholder may stand once, as a whole path segment (`https://login.example/{tenantid}/v2.0`), and
    /// matches a lower-case GUID only.
    pub fn parse(text: &str) -> Result<Self, IssuerNameError> {
        if text.is_empty() {
            return Err(IssuerNameError::Empty);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(IssuerNameError::CharacterForbidden);
        }
        match text.split_once(PLACEHOLDER) {
            Some((prefix, suffix)) => IssuerTemplate::new(text, prefix, suffix).map(Self::Template),
            None if text.contains(['{', '}']) => Err(IssuerNameError::PlaceholderUnknown),
            None => Ok(Self::Exact(text.to_owned())),
        }
    }

    /// Whether a token's `iss` is covered, and for which tenant.
    pub fn matches<'t>(&self, iss: &'t str) -> Option<IssuerMatch<'t>> {
        match self {
            Self::Exact(name) => (name == iss).then_some(IssuerMatch { tenant: None }),
            Self::Template(template) => template
                .tenant_of(iss)
                .map(|tenant| IssuerMatch { tenant: Some(tenant) }),
        }
    }

    /// The name as it was written, with the placeholder of a template.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(name) => name,
            Self::Template(template) => &template.text,
        }
    }

    /// Whether every `iss` covered by `other` is covered by this name too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(iss) => self.matches(iss).is_some(),
            Self::Template(_) => self == other,
        }
    }
}

impl FromStr for IssuerName {
    type Err = IssuerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A template such as `https://login.example/{tenantid}/v2.0`; made by [`IssuerName::parse`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::IssuerName;
///
/// let name = IssuerName::parse("https://id.example/{tenantid}")?;
/// assert!(matches!(name, IssuerName::Template(_)));
/// assert_eq!(name.to_string(), "https://id.example/{tenantid}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerTemplate {
    text: String,
    prefix: String,
    suffix: String,
}

impl IssuerTemplate {
    fn new(text: &str, prefix: &str, suffix: &str) -> Result<Self, IssuerNameError> {
        if prefix.contains(['{', '}']) || suffix.contains(['{', '}']) {
            return Err(IssuerNameError::PlaceholderUnknown);
        }
        // Behind the host: a tenant that may choose a host would choose its own.
        let after_scheme = prefix.split_once("://").map_or("", |(_, rest)| rest);
        let host = after_scheme.split('/').next().unwrap_or_default();
        let whole_segment = prefix.ends_with('/') && (suffix.is_empty() || suffix.starts_with('/'));
        if host.is_empty() || !after_scheme.contains('/') || !whole_segment {
            return Err(IssuerNameError::PlaceholderMisplaced);
        }
        Ok(Self {
            text: text.to_owned(),
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
        })
    }

    fn tenant_of<'t>(&self, iss: &'t str) -> Option<&'t str> {
        let tenant = iss
            .strip_prefix(self.prefix.as_str())?
            .strip_suffix(self.suffix.as_str())?;
        is_guid(tenant).then_some(tenant)
    }
}

/// That an `iss` is covered by an [`IssuerName`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::IssuerName;
///
/// let found = IssuerName::parse("https://id.example")?.matches("https://id.example");
/// assert!(found.is_some_and(|found| found.tenant.is_none()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerMatch<'t> {
    /// The tenant a template found in the `iss`; none for an exact name.
    pub tenant: Option<&'t str>,
}

/// Whether `text` is a GUID in lower case: the one spelling of a tenant that is accepted.
///
/// ```
/// use countersign_token::is_guid;
///
/// assert!(is_guid("1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e"));
/// assert!(!is_guid("1A1A1A1A-2B2B-4C3C-8D4D-5E5E5E5E5E5E"));
/// ```
pub fn is_guid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    bytes.len() == GUID_BYTES
        && GUID_HYPHENS.iter().all(|at| bytes.get(*at) == Some(&b'-'))
        // Counted to the end, which takes many at once, and a good one has them all.
        && bytes.iter().filter(is_digit).count() == GUID_BYTES.saturating_sub(GUID_HYPHENS.len())
}

/// Why a text is no issuer name.
///
/// ```
/// use countersign_token::IssuerName;
///
/// let error = IssuerName::parse("https://{tenantid}.example").unwrap_err();
/// assert_eq!(error.code(), "issuer_name_placeholder_misplaced");
/// assert_eq!(error.hint(), Some("write it like `https://login.example/{tenantid}/v2.0`"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerNameError {
    /// Nothing there.
    #[error("the issuer name is empty")]
    Empty,
    /// White space or a control character.
    #[error("the issuer name holds white space or a control character")]
    CharacterForbidden,
    /// A brace that does not belong to the one placeholder.
    #[error("the issuer name holds a brace outside one `{{tenantid}}`")]
    PlaceholderUnknown,
    /// The placeholder is not a whole path segment behind a host.
    #[error("`{{tenantid}}` is not a whole path segment behind a host")]
    PlaceholderMisplaced,
}

impl IssuerNameError {
    /// Stable name of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "issuer_name_empty",
            Self::CharacterForbidden => "issuer_name_character_forbidden",
            Self::PlaceholderUnknown => "issuer_name_placeholder_unknown",
            Self::PlaceholderMisplaced => "issuer_name_placeholder_misplaced",
        }
    }

    /// What to do about it.
    pub const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Empty | Self::CharacterForbidden => {
                "write the issuer exactly as its tokens carry it in `iss`"
            }
            Self::PlaceholderUnknown => "the only placeholder is `{tenantid}`, once",
            Self::PlaceholderMisplaced => "write it like `https://login.example/{tenantid}/v2.0`",
        })
    }
}

/// Which tenants are let in.
///
/// ```
/// use countersign_token::TenantRule;
///
/// let rule = TenantRule::Only(vec!["1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e".to_owned()]);
/// assert!(rule.allows(Some("1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e")));
/// assert!(!rule.allows(None), "a token that names no tenant");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantRule {
    /// All, and tokens that name no tenant.
    #[default]
    Any,
    /// These only; a token that names no tenant is refused.
    Only(Vec<String>),
}

impl TenantRule {
    /// Whether a token of this tenant is let in.
    pub fn allows(&self, tenant: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Only(tenants) => tenant.is_some_and(|tenant| tenants.iter().any(|t| t == tenant)),
        }
    }
}

/// Which audiences an issuer may issue for.
///
/// ```
/// use countersign_token::AudienceRule;
///
/// let rule = AudienceRule::Only(vec!["https://mail.example".to_owned()]);
/// assert!(rule.allows("https://mail.example"));
/// assert!(!rule.allows("https://files.example"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudienceRule {
    /// All; the resource asks for its own.
    #[default]
    Any,
    /// These only, compared byte by byte: a token that names another beside them is refused too.
    Only(Vec<String>),
}

impl AudienceRule {
    /// Whether a token may name this audience.
    pub fn allows(&self, audience: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(audiences) => audiences.iter().any(|allowed| allowed == audience),
        }
    }
}

/// Everything known of one issuer: what `iss` it signs as, in which realm, how, and with which keys.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerRecord, TenantRule};
///
/// # let (issuer, keys) = (given::issuer(), given::key_set());
/// // Tokens of this issuer live for an hour at most.
/// let mut record = IssuerRecord::new(issuer, "enterprise", 3_600, keys);
/// // Only what differs from the strict defaults is said.
/// record.token_types = vec!["at+jwt".to_owned(), "JWT".to_owned()];
/// record.tenants = TenantRule::Only(vec!["1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e".to_owned()]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerRecord {
    /// The `iss` values this record answers for.
    pub issuer: IssuerName,
    /// The realm the issuer belongs to. Keys and tokens never leave it.
    pub realm: String,
    /// Accepted `typ` values, compared without case and without an `application/` prefix; an empty text stands
    /// for an absent `typ`.
    pub token_types: Vec<String>,
    /// Longest `exp - iat` in seconds.
    pub lifetime_max: u64,
    /// Clock difference that is forgiven, in seconds.
    pub clock_skew: u64,
    /// How many seconds before the issuance the issuer writes `iat`: Entra back-dates it by 300. A key's signing window
    /// and the lifetime are judged by the time of issuance.
    pub issued_at_offset: u64,
    /// Audiences this issuer may issue for.
    pub audiences: AudienceRule,
    /// Tenants this issuer may name. With [`TenantRule::Only`] an exact issuer may name a tenant too, in `tid`.
    pub tenants: TenantRule,
    /// E-mail domains that a tenant is proven to own, in lower case; the key is the tenant, or empty for tokens
    /// without one.
    pub email_domains: BTreeMap<String, Vec<String>>,
    /// What its `email_verified` is worth.
    pub email_verified: EmailVerified,
    /// The issuer's keys.
    pub keys: KeySet,
}

impl IssuerRecord {
    /// A record with the strict defaults: `at+jwt` only, 30 s clock skew, `iat` taken as it stands, any tenant of the
    /// template, no e-mail domains, `email_verified` ignored; any audience, as the resource asks for its own.
    pub fn new(issuer: IssuerName, realm: impl Into<String>, lifetime_max: u64, keys: KeySet) -> Self {
        Self {
            issuer,
            realm: realm.into(),
            token_types: vec!["at+jwt".to_owned()],
            lifetime_max,
            clock_skew: CLOCK_SKEW_DEFAULT,
            issued_at_offset: 0,
            audiences: AudienceRule::Any,
            tenants: TenantRule::Any,
            email_domains: BTreeMap::new(),
            email_verified: EmailVerified::Ignore,
            keys,
        }
    }

    /// When a token was issued that says `iat`.
    pub(crate) fn issued_at(&self, iat: u64) -> u64 {
        iat.saturating_add(self.issued_at_offset)
    }
}

/// What an issuer's claim `email_verified` is worth.
///
/// ```
/// use countersign_token::{EmailVerified, IssuerName, IssuerRecord, KeySet};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut record = IssuerRecord::new(IssuerName::parse("https://id.example")?, "staff", 3_600, KeySet::new(vec![]));
/// assert_eq!(record.email_verified, EmailVerified::Ignore);
/// record.email_verified = EmailVerified::Believe;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EmailVerified {
    /// Nothing: who verified what, and when, the claim does not say.
    #[default]
    Ignore,
    /// It counts: this issuer sets it only for mailboxes that it has seen used, and takes it back on a change.
    Believe,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "7b1d9f0e-4c1a-4f2b-9a3e-0c5d6e7f8a9b";

    #[test]
    fn templates_match_a_lower_case_guid_at_its_place_only() {
        let name = IssuerName::parse("https://login.example/{tenantid}/v2.0").unwrap();
        let iss = format!("https://login.example/{TENANT}/v2.0");
        assert_eq!(name.matches(&iss), Some(IssuerMatch { tenant: Some(TENANT) }));
        for iss in [
            "https://login.example/{tenantid}/v2.0".to_owned(),
            format!("https://login.example/{}/v2.0", TENANT.to_uppercase()),
            format!("https://login.example/{TENANT}/v2.0/"),
            format!("https://login.example/{TENANT}"),
            format!("https://login.example/x/{TENANT}/v2.0"),
            format!("https://login.example/{TENANT}/{TENANT}/v2.0"),
            format!("https://login.example/{{{TENANT}}}/v2.0"),
            "https://login.example//v2.0".to_owned(),
            "https://login.example/common/v2.0".to_owned(),
            format!("https://evil.example/https://login.example/{TENANT}/v2.0"),
            "https://login.example/v2.0".to_owned(),
        ] {
            assert_eq!(name.matches(&iss), None, "{iss}");
        }
    }

    #[test]
    fn exact_names_are_compared_byte_by_byte() {
        let name = IssuerName::parse("https://good.example").unwrap();
        assert!(name.matches("https://good.example").is_some());
        for iss in [
            "https://good.example/",
            "https://GOOD.example",
            "https://good.example.evil",
            "https://good",
            "",
        ] {
            assert!(name.matches(iss).is_none(), "{iss}");
        }
    }

    #[test]
    fn misplaced_placeholders_are_refused() {
        use IssuerNameError::{CharacterForbidden, Empty, PlaceholderMisplaced, PlaceholderUnknown};
        for (text, error) in [
            ("", Empty),
            ("https://a b", CharacterForbidden),
            ("https://{tenantid}/", PlaceholderMisplaced),
            ("https://{tenantid}.example/", PlaceholderMisplaced),
            ("https:///{tenantid}/", PlaceholderMisplaced),
            ("https://h.example/x{tenantid}", PlaceholderMisplaced),
            ("https://h.example/{tenantid}x", PlaceholderMisplaced),
            ("https://h.example?t={tenantid}", PlaceholderMisplaced),
            ("https://h.example/{tenantid}/{tenantid}", PlaceholderUnknown),
            ("https://h.example/{tenant}", PlaceholderUnknown),
        ] {
            assert_eq!(IssuerName::parse(text), Err(error), "{text}");
        }
    }
}
