use std::fmt::Display;

use countersign_token::{ParsedToken, Reason, Registry, VerifiedToken, dangerous};
use serde::{Serialize, Serializer};

use crate::config::Mode;
use crate::forwarded::Forwarded;
use crate::line::OneLine;
use crate::redact::for_log;

/// How many entries of a list (audiences, scopes) stand in the log.
const LIST_LENGTH_MAX: usize = 32;

/// Admit or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The request goes on to the resource.
    Admit,
    /// It does not.
    Refuse,
}

/// What the ledger said of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvenanceAnswer {
    /// It was not asked: mode `off`, or an issuer whose issuances nobody records.
    NotAsked,
    /// The token was issued.
    Recorded,
    /// The token was never issued.
    NotRecorded,
    /// The ledger cannot be reached or is behind.
    CannotTell,
}

/// One decision, and at the same time one line of the decision log: the serialised members are the line's,
/// in this order. `docs/decision-log.md` says what each means.
///
/// Text of foreign origin is capped and never holds a token. With `decision` = `refuse` the token's facts may
/// be unverified claims.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// When, RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// The gate's name.
    pub gate: String,
    /// Admit or refuse.
    pub decision: Verdict,
    /// Why it was refused; with `admit` what would have refused it in mode `enforce`.
    #[serde(serialize_with = "reason_code")]
    pub reason: Option<Reason>,
    /// The mode applied: the resource's, or `enforce` for a suspect key, or `off` for an unrecorded issuer.
    pub mode: Option<Mode>,
    /// `iss`.
    pub issuer: Option<String>,
    /// The realm of the issuer's record.
    pub realm: Option<String>,
    /// The tenant the issuer's name or the token names.
    pub tenant: Option<String>,
    /// `kid`.
    pub key_id: Option<String>,
    /// The RFC 7638 thumbprint of the key meant, base64url.
    pub key_thumbprint: Option<String>,
    /// `alg`.
    pub algorithm: Option<String>,
    /// SHA-256 of the signing input, lower-case hexadecimal.
    pub fingerprint: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// `sid`.
    pub session_id: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `client_id`.
    pub client: Option<String>,
    /// `aud`.
    pub audience: Option<Vec<String>>,
    /// `scope`, word by word.
    pub scope: Option<Vec<String>>,
    /// `iat`, seconds since 1970.
    pub issued_at: Option<u64>,
    /// `exp`, seconds since 1970.
    pub expires_at: Option<u64>,
    /// What the ledger said; none when the decision fell before it was asked.
    pub provenance: Option<ProvenanceAnswer>,
    /// The position of the issuance in the ledger.
    pub ledger_index: Option<u64>,
    /// The number of the trust bundle in force.
    pub bundle: Option<u64>,
    /// The resource's name.
    pub resource: Option<String>,
    /// The method of the original request.
    pub method: Option<String>,
    /// The path of the original request, without the query.
    pub path: Option<String>,
    /// The address the proxy was called from.
    pub source_ip: Option<String>,
    /// The caller's `User-Agent`.
    pub user_agent: Option<String>,
    /// How long the decision took, in microseconds, without writing the log.
    pub duration_us: u64,
    /// The token, once all its rules passed: the source of the identity headers.
    #[serde(skip)]
    verified: Option<VerifiedToken>,
}

impl Decision {
    /// A refusal that knows nothing yet.
    pub(crate) fn new(time: String, gate: &str, forwarded: Forwarded) -> Self {
        Self {
            time,
            gate: gate.to_owned(),
            decision: Verdict::Refuse,
            reason: None,
            mode: None,
            issuer: None,
            realm: None,
            tenant: None,
            key_id: None,
            key_thumbprint: None,
            algorithm: None,
            fingerprint: None,
            token_id: None,
            session_id: None,
            subject: None,
            client: None,
            audience: None,
            scope: None,
            issued_at: None,
            expires_at: None,
            provenance: None,
            ledger_index: None,
            bundle: None,
            resource: None,
            method: forwarded.method,
            path: forwarded.path,
            source_ip: forwarded.source_ip,
            user_agent: forwarded.user_agent,
            duration_us: 0,
            verified: None,
        }
    }

    /// Whether the request goes on.
    pub fn admits(&self) -> bool {
        self.decision == Verdict::Admit
    }

    /// The identity that was admitted; none with a refusal.
    pub fn identity(&self) -> Option<&VerifiedToken> {
        self.verified.as_ref().filter(|_| self.admits())
    }

    /// The line of the decision log, with its line feed.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(1024);
        // Writing strings and numbers into memory cannot fail.
        let _ = self.serialize(&mut serde_json::Serializer::with_formatter(&mut line, OneLine));
        line.push(b'\n');
        line
    }

    /// Notes what a verified token says.
    pub(crate) fn note_verified(&mut self, token: VerifiedToken) {
        self.issuer = Some(for_log(&token.issuer()));
        self.realm = Some(token.realm().to_owned());
        self.tenant = token.tenant().map(|tenant| for_log(&tenant));
        self.key_id = Some(for_log(&token.key_id()));
        self.key_thumbprint = Some(token.key_thumbprint().to_base64url());
        self.algorithm = Some(token.algorithm().as_str().to_owned());
        self.token_id = token.token_id().map(|id| for_log(&id));
        self.session_id = token.session_id().map(|id| for_log(&id));
        self.subject = Some(for_log(&token.subject()));
        self.client = token.client_id().map(|client| for_log(&client));
        self.audience = Some(list(token.audience()));
        self.scope = Some(list(words(token.scope())));
        self.issued_at = Some(token.issued_at());
        self.expires_at = Some(token.expires_at());
        self.verified = Some(token);
    }

    /// Notes what a refused token claims. None of it is proved.
    pub(crate) fn note_unverified(&mut self, token: &ParsedToken, registry: &Registry) {
        let claims = dangerous::Unverified::of(token);
        let text = |value: Option<&str>| value.map(|value| for_log(&value));
        self.issuer = text(claims.issuer());
        self.key_id = text(claims.key_id());
        self.algorithm = text(claims.algorithm_name());
        self.token_id = text(claims.token_id());
        self.session_id = text(claims.session_id());
        self.subject = text(claims.subject());
        self.client = text(claims.client_id());
        self.audience = Some(list(claims.audience())).filter(|audience| !audience.is_empty());
        self.scope = claims.scope().map(|scope| list(words(scope)));
        self.issued_at = claims.issued_at();
        self.expires_at = claims.expires_at();
        self.tenant = text(claims.tenant());
        let Some((record, tenant)) = claims.issuer().and_then(|issuer| registry.issuer(issuer)) else {
            return;
        };
        self.realm = Some(record.realm.clone());
        self.tenant = text(tenant).or_else(|| self.tenant.take());
        let key = claims.key_id().and_then(|key_id| {
            record
                .keys
                .key(key_id)
                .or_else(|| registry.key_under_another_issuer(key_id, record))
        });
        self.key_thumbprint = key.map(|key| key.thumbprint().to_base64url());
    }
}

/// The words of a scope.
pub(crate) fn words(scope: &str) -> impl Iterator<Item = &str> {
    scope.split(' ').filter(|word| !word.is_empty())
}

fn list(entries: impl Iterator<Item = impl Display>) -> Vec<String> {
    entries
        .take(LIST_LENGTH_MAX)
        .map(|entry| for_log(&entry))
        .collect()
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde gives the member by reference"
)]
fn reason_code<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}
