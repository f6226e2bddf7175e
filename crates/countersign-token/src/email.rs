//! Which e-mail addresses may be shown. None is ever an identity.

use crate::facts::Facts;
use crate::issuer::EmailVerified;
use crate::json::Value;

/// Whether somebody vouches for the token's `email`: the operator, who listed its domain as the tenant's own; Entra, by
/// `xms_edov`, for a tenant the issuer speaks for; or the issuer, by `email_verified`, where its record says that this
/// counts.
pub(crate) fn is_vouched_for(facts: &Facts<'_>) -> Option<bool> {
    let (record, claims) = (facts.record?, facts.claims?);
    let Some(domain) = claims.email().and_then(domain) else {
        return Some(false);
    };
    let tenant = facts.tenant();
    let owned = record.email_domains.get(tenant.unwrap_or_default());
    Some(
        owned.is_some_and(|owned| owned.iter().any(|owned| is_lower_case_of(owned, domain)))
            || (tenant.is_some() && claims.email_domain_verified())
            || (record.email_verified == EmailVerified::Believe && claims.email_verified()),
    )
}

/// The forms in which Entra writes that `xms_edov` holds. It is documented as a Boolean; `1`, `"1"` and `"true"` were seen.
pub(crate) fn is_domain_verified(value: Value<'_>) -> bool {
    match value {
        Value::Bool(value) => value,
        Value::Unsigned(value) => value == 1,
        Value::Text(text) => ["1", "true"].contains(&&*text.unescaped()),
        _ => false,
    }
}

/// The domain as written; `None` for what is not plainly one address.
fn domain(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    let plain = !local.is_empty() && !domain.is_empty() && email.bytes().all(|b| b.is_ascii_graphic());
    (plain && !domain.contains('@')).then_some(domain)
}

/// Owned domains are written in lower case. Compared byte by byte: no token is worth a copy here.
fn is_lower_case_of(owned: &str, domain: &str) -> bool {
    let lower = domain.bytes().map(|byte| byte.to_ascii_lowercase());
    owned.bytes().eq(lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Reader;

    #[test]
    fn only_plain_addresses_have_a_domain() {
        assert_eq!(domain("a@Example.COM"), Some("Example.COM"));
        assert!(is_lower_case_of("example.com", "Example.COM"));
        assert!(!is_lower_case_of("example.com", "example.co"));
        for email in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\u{430}.com",
            "\"a@x\"@b",
        ] {
            assert_eq!(domain(email), None, "{email}");
        }
    }

    #[test]
    fn xms_edov_says_yes_in_four_forms_only() {
        let says_yes = |json| is_domain_verified(Reader::new(json).value().unwrap());
        for yes in ["true", "1", r#""1""#, r#""true""#] {
            assert!(says_yes(yes), "{yes}");
        }
        for no in [
            "false",
            "0",
            "2",
            "1.0",
            "null",
            r#""0""#,
            r#""True""#,
            r#""yes""#,
            r#""""#,
            r#"["true"]"#,
            "{}",
        ] {
            assert!(!says_yes(no), "{no}");
        }
    }
}
