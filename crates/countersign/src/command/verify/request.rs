//! The request of a batch line: what the holder of a token showed beside it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_token::dpop::{ReplayKey, ReplayStore, RequestUrl};
use countersign_token::{
    CertificateThumbprint, Check, Dpop, ParsedToken, Proofs, Reason, Refusal, VerifiedToken, dpop, verify,
};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A request as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    method: String,
    /// As the client sees it, with scheme and host; or the request target of an `https` request with its `Host`.
    url: String,
    #[serde(default)]
    headers: Headers,
    /// The DPoP nonces that count; without the member none was asked for.
    nonces: Option<Vec<String>>,
    /// `x5t#S256` of the client certificate, where there is no `Client-Cert` header.
    certificate_thumbprint: Option<String>,
}

impl Request {
    /// Verifies the token with what the request shows.
    pub(super) fn verify(
        &self,
        token: &str,
        check: &Check<'_>,
        used: &Used,
    ) -> Result<VerifiedToken, Refusal> {
        let is_bearer = self.is_bearer(token)?;
        let url = self.url()?;
        let nonces: Option<Vec<&str>> = self
            .nonces
            .as_ref()
            .map(|list| list.iter().map(String::as_str).collect());
        let shown: Vec<&str> = self.headers.of("dpop").collect();
        let mut request = dpop::Request::new(&self.method, &url, used);
        request.nonces = nonces.as_deref();
        let certificate = self.certificate()?;
        let mut proofs = Proofs::NONE;
        if !is_bearer {
            proofs = proofs.with_dpop(Dpop::new(&shown, request));
        }
        if let Some(der) = &certificate {
            proofs = proofs.with_certificate(der);
        }
        if let Some(text) = &self.certificate_thumbprint {
            let thumbprint = CertificateThumbprint::from_base64url(text)
                .ok_or_else(|| malformed("`certificate_thumbprint` is not SHA-256 in base64url"))?;
            proofs = proofs.with_certificate_thumbprint(thumbprint);
        }
        verify(&ParsedToken::parse(token)?, &check.with_proofs(proofs))
    }

    fn url(&self) -> Result<RequestUrl, Refusal> {
        let url = if self.url.starts_with('/') {
            let mut hosts = self.headers.of("host");
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => RequestUrl::from_parts("https", host, &self.url),
                _ => return Err(malformed("`url` has no host, and there is not one `Host` header")),
            }
        } else {
            RequestUrl::parse(&self.url)
        };
        url.map_err(|_| malformed("the address is not plainly one"))
    }

    /// Whether the token came as a bearer token: then a proof beside it is not looked at. Without the header only the
    /// proof says how it came.
    fn is_bearer(&self, token: &str) -> Result<bool, Refusal> {
        let mut values = self.headers.of("authorization");
        let Some(value) = values.next() else {
            return Ok(false);
        };
        if values.next().is_some() {
            let note = "the request has more than one `Authorization` header";
            return Err(Refusal::new(Reason::AuthorizationRepeated, note));
        }
        let (scheme, shown) = value.split_once(' ').unwrap_or((value, ""));
        let is_bearer = scheme.eq_ignore_ascii_case("Bearer");
        if !is_bearer && !scheme.eq_ignore_ascii_case("DPoP") {
            let note = "neither `Bearer` nor `DPoP`";
            return Err(Refusal::new(Reason::AuthorizationSchemeUnsupported, note));
        }
        if shown == token {
            Ok(is_bearer)
        } else {
            Err(malformed("`Authorization` does not hold this line's token"))
        }
    }

    /// The certificate in `Client-Cert` (RFC 9440): base64 between colons.
    fn certificate(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let mut values = self.headers.of("client-cert");
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let inside = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        match (inside.map(|text| STANDARD.decode(text)), values.next()) {
            (Some(Ok(der)), None) => Ok(Some(der)),
            _ => Err(malformed(
                "`Client-Cert` is not one certificate as RFC 9440 writes it",
            )),
        }
    }
}

fn malformed(note: &'static str) -> Refusal {
    Refusal::new(Reason::RequestMalformed, note)
}

/// The proofs used so far: one that came before in the batch is used up.
#[derive(Default)]
pub(super) struct Used(Mutex<HashSet<ReplayKey>>);

impl ReplayStore for Used {
    fn first_use(&self, key: &ReplayKey, _now: u64, _until: u64) -> bool {
        // Never forgotten: the lines of a batch need not stand in the order of their times.
        self.0.lock().is_ok_and(|mut used| used.insert(*key))
    }
}

/// Names and values, in order; a name that stands twice has both values.
#[derive(Debug, Default)]
struct Headers(Vec<(String, Vec<String>)>);

impl Headers {
    /// All values of a header. Names are compared without case.
    fn of(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(written, _)| written.eq_ignore_ascii_case(name))
            .flat_map(|(_, values)| values.iter().map(String::as_str))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of header names, each with a text or a list of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, values)) = map.next_entry::<String, Values>()? {
            headers.push((
                name,
                match values {
                    Values::One(value) => vec![value],
                    Values::Several(values) => values,
                },
            ));
        }
        Ok(Headers(headers))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Request {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn headers_have_no_case_and_may_stand_twice() {
        let text =
            r#"{"method":"GET","url":"https://a.example/","headers":{"DPoP":"1","x":"y","dpop":["2","3"]}}"#;
        assert_eq!(
            request(text).headers.of("dpop").collect::<Vec<_>>(),
            ["1", "2", "3"]
        );
        let twice = r#"{"method":"GET","url":"https://a.example/","headers":{"DPoP":"1","DPoP":"2"}}"#;
        assert_eq!(request(twice).headers.of("DPOP").count(), 2);
        for wrong in [
            r#"{"method":"GET"}"#,
            r#"{"method":"GET","url":"u","header":{}}"#,
            r#"{"method":"GET","url":"u","headers":[]}"#,
            r#"{"method":"GET","url":"u","headers":{"DPoP":7}}"#,
        ] {
            assert!(serde_json::from_str::<Request>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_scheme_says_whether_a_proof_is_looked_at() {
        let with = |value: &str| {
            let json = serde_json::json!({"method": "GET", "url": "u", "headers": {"authorization": value}});
            let request: Request = serde_json::from_value(json).unwrap();
            request.is_bearer("T").map_err(|refusal| refusal.code())
        };
        assert_eq!(with("Bearer T"), Ok(true));
        assert_eq!(with("bearer T"), Ok(true));
        assert_eq!(with("DPoP T"), Ok(false));
        assert_eq!(with("dpop T"), Ok(false));
        assert_eq!(with("Basic T"), Err("authorization_scheme_unsupported"));
        for other in ["DPoP U", "DPoP  T", "DPoP T ", "DPoP"] {
            assert_eq!(with(other), Err("request_malformed"), "{other}");
        }
        let two = r#"{"method":"GET","url":"u","headers":{"Authorization":["DPoP T","DPoP T"]}}"#;
        assert_eq!(
            request(two).is_bearer("T").unwrap_err().code(),
            "authorization_repeated"
        );
    }

    #[test]
    fn an_address_is_plainly_one() {
        let url = |url: &str, host: &[&str]| {
            let json = serde_json::json!({"method": "GET", "url": url, "headers": {"Host": host}});
            let request: Request = serde_json::from_value(json).unwrap();
            request
                .url()
                .map(|url| url.to_string())
                .map_err(|refusal| refusal.code())
        };
        let good = Ok("https://a.example/x".to_owned());
        assert_eq!(url("https://a.example/x?y", &[]), good);
        assert_eq!(url("/x?y", &["a.example"]), good);
        for (target, host) in [
            ("/x", &[][..]),
            ("/x", &["a.example", "a.example"]),
            ("/x", &["a.example/y?"]),
            ("x", &["a.example"]),
            ("https://u@a.example/x", &[]),
        ] {
            assert_eq!(url(target, host), Err("request_malformed"), "{target} {host:?}");
        }
    }

    #[test]
    fn a_certificate_stands_between_colons() {
        let with = |value: &str| {
            let json = serde_json::json!({"method": "GET", "url": "u", "headers": {"Client-Cert": value}});
            let request: Request = serde_json::from_value(json).unwrap();
            request.certificate().map_err(|refusal| refusal.code())
        };
        assert_eq!(with(":AQID:"), Ok(Some(vec![1, 2, 3])));
        for other in ["AQID", ":AQID", ":AQ:", ":A-ID:", ":", "", ":AQID:, :AQID:"] {
            assert_eq!(with(other), Err("request_malformed"), "{other}");
        }
        let two = r#"{"method":"GET","url":"u","headers":{"Client-Cert":[":AQID:",":AQID:"]}}"#;
        assert!(request(two).certificate().is_err());
        assert_eq!(
            request(r#"{"method":"GET","url":"u"}"#).certificate().unwrap(),
            None
        );
    }
}
