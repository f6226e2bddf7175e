//! The verification itself: the first rule that does not hold, or a [`VerifiedToken`]; and every rule explained.

use std::fmt;

use crate::claims::Claims;
use crate::confirmation::Proofs;
use crate::email;
use crate::facts::{Facts, Verdict};
use crate::fingerprint::{CertificateThumbprint, Fingerprint, Thumbprint};
use crate::key::{Algorithm, KeyRecord, KeyState};
use crate::principal::Principal;
use crate::reason::{Reason, Refusal};
use crate::registry::Registry;
use crate::resource::Resource;
use crate::rules::{Part, RULES, Rule, Test, first_failure};
use crate::token::{Frame, ParsedToken, RawToken, Reading, Thoroughness};

/// What a token is checked against.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::{Check, ParsedToken, verify};
///
/// # let (registry, resource) = (given::registry(), given::resource());
/// let token = ParsedToken::parse(&text)?;
/// let check = Check::new(&registry, &resource, 1_700_000_000);
/// assert!(verify(&token, &check).is_ok());
///
/// let an_hour_later = Check::new(&registry, &resource, 1_700_003_600);
/// assert_eq!(verify(&token, &an_hour_later).unwrap_err().code(), "token_expired");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Check<'a> {
    /// The trusted issuers.
    pub registry: &'a Registry,
    /// What the token is used for.
    pub resource: &'a Resource,
    /// The time, in unix seconds.
    pub now: u64,
    /// What came beside the token; [`Proofs::NONE`] if it came alone, as a bearer token does.
    pub proofs: Proofs<'a>,
}

impl<'a> Check<'a> {
    /// A check for a token that came alone: one that is bound to a key or a certificate is refused.
    pub const fn new(registry: &'a Registry, resource: &'a Resource, now: u64) -> Self {
        Self {
            registry,
            resource,
            now,
            proofs: Proofs::NONE,
        }
    }

    /// The same with what came beside the token.
    #[must_use]
    pub const fn with_proofs(self, proofs: Proofs<'a>) -> Self {
        Self { proofs, ..self }
    }
}

/// Checks every rule and stops at the first that does not hold.
///
/// A DPoP proof is used up only if everything else holds.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::{Check, ParsedToken, verify};
///
/// # let (registry, resource, now) = (given::registry(), given::resource(), given::NOW);
/// let check = Check::new(&registry, &resource, now);
/// match ParsedToken::parse(&text).and_then(|token| verify(&token, &check)) {
///     Ok(token) => assert_eq!(token.subject(), "ada"),
///     Err(refusal) => panic!("for the log: {refusal}; to do: {}", refusal.reason.remedy()),
/// }
/// # Ok(())
/// # }
/// ```
pub fn verify(token: &ParsedToken, check: &Check<'_>) -> Result<VerifiedToken, Refusal> {
    let facts = Facts::of(Some(token.header()), Some(token.claims()), Some(token), check);
    if let Some(refusal) = first_failure(&facts) {
        return Err(refusal);
    }
    VerifiedToken::of(token, &facts)
}

/// A token for which every rule holds. Only [`verify`] and [`explain`] make one.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::{Check, ParsedToken, VerifiedToken, verify};
///
/// # let (registry, resource, now) = (given::registry(), given::resource(), given::NOW);
/// let check = Check::new(&registry, &resource, now);
/// let token: VerifiedToken = verify(&ParsedToken::parse(&text)?, &check)?;
/// assert_eq!(token.issuer(), "https://id.example/enterprise/1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e");
/// assert_eq!((token.realm(), token.subject()), ("enterprise", "ada"));
/// assert_eq!(token.tenant(), Some("1a1a1a1a-2b2b-4c3c-8d4d-5e5e5e5e5e5e"));
/// assert_eq!(token.client_id(), Some("mail-client"));
/// assert!(token.scope().split(' ').any(|scope| scope == "mail.read"));
/// assert_eq!(token.expires_at() - token.issued_at(), 660);
/// assert_eq!((token.key_id(), token.algorithm().as_str()), ("ent-shared", "ES256"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct VerifiedToken {
    token: ParsedToken,
    key: KeyRecord,
    has_tenant: bool,
    is_email_vouched_for: bool,
    issued_at: u64,
    expires_at: u64,
}

impl VerifiedToken {
    fn of(token: &ParsedToken, facts: &Facts<'_>) -> Result<Self, Refusal> {
        let claims = token.claims();
        let missing = || Refusal::new(Reason::ClaimMissing, "a required claim is absent");
        Ok(Self {
            token: token.clone(),
            key: facts
                .key
                .ok_or_else(|| Refusal::new(Reason::KeyUnknown, "no key was selected"))?
                .clone(),
            has_tenant: facts.tenant().is_some(),
            is_email_vouched_for: email::is_vouched_for(facts).unwrap_or(false),
            issued_at: claims.issued_at().ok_or_else(missing)?,
            expires_at: claims.expires_at().ok_or_else(missing)?,
        })
    }

    fn claims(&self) -> Claims<'_> {
        self.token.claims()
    }

    /// The token, for a service that does not ask the ledger: unless its key may be stolen ([`KeyState::Suspect`]), for
    /// then only the ledger can say whether the token was issued. Refused as `provenance_unknown`.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let verified = given::verified("R07-suspect");
    /// use countersign_token::KeyState;
    ///
    /// // A good token, as far as the token itself goes.
    /// assert_eq!(verified.key_state(), KeyState::Suspect);
    /// assert_eq!(verified.without_ledger().unwrap_err().code(), "provenance_unknown");
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_ledger(self) -> Result<Self, Refusal> {
        if self.key_state() == KeyState::Suspect {
            return Err(Refusal::new(
                Reason::ProvenanceUnknown,
                "the key is suspect, and no ledger is asked",
            ));
        }
        Ok(self)
    }

    /// `iss`.
    pub fn issuer(&self) -> &str {
        self.claims().issuer().unwrap_or_default()
    }

    /// The realm of issuer, key and resource.
    pub fn realm(&self) -> &str {
        self.key.realm()
    }

    /// The tenant, if the issuer speaks for one.
    pub fn tenant(&self) -> Option<&str> {
        self.claims().tenant().filter(|_| self.has_tenant)
    }

    /// `sub`. Together with [`Self::issuer`] it is the identity; an e-mail address never is.
    pub fn subject(&self) -> &str {
        self.claims().subject().unwrap_or_default()
    }

    /// Who the token speaks for: the one thing to hang accounts and permissions on.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
    /// # let token = given::verified("F00-good");
    /// use std::collections::HashMap;
    ///
    /// let accounts = HashMap::from([(token.principal(), "account 1")]);
    /// assert_eq!(accounts.get(&token.principal()), Some(&"account 1"));
    /// ```
    pub fn principal(&self) -> Principal {
        Principal::new(
            self.issuer(),
            self.subject(),
            self.tenant(),
            self.claims().object_id(),
        )
    }

    /// The e-mail address, if it may be shown as the user's: the tenant is proven to own its domain, Entra vouches for it
    /// (`xms_edov`), or the issuer does (`email_verified`) and its record says that this counts.
    ///
    /// For showing only. Two people may come with one address, today or a year apart; who it is says
    /// [`Self::principal`].
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
    /// # let token = given::verified("F00-good");
    /// let shown = token.displayable_email().unwrap_or("no address");
    /// assert_eq!(format!("Signed in as {} ({shown})", token.subject()), "Signed in as ada (no address)");
    /// ```
    pub fn displayable_email(&self) -> Option<&str> {
        self.claims().email().filter(|_| self.is_email_vouched_for)
    }

    /// The key the token is bound to (`cnf.jkt`), proved by the DPoP proof that came with it.
    ///
    /// Whoever keeps verified tokens must check this and [`Self::bound_certificate`] again for each request: the proof
    /// is the request's, not the token's.
    ///
    /// ```
    /// use countersign_token::dpop::{Proof, ProofCheck, Request, VerifiedProof};
    /// use countersign_token::{Refusal, TokenDigest, VerifiedToken};
    ///
    /// /// For a token that was found in a cache, and is bound to a key.
    /// fn prove(
    ///     token: &VerifiedToken, digest: TokenDigest, header: &str, request: Request<'_>, now: u64,
    /// ) -> Result<VerifiedProof, Refusal> {
    ///     let mut check = ProofCheck::new(request, now);
    ///     if let Some(key) = token.bound_key() {
    ///         check = check.beside(digest, key);
    ///     }
    ///     Proof::parse(header)?.verify(&check)
    /// }
    /// ```
    pub fn bound_key(&self) -> Option<Thumbprint> {
        self.claims().confirmation()?.key
    }

    /// The client certificate the token is bound to (`cnf["x5t#S256"]`).
    ///
    /// ```
    /// use countersign_token::VerifiedToken;
    ///
    /// /// For a token that was found in a cache.
    /// fn is_its_connection(token: &VerifiedToken, certificate: &[u8]) -> bool {
    ///     token.bound_certificate().is_none_or(|bound| bound.is_of(certificate))
    /// }
    /// ```
    pub fn bound_certificate(&self) -> Option<CertificateThumbprint> {
        self.claims().confirmation()?.certificate
    }

    /// The client that got the token: `client_id`, or what issuers without RFC 9068 write (`azp`, `appid`).
    pub fn client_id(&self) -> Option<&str> {
        self.claims().client()
    }

    /// `aud`, one by one.
    pub fn audience(&self) -> impl Iterator<Item = &str> + Clone {
        self.claims().audience()
    }

    /// Granted scopes, separated by spaces; empty if there are none.
    pub fn scope(&self) -> &str {
        self.claims().scope().unwrap_or_default()
    }

    /// `kid`.
    pub fn key_id(&self) -> &str {
        self.key.id()
    }

    /// RFC 7638 thumbprint of the key.
    pub fn key_thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// The key's state. A token of a `suspect` key counts only if the ledger has it; that is for the caller to see to.
    pub fn key_state(&self) -> KeyState {
        self.key.state()
    }

    /// The key.
    pub fn key(&self) -> &KeyRecord {
        &self.key
    }

    /// The algorithm: the key's.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// What the ledger calls this token.
    pub fn fingerprint(&self) -> Fingerprint {
        self.token.fingerprint()
    }

    /// `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.claims().token_id()
    }

    /// `sid`.
    pub fn session_id(&self) -> Option<&str> {
        self.claims().session_id()
    }

    /// Who acts for the subject: `act.sub` (RFC 8693).
    pub fn actor(&self) -> Option<&str> {
        self.claims().actor()
    }

    /// `iat`, unix seconds.
    pub fn issued_at(&self) -> u64 {
        self.issued_at
    }

    /// `exp`, unix seconds.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedToken({}, key {})", self.fingerprint(), self.key_id())
    }
}

/// Every rule with what came of it, and the decision.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{Check, RULES, explain};
///
/// # let (registry, resource) = (given::registry(), given::resource());
/// let explanation = explain("no token", &Check::new(&registry, &resource, 1_700_000_000));
/// assert_eq!(explanation.result.unwrap_err().code(), "segment_count_wrong");
/// assert_eq!(explanation.steps.len(), RULES.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// One step a rule, in order.
    pub steps: Vec<Step>,
    /// As [`verify`] decides.
    pub result: Result<VerifiedToken, Refusal>,
}

/// One rule, as it went.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_token::{Check, explain};
///
/// # let (registry, resource) = (given::registry(), given::resource());
/// let explanation = explain("no token", &Check::new(&registry, &resource, 1_700_000_000));
/// for step in explanation.steps {
///     println!("{:<11}  {}  {}", step.outcome.as_str(), step.rule, step.detail);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The reason code a failure would have.
    pub reason: Reason,
    /// What must hold.
    pub rule: &'static str,
    /// Whether it does.
    pub outcome: Outcome,
    /// Where it does not: what is known; empty otherwise.
    pub detail: String,
}

/// What came of a rule. Exhaustive on purpose: there is no fourth.
///
/// ```
/// use countersign_token::Outcome;
///
/// assert_eq!(Outcome::NotReached.as_str(), "not_reached");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It could not be checked, because something it needs could not be read or found.
    NotReached,
}

impl Outcome {
    /// Name for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotReached => "not_reached",
        }
    }
}

/// Checks every rule and goes on after a failure wherever what a rule needs is there. It uses up a DPoP proof as
/// [`verify`] does.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/given.rs")); }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let text = given::token("F00-good");
/// use countersign_token::{Check, Outcome, Resource, explain};
///
/// # let registry = given::registry();
/// let resource = Resource::new("files", "https://files.example", "enterprise");
/// let explanation = explain(&text, &Check::new(&registry, &resource, 1_700_003_600));
///
/// // The decision names the first rule that does not hold, the steps name all.
/// let failed = explanation.steps.iter().filter(|step| step.outcome == Outcome::Failed);
/// let failed: Vec<_> = failed.map(|step| step.reason.as_str()).collect();
/// assert_eq!(failed, ["token_expired", "audience_mismatch"]);
/// assert_eq!(explanation.result.unwrap_err().code(), "token_expired");
/// # Ok(())
/// # }
/// ```
pub fn explain(text: &str, check: &Check<'_>) -> Explanation {
    let frame = Frame::new(text);
    let reading = match &frame {
        Ok(frame) => Reading::of(*frame, Thoroughness::GoOn),
        Err(refusal) => Reading::failed(refusal.clone()),
    };
    // Read again rather than kept: a token of bad form cannot be a `ParsedToken`, and explaining may take its time.
    let parsed = RawToken::new(text).and_then(RawToken::parse);
    let facts = Facts::of(reading.header(), reading.claims(), parsed.as_ref().ok(), check);
    let result = match &parsed {
        Ok(token) => verify(token, check),
        Err(refusal) => Err(refusal.clone()),
    };
    let steps: Vec<_> = RULES
        .iter()
        .map(|rule| {
            let (outcome, detail) = match rule.test {
                Test::Form(part) => form_outcome(rule.reason, part, &reading, frame.is_ok()),
                _ => outcome(rule, &facts, &result),
            };
            Step {
                reason: rule.reason,
                rule: rule.text,
                outcome,
                detail,
            }
        })
        .collect();
    Explanation { steps, result }
}

fn outcome(rule: &Rule, facts: &Facts<'_>, result: &Result<VerifiedToken, Refusal>) -> (Outcome, String) {
    let verdict = match (rule.reason, result) {
        // A proof is used up by asking whether it was: what the decision was told counts.
        (Reason::ProofReplayed, Ok(_)) => Verdict::Passed,
        (Reason::ProofReplayed, Err(refusal)) if refusal.reason == Reason::ProofReplayed => {
            Verdict::Failed(refusal.detail.clone())
        }
        (Reason::ProofReplayed, Err(_)) if facts.dpop().is_some() => Verdict::NotReached,
        _ => rule.verdict(facts),
    };
    match verdict {
        Verdict::Passed => (Outcome::Passed, String::new()),
        Verdict::Failed(detail) => (Outcome::Failed, detail.to_string()),
        Verdict::NotReached => (Outcome::NotReached, String::new()),
    }
}

fn form_outcome(reason: Reason, part: Part, reading: &Reading, is_framed: bool) -> (Outcome, String) {
    let faults: Vec<_> = reading
        .faults
        .iter()
        .filter(|fault| fault.reason == reason)
        .map(|fault| fault.detail.to_string())
        .collect();
    if !faults.is_empty() {
        return (Outcome::Failed, faults.join(", "));
    }
    // The frame's rules are checked in order and stop at the first; all others are checked once their part is read.
    let is_reached = match part {
        Part::Frame => is_framed || reading.faults.iter().all(|fault| reason < fault.reason),
        Part::Segments => is_framed,
        Part::Header => reading.header().is_some(),
        Part::Claims => reading.claims().is_some(),
    };
    (
        if is_reached {
            Outcome::Passed
        } else {
            Outcome::NotReached
        },
        String::new(),
    )
}
