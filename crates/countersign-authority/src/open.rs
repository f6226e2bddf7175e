//! Opening a data directory: the first start, every later one, and the ones that must be refused.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_ledger::{Follower, Ledger, issuer_id};
use countersign_token::{IssuerName, KeyState, TenantRule};
use tokio::sync::{Mutex, RwLock, watch};
use url::Url;

use crate::Clock;
use crate::authority::{Authority, Realm, Shared};
use crate::client::{self, ClientError};
use crate::config::{Config, LIFETIME_MAX_SECONDS, Problem, RealmConfig, TenantConfig};
use crate::durable::{self, FileError};
use crate::issuer::{Issuer, Signer};
use crate::keyring::{KeyOrder, Keyring, KeyringError};
use crate::layout::Layout;
use crate::publish::{PublishError, publish};
use crate::seal::SealError;
use crate::state::{KeyRow, State, StateError, Transition};
use crate::transition::STAGE_SECONDS;

/// What an authority is opened with.
pub struct OpenOptions {
    /// The data directory; created when absent.
    pub directory: PathBuf,
    /// The URL under which clients and gates reach the router, such as `http://127.0.0.1:8420`. Part of every `iss`.
    pub base_url: String,
    /// Realms and clients.
    pub config: Config,
    /// The ledger that records every issuance.
    pub ledger: Ledger,
    /// The issued set of that ledger, which the exchange endpoint asks.
    pub follower: Follower,
    /// The time.
    pub clock: Clock,
}

/// Why a directory was not opened. Nothing has been lost.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration has problems: all of them.
    #[error("the configuration has {} problem(s), the first at {}", .0.len(), first_path(.0))]
    ConfigInvalid(Vec<Problem>),
    /// The base URL is not a plain `http` or `https` URL.
    #[error("the base URL is not an http or https URL without user, query and fragment")]
    BaseUrlInvalid,
    /// Another process works in the directory.
    #[error("another process uses {}", .0.display())]
    DirectoryInUse(PathBuf),
    /// There are keys or ledger entries, but no state.
    #[error("there are keys or ledger entries, but {} is missing", .0.display())]
    StateMissing(PathBuf),
    /// The ledger holds less than it did.
    #[error("the ledger has {found} entries, but had {recorded}")]
    LedgerRolledBack {
        /// What it had at the last start or key transition.
        recorded: u64,
        /// What it has now.
        found: u64,
    },
    /// The state was made for another base URL.
    #[error("the state belongs to {recorded}, not to {given}")]
    IssuerChanged {
        /// The base URL that the issued tokens carry.
        recorded: String,
        /// The base URL of this start.
        given: String,
    },
    /// The issuer's keys were made for another realm.
    #[error("{issuer} has keys of the realm {recorded}, not of {given}")]
    IssuerOfOtherRealm {
        /// The issuer.
        issuer: String,
        /// The realm of its keys.
        recorded: String,
        /// The realm of the configuration.
        given: String,
    },
    /// The state knows the issuer, but a key file is gone.
    #[error("the keys of {issuer} are missing: no {}", file.display())]
    KeysMissing {
        /// The issuer, or the realm whose sealing key it is.
        issuer: String,
        /// The file that is not there.
        file: PathBuf,
    },
    /// A client's credentials cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The keys could not be made or read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The state could not be read or changed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key of the state is unusable.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl OpenError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ConfigInvalid(_) => "config_invalid",
            Self::BaseUrlInvalid => "base_url_invalid",
            Self::DirectoryInUse(_) => "directory_in_use",
            Self::StateMissing(_) => "state_missing",
            Self::LedgerRolledBack { .. } => "ledger_rolled_back",
            Self::IssuerChanged { .. } => "issuer_changed",
            Self::IssuerOfOtherRealm { .. } => "issuer_of_other_realm",
            Self::KeysMissing { .. } => "keys_missing",
            Self::Client(error) => error.code(),
            Self::Keyring(error) => error.code(),
            Self::State(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Publish(_) => "state_corrupt",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::ConfigInvalid(problems) => problems.first().map(|problem| problem.hint),
            Self::BaseUrlInvalid => Some("use something like http://127.0.0.1:8420 or https://login.example"),
            Self::DirectoryInUse(_) => {
                Some("stop the other process, or give this one a directory of its own")
            }
            Self::StateMissing(_) => Some(
                "restore `state.sqlite3` from a backup; to give up everything issued so far, move the whole data directory away",
            ),
            Self::LedgerRolledBack { .. } => Some(
                "restore the ledger's newest copy: going on would give its entries a second history; to give up everything issued so far, move the whole data directory away",
            ),
            Self::IssuerChanged { .. } => Some(
                "tokens name the issuer: start with the recorded base URL; to found new issuers, use a new data directory",
            ),
            Self::IssuerOfOtherRealm { .. } => {
                Some("keys do not cross realms: give the realm its name back, or give it another issuer path")
            }
            Self::KeysMissing { .. } => Some(
                "restore `seal/` and `keys/` from a backup; to replace the keys deliberately, move the whole data directory away: every token of the old keys is then refused",
            ),
            Self::Client(error) => error.hint(),
            Self::Keyring(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::File(error) => error.hint(),
            Self::Publish(_) => Some("restore `state.sqlite3` from a backup"),
        }
    }
}

fn first_path(problems: &[Problem]) -> &str {
    problems.first().map_or("", |problem| &problem.path)
}

impl Authority {
    /// Opens the authority of a data directory.
    ///
    /// The first start makes an active and a staged key for every issuer. A later one refuses to make keys for an
    /// issuer that had some: silently founding a new authority would be worse than not starting.
    pub async fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let problems = options.config.validate();
        if !problems.is_empty() {
            return Err(OpenError::ConfigInvalid(problems));
        }
        let base_url = BaseUrl::parse(&options.base_url)?;
        let layout = Layout::new(&options.directory);
        durable::create_directory(layout.root())?;
        let in_use = || OpenError::DirectoryInUse(layout.root().to_owned());
        let lock = durable::lock(&layout.lock())?.ok_or_else(in_use)?;
        for directory in layout.directories() {
            durable::create_directory(&directory)?;
        }
        let state = open_state(&layout, &base_url, &options.ledger).await?;
        let mut keyring = Keyring::new(layout, state, options.ledger.clone());
        refuse_other_realm(&options.config, &base_url, &keyring.state.keys().await?)?;
        let now = (options.clock)();
        for realm in &options.config.realms {
            open_realm(&mut keyring, realm, now).await?;
        }
        keyring.recover().await?;
        let mut issuers = BTreeMap::new();
        for realm in &options.config.realms {
            for issuer in open_issuers(&keyring, realm, &base_url, now).await? {
                issuers.insert(issuer.url.clone(), Arc::new(issuer));
            }
        }
        let longest = |name: &str| {
            options
                .config
                .realm(name)
                .map_or(LIFETIME_MAX_SECONDS, |realm| realm.lifetime_max_seconds)
        };
        keyring.expire(longest, now).await?;
        let clients = client::open(&keyring, &options.config, &issuers).await?;
        let realms = realms(&options.config, &base_url)?;
        keyring.note_ledger_size().await?;
        let number = keyring.state.apply(&Transition::default()).await?;
        let (published, bundle) = publish(number, &realms, &keyring.state.keys().await?)?;
        Ok(Self::new(Shared {
            clock: options.clock,
            ledger: options.ledger,
            follower: options.follower,
            realms,
            issuers,
            clients,
            keyring,
            transition: Mutex::new(()),
            published: watch::Sender::new(Arc::new(published)),
            trust: watch::Sender::new(Arc::new(bundle)),
            _lock: lock,
        }))
    }
}

async fn open_state(layout: &Layout, base_url: &BaseUrl, ledger: &Ledger) -> Result<State, OpenError> {
    let path = layout.state();
    // Asked before the file is created: it is older than the first key and the first entry, so it was lost.
    if !exists(&path) && (ledger.head() > 0 || layout.has_keys()?) {
        return Err(OpenError::StateMissing(path));
    }
    durable::create_private(&path)?;
    let state = State::open(&path).await?;
    match state.meta("base_url").await? {
        // Older than the first key and the first entry too.
        None if ledger.head() > 0 || layout.has_keys()? => return Err(OpenError::StateMissing(path)),
        None => state.set_meta("base_url", base_url.as_str()).await?,
        Some(recorded) if recorded != base_url.as_str() => {
            return Err(OpenError::IssuerChanged {
                recorded,
                given: base_url.as_str().to_owned(),
            });
        }
        Some(_) => {}
    }
    let (recorded, found) = (state.ledger_size().await?, ledger.head());
    if found < recorded {
        return Err(OpenError::LedgerRolledBack { recorded, found });
    }
    Ok(state)
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Asked before anything is made for a realm: its name may be the mistake.
fn refuse_other_realm(config: &Config, base_url: &BaseUrl, rows: &[KeyRow]) -> Result<(), OpenError> {
    for realm in &config.realms {
        for (path, _) in realm.issuer_paths() {
            let issuer = base_url.join(&path);
            let foreign = |row: &&KeyRow| row.issuer == issuer && row.realm != realm.name;
            if let Some(foreign) = rows.iter().find(foreign) {
                return Err(OpenError::IssuerOfOtherRealm {
                    recorded: foreign.realm.clone(),
                    given: realm.name.clone(),
                    issuer,
                });
            }
        }
    }
    Ok(())
}

async fn open_realm(keyring: &mut Keyring, realm: &RealmConfig, now: u64) -> Result<(), OpenError> {
    keyring
        .open_realm(&realm.name, now)
        .await
        .map_err(|error| keys_missing(&realm.name, error))
}

/// A missing file of a key that should exist has its own error, which names the issuer.
fn keys_missing(issuer: &str, error: KeyringError) -> OpenError {
    match error {
        KeyringError::File(FileError::Missing(file))
        | KeyringError::Seal(SealError::File(FileError::Missing(file))) => OpenError::KeysMissing {
            issuer: issuer.to_owned(),
            file,
        },
        error => error.into(),
    }
}

async fn open_issuers(
    keyring: &Keyring,
    realm: &RealmConfig,
    base_url: &BaseUrl,
    now: u64,
) -> Result<Vec<Issuer>, OpenError> {
    let rows = keyring.state.keys().await?;
    let mut issuers = Vec::new();
    for (path, tenant) in realm.issuer_paths() {
        let url = base_url.join(&path);
        let own: Vec<KeyRow> = rows.iter().filter(|row| row.issuer == url).cloned().collect();
        let own = if own.is_empty() {
            first_keys(keyring, realm, &url, now).await?
        } else {
            own
        };
        let signer = open_signer(keyring, &url, &own)?;
        issuers.push(issuer(realm, tenant, url, base_url.path_of(&path), signer));
    }
    Ok(issuers)
}

async fn first_keys(
    keyring: &Keyring,
    realm: &RealmConfig,
    issuer: &str,
    now: u64,
) -> Result<Vec<KeyRow>, OpenError> {
    let order = |state, sign_from| KeyOrder {
        issuer,
        realm: &realm.name,
        algorithm: realm.algorithm,
        state,
        sign_from,
    };
    let orders = [
        order(KeyState::Active, now),
        order(KeyState::Staged, now.saturating_add(STAGE_SECONDS)),
    ];
    let added = keyring.generate(&orders, now).await?;
    keyring
        .commit(&Transition {
            added: added.clone(),
            ..Transition::default()
        })
        .await?;
    tracing::info!(issuer, realm = realm.name, "the issuer has its first keys");
    Ok(added)
}

/// Loads the active key; the staged one is opened too, so that its loss shows now and not in an emergency.
fn open_signer(keyring: &Keyring, issuer: &str, rows: &[KeyRow]) -> Result<Signer, OpenError> {
    let of_state = |state| {
        rows.iter()
            .find(|row| row.state == state)
            .ok_or(StateError::Corrupt("keys"))
    };
    let load = |row: &KeyRow| keyring.load(row).map_err(|error| keys_missing(issuer, error));
    let active = of_state(KeyState::Active)?;
    load(of_state(KeyState::Staged)?)?;
    Ok(Signer::new(load(active)?, active.clone()))
}

fn issuer(
    realm: &RealmConfig,
    tenant: Option<&TenantConfig>,
    url: String,
    path: String,
    signer: Signer,
) -> Issuer {
    Issuer {
        ledger_id: issuer_id(&url),
        url,
        path,
        realm: realm.name.clone(),
        tenant: tenant.map(|tenant| tenant.id.clone()),
        algorithm: realm.algorithm,
        lifetime_seconds: realm.access_token_lifetime_seconds,
        lifetime_max_seconds: realm.lifetime_max_seconds,
        signer: RwLock::new(signer),
    }
}

fn realms(config: &Config, base_url: &BaseUrl) -> Result<Vec<Realm>, OpenError> {
    let realm = |realm: &RealmConfig| {
        let issuer =
            IssuerName::parse(&base_url.join(&realm.issuer)).map_err(|_| OpenError::BaseUrlInvalid)?;
        let ids = realm.tenants.iter().map(|tenant| tenant.id.clone()).collect();
        let domains = |tenant: &TenantConfig| {
            tenant
                .email_domains
                .iter()
                .map(|domain| domain.to_lowercase())
                .collect()
        };
        Ok(Realm {
            name: realm.name.clone(),
            issuer,
            lifetime_max_seconds: realm.lifetime_max_seconds,
            tenants: if realm.has_tenants() {
                TenantRule::Only(ids)
            } else {
                TenantRule::Any
            },
            email_domains: realm
                .tenants
                .iter()
                .map(|tenant| (tenant.id.clone(), domains(tenant)))
                .collect(),
        })
    };
    config.realms.iter().map(realm).collect()
}

/// The base URL without a slash at its end.
struct BaseUrl {
    text: String,
    path: String,
}

impl BaseUrl {
    fn parse(text: &str) -> Result<Self, OpenError> {
        let url = Url::parse(text).map_err(|_| OpenError::BaseUrlInvalid)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && !url.path().contains(['{', '}', '*', ':', '%']);
        let path = url.path().trim_end_matches('/').to_owned();
        let text = url.as_str().trim_end_matches('/').to_owned();
        if plain {
            Ok(Self { text, path })
        } else {
            Err(OpenError::BaseUrlInvalid)
        }
    }

    fn as_str(&self) -> &str {
        &self.text
    }

    fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// The path of the joined URL, as a router sees it.
    fn path_of(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenOptions")
            .field("directory", &self.directory)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(&str, &str)>) {
        let found = BaseUrl::parse(text)
            .ok()
            .map(|url| (url.join("/a"), url.path_of("/a")));
        assert_eq!(
            found,
            expect.map(|(url, path)| (url.to_owned(), path.to_owned())),
            "{text}"
        );
    }

    #[test]
    fn a_base_url_is_normalised() {
        check("http://127.0.0.1:8420", Some(("http://127.0.0.1:8420/a", "/a")));
        check(
            "HTTPS://Login.Example:443/",
            Some(("https://login.example/a", "/a")),
        );
        check(
            "https://login.example/sts/",
            Some(("https://login.example/sts/a", "/sts/a")),
        );
        for text in [
            "",
            "login.example",
            "ftp://x",
            "https://u:p@x",
            "https://x?q",
            "https://x#f",
            "https://x/{a}",
        ] {
            check(text, None);
        }
    }
}
