//! The claims this verifier reads; the others are only checked to be strict JSON.

use crate::confirmation::Confirmation;
use crate::email;
use crate::json::{self, Fault, Nested, Reader, Value};
use crate::reason::{Detail, Reason, Refusal};
use crate::span::{Keeper, Span, Spans};

/// Claims that are strict JSON, each of the right type or absent.
#[derive(Clone, Copy)]
pub(crate) struct Claims<'a> {
    text: &'a str,
    parts: &'a ClaimParts,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(text: &'a str, parts: &'a ClaimParts) -> Self {
        Self { text, parts }
    }

    fn part(self, span: Option<Span>) -> Option<&'a str> {
        span.map(|span| span.of(self.text))
    }

    pub(crate) fn issuer(self) -> Option<&'a str> {
        self.part(self.parts.issuer)
    }

    pub(crate) fn subject(self) -> Option<&'a str> {
        self.part(self.parts.subject)
    }

    pub(crate) fn audience(self) -> impl Iterator<Item = &'a str> + Clone {
        self.parts.audience.iter().map(move |span| span.of(self.text))
    }

    pub(crate) fn expires_at(self) -> Option<u64> {
        self.parts.expires_at
    }

    pub(crate) fn not_before(self) -> Option<u64> {
        self.parts.not_before
    }

    pub(crate) fn issued_at(self) -> Option<u64> {
        self.parts.issued_at
    }

    pub(crate) fn token_id(self) -> Option<&'a str> {
        self.part(self.parts.token_id)
    }

    pub(crate) fn client_id(self) -> Option<&'a str> {
        self.part(self.parts.client_id)
    }

    /// The client, under whichever name the issuer uses: issuers without RFC 9068 write `azp` (OIDC, Entra v2) or
    /// `appid` (Entra v1).
    pub(crate) fn client(self) -> Option<&'a str> {
        let parts = self.parts;
        self.part(
            parts
                .client_id
                .or(parts.authorized_party)
                .or(parts.application_id),
        )
    }

    /// Whether every name for the client that stands there is the same one.
    pub(crate) fn names_one_client(self) -> bool {
        let parts = self.parts;
        let same = |other: Option<Span>| other.is_none() || self.part(other) == self.client();
        same(parts.authorized_party) && same(parts.application_id)
    }

    pub(crate) fn session_id(self) -> Option<&'a str> {
        self.part(self.parts.session_id)
    }

    pub(crate) fn tenant(self) -> Option<&'a str> {
        self.part(self.parts.tenant)
    }

    pub(crate) fn email(self) -> Option<&'a str> {
        self.part(self.parts.email)
    }

    /// Granted scopes, separated by spaces.
    pub(crate) fn scope(self) -> Option<&'a str> {
        self.part(self.parts.scope.or(self.parts.scopes))
    }

    /// `act.sub`: who acts for the subject (RFC 8693 §4.1).
    pub(crate) fn actor(self) -> Option<&'a str> {
        self.part(self.parts.actor)
    }

    /// `cnf`: what the holder must prove to have.
    pub(crate) fn confirmation(self) -> Option<&'a Confirmation> {
        self.parts.confirmation.as_ref()
    }

    /// `oid`: the user in his tenant, for all applications (Entra).
    pub(crate) fn object_id(self) -> Option<&'a str> {
        self.part(self.parts.object_id)
    }

    /// `xms_edov`: Entra says that the domain of `email` is the tenant's, or that it saw the mailbox used.
    pub(crate) fn email_domain_verified(self) -> bool {
        self.parts.email_domain_verified
    }

    /// `email_verified` (OIDC): the issuer says so, on grounds of its own.
    pub(crate) fn email_verified(self) -> bool {
        self.parts.email_verified
    }
}

/// What was found, and where it stands in the token's text.
#[derive(Debug, Default)]
pub(crate) struct ClaimParts {
    issuer: Option<Span>,
    subject: Option<Span>,
    audience: Spans,
    expires_at: Option<u64>,
    not_before: Option<u64>,
    issued_at: Option<u64>,
    token_id: Option<Span>,
    client_id: Option<Span>,
    authorized_party: Option<Span>,
    application_id: Option<Span>,
    session_id: Option<Span>,
    tenant: Option<Span>,
    email: Option<Span>,
    scope: Option<Span>,
    /// `scp`: the scopes of issuers that do not write `scope` (Entra a text, Okta a list).
    scopes: Option<Span>,
    actor: Option<Span>,
    confirmation: Option<Confirmation>,
    object_id: Option<Span>,
    email_domain_verified: bool,
    email_verified: bool,
}

/// Reads claims and adds what is wrong with them to `faults`. `None` if they are not strict JSON.
pub(crate) fn read(
    text: &str,
    place: Span,
    keeper: &mut Keeper,
    faults: &mut Vec<Refusal>,
) -> Option<ClaimParts> {
    let mut parts = ClaimParts::default();
    let fault = match parts.read(Reader::within(text, place), keeper, faults) {
        Ok(()) => {
            parts.check_times(faults);
            return Some(parts);
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

#[derive(Clone, Copy, Debug, PartialEq)]
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

/// Writes the registered names once, as a list and as a `match`; in bytes, because a text is compared with one name
/// after the other, and bytes are told apart letter by letter.
macro_rules! claims {
    ($($name:literal $claim:ident,)*) => {
        const NAMES: &[&str] = &[$(ascii($name),)*];

        impl Claim {
            fn of(name: &str) -> Option<Self> {
                match name.as_bytes() {
                    $($name => Some(Self::$claim),)*
                    _ => None,
                }
            }

            const fn name(self) -> &'static str {
                match self {
                    $(Self::$claim => ascii($name),)*
                }
            }
        }
    };
}

const fn ascii(name: &[u8]) -> &str {
    match str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => "",
    }
}

claims! {
    b"iss" Issuer,
    b"sub" Subject,
    b"aud" Audience,
    b"exp" ExpiresAt,
    b"nbf" NotBefore,
    b"iat" IssuedAt,
    b"jti" TokenId,
    b"client_id" ClientId,
    b"azp" AuthorizedParty,
    b"appid" ApplicationId,
    b"sid" SessionId,
    b"tid" Tenant,
    b"email" Email,
    b"scope" Scope,
    b"scp" Scopes,
    b"act" Actor,
    b"cnf" Confirmation,
    b"oid" ObjectId,
    b"xms_edov" EmailDomainVerified,
    b"email_verified" EmailVerified,
}

/// Whether `name`, which is not registered, is `TID` or the like: a lax reader further on would take it for `tid`.
fn is_case_variant(name: &str) -> bool {
    // Registered names are in lower case; what differs in case only has a letter that is not.
    let is_suspicious = |byte: u8| byte.is_ascii_uppercase() || !byte.is_ascii();
    name.bytes().any(is_suspicious) && NAMES.iter().any(|registered| json::reads_as(name, registered))
}

impl ClaimParts {
    fn read(
        &mut self,
        mut reader: Reader<'_>,
        keeper: &mut Keeper,
        faults: &mut Vec<Refusal>,
    ) -> Result<(), Fault> {
        reader.object(|reader, name| {
            let name = name.unescaped();
            let Some(claim) = Claim::of(&name) else {
                if is_case_variant(&name) {
                    return Err(Fault::CaseVariant);
                }
                return reader.member_value().map(drop);
            };
            if !self.take(claim, reader.member_value()?, keeper) {
                faults.push(Refusal {
                    reason: Reason::ClaimInvalid,
                    detail: Detail::Member(claim.name()),
                });
            }
            Ok(())
        })?;
        reader.end()
    }

    /// Takes a value over if it has the claim's type.
    fn take(&mut self, claim: Claim, value: Value<'_>, keeper: &mut Keeper) -> bool {
        if let Some(slot) = self.text_slot(claim) {
            let Value::Text(text) = value else { return false };
            *slot = Some(keeper.keep(text));
            return !text.is_empty() || claim == Claim::Scope;
        }
        match (claim, value) {
            (Claim::ExpiresAt, Value::Unsigned(time)) => self.expires_at = Some(time),
            (Claim::NotBefore, Value::Unsigned(time)) => self.not_before = Some(time),
            (Claim::IssuedAt, Value::Unsigned(time)) => self.issued_at = Some(time),
            (Claim::Audience, value) => return self.take_audience(value, keeper),
            (Claim::Scopes, value) => return self.take_scopes(value, keeper),
            (Claim::Actor, Value::Object(actor)) => {
                self.actor = subject_of(actor, keeper);
                return self.actor.is_some();
            }
            (Claim::Confirmation, Value::Object(methods)) => {
                self.confirmation = Confirmation::read(methods);
                return self.confirmation.is_some();
            }
            // Whatever does not say yes says no, and refuses no token by itself.
            (Claim::EmailDomainVerified, value) => {
                self.email_domain_verified = email::is_domain_verified(value);
            }
            (Claim::EmailVerified, value) => self.email_verified = value == Value::Bool(true),
            _ => return false,
        }
        true
    }

    fn text_slot(&mut self, claim: Claim) -> Option<&mut Option<Span>> {
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

    /// A text, or a list of them; none may be empty.
    fn take_audience(&mut self, value: Value<'_>, keeper: &mut Keeper) -> bool {
        let mut audience = Spans::default();
        let mut fits = true;
        let mut take = |value| match value {
            Value::Text(text) if !text.is_empty() => audience.push(keeper.keep(text)),
            _ => fits = false,
        };
        match value {
            Value::Array(list) => list.items(take),
            value => take(value),
        }
        if fits {
            self.audience = audience;
        }
        // A list may have been empty.
        fits && self.audience.iter().next().is_some()
    }

    /// A text, or a list of single scopes, which is kept as a text.
    fn take_scopes(&mut self, value: Value<'_>, keeper: &mut Keeper) -> bool {
        let list = match value {
            Value::Text(text) => {
                self.scopes = Some(keeper.keep(text));
                return true;
            }
            Value::Array(list) => list,
            _ => return false,
        };
        let mut scopes: Vec<_> = Vec::new();
        let mut fits = true;
        list.items(|value| match value {
            Value::Text(text) if is_scope(&text.unescaped()) => scopes.push(text.unescaped()),
            _ => fits = false,
        });
        if fits {
            self.scopes = Some(keeper.add(&scopes.join(" ")));
        }
        fits
    }

    /// A token that ends before it begins was never valid, and no clock difference makes it so.
    fn check_times(&self, faults: &mut Vec<Refusal>) {
        let Some(expires_at) = self.expires_at else {
            return;
        };
        for (beginning, bound) in [
            (self.issued_at, "not after iat"),
            (self.not_before, "not after nbf"),
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
}

/// `sub` of an actor: a text that is not empty.
fn subject_of(actor: Nested<'_>, keeper: &mut Keeper) -> Option<Span> {
    let mut subject = None;
    actor.members(|name, value| match value {
        Value::Text(text) if name == "sub" && !text.is_empty() => subject = Some(keeper.keep(text)),
        _ => {}
    });
    subject
}

/// A scope inside a list must not smuggle in a second one.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> (Option<ClaimParts>, Option<Reason>) {
        let mut faults = Vec::new();
        let claims = read(
            json,
            Span::new(0, json.len()),
            &mut Keeper::default(),
            &mut faults,
        );
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
        let mut keeper = Keeper::behind(json);
        let mut faults = Vec::new();
        let parts = read(json, Span::new(0, json.len()), &mut keeper, &mut faults).unwrap();
        assert!(faults.is_empty());
        let text = json.to_owned() + keeper.addition();
        let claims = Claims::new(&text, &parts);
        assert_eq!(claims.audience().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(claims.scope(), Some("r w"));
        assert_eq!(claims.client(), Some("c"));
        assert_eq!(claims.actor(), Some("x"));
        assert!(claims.confirmation().is_none());
    }
}
