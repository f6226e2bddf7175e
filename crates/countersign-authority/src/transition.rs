//! Key transitions: activate, suspect, revoke. Each is announced, applied once, and published.

use std::sync::Arc;

use countersign_token::KeyState;

use crate::authority::Authority;
use crate::issuer::{Issuer, Signer};
use crate::keyring::{KeyOrder, Keyring, KeyringError, expired};
use crate::private_key::PrivateKey;
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
    /// The task that makes the transition ended early.
    #[error("the key transition was interrupted")]
    Interrupted,
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
            Self::Interrupted => "transition_interrupted",
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
            Self::Interrupted => Some("restart: the next start completes or undoes it"),
        }
    }
}

impl Authority {
    /// The staged key begins to sign, the active one retires, and a new one is staged.
    ///
    /// The retired key's private part is destroyed. Returns the number of the trust bundle that says so.
    pub async fn activate(&self, issuer: &str) -> Result<u64, TransitionError> {
        self.transit(issuer, None, KeyState::Retired).await
    }

    /// The key may be stolen: from now on only tokens in the ledger count. If it is active or staged, it is replaced
    /// and its private part destroyed. Returns the number of the trust bundle that says so.
    pub async fn suspect(&self, issuer: &str, key_id: &str) -> Result<u64, TransitionError> {
        self.transit(issuer, Some(key_id), KeyState::Suspect).await
    }

    /// Nothing the key ever signed counts any more. If it is active or staged, it is replaced and its private part
    /// destroyed. Returns the number of the trust bundle that says so.
    pub async fn revoke(&self, issuer: &str, key_id: &str) -> Result<u64, TransitionError> {
        self.transit(issuer, Some(key_id), KeyState::Revoked).await
    }

    /// In a task of its own: a caller that goes away half-way must not leave the signer behind the state.
    async fn transit(
        &self,
        issuer: &str,
        key_id: Option<&str>,
        to: KeyState,
    ) -> Result<u64, TransitionError> {
        let issuer = Arc::clone(self.issuer(issuer).ok_or(TransitionError::IssuerUnknown)?);
        let (authority, key_id) = (self.clone(), key_id.map(ToOwned::to_owned));
        let task = tokio::spawn(async move {
            let _one_at_a_time = authority.shared().transition.lock().await;
            authority.replace(&issuer, key_id.as_deref(), to).await
        });
        task.await.unwrap_or(Err(TransitionError::Interrupted))
    }

    /// Moves a key (the active one, or the one named) to a state in which it does not sign, and fills the place that
    /// it leaves.
    async fn replace(
        &self,
        issuer: &Issuer,
        key_id: Option<&str>,
        to: KeyState,
    ) -> Result<u64, TransitionError> {
        let keyring = &self.shared().keyring;
        // A change that was recorded, but not applied, by an attempt before this one.
        let caught_up = keyring.recover().await?;
        if let Some(number) = caught_up {
            self.reload(number).await?;
        }
        let all = keyring.state.keys().await.map_err(KeyringError::from)?;
        let rows: Vec<KeyRow> = all
            .iter()
            .filter(|row| row.issuer == issuer.url)
            .cloned()
            .collect();
        if let (Some(number), true) = (caught_up, is_in_state(&rows, key_id, to)) {
            return Ok(number);
        }
        let leaving = select(&rows, key_id, to)?;
        let successor = Successor::prepare(keyring, issuer, &rows, leaving, self.now()).await?;

        // From here no token is signed: those in flight are refused by the ledger once the change is recorded, and join
        // the next ones that wait for the new key and for the bundle that knows it.
        let mut signer = issuer.signer.write().await;
        let now = self.now();
        let transition = plan(&rows, leaving, to, &successor, issuer.lifetime_max_seconds, now);
        // Everything that can fail comes before the commit: a revocation that is in the state and not in the bundle could
        // not even be asked for again.
        let (published, mut bundle) = publish(0, &self.shared().realms, &transition.applied_to(all))?;
        let number = keyring.commit(&transition).await?;
        bundle.number = number;
        if let Some((key, row)) = successor.active {
            *signer = Signer::new(key, activated(&row, now));
        }
        self.shared().published.send_replace(Arc::new(published));
        self.shared().trust.send_replace(Arc::new(bundle));
        drop(signer);
        keyring.destroy(&leaving.key_id)?;
        let (from, to) = (leaving.state.as_str(), to.as_str());
        tracing::info!(
            issuer = issuer.url,
            key_id = leaving.key_id,
            from,
            to,
            bundle = number,
            "key state changed"
        );
        Ok(number)
    }

    /// Brings signers and documents to what the state says.
    async fn reload(&self, number: u64) -> Result<(), TransitionError> {
        let shared = self.shared();
        let rows = shared.keyring.state.keys().await.map_err(KeyringError::from)?;
        let mut held = Vec::new();
        for issuer in shared.issuers.values() {
            let active = |row: &&KeyRow| row.issuer == issuer.url && row.state == KeyState::Active;
            let Some(active) = rows.iter().find(active) else {
                continue;
            };
            let mut signer = issuer.signer.write().await;
            if signer.row() != active {
                *signer = Signer::new(shared.keyring.load(active)?, active.clone());
            }
            // Until the bundle knows every new key, none signs.
            held.push(signer);
        }
        let (published, bundle) = publish(number, &shared.realms, &rows)?;
        shared.published.send_replace(Arc::new(published));
        shared.trust.send_replace(Arc::new(bundle));
        Ok(())
    }
}

/// Whether what was asked for has been done already.
fn is_in_state(rows: &[KeyRow], key_id: Option<&str>, state: KeyState) -> bool {
    key_id.is_some_and(|key_id| rows.iter().any(|row| row.key_id == key_id && row.state == state))
}

fn select<'a>(rows: &'a [KeyRow], key_id: Option<&str>, to: KeyState) -> Result<&'a KeyRow, TransitionError> {
    let wanted = |row: &&KeyRow| key_id.map_or(row.state == KeyState::Active, |key_id| row.key_id == key_id);
    let row = rows.iter().find(wanted).ok_or(TransitionError::KeyUnknown)?;
    // Nothing that an expired key signed counts: suspicion would bring some of it back.
    let backwards = row.state >= to || (row.state == KeyState::Expired && to == KeyState::Suspect);
    if backwards {
        Err(TransitionError::NotAllowed { from: row.state, to })
    } else {
        Ok(row)
    }
}

/// Who takes the place of the leaving key.
struct Successor {
    /// The staged key, opened before anything is announced: one that does not open must not be promised.
    active: Option<(PrivateKey, KeyRow)>,
    /// A new key to stage.
    staged: Option<KeyRow>,
}

impl Successor {
    async fn prepare(
        keyring: &Keyring,
        issuer: &Issuer,
        rows: &[KeyRow],
        leaving: &KeyRow,
        now: u64,
    ) -> Result<Self, TransitionError> {
        let mut successor = Self {
            active: None,
            staged: None,
        };
        if leaving.state == KeyState::Active {
            let staged = rows.iter().find(|row| row.state == KeyState::Staged);
            let staged = staged.ok_or(TransitionError::KeyUnknown)?;
            successor.active = Some((keyring.load(staged)?, staged.clone()));
        }
        if matches!(leaving.state, KeyState::Active | KeyState::Staged) {
            let order = KeyOrder {
                issuer: &issuer.url,
                realm: &issuer.realm,
                algorithm: issuer.algorithm,
                state: KeyState::Staged,
                sign_from: now.saturating_add(STAGE_SECONDS),
            };
            successor.staged = keyring.generate(&[order], now).await?.pop();
        }
        Ok(successor)
    }
}

fn plan(
    rows: &[KeyRow],
    leaving: &KeyRow,
    to: KeyState,
    successor: &Successor,
    lifetime_max_seconds: u64,
    now: u64,
) -> Transition {
    let mut changed = vec![closed(leaving, to, now)];
    changed.extend(successor.active.iter().map(|(_, row)| activated(row, now)));
    let others = rows.iter().filter(|row| row.key_id != leaving.key_id);
    changed.extend(others.filter_map(|row| expired(row, lifetime_max_seconds, now)));
    Transition {
        changed,
        added: successor.staged.iter().cloned().collect(),
    }
}

fn activated(row: &KeyRow, now: u64) -> KeyRow {
    KeyRow {
        state: KeyState::Active,
        sign_from: now,
        changed_at: now,
        ..row.clone()
    }
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

#[cfg(test)]
mod tests;
