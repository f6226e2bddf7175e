//! The rules: one list, in the order in which they are checked. Adding a rule is adding one item here, its reason in
//! `reason.rs` and its cases in the tests.

use std::fmt;

use crate::confirmation;
use crate::dpop::{Proof, ProofCheck};
use crate::email;
use crate::facts::{Facts, Verdict, need};
use crate::header::{Header, bare_token_type};
use crate::key::KeyState;
use crate::reason::{Detail, Reason, Refusal};
use crate::resource::UnverifiedEmail;

/// One rule.
///
/// ```
/// use countersign_token::RULES;
///
/// for rule in RULES {
///     println!("{:<28} {}", rule.reason.as_str(), rule.text);
/// }
/// // The order is that of the reasons, and each has one rule.
/// assert!(RULES.windows(2).all(|pair| pair[0].reason < pair[1].reason));
/// ```
pub struct Rule {
    /// Why a token is refused for which the rule does not hold.
    pub reason: Reason,
    /// What must hold, in a few words.
    pub text: &'static str,
    pub(crate) test: Test,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({}: {})", self.reason, self.text)
    }
}

/// How a rule is checked.
pub(crate) enum Test {
    /// While reading; the rule speaks about this part.
    Form(Part),
    /// On what was read.
    Check(fn(&Facts<'_>) -> Verdict),
    /// On the DPoP proof, if there is one: while it is read, and then so.
    Proof(fn(&Proof, &ProofCheck<'_>) -> Verdict),
}

impl Rule {
    /// What the rule says, once the token was read.
    pub(crate) fn verdict(&self, facts: &Facts<'_>) -> Verdict {
        match self.test {
            Test::Form(_) => Verdict::Passed,
            Test::Check(check) => check(facts),
            Test::Proof(test) => facts.on_proof(self.reason, test),
        }
    }
}

/// What a rule of form needs to have been read.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Part {
    Frame,
    Segments,
    Header,
    Claims,
}

const fn form(reason: Reason, part: Part, text: &'static str) -> Rule {
    Rule {
        reason,
        text,
        test: Test::Form(part),
    }
}

const fn rule(reason: Reason, check: fn(&Facts<'_>) -> Verdict, text: &'static str) -> Rule {
    Rule {
        reason,
        text,
        test: Test::Check(check),
    }
}

const fn proof(reason: Reason, check: fn(&Proof, &ProofCheck<'_>) -> Verdict, text: &'static str) -> Rule {
    Rule {
        reason,
        text,
        test: Test::Proof(check),
    }
}

/// A rule of a proof's form: there is no more to check once it was read.
const fn proof_form(reason: Reason, text: &'static str) -> Rule {
    proof(reason, |_, _| Verdict::Passed, text)
}

/// All rules, in order: cheap before costly, and nothing that needs the key's owner before the key is found.
pub const RULES: &[Rule] = &[
    // Form, while the token is read.
    form(Reason::TokenTooLarge, Part::Frame, "the token has at most 16 KiB"),
    form(
        Reason::SegmentCountWrong,
        Part::Frame,
        "the token has three segments",
    ),
    form(
        Reason::HeaderTooLarge,
        Part::Frame,
        "the header has at most 4 KiB",
    ),
    form(
        Reason::Base64urlInvalid,
        Part::Segments,
        "every segment is canonical base64url",
    ),
    form(
        Reason::HeaderJsonInvalid,
        Part::Header,
        "the header is one strict JSON object",
    ),
    form(
        Reason::HeaderMemberRepeated,
        Part::Header,
        "every header member stands once",
    ),
    form(
        Reason::HeaderKeyForbidden,
        Part::Header,
        "the header brings no key",
    ),
    form(
        Reason::CriticalHeaderUnsupported,
        Part::Header,
        "the header asks for no extension",
    ),
    form(
        Reason::EncryptionUnsupported,
        Part::Header,
        "the header speaks of no encryption",
    ),
    form(
        Reason::ContentTypeForbidden,
        Part::Header,
        "the token contains no other token",
    ),
    form(
        Reason::HeaderMemberUnknown,
        Part::Header,
        "every header member is on the closed list",
    ),
    form(
        Reason::HeaderMemberInvalid,
        Part::Header,
        "every header member is a text of sensible length",
    ),
    form(
        Reason::AlgorithmMissing,
        Part::Header,
        "the header names an algorithm",
    ),
    form(Reason::AlgorithmNone, Part::Header, "the token is signed"),
    form(
        Reason::AlgorithmSymmetric,
        Part::Header,
        "the algorithm is not a shared secret's",
    ),
    form(
        Reason::AlgorithmUnsupported,
        Part::Header,
        "the algorithm is a supported signature",
    ),
    form(
        Reason::ClaimsJsonInvalid,
        Part::Claims,
        "the claims are one strict JSON object",
    ),
    form(
        Reason::ClaimRepeated,
        Part::Claims,
        "every claim stands once, at every depth",
    ),
    form(Reason::ClaimInvalid, Part::Claims, "every claim has its type"),
    // Who could have issued it.
    rule(
        Reason::ClaimMissing,
        claim_missing,
        "the required claims are there",
    ),
    rule(
        Reason::ClientAmbiguous,
        client_ambiguous,
        "the token names one client",
    ),
    rule(Reason::IssuerUnknown, issuer_unknown, "the issuer is trusted"),
    rule(
        Reason::TokenTypeMismatch,
        token_type_mismatch,
        "the token is an access token of this issuer",
    ),
    rule(
        Reason::TenantMismatch,
        tenant_mismatch,
        "the tenant claim is the issuer's tenant",
    ),
    rule(Reason::KeyIdMissing, key_id_missing, "the token names its key"),
    rule(
        Reason::KeyRealmMismatch,
        key_realm_mismatch,
        "the key belongs to this issuer, tenant and realm",
    ),
    rule(Reason::KeyUnknown, key_unknown, "the issuer has this key"),
    rule(Reason::KeyRevoked, key_revoked, "the key is not revoked"),
    rule(Reason::KeyStaged, key_staged, "the key was activated"),
    rule(Reason::KeyExpired, key_expired, "the key is not expired"),
    rule(
        Reason::AlgorithmMismatch,
        algorithm_mismatch,
        "the algorithm is the key's",
    ),
    rule(
        Reason::KeyOutsideWindow,
        key_outside_window,
        "the token was issued inside the key's signing window",
    ),
    rule(
        Reason::SignatureInvalid,
        signature_invalid,
        "the signature is the key's",
    ),
    // What it is good for.
    rule(Reason::TokenExpired, token_expired, "the token is not expired"),
    rule(
        Reason::TokenNotYetValid,
        token_not_yet_valid,
        "the token's time has come",
    ),
    rule(
        Reason::IssuedInFuture,
        issued_in_future,
        "the token was issued in the past",
    ),
    rule(
        Reason::LifetimeTooLong,
        lifetime_too_long,
        "the token lives no longer than its issuer's tokens do",
    ),
    rule(
        Reason::AudienceMismatch,
        audience_mismatch,
        "the token is meant for this resource",
    ),
    rule(
        Reason::AudienceNotAllowed,
        audience_not_allowed,
        "the issuer may issue for every audience of the token",
    ),
    rule(
        Reason::ResourceRealmMismatch,
        resource_realm_mismatch,
        "the token's realm is the resource's",
    ),
    rule(
        Reason::TenantNotAllowed,
        tenant_not_allowed,
        "the tenant is let in",
    ),
    rule(
        Reason::ScopeInsufficient,
        scope_insufficient,
        "the token has the required scopes",
    ),
    rule(
        Reason::EmailUnverified,
        email_unverified,
        "an e-mail address is of a domain the tenant owns",
    ),
    rule(
        Reason::ConfirmationUnsupported,
        confirmation::unsupported,
        "what the token is bound to can be checked",
    ),
    rule(
        Reason::ConfirmationRequired,
        confirmation::confirmation_required,
        "the token is bound where the resource asks for it",
    ),
    rule(
        Reason::ProofMissing,
        confirmation::proof_missing,
        "what the token is bound to was shown",
    ),
    rule(
        Reason::CertificateMismatch,
        confirmation::certificate_mismatch,
        "the client certificate is the one the token is bound to",
    ),
    rule(
        Reason::ConfirmationMissing,
        confirmation::confirmation_missing,
        "a token that comes with a proof is bound to a key",
    ),
    // The DPoP proof: RFC 9449 §4.3, and as there the signature late and the replay last.
    rule(
        Reason::ProofRepeated,
        confirmation::proof_repeated,
        "there is one proof",
    ),
    proof_form(Reason::ProofMalformed, "the proof is a strict, complete JWT"),
    proof_form(Reason::ProofTypeMismatch, "the proof says it is one"),
    proof(
        Reason::ProofAlgorithmUnsupported,
        Proof::check_algorithm,
        "the proof's algorithm is allowed and not a shared secret's",
    ),
    proof_form(
        Reason::ProofKeyInvalid,
        "the proof brings a good public key, and no private one",
    ),
    proof_form(Reason::ProofUrlInvalid, "the proof's address is plainly one"),
    proof(
        Reason::ProofMethodMismatch,
        Proof::check_method,
        "the proof is for the request's method",
    ),
    proof(
        Reason::ProofUrlMismatch,
        Proof::check_url,
        "the proof is for the request's address",
    ),
    proof(
        Reason::ProofOutsideWindow,
        Proof::check_time,
        "the proof was made just now",
    ),
    proof(
        Reason::ProofNonceMismatch,
        Proof::check_nonce,
        "the proof carries the nonce that was asked for",
    ),
    proof(
        Reason::ProofTokenMismatch,
        Proof::check_token,
        "the proof is for this token",
    ),
    proof(
        Reason::ProofKeyMismatch,
        Proof::check_key,
        "the proof's key is the one the token is bound to",
    ),
    proof(
        Reason::ProofSignatureInvalid,
        Proof::check_signature,
        "the proof's signature is its key's",
    ),
    proof(
        Reason::ProofReplayed,
        Proof::check_first_use,
        "the proof is used for the first time",
    ),
];

fn claim_missing(facts: &Facts<'_>) -> Verdict {
    let claims = need!(facts.claims);
    // RFC 9068 §2.2 asks for these two in an `at+jwt`; tokens of another type may lack them.
    let is_at_jwt = facts.header.and_then(Header::token_type) == Some("at+jwt");
    let required = [
        ("iss", claims.issuer().is_some()),
        ("sub", claims.subject().is_some()),
        ("aud", claims.audience().next().is_some()),
        ("exp", claims.expires_at().is_some()),
        ("iat", claims.issued_at().is_some()),
        ("jti", claims.token_id().is_some() || !is_at_jwt),
        ("client_id", claims.client_id().is_some() || !is_at_jwt),
    ];
    match required.into_iter().find(|(_, there)| !there) {
        Some((name, _)) => Verdict::Failed(Detail::Member(name)),
        None => Verdict::Passed,
    }
}

fn client_ambiguous(facts: &Facts<'_>) -> Verdict {
    Verdict::unless(
        !need!(facts.claims).names_one_client(),
        "`client_id`, `azp` and `appid` differ",
    )
}

fn issuer_unknown(facts: &Facts<'_>) -> Verdict {
    need!(need!(facts.claims).issuer());
    Verdict::unless(facts.record.is_none(), "no issuer record answers for this `iss`")
}

fn token_type_mismatch(facts: &Facts<'_>) -> Verdict {
    let (header, record) = (need!(facts.header), need!(facts.record));
    let found = header.token_type().unwrap_or_default();
    let fits = record
        .token_types
        .iter()
        .any(|t| bare_token_type(t).eq_ignore_ascii_case(found));
    Verdict::unless(!fits, "`typ` is not on the issuer's list")
}

fn tenant_mismatch(facts: &Facts<'_>) -> Verdict {
    let (claims, _) = (need!(facts.claims), need!(facts.record));
    // An exact issuer speaks for no tenant by itself; whom it may name is `tenant_not_allowed`.
    let Some(tenant) = facts.issuer_tenant else {
        return Verdict::Passed;
    };
    match claims.tenant() {
        None => Verdict::Failed(Detail::Note("the issuer is a tenant's and `tid` is absent")),
        Some(named) => Verdict::unless(named != tenant, "`tid` is not the tenant in `iss`"),
    }
}

fn key_id_missing(facts: &Facts<'_>) -> Verdict {
    Verdict::unless(need!(facts.header).key_id().is_none(), "`kid` is absent")
}

fn key_realm_mismatch(facts: &Facts<'_>) -> Verdict {
    let record = need!(facts.record);
    let key_id = need!(need!(facts.header).key_id());
    let iss = need!(need!(facts.claims).issuer());
    let foreign = match facts.key {
        Some(key) => {
            Some(key).filter(|key| key.issuer().matches(iss).is_none() || key.realm() != record.realm)
        }
        None => facts.registry.key_under_another_issuer(key_id, record),
    };
    foreign.map_or(Verdict::Passed, |key| Verdict::Failed(Detail::Key(key.clone())))
}

fn key_unknown(facts: &Facts<'_>) -> Verdict {
    need!(facts.record);
    need!(need!(facts.header).key_id());
    Verdict::unless(facts.key.is_none(), "no key of this id in the issuer's record")
}

fn key_revoked(facts: &Facts<'_>) -> Verdict {
    not_in_state(facts, KeyState::Revoked)
}

fn key_staged(facts: &Facts<'_>) -> Verdict {
    not_in_state(facts, KeyState::Staged)
}

fn key_expired(facts: &Facts<'_>) -> Verdict {
    not_in_state(facts, KeyState::Expired)
}

fn not_in_state(facts: &Facts<'_>, state: KeyState) -> Verdict {
    let key = need!(facts.key);
    if key.state() == state {
        Verdict::Failed(Detail::Key(key.clone()))
    } else {
        Verdict::Passed
    }
}

fn algorithm_mismatch(facts: &Facts<'_>) -> Verdict {
    let (header, key) = (need!(facts.header), need!(facts.key));
    Verdict::unless(
        header.algorithm() != Some(key.algorithm()),
        "`alg` is not the key's algorithm",
    )
}

fn key_outside_window(facts: &Facts<'_>) -> Verdict {
    let (key, record) = (need!(facts.key), need!(facts.record));
    let window = key.window();
    let issued_at = record.issued_at(need!(need!(facts.claims).issued_at()));
    match window.sign_until {
        // Missing means no: a retired key does not sign for ever because nobody said when it stopped.
        None if key.state() == KeyState::Retired => Verdict::Failed(Detail::Key(key.clone())),
        _ if window.contains(issued_at) => Verdict::Passed,
        Some(limit) if issued_at > limit => {
            Verdict::at_most("issued at", issued_at, "key signed until", limit)
        }
        _ => Verdict::Failed(Detail::Amount {
            what: "issued at",
            value: issued_at,
            bound: "key signs from",
            limit: window.sign_from,
        }),
    }
}

fn signature_invalid(facts: &Facts<'_>) -> Verdict {
    let (key, token) = (need!(facts.key), need!(facts.signed));
    let holds = token.is_signed_by(key);
    Verdict::unless(!holds, "the signature does not verify")
}

fn token_expired(facts: &Facts<'_>) -> Verdict {
    let (record, expires_at) = (need!(facts.record), need!(need!(facts.claims).expires_at()));
    if facts.now < expires_at.saturating_add(record.clock_skew) {
        return Verdict::Passed;
    }
    Verdict::Failed(Detail::Amount {
        what: "exp",
        value: expires_at,
        bound: "now",
        limit: facts.now,
    })
}

fn token_not_yet_valid(facts: &Facts<'_>) -> Verdict {
    let (record, claims) = (need!(facts.record), need!(facts.claims));
    let not_before = claims.not_before().unwrap_or(0);
    Verdict::at_most(
        "nbf",
        not_before,
        "now with skew",
        facts.now.saturating_add(record.clock_skew),
    )
}

fn issued_in_future(facts: &Facts<'_>) -> Verdict {
    let (record, issued_at) = (need!(facts.record), need!(need!(facts.claims).issued_at()));
    Verdict::at_most(
        "iat",
        issued_at,
        "now with skew",
        facts.now.saturating_add(record.clock_skew),
    )
}

fn lifetime_too_long(facts: &Facts<'_>) -> Verdict {
    let (record, claims) = (need!(facts.record), need!(facts.claims));
    let issued_at = record.issued_at(need!(claims.issued_at()));
    let lifetime = need!(claims.expires_at()).saturating_sub(issued_at);
    Verdict::at_most("lifetime", lifetime, "longest", record.lifetime_max)
}

fn audience_mismatch(facts: &Facts<'_>) -> Verdict {
    let claims = need!(facts.claims);
    let meant = claims
        .audience()
        .any(|audience| audience == facts.resource.audience);
    Verdict::unless(!meant, "`aud` does not name this resource")
}

fn audience_not_allowed(facts: &Facts<'_>) -> Verdict {
    let (record, claims) = (need!(facts.record), need!(facts.claims));
    Verdict::unless(
        !claims
            .audience()
            .all(|audience| record.audiences.allows(audience)),
        "`aud` names one that is not in the issuer's record",
    )
}

fn resource_realm_mismatch(facts: &Facts<'_>) -> Verdict {
    Verdict::unless(
        need!(facts.record).realm != facts.resource.realm,
        "issuer and resource are of two realms",
    )
}

fn tenant_not_allowed(facts: &Facts<'_>) -> Verdict {
    let record = need!(facts.record);
    need!(facts.claims);
    let tenant = facts.tenant();
    let by_issuer = record.tenants.allows(tenant);
    if by_issuer && facts.resource.tenants.allows(tenant) {
        return Verdict::Passed;
    }
    Verdict::Failed(Detail::Note(if tenant.is_none() {
        "the token names no tenant that its issuer may name"
    } else if by_issuer {
        "the tenant is not on the resource's list"
    } else {
        "the tenant is not on the issuer's list"
    }))
}

fn scope_insufficient(facts: &Facts<'_>) -> Verdict {
    let granted = need!(facts.claims).scope().unwrap_or_default();
    let has = |wanted: &String| granted.split(' ').any(|scope| scope == wanted);
    Verdict::unless(
        !facts.resource.scopes.iter().all(has),
        "a required scope is absent",
    )
}

fn email_unverified(facts: &Facts<'_>) -> Verdict {
    let is_vouched_for = need!(email::is_vouched_for(facts));
    if need!(facts.claims).email().is_none() || facts.resource.unverified_email == UnverifiedEmail::Ignore {
        return Verdict::Passed;
    }
    Verdict::unless(!is_vouched_for, "nobody vouches for the domain of `email`")
}

/// The first rule of those checked after reading that does not hold.
pub(crate) fn first_failure(facts: &Facts<'_>) -> Option<Refusal> {
    RULES.iter().find_map(|rule| match rule.verdict(facts) {
        Verdict::Passed => None,
        Verdict::Failed(detail) => Some(Refusal {
            reason: rule.reason,
            detail,
        }),
        // Cannot happen while an earlier rule asks for the input. If it does, the answer is no.
        Verdict::NotReached => Some(Refusal::new(rule.reason, "the rule could not be checked")),
    })
}

/// The first rule about proofs that does not hold for one that came without a token.
pub(crate) fn first_proof_failure(proof: &Proof, check: &ProofCheck<'_>) -> Option<Refusal> {
    RULES.iter().find_map(|rule| match rule.test {
        Test::Proof(test) => match test(proof, check) {
            Verdict::Passed => None,
            Verdict::Failed(detail) => Some(Refusal {
                reason: rule.reason,
                detail,
            }),
            Verdict::NotReached => Some(Refusal::new(rule.reason, "the rule could not be checked")),
        },
        Test::Form(_) | Test::Check(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_ordered_as_their_reasons() {
        for pair in RULES.windows(2) {
            assert!(
                pair[0].reason < pair[1].reason,
                "{} before {}",
                pair[0].reason,
                pair[1].reason
            );
        }
    }
}
