//! The gate's section of the configuration. Every default is a named constant with its reason.

use std::path::PathBuf;
use std::time::Duration;

use countersign_ledger::remote::{RemoteOptions, WitnessedOptions};
use countersign_ledger::{FollowOptions, Keep};
use countersign_token::{AudienceRule, IssuerName, TenantRule, UnverifiedEmail};
use serde::{Deserialize, Serialize};

/// How long a foreign key set is used before it is fetched again. Five minutes: a key rotated in by the
/// provider is announced hours ahead, a key taken out should not live much longer than a coffee break.
pub const REFRESH_SECONDS: u64 = 300;

/// How long after one fetch caused by an unknown key identifier the next such fetch may start. Long enough
/// that a flood of invented identifiers costs the provider two requests a minute.
pub const UNKNOWN_KEY_COOLDOWN_SECONDS: u64 = 30;

/// How old a key set may grow while its provider cannot be reached. Six hours carry a site through an outage
/// of the provider; a set older than that may hide a key taken out long ago.
pub const STALE_MAX_SECONDS: u64 = 6 * 60 * 60;

/// The longest lifetime accepted from a foreign issuer. One hour is what the large providers issue
/// (Entra goes up to 90 minutes, to be configured knowingly).
pub const LIFETIME_MAX_SECONDS: u64 = 3600;

/// How far a foreign issuer's clock may be ahead or behind. Synchronised machines differ by less than a second.
pub const CLOCK_SKEW_SECONDS: u64 = 30;

/// How long before the issuance a foreign issuer writes `iat`. Most write the time of the issuance.
pub const ISSUED_AT_OFFSET_SECONDS: u64 = 0;

/// How long an unknown token waits for the ledger. Longer than a busy disk's slowest read, shorter than a client waits.
pub const LEDGER_TIMEOUT_MS: u64 = 2_000;

/// How long known tokens are admitted while the ledger is not heard. Five minutes carry a gate through a restart of the
/// ledger; longer than that, what was denied in the meantime should not be missed.
pub const LEDGER_STALE_MAX_SECONDS: u64 = 300;
/// How old the cosignatures of witnesses may be. They are asked every ten seconds: five minutes carry a gate through a
/// witness's restart.
const WITNESSED_AGE_MAX_SECONDS: u64 = 300;

/// Where decisions are logged unless configured, below the data directory.
pub const DECISION_LOG: &str = "decisions.ndjson";

/// What this gate calls itself in its log unless configured: enough where there is only one.
pub const NAME: &str = "gate";

/// What a gate protects, whom it trusts beside the trust bundle, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of this gate in the decision log: lower-case letters, digits, `.`, `-` and `_`.
    #[serde(default = "default_name")]
    pub name: String,
    /// The proxy that asks: `nginx`, `caddy` or `traefik`. Only the headers that this proxy sets itself are
    /// read; every other family is ignored, because the caller could have written it.
    #[serde(default)]
    pub dialect: Dialect,
    /// The decision log, one JSON object a line. A relative path starts in the data directory.
    #[serde(default = "default_decision_log")]
    pub decision_log: PathBuf,
    /// The services behind the proxy.
    #[serde(default)]
    pub resources: Vec<ResourceConfig>,
    /// Issuers of other providers. The issuers of one's own authority come with the trust bundle.
    #[serde(default)]
    pub issuers: Vec<ForeignIssuer>,
    /// The ledger to ask when it is in another process. Without it the gate asks the one in its own process, if there is
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerConfig>,
}

/// A ledger in another process, followed over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// The ledger's prefix, e.g. `https://login.example/ledger`. In the clear only on this machine.
    pub url: String,
    /// The ledger's key, the line that it serves at `URL/key`. Fetch it once, by a way you trust: whatever this key did
    /// not sign is not believed.
    pub verifier_key: String,
    /// How long a token that the gate does not know waits for the ledger's answer, in milliseconds.
    #[serde(default = "default_ledger_timeout")]
    pub timeout_ms: u64,
    /// How long tokens already known are admitted after the ledger was last heard, in seconds. Later than that nothing
    /// can be told.
    #[serde(default = "default_ledger_stale_max")]
    pub stale_max_seconds: u64,
    /// Keep the position of each issuance, for `ledger_index` in the decision log, at twice the memory: up to 24 bytes
    /// a token instead of 12.
    #[serde(default)]
    pub keep_indices: bool,
    /// Trust policy (tlog-policy) whose quorum of witnesses must have cosigned what the ledger publishes. Without their
    /// cosignatures nothing can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witnesses: Option<PathBuf>,
    /// How old the witnesses' cosignatures may be, in seconds.
    #[serde(default = "default_witnessed_age_max")]
    pub witnessed_age_max_seconds: u64,
}

impl LedgerConfig {
    /// As the follower takes it.
    #[must_use]
    pub fn to_options(&self) -> RemoteOptions {
        RemoteOptions {
            url: self.url.clone(),
            verifier_key: self.verifier_key.clone(),
            witnessed: self.witnesses.clone().map(|policy| WitnessedOptions {
                policy,
                age_max: Duration::from_secs(self.witnessed_age_max_seconds),
            }),
            follow: FollowOptions {
                keep: if self.keep_indices {
                    Keep::Indices
                } else {
                    Keep::Membership
                },
                timeout: Duration::from_millis(self.timeout_ms),
                stale_max: Some(Duration::from_secs(self.stale_max_seconds)),
            },
        }
    }
}

impl Config {
    /// What a first run on a fresh machine protects: two enterprise services and a consumer one.
    #[must_use]
    pub fn first_run() -> Self {
        let resource = |name: &str, realm: &str| ResourceConfig {
            name: name.to_owned(),
            audience: format!("https://{name}.example"),
            realm: realm.to_owned(),
            mode: Mode::Enforce,
            scopes: Vec::new(),
            tenants: Vec::new(),
            unverified_email: EmailRule::Refuse,
            proof: ProofRule::IfBound,
        };
        Self {
            name: default_name(),
            dialect: Dialect::Nginx,
            decision_log: default_decision_log(),
            resources: vec![
                resource("mail", "enterprise"),
                resource("files", "enterprise"),
                resource("outlook", "consumer"),
            ],
            issuers: Vec::new(),
            ledger: None,
        }
    }
}

/// The reverse proxy in front, and with it the header family that carries the original request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// nginx `auth_request`: `X-Original-Method`, `X-Original-URI`, `X-Original-Remote-Addr`.
    #[default]
    Nginx,
    /// Caddy `forward_auth`: `X-Forwarded-Method`, `X-Forwarded-Uri`, `X-Forwarded-For`.
    Caddy,
    /// Traefik `forwardAuth`: the same headers as Caddy.
    Traefik,
}

/// A service behind the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfig {
    /// The name the proxy's configuration asks by: `/check?resource=NAME`.
    pub name: String,
    /// The audience a token must name.
    pub audience: String,
    /// The realm of this service. Tokens of another realm are refused whatever they say.
    pub realm: String,
    /// What the ledger's answer means here: `off` (not asked), `observe` (asked and logged) or `enforce`.
    #[serde(default)]
    pub mode: Mode,
    /// The scopes a token must carry, all of them.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The tenants that may enter. Empty: every tenant of the realm.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// What to do with a token whose e-mail address nobody proved: `refuse`, or `ignore` when the service
    /// identifies people by issuer and subject only.
    #[serde(default)]
    pub unverified_email: EmailRule,
    /// Which tokens must come with a proof of their holder, by DPoP or a client certificate: `if_bound`, those that are
    /// bound to a key or a certificate, or `required`, all. A gate takes no proofs yet: there `required` lets nobody in.
    #[serde(default)]
    pub proof: ProofRule,
}

impl ResourceConfig {
    /// The resource as the token rules take it.
    #[must_use]
    pub fn to_resource(&self) -> countersign_token::Resource {
        let mut resource = countersign_token::Resource::new(&self.name, &self.audience, &self.realm);
        resource.tenants = tenant_rule(&self.tenants);
        resource.scopes.clone_from(&self.scopes);
        resource.unverified_email = match self.unverified_email {
            EmailRule::Refuse => UnverifiedEmail::Refuse,
            EmailRule::Ignore => UnverifiedEmail::Ignore,
        };
        resource.proof = match self.proof {
            ProofRule::IfBound => countersign_token::ProofRule::IfBound,
            ProofRule::Required => countersign_token::ProofRule::Required,
        };
        resource
    }
}

/// What the ledger's answer means at a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The ledger is not asked: the signature alone decides.
    Off,
    /// The ledger is asked; a token it does not know is admitted and stands in the decision log.
    Observe,
    /// A token the ledger does not know is refused, and so is every token when the ledger cannot tell.
    #[default]
    Enforce,
}

/// What to do with a token that carries an e-mail address nobody proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailRule {
    /// Refuse the token: somebody may take the address for an identity.
    #[default]
    Refuse,
    /// Admit it; the address is never passed on.
    Ignore,
}

/// Which tokens must come with a proof that their holder shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofRule {
    /// Those that are bound to a key or a certificate.
    #[default]
    IfBound,
    /// All: a token that is bound to nothing is refused.
    Required,
}

/// An issuer of another provider, trusted for one realm.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignIssuer {
    /// The exact `iss` of its tokens, or a template with one `{tenantid}` as a path segment.
    pub issuer: String,
    /// The realm its tokens belong to.
    pub realm: String,
    /// Find the key set by discovery: `ISSUER/.well-known/openid-configuration`.
    #[serde(default)]
    pub discovery: bool,
    /// Where the discovery document is, if not below the issuer. Needed for a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_url: Option<String>,
    /// Read the key set from this file instead. A relative path starts in the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// Whether the published keys carry issuer, realm, state and signing window (`declared`), or whether all
    /// keys of the set are taken to be active keys of this issuer (`assumed`).
    #[serde(default)]
    pub key_metadata: KeyMetadata,
    /// Whether its tokens must stand in the ledger (`required`: the resource's mode applies) or are not
    /// recorded by anybody (`off`).
    #[serde(default)]
    pub provenance: ProvenanceRule,
    /// The tenants it may name, as lower-case GUIDs for a template. Needed for a template; with an exact issuer
    /// every token must then name one of them in `tid`.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// The audiences it may issue for. Empty: any; with a list, a token that names another one is refused even if it
    /// names a good one beside it.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The token types (`typ`) accepted; an empty text stands for tokens without one, as Okta issues them.
    #[serde(default = "default_token_types")]
    pub token_types: Vec<String>,
    /// The longest time between `iat` and `exp`, in seconds.
    #[serde(default = "default_lifetime_max")]
    pub lifetime_max_seconds: u64,
    /// How far its clock may differ from ours, in seconds.
    #[serde(default = "default_clock_skew")]
    pub clock_skew_seconds: u64,
    /// How many seconds before the issuance it writes `iat`: Entra back-dates it by 300. The keys' signing windows and
    /// the longest lifetime are judged by the time of issuance.
    #[serde(default = "default_issued_at_offset")]
    pub issued_at_offset_seconds: u64,
    /// What its `email_verified` is worth: `ignore`, or `believe` if it sets it only for mailboxes that it has seen
    /// used.
    #[serde(default)]
    pub email_verified: EmailVerified,
    /// How long its key set is used before it is fetched again, in seconds: at most a day.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u64,
    /// How long after a fetch caused by an unknown key identifier the next such fetch may start, in seconds.
    #[serde(default = "default_cooldown")]
    pub unknown_key_cooldown_seconds: u64,
    /// How old its key set may grow while it cannot be fetched, in seconds. Then its tokens are refused.
    #[serde(default = "default_stale_max")]
    pub stale_max_seconds: u64,
}

impl ForeignIssuer {
    /// The record for a registry, with these keys.
    #[must_use]
    pub fn to_record(
        &self,
        name: IssuerName,
        keys: countersign_token::KeySet,
    ) -> countersign_token::IssuerRecord {
        let mut record =
            countersign_token::IssuerRecord::new(name, self.realm.as_str(), self.lifetime_max_seconds, keys);
        record.token_types.clone_from(&self.token_types);
        record.clock_skew = self.clock_skew_seconds;
        record.issued_at_offset = self.issued_at_offset_seconds;
        record.audiences = audience_rule(&self.audiences);
        record.tenants = tenant_rule(&self.tenants);
        record.email_verified = match self.email_verified {
            EmailVerified::Ignore => countersign_token::EmailVerified::Ignore,
            EmailVerified::Believe => countersign_token::EmailVerified::Believe,
        };
        record
    }
}

/// How the scope of a published key is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyMetadata {
    /// The set says it, key by key, as a Countersign authority publishes it. A key that does not is refused.
    Declared,
    /// Taken from the issuer whose set it is: an active key with an open window.
    #[default]
    Assumed,
}

/// What a foreign issuer's `email_verified` is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailVerified {
    /// Nothing: who verified what, and when, the claim does not say.
    #[default]
    Ignore,
    /// It counts as a proof of the address beside it.
    Believe,
}

/// Whether somebody records what a foreign issuer issues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProvenanceRule {
    /// Nobody records its issuances: the ledger is not asked, unless the key is suspect.
    Off,
    /// Its issuances are recorded: the resource's mode applies.
    #[default]
    Required,
}

fn tenant_rule(tenants: &[String]) -> TenantRule {
    if tenants.is_empty() {
        TenantRule::Any
    } else {
        TenantRule::Only(tenants.to_vec())
    }
}

fn audience_rule(audiences: &[String]) -> AudienceRule {
    if audiences.is_empty() {
        AudienceRule::Any
    } else {
        AudienceRule::Only(audiences.to_vec())
    }
}

fn default_name() -> String {
    NAME.to_owned()
}

fn default_decision_log() -> PathBuf {
    PathBuf::from(DECISION_LOG)
}

fn default_token_types() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}

const fn default_lifetime_max() -> u64 {
    LIFETIME_MAX_SECONDS
}

const fn default_clock_skew() -> u64 {
    CLOCK_SKEW_SECONDS
}

const fn default_issued_at_offset() -> u64 {
    ISSUED_AT_OFFSET_SECONDS
}

const fn default_refresh() -> u64 {
    REFRESH_SECONDS
}

const fn default_cooldown() -> u64 {
    UNKNOWN_KEY_COOLDOWN_SECONDS
}

const fn default_ledger_timeout() -> u64 {
    LEDGER_TIMEOUT_MS
}

const fn default_ledger_stale_max() -> u64 {
    LEDGER_STALE_MAX_SECONDS
}

const fn default_witnessed_age_max() -> u64 {
    WITNESSED_AGE_MAX_SECONDS
}

const fn default_stale_max() -> u64 {
    STALE_MAX_SECONDS
}
