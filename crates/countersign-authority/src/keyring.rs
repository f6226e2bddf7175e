//! The private keys at rest: made, sealed, announced in the ledger, and destroyed.
//!
//! Order of every change, so that a crash between any two steps leaves something the next start completes: intent
//! (state) → sealed files → ledger entries (one batch) → rows (state, one transaction, which also drops the intent) →
//! memory → destruction of private parts that no longer sign. The ledger leads: what it says has happened.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_ledger::draft::{AnnouncementDraft, TransitionDraft};
use countersign_ledger::entry::ReasonCode;
use countersign_ledger::{
    AppendError, Draft, KeyName, KeyStanding, KeyStateCode, Ledger, issuer_id, realm_id,
};
use countersign_token::KeyState;
use countersign_token::limits::CLOCK_SKEW_DEFAULT;

use crate::config::SigningAlgorithm;
use crate::durable::{self, FileError};
use crate::layout::Layout;
use crate::private_key::{KeyError, PrivateKey};
use crate::seal::{SealError, SealingKey, key_context};
use crate::state::{KeyRow, State, StateError, Transition};

/// Why a key could not be made, kept or announced.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A private key could not be sealed or unsealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A private key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state could not be read or changed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The ledger did not take the announcement.
    #[error("the key event could not be recorded: {0}")]
    Record(#[from] AppendError),
    /// The sealed file opens, but holds another key than its row says.
    #[error("a sealed file holds another key than the state says")]
    KeyMismatch,
}

impl KeyringError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Seal(error) => error.code(),
            Self::Key(_) => "key_unusable",
            Self::State(error) => error.code(),
            Self::Record(_) => "record_failed",
            Self::KeyMismatch => "key_mismatch",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::Seal(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Key(_) | Self::KeyMismatch => {
                Some("restore `seal/`, `keys/` and the state from one backup")
            }
            Self::Record(_) => Some("nothing has changed; make the ledger writable and try again"),
        }
    }
}

/// The sealed keys of every realm, and the state that describes them.
pub(crate) struct Keyring {
    pub(crate) layout: Layout,
    pub(crate) state: State,
    ledger: Ledger,
    seals: BTreeMap<String, SealingKey>,
}

/// What a new key is for.
pub(crate) struct KeyOrder<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) realm: &'a str,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) state: KeyState,
    pub(crate) sign_from: u64,
}

impl Keyring {
    pub(crate) fn new(layout: Layout, state: State, ledger: Ledger) -> Self {
        Self {
            layout,
            state,
            ledger,
            seals: BTreeMap::new(),
        }
    }

    /// Loads the realm's sealing key; makes it when the realm is new, and only then.
    pub(crate) async fn open_realm(&mut self, realm: &str, now: u64) -> Result<(), KeyringError> {
        let path = self.layout.sealing_key(realm);
        let seal = if self.state.knows_realm(realm).await? {
            SealingKey::load(&path)?
        } else {
            let seal = SealingKey::load_or_create(&path)?;
            self.state.add_realm(realm, now).await?;
            seal
        };
        self.seals.insert(realm.to_owned(), seal);
        Ok(())
    }

    /// Makes keys and seals them durably. They mean nothing until a transition adds their rows.
    pub(crate) async fn generate(
        &self,
        orders: &[KeyOrder<'_>],
        now: u64,
    ) -> Result<Vec<KeyRow>, KeyringError> {
        let mut rows = Vec::with_capacity(orders.len());
        for order in orders {
            let (key, pkcs8) = PrivateKey::generate(order.algorithm)?;
            let row = KeyRow {
                key_id: key.public().key_id(),
                issuer: order.issuer.to_owned(),
                realm: order.realm.to_owned(),
                algorithm: order.algorithm,
                public: key.public().clone(),
                state: order.state,
                sign_from: order.sign_from,
                sign_until: None,
                created_at: now,
                changed_at: now,
            };
            self.state
                .intend(order.issuer, std::slice::from_ref(&row.key_id))
                .await?;
            let sealed = self
                .seal(order.realm)?
                .seal(&key_context(order.issuer, &row.key_id), &pkcs8)?;
            durable::write_secret(&self.layout.sealed_key(&row.key_id), &sealed)?;
            rows.push(row);
        }
        Ok(rows)
    }

    /// Unseals a private key.
    pub(crate) fn load(&self, row: &KeyRow) -> Result<PrivateKey, KeyringError> {
        let sealed = durable::read_secret(&self.layout.sealed_key(&row.key_id))?;
        let pkcs8 = self
            .seal(&row.realm)?
            .unseal(&key_context(&row.issuer, &row.key_id), &sealed)?;
        let key = PrivateKey::from_pkcs8(row.algorithm, &pkcs8)?;
        if *key.public() == row.public {
            Ok(key)
        } else {
            Err(KeyringError::KeyMismatch)
        }
    }

    /// Records a transition in the ledger, all of it or nothing, then applies it. Returns the next bundle number.
    pub(crate) async fn commit(&self, transition: &Transition) -> Result<u64, KeyringError> {
        self.record(transition).await?;
        self.note_ledger_size().await?;
        Ok(self.state.apply(transition).await?)
    }

    /// From here on it has happened, whatever becomes of this process.
    pub(crate) async fn record(&self, transition: &Transition) -> Result<(), KeyringError> {
        let mut drafts: Vec<Draft> = transition.changed.iter().map(change).collect();
        for row in &transition.added {
            drafts.push(announcement(row));
            if row.state != KeyState::Staged {
                drafts.push(change(row));
            }
        }
        self.ledger.append_together(drafts).await?;
        Ok(())
    }

    /// Remembers how much the ledger holds, so that a start on an older copy of it shows.
    pub(crate) async fn note_ledger_size(&self) -> Result<(), KeyringError> {
        Ok(self.state.set_ledger_size(self.ledger.head()).await?)
    }

    /// Destroys a private part for good.
    pub(crate) fn destroy(&self, key_id: &str) -> Result<(), KeyringError> {
        Ok(durable::remove(&self.layout.sealed_key(key_id))?)
    }

    /// Brings the state to where the ledger is, and clears what else a crash left: key files of a change that was never
    /// recorded, private parts that should be gone. Returns the next bundle number if the state was behind.
    pub(crate) async fn recover(&self) -> Result<Option<u64>, KeyringError> {
        let rows = self.state.keys().await?;
        let mut behind = Transition::default();
        behind
            .changed
            .extend(rows.iter().filter_map(|row| self.newer(row)));
        // The one that becomes active comes last: two active keys are never stored.
        behind.changed.sort_by_key(|row| row.state == KeyState::Active);
        for (key_id, issuer) in self.state.intents().await? {
            if let Some(standing) = self.standing(&issuer, &key_id) {
                let row = self.recorded_row(&key_id, &issuer, &standing)?;
                behind.added.extend(row);
            } else {
                tracing::warn!(issuer, key_id, "a key change was interrupted; undoing it");
                self.destroy(&key_id)?;
                self.state.forget_intent(&key_id).await?;
            }
        }
        let number = if behind.changed.is_empty() && behind.added.is_empty() {
            None
        } else {
            tracing::warn!("a key change was recorded and not applied; applying it");
            self.note_ledger_size().await?;
            Some(self.state.apply(&behind).await?)
        };
        let signs = |row: &KeyRow| matches!(row.state, KeyState::Active | KeyState::Staged);
        for row in behind.applied_to(rows).iter().filter(|row| !signs(row)) {
            self.destroy(&row.key_id)?;
        }
        Ok(number)
    }

    /// What the ledger says of a key.
    fn standing(&self, issuer: &str, key_id: &str) -> Option<KeyStanding> {
        let key = URL_SAFE_NO_PAD.decode(key_id).ok()?.try_into().ok()?;
        let issuer = issuer_id(issuer);
        self.ledger.key(&KeyName { issuer, key })
    }

    /// The row as the ledger has it, if that is another state.
    fn newer(&self, row: &KeyRow) -> Option<KeyRow> {
        let standing = self.standing(&row.issuer, &row.key_id)?;
        (standing.state != state_code(row.state)).then(|| KeyRow {
            state: key_state(standing.state),
            sign_from: standing.sign_from,
            sign_until: standing.sign_until,
            changed_at: standing.at,
            ..row.clone()
        })
    }

    /// The row of a key that was recorded and got none. `None` while its realm is not configured, and so not unsealed.
    fn recorded_row(
        &self,
        key_id: &str,
        issuer: &str,
        standing: &KeyStanding,
    ) -> Result<Option<KeyRow>, KeyringError> {
        let of_realm = |(realm, _): &(&String, &SealingKey)| realm_id(realm) == standing.realm;
        let Some((realm, seal)) = self.seals.iter().find(of_realm) else {
            return Ok(None);
        };
        let sealed = durable::read_secret(&self.layout.sealed_key(key_id))?;
        let pkcs8 = seal.unseal(&key_context(issuer, key_id), &sealed)?;
        // Its algorithm is that which makes it the key of this name.
        let key = SigningAlgorithm::ALL
            .into_iter()
            .filter_map(|algorithm| PrivateKey::from_pkcs8(algorithm, &pkcs8).ok())
            .find(|key| key.public().key_id() == key_id)
            .ok_or(KeyringError::KeyMismatch)?;
        Ok(Some(KeyRow {
            key_id: key_id.to_owned(),
            issuer: issuer.to_owned(),
            realm: realm.clone(),
            algorithm: key.algorithm(),
            public: key.public().clone(),
            state: key_state(standing.state),
            sign_from: standing.sign_from,
            sign_until: standing.sign_until,
            created_at: standing.at,
            changed_at: standing.at,
        }))
    }

    /// Marks retired keys expired once nothing that they signed can still be valid.
    pub(crate) async fn expire(
        &self,
        lifetime_max_seconds: impl Fn(&str) -> u64,
        now: u64,
    ) -> Result<(), KeyringError> {
        let rows = self.state.keys().await?;
        let changed: Vec<KeyRow> = rows
            .iter()
            .filter_map(|row| expired(row, lifetime_max_seconds(&row.realm), now))
            .collect();
        if !changed.is_empty() {
            self.commit(&Transition {
                changed,
                ..Transition::default()
            })
            .await?;
        }
        Ok(())
    }

    fn seal(&self, realm: &str) -> Result<&SealingKey, KeyringError> {
        let missing = || FileError::Missing(self.layout.sealing_key(realm));
        self.seals.get(realm).ok_or_else(|| missing().into())
    }
}

/// The row as expired, if nothing that its key signed can still be valid.
pub(crate) fn expired(row: &KeyRow, lifetime_max_seconds: u64, now: u64) -> Option<KeyRow> {
    let last = row.sign_until.filter(|_| row.state == KeyState::Retired)?;
    let dead_after = last
        .saturating_add(lifetime_max_seconds)
        .saturating_add(CLOCK_SKEW_DEFAULT);
    (now > dead_after).then(|| KeyRow {
        state: KeyState::Expired,
        changed_at: now,
        ..row.clone()
    })
}

fn announcement(row: &KeyRow) -> Draft {
    Draft::Announcement(AnnouncementDraft {
        key: key_name(row),
        realm: realm_id(&row.realm),
        at: row.changed_at,
        sign_from: row.sign_from,
        sign_until: row.sign_until,
    })
}

fn change(row: &KeyRow) -> Draft {
    Draft::Transition(TransitionDraft {
        key: key_name(row),
        state: state_code(row.state),
        reason: match row.state {
            KeyState::Suspect => ReasonCode::Suspicion,
            KeyState::Revoked => ReasonCode::Compromise,
            KeyState::Staged | KeyState::Active | KeyState::Retired | KeyState::Expired => {
                ReasonCode::Routine
            }
        },
        at: row.changed_at,
        sign_from: row.sign_from,
        sign_until: row.sign_until,
    })
}

/// The key's name in the ledger.
pub(crate) fn key_name(row: &KeyRow) -> KeyName {
    KeyName {
        issuer: issuer_id(&row.issuer),
        key: *row.public.thumbprint(),
    }
}

const fn key_state(state: KeyStateCode) -> KeyState {
    match state {
        KeyStateCode::Staged => KeyState::Staged,
        KeyStateCode::Active => KeyState::Active,
        KeyStateCode::Retired => KeyState::Retired,
        KeyStateCode::Expired => KeyState::Expired,
        KeyStateCode::Suspect => KeyState::Suspect,
        KeyStateCode::Revoked => KeyState::Revoked,
    }
}

const fn state_code(state: KeyState) -> KeyStateCode {
    match state {
        KeyState::Staged => KeyStateCode::Staged,
        KeyState::Active => KeyStateCode::Active,
        KeyState::Retired => KeyStateCode::Retired,
        KeyState::Expired => KeyStateCode::Expired,
        KeyState::Suspect => KeyStateCode::Suspect,
        KeyState::Revoked => KeyStateCode::Revoked,
    }
}
