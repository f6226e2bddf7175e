//! The JOSE header: a closed list of members.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::json::{self, Any, Fault, Guard, Names, Shape};
use crate::key::Algorithm;
use crate::limits::KEY_ID_BYTES_MAX;
use crate::reason::{Detail, Reason, Refusal};

/// A header that is strict JSON. What is wrong with its content stands in the list of faults beside it.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) algorithm_name: Option<Box<str>>,
    pub(crate) key_id: Option<Box<str>>,
    /// In lower case and without `application/`.
    pub(crate) token_type: Option<Box<str>>,
}

impl Header {
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    pub(crate) fn algorithm_name(&self) -> Option<&str> {
        self.algorithm_name.as_deref()
    }

    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    pub(crate) fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }
}

/// Reads a header and adds what is wrong with it to `faults`. `None` if it is not strict JSON.
pub(crate) fn read(json: &[u8], faults: &mut Vec<Refusal>) -> Option<Header> {
    let guard = Guard::default();
    match json::read(
        json,
        &guard,
        HeaderSeed {
            guard: &guard,
            faults,
        },
    ) {
        Ok(mut header) => {
            check_algorithm(&mut header, faults);
            Some(header)
        }
        Err(fault) => {
            faults.push(match fault {
                Fault::Syntax => Refusal::new(Reason::HeaderJsonInvalid, "not one strict JSON object"),
                Fault::TooComplex => Refusal::new(Reason::HeaderJsonInvalid, "too deep or too many members"),
                Fault::Repeated => Refusal::new(Reason::HeaderMemberRepeated, "a member stands twice"),
                Fault::CaseVariant => {
                    Refusal::new(Reason::HeaderMemberRepeated, "a registered name in another case")
                }
            });
            None
        }
    }
}

/// `typ` as it is compared (RFC 7515 §4.1.9): without case, without `application/`.
pub(crate) fn normalize_token_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        // Any other slash means that the prefix was not left out but belongs to the name.
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

/// What a registered header member means to us.
enum Member {
    Algorithm,
    KeyId,
    TokenType,
    /// Names a certificate. It brings no key and selects none, so it may stand there (Entra writes it).
    CertificateThumbprint,
    Forbidden(Reason),
}

/// The closed list: all registered JWS and JWE members. The rest is unknown.
const MEMBERS: &[(&str, Member)] = &[
    ("alg", Member::Algorithm),
    ("kid", Member::KeyId),
    ("typ", Member::TokenType),
    ("x5t", Member::CertificateThumbprint),
    ("x5t#S256", Member::CertificateThumbprint),
    ("jku", Member::Forbidden(Reason::HeaderKeyForbidden)),
    ("jwk", Member::Forbidden(Reason::HeaderKeyForbidden)),
    ("x5u", Member::Forbidden(Reason::HeaderKeyForbidden)),
    ("x5c", Member::Forbidden(Reason::HeaderKeyForbidden)),
    ("crit", Member::Forbidden(Reason::CriticalHeaderUnsupported)),
    ("b64", Member::Forbidden(Reason::CriticalHeaderUnsupported)),
    ("enc", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("zip", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("epk", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("apu", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("apv", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("iv", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("tag", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("p2s", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("p2c", Member::Forbidden(Reason::EncryptionUnsupported)),
    ("cty", Member::Forbidden(Reason::ContentTypeForbidden)),
];

struct HeaderSeed<'g> {
    guard: &'g Guard,
    faults: &'g mut Vec<Refusal>,
}

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = Header;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Header, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JOSE header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut names = Names::new(self.guard);
        while let Some(name) = names.next(&mut map)? {
            let registered = MEMBERS.iter().find(|(known, _)| json::reads_as(name, known));
            if registered.is_some_and(|(known, _)| *known != name) {
                return Err(self.guard.stop(Fault::CaseVariant));
            }
            let is_nonce = name == "nonce";
            let value = map.next_value_seed(Any {
                guard: self.guard,
                depth: 1,
            })?;
            match registered {
                Some((known, member)) => header.take(known, member, value, self.faults),
                None if is_nonce => self.faults.push(Refusal::new(
                    Reason::HeaderMemberUnknown,
                    "`nonce`: a Microsoft Graph token, which only Graph can check",
                )),
                None => self.faults.push(Refusal::new(
                    Reason::HeaderMemberUnknown,
                    "a member not on the list",
                )),
            }
        }
        Ok(header)
    }
}

impl Header {
    fn take(&mut self, name: &'static str, member: &Member, value: Shape<'_>, faults: &mut Vec<Refusal>) {
        if let Member::Forbidden(reason) = member {
            faults.push(Refusal {
                reason: *reason,
                detail: Detail::Member(name),
            });
            return;
        }
        let text = match value {
            Shape::Text(text) if !text.is_empty() && text.len() <= KEY_ID_BYTES_MAX => text,
            _ => {
                faults.push(Refusal {
                    reason: Reason::HeaderMemberInvalid,
                    detail: Detail::Member(name),
                });
                return;
            }
        };
        match member {
            Member::Algorithm => self.algorithm_name = Some(text.into()),
            Member::KeyId => self.key_id = Some(text.into()),
            Member::TokenType => self.token_type = Some(normalize_token_type(&text).into()),
            Member::CertificateThumbprint | Member::Forbidden(_) => {}
        }
    }
}

fn check_algorithm(header: &mut Header, faults: &mut Vec<Refusal>) {
    let Some(name) = header.algorithm_name.as_deref() else {
        if !faults
            .iter()
            .any(|fault| matches!(fault.detail, Detail::Member("alg")))
        {
            faults.push(Refusal {
                reason: Reason::AlgorithmMissing,
                detail: Detail::Member("alg"),
            });
        }
        return;
    };
    header.algorithm = Algorithm::from_name(name);
    if header.algorithm.is_some() {
        return;
    }
    let reason = match name.to_ascii_uppercase().as_str() {
        "NONE" => Reason::AlgorithmNone,
        "HS256" | "HS384" | "HS512" => Reason::AlgorithmSymmetric,
        _ => Reason::AlgorithmUnsupported,
    };
    faults.push(Refusal {
        reason,
        detail: Detail::Member("alg"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<Reason>) {
        let mut faults = Vec::new();
        let header = read(json.as_bytes(), &mut faults);
        assert_eq!(faults.iter().map(|f| f.reason).min(), expected, "{json:.120}");
        assert!(header.is_some() || expected.is_some());
    }

    #[test]
    fn the_list_of_members_is_closed() {
        use Reason::*;
        for (json, expected) in [
            (r#"{"alg":"ES256","kid":"k","typ":"at+jwt"}"#, None),
            (r#"{"alg":"RS256","kid":"k","x5t":"t","x5t#S256":"t"}"#, None),
            (
                r#"{"alg":"ES256","kid":"k","jku":"https://evil"}"#,
                Some(HeaderKeyForbidden),
            ),
            (
                r#"{"alg":"ES256","kid":"k","jwk":{"kty":"EC"}}"#,
                Some(HeaderKeyForbidden),
            ),
            (
                r#"{"alg":"ES256","kid":"k","x5u":"https://evil"}"#,
                Some(HeaderKeyForbidden),
            ),
            (
                r#"{"alg":"ES256","kid":"k","x5c":["a"]}"#,
                Some(HeaderKeyForbidden),
            ),
            (
                r#"{"alg":"ES256","kid":"k","crit":["x"],"x":1}"#,
                Some(CriticalHeaderUnsupported),
            ),
            (
                r#"{"alg":"ES256","kid":"k","crit":[]}"#,
                Some(CriticalHeaderUnsupported),
            ),
            (
                r#"{"alg":"ES256","kid":"k","b64":false}"#,
                Some(CriticalHeaderUnsupported),
            ),
            (
                r#"{"alg":"ES256","kid":"k","zip":"DEF"}"#,
                Some(EncryptionUnsupported),
            ),
            (
                r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
                Some(EncryptionUnsupported),
            ),
            (
                r#"{"alg":"PBES2-HS256+A128KW","p2c":1000000000}"#,
                Some(EncryptionUnsupported),
            ),
            (
                r#"{"alg":"ES256","kid":"k","cty":"JWT"}"#,
                Some(ContentTypeForbidden),
            ),
            (
                r#"{"alg":"ES256","kid":"k","iss":"https://i"}"#,
                Some(HeaderMemberUnknown),
            ),
            (
                r#"{"alg":"ES256","kid":"k","nonce":"n"}"#,
                Some(HeaderMemberUnknown),
            ),
            (
                "{\"alg\":\"ES256\",\"kid\":\"k\",\"\u{212a}id\":\"l\"}",
                Some(HeaderMemberRepeated),
            ),
            (r#"{"alg":"ES256","kid":""}"#, Some(HeaderMemberInvalid)),
            (r#"{"alg":"ES256","kid":7}"#, Some(HeaderMemberInvalid)),
            (r#"{"alg":"ES256","kid":null}"#, Some(HeaderMemberInvalid)),
            (r#"{"alg":["ES256"],"kid":"k"}"#, Some(HeaderMemberInvalid)),
            (r#"{"alg":5,"kid":"k"}"#, Some(HeaderMemberInvalid)),
            (r#"{"alg":"ES256","kid":"k","typ":{}}"#, Some(HeaderMemberInvalid)),
            (r#"{"kid":"k"}"#, Some(AlgorithmMissing)),
            (r#"{"alg":"none"}"#, Some(AlgorithmNone)),
            (r#"{"alg":"nOnE","kid":"k"}"#, Some(AlgorithmNone)),
            (r#"{"alg":"HS256","kid":"k"}"#, Some(AlgorithmSymmetric)),
            (r#"{"alg":"PS256","kid":"k"}"#, None),
            (r#"{"alg":"ES256K","kid":"k"}"#, Some(AlgorithmUnsupported)),
            (r#"{"alg":"es256","kid":"k"}"#, Some(AlgorithmUnsupported)),
            (r#"{"alg":"ES256","alg":"none"}"#, Some(HeaderMemberRepeated)),
            (r#"{"alg":"ES256","\u0061lg":"none"}"#, Some(HeaderMemberRepeated)),
            (r#"{"alg":"ES256","ALG":"none"}"#, Some(HeaderMemberRepeated)),
            (r#"{"Kid":"k","alg":"ES256"}"#, Some(HeaderMemberRepeated)),
            (
                r#"{"alg":"ES256","jwk":{"x":1,"x":2}}"#,
                Some(HeaderMemberRepeated),
            ),
            (r#"["ES256"]"#, Some(HeaderJsonInvalid)),
            (r#""ES256""#, Some(HeaderJsonInvalid)),
            ("null", Some(HeaderJsonInvalid)),
            ("", Some(HeaderJsonInvalid)),
            (r#"{"alg":"ES256"}{}"#, Some(HeaderJsonInvalid)),
        ] {
            check(json, expected);
        }
        check(
            &format!(
                r#"{{"alg":"ES256","kid":"{}"}}"#,
                "k".repeat(KEY_ID_BYTES_MAX + 1)
            ),
            Some(HeaderMemberInvalid),
        );
    }

    #[test]
    fn token_types_are_compared_without_case_and_prefix() {
        for (text, expected) in [
            ("at+jwt", "at+jwt"),
            ("AT+JWT", "at+jwt"),
            ("application/at+jwt", "at+jwt"),
            ("Application/AT+jwt", "at+jwt"),
            ("text/at+jwt", "text/at+jwt"),
            ("application/x/at+jwt", "application/x/at+jwt"),
        ] {
            assert_eq!(normalize_token_type(text), expected);
        }
    }
}
