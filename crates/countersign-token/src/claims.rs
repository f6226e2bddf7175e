//! The claims this verifier reads; the others are only checked to be strict JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::confirmation::Confirmation;
use crate::email;
use crate::json::{self, Any, Fault, Guard, Names, Shape};
use crate::reason::{Detail, Reason, Refusal};

/// Claims that are strict JSON, each of the right type or absent.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) issuer: Option<Box<str>>,
    pub(crate) subject: Option<Box<str>>,
    pub(crate) audience: Vec<String>,
    pub(crate) expires_at: Option<u64>,
    pub(crate) not_before: Option<u64>,
    pub(crate) issued_at: Option<u64>,
    pub(crate) token_id: Option<Box<str>>,
    pub(crate) client_id: Option<Box<str>>,
    /// `azp` (OIDC, Entra v2) and `appid` (Entra v1): how issuers without RFC 9068 name the client.
    pub(crate) authorized_party: Option<Box<str>>,
    pub(crate) application_id: Option<Box<str>>,
    pub(crate) session_id: Option<Box<str>>,
    pub(crate) tenant: Option<Box<str>>,
    pub(crate) email: Option<Box<str>>,
    pub(crate) scope: Option<Box<str>>,
    /// `scp`: the scopes of issuers that do not write `scope` (Entra a text, Okta a list).
    pub(crate) scopes: Option<Box<str>>,
    /// `act.sub`: who acts for the subject (RFC 8693 §4.1).
    pub(crate) actor: Option<Box<str>>,
    pub(crate) confirmation: Option<Confirmation>,
    pub(crate) object_id: Option<Box<str>>,
    pub(crate) email_domain_verified: bool,
    pub(crate) email_verified: bool,
}

impl Claims {
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub(crate) fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    pub(crate) fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    pub(crate) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    pub(crate) fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    pub(crate) fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    pub(crate) fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    pub(crate) fn not_before(&self) -> Option<u64> {
        self.not_before
    }

    pub(crate) fn issued_at(&self) -> Option<u64> {
        self.issued_at
    }

    /// `cnf`: what the holder must prove to have.
    pub(crate) fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }

    /// `oid`: the user in his tenant, for all applications (Entra).
    pub(crate) fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    /// `xms_edov`: Entra says that the domain of `email` is the tenant's, or that it saw the mailbox used.
    pub(crate) fn email_domain_verified(&self) -> bool {
        self.email_domain_verified
    }

    /// `email_verified` (OIDC): the issuer says so, on grounds of its own.
    pub(crate) fn email_verified(&self) -> bool {
        self.email_verified
    }

    pub(crate) fn audience(&self) -> impl Iterator<Item = &str> + Clone {
        self.audience.iter().map(String::as_str)
    }

    /// The client, under whichever name the issuer uses.
    pub(crate) fn client(&self) -> Option<&str> {
        self.client_id
            .as_deref()
            .or(self.authorized_party.as_deref())
            .or(self.application_id.as_deref())
    }

    /// Granted scopes, separated by spaces.
    pub(crate) fn scope(&self) -> Option<&str> {
        self.scope.as_deref().or(self.scopes.as_deref())
    }
}

/// Reads claims and adds what is wrong with them to `faults`. `None` if they are not strict JSON.
pub(crate) fn read(json: &[u8], faults: &mut Vec<Refusal>) -> Option<Claims> {
    let guard = Guard::default();
    let fault = match json::read(
        json,
        &guard,
        ClaimsSeed {
            guard: &guard,
            faults,
        },
    ) {
        Ok(claims) => {
            check_times(&claims, faults);
            return Some(claims);
        }
        Err(fault) => fault,
    };
    faults.push(match fault {
        Fault::Syntax => Refusal::new(Reason::ClaimsJsonInvalid, "not one strict JSON object"),
        Fault::TooComplex => Refusal::new(Reason::ClaimsJsonInvalid, "too deep or too many members"),
        Fault::Repeated => Refusal::new(Reason::ClaimRepeated, "a member stands twice in one object"),
        Fault::CaseVariant => Refusal::new(Reason::ClaimRepeated, "a registered name in another case"),
    });
    None
}

#[derive(Clone, Copy, PartialEq)]
enum Claim {
    Issuer,
    Subject,
    Audience,
    ExpiresAt,
    NotBefore,
    IssuedAt,
    TokenId,
    ClientId,
    AuthorizedParty,
    ApplicationId,
    SessionId,
    Tenant,
    Email,
    Scope,
    Scopes,
    Actor,
    Confirmation,
    ObjectId,
    EmailDomainVerified,
    EmailVerified,
}

const CLAIMS: &[(&str, Claim)] = &[
    ("iss", Claim::Issuer),
    ("sub", Claim::Subject),
    ("aud", Claim::Audience),
    ("exp", Claim::ExpiresAt),
    ("nbf", Claim::NotBefore),
    ("iat", Claim::IssuedAt),
    ("jti", Claim::TokenId),
    ("client_id", Claim::ClientId),
    ("azp", Claim::AuthorizedParty),
    ("appid", Claim::ApplicationId),
    ("sid", Claim::SessionId),
    ("tid", Claim::Tenant),
    ("email", Claim::Email),
    ("scope", Claim::Scope),
    ("scp", Claim::Scopes),
    ("act", Claim::Actor),
    ("cnf", Claim::Confirmation),
    ("oid", Claim::ObjectId),
    ("xms_edov", Claim::EmailDomainVerified),
    ("email_verified", Claim::EmailVerified),
];

struct ClaimsSeed<'g> {
    guard: &'g Guard,
    faults: &'g mut Vec<Refusal>,
}

impl<'de> DeserializeSeed<'de> for ClaimsSeed<'_> {
    type Value = Claims;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Claims, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ClaimsSeed<'_> {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claims set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut claims = Claims::default();
        let mut names = Names::new(self.guard);
        while let Some(name) = names.next(&mut map)? {
            let registered = CLAIMS.iter().find(|(known, _)| json::reads_as(name, known));
            let any = Any {
                guard: self.guard,
                depth: 1,
            };
            let taken = match registered {
                None => map.next_value_seed(any).map(|_| true)?,
                // `TID` beside or in place of `tid`: a lax reader further on would take it for the claim.
                Some((known, _)) if *known != name => return Err(self.guard.stop(Fault::CaseVariant)),
                Some((_, claim)) => claims.take(*claim, map.next_value_seed(any)?),
            };
            if let (false, Some((known, _))) = (taken, registered) {
                self.faults.push(Refusal {
                    reason: Reason::ClaimInvalid,
                    detail: Detail::Member(known),
                });
            }
        }
        Ok(claims)
    }
}

impl Claims {
    /// Takes a value over if it has the claim's type.
    fn take(&mut self, claim: Claim, value: Shape<'_>) -> bool {
        if let Some(slot) = self.text_slot(claim) {
            let Shape::Text(text) = value else { return false };
            let fits = !text.is_empty() || claim == Claim::Scope || claim == Claim::Scopes;
            *slot = Some(text.into());
            return fits;
        }
        match (claim, value) {
            (Claim::ExpiresAt, Shape::Unsigned(time)) => self.expires_at = Some(time),
            (Claim::NotBefore, Shape::Unsigned(time)) => self.not_before = Some(time),
            (Claim::IssuedAt, Shape::Unsigned(time)) => self.issued_at = Some(time),
            (Claim::Audience, Shape::Text(text)) if !text.is_empty() => {
                self.audience = vec![text.into_owned()];
            }
            (Claim::Audience, Shape::Texts(texts))
                if !texts.is_empty() && !texts.iter().any(String::is_empty) =>
            {
                self.audience = texts;
            }
            (Claim::Scopes, Shape::Texts(texts)) if texts.iter().all(|text| is_scope(text)) => {
                self.scopes = Some(texts.join(" ").into());
            }
            (Claim::Scopes, Shape::Text(text)) => self.scopes = Some(text.into()),
            (Claim::Actor, Shape::Object(actor))
                if actor.subject.as_deref().is_some_and(|s| !s.is_empty()) =>
            {
                self.actor = actor.subject;
            }
            (Claim::Confirmation, Shape::Object(members)) => {
                self.confirmation = Confirmation::read(&members);
                return self.confirmation.is_some();
            }
            // Whatever does not say yes says no, and refuses no token by itself.
            (Claim::EmailDomainVerified, value) => {
                self.email_domain_verified = email::is_domain_verified(&value);
            }
            (Claim::EmailVerified, value) => self.email_verified = value == Shape::Bool(true),
            _ => return false,
        }
        true
    }

    fn text_slot(&mut self, claim: Claim) -> Option<&mut Option<Box<str>>> {
        Some(match claim {
            Claim::Issuer => &mut self.issuer,
            Claim::Subject => &mut self.subject,
            Claim::TokenId => &mut self.token_id,
            Claim::ClientId => &mut self.client_id,
            Claim::AuthorizedParty => &mut self.authorized_party,
            Claim::ApplicationId => &mut self.application_id,
            Claim::SessionId => &mut self.session_id,
            Claim::Tenant => &mut self.tenant,
            Claim::Email => &mut self.email,
            Claim::Scope => &mut self.scope,
            Claim::ObjectId => &mut self.object_id,
            Claim::Audience
            | Claim::ExpiresAt
            | Claim::NotBefore
            | Claim::IssuedAt
            | Claim::Scopes
            | Claim::Actor
            | Claim::Confirmation
            | Claim::EmailDomainVerified
            | Claim::EmailVerified => return None,
        })
    }
}

/// A scope inside a list must not smuggle in a second one.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// A token that ends before it begins was never valid, and no clock difference makes it so.
fn check_times(claims: &Claims, faults: &mut Vec<Refusal>) {
    let Some(expires_at) = claims.expires_at else {
        return;
    };
    for (beginning, bound) in [
        (claims.issued_at, "not after iat"),
        (claims.not_before, "not after nbf"),
    ] {
        let Some(limit) = beginning.filter(|beginning| expires_at <= *beginning) else {
            continue;
        };
        let detail = Detail::Amount {
            what: "exp",
            value: expires_at,
            bound,
            limit,
        };
        faults.push(Refusal {
            reason: Reason::ClaimInvalid,
            detail,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> (Option<Claims>, Option<Reason>) {
        let mut faults = Vec::new();
        let claims = read(json.as_bytes(), &mut faults);
        (claims, faults.iter().map(|f| f.reason).min())
    }

    #[test]
    fn claims_of_the_wrong_type_are_refused() {
        for json in [
            r#"{"exp":"1"}"#,
            r#"{"exp":1.5}"#,
            r#"{"exp":1e9}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":true}"#,
            r#"{"exp":null}"#,
            r#"{"exp":18446744073709551616}"#,
            r#"{"exp":1e300}"#,
            r#"{"nbf":"0"}"#,
            r#"{"iat":[1]}"#,
            r#"{"iat":5,"exp":5}"#,
            r#"{"iat":5,"exp":4}"#,
            r#"{"nbf":5,"exp":5}"#,
            r#"{"iat":1,"nbf":9,"exp":5}"#,
            r#"{"iss":["https://good","https://evil"]}"#,
            r#"{"iss":7}"#,
            r#"{"iss":{}}"#,
            r#"{"iss":null}"#,
            r#"{"iss":""}"#,
            r#"{"sub":1}"#,
            r#"{"sub":""}"#,
            r#"{"aud":[]}"#,
            r#"{"aud":["a",1]}"#,
            r#"{"aud":["a",""]}"#,
            r#"{"aud":{}}"#,
            r#"{"aud":""}"#,
            r#"{"scope":["a"]}"#,
            r#"{"scp":["a b"]}"#,
            r#"{"tid":null}"#,
            r#"{"tid":""}"#,
            r#"{"email":["a@b"]}"#,
            r#"{"act":{}}"#,
            r#"{"act":{"sub":1}}"#,
            r#"{"act":{"sub":""}}"#,
            r#"{"act":1}"#,
            r#"{"cnf":"x"}"#,
            r#"{"cnf":{"jkt":"x"}}"#,
            r#"{"cnf":{"jkt":""}}"#,
            r#"{"cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2="}}"#,
            r#"{"oid":7}"#,
        ] {
            assert_eq!(faults(json).1, Some(Reason::ClaimInvalid), "{json}");
        }
    }

    #[test]
    fn members_are_unique_at_every_depth() {
        for json in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":"a","\u0069ss":"b"}"#,
            r#"{"cnf":{"jkt":"a","jkt":"b"}}"#,
            r#"{"act":{"sub":"a","sub":"b"}}"#,
            r#"{"x":[[{"a":1,"a":2}]]}"#,
            r#"{"tid":"a","TID":"b"}"#,
            r#"{"Exp":1}"#,
            "{\"i\u{17f}s\":\"a\"}",
            r#"{"\u017fub":"a"}"#,
        ] {
            assert_eq!(faults(json).1, Some(Reason::ClaimRepeated), "{json}");
        }
    }

    #[test]
    fn only_an_object_is_a_claims_set() {
        for json in ["", "[]", "\"a\"", "1", "null", "{}x", "{\"iss\":\"\\ud800\"}"] {
            assert_eq!(faults(json).1, Some(Reason::ClaimsJsonInvalid), "{json}");
        }
    }

    #[test]
    fn good_claims_are_read() {
        let json = r#"{"iss":"i","aud":["a","b"],"exp":2,"iat":1,"scp":["r","w"],"act":{"sub":"x","act":{"sub":"y"}},
            "azp":"c","$serde_json::private::RawValue":"1","$serde_json::private::Number":"1"}"#;
        let (claims, fault) = faults(json);
        assert_eq!(fault, None);
        let claims = claims.unwrap();
        assert_eq!(claims.audience, ["a", "b"]);
        assert_eq!(claims.scope(), Some("r w"));
        assert_eq!(claims.client(), Some("c"));
        assert_eq!(claims.actor.as_deref(), Some("x"));
        assert!(claims.confirmation.is_none());
    }
}
