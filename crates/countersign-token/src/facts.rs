//! What the rules look at and what they answer.

use crate::claims::Claims;
use crate::header::Header;
use crate::issuer::{IssuerRecord, TenantRule};
use crate::key::KeyRecord;
use crate::reason::Detail;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::token::ParsedToken;

/// What the rules look at: the token's parts as far as they could be read, and what they select.
pub(crate) struct Facts<'a> {
    pub(crate) header: Option<&'a Header>,
    pub(crate) claims: Option<&'a Claims>,
    pub(crate) signed: Option<&'a ParsedToken>,
    pub(crate) registry: &'a Registry,
    pub(crate) resource: &'a Resource,
    pub(crate) now: u64,
    pub(crate) record: Option<&'a IssuerRecord>,
    /// The tenant found in a templated `iss`.
    pub(crate) issuer_tenant: Option<&'a str>,
    /// The key named by `kid` inside the issuer's record.
    pub(crate) key: Option<&'a KeyRecord>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(
        header: Option<&'a Header>,
        claims: Option<&'a Claims>,
        signed: Option<&'a ParsedToken>,
        (registry, resource, now): (&'a Registry, &'a Resource, u64),
    ) -> Self {
        let selected = claims
            .and_then(|c| c.issuer())
            .and_then(|iss| registry.issuer(iss));
        let record = selected.map(|(record, _)| record);
        let key_id = header.and_then(|h| h.key_id());
        let key = record.zip(key_id).and_then(|(record, id)| record.keys.key(id));
        let issuer_tenant = selected.and_then(|(_, tenant)| tenant);
        Self {
            header,
            claims,
            signed,
            registry,
            resource,
            now,
            record,
            issuer_tenant,
            key,
        }
    }

    /// The tenant, where somebody vouches for it: the template's, or one that the exact issuer may name.
    pub(crate) fn tenant(&self) -> Option<&'a str> {
        self.issuer_tenant.or_else(|| {
            let named = self.claims?.tenant()?;
            match &self.record?.tenants {
                TenantRule::Only(tenants) => tenants.iter().any(|t| t == named).then_some(named),
                TenantRule::Any => None,
            }
        })
    }
}

/// What a rule says.
pub(crate) enum Verdict {
    Passed,
    Failed(Detail),
    /// Its inputs do not exist.
    NotReached,
}

impl Verdict {
    pub(crate) fn unless(failed: bool, note: &'static str) -> Self {
        if failed {
            Self::Failed(Detail::Note(note))
        } else {
            Self::Passed
        }
    }

    pub(crate) fn at_most(what: &'static str, value: u64, bound: &'static str, limit: u64) -> Self {
        if value <= limit {
            Self::Passed
        } else {
            Self::Failed(Detail::Amount {
                what,
                value,
                bound,
                limit,
            })
        }
    }
}

/// Unwraps an input of a rule; without it the rule is not reached.
macro_rules! need {
    ($input:expr) => {
        match $input {
            Some(input) => input,
            None => return $crate::facts::Verdict::NotReached,
        }
    };
}
pub(crate) use need;
