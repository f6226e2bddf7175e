//! Every problem of a configuration at once, each with its place and a hint.

use std::collections::BTreeSet;

use countersign_token::is_guid;

use super::{Authentication, ClientConfig, Config, RealmConfig, TENANT_PLACEHOLDER, TenantConfig};

/// The longest lifetime a realm may set: one day. A key stays useful to a thief for that long after its retirement.
const LIFETIME_CEILING_SECONDS: u64 = 86_400;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as in `realms[0].issuer`.
    pub path: String,
    /// What is wrong.
    pub message: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

impl Config {
    /// All problems, in the order of the configuration; empty when it can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        problems.check(
            !self.realms.is_empty(),
            || "realms".to_owned(),
            "there is no realm",
            "add [[authority.realms]] with a name and an issuer path",
        );
        let mut names = BTreeSet::new();
        let mut paths = BTreeSet::new();
        for (index, realm) in self.realms.iter().enumerate() {
            let at = format!("realms[{index}]");
            problems.realm(&at, realm, names.insert(realm.name.as_str()));
            problems.issuer_paths(&at, realm, &mut paths);
        }
        let mut ids = BTreeSet::new();
        for (index, client) in self.clients.iter().enumerate() {
            problems.client(
                &format!("clients[{index}]"),
                client,
                self,
                ids.insert(client.id.as_str()),
            );
        }
        problems.0
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn check(
        &mut self,
        holds: bool,
        path: impl FnOnce() -> String,
        message: &'static str,
        hint: &'static str,
    ) {
        if !holds {
            self.0.push(Problem {
                path: path(),
                message,
                hint,
            });
        }
    }

    fn realm(&mut self, at: &str, realm: &RealmConfig, name_is_new: bool) {
        self.check(
            is_realm_name(&realm.name),
            || format!("{at}.name"),
            "not a realm name",
            "use 1 to 32 lower-case letters, digits and `-`, beginning with a letter",
        );
        self.check(
            name_is_new,
            || format!("{at}.name"),
            "another realm has this name",
            "give each realm one name",
        );
        self.check(
            is_issuer_path(&realm.issuer),
            || format!("{at}.issuer"),
            "not an issuer path",
            "begin with `/`, use letters, digits, `-`, `_`, `.` in each segment, at most one segment `{tenantid}`, no `/` at the end",
        );
        self.check(
            (1..=realm.lifetime_max_seconds).contains(&realm.access_token_lifetime_seconds),
            || format!("{at}.access_token_lifetime_seconds"),
            "not between 1 and lifetime_max_seconds",
            "shorten the access token or raise lifetime_max_seconds",
        );
        self.check(
            (1..=LIFETIME_CEILING_SECONDS).contains(&realm.lifetime_max_seconds),
            || format!("{at}.lifetime_max_seconds"),
            "not between 1 and 86400",
            "a key can be misused for this long after its retirement: keep it short",
        );
        self.check(
            realm.has_tenants() != realm.tenants.is_empty(),
            || format!("{at}.tenants"),
            "tenants and issuer do not fit",
            "a realm has tenants exactly when its issuer contains `{tenantid}`",
        );
        if realm.has_tenants() {
            self.tenants(at, &realm.tenants);
        }
    }

    fn tenants(&mut self, at: &str, tenants: &[TenantConfig]) {
        let mut ids = BTreeSet::new();
        let mut names = BTreeSet::new();
        for (index, tenant) in tenants.iter().enumerate() {
            self.check(
                is_guid(&tenant.id) && ids.insert(&tenant.id),
                || format!("{at}.tenants[{index}].id"),
                "not a GUID of its own",
                "use a lower-case GUID such as 8d6c3a52-6b7e-4f7e-9b51-0a4f5a1c0d01, once",
            );
            self.check(
                !tenant.name.is_empty() && !is_guid(&tenant.name) && names.insert(&tenant.name),
                || format!("{at}.tenants[{index}].name"),
                "not a name of its own",
                "give each tenant of the realm its own name, and none that could be another's GUID",
            );
        }
    }

    /// Issuers must not share a path, nor may one lie below another: their endpoints would collide.
    fn issuer_paths(&mut self, at: &str, realm: &RealmConfig, taken: &mut BTreeSet<String>) {
        for (path, _) in realm.issuer_paths() {
            let collides = taken
                .iter()
                .any(|other| is_at_or_below(&path, other) || is_at_or_below(other, &path));
            self.check(
                !collides,
                || format!("{at}.issuer"),
                "the path is that of another issuer, or lies above or below it",
                "give each issuer a path of its own, such as /consumer and /enterprise/{tenantid}",
            );
            taken.insert(path);
        }
    }

    fn client(&mut self, at: &str, client: &ClientConfig, config: &Config, id_is_new: bool) {
        self.check(
            is_client_id(&client.id) && id_is_new,
            || format!("{at}.id"),
            "not a client identifier of its own",
            "use 1 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit, once",
        );
        let realm = config.realm(&client.realm);
        self.check(
            realm.is_some(),
            || format!("{at}.realm"),
            "no such realm",
            "name a realm of this configuration",
        );
        if let Some(realm) = realm {
            let known = client
                .tenant
                .as_deref()
                .is_some_and(|tenant| realm.tenant(tenant).is_some());
            self.check(
                if realm.has_tenants() {
                    known
                } else {
                    client.tenant.is_none()
                },
                || format!("{at}.tenant"),
                "the tenant does not fit the realm",
                "name a tenant of the realm, or none if the realm has none",
            );
        }
        self.credentials(at, client);
        self.targets(at, client);
    }

    fn credentials(&mut self, at: &str, client: &ClientConfig) {
        self.check(
            client.secret_file.is_none() || client.authentication == Authentication::ClientSecretBasic,
            || format!("{at}.secret_file"),
            "only client_secret_basic has a secret",
            "remove secret_file or change authentication",
        );
        self.check(
            client.jwks_file.is_none() || client.authentication == Authentication::PrivateKeyJwt,
            || format!("{at}.jwks_file"),
            "only private_key_jwt has keys",
            "remove jwks_file or change authentication",
        );
    }

    fn targets(&mut self, at: &str, client: &ClientConfig) {
        self.check(
            client.resource.is_some() || !client.exchange,
            || format!("{at}.resource"),
            "a client that exchanges must be an API itself",
            "set resource to the audience of the tokens that the client receives",
        );
        self.check(
            client.resource.as_deref().is_none_or(is_audience),
            || format!("{at}.resource"),
            "not an absolute URI",
            "use the API's identifier, such as https://mail.example, without a fragment",
        );
        self.check(
            !client.audiences.is_empty(),
            || format!("{at}.audiences"),
            "the client can reach nothing",
            "list the audiences that it may ask tokens for",
        );
        self.check(
            client
                .resource
                .as_ref()
                .is_none_or(|own| !client.audiences.contains(own)),
            || format!("{at}.audiences"),
            "the client would get tokens for itself, which only renews them",
            "remove its own resource from its audiences",
        );
        for (index, audience) in client.audiences.iter().enumerate() {
            self.check(
                is_audience(audience),
                || format!("{at}.audiences[{index}]"),
                "not an absolute URI",
                "use the API's identifier, such as https://mail.example, without a fragment",
            );
        }
        self.check(
            client.subject_scopes.is_empty() || client.exchange,
            || format!("{at}.subject_scopes"),
            "only a client that exchanges has subject tokens",
            "remove subject_scopes or set exchange = true",
        );
        self.scopes(&format!("{at}.scopes"), &client.scopes);
        self.scopes(&format!("{at}.subject_scopes"), &client.subject_scopes);
    }

    fn scopes(&mut self, at: &str, scopes: &[String]) {
        for (index, scope) in scopes.iter().enumerate() {
            self.check(
                is_scope(scope),
                || format!("{at}[{index}]"),
                "not one scope",
                "use visible characters without space, `\"` and `\\`",
            );
        }
    }
}

fn is_realm_name(name: &str) -> bool {
    let of = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 32 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(of)
}

/// The identifier becomes a file name, hence no leading dot and no slash.
fn is_client_id(id: &str) -> bool {
    let of = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    id.len() <= 64 && id.starts_with(|first: char| first.is_ascii_alphanumeric()) && id.bytes().all(of)
}

fn is_issuer_path(path: &str) -> bool {
    let of = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(of);
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let placeholders = rest
        .split('/')
        .filter(|&segment| segment == TENANT_PLACEHOLDER)
        .count();
    placeholders <= 1
        && rest
            .split('/')
            .all(|segment| segment == TENANT_PLACEHOLDER || plain(segment))
}

fn is_at_or_below(path: &str, other: &str) -> bool {
    path.strip_prefix(other)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An absolute URI without a fragment (RFC 8707 §2).
fn is_audience(text: &str) -> bool {
    text.len() <= 512 && url::Url::parse(text).is_ok_and(|url| url.fragment().is_none())
}

/// A scope token of RFC 6749 §3.3.
pub(crate) fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
