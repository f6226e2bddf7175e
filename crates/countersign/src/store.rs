//! The servers that a ledger can be kept in, from the configuration.

use std::sync::Arc;

use countersign_ledger::store::postgres::PostgresStore;
use countersign_ledger::store::s3::{S3Options, S3Store};
use countersign_ledger::store::{CHECKPOINT, Store, StoreError};

use crate::config::LedgerSection;
use crate::failure::Failure;

/// The store that the section names, connected; none when the ledger lies in the data directory.
pub(crate) fn remote(section: &LedgerSection, origin: &str) -> Result<Option<Arc<dyn Store>>, Failure> {
    if let Some(postgres) = &section.postgres {
        let store = PostgresStore::connect(&postgres.url, origin).map_err(|error| failure(&error))?;
        return Ok(Some(Arc::new(store)));
    }
    if let Some(s3) = &section.s3 {
        let mut options = S3Options::new(&s3.bucket, s3.prefix.as_deref().unwrap_or_default());
        options.endpoint.clone_from(&s3.endpoint);
        if let Some(region) = &s3.region {
            options.region.clone_from(region);
        }
        let store = S3Store::open(&options).map_err(|error| failure(&error))?;
        return Ok(Some(Arc::new(store)));
    }
    Ok(None)
}

/// Whether no ledger was ever made there, so that a missing signing key is a first start and not a loss.
pub(crate) fn is_new(store: &dyn Store) -> Result<bool, Failure> {
    let checkpoint = store.read_file(CHECKPOINT).map_err(|error| failure(&error))?;
    Ok(checkpoint.is_none())
}

fn failure(error: &StoreError) -> Failure {
    Failure::unavailable(error.code(), error).maybe_hint(error.hint())
}
