//! What an operator writes: realms, tenants and clients.

mod demo;
mod validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::validate::Problem;
pub(crate) use self::validate::is_scope;

/// Ten minutes: short enough that a retired key is dead soon after its window closes, long enough that a client
/// which fetches a token per batch of calls does not notice.
pub const ACCESS_TOKEN_LIFETIME_SECONDS: u64 = 600;

/// One hour, the longest that a gate accepts from the realm by default. It bounds how long a retired key matters.
pub const LIFETIME_MAX_SECONDS: u64 = 3600;

/// The part of an issuer path that stands for one tenant.
pub const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// The authority's section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The trust domains this authority issues for. Keys and tokens never cross from one to another.
    #[serde(default)]
    pub realms: Vec<RealmConfig>,
    /// The confidential clients that may ask for tokens.
    #[serde(default)]
    pub clients: Vec<ClientConfig>,
}

/// A trust domain with one kind of account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealmConfig {
    /// The realm's name: lower-case letters, digits and `-`. It names the sealing key file, so it cannot change later.
    pub name: String,
    /// Seconds that an access token lives unless the issuance asks for less.
    #[serde(default = "access_token_lifetime_seconds")]
    pub access_token_lifetime_seconds: u64,
    /// The longest lifetime, in seconds, that any token of this realm may have; gates refuse longer ones.
    #[serde(default = "lifetime_max_seconds")]
    pub lifetime_max_seconds: u64,
    /// The signature algorithm of new keys: `ES256`, `RS256` or `EdDSA`. Existing keys keep theirs.
    #[serde(default)]
    pub algorithm: SigningAlgorithm,
    /// The issuer's path below the base URL: `/consumer`, or with one `{tenantid}` segment for a realm with tenants.
    pub issuer: String,
    /// The organisations inside the realm; each has an issuer and keys of its own.
    #[serde(default)]
    pub tenants: Vec<TenantConfig>,
}

/// An organisation inside a realm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    /// The tenant's identity: a lower-case GUID, which replaces `{tenantid}` in the issuer and is the claim `tid`.
    pub id: String,
    /// A name for people; client entries may refer to the tenant by it.
    pub name: String,
    /// The e-mail domains that the tenant has proved to own. An `email` claim in another domain is unverified.
    #[serde(default)]
    pub email_domains: Vec<String>,
}

/// A confidential client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The client identifier: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// The realm that the client belongs to.
    pub realm: String,
    /// The tenant (name or GUID) that the client belongs to; required in a realm with tenants.
    #[serde(default)]
    pub tenant: Option<String>,
    /// How the client proves who it is: `client_secret_basic` or `private_key_jwt`.
    pub authentication: Authentication,
    /// A file (0600) with the client's secret. Without it one is generated at `clients/<id>.secret`.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// A file with the client's public keys as a JWK set. Without it a key is generated at `clients/<id>.jwk`.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// The audience that this client itself is, when it is an API. Only tokens for it can be exchanged by it.
    #[serde(default)]
    pub resource: Option<String>,
    /// The audiences that the client may ask tokens for.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The scopes that the client may ask for at those audiences.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether the client exchanges tokens (RFC 8693). Its audiences and scopes are then exchange targets only:
    /// such a client acts for others and gets no token in its own name.
    #[serde(default)]
    pub exchange: bool,
    /// Of a client that exchanges: the scopes that a subject token must carry, all of them, to be exchanged for `scopes`
    /// at another API (`mail.read` here for `files.read` there). Without any, only those of `scopes` that the subject
    /// token carries itself are granted.
    #[serde(default)]
    pub subject_scopes: Vec<String>,
}

/// How a client proves who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// HTTP Basic with identifier and secret (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
}

impl Authentication {
    /// The name registered with IANA.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// The signature algorithms, spelled as in JOSE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256: small and fast to sign, understood everywhere.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSA 2048 with PKCS#1 v1.5, for relying parties that know nothing else.
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// Every algorithm.
    pub(crate) const ALL: [Self; 3] = [Self::Es256, Self::Rs256, Self::EdDsa];

    /// The JOSE name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// From the JOSE name, which is case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Es256, Self::Rs256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl RealmConfig {
    /// The paths of the realm's issuers, each with the tenant it belongs to.
    pub(crate) fn issuer_paths(&self) -> Vec<(String, Option<&TenantConfig>)> {
        if self.has_tenants() {
            let path = |tenant: &TenantConfig| self.issuer.replace(TENANT_PLACEHOLDER, &tenant.id);
            self.tenants
                .iter()
                .map(|tenant| (path(tenant), Some(tenant)))
                .collect()
        } else {
            vec![(self.issuer.clone(), None)]
        }
    }

    /// Whether the issuer is a template.
    pub(crate) fn has_tenants(&self) -> bool {
        self.issuer.contains(TENANT_PLACEHOLDER)
    }

    /// The tenant with that name or GUID.
    pub(crate) fn tenant(&self, name_or_id: &str) -> Option<&TenantConfig> {
        self.tenants
            .iter()
            .find(|tenant| tenant.id == name_or_id || tenant.name == name_or_id)
    }
}

impl Config {
    /// The realm with that name.
    pub fn realm(&self, name: &str) -> Option<&RealmConfig> {
        self.realms.iter().find(|realm| realm.name == name)
    }
}

const fn access_token_lifetime_seconds() -> u64 {
    ACCESS_TOKEN_LIFETIME_SECONDS
}

const fn lifetime_max_seconds() -> u64 {
    LIFETIME_MAX_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: &[&str]) {
        let config: Config = serde_json::from_str(json).unwrap();
        let found: Vec<String> = config
            .validate()
            .into_iter()
            .map(|problem| problem.path)
            .collect();
        assert_eq!(found, expect, "{json}");
    }

    #[test]
    fn the_first_run_is_valid_and_survives_a_round_trip() {
        let config = Config::first_run();
        assert_eq!(config.validate(), vec![]);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    }

    #[test]
    fn unknown_fields_are_errors() {
        assert!(serde_json::from_str::<Config>(r#"{"realm":[]}"#).is_err());
        assert!(
            serde_json::from_str::<Config>(r#"{"realms":[{"name":"a","issuer":"/a","lifetime":1}]}"#)
                .is_err()
        );
    }

    #[test]
    fn defaults_apply() {
        let config: Config = serde_json::from_str(r#"{"realms":[{"name":"a","issuer":"/a"}]}"#).unwrap();
        let realm = config.realm("a").unwrap();
        assert_eq!(realm.access_token_lifetime_seconds, ACCESS_TOKEN_LIFETIME_SECONDS);
        assert_eq!(realm.lifetime_max_seconds, LIFETIME_MAX_SECONDS);
        assert_eq!(realm.algorithm, SigningAlgorithm::Es256);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        check(r#"{"realms":[]}"#, &["realms"]);
        check(
            r#"{"realms":[
                {"name":"A b","issuer":"a/","lifetime_max_seconds":10},
                {"name":"t","issuer":"/t/{tenantid}"},
                {"name":"t","issuer":"/u","tenants":[{"id":"x","name":"y"}]},
                {"name":"v","issuer":"/v/{tenantid}","tenants":[
                    {"id":"ABC","name":"c"},{"id":"8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01","name":"c"},
                    {"id":"c1f0b7de-2a94-4c39-8e0a-6d2b9f3e7a02","name":"8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01"}]}
            ]}"#,
            &[
                "realms[0].name",
                "realms[0].issuer",
                "realms[0].access_token_lifetime_seconds",
                "realms[1].tenants",
                "realms[2].name",
                "realms[2].tenants",
                "realms[3].tenants[0].id",
                "realms[3].tenants[1].name",
                "realms[3].tenants[2].name",
            ],
        );
    }

    #[test]
    fn two_issuers_at_one_path_are_refused() {
        check(
            r#"{"realms":[{"name":"a","issuer":"/a"},{"name":"b","issuer":"/a"}]}"#,
            &["realms[1].issuer"],
        );
        check(
            r#"{"realms":[{"name":"a","issuer":"/a"},{"name":"b","issuer":"/a/token"}]}"#,
            &["realms[1].issuer"],
        );
    }

    #[test]
    fn clients_are_checked_against_their_realm() {
        let realms = r#""realms":[{"name":"a","issuer":"/a"},
            {"name":"t","issuer":"/t/{tenantid}","tenants":[{"id":"8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01","name":"c"}]}]"#;
        let clients = r#""clients":[
            {"id":"one","realm":"z","authentication":"client_secret_basic","audiences":["https://x"]},
            {"id":"two","realm":"t","authentication":"client_secret_basic","audiences":["https://x"]},
            {"id":"two","realm":"a","tenant":"c","authentication":"client_secret_basic","audiences":[]},
            {"id":"a/b","realm":"a","authentication":"private_key_jwt","secret_file":"x","audiences":["rel"],"scopes":["a b"]},
            {"id":"ex","realm":"a","authentication":"private_key_jwt","audiences":["https://x"],"exchange":true},
            {"id":"self","realm":"a","authentication":"private_key_jwt","resource":"https://x","audiences":["https://x"],"exchange":true},
            {"id":"scoped","realm":"a","authentication":"private_key_jwt","audiences":["https://x"],"subject_scopes":["a b"]}
        ]"#;
        check(
            &format!("{{{realms},{clients}}}"),
            &[
                "clients[0].realm",
                "clients[1].tenant",
                "clients[2].id",
                "clients[2].tenant",
                "clients[2].audiences",
                "clients[3].id",
                "clients[3].secret_file",
                "clients[3].audiences[0]",
                "clients[3].scopes[0]",
                "clients[4].resource",
                "clients[5].audiences",
                "clients[6].subject_scopes",
                "clients[6].subject_scopes[0]",
            ],
        );
    }
}
