//! The JOSE header: a closed list of members.

use crate::json::{self, Fault, Reader, Value};
use crate::key::Algorithm;
use crate::limits::KEY_ID_BYTES_MAX;
use crate::reason::{Detail, Reason, Refusal};
use crate::span::{Keeper, Span};

/// A header that is strict JSON. What is wrong with its content stands in the list of faults beside it.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a> {
    text: &'a str,
    parts: &'a HeaderParts,
}

impl<'a> Header<'a> {
    pub(crate) fn new(text: &'a str, parts: &'a HeaderParts) -> Self {
        Self { text, parts }
    }

    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        self.parts.algorithm
    }

    pub(crate) fn algorithm_name(self) -> Option<&'a str> {
        self.part(self.parts.algorithm_name)
    }

    pub(crate) fn key_id(self) -> Option<&'a str> {
        self.part(self.parts.key_id)
    }

    /// In lower case and without `application/`.
    pub(crate) fn token_type(self) -> Option<&'a str> {
        self.part(self.parts.token_type)
    }

    fn part(self, span: Option<Span>) -> Option<&'a str> {
        span.map(|span| span.of(self.text))
    }
}

/// What was found, and where it stands in the token's text.
#[derive(Debug, Default)]
pub(crate) struct HeaderParts {
    algorithm: Option<Algorithm>,
    algorithm_name: Option<Span>,
    key_id: Option<Span>,
    token_type: Option<Span>,
}

/// Reads a header and adds what is wrong with it to `faults`. `None` if it is not strict JSON.
pub(crate) fn read(
    text: &str,
    place: Span,
    keeper: &mut Keeper,
    faults: &mut Vec<Refusal>,
) -> Option<HeaderParts> {
    let mut parts = HeaderParts::default();
    let fault = match parts.read(Reader::within(text, place), keeper, faults) {
        Ok(()) => return Some(parts),
        Err(fault) => fault,
    };
    faults.push(match fault {
        Fault::Syntax => Refusal::new(Reason::HeaderJsonInvalid, "not one strict JSON object"),
        Fault::TooComplex => Refusal::new(Reason::HeaderJsonInvalid, "too deep or too many members"),
        Fault::Repeated => Refusal::new(Reason::HeaderMemberRepeated, "a member stands twice"),
        Fault::CaseVariant => Refusal::new(Reason::HeaderMemberRepeated, "a registered name in another case"),
    });
    None
}

/// A header with a text of its own, for what is no token.
pub(crate) struct OwnHeader {
    text: String,
    parts: HeaderParts,
}

impl OwnHeader {
    pub(crate) fn read(json: Vec<u8>) -> Result<Self, Refusal> {
        let mut faults = Vec::new();
        // What is not UTF-8 is no JSON either, and neither is an empty text.
        let mut text = String::from_utf8(json).unwrap_or_default();
        let mut keeper = Keeper::behind(&text);
        let parts = read(&text, Span::new(0, text.len()), &mut keeper, &mut faults);
        if let Some(refusal) = faults.into_iter().min_by_key(|fault| fault.reason) {
            return Err(refusal);
        }
        text.push_str(keeper.addition());
        let parts = parts.unwrap_or_default();
        parts.fold_token_type(&mut text);
        Ok(Self { text, parts })
    }

    pub(crate) fn header(&self) -> Header<'_> {
        Header::new(&self.text, &self.parts)
    }
}

/// `typ` without `application/`, which may be left out (RFC 7515 §4.1.9). What remains is compared without case.
pub(crate) fn bare_token_type(text: &str) -> &str {
    const PREFIX: &str = "application/";
    match text.split_at_checked(PREFIX.len()) {
        // Any other slash means that the prefix was not left out but belongs to the name.
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => text,
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

impl HeaderParts {
    /// Writes `typ` in lower case, once all of the text is there.
    pub(crate) fn fold_token_type(&self, text: &mut str) {
        if let Some(token_type) = self.token_type.and_then(|span| span.of_mut(text)) {
            token_type.make_ascii_lowercase();
        }
    }

    fn read(
        &mut self,
        mut reader: Reader<'_>,
        keeper: &mut Keeper,
        faults: &mut Vec<Refusal>,
    ) -> Result<(), Fault> {
        let mut has_algorithm = false;
        reader.object(|reader, name| {
            let name = name.unescaped();
            let Some((known, member)) = MEMBERS.iter().find(|(known, _)| *known == name) else {
                if MEMBERS.iter().any(|(known, _)| json::reads_as(&name, known)) {
                    return Err(Fault::CaseVariant);
                }
                reader.member_value()?;
                faults.push(unknown(&name));
                return Ok(());
            };
            has_algorithm |= *known == "alg";
            if let Err(reason) = self.take(member, reader.member_value()?, keeper) {
                faults.push(Refusal {
                    reason,
                    detail: Detail::Member(known),
                });
            }
            Ok(())
        })?;
        reader.end()?;
        if !has_algorithm {
            faults.push(Refusal {
                reason: Reason::AlgorithmMissing,
                detail: Detail::Member("alg"),
            });
        }
        Ok(())
    }

    fn take(&mut self, member: &Member, value: Value<'_>, keeper: &mut Keeper) -> Result<(), Reason> {
        if let Member::Forbidden(reason) = member {
            return Err(*reason);
        }
        let Value::Text(text) = value else {
            return Err(Reason::HeaderMemberInvalid);
        };
        let meant = text.unescaped();
        if meant.is_empty() || meant.len() > KEY_ID_BYTES_MAX {
            return Err(Reason::HeaderMemberInvalid);
        }
        match member {
            Member::Algorithm => {
                self.algorithm_name = Some(keeper.keep(text));
                self.algorithm = Some(algorithm(&meant)?);
            }
            Member::KeyId => self.key_id = Some(keeper.keep(text)),
            Member::TokenType => {
                let bare = bare_token_type(&meant).len();
                self.token_type = Some(keeper.keep(text).last(bare));
            }
            Member::CertificateThumbprint | Member::Forbidden(_) => {}
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Refusal {
    let note = if name == "nonce" {
        "`nonce`: a Microsoft Graph token, which only Graph can check"
    } else {
        "a member not on the list"
    };
    Refusal::new(Reason::HeaderMemberUnknown, note)
}

fn algorithm(name: &str) -> Result<Algorithm, Reason> {
    Algorithm::from_name(name).ok_or_else(|| match name.to_ascii_uppercase().as_str() {
        "NONE" => Reason::AlgorithmNone,
        "HS256" | "HS384" | "HS512" => Reason::AlgorithmSymmetric,
        _ => Reason::AlgorithmUnsupported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<Reason>) {
        let mut faults = Vec::new();
        let header = read(
            json,
            Span::new(0, json.len()),
            &mut Keeper::default(),
            &mut faults,
        );
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
            assert_eq!(bare_token_type(text).to_ascii_lowercase(), expected);
        }
    }
}
