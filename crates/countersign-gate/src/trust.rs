use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_token::{IssuerRecord, Registry, RegistryError, TrustBundle};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::fetch::Fetcher;
use crate::foreign::{ForeignKeys, Turn};

/// The first pause after a failed fetch; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest pause after a failed fetch: a provider that is back is noticed within half a minute.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How long a request waits for a key set that is being fetched. Half of what one fetch may take: who has to
/// wait longer is better served by an answer.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(3);

/// Whom the gate trusts at one moment: never changed, only replaced.
pub(crate) struct Trust {
    pub(crate) registry: Registry,
    /// The number of the bundle in force; none when the gate follows no authority.
    pub(crate) bundle: Option<u64>,
    /// The foreign issuers by the name in their record, as an index into the keeper's list.
    foreign: BTreeMap<String, usize>,
    /// Why foreign issuers, or all, were left out.
    pub(crate) problem: Option<&'static str>,
    in_force: Option<Arc<TrustBundle>>,
    /// The newest bundle looked at, in force or not.
    seen: Option<Arc<TrustBundle>>,
}

/// Keeps the trust current: the bundle as it changes, foreign key sets as they are fetched.
pub(crate) struct TrustKeeper {
    current: ArcSwap<Trust>,
    bundle: Option<watch::Receiver<Arc<TrustBundle>>>,
    foreign: Vec<Arc<ForeignKeys>>,
    fetcher: Fetcher,
    clock: Clock,
    /// Held while a new trust is made, so that an older one never replaces a newer one.
    making: Mutex<()>,
}

impl TrustKeeper {
    pub(crate) fn new(
        bundle: Option<watch::Receiver<Arc<TrustBundle>>>,
        foreign: Vec<Arc<ForeignKeys>>,
        fetcher: Fetcher,
        clock: Clock,
    ) -> Result<Self, RegistryError> {
        let first = bundle.as_ref().map(|bundle| bundle.borrow().clone());
        let registry = Registry::new(records(first.as_deref(), &foreign))?;
        let current = ArcSwap::from_pointee(Trust::new(registry, first.clone(), first, &foreign, None));
        Ok(Self {
            current,
            bundle,
            foreign,
            fetcher,
            clock,
            making: Mutex::new(()),
        })
    }

    /// The trust in force, with the newest bundle already in it: a denial counts from the moment it was
    /// published, not from when a background task ran.
    pub(crate) fn current(&self) -> Arc<Trust> {
        let current = self.current.load_full();
        if self.is_newest(&current) {
            return current;
        }
        let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Who held the lock before has made it, most likely: once is enough for all who waited.
        let current = self.current.load_full();
        if self.is_newest(&current) {
            return current;
        }
        self.make(&making);
        self.current.load_full()
    }

    fn is_newest(&self, trust: &Trust) -> bool {
        let Some(bundle) = &self.bundle else { return true };
        trust
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, &bundle.borrow()))
    }

    /// Makes the trust anew from the newest bundle and all key sets.
    fn make(&self, _making: &MutexGuard<'_, ()>) {
        let old = self.current.load();
        let seen = self.bundle.as_ref().map(|bundle| bundle.borrow().clone());
        // A bundle with a lower number is an old one played back: it could undo a denial.
        let stale = match (&seen, &old.in_force) {
            (Some(seen), Some(in_force)) => seen.number < in_force.number,
            _ => false,
        };
        let in_force = if stale { old.in_force.clone() } else { seen.clone() };
        let trust = match Registry::new(records(in_force.as_deref(), &self.foreign)) {
            Ok(registry) => Trust::new(registry, in_force, seen, &self.foreign, None),
            Err(error) => Self::without_foreign(&error, in_force, seen),
        };
        self.current.store(Arc::new(trust));
    }

    /// A new bundle that collides with a configured issuer: the bundle wins, because a denial may be in it.
    fn without_foreign(
        error: &RegistryError,
        in_force: Option<Arc<TrustBundle>>,
        seen: Option<Arc<TrustBundle>>,
    ) -> Trust {
        tracing::error!(%error, "trust bundle and configured issuers collide: configured issuers are left out");
        if let Ok(registry) = Registry::new(records(in_force.as_deref(), &[])) {
            return Trust::new(registry, in_force, seen, &[], Some(error.code()));
        }
        Trust::new(Registry::default(), in_force, seen, &[], Some(error.code()))
    }

    /// Whether new bundles can still come. Without an authority there are none to come, and none is missing.
    pub(crate) fn is_following(&self) -> bool {
        self.bundle
            .as_ref()
            .is_none_or(|bundle| bundle.has_changed().is_ok())
    }

    /// The foreign issuer of this record, if it is one.
    pub(crate) fn foreign(&self, trust: &Trust, record: &IssuerRecord) -> Option<&Arc<ForeignKeys>> {
        self.foreign.get(*trust.foreign.get(record.issuer.as_str())?)
    }

    pub(crate) fn all_foreign(&self) -> &[Arc<ForeignKeys>] {
        &self.foreign
    }

    /// A token names a key that this issuer's set lacks: fetches the set again, or waits for whoever does.
    /// True when there may be something new to look at.
    pub(crate) async fn after_unknown_key(self: &Arc<Self>, keys: &Arc<ForeignKeys>, now: u64) -> bool {
        match keys.turn_by_demand(now) {
            Turn::Cooling => false,
            Turn::Wait(attempts) => finished(attempts).await,
            Turn::Fetch(attempts) => {
                // A task of its own: a caller who hangs up must not leave the turn taken for ever.
                let (keeper, keys) = (Arc::clone(self), Arc::clone(keys));
                tokio::spawn(async move { keeper.fetch(&keys).await });
                finished(attempts).await
            }
        }
    }

    /// Fetches; the caller has the turn.
    async fn fetch(&self, keys: &ForeignKeys) -> bool {
        let fetched = self.fetcher.key_set(&keys.source).await;
        let result = keys.finish(fetched, (self.clock)());
        if let Err(error) = &result {
            tracing::warn!(
                issuer = keys.config.issuer,
                code = error.code(),
                hint = error.hint(),
                "{error}"
            );
        }
        if result.is_ok() {
            self.make(&self.making.lock().unwrap_or_else(PoisonError::into_inner));
        }
        keys.announce();
        result.is_ok()
    }

    /// Keeps one foreign key set fresh, for ever. `turn` was taken by who starts this, so that requests that come
    /// before the first fetch has begun know that it will.
    pub(crate) async fn follow_key_set(self: Arc<Self>, keys: Arc<ForeignKeys>, mut turn: Turn) {
        let refresh = Duration::from_secs(keys.config.refresh_seconds);
        let mut timer = tokio::time::interval(refresh);
        timer.tick().await;
        let mut retry = RETRY_FIRST;
        loop {
            let fresh = match turn {
                Turn::Fetch(_) => self.fetch(&keys).await,
                Turn::Wait(attempts) => finished(attempts).await,
                Turn::Cooling => true,
            };
            let pause = if fresh { refresh } else { retry.min(refresh) };
            retry = if fresh {
                RETRY_FIRST
            } else {
                retry.saturating_mul(2).min(RETRY_MAX)
            };
            timer.reset_after(pause);
            timer.tick().await;
            turn = keys.turn_by_schedule();
        }
    }

    /// Takes new bundles in as they come, also while nobody asks anything; ends with the authority.
    pub(crate) async fn follow_bundle(self: Arc<Self>) {
        let Some(mut bundle) = self.bundle.clone() else {
            return;
        };
        while bundle.changed().await.is_ok() {
            let _ = self.current();
        }
        tracing::error!(
            "the authority publishes no more: the last trust bundle stays in force, denials do not arrive"
        );
    }
}

impl Trust {
    fn new(
        registry: Registry,
        in_force: Option<Arc<TrustBundle>>,
        seen: Option<Arc<TrustBundle>>,
        foreign: &[Arc<ForeignKeys>],
        problem: Option<&'static str>,
    ) -> Self {
        let foreign = foreign
            .iter()
            .enumerate()
            .map(|(index, keys)| (keys.config.issuer.clone(), index))
            .collect();
        let bundle = in_force.as_ref().map(|bundle| bundle.number);
        Self {
            registry,
            bundle,
            foreign,
            problem,
            in_force,
            seen,
        }
    }
}

fn records(bundle: Option<&TrustBundle>, foreign: &[Arc<ForeignKeys>]) -> Vec<IssuerRecord> {
    let own = bundle.map(|bundle| bundle.issuers.clone()).unwrap_or_default();
    own.into_iter()
        .chain(foreign.iter().map(|keys| keys.record()))
        .collect()
}

/// Waits for the fetch in flight. True when it ended in time: there may be something new to look at.
pub(crate) async fn finished(mut attempts: watch::Receiver<u64>) -> bool {
    tokio::time::timeout(FETCH_WAIT_MAX, attempts.changed())
        .await
        .is_ok_and(|changed| changed.is_ok())
}
