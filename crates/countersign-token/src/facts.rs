//! What the rules look at and what they answer.

use std::cell::OnceCell;

use crate::claims::Claims;
use crate::confirmation::{self, Dpop, Proofs};
use crate::dpop::{Proof, ProofCheck};
use crate::header::Header;
use crate::issuer::{IssuerRecord, TenantRule};
use crate::key::KeyRecord;
use crate::reason::{Detail, Reason, Refusal};
use crate::registry::Registry;
use crate::resource::Resource;
use crate::token::ParsedToken;
use crate::verify::Check;

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

/// What the rules look at: the token's parts as far as they could be read, and what they select.
pub(crate) struct Facts<'a> {
    pub(crate) header: Option<Header<'a>>,
    pub(crate) claims: Option<Claims<'a>>,
    pub(crate) signed: Option<&'a ParsedToken>,
    pub(crate) registry: &'a Registry,
    pub(crate) resource: &'a Resource,
    pub(crate) now: u64,
    pub(crate) record: Option<&'a IssuerRecord>,
    /// The tenant found in a templated `iss`.
    pub(crate) issuer_tenant: Option<&'a str>,
    /// The key named by `kid` inside the issuer's record.
    pub(crate) key: Option<&'a KeyRecord>,
    /// What was shown beside the token.
    pub(crate) proofs: Proofs<'a>,
    /// The DPoP proof, read when a rule first asks for it.
    proof: OnceCell<Result<Proof, Refusal>>,
    /// What it is checked against, if the token says so.
    proof_check: OnceCell<Option<ProofCheck<'a>>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(
        header: Option<Header<'a>>,
        claims: Option<Claims<'a>>,
        signed: Option<&'a ParsedToken>,
        check: &Check<'a>,
    ) -> Self {
        let registry = check.registry;
        let selected = claims
            .and_then(Claims::issuer)
            .and_then(|iss| registry.issuer(iss));
        let record = selected.map(|(record, _)| record);
        let key_id = header.and_then(Header::key_id);
        let key = record.zip(key_id).and_then(|(record, id)| record.keys.key(id));
        let issuer_tenant = selected.and_then(|(_, tenant)| tenant);
        Self {
            header,
            claims,
            signed,
            registry,
            resource: check.resource,
            now: check.now,
            record,
            issuer_tenant,
            key,
            proofs: check.proofs,
            proof: OnceCell::new(),
            proof_check: OnceCell::new(),
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

    /// The DPoP proof that was shown, as it came.
    pub(crate) fn dpop(&self) -> Option<&Dpop<'a>> {
        self.proofs.dpop.as_ref().filter(|dpop| !dpop.headers.is_empty())
    }

    /// What a rule about proofs says of the one that was shown.
    pub(crate) fn on_proof(&self, reason: Reason, check: fn(&Proof, &ProofCheck<'_>) -> Verdict) -> Verdict {
        let Some(dpop) = self.dpop() else {
            return confirmation::without_proof(self);
        };
        let header = dpop.headers.first().copied().unwrap_or_default();
        match self.proof.get_or_init(|| Proof::parse(header)) {
            Ok(proof) => {
                let against = self.proof_check.get_or_init(|| self.proof_check(dpop));
                check(proof, need!(against))
            }
            Err(refusal) if refusal.reason == reason => Verdict::Failed(refusal.detail.clone()),
            Err(refusal) if refusal.reason < reason => Verdict::NotReached,
            Err(_) => Verdict::Passed,
        }
    }

    fn proof_check(&self, dpop: &Dpop<'a>) -> Option<ProofCheck<'a>> {
        Some(ProofCheck {
            request: dpop.request,
            now: self.now,
            token: Some(self.signed?.token_digest()),
            key: Some(self.claims?.confirmation()?.key?),
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
