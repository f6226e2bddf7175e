//! Sign, record, release: in this order, and nothing leaves that the ledger does not hold.
//!
//! The epoch of the key is read before it signs and compared by the ledger when the record gets its place. So a token
//! whose key was suspected, revoked or retired meanwhile is never recorded, and never released: it is thrown away, and
//! the next key signs another.

use std::fmt;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_ledger::{AppendError, Epoch, IssuanceDraft, IssuanceKind, KeyName, KeyStateCode};
use countersign_token::{Fingerprint, KeyState};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::grant::Grant;
use crate::issuer::Issuer;
use crate::keyring::key_name;

/// The longest text in a grant. Longer ones only make headers that servers refuse.
const TEXT_LENGTH_MAX: usize = 512;
/// Room for the claims of nearly every token, so that they are written in one go.
const CLAIMS_LENGTH_USUAL: usize = 512;
/// The most scopes in a grant.
const SCOPES_MAX: usize = 64;
/// A request whose key changes under it this often is turned away: keys do not change that fast.
const ATTEMPTS_MAX: usize = 4;

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The issuer is not one of this authority.
    #[error("this authority has no such issuer")]
    IssuerUnknown,
    /// A value of the grant is empty, too long or holds a control character.
    #[error("the grant's {0} is empty, too long or holds a control character")]
    GrantInvalid(&'static str),
    /// The lifetime asked for is zero or longer than the realm's longest.
    #[error("the lifetime is not between one second and the realm's longest")]
    LifetimeNotAllowed,
    /// The subject token of an exchange has expired meanwhile.
    #[error("the subject token has expired")]
    SubjectExpired,
    /// The key of the subject token of an exchange has been distrusted meanwhile.
    #[error("the subject token's key is not trusted any more")]
    SubjectKeyDistrusted,
    /// The issuer's key may not sign now.
    #[error("the signing key is not active now")]
    KeyNotActive,
    /// The token would live longer than anything its key signs may.
    #[error("the signing key could not outlive the token")]
    KeyOutlived,
    /// The cryptographic library failed.
    #[error("the token could not be signed")]
    SigningFailed,
    /// The key was taken out of use while the token was being issued, so the token was thrown away.
    #[error("the signing key was taken out of use while the token was being issued")]
    KeyFenced,
    /// The ledger did not take the record, so the token was thrown away.
    #[error("the issuance could not be recorded: {0}")]
    RecordFailed(#[source] AppendError),
}

impl IssueError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IssuerUnknown => "issuer_unknown",
            Self::GrantInvalid(_) => "grant_invalid",
            Self::LifetimeNotAllowed => "lifetime_not_allowed",
            Self::SubjectExpired => "subject_expired",
            Self::SubjectKeyDistrusted => "subject_key_distrusted",
            Self::KeyNotActive => "key_not_active",
            Self::KeyOutlived => "key_outlived",
            Self::SigningFailed => "signing_failed",
            Self::KeyFenced => "key_fenced",
            Self::RecordFailed(_) => "record_failed",
        }
    }

    /// What to do next.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::IssuerUnknown => Some("use the `issuer` of a discovery document of this authority"),
            Self::LifetimeNotAllowed => Some("ask for less, or raise the realm's lifetime_max_seconds"),
            Self::KeyNotActive => Some("check the clock, and the issuer's keys with `countersign key list`"),
            Self::KeyFenced => Some("ask again: the next key is active"),
            Self::RecordFailed(_) => {
                Some("the token was not released; make the ledger writable and ask again")
            }
            Self::GrantInvalid(_)
            | Self::SubjectExpired
            | Self::SubjectKeyDistrusted
            | Self::KeyOutlived
            | Self::SigningFailed => None,
        }
    }
}

/// A token that the ledger holds.
#[derive(Clone)]
pub struct IssuedToken {
    /// The token itself.
    pub token: Zeroizing<String>,
    /// Seconds until it expires, counted from its issuance.
    pub expires_in: u64,
    /// When it expires, in unix seconds.
    pub expires_at: u64,
    /// The scopes it carries.
    pub scope: Vec<String>,
    /// Its name in the ledger and in every log.
    pub fingerprint: Fingerprint,
    /// Its position in the ledger.
    pub ledger_index: u64,
    /// The key that signed it.
    pub key_id: String,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "IssuedToken({} at {})",
            self.fingerprint, self.ledger_index
        )
    }
}

/// A signed token that nobody may see yet.
pub(crate) struct Unrecorded {
    token: Zeroizing<String>,
    expires_in: u64,
    key_id: String,
    record: IssuanceDraft,
    fingerprint: Fingerprint,
}

impl Authority {
    /// Issues a token in process: signed, recorded durably, then released.
    pub async fn issue(&self, grant: Grant) -> Result<IssuedToken, IssueError> {
        let issuer = self.issuer(&grant.issuer).ok_or(IssueError::IssuerUnknown)?;
        for _ in 0..ATTEMPTS_MAX {
            let signed = self.sign(issuer, &grant).await?;
            match self.record(signed, &grant).await {
                Err(IssueError::KeyFenced) => {}
                released => return released,
            }
        }
        Err(IssueError::KeyFenced)
    }

    /// Signs, and notes the epoch in which that happened.
    pub(crate) async fn sign(&self, issuer: &Issuer, grant: &Grant) -> Result<Unrecorded, IssueError> {
        // Taken before the time is read: a transition that we wait for opens the next key's window at a later second
        // than now. It is not held while the ledger records: the epoch is what counts there.
        let signer = issuer.signer.read().await;
        let epoch = self.signing_epoch(&key_name(signer.row()))?;
        let parent_key = self.subject_key(issuer, grant)?;
        let now = self.now();
        let expires_at = expiry(grant, now, issuer.lifetime_seconds, issuer.lifetime_max_seconds)?;
        let claims = claims(grant, issuer, now, expires_at)?;
        let (token, fingerprint) = signer.sign(&claims, now, expires_at, issuer.lifetime_max_seconds)?;
        let exchanged = grant.exchanged.as_ref();
        let record = IssuanceDraft {
            kind: exchanged.map_or(IssuanceKind::Access, |_| IssuanceKind::Exchanged),
            fingerprint: *fingerprint.as_bytes(),
            key: key_name(signer.row()),
            epoch,
            parent_key,
            issued_at: now,
            expires_at,
            lineage: exchanged.map(|exchanged| exchanged.lineage.clone()),
        };
        Ok(Unrecorded {
            token: Zeroizing::new(token),
            expires_in: expires_at.saturating_sub(now),
            key_id: signer.row().key_id.clone(),
            record,
            fingerprint,
        })
    }

    /// Records a token durably, then hands it out; drops it when the ledger refuses.
    pub(crate) async fn record(&self, signed: Unrecorded, grant: &Grant) -> Result<IssuedToken, IssueError> {
        let expires_at = signed.record.expires_at;
        let recorded = self.ledger().append(signed.record).await;
        let ledger_index = recorded.map_err(|error| match error {
            AppendError::EpochFenced => IssueError::KeyFenced,
            error => IssueError::RecordFailed(error),
        })?;
        Ok(IssuedToken {
            token: signed.token,
            expires_in: signed.expires_in,
            expires_at,
            scope: grant.scope.clone(),
            fingerprint: signed.fingerprint,
            ledger_index,
            key_id: signed.key_id,
        })
    }

    fn signing_epoch(&self, key: &KeyName) -> Result<Epoch, IssueError> {
        let unannounced = IssueError::RecordFailed(AppendError::KeyNotAnnounced);
        let standing = self.ledger().key(key).ok_or(unannounced)?;
        if standing.state == KeyStateCode::Active {
            Ok(standing.epoch)
        } else {
            Err(IssueError::KeyNotActive)
        }
    }

    /// The key of the subject token of an exchange, with its epoch. It may have been revoked while the exchange was
    /// decided; when it is revoked later, before the new token is recorded, the epoch tells the ledger.
    fn subject_key(&self, issuer: &Issuer, grant: &Grant) -> Result<Option<(KeyName, Epoch)>, IssueError> {
        let Some(exchanged) = &grant.exchanged else {
            return Ok(None);
        };
        let registry = self.registry(&issuer.realm);
        let record = registry
            .as_ref()
            .and_then(|registry| registry.issuer(&issuer.url));
        let key = record.and_then(|(record, _)| record.keys.key(&exchanged.subject_key_id));
        let key = key.ok_or(IssueError::SubjectKeyDistrusted)?;
        // The subject token is of the same issuer.
        let name = KeyName {
            issuer: issuer.ledger_id,
            key: *key.thumbprint().as_bytes(),
        };
        let standing = self.ledger().key(&name).ok_or(IssueError::SubjectKeyDistrusted)?;
        let trusted = match key.state() {
            KeyState::Active | KeyState::Retired | KeyState::Suspect => true,
            KeyState::Staged | KeyState::Expired | KeyState::Revoked => false,
        };
        // The ledger is ahead of the registry while a transition is under way.
        let recorded = match standing.state {
            KeyStateCode::Active | KeyStateCode::Retired | KeyStateCode::Suspect => true,
            KeyStateCode::Staged | KeyStateCode::Expired | KeyStateCode::Revoked => false,
        };
        if trusted && recorded {
            Ok(Some((name, standing.epoch)))
        } else {
            Err(IssueError::SubjectKeyDistrusted)
        }
    }
}

/// When the token expires: never later than the realm allows, nor than the subject token of an exchange.
pub(crate) fn expiry(
    grant: &Grant,
    now: u64,
    lifetime_seconds: u64,
    lifetime_max_seconds: u64,
) -> Result<u64, IssueError> {
    let lifetime = grant.lifetime_seconds.unwrap_or(lifetime_seconds);
    if lifetime == 0 || lifetime > lifetime_max_seconds {
        return Err(IssueError::LifetimeNotAllowed);
    }
    let own = now.saturating_add(lifetime);
    let expires_at = grant
        .exchanged
        .as_ref()
        .map_or(own, |exchanged| own.min(exchanged.expires_at_max));
    if expires_at > now {
        Ok(expires_at)
    } else {
        Err(IssueError::SubjectExpired)
    }
}

/// The claims of RFC 9068, with `tid` for tenants and `act` for exchanges.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    jti: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Actor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

#[derive(Serialize)]
struct Actor<'a> {
    sub: &'a str,
}

fn claims(grant: &Grant, issuer: &Issuer, now: u64, expires_at: u64) -> Result<Vec<u8>, IssueError> {
    check_texts(grant)?;
    let claims = Claims {
        iss: &issuer.url,
        sub: &grant.subject,
        aud: &grant.audience,
        exp: expires_at,
        iat: now,
        jti: &token_id()?,
        client_id: &grant.client_id,
        scope: &grant.scope.join(" "),
        tid: issuer.tenant.as_deref(),
        act: grant.exchanged.as_ref().map(|exchanged| Actor {
            sub: &exchanged.actor,
        }),
        sid: grant.claims.session_id.as_deref(),
        oid: grant.claims.object_id.as_deref(),
        name: grant.claims.name.as_deref(),
        email: grant.claims.email.as_deref(),
    };
    let mut json = Vec::with_capacity(CLAIMS_LENGTH_USUAL);
    serde_json::to_writer(&mut json, &claims).map_err(|_| IssueError::SigningFailed)?;
    Ok(json)
}

/// 128 random bits: no two tokens share an identifier, and nobody guesses one.
fn token_id() -> Result<String, IssueError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| IssueError::SigningFailed)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn check_texts(grant: &Grant) -> Result<(), IssueError> {
    let required = [
        ("subject", &grant.subject),
        ("client_id", &grant.client_id),
        ("audience", &grant.audience),
    ];
    let optional = [
        ("email", &grant.claims.email),
        ("name", &grant.claims.name),
        ("object_id", &grant.claims.object_id),
        ("session_id", &grant.claims.session_id),
    ];
    let optional = optional
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.as_ref()?)));
    for (name, text) in required.into_iter().chain(optional) {
        if text.is_empty() || text.len() > TEXT_LENGTH_MAX || text.chars().any(char::is_control) {
            return Err(IssueError::GrantInvalid(name));
        }
    }
    let scopes =
        grant.scope.len() <= SCOPES_MAX && grant.scope.iter().all(|scope| crate::config::is_scope(scope));
    if scopes {
        Ok(())
    } else {
        Err(IssueError::GrantInvalid("scope"))
    }
}

#[cfg(test)]
mod tests {
    use countersign_ledger::Lineage;

    use super::*;
    use crate::grant::Exchanged;

    fn grant() -> Grant {
        Grant::new("https://i.example", "alice", "client", "https://mail.example")
    }

    fn check_expiry(
        lifetime_seconds: Option<u64>,
        subject_expires_at: Option<u64>,
        expect: Result<u64, &str>,
    ) {
        let exchanged = subject_expires_at.map(|expires_at_max| Exchanged {
            expires_at_max,
            actor: "client".to_owned(),
            subject_key_id: "key".to_owned(),
            lineage: Lineage {
                parent: [0; 32],
                root: [0; 32],
            },
        });
        let grant = Grant {
            lifetime_seconds,
            exchanged,
            ..grant()
        };
        assert_eq!(
            expiry(&grant, 1_000, 600, 3_600).map_err(|error| error.code()),
            expect
        );
    }

    #[test]
    fn a_token_lives_as_long_as_realm_and_subject_allow() {
        check_expiry(None, None, Ok(1_600));
        check_expiry(Some(60), None, Ok(1_060));
        check_expiry(Some(3_600), None, Ok(4_600));
        check_expiry(Some(3_601), None, Err("lifetime_not_allowed"));
        check_expiry(Some(0), None, Err("lifetime_not_allowed"));
        check_expiry(None, Some(1_200), Ok(1_200));
        check_expiry(None, Some(9_999), Ok(1_600));
        check_expiry(None, Some(1_000), Err("subject_expired"));
    }

    #[test]
    fn texts_of_a_grant_are_checked() {
        let check = |change: fn(&mut Grant), expect: bool| {
            let mut grant = grant();
            change(&mut grant);
            assert_eq!(check_texts(&grant).is_ok(), expect);
        };
        check(|_| (), true);
        check(|grant| grant.subject.clear(), false);
        check(|grant| grant.audience = "a".repeat(513), false);
        check(|grant| grant.client_id = "a\nb".to_owned(), false);
        check(
            |grant| grant.claims.email = Some("alice@contoso.example".to_owned()),
            true,
        );
        check(|grant| grant.claims.name = Some(String::new()), false);
        check(|grant| grant.scope = vec!["two words".to_owned()], false);
    }

    #[test]
    fn token_ids_have_128_random_bits() {
        let (first, second) = (token_id().unwrap(), token_id().unwrap());
        assert_eq!(first.len(), 22);
        assert_ne!(first, second);
    }
}
