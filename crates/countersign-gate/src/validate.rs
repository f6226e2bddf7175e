use std::collections::BTreeSet;

use countersign_ledger::remote::RemoteError;
use countersign_token::{IssuerName, is_guid};
use url::Url;

use crate::config::{Config, ForeignIssuer, LedgerConfig, ResourceConfig};
use crate::fetch::Endpoint;

/// The longest clock difference that still means something: beyond it, lifetimes are not checked any more.
const CLOCK_SKEW_SECONDS_MAX: u64 = 300;

/// The most by which `iat` may lie before the issuance: as much before a key's first second a token of it is let in.
const ISSUED_AT_OFFSET_SECONDS_MAX: u64 = 600;

/// The shortest refresh interval: a provider is asked once every ten seconds at most.
const REFRESH_SECONDS_MIN: u64 = 10;

/// The longest refresh interval: a day is how long the keys taken out by most providers have been unused.
const REFRESH_SECONDS_MAX: u64 = 24 * 60 * 60;

/// The longest wait for the ledger: no proxy waits longer for its answer.
const LEDGER_TIMEOUT_MS_MAX: u64 = 30_000;

/// The shortest time without hearing the ledger: twice the interval at which it is asked.
const LEDGER_STALE_SECONDS_MIN: u64 = 10;

/// The longest: beyond a day, a denial might as well not exist.
const LEDGER_STALE_SECONDS_MAX: u64 = 24 * 60 * 60;

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a path of keys: `resources[0].audience`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

impl Config {
    /// Everything wrong with this configuration, in the order of its keys; empty when it is sound.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        problems.name("name", &self.name);
        if self.decision_log.as_os_str().is_empty() {
            problems.add(
                "decision_log",
                "is empty",
                Some("name a file, or leave the key out"),
            );
        }
        if self.resources.is_empty() {
            problems.add(
                "resources",
                "is empty",
                Some("a gate without resources admits nobody: add one"),
            );
        }
        let mut names = BTreeSet::new();
        for (index, resource) in self.resources.iter().enumerate() {
            let at = format!("resources[{index}]");
            problems.resource(&at, resource);
            if !names.insert(resource.name.as_str()) {
                problems.add(
                    &format!("{at}.name"),
                    "names a second resource",
                    Some("names are unique"),
                );
            }
        }
        let mut issuers = BTreeSet::new();
        for (index, issuer) in self.issuers.iter().enumerate() {
            let at = format!("issuers[{index}]");
            problems.issuer(&at, issuer);
            if !issuers.insert(issuer.issuer.as_str()) {
                problems.add(
                    &format!("{at}.issuer"),
                    "is listed twice",
                    Some("an issuer belongs to one realm and has one record"),
                );
            }
        }
        if let Some(ledger) = &self.ledger {
            problems.ledger(ledger);
        }
        problems.0
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: &str, message: impl Into<String>, hint: Option<&'static str>) {
        self.0.push(Problem {
            path: path.to_owned(),
            message: message.into(),
            hint,
        });
    }

    fn name(&mut self, path: &str, name: &str) {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            let hint = "use up to 64 lower-case letters, digits, `.`, `-` and `_`";
            self.add(path, "is not a name", Some(hint));
        }
    }

    fn words(&mut self, path: &str, words: &[String]) {
        for (index, word) in words.iter().enumerate() {
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
                let hint = "one word of visible ASCII characters each";
                self.add(&format!("{path}[{index}]"), "is not one word", Some(hint));
            }
        }
    }

    fn resource(&mut self, at: &str, resource: &ResourceConfig) {
        self.name(&format!("{at}.name"), &resource.name);
        self.name(&format!("{at}.realm"), &resource.realm);
        if resource.audience.is_empty() {
            let hint = "the `aud` its tokens name, e.g. \"https://mail.example\"";
            self.add(&format!("{at}.audience"), "is empty", Some(hint));
        }
        self.words(&format!("{at}.scopes"), &resource.scopes);
        self.words(&format!("{at}.tenants"), &resource.tenants);
    }

    fn ledger(&mut self, ledger: &LedgerConfig) {
        if let Err(error) = ledger.to_options().check() {
            let at = match error {
                RemoteError::Key(_) => "ledger.verifier_key",
                RemoteError::Witnessed(_) => "ledger.witnesses",
                _ => "ledger.url",
            };
            let message = match &error {
                RemoteError::Key(cause) => format!("is not a verifier key: {cause}"),
                other => format!("does not fit: {other}"),
            };
            self.add(at, message, error.hint());
        }
        if !(1..=LEDGER_TIMEOUT_MS_MAX).contains(&ledger.timeout_ms) {
            let hint = "1 to 30000 milliseconds: the proxy waits as long";
            self.add("ledger.timeout_ms", "is out of range", Some(hint));
        }
        if !(LEDGER_STALE_SECONDS_MIN..=LEDGER_STALE_SECONDS_MAX).contains(&ledger.stale_max_seconds) {
            let hint = "10 seconds to a day: the ledger is asked every 5 seconds";
            self.add("ledger.stale_max_seconds", "is out of range", Some(hint));
        }
    }

    fn issuer(&mut self, at: &str, issuer: &ForeignIssuer) {
        self.name(&format!("{at}.realm"), &issuer.realm);
        self.words(&format!("{at}.tenants"), &issuer.tenants);
        self.words(&format!("{at}.audiences"), &issuer.audiences);
        self.issuer_name(at, issuer);
        self.key_source(at, issuer);
        for (index, name) in issuer.token_types.iter().enumerate() {
            // An empty text stands for tokens without a type.
            if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                let hint = "a `typ` such as \"at+jwt\", or \"\" for tokens without one";
                self.add(
                    &format!("{at}.token_types[{index}]"),
                    "is not a token type",
                    Some(hint),
                );
            }
        }
        if issuer.token_types.is_empty() {
            let hint = "leave the key out for [\"at+jwt\"]";
            self.add(
                &format!("{at}.token_types"),
                "is empty: no token would fit",
                Some(hint),
            );
        }
        self.times(at, issuer);
    }

    fn issuer_name(&mut self, at: &str, issuer: &ForeignIssuer) {
        let path = format!("{at}.issuer");
        match IssuerName::parse(&issuer.issuer) {
            Err(error) => self.add(&path, format!("is not an issuer: {error}"), None),
            Ok(IssuerName::Template { .. }) if issuer.tenants.is_empty() => {
                let hint = "list the tenant identifiers you trust: without them every tenant would be";
                self.add(
                    &format!("{at}.tenants"),
                    "is empty for an issuer template",
                    Some(hint),
                );
            }
            Ok(IssuerName::Template { .. }) => self.template_tenants(at, &issuer.tenants),
            Ok(_) => {}
        }
    }

    /// A template matches GUIDs only: any other tenant would look trusted here and never be let in.
    fn template_tenants(&mut self, at: &str, tenants: &[String]) {
        for (index, tenant) in tenants.iter().enumerate() {
            if !is_guid(tenant) {
                let hint = "e.g. \"7b1d9f0e-4c1a-4f2b-9a3e-0c5d6e7f8a9b\", as the tokens carry it in `tid`";
                self.add(
                    &format!("{at}.tenants[{index}]"),
                    "is not a GUID in lower case",
                    Some(hint),
                );
            }
        }
    }

    fn key_source(&mut self, at: &str, issuer: &ForeignIssuer) {
        let discovers = issuer.discovery || issuer.discovery_url.is_some();
        match (&issuer.jwks_file, discovers) {
            (Some(_), true) => self.add(
                &format!("{at}.jwks_file"),
                "stands beside discovery",
                Some("the keys come from one place: keep one of the two"),
            ),
            (None, false) => self.add(
                at,
                "says nothing about the issuer's keys",
                Some("set `discovery = true`, or `jwks_file` to a key set"),
            ),
            (Some(_), false) => {}
            (None, true) => self.discovery_url(at, issuer),
        }
    }

    fn discovery_url(&mut self, at: &str, issuer: &ForeignIssuer) {
        let (path, text) = match &issuer.discovery_url {
            Some(url) => (format!("{at}.discovery_url"), url.clone()),
            None if issuer.issuer.contains('{') => {
                let hint = "where the template's discovery document is, e.g. below `…/common/v2.0`";
                self.add(
                    &format!("{at}.discovery_url"),
                    "is missing for an issuer template",
                    Some(hint),
                );
                return;
            }
            None => (format!("{at}.issuer"), issuer.issuer.clone()),
        };
        match Url::parse(&text) {
            Err(_) => self.add(&path, "is not a URL", Some("e.g. \"https://login.example\"")),
            Ok(url) if Endpoint::of(&url).is_none() => {
                let hint = "use https; plain http is for 127.0.0.1, [::1] and localhost only";
                self.add(&path, "must not be fetched in the clear", Some(hint));
            }
            Ok(_) => {}
        }
    }

    fn times(&mut self, at: &str, issuer: &ForeignIssuer) {
        if issuer.lifetime_max_seconds == 0 {
            self.add(
                &format!("{at}.lifetime_max_seconds"),
                "is 0: no token would fit",
                None,
            );
        }
        if issuer.clock_skew_seconds > CLOCK_SKEW_SECONDS_MAX {
            let hint = "at most 300; synchronise the clocks instead";
            self.add(&format!("{at}.clock_skew_seconds"), "is too long", Some(hint));
        }
        if issuer.issued_at_offset_seconds > ISSUED_AT_OFFSET_SECONDS_MAX {
            let hint = "at most 600; Entra back-dates `iat` by 300";
            self.add(
                &format!("{at}.issued_at_offset_seconds"),
                "is too long",
                Some(hint),
            );
        }
        if issuer.refresh_seconds < REFRESH_SECONDS_MIN {
            let hint = "at least 10: the provider's server is not yours";
            self.add(&format!("{at}.refresh_seconds"), "is too short", Some(hint));
        }
        if issuer.refresh_seconds > REFRESH_SECONDS_MAX {
            let hint = "at most 86400, a day: keys taken out would live on";
            self.add(&format!("{at}.refresh_seconds"), "is too long", Some(hint));
        }
        if issuer.unknown_key_cooldown_seconds == 0 {
            let hint = "at least 1: otherwise every invented key identifier causes a request";
            self.add(&format!("{at}.unknown_key_cooldown_seconds"), "is 0", Some(hint));
        }
        if issuer.stale_max_seconds < issuer.refresh_seconds {
            let hint = "at least `refresh_seconds`: otherwise keys lapse between two refreshes";
            self.add(
                &format!("{at}.stale_max_seconds"),
                "is shorter than the refresh interval",
                Some(hint),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(config: &Value, expect: &[&str]) {
        let config: Config = serde_json::from_value(config.clone()).unwrap();
        let paths: Vec<String> = config
            .validate()
            .into_iter()
            .map(|problem| problem.path)
            .collect();
        assert_eq!(paths, expect, "{config:?}");
    }

    fn resource() -> Value {
        json!({"name": "mail", "audience": "https://mail.example", "realm": "enterprise"})
    }

    #[test]
    fn the_first_run_is_sound() {
        assert_eq!(Config::first_run().validate(), []);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        check(&json!({}), &["resources"]);
        check(
            &json!({
                "name": "No name", "decision_log": "",
                "resources": [
                    resource(),
                    {"name": "mail", "audience": "", "realm": "", "scopes": ["a b"], "tenants": [""]},
                ],
            }),
            &[
                "name",
                "decision_log",
                "resources[1].realm",
                "resources[1].audience",
                "resources[1].scopes[0]",
                "resources[1].tenants[0]",
                "resources[1].name",
            ],
        );
    }

    #[test]
    fn issuers_have_one_source_of_keys_and_bounded_times() {
        let issuer = |more: Value| {
            let mut issuer = json!({"issuer": "https://login.example", "realm": "enterprise"});
            for (name, value) in more.as_object().unwrap() {
                issuer[name] = value.clone();
            }
            json!({"resources": [resource()], "issuers": [issuer]})
        };
        let template = "https://login.example/{tenantid}/v2.0";
        let tenant = "7b1d9f0e-4c1a-4f2b-9a3e-0c5d6e7f8a9b";
        let common = "https://login.example/common/v2.0/.well-known/openid-configuration";
        check(&issuer(json!({"discovery": true})), &[]);
        check(&issuer(json!({"jwks_file": "keys.json"})), &[]);
        check(&issuer(json!({})), &["issuers[0]"]);
        check(
            &issuer(json!({"discovery": true, "jwks_file": "keys.json"})),
            &["issuers[0].jwks_file"],
        );
        check(
            &issuer(json!({"discovery": true, "issuer": "http://login.example"})),
            &["issuers[0].issuer"],
        );
        check(
            &issuer(json!({"discovery": true, "issuer": "http://127.0.0.1:1"})),
            &[],
        );
        check(
            &issuer(json!({"discovery": true, "issuer": "login"})),
            &["issuers[0].issuer"],
        );
        check(
            &issuer(json!({"discovery": true, "issuer": template})),
            &["issuers[0].tenants", "issuers[0].discovery_url"],
        );
        check(
            &issuer(json!({"issuer": template, "tenants": [tenant], "discovery_url": common})),
            &[],
        );
        check(
            &issuer(json!({
                "issuer": template, "discovery_url": common, "tenants": [tenant, tenant.to_uppercase(), "contoso.example"],
            })),
            &["issuers[0].tenants[1]", "issuers[0].tenants[2]"],
        );
        check(&issuer(json!({"discovery": true, "tenants": ["t1"]})), &[]);
        check(
            &issuer(json!({
                "discovery": true, "token_types": [], "lifetime_max_seconds": 0, "clock_skew_seconds": 301,
                "audiences": ["https://mail.example", ""], "issued_at_offset_seconds": 601,
                "refresh_seconds": 1, "unknown_key_cooldown_seconds": 0, "stale_max_seconds": 0,
            })),
            &[
                "issuers[0].audiences[1]",
                "issuers[0].token_types",
                "issuers[0].lifetime_max_seconds",
                "issuers[0].clock_skew_seconds",
                "issuers[0].issued_at_offset_seconds",
                "issuers[0].refresh_seconds",
                "issuers[0].unknown_key_cooldown_seconds",
                "issuers[0].stale_max_seconds",
            ],
        );
        check(
            &issuer(json!({"discovery": true, "token_types": ["JWT", ""]})),
            &[],
        );
        check(
            &issuer(json!({
                "discovery": true, "token_types": ["JWT", "a b"], "refresh_seconds": u64::MAX, "stale_max_seconds": u64::MAX,
                "unknown_key_cooldown_seconds": u64::MAX, "lifetime_max_seconds": u64::MAX,
            })),
            &["issuers[0].token_types[1]", "issuers[0].refresh_seconds"],
        );
        let twice = issuer(json!({"discovery": true}))["issuers"][0].clone();
        check(
            &json!({"resources": [resource()], "issuers": [twice, twice]}),
            &["issuers[1].issuer"],
        );
    }

    #[test]
    fn every_key_of_an_issuer_reaches_its_record() {
        let written = json!({
            "issuer": "https://login.example", "realm": "enterprise", "jwks_file": "keys.json", "tenants": ["t1"],
            "audiences": ["https://mail.example"], "token_types": ["JWT"], "lifetime_max_seconds": 5400,
            "clock_skew_seconds": 5, "issued_at_offset_seconds": 300, "email_verified": "believe",
        });
        let issuer: ForeignIssuer = serde_json::from_value(written).unwrap();
        let name = IssuerName::parse(&issuer.issuer).unwrap();
        let record = issuer.to_record(name, countersign_token::KeySet::new(Vec::new()));
        assert_eq!(record.realm, "enterprise");
        assert_eq!(record.token_types, ["JWT"]);
        assert_eq!((record.lifetime_max, record.clock_skew), (5_400, 5));
        assert_eq!(record.issued_at_offset, 300);
        assert!(record.tenants.allows(Some("t1")) && !record.tenants.allows(None));
        assert!(record.audiences.allows("https://mail.example") && !record.audiences.allows("https://x"));
        assert_eq!(record.email_verified, countersign_token::EmailVerified::Believe);
        let least = json!({"issuer": "https://login.example", "realm": "enterprise"});
        let least: ForeignIssuer = serde_json::from_value(least).unwrap();
        let name = IssuerName::parse(&least.issuer).unwrap();
        let record = least.to_record(name, countersign_token::KeySet::new(Vec::new()));
        assert_eq!(
            (record.issued_at_offset, record.audiences.allows("any")),
            (0, true)
        );
        assert_eq!(record.email_verified, countersign_token::EmailVerified::Ignore);
    }

    #[test]
    fn unknown_keys_are_errors() {
        let unknown = json!({"resources": [{"name": "a", "audience": "b", "realm": "c", "mod": "off"}]});
        assert!(serde_json::from_value::<Config>(unknown).is_err());
    }
}
