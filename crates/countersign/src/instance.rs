//! One running Countersign: the roles of a config, opened on a data directory and wired together.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use std::sync::Arc;

use countersign_authority::config::{TENANT_PLACEHOLDER, TenantConfig};
use countersign_authority::{
    Authority, Config as AuthorityConfig, OpenError, OpenOptions as AuthorityOptions, ledger_seed, recorded,
};
use countersign_console::{ConsoleOptions, KeyRow, KeySource, KeyTable};
use countersign_gate::{ClockMs, Config as GateConfig, Gate, GateOptions};
use countersign_ledger::witness::Submitter;
use countersign_ledger::{Cosigner, Follower, Ledger, NoteSigner, Options as LedgerOptions, SignedFreshness};

use crate::clock::{Clock, Clocks};
use crate::config::{Config, LedgerSection};
use crate::failure::Failure;
use crate::{store, witnesses};

/// Everything that one process runs.
pub(crate) struct Instance {
    pub(crate) ledger: Option<Ledger>,
    pub(crate) authority: Option<Authority>,
    pub(crate) gate: Option<Gate>,
    console: Option<ConsoleOptions>,
    /// Asks witnesses for as long as it lives.
    _submitter: Option<Submitter>,
    /// Held for as long as the instance lives: a second process on the same data is refused.
    _lock: File,
}

/// The directories and files of a data directory, by what they hold.
pub(crate) struct Layout<'a>(pub(crate) &'a Path);

impl Layout<'_> {
    pub(crate) fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    pub(crate) fn decisions(&self) -> PathBuf {
        self.0.join("decisions.ndjson")
    }

    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
}

impl Instance {
    /// Opens every role of `config` under `base_url`; on any failure nothing keeps running.
    pub(crate) async fn open(config: &Config, base_url: &str, clock: Clocks) -> Result<Self, Failure> {
        let data = config.server.data.as_path();
        let lock = lock(data)?;
        if config.authority.is_some() {
            refuse_other_issuer(data, base_url).await?;
        }
        let ledger = match &config.ledger {
            Some(section) => Some(open_ledger(data, section, base_url, &clock.seconds)?),
            None => None,
        };
        let submitter = match (&config.ledger, &ledger) {
            (Some(section), Some(ledger)) => witnesses::start(ledger, section)?,
            _ => None,
        };
        let follower = match &ledger {
            Some(ledger) => Some(start_follower(ledger, &clock.seconds).await),
            None => None,
        };
        let authority = match (&config.authority, &ledger, &follower) {
            (Some(section), Some(ledger), Some(follower)) => {
                Some(open_authority(section, data, base_url, ledger, follower, &clock.seconds).await?)
            }
            _ => None,
        };
        let gate = match &config.gate {
            Some(section) => {
                let clock_ms = Arc::clone(&clock.milliseconds);
                Some(start_gate(
                    section,
                    data,
                    authority.as_ref(),
                    follower.as_ref(),
                    clock_ms,
                )?)
            }
            None => None,
        };
        let console = config.console.as_ref().map(|section| ConsoleOptions {
            ledger: ledger.clone(),
            keys: keys_shown(authority.as_ref(), config, base_url),
            decision_log: config.gate.as_ref().map(|gate| data.join(&gate.decision_log)),
            clock: clock.seconds,
            host_names: section.host_names.clone(),
        });
        Ok(Self {
            ledger,
            authority,
            gate,
            console,
            _submitter: submitter,
            _lock: lock,
        })
    }

    /// All endpoints of all roles on one router.
    pub(crate) fn router(&self) -> Router {
        let mut router = Router::new();
        if let Some(authority) = &self.authority {
            router = router.merge(authority.router());
        }
        if let Some(ledger) = &self.ledger {
            router = router.nest("/ledger", countersign_ledger::http::router(ledger.clone()));
        }
        if let Some(gate) = &self.gate {
            router = router.merge(gate.router());
        }
        if let Some(console) = &self.console {
            router = router.merge(countersign_console::router(console.clone()));
        }
        router
    }

    /// Publishes the last checkpoint and releases the data directory.
    pub(crate) fn close(self) {
        if let Some(ledger) = self.ledger {
            ledger.close();
        }
    }
}

/// Creates the data directory for this user alone and takes it for this process.
pub(crate) fn lock(data: &Path) -> Result<File, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::unavailable(
            "data_unusable",
            format!("cannot use the data directory {}: {error}", data.display()),
        )
        .hint("name a directory that this user may create and write, with --data")
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(unusable)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(Layout(data).lock())
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::unavailable(
            "data_in_use",
            format!("another process uses the data directory {}", data.display()),
        )
        .hint("stop it first, or give this one a directory of its own with --data")),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Tokens name their issuer, and the ledger is named after it: the address is part of both.
async fn refuse_other_issuer(data: &Path, base_url: &str) -> Result<(), Failure> {
    // This only gives the better message: whatever else is wrong with the state, opening the authority says.
    match recorded(data).await {
        Ok(Some(found)) if found.base_url != base_url => {
            let message = format!(
                "{} belongs to {}, not to {base_url}",
                data.display(),
                found.base_url
            );
            Err(Failure::unavailable("issuer_changed", message).hint(format!(
                "start it under {} (--listen, or base_url in [server]), or give this one a new directory with --data",
                found.base_url
            )))
        }
        _ => Ok(()),
    }
}

/// Opens (or creates) the ledger with its own signing key, sealed like every other.
pub(crate) fn open_ledger(
    data: &Path,
    section: &LedgerSection,
    base_url: &str,
    clock: &Clock,
) -> Result<Ledger, Failure> {
    let origin = section.origin.clone().unwrap_or_else(|| default_origin(base_url));
    let store = store::remote(section, &origin)?;
    let is_new = match &store {
        Some(store) => store::is_new(&**store)?,
        None => !Layout(data).ledger().join("key.vkey").exists(),
    };
    let (signer, cosigner) = ledger_signers(data, &origin, is_new)?;
    let options = LedgerOptions {
        freshness: Some(SignedFreshness {
            cosigner: Arc::new(cosigner),
            clock: Arc::clone(clock),
            interval: Duration::from_secs(section.freshness_interval_seconds.max(1)),
        }),
        publish_interval: Duration::from_millis(section.publish_interval_ms),
        ..LedgerOptions::new(Layout(data).ledger(), origin)
    };
    let opened = match store {
        Some(store) => Ledger::open_in(store, options, signer),
        None => Ledger::open(options, signer),
    };
    opened.map_err(|error| Failure::unavailable(error.code(), &error).maybe_hint(error.hint()))
}

/// C2SP: the origin is the log's URL without its scheme.
fn default_origin(base_url: &str) -> String {
    let host = base_url.split_once("://").map_or(base_url, |(_, host)| host);
    format!("{host}/ledger")
}

/// One issuer and the tenant it belongs to.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) tenant: Option<String>,
}

/// Every issuer that the config's authority serves, templates expanded, in the order of the config.
pub(crate) fn places(config: &Config, base_url: &str) -> Vec<Place> {
    let realms = config.authority.iter().flat_map(|authority| &authority.realms);
    realms
        .flat_map(|realm| {
            if realm.tenants.is_empty() {
                return vec![Place {
                    url: format!("{base_url}{}", realm.issuer),
                    tenant: None,
                }];
            }
            let place = |tenant: &TenantConfig| Place {
                url: format!(
                    "{base_url}{}",
                    realm.issuer.replace(TENANT_PLACEHOLDER, &tenant.id)
                ),
                tenant: Some(tenant.name.clone()),
            };
            realm.tenants.iter().map(place).collect()
        })
        .collect()
}

/// The ledger's own key, sealed in the data directory and made when the ledger is, and the second one that it gives.
fn ledger_signers(data: &Path, origin: &str, is_new: bool) -> Result<(NoteSigner, Cosigner), Failure> {
    let seed = ledger_seed(data, is_new).map_err(|error| open_failure(&error))?;
    NoteSigner::from_seed(origin, &seed)
        .and_then(|signer| Ok((signer, Cosigner::freshness(origin, &seed)?)))
        .map_err(|error| Failure::fault(error.code(), error).maybe_hint(error.hint()))
}

async fn start_follower(ledger: &Ledger, clock: &Clock) -> Follower {
    Follower::start(ledger.clone(), Arc::clone(clock)).await
}

async fn open_authority(
    config: &AuthorityConfig,
    data: &Path,
    base_url: &str,
    ledger: &Ledger,
    follower: &Follower,
    clock: &Clock,
) -> Result<Authority, Failure> {
    let options = AuthorityOptions {
        directory: data.to_owned(),
        base_url: base_url.to_owned(),
        config: config.clone(),
        ledger: ledger.clone(),
        follower: follower.clone(),
        clock: Arc::clone(clock),
    };
    Authority::open(options)
        .await
        .map_err(|error| open_failure(&error))
}

fn open_failure(error: &OpenError) -> Failure {
    Failure::unavailable(error.code(), error).maybe_hint(error.hint())
}

fn start_gate(
    config: &GateConfig,
    data: &Path,
    authority: Option<&Authority>,
    follower: Option<&Follower>,
    clock_ms: ClockMs,
) -> Result<Gate, Failure> {
    let options = GateOptions {
        config: config.clone(),
        directory: data.to_owned(),
        bundle: authority.map(Authority::trust),
        follower: follower.cloned(),
        clock_ms,
    };
    Gate::start(options).map_err(|error| Failure::unavailable(error.code(), &error).maybe_hint(error.hint()))
}

/// The authority's keys, as the console shows them: asked anew at each look.
fn keys_shown(authority: Option<&Authority>, config: &Config, base_url: &str) -> KeySource {
    let Some(authority) = authority.cloned() else {
        return Arc::new(KeyTable::default);
    };
    let tenants: HashMap<String, Option<String>> = places(config, base_url)
        .into_iter()
        .map(|place| (place.url, place.tenant))
        .collect();
    Arc::new(move || {
        let bundle = authority.trust().borrow().number;
        let keys = authority.keys().into_iter().map(|key| KeyRow {
            tenant: tenants.get(&key.issuer).cloned().flatten(),
            algorithm: key.algorithm.as_str().to_owned(),
            state: key.state.as_str().to_owned(),
            issuer: key.issuer,
            realm: key.realm,
            key_id: key.key_id,
            sign_from: key.sign_from,
            sign_until: key.sign_until,
        });
        KeyTable {
            bundle: Some(bundle),
            keys: keys.collect(),
        }
    })
}
