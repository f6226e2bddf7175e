//! Who a token speaks for.

use std::fmt;

use crate::issuer::is_guid;

/// Who a token speaks for: what accounts, permissions and audit trails hang on.
///
/// The subject of an issuer, or, where the issuer speaks for a tenant and names the user by `oid`, that user of that
/// tenant: `sub` differs there from application to application. An e-mail address is never part of it: it changes
/// hands, and in a tenant of one's own one may set any.
///
/// ```
/// use std::collections::HashMap;
///
/// use countersign_token::Principal;
///
/// let ada = Principal::Subject { issuer: "https://id.example".into(), subject: "ada".into() };
/// let accounts = HashMap::from([(ada.clone(), 1)]);
/// assert_eq!(accounts.get(&ada), Some(&1));
/// assert_eq!(ada.to_string(), "https://id.example ada");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// A subject of an issuer.
    Subject {
        /// `iss`.
        issuer: Box<str>,
        /// `sub`.
        subject: Box<str>,
    },
    /// A user, or an application, of a tenant.
    Object {
        /// `tid`, a lower-case GUID.
        tenant: Box<str>,
        /// `oid`, a lower-case GUID.
        object: Box<str>,
    },
}

impl Principal {
    /// `tenant` is one the issuer speaks for. What is no GUID is no tenant or object of Entra's, and counts as absent.
    pub(crate) fn new(issuer: &str, subject: &str, tenant: Option<&str>, object: Option<&str>) -> Self {
        let guid = |text: Option<&str>| text.filter(|text| is_guid(text)).map(Into::into);
        match (guid(tenant), guid(object)) {
            (Some(tenant), Some(object)) => Self::Object { tenant, object },
            _ => Self::Subject {
                issuer: issuer.into(),
                subject: subject.into(),
            },
        }
    }
}

/// For logs, one line: `issuer subject` or `tenant/object`. An issuer has no space and a tenant no colon, so no two
/// principals print alike.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject { issuer, subject } => write!(f, "{issuer} {}", subject.escape_debug()),
            Self::Object { tenant, object } => write!(f, "{tenant}/{object}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e";
    const OBJECT: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

    #[test]
    fn a_tenant_and_an_object_make_a_principal_together_only() {
        let print = |tenant, object| Principal::new("https://i", "ada", tenant, object).to_string();
        assert_eq!(print(Some(TENANT), Some(OBJECT)), format!("{TENANT}/{OBJECT}"));
        for (tenant, object) in [
            (None, None),
            (Some(TENANT), None),
            (None, Some(OBJECT)),
            (Some("contoso"), Some(OBJECT)),
            (Some(TENANT), Some("ada@contoso.example")),
        ] {
            assert_eq!(print(tenant, object), "https://i ada");
        }
    }

    #[test]
    fn a_subject_cannot_forge_a_line() {
        let hostile = Principal::new("https://i", "ada\nhttps://j eve", None, None);
        assert_eq!(hostile.to_string(), "https://i ada\\nhttps://j eve");
    }
}
