//! A case, and how cases are made: a good token, changed in one place.

use serde_json::Value;

use super::keys::{Keys, encode};
use super::world::{NOW, TENANT, tenant_issuer};

/// Whose rule refuses a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// A specification of JOSE or JWT says so: whoever answers otherwise breaks it.
    Rfc,
    /// So does the specification of a profile (access tokens, DPoP, mTLS, OAuth): a general JWT library leaves it to
    /// its caller.
    Profile,
    /// Countersign's own: a specification leaves the choice, or says nothing.
    Policy,
}

impl Basis {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rfc => "rfc",
            Self::Profile => "profile",
            Self::Policy => "policy",
        }
    }
}

/// One token and the answer to it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) basis: Basis,
    pub(super) token: String,
    /// What came beside the token, as a batch of `countersign verify` has it.
    pub(super) request: Option<Value>,
    pub(super) resource: &'static str,
    /// `None`: admitted.
    pub(super) reason: Option<&'static str>,
}

/// The members of an object as JSON text, in order, so that anything can be written, also twice.
#[derive(Debug, Clone)]
pub(super) struct Members(Vec<(String, String)>);

impl Members {
    pub(super) fn new(members: &[(&str, &str)]) -> Self {
        Self(
            members
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
        )
    }

    /// Replaces the member, or adds it.
    pub(super) fn with(mut self, name: &str, json: impl Into<String>) -> Self {
        let json = json.into();
        match self.0.iter_mut().find(|it| it.0 == name) {
            Some(member) => member.1 = json,
            None => self.0.push((name.to_owned(), json)),
        }
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.retain(|it| it.0 != name);
        self
    }

    /// The object with this text as its first members.
    pub(super) fn text_with(&self, first: &str) -> String {
        let text = self.text();
        format!("{{{first},{}", text.get(1..).unwrap_or_default())
    }

    pub(super) fn text(&self) -> String {
        let members: Vec<_> = self
            .0
            .iter()
            .map(|(name, json)| format!("\"{name}\":{json}"))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// All cases, and the keys that sign them.
pub(super) struct Cases {
    pub(super) keys: Keys,
    pub(super) list: Vec<Case>,
}

impl Cases {
    /// A case that is refused at the mail resource.
    pub(super) fn refuse(
        &mut self,
        basis: Basis,
        id: &str,
        title: &str,
        token: String,
        reason: &'static str,
    ) {
        self.at("mail", basis, id, title, token, Some(reason));
    }

    /// A token beside the bad ones that is good.
    pub(super) fn admit(&mut self, id: &str, title: &str, token: String) {
        self.at("mail", Basis::Rfc, id, title, token, None);
    }

    pub(super) fn at(
        &mut self,
        resource: &'static str,
        basis: Basis,
        id: &str,
        title: &str,
        token: String,
        reason: Option<&'static str>,
    ) {
        self.list.push(Case {
            id: id.to_owned(),
            title: title.to_owned(),
            basis,
            token,
            request: None,
            resource,
            reason,
        });
    }

    /// The last case came with this request.
    pub(super) fn with_request(&mut self, request: Value) {
        if let Some(case) = self.list.last_mut() {
            case.request = Some(request);
        }
    }

    /// The header of a good token of this key.
    pub(super) fn header(&mut self, kid: &str) -> Members {
        let algorithm = quoted(self.keys.algorithm(kid));
        Members::new(&[("alg", &algorithm), ("typ", "\"at+jwt\""), ("kid", &quoted(kid))])
    }

    /// Header, claims and signature of this key.
    pub(super) fn token(&mut self, kid: &str, header: &Members, claims: &Members) -> String {
        self.token_of_text(kid, &header.text(), claims.text())
    }

    pub(super) fn token_of_text(&mut self, kid: &str, header: &str, claims: impl AsRef<[u8]>) -> String {
        self.signed(kid, &format!("{}.{}", encode(header), encode(claims)))
    }

    /// The signing input with this key's signature.
    pub(super) fn signed(&mut self, kid: &str, input: &str) -> String {
        let signature = self.keys.sign(kid, input.as_bytes());
        with_signature(input, &signature)
    }

    /// A good token of the enterprise issuer with other claims.
    pub(super) fn with_claims(&mut self, claims: &Members) -> String {
        let header = self.header("ent-shared");
        self.token("ent-shared", &header, claims)
    }

    /// A good token of the enterprise issuer with another header.
    pub(super) fn with_header(&mut self, header: &Members) -> String {
        self.token("ent-shared", header, &claims())
    }
}

pub(super) fn with_signature(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", encode(signature))
}

/// The claims of a good token for the mail resource.
pub(super) fn claims() -> Members {
    let (iat, exp) = ((NOW - 60).to_string(), (NOW + 600).to_string());
    Members::new(&[
        ("iss", &quoted(&tenant_issuer(TENANT))),
        ("tid", &quoted(TENANT)),
        ("sub", "\"ada\""),
        ("aud", "\"https://mail.example\""),
        ("client_id", "\"mail-client\""),
        ("scope", "\"mail.read mail.send\""),
        ("jti", "\"token-1\""),
        ("iat", &iat),
        ("exp", &exp),
    ])
}

/// The same of an issuer without tenants.
pub(super) fn claims_of(issuer: &str) -> Members {
    claims().with("iss", quoted(issuer)).without("tid")
}
