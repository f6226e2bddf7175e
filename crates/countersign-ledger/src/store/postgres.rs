//! A ledger in PostgreSQL: one row a batch, its number the primary key.
//!
//! `INSERT … ON CONFLICT DO NOTHING` is *create if absent*, and a commit with `synchronous_commit = on` makes it durable,
//! on the standbys too where the server is set up so. Any number of ledgers share the three tables; `ledger` tells them
//! apart. Tables and statements: `docs/ledger.md`.

use std::ops::Range;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Executor as _, Row as _};

use super::bridge::{Bridge, Unanswered};
use super::{Batch, Cause, Create, File, Store, StoreError};

/// The writer, the publisher and two readers.
const CONNECTIONS: u32 = 4;
/// After this a statement counts as unanswered.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);
/// The server gives a statement up before we do, so that what is unknown stays rare.
const SERVER_LIMIT: &str = "8000";
/// So many batches are asked for at once.
const BATCHES_MAX: i64 = 256;
/// `disk_full` of the SQL standard's error codes.
const DISK_FULL: &str = "53100";
/// Names the lock under which the tables are made: concurrent `CREATE TABLE IF NOT EXISTS` fails.
const SCHEMA_LOCK: i64 = 0x6373_6c65_6467_6572;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS countersign_batch (
    ledger text NOT NULL,
    number bigint NOT NULL CHECK (number >= 0),
    first_index bigint NOT NULL CHECK (first_index >= 0),
    entries integer NOT NULL CHECK (entries > 0),
    body bytea NOT NULL,
    PRIMARY KEY (ledger, number),
    UNIQUE (ledger, first_index)
);
CREATE TABLE IF NOT EXISTS countersign_file (
    ledger text NOT NULL,
    path text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (ledger, path)
);
CREATE TABLE IF NOT EXISTS countersign_state (
    ledger text NOT NULL,
    path text NOT NULL,
    version bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (ledger, path)
);
ALTER TABLE countersign_batch ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE countersign_file ALTER COLUMN body SET STORAGE EXTERNAL;
";

/// A number below the newest is taken for ever, also when its batch was removed: the newest is never removed.
const CREATE_BATCH: &str = "
INSERT INTO countersign_batch (ledger, number, first_index, entries, body)
SELECT $1, $2, $3, $4, $5
WHERE ($2 = 0 OR EXISTS (SELECT FROM countersign_batch WHERE ledger = $1 AND number = $2 - 1))
  AND NOT EXISTS (SELECT FROM countersign_batch WHERE ledger = $1 AND number >= $2)
ON CONFLICT DO NOTHING";

const REPLACE_FILE: &str = "
INSERT INTO countersign_state AS state (ledger, path, version, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (ledger, path) DO UPDATE SET version = excluded.version, body = excluded.body
WHERE state.version <= excluded.version";

/// One ledger in a PostgreSQL database.
pub struct PostgresStore {
    bridge: Bridge,
    pool: PgPool,
    ledger: String,
}

impl PostgresStore {
    /// Connects to the database `url` (`postgres://user:password@host/database`) and makes the tables where they are
    /// missing. `ledger` is the ledger's origin.
    ///
    /// Refuses a server that would forget what it acknowledged (`fsync` or `full_page_writes` off) and a standby, whose
    /// answers are old.
    pub fn connect(url: &str, ledger: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| StoreError::Failed(error.into()))?
            .application_name("countersign-ledger")
            .options([
                ("synchronous_commit", "on"),
                ("statement_timeout", SERVER_LIMIT),
                ("default_transaction_isolation", "read committed"),
            ]);
        let bridge = Bridge::new(STATEMENT_LIMIT)?;
        let pool = bridge.wait(async move {
            let pool = PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(STATEMENT_LIMIT)
                // One round trip less for each statement; a dead connection is an unknown outcome like any other.
                .test_before_acquire(false)
                .connect_with(options)
                .await?;
            prepare(&pool).await?;
            Ok::<_, sqlx::Error>(pool)
        })?;
        let pool = pool.map_err(unavailable)?;
        let store = Self {
            bridge,
            pool,
            ledger: ledger.to_owned(),
        };
        store.refuse_forgetful()?;
        Ok(store)
    }

    fn refuse_forgetful(&self) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        let row = self.ask(async move {
            sqlx::query(
                "SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on', \
                 pg_is_in_recovery()",
            )
            .fetch_one(&pool)
            .await
        })?;
        if !row.get::<bool, _>(0) {
            return Err(StoreError::Failed(
                "fsync or full_page_writes is off in this PostgreSQL server".into(),
            ));
        }
        if row.get::<bool, _>(1) {
            return Err(StoreError::Failed("this PostgreSQL server is a standby".into()));
        }
        Ok(())
    }

    /// A question that changes nothing, or that may safely be asked again.
    fn ask<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.bridge.wait(work)?.map_err(unavailable)
    }
}

async fn prepare(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(SCHEMA_LOCK)
        .execute(&mut *transaction)
        .await?;
    let made: bool = sqlx::query_scalar("SELECT to_regclass('countersign_state') IS NOT NULL")
        .fetch_one(&mut *transaction)
        .await?;
    if !made {
        transaction.execute(sqlx::raw_sql(SCHEMA)).await?;
    }
    transaction.commit().await
}

impl Store for PostgresStore {
    fn create_batch(&self, batch: &Batch<'_>) -> Create {
        let (Ok(number), Ok(first_index), Ok(count)) = (
            i64::try_from(batch.number),
            i64::try_from(batch.first_index),
            i32::try_from(batch.count),
        ) else {
            return Create::Failed("a number is too large for PostgreSQL".into());
        };
        let (pool, ledger, body) = (self.pool.clone(), self.ledger.clone(), batch.bytes.to_vec());
        let inserted = self.bridge.wait(async move {
            let query = sqlx::query(CREATE_BATCH)
                .bind(&ledger)
                .bind(number)
                .bind(first_index)
                .bind(count);
            let inserted = query.bind(body).execute(&pool).await?.rows_affected();
            if inserted == 1 {
                return Ok(Create::Created);
            }
            let newest = newest(&pool, &ledger).await?;
            // Not there, and the batch before it is not there either: an older copy was restored below our feet.
            Ok(
                if newest.is_none_or(|newest| newest < number.saturating_sub(1)) && number > 0 {
                    Create::Failed("the batch before this one is gone from the database".into())
                } else {
                    Create::Exists
                },
            )
        });
        match inserted {
            Ok(Ok(create)) => create,
            Ok(Err(error)) => refused(error),
            Err(unanswered @ (Unanswered::Late(_) | Unanswered::Stopped)) => {
                Create::Unknown(unanswered.into())
            }
        }
    }

    fn batches(&self) -> Result<Range<u64>, StoreError> {
        let (pool, ledger) = (self.pool.clone(), self.ledger.clone());
        let row = self.ask(async move {
            sqlx::query("SELECT min(number), max(number) FROM countersign_batch WHERE ledger = $1")
                .bind(ledger)
                .fetch_one(&pool)
                .await
        })?;
        let (oldest, newest): (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
        Ok(match (oldest, newest) {
            (Some(oldest), Some(newest)) => unsigned(oldest)..unsigned(newest).saturating_add(1),
            _ => 0..0,
        })
    }

    fn find_batch(&self, index: u64) -> Result<Option<u64>, StoreError> {
        let Ok(index) = i64::try_from(index) else {
            return Ok(None);
        };
        let (pool, ledger) = (self.pool.clone(), self.ledger.clone());
        let found: Option<i64> = self.ask(async move {
            sqlx::query_scalar(
                "SELECT number FROM (SELECT number, first_index, entries FROM countersign_batch \
                 WHERE ledger = $1 AND first_index <= $2 ORDER BY first_index DESC LIMIT 1) AS candidate \
                 WHERE first_index + entries > $2",
            )
            .bind(ledger)
            .bind(index)
            .fetch_optional(&pool)
            .await
        })?;
        Ok(found.map(unsigned))
    }

    fn read_batches(&self, first: u64, limit: usize) -> Result<Vec<u8>, StoreError> {
        let Ok(first) = i64::try_from(first) else {
            return Ok(Vec::new());
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (pool, ledger) = (self.pool.clone(), self.ledger.clone());
        let bodies: Vec<(i64, Vec<u8>)> = self.ask(async move {
            // The sum is taken over lengths alone, so that no body beyond the limit is read.
            sqlx::query_as(
                "SELECT number, body FROM (SELECT number, body, sum(octet_length(body)) OVER (ORDER BY number) AS upto \
                 FROM (SELECT number, body FROM countersign_batch WHERE ledger = $1 AND number >= $2 \
                 ORDER BY number LIMIT $4) AS following) AS summed WHERE upto <= $3 OR number = $2 ORDER BY number",
            )
            .bind(ledger)
            .bind(first)
            .bind(limit)
            .bind(BATCHES_MAX)
            .fetch_all(&pool)
            .await
        })?;
        let mut bytes = Vec::with_capacity(bodies.iter().map(|(_, body)| body.len()).sum());
        for (expected, (number, body)) in (first..).zip(bodies) {
            if number != expected {
                break;
            }
            bytes.extend(body);
        }
        Ok(bytes)
    }

    fn remove_batches(&self, below: u64) -> Result<(), StoreError> {
        let below = i64::try_from(below).unwrap_or(i64::MAX);
        let (pool, ledger) = (self.pool.clone(), self.ledger.clone());
        self.ask(async move {
            sqlx::query(
                "DELETE FROM countersign_batch WHERE ledger = $1 AND number < $2 \
                 AND number < (SELECT max(number) FROM countersign_batch WHERE ledger = $1)",
            )
            .bind(ledger)
            .bind(below)
            .execute(&pool)
            .await
        })?;
        Ok(())
    }

    fn create_files(&self, files: &[File]) -> Result<(), StoreError> {
        let (paths, bodies): (Vec<String>, Vec<Vec<u8>>) = files
            .iter()
            .map(|file| (file.path.clone(), file.bytes.clone()))
            .unzip();
        let (pool, ledger) = (self.pool.clone(), self.ledger.clone());
        let differing: Option<String> = self.ask(async move {
            let inserted = sqlx::query(
                "INSERT INTO countersign_file (ledger, path, body) \
                 SELECT $1, path, body FROM unnest($2::text[], $3::bytea[]) AS new (path, body) ON CONFLICT DO NOTHING",
            )
            .bind(&ledger)
            .bind(&paths)
            .bind(&bodies)
            .execute(&pool)
            .await?
            .rows_affected();
            if usize::try_from(inserted) == Ok(paths.len()) {
                return Ok(None);
            }
            sqlx::query_scalar(
                "SELECT path FROM unnest($2::text[], $3::bytea[]) AS new (path, body) \
                 JOIN countersign_file AS old USING (path) WHERE old.ledger = $1 AND old.body <> new.body LIMIT 1",
            )
            .bind(&ledger)
            .bind(&paths)
            .bind(&bodies)
            .fetch_optional(&pool)
            .await
        })?;
        differing.map_or(Ok(()), |path| Err(StoreError::Differs { path }))
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (pool, ledger, path) = (self.pool.clone(), self.ledger.clone(), path.to_owned());
        self.ask(async move {
            sqlx::query_scalar(
                "SELECT body FROM countersign_file WHERE ledger = $1 AND path = $2 \
                 UNION ALL SELECT body FROM countersign_state WHERE ledger = $1 AND path = $2",
            )
            .bind(ledger)
            .bind(path)
            .fetch_optional(&pool)
            .await
        })
    }

    fn remove_files(&self, directory: &str) -> Result<(), StoreError> {
        let (pool, ledger, below) = (self.pool.clone(), self.ledger.clone(), format!("{directory}/"));
        self.ask(async move {
            sqlx::query(
                "DELETE FROM countersign_file WHERE ledger = $1 AND starts_with(path, $2) \
                 AND position('/' IN substr(path, length($2) + 1)) = 0",
            )
            .bind(ledger)
            .bind(below)
            .execute(&pool)
            .await
        })?;
        Ok(())
    }

    fn replace_file(&self, path: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        let (pool, ledger, path, bytes) = (
            self.pool.clone(),
            self.ledger.clone(),
            path.to_owned(),
            bytes.to_vec(),
        );
        let replaced = self.ask(async move {
            let query = sqlx::query(REPLACE_FILE).bind(ledger).bind(path).bind(version);
            query.bind(bytes).execute(&pool).await
        })?;
        if replaced.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::Failed(
                "a newer version of this file is there: somebody else writes this ledger".into(),
            ))
        }
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

async fn newest(pool: &PgPool, ledger: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT max(number) FROM countersign_batch WHERE ledger = $1")
        .bind(ledger)
        .fetch_one(pool)
        .await
}

/// What an error says about an insert. Only the server's own "no space" is sure that nothing was stored.
fn refused(error: sqlx::Error) -> Create {
    if is_disk_full(&error) {
        Create::StorageFull
    } else {
        Create::Unknown(Cause::from(error))
    }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    if is_disk_full(&error) {
        StoreError::StorageFull
    } else {
        StoreError::Unavailable(Cause::from(error))
    }
}

fn is_disk_full(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == DISK_FULL)
}

/// The schema allows no negative number.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
