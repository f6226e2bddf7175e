//! D04 to D06: the request that a proof is made for, its time, and that it counts once.

use serde_json::json;

use super::super::super::case::{Basis, Cases, quoted};
use super::super::super::world::NOW;
use super::{METHOD, URL, case, changed, request};
use Basis::{Policy, Profile};

/// `(id, title, htm, htu, basis, reason)`
type RequestRow = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Basis,
    Option<&'static str>,
);

const REQUESTS: &[RequestRow] = &[
    (
        "D04-post",
        "another method",
        "POST",
        URL,
        Profile,
        Some("proof_method_mismatch"),
    ),
    (
        "D04-case",
        "the method in lower case",
        "get",
        URL,
        Profile,
        Some("proof_method_mismatch"),
    ),
    (
        "D04-method-space",
        "the method with a space",
        "GET ",
        URL,
        Profile,
        Some("proof_method_mismatch"),
    ),
    (
        "D04-query",
        "a query, which does not count",
        "GET",
        "https://mail.example/inbox?unread",
        Profile,
        None,
    ),
    (
        "D04-fragment",
        "a fragment, which does not count",
        "GET",
        "https://mail.example/inbox#top",
        Profile,
        None,
    ),
    (
        "D04-port",
        "the default port",
        "GET",
        "https://mail.example:443/inbox",
        Profile,
        None,
    ),
    (
        "D04-host-case",
        "scheme and host in another case",
        "GET",
        "HTTPS://MAIL.example/inbox",
        Profile,
        None,
    ),
    (
        "D04-dots",
        "dot segments",
        "GET",
        "https://mail.example/drafts/../inbox",
        Profile,
        None,
    ),
    (
        "D04-escaped-dots",
        "dot segments, percent-encoded",
        "GET",
        "https://mail.example/drafts/%2e%2E/inbox",
        Profile,
        None,
    ),
    (
        "D04-escaped",
        "a letter, percent-encoded",
        "GET",
        "https://mail.example/%69nbox",
        Profile,
        None,
    ),
    (
        "D04-other-path",
        "another path",
        "GET",
        "https://mail.example/drafts",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-path-case",
        "the path in another case",
        "GET",
        "https://mail.example/Inbox",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-slash",
        "a slash more",
        "GET",
        "https://mail.example/inbox/",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-escaped-slash",
        "a slash more, percent-encoded",
        "GET",
        "https://mail.example/inbox%2F",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-two-slashes",
        "two slashes",
        "GET",
        "https://mail.example//inbox",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-no-path",
        "no path",
        "GET",
        "https://mail.example",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-other-port",
        "another port",
        "GET",
        "https://mail.example:8443/inbox",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-http",
        "`http`",
        "GET",
        "http://mail.example/inbox",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-other-host",
        "another host",
        "GET",
        "https://evil.example/inbox",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-host-prefix",
        "a host that begins like it",
        "GET",
        "https://mail.example.evil.example/inbox",
        Profile,
        Some("proof_url_mismatch"),
    ),
    (
        "D04-relative",
        "no host",
        "GET",
        "/inbox",
        Profile,
        Some("proof_url_invalid"),
    ),
    (
        "D04-urn",
        "an address without a host",
        "GET",
        "urn:inbox",
        Profile,
        Some("proof_url_invalid"),
    ),
    (
        "D05-user",
        "the good host as a user name",
        "GET",
        "https://mail.example@evil.example/inbox",
        Profile,
        Some("proof_url_invalid"),
    ),
    (
        "D05-evil-user",
        "a user name before the good host",
        "GET",
        "https://evil@mail.example/inbox",
        Policy,
        Some("proof_url_invalid"),
    ),
    (
        "D05-backslash",
        "a backslash in the host",
        "GET",
        "https://mail.example\\@evil.example/inbox",
        Profile,
        Some("proof_url_invalid"),
    ),
    (
        "D05-no-host",
        "an empty host",
        "GET",
        "https:///inbox",
        Profile,
        Some("proof_url_invalid"),
    ),
];

pub(super) fn requests(cases: &mut Cases, token: &str) {
    for (id, title, htm, htu, basis, reason) in REQUESTS {
        let proof = changed(cases, token, id, |header, claims| {
            (header, claims.with("htm", quoted(htm)).with("htu", quoted(htu)))
        });
        let title = format!("proof for {METHOD} {URL}: {title}");
        case(cases, (id, &title, *basis, *reason), token, request(proof));
    }
    for name in ["htm", "htu", "jti", "iat"] {
        let row = if name.starts_with('h') { "D04" } else { "D06" };
        let id = format!("{row}-no-{name}");
        let proof = changed(cases, token, &id, |header, claims| (header, claims.without(name)));
        let title = format!("proof: no `{name}`");
        case(
            cases,
            (&id, &title, Profile, Some("proof_malformed")),
            token,
            request(proof),
        );
    }
    // The proof is good for the inbox; the host of the request moves its path there.
    for (id, title, host, reason) in [
        (
            "D05-host-good",
            "a `Host` and a path",
            "mail.example",
            Some("proof_url_mismatch"),
        ),
        (
            "D05-host-query",
            "a `Host` with a path and a question mark",
            "mail.example/inbox?",
            Some("request_malformed"),
        ),
        (
            "D05-host-fragment",
            "a `Host` with a path and a number sign",
            "mail.example/inbox#",
            Some("request_malformed"),
        ),
        (
            "D05-host-user",
            "a `Host` with a user name",
            "x@mail.example",
            Some("request_malformed"),
        ),
        (
            "D05-host-list",
            "two hosts in one `Host`",
            "mail.example,mail.example",
            Some("request_malformed"),
        ),
    ] {
        let proof = changed(cases, token, id, |header, claims| (header, claims));
        let shown = json!({"method": METHOD, "url": "/admin", "headers": {"Host": host, "DPoP": proof}});
        let title = format!("a proof for the inbox in a request for `/admin`: {title}");
        case(cases, (id, &title, Profile, reason), token, shown);
    }
}

/// D06, the part about time and names.
pub(super) fn times(cases: &mut Cases, token: &str) {
    let outside = Some("proof_outside_window");
    for (id, title, iat, basis, reason) in [
        ("D06-oldest", "as old as it may be", NOW - 90, Policy, None),
        ("D06-old", "a second older", NOW - 91, Policy, outside),
        ("D06-zero", "from 1970", 0, Profile, outside),
        ("D06-newest", "as far ahead as it may be", NOW + 30, Policy, None),
        ("D06-new", "a second further", NOW + 31, Policy, outside),
        (
            "D06-next-year",
            "from next year",
            NOW + 31_536_000,
            Profile,
            outside,
        ),
    ] {
        let proof = changed(cases, token, id, |header, claims| {
            (header, claims.with("iat", iat.to_string()))
        });
        let title = format!("proof: {title}");
        case(cases, (id, &title, basis, reason), token, request(proof));
    }
    for (id, title, member, value, basis) in [
        (
            "D06-iat-text",
            "`iat` is a text",
            "iat",
            quoted(&NOW.to_string()),
            Profile,
        ),
        (
            "D06-jti-number",
            "`jti` is a number",
            "jti",
            "7".to_owned(),
            Profile,
        ),
        (
            "D06-jti-empty",
            "`jti` is empty",
            "jti",
            "\"\"".to_owned(),
            Policy,
        ),
        (
            "D06-jti-huge",
            "`jti` of 10 kB",
            "jti",
            quoted(&"j".repeat(10_000)),
            Policy,
        ),
    ] {
        let proof = changed(cases, token, id, |header, claims| {
            (header, claims.with(member, value))
        });
        let title = format!("proof: {title}");
        case(
            cases,
            (id, &title, basis, Some("proof_malformed")),
            token,
            request(proof),
        );
    }
}

/// D06, the part about replay: these stand in order. RFC 9449 §11.1 leaves it to the server whether it remembers.
pub(super) fn replays(cases: &mut Cases, token: &str) {
    let replayed = Some("proof_replayed");
    let with = |cases: &mut Cases, htm: &str, htu: &str| {
        changed(cases, token, "D06-once", |header, claims| {
            (header, claims.with("htm", quoted(htm)).with("htu", quoted(htu)))
        })
    };
    for (id, title, htm, htu, reason, basis) in [
        (
            "D06-refused-first",
            "a proof that is refused uses nothing up",
            "POST",
            URL,
            Some("proof_method_mismatch"),
            Profile,
        ),
        (
            "D06-first",
            "a proof for the first time",
            METHOD,
            URL,
            None,
            Profile,
        ),
        (
            "D06-replay",
            "the same proof again",
            METHOD,
            URL,
            replayed,
            Policy,
        ),
        (
            "D06-replay-spelt",
            "its `jti` again, with another spelling of the address",
            METHOD,
            "https://MAIL.example:443/%69nbox",
            replayed,
            Policy,
        ),
    ] {
        let proof = with(cases, htm, htu);
        case(cases, (id, title, basis, reason), token, request(proof));
    }
}
