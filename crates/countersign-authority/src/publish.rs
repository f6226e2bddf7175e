//! What others see of the keys: the trust bundle, the key sets, the summaries.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use countersign_token::{
    IssuerName, IssuerRecord, KeyContext, KeyMetadata, KeyRecord, KeySet, KeyState, Registry, TrustBundle,
};

use crate::authority::Realm;
use crate::config::SigningAlgorithm;
use crate::state::KeyRow;

/// The keys of the state do not form key sets: a public key that nothing accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key of the state cannot be published")]
pub struct PublishError;

/// One view of all keys, replaced as a whole.
pub(crate) struct Published {
    pub(crate) keys: Vec<KeySummary>,
    /// By issuer.
    pub(crate) key_sets: BTreeMap<String, KeySetDocument>,
    /// By realm: the exchange endpoint of a realm knows no other.
    pub(crate) registries: BTreeMap<String, Arc<Registry>>,
}

/// A published JWK set.
#[derive(Debug, Clone)]
pub(crate) struct KeySetDocument {
    pub(crate) body: Bytes,
    pub(crate) etag: String,
}

/// What there is to know of a key, without its private part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The `kid`: the RFC 7638 thumbprint in base64url.
    pub key_id: String,
    /// The issuer it signs for.
    pub issuer: String,
    /// The issuer's realm.
    pub realm: String,
    /// Its algorithm.
    pub algorithm: SigningAlgorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// First second of its signing window (unix time); of a staged key, the planned one.
    pub sign_from: u64,
    /// Last second of its signing window; `None` while open.
    pub sign_until: Option<u64>,
    /// When it was made, in unix seconds.
    pub created_at: u64,
    /// When its state last changed, in unix seconds.
    pub changed_at: u64,
}

/// Builds both views from the rows.
pub(crate) fn publish(
    number: u64,
    realms: &[Realm],
    rows: &[KeyRow],
) -> Result<(Published, TrustBundle), PublishError> {
    let mut key_sets = BTreeMap::new();
    let mut registries = BTreeMap::new();
    let mut issuers = Vec::with_capacity(realms.len());
    for realm in realms {
        let mut keys = Vec::new();
        for (issuer, rows) in rows_by_issuer(realm, rows) {
            let records = key_records(issuer, realm, &rows)?;
            key_sets.insert(issuer.to_owned(), document(&records));
            keys.extend(records);
        }
        let record = issuer_record(realm, keys);
        let registry = Registry::new(vec![record.clone()]).map_err(|_| PublishError)?;
        registries.insert(realm.name.clone(), Arc::new(registry));
        issuers.push(record);
    }
    let keys = rows.iter().map(KeySummary::from).collect();
    Ok((
        Published {
            keys,
            key_sets,
            registries,
        },
        TrustBundle::new(number, issuers),
    ))
}

/// Keys of issuers that the configuration no longer names are not published: missing means no.
fn rows_by_issuer<'a>(realm: &Realm, rows: &'a [KeyRow]) -> BTreeMap<&'a str, Vec<&'a KeyRow>> {
    let mut by_issuer: BTreeMap<&str, Vec<&KeyRow>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.realm == realm.name) {
        let tenant = realm.issuer.matches(&row.issuer).map(|found| found.tenant);
        if tenant.is_some_and(|tenant| realm.tenants.allows(tenant)) {
            by_issuer.entry(&row.issuer).or_default().push(row);
        }
    }
    by_issuer
}

fn issuer_record(realm: &Realm, keys: Vec<KeyRecord>) -> IssuerRecord {
    let mut record = IssuerRecord::new(
        realm.issuer.clone(),
        realm.name.clone(),
        realm.lifetime_max_seconds,
        KeySet::new(keys),
    );
    record.tenants.clone_from(&realm.tenants);
    record.email_domains.clone_from(&realm.email_domains);
    record
}

/// The rows as records, read back from their own published form: what we publish is what a strict reader takes.
fn key_records(issuer: &str, realm: &Realm, rows: &[&KeyRow]) -> Result<Vec<KeyRecord>, PublishError> {
    let name = IssuerName::parse(issuer).map_err(|_| PublishError)?;
    let iss = serde_json::to_string(issuer).map_err(|_| PublishError)?;
    let jwks: Vec<String> = rows.iter().map(|row| jwk(row, &iss)).collect();
    let text = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
    let context = KeyContext::new(&name, &realm.name, KeyMetadata::Declared);
    let set = KeySet::parse(text.as_bytes(), &context).map_err(|_| PublishError)?;
    if set.len() == rows.len() {
        Ok(set.keys().cloned().collect())
    } else {
        Err(PublishError)
    }
}

fn jwk(row: &KeyRow, iss: &str) -> String {
    let until = row
        .sign_until
        .map(|until| format!(r#","cs_sign_until":{until}"#))
        .unwrap_or_default();
    format!(
        r#"{{{},"alg":"{}","use":"sig","kid":"{}","iss":{iss},"cs_realm":"{}","cs_state":"{}","cs_sign_from":{}{until}}}"#,
        row.public.members(),
        row.algorithm.as_str(),
        row.key_id,
        row.realm,
        row.state.as_str(),
        row.sign_from,
    )
}

/// The set for the world: relying parties that know nothing of states must not find a key there that they should not
/// trust. Gates follow the trust bundle, which has them all.
fn document(records: &[KeyRecord]) -> KeySetDocument {
    let trusted = |key: &&KeyRecord| {
        matches!(
            key.state(),
            KeyState::Staged | KeyState::Active | KeyState::Retired
        )
    };
    let set: KeySet = records.iter().filter(trusted).cloned().collect();
    let body = set.to_json().to_string();
    let hash = hex::encode(digest(&SHA256, body.as_bytes()));
    let etag = format!("\"{}\"", hash.get(..32).unwrap_or_default());
    KeySetDocument {
        body: Bytes::from(body),
        etag,
    }
}

impl From<&KeyRow> for KeySummary {
    fn from(row: &KeyRow) -> Self {
        Self {
            key_id: row.key_id.clone(),
            issuer: row.issuer.clone(),
            realm: row.realm.clone(),
            algorithm: row.algorithm,
            state: row.state,
            sign_from: row.sign_from,
            sign_until: row.sign_until,
            created_at: row.created_at,
            changed_at: row.changed_at,
        }
    }
}
