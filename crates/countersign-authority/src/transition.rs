//! Key transitions: activate, suspect, revoke. Each is announced, applied once, and published.

use countersign_token::KeyState;
use std::sync::Arc;

use crate::authority::Authority;
use crate::issuer::{Issuer, Signer};
use crate::keyring::{KeyOrder, Keyring, KeyringError, expired};
use crate::publish::{PublishError, publish};
use crate::state::{KeyRow, Transition};

/// How long relying parties may cache a key set, and so how long a key should be staged before it signs.
pub const STAGE_SECONDS: u64 = 300;

/// Why a key transition did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// The issuer is not one of this authority.
    #[error("this authority has no such issuer")]
    IssuerUnknown,
    /// The issuer has no key of that identifier.
    #[error("the issuer has no such key")]
    KeyUnknown,
    /// The key's state does not lead to that one.
    #[error("a key that is {from} cannot become {to}", from = from.as_str(), to = to.as_str())]
    NotAllowed {
        /// The state it is in.
        from: KeyState,
        /// The state asked for.
        to: KeyState,
    },
    /// Keys could not be made, recorded or stored.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A key of the state is unusable.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl TransitionError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::IssuerUnknown => "issuer_unknown",
            Self::KeyUnknown => "key_unknown",
            Self::NotAllowed { .. } => "transition_not_allowed",
            Self::Keyring(error) => error.code(),
            Self::Publish(_) => "state_corrupt",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::IssuerUnknown | Self::KeyUnknown => {
                Some("list issuers and keys with `countersign key list`")
            }
            Self::NotAllowed { .. } => Some("a key only moves towards less trust"),
            Self::Keyring(error) => error.hint(),
            Self::Publish(_) => Some("restore `state.sqlite3` from a backup"),
        }
    }
}

impl Authority {
    /// The staged key begins to sign, the active one retires, and a new one is staged.
    ///
    /// The retired key's private part is destroyed. Returns the number of the trust bundle that says so.
    pub async fn activate(&self, issuer: &str) -> Result<u64, TransitionError> {
        let _one_at_a_time = self.shared().transition.lock().await;
        let rows = self.rows(issuer).await?;
        let active = rows
            .iter()
            .find(|row| row.state == KeyState::Active)
            .ok_or(TransitionError::KeyUnknown)?;
        self.replace(issuer, &rows, active, KeyState::Retired).await
    }

    /// The key may be stolen: from now on only tokens in the ledger count. If it is active or staged, it is replaced
    /// and its private part destroyed.
    pub async fn suspect(&self, issuer: &str, key_id: &str) -> Result<u64, TransitionError> {
        self.distrust(issuer, key_id, KeyState::Suspect).await
    }

    /// Nothing the key ever signed counts any more. If it is active or staged, it is replaced and its private part
    /// destroyed.
    pub async fn revoke(&self, issuer: &str, key_id: &str) -> Result<u64, TransitionError> {
        self.distrust(issuer, key_id, KeyState::Revoked).await
    }

    async fn distrust(&self, issuer: &str, key_id: &str, to: KeyState) -> Result<u64, TransitionError> {
        let _one_at_a_time = self.shared().transition.lock().await;
        let rows = self.rows(issuer).await?;
        let row = rows
            .iter()
            .find(|row| row.key_id == key_id)
            .ok_or(TransitionError::KeyUnknown)?;
        if row.state >= to || (row.state == KeyState::Expired && to == KeyState::Suspect) {
            return Err(TransitionError::NotAllowed { from: row.state, to });
        }
        self.replace(issuer, &rows, row, to).await
    }

    async fn rows(&self, issuer: &str) -> Result<Vec<KeyRow>, TransitionError> {
        self.issuer(issuer).ok_or(TransitionError::IssuerUnknown)?;
        let rows = self
            .shared()
            .keyring
            .state
            .keys()
            .await
            .map_err(KeyringError::from)?;
        Ok(rows.into_iter().filter(|row| row.issuer == issuer).collect())
    }

    /// Moves `row` to a state in which it does not sign, and fills the place it leaves.
    async fn replace(
        &self,
        issuer: &str,
        rows: &[KeyRow],
        row: &KeyRow,
        to: KeyState,
    ) -> Result<u64, TransitionError> {
        let issuer = self.issuer(issuer).ok_or(TransitionError::IssuerUnknown)?;
        let keyring = &self.shared().keyring;
        // From here no token is signed: those in flight are recorded, the next ones wait for the new key.
        let mut signer = issuer.signer.write().await;
        let now = self.now();
        let transition = plan(keyring, issuer, rows, row, to, now).await?;
        let number = keyring.commit(&transition).await?;
        if let Some(active) = transition
            .changed
            .iter()
            .find(|row| row.state == KeyState::Active)
        {
            *signer = Signer::new(keyring.load(active)?, active.clone());
        }
        drop(signer);
        self.publish(number).await?;
        keyring.destroy(&row.key_id)?;
        tracing::info!(
            issuer = issuer.url,
            key_id = row.key_id,
            from = row.state.as_str(),
            to = to.as_str(),
            bundle = number,
            "key state changed"
        );
        Ok(number)
    }

    async fn publish(&self, number: u64) -> Result<(), TransitionError> {
        let shared = self.shared();
        let rows = shared.keyring.state.keys().await.map_err(KeyringError::from)?;
        let (published, bundle) = publish(number, &shared.realms, &rows)?;
        shared.published.send_replace(Arc::new(published));
        shared.trust.send_replace(Arc::new(bundle));
        Ok(())
    }
}

async fn plan(
    keyring: &Keyring,
    issuer: &Issuer,
    rows: &[KeyRow],
    row: &KeyRow,
    to: KeyState,
    now: u64,
) -> Result<Transition, TransitionError> {
    let mut changed = vec![closed(row, to, now)];
    let others = rows.iter().filter(|other| other.key_id != row.key_id);
    changed.extend(others.filter_map(|other| expired(other, issuer.lifetime_max_seconds, now)));
    let mut transition = Transition {
        changed,
        ..Transition::default()
    };
    if row.state == KeyState::Active {
        let staged = rows
            .iter()
            .find(|row| row.state == KeyState::Staged)
            .ok_or(TransitionError::KeyUnknown)?;
        // Loaded before anything is announced: a successor that does not open must not be promised.
        keyring.load(staged)?;
        transition.changed.push(KeyRow {
            state: KeyState::Active,
            sign_from: now,
            changed_at: now,
            ..staged.clone()
        });
    }
    if matches!(row.state, KeyState::Active | KeyState::Staged) {
        let order = KeyOrder {
            issuer: &issuer.url,
            realm: &issuer.realm,
            algorithm: issuer.algorithm,
            state: KeyState::Staged,
            sign_from: now.saturating_add(STAGE_SECONDS),
        };
        transition.added = keyring.generate(&[order], now).await?;
    }
    Ok(transition)
}

/// The key with its window closed: now if it was signing, as it was if already closed, empty if it never signed.
fn closed(row: &KeyRow, to: KeyState, now: u64) -> KeyRow {
    let sign_until = match row.state {
        KeyState::Active => now.max(row.sign_from),
        KeyState::Staged => row.sign_from,
        _ => row.sign_until.unwrap_or(row.sign_from),
    };
    KeyRow {
        state: to,
        sign_until: Some(sign_until),
        changed_at: now,
        ..row.clone()
    }
}
