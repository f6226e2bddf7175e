use axum::http::{HeaderMap, header};
use countersign_token::Reason;

/// The one bearer token of a request (RFC 6750 section 2.1). Tokens elsewhere, in the query, a cookie or the
/// body, are not looked at: each more place is one more that ends up in a log.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Reason> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Reason::TokenMissing)?;
    if values.next().is_some() {
        return Err(Reason::AuthorizationRepeated);
    }
    let value = value.to_str().map_err(|_| Reason::RequestMalformed)?;
    // Some proxies join repeated headers with a comma; neither a scheme nor a token holds one.
    if value.contains(',') {
        return Err(Reason::AuthorizationRepeated);
    }
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Reason::AuthorizationSchemeUnsupported);
    }
    let token = token.trim_start_matches(' ');
    if token.is_empty() || token.contains([' ', '\t']) {
        return Err(Reason::RequestMalformed);
    }
    Ok(token)
}

/// Whether a query carries a token where RFC 6750 section 2.3 would have it, in any spelling that a service may read
/// as that. Such a token is never read.
pub(crate) fn query_carries_token(query: &[u8]) -> bool {
    // Older readers separate by `;` too.
    query
        .split(|byte| *byte == b';')
        .flat_map(url::form_urlencoded::parse)
        .any(|(name, _)| reads_as_access_token(name.trim_start()))
}

/// .NET compares names without case; PHP makes an underscore of `.`, ` ` and `[`.
fn reads_as_access_token(name: &str) -> bool {
    let fold = |byte: u8| match byte {
        b'.' | b' ' | b'[' => b'_',
        _ => byte.to_ascii_lowercase(),
    };
    name.bytes().map(fold).eq(*b"access_token")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(values: &[&[u8]], expect: Result<&str, Reason>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(bearer(&headers), expect, "{values:?}");
    }

    #[test]
    fn one_bearer_token_is_found() {
        check(&[b"Bearer a.b.c"], Ok("a.b.c"));
        check(&[b"bearer   a.b.c"], Ok("a.b.c"));
    }

    #[test]
    fn anything_else_has_its_own_reason() {
        check(&[], Err(Reason::TokenMissing));
        check(
            &[b"Bearer a.b.c", b"Bearer a.b.c"],
            Err(Reason::AuthorizationRepeated),
        );
        check(
            &[b"Bearer a.b.c, Bearer d.e.f"],
            Err(Reason::AuthorizationRepeated),
        );
        check(
            &[b"Basic dXNlcjpwYXNz"],
            Err(Reason::AuthorizationSchemeUnsupported),
        );
        check(&[b"DPoP a.b.c"], Err(Reason::AuthorizationSchemeUnsupported));
        check(&[b"a.b.c"], Err(Reason::AuthorizationSchemeUnsupported));
        check(&[b""], Err(Reason::AuthorizationSchemeUnsupported));
        check(&[b"Bearer"], Err(Reason::RequestMalformed));
        check(&[b"Bearer a.b.c d"], Err(Reason::RequestMalformed));
        check(&[b"Bearer \xff"], Err(Reason::RequestMalformed));
    }

    #[test]
    fn a_token_in_the_query_is_noticed() {
        for query in [
            "a=b&access_token=x",
            "access_token",
            "access%5Ftoken=x",
            "%61ccess_token=x",
            "a=b;access_token=x",
            "Access_Token=x",
            "access.token=x",
            "access+token=x",
            "access[token=x",
            "+access_token=x",
        ] {
            assert!(query_carries_token(query.as_bytes()), "{query}");
        }
        for query in [
            "a=access_token",
            "access_token2=x",
            "xaccess_token=x",
            "a=%3Baccess_token=x",
            "",
        ] {
            assert!(!query_carries_token(query.as_bytes()), "{query}");
        }
    }
}
