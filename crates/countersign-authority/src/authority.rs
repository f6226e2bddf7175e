//! The authority: what its parts share.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::sync::Arc;

use countersign_ledger::{Follower, Ledger};
use countersign_token::{Registry, TrustBundle};
use tokio::sync::{Mutex, watch};

use crate::Clock;
use crate::client::Client;
use crate::issuer::Issuer;
use crate::keyring::Keyring;
use crate::publish::{KeySetDocument, KeySummary, Published};

/// Issues tokens for its realms and records each in the ledger before releasing it. Cheap to clone.
#[derive(Clone)]
pub struct Authority(Arc<Shared>);

/// Everything behind an [`Authority`].
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) follower: Follower,
    pub(crate) realms: Vec<Realm>,
    pub(crate) issuers: BTreeMap<String, Arc<Issuer>>,
    pub(crate) clients: BTreeMap<String, Arc<Client>>,
    pub(crate) keyring: Keyring,
    /// Held by a key transition from its first to its last step: there is one at a time.
    pub(crate) transition: Mutex<()>,
    pub(crate) published: watch::Sender<Arc<Published>>,
    pub(crate) trust: watch::Sender<Arc<TrustBundle>>,
    /// Keeps other processes out of the directory.
    pub(crate) _lock: File,
}

/// A realm at run time.
pub(crate) struct Realm {
    pub(crate) name: String,
    pub(crate) issuer: countersign_token::IssuerName,
    pub(crate) lifetime_max_seconds: u64,
    pub(crate) tenants: countersign_token::TenantRule,
    pub(crate) email_domains: BTreeMap<String, Vec<String>>,
}

impl Authority {
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// The trust bundle, now and after every key transition. Its number only grows, across restarts too.
    pub fn trust(&self) -> watch::Receiver<Arc<TrustBundle>> {
        self.0.trust.subscribe()
    }

    /// Every key of every issuer, oldest first.
    pub fn keys(&self) -> Vec<KeySummary> {
        self.0.published.borrow().keys.clone()
    }

    /// The `iss` of every issuer, in order.
    pub fn issuers(&self) -> Vec<String> {
        self.0.issuers.keys().cloned().collect()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    pub(crate) fn issuer(&self, url: &str) -> Option<&Arc<Issuer>> {
        self.0.issuers.get(url)
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    pub(crate) fn now(&self) -> u64 {
        (self.0.clock)()
    }

    /// The key set that an issuer publishes.
    pub(crate) fn key_set(&self, issuer: &str) -> Option<KeySetDocument> {
        self.0.published.borrow().key_sets.get(issuer).cloned()
    }

    /// The issuers and keys of one realm and no other.
    pub(crate) fn registry(&self, realm: &str) -> Option<Arc<Registry>> {
        self.0.published.borrow().registries.get(realm).cloned()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authority")
            .field("issuers", &self.issuers())
            .finish_non_exhaustive()
    }
}
