//! What must survive a restart: which issuers and keys exist, which assertions are spent. SQLite, one writer.
//!
//! The schema is documented in `docs/state.md`.

mod rows;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use self::rows::{KeyRow, Transition};

/// The schema this code reads and writes.
const SCHEMA_VERSION: u64 = 1;
/// Longer than any transaction here takes; only a backup tool holds the file longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE realms (name TEXT PRIMARY KEY, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE keys (
    kid TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    realm TEXT NOT NULL REFERENCES realms (name),
    algorithm TEXT NOT NULL,
    public_members TEXT NOT NULL,
    state TEXT NOT NULL,
    sign_from INTEGER NOT NULL,
    sign_until INTEGER,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_active_key ON keys (issuer) WHERE state = 'active';
CREATE UNIQUE INDEX one_staged_key ON keys (issuer) WHERE state = 'staged';
CREATE TABLE key_intents (kid TEXT PRIMARY KEY, issuer TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE client_credentials (
    client TEXT PRIMARY KEY,
    secret_sha256 BLOB,
    jwks TEXT,
    CHECK ((secret_sha256 IS NULL) <> (jwks IS NULL))
) STRICT, WITHOUT ROWID;
CREATE TABLE assertions (
    client TEXT NOT NULL,
    token_id_sha256 BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client, token_id_sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX assertions_by_expiry ON assertions (expires_at);
";

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file was written by a newer version.
    #[error("the state has schema version {found}, this program knows {SCHEMA_VERSION}")]
    TooNew {
        /// The version found.
        found: u64,
    },
    /// A value that this program never writes.
    #[error("the state holds an impossible value in `{0}`")]
    Corrupt(&'static str),
    /// SQLite refused.
    #[error("the state database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl StateError {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooNew { .. } => "state_too_new",
            Self::Corrupt(_) => "state_corrupt",
            Self::Database(_) => "state_unavailable",
        }
    }

    /// What to do next.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TooNew { .. } => Some("run the version that wrote it, or a newer one"),
            Self::Corrupt(_) => Some("restore `state.sqlite3` from a backup"),
            Self::Database(_) => Some(
                "check that the disk has room and is writable, and that the file is intact (`PRAGMA integrity_check`)",
            ),
        }
    }
}

/// The state database. One connection, because SQLite has one writer and everything here is small.
pub(crate) struct State {
    connection: Mutex<SqliteConnection>,
}

impl State {
    /// Opens the database, creating it when there is none. The schema appears in one transaction.
    pub(crate) async fn open(path: &Path) -> Result<Self, StateError> {
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit must survive a power cut: a spent assertion or a revoked key may not come back.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .connect()
            .await?;
        prepare_schema(&mut connection).await?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Opens an existing database without changing anything: beside a running server, or on a copy kept as evidence.
    /// `None` where a first start was cut off before it had made the schema: there is no state yet.
    pub(crate) async fn open_to_read(path: &Path) -> Result<Option<Self>, StateError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT);
        let connected = match options.clone().connect().await {
            Ok(connection) => usable(connection).await,
            Err(error) => Err(error),
        };
        let mut connection = match connected {
            // Where not even SQLite's shared memory can be made, a database without a pending log reads as it is.
            Err(_) if !has_pending_log(path) => options.immutable(true).connect().await?,
            connected => connected?,
        };
        let tables = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'");
        if tables.fetch_optional(&mut connection).await?.is_none() {
            return Ok(None);
        }
        check_schema_version(&mut connection).await?;
        Ok(Some(Self {
            connection: Mutex::new(connection),
        }))
    }

    /// A value of the `meta` table.
    pub(crate) async fn meta(&self, name: &str) -> Result<Option<String>, StateError> {
        let mut connection = self.lock().await;
        let row = sqlx::query("SELECT value FROM meta WHERE name = ?").bind(name);
        Ok(row
            .fetch_optional(&mut *connection)
            .await?
            .map(|row| row.try_get(0))
            .transpose()?)
    }

    /// Sets a value of the `meta` table.
    pub(crate) async fn set_meta(&self, name: &str, value: &str) -> Result<(), StateError> {
        let mut connection = self.lock().await;
        let insert =
            sqlx::query("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value");
        insert.bind(name).bind(value).execute(&mut *connection).await?;
        Ok(())
    }

    /// The number of entries that the ledger is known to have had.
    pub(crate) async fn ledger_size(&self) -> Result<u64, StateError> {
        let text = self.meta("ledger_size").await?;
        text.map_or(Ok(0), |text| {
            text.parse().map_err(|_| StateError::Corrupt("ledger_size"))
        })
    }

    /// Notes that the ledger has that many durable entries.
    pub(crate) async fn set_ledger_size(&self, size: u64) -> Result<(), StateError> {
        self.set_meta("ledger_size", &size.to_string()).await
    }

    /// Whether the realm has been set up before.
    pub(crate) async fn knows_realm(&self, name: &str) -> Result<bool, StateError> {
        let mut connection = self.lock().await;
        let row = sqlx::query("SELECT 1 FROM realms WHERE name = ?").bind(name);
        Ok(row.fetch_optional(&mut *connection).await?.is_some())
    }

    /// Notes that the realm exists; from now on its sealing key must too.
    pub(crate) async fn add_realm(&self, name: &str, now: u64) -> Result<(), StateError> {
        let mut connection = self.lock().await;
        let insert = sqlx::query("INSERT INTO realms VALUES (?, ?)")
            .bind(name)
            .bind(rows::to_integer(now));
        insert.execute(&mut *connection).await?;
        Ok(())
    }

    /// Marks an assertion identifier as used. False when it was used before.
    ///
    /// Identifiers past their expiry are forgotten here, because such an assertion is refused anyway.
    pub(crate) async fn spend_assertion(
        &self,
        client: &str,
        token_id_sha256: &[u8; 32],
        expires_at: u64,
        now: u64,
    ) -> Result<bool, StateError> {
        let mut connection = self.lock().await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM assertions WHERE expires_at < ?")
            .bind(rows::to_integer(now))
            .execute(&mut *transaction)
            .await?;
        let spent = sqlx::query("INSERT INTO assertions VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(client)
            .bind(token_id_sha256.as_slice())
            .bind(rows::to_integer(expires_at))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(spent.rows_affected() == 1)
    }

    /// The hash of a generated client secret.
    pub(crate) async fn client_secret(&self, client: &str) -> Result<Option<[u8; 32]>, StateError> {
        let mut connection = self.lock().await;
        let row = sqlx::query("SELECT secret_sha256 FROM client_credentials WHERE client = ?").bind(client);
        let Some(row) = row.fetch_optional(&mut *connection).await? else {
            return Ok(None);
        };
        let hash: Option<Vec<u8>> = row.try_get(0)?;
        hash.map(|hash| hash.try_into().map_err(|_| StateError::Corrupt("secret_sha256")))
            .transpose()
    }

    /// The public keys of a client whose key was generated here.
    pub(crate) async fn client_jwks(&self, client: &str) -> Result<Option<String>, StateError> {
        let mut connection = self.lock().await;
        let row = sqlx::query("SELECT jwks FROM client_credentials WHERE client = ?").bind(client);
        Ok(row
            .fetch_optional(&mut *connection)
            .await?
            .map(|row| row.try_get(0))
            .transpose()?
            .flatten())
    }

    /// Remembers generated credentials: the hash of a secret, or public keys.
    pub(crate) async fn set_client(
        &self,
        client: &str,
        secret_sha256: Option<&[u8; 32]>,
        jwks: Option<&str>,
    ) -> Result<(), StateError> {
        let mut connection = self.lock().await;
        sqlx::query("INSERT OR REPLACE INTO client_credentials VALUES (?, ?, ?)")
            .bind(client)
            .bind(secret_sha256.map(<[u8; 32]>::as_slice))
            .bind(jwks)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// Closes the file in good order.
    pub(crate) async fn close(self) -> Result<(), StateError> {
        Ok(self.connection.into_inner().close().await?)
    }

    async fn lock(&self) -> MutexGuard<'_, SqliteConnection> {
        self.connection.lock().await
    }
}

async fn prepare_schema(connection: &mut SqliteConnection) -> Result<(), StateError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let tables = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'meta'");
    if tables.fetch_optional(&mut *transaction).await?.is_none() {
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO meta VALUES ('schema_version', ?)")
            .bind(SCHEMA_VERSION.to_string())
            .execute(&mut *transaction)
            .await?;
    }
    check_schema_version(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

async fn check_schema_version(connection: &mut SqliteConnection) -> Result<(), StateError> {
    let row = sqlx::query("SELECT value FROM meta WHERE name = 'schema_version'").fetch_optional(connection);
    let version = row.await?.map(|row| row.try_get::<String, _>(0)).transpose()?;
    let found = version
        .and_then(|text| text.parse().ok())
        .ok_or(StateError::Corrupt("schema_version"))?;
    if found == SCHEMA_VERSION {
        Ok(())
    } else {
        Err(StateError::TooNew { found })
    }
}

/// Opening alone reads nothing: whether the database can be read shows at the first look.
async fn usable(mut connection: SqliteConnection) -> Result<SqliteConnection, sqlx::Error> {
    sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1")
        .fetch_optional(&mut connection)
        .await?;
    Ok(connection)
}

/// Whether commits lie in the write-ahead log that are not in the database file yet.
fn has_pending_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("state.sqlite3"))
            .await
            .unwrap();
        (directory, state)
    }

    #[tokio::test]
    async fn meta_values_survive_reopening() {
        let (directory, state) = state().await;
        assert_eq!(state.meta("base_url").await.unwrap(), None);
        state.set_meta("base_url", "one").await.unwrap();
        state.set_meta("base_url", "two").await.unwrap();
        state.close().await.unwrap();
        let state = State::open(&directory.path().join("state.sqlite3"))
            .await
            .unwrap();
        assert_eq!(state.meta("base_url").await.unwrap().as_deref(), Some("two"));
    }

    #[tokio::test]
    async fn an_assertion_is_spent_once_per_client() {
        let (_directory, state) = state().await;
        assert!(state.spend_assertion("a", &[1; 32], 100, 50).await.unwrap());
        assert!(!state.spend_assertion("a", &[1; 32], 100, 50).await.unwrap());
        assert!(!state.spend_assertion("a", &[1; 32], 100, 100).await.unwrap());
        assert!(state.spend_assertion("b", &[1; 32], 100, 50).await.unwrap());
        assert!(state.spend_assertion("a", &[2; 32], 100, 50).await.unwrap());
    }

    #[tokio::test]
    async fn client_credentials_come_back() {
        let (_directory, state) = state().await;
        assert_eq!(state.client_secret("a").await.unwrap(), None);
        state.set_client("a", Some(&[7; 32]), None).await.unwrap();
        state.set_client("b", None, Some("{}")).await.unwrap();
        assert_eq!(state.client_secret("a").await.unwrap(), Some([7; 32]));
        assert_eq!(state.client_jwks("b").await.unwrap().as_deref(), Some("{}"));
        assert_eq!(state.client_jwks("a").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused() {
        let (directory, state) = state().await;
        state.set_meta("schema_version", "2").await.unwrap();
        state.close().await.unwrap();
        let error = State::open(&directory.path().join("state.sqlite3"))
            .await
            .err()
            .unwrap();
        assert_eq!(error.code(), "state_too_new");
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.sqlite3");
        crate::durable::write_secret(&path, &[42; 4096]).unwrap();
        assert_eq!(
            State::open(&path).await.err().unwrap().code(),
            "state_unavailable"
        );
    }
}
