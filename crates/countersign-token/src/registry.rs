//! The registry: which issuers are trusted, each with its own keys.

use std::collections::HashMap;

use crate::issuer::{IssuerName, IssuerRecord};
use crate::key::KeyRecord;

/// All trusted issuers. A token's `iss` selects one record; its keys are looked for there and nowhere else.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerRecord, Registry};
///
/// # let (issuer, keys) = (given::issuer(), given::key_set());
/// let registry = Registry::new(vec![IssuerRecord::new(issuer, "enterprise", 3_600, keys)])?;
///
/// let iss = "https://id.example/enterprise/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e";
/// let (record, tenant) = registry.issuer(iss).ok_or("nobody answers for it")?;
/// assert_eq!((record.realm.as_str(), tenant), ("enterprise", Some("1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e")));
/// assert!(registry.issuer("https://evil.example").is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    records: Vec<IssuerRecord>,
    exact: HashMap<String, usize>,
    templates: Vec<usize>,
    /// Which records have a key of an id: an invented key id must not cost a walk over all issuers.
    key_owners: HashMap<String, Vec<usize>>,
}

impl Registry {
    /// Takes the issuers in. Each record must be complete, each issuer stand once, and each key belong to its record.
    pub fn new(records: Vec<IssuerRecord>) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for (at, record) in records.iter().enumerate() {
            check_record(record)?;
            for key in record.keys.keys() {
                registry
                    .key_owners
                    .entry(key.id().to_owned())
                    .or_default()
                    .push(at);
            }
            let repeated = match &record.issuer {
                IssuerName::Exact(iss) => registry.exact.insert(iss.clone(), at).is_some(),
                IssuerName::Template(_) => {
                    registry.templates.push(at);
                    records
                        .iter()
                        .take(at)
                        .any(|earlier| earlier.issuer == record.issuer)
                }
            };
            if repeated {
                return Err(RegistryError::IssuerRepeated {
                    issuer: record.issuer.to_string(),
                });
            }
        }
        registry.records = records;
        Ok(registry)
    }

    /// The record that answers for `iss`, and the tenant if it is a template.
    ///
    /// An exact record goes before a template, so one tenant can be taken out of a template into a realm of its own.
    /// An `iss` that two templates match belongs to nobody.
    pub fn issuer<'t>(&self, iss: &'t str) -> Option<(&IssuerRecord, Option<&'t str>)> {
        if let Some(at) = self.exact.get(iss) {
            return self.records.get(*at).map(|record| (record, None));
        }
        let mut matching = self.templates.iter().filter_map(|at| {
            let record = self.records.get(*at)?;
            Some((record, record.issuer.matches(iss)?.tenant))
        });
        matching.next().filter(|_| matching.next().is_none())
    }

    /// The key of this id that an issuer other than `record` has. Its appearance here is an alarm, not an unknown key.
    pub fn key_under_another_issuer(&self, key_id: &str, record: &IssuerRecord) -> Option<&KeyRecord> {
        let owners = self
            .key_owners
            .get(key_id)?
            .iter()
            .filter_map(|at| self.records.get(*at));
        let mut others = owners.filter(|owner| owner.issuer != record.issuer);
        others.find_map(|owner| owner.keys.key(key_id))
    }

    /// All issuers, in the order given.
    pub fn issuers(&self) -> &[IssuerRecord] {
        &self.records
    }
}

fn check_record(record: &IssuerRecord) -> Result<(), RegistryError> {
    let issuer = || record.issuer.to_string();
    if record.realm.is_empty() {
        return Err(RegistryError::RealmEmpty { issuer: issuer() });
    }
    if record.token_types.is_empty() {
        return Err(RegistryError::TokenTypesEmpty { issuer: issuer() });
    }
    if record.lifetime_max == 0 {
        return Err(RegistryError::LifetimeZero { issuer: issuer() });
    }
    match record
        .keys
        .keys()
        .find(|key| !record.issuer.covers(key.issuer()) || key.realm() != record.realm)
    {
        Some(key) => Err(RegistryError::KeyForeign {
            issuer: issuer(),
            key_id: key.id().to_owned(),
        }),
        None => Ok(()),
    }
}

/// Why issuers cannot be trusted together.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{IssuerRecord, Registry};
///
/// # let (issuer, keys) = (given::issuer(), given::key_set());
/// // The keys are those of another realm.
/// let error = Registry::new(vec![IssuerRecord::new(issuer, "consumer", 3_600, keys)]).unwrap_err();
/// assert_eq!(error.code(), "issuer_key_foreign");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two records for one issuer.
    #[error("issuer {issuer} stands twice")]
    IssuerRepeated {
        /// Which.
        issuer: String,
    },
    /// A record without a realm.
    #[error("issuer {issuer} has no realm")]
    RealmEmpty {
        /// Which.
        issuer: String,
    },
    /// A record that accepts no type of token.
    #[error("issuer {issuer} has no token types")]
    TokenTypesEmpty {
        /// Which.
        issuer: String,
    },
    /// A record that accepts no lifetime.
    #[error("issuer {issuer} has a longest lifetime of zero")]
    LifetimeZero {
        /// Which.
        issuer: String,
    },
    /// A key that belongs to another issuer or realm than the record it stands in.
    #[error("key {key_id} stands under issuer {issuer} but belongs to another issuer or realm")]
    KeyForeign {
        /// The record's issuer.
        issuer: String,
        /// The key.
        key_id: String,
    },
}

impl RegistryError {
    /// Stable name of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IssuerRepeated { .. } => "issuer_repeated",
            Self::RealmEmpty { .. } => "issuer_realm_empty",
            Self::TokenTypesEmpty { .. } => "issuer_token_types_empty",
            Self::LifetimeZero { .. } => "issuer_lifetime_zero",
            Self::KeyForeign { .. } => "issuer_key_foreign",
        }
    }

    /// What to do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::IssuerRepeated { .. } => "merge the two records: an issuer belongs to one realm",
            Self::RealmEmpty { .. } => "name the realm of the issuer",
            Self::TokenTypesEmpty { .. } => "leave the token types out for the default, `at+jwt`",
            Self::LifetimeZero { .. } => "set the longest lifetime of the issuer's tokens in seconds",
            Self::KeyForeign { .. } => "put the key under the issuer and realm it belongs to",
        })
    }
}
