use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};

use crate::config::Dialect;
use crate::redact::bytes_for_log;

/// The longest method written to the log. The longest registered one has 17 characters.
const METHOD_LENGTH_MAX: usize = 32;

/// The original request as the proxy in front describes it, for the decision log: a missing or odd value is
/// `None`, never a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) method: Option<String>,
    /// The path without the query: queries carry tokens and personal data.
    pub(crate) path: Option<String>,
    pub(crate) source_ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl Forwarded {
    /// The query of the original request: the service behind may read a token from it that nobody checked. Of several
    /// headers every one counts, for one of them is the request's.
    pub(crate) fn queries(dialect: Dialect, headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
        let uris = headers.get_all(family(dialect).uri).iter();
        uris.filter_map(|uri| uri.as_bytes().splitn(2, |byte| *byte == b'?').nth(1))
    }

    /// Reads the header family of one dialect and is deaf to all others: nginx passes a caller's
    /// `X-Forwarded-*` on untouched, Caddy and Traefik a caller's `X-Original-*`.
    pub(crate) fn read(dialect: Dialect, headers: &HeaderMap) -> Self {
        let family = family(dialect);
        Self {
            method: only(headers, family.method).and_then(method_of),
            path: only(headers, family.uri).and_then(path_of),
            source_ip: only(headers, family.client).and_then(address_of),
            user_agent: only(headers, "user-agent").map(|value| bytes_for_log(value.as_bytes())),
        }
    }
}

/// The headers that one proxy sets itself.
struct Family {
    method: &'static str,
    uri: &'static str,
    client: &'static str,
}

const fn family(dialect: Dialect) -> Family {
    match dialect {
        Dialect::Nginx => Family {
            method: "x-original-method",
            uri: "x-original-uri",
            client: "x-original-remote-addr",
        },
        Dialect::Caddy | Dialect::Traefik => Family {
            method: "x-forwarded-method",
            uri: "x-forwarded-uri",
            client: "x-forwarded-for",
        },
    }
}

/// The header's value if there is exactly one: of two, one was written by the caller.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn method_of(value: &HeaderValue) -> Option<String> {
    let method = value.to_str().ok()?;
    let fits = !method.is_empty()
        && method.len() <= METHOD_LENGTH_MAX
        && method
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    fits.then(|| method.to_owned())
}

fn path_of(value: &HeaderValue) -> Option<String> {
    let path = value
        .as_bytes()
        .split(|byte| matches!(byte, b'?' | b'#'))
        .next()?;
    Some(bytes_for_log(path))
}

/// The last address of a list is the one the proxy in front saw itself; those before it are hearsay.
fn address_of(value: &HeaderValue) -> Option<String> {
    let last = value.to_str().ok()?.rsplit(',').next()?.trim();
    last.parse::<IpAddr>().ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    const EVERY_FAMILY: &[(&str, &str)] = &[
        ("x-original-method", "PUT"),
        ("x-original-uri", "/nginx?access_token=abc"),
        ("x-original-remote-addr", "192.0.2.1"),
        ("x-forwarded-method", "POST"),
        ("x-forwarded-uri", "/caddy#part"),
        ("x-forwarded-for", "203.0.113.9, 192.0.2.2"),
        ("x-original-url", "/iis"),
        ("x-http-method-override", "DELETE"),
        ("user-agent", "test/1"),
    ];

    fn check(dialect: Dialect, pairs: &[(&'static str, &str)], expect: [Option<&str>; 3]) {
        let forwarded = Forwarded::read(dialect, &headers(pairs));
        let found = [&forwarded.method, &forwarded.path, &forwarded.source_ip];
        assert_eq!(found.map(Option::as_deref), expect, "{dialect:?} {pairs:?}");
    }

    #[test]
    fn each_dialect_reads_its_own_family_only() {
        check(
            Dialect::Nginx,
            EVERY_FAMILY,
            [Some("PUT"), Some("/nginx"), Some("192.0.2.1")],
        );
        check(
            Dialect::Caddy,
            EVERY_FAMILY,
            [Some("POST"), Some("/caddy"), Some("192.0.2.2")],
        );
        check(
            Dialect::Traefik,
            EVERY_FAMILY,
            [Some("POST"), Some("/caddy"), Some("192.0.2.2")],
        );
    }

    #[test]
    fn another_family_alone_is_not_heard() {
        check(
            Dialect::Nginx,
            &[("x-forwarded-method", "GET"), ("x-forwarded-uri", "/")],
            [None; 3],
        );
        check(
            Dialect::Caddy,
            &[("x-original-method", "GET"), ("x-original-uri", "/")],
            [None; 3],
        );
    }

    #[test]
    fn the_query_is_that_of_the_same_family() {
        let headers = headers(EVERY_FAMILY);
        let queries = |dialect| Forwarded::queries(dialect, &headers).collect::<Vec<_>>();
        assert_eq!(queries(Dialect::Nginx), [b"access_token=abc"]);
        assert!(queries(Dialect::Caddy).is_empty());
    }

    #[test]
    fn repeated_or_odd_values_are_left_out() {
        check(
            Dialect::Nginx,
            &[("x-original-uri", "/a"), ("x-original-uri", "/b")],
            [None; 3],
        );
        check(Dialect::Nginx, &[("x-original-method", "GET /")], [None; 3]);
        check(
            Dialect::Nginx,
            &[("x-original-remote-addr", "unknown")],
            [None; 3],
        );
    }
}
