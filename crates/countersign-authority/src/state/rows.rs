//! The rows about keys, and the one transaction that changes them.

use countersign_token::KeyState;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::{State, StateError};
use crate::config::SigningAlgorithm;
use crate::private_key::PublicKey;

/// What is known of a key: everything but its private part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) key_id: String,
    pub(crate) issuer: String,
    pub(crate) realm: String,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) public: PublicKey,
    pub(crate) state: KeyState,
    /// First second at which it may sign; for a staged key the planned one.
    pub(crate) sign_from: u64,
    /// Last second at which it may sign; `None` while that is open.
    pub(crate) sign_until: Option<u64>,
    pub(crate) created_at: u64,
    pub(crate) changed_at: u64,
}

/// Changes to the keys of one issuer that happen together or not at all.
#[derive(Debug, Default, Clone)]
pub(crate) struct Transition {
    /// New rows.
    pub(crate) added: Vec<KeyRow>,
    /// Existing keys with another state or window, in an order that never makes two keys active at once.
    pub(crate) changed: Vec<KeyRow>,
}

impl Transition {
    /// What [`State::keys`] will say once this has been applied to what it says now.
    pub(crate) fn applied_to(&self, mut rows: Vec<KeyRow>) -> Vec<KeyRow> {
        for changed in &self.changed {
            let is_it = |row: &&mut KeyRow| row.key_id == changed.key_id && row.issuer == changed.issuer;
            if let Some(row) = rows.iter_mut().find(is_it) {
                row.clone_from(changed);
            }
        }
        rows.extend(self.added.iter().cloned());
        rows.sort_by(|left, right| (left.created_at, &left.key_id).cmp(&(right.created_at, &right.key_id)));
        rows
    }
}

impl State {
    /// Every key of every issuer, oldest first.
    pub(crate) async fn keys(&self) -> Result<Vec<KeyRow>, StateError> {
        let mut connection = self.lock().await;
        let select = sqlx::query(
            "SELECT kid, issuer, realm, algorithm, public_members, state, sign_from, sign_until, created_at, changed_at
             FROM keys ORDER BY created_at, kid",
        );
        select
            .fetch_all(&mut *connection)
            .await?
            .iter()
            .map(key_row)
            .collect()
    }

    /// Notes which key files are about to appear, so that those of an interrupted change can be told from lost rows.
    pub(crate) async fn intend(&self, issuer: &str, key_ids: &[String]) -> Result<(), StateError> {
        let mut connection = self.lock().await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for key_id in key_ids {
            let insert = sqlx::query("INSERT INTO key_intents VALUES (?, ?)")
                .bind(key_id)
                .bind(issuer);
            insert.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Key files that were begun and not finished, as (kid, issuer).
    pub(crate) async fn intents(&self) -> Result<Vec<(String, String)>, StateError> {
        let mut connection = self.lock().await;
        let rows = sqlx::query("SELECT kid, issuer FROM key_intents")
            .fetch_all(&mut *connection)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// Forgets a begun key file, once it is gone.
    pub(crate) async fn forget_intent(&self, key_id: &str) -> Result<(), StateError> {
        let mut connection = self.lock().await;
        sqlx::query("DELETE FROM key_intents WHERE kid = ?")
            .bind(key_id)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// Applies a transition and takes the next bundle number, in one transaction. Returns that number.
    pub(crate) async fn apply(&self, transition: &Transition) -> Result<u64, StateError> {
        let mut connection = self.lock().await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for key in &transition.changed {
            update(&mut transaction, key).await?;
        }
        for key in &transition.added {
            insert(&mut transaction, key).await?;
            let delete = sqlx::query("DELETE FROM key_intents WHERE kid = ?").bind(&key.key_id);
            delete.execute(&mut *transaction).await?;
        }
        let row = sqlx::query(
            "INSERT INTO meta VALUES ('bundle_number', '1')
             ON CONFLICT DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) RETURNING value",
        );
        let number: String = row.fetch_one(&mut *transaction).await?.try_get(0)?;
        transaction.commit().await?;
        number.parse().map_err(|_| StateError::Corrupt("bundle_number"))
    }
}

async fn update(connection: &mut SqliteConnection, key: &KeyRow) -> Result<(), StateError> {
    sqlx::query("UPDATE keys SET state = ?, sign_from = ?, sign_until = ?, changed_at = ? WHERE kid = ? AND issuer = ?")
        .bind(key.state.as_str())
        .bind(to_integer(key.sign_from))
        .bind(key.sign_until.map(to_integer))
        .bind(to_integer(key.changed_at))
        .bind(&key.key_id)
        .bind(&key.issuer)
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, key: &KeyRow) -> Result<(), StateError> {
    sqlx::query("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(&key.key_id)
        .bind(&key.issuer)
        .bind(&key.realm)
        .bind(key.algorithm.as_str())
        .bind(key.public.members())
        .bind(key.state.as_str())
        .bind(to_integer(key.sign_from))
        .bind(key.sign_until.map(to_integer))
        .bind(to_integer(key.created_at))
        .bind(to_integer(key.changed_at))
        .execute(connection)
        .await?;
    Ok(())
}

fn key_row(row: &SqliteRow) -> Result<KeyRow, StateError> {
    let algorithm: String = row.try_get("algorithm")?;
    let state: String = row.try_get("state")?;
    let sign_until: Option<i64> = row.try_get("sign_until")?;
    let key = KeyRow {
        key_id: row.try_get("kid")?,
        issuer: row.try_get("issuer")?,
        realm: row.try_get("realm")?,
        algorithm: SigningAlgorithm::from_name(&algorithm).ok_or(StateError::Corrupt("algorithm"))?,
        public: PublicKey::new(row.try_get("public_members")?),
        state: KeyState::from_name(&state).ok_or(StateError::Corrupt("state"))?,
        sign_from: from_integer(row.try_get("sign_from")?, "sign_from")?,
        sign_until: sign_until
            .map(|until| from_integer(until, "sign_until"))
            .transpose()?,
        created_at: from_integer(row.try_get("created_at")?, "created_at")?,
        changed_at: from_integer(row.try_get("changed_at")?, "changed_at")?,
    };
    // The kid is the thumbprint, so a public key swapped in the file shows.
    if key.key_id == key.public.key_id() {
        Ok(key)
    } else {
        Err(StateError::Corrupt("public_members"))
    }
}

/// Unix seconds fit SQLite's signed integers for the next 292 billion years.
pub(super) fn to_integer(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn from_integer(seconds: i64, column: &'static str) -> Result<u64, StateError> {
    u64::try_from(seconds).map_err(|_| StateError::Corrupt(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::private_key::PrivateKey;

    fn key(issuer: &str, state: KeyState) -> KeyRow {
        let (key, _) = PrivateKey::generate(SigningAlgorithm::EdDsa).unwrap();
        KeyRow {
            key_id: key.public().key_id(),
            issuer: issuer.to_owned(),
            realm: "realm".to_owned(),
            algorithm: key.algorithm(),
            public: key.public().clone(),
            state,
            sign_from: 10,
            sign_until: None,
            created_at: 10,
            changed_at: 10,
        }
    }

    async fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.sqlite3"))
            .await
            .unwrap();
        state.add_realm("realm", 10).await.unwrap();
        (directory, state)
    }

    #[tokio::test]
    async fn a_transition_applies_as_a_whole_and_counts() {
        let (_directory, state) = state().await;
        let first = key("i", KeyState::Active);
        state
            .intend("i", std::slice::from_ref(&first.key_id))
            .await
            .unwrap();
        assert_eq!(
            state.intents().await.unwrap(),
            [(first.key_id.clone(), "i".to_owned())]
        );
        let transition = Transition {
            added: vec![first.clone()],
            ..Transition::default()
        };
        assert_eq!(state.apply(&transition).await.unwrap(), 1);
        assert_eq!(state.intents().await.unwrap(), []);

        let retired = KeyRow {
            state: KeyState::Retired,
            sign_until: Some(20),
            ..first
        };
        let second = key("i", KeyState::Active);
        let transition = Transition {
            added: vec![second.clone()],
            changed: vec![retired.clone()],
        };
        let foreseen = transition.applied_to(state.keys().await.unwrap());
        assert_eq!(state.apply(&transition).await.unwrap(), 2);
        let mut keys = state.keys().await.unwrap();
        assert_eq!(keys, foreseen);
        keys.sort_by_key(|key| key.state == KeyState::Active);
        assert_eq!(keys, [retired, second]);
        assert_eq!(state.meta("bundle_number").await.unwrap().as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn two_active_keys_of_one_issuer_cannot_be_stored() {
        let (_directory, state) = state().await;
        let added = vec![key("i", KeyState::Active), key("i", KeyState::Active)];
        assert!(
            state
                .apply(&Transition {
                    added,
                    ..Transition::default()
                })
                .await
                .is_err()
        );
        assert_eq!(state.keys().await.unwrap(), []);
        assert_eq!(state.meta("bundle_number").await.unwrap(), None);
    }
}
