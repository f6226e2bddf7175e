//! A ledger in S3-compatible object storage: one object a batch, created with `If-None-Match: *`.
//!
//! ```text
//! <prefix>/batch/00000000000000000000   batches, numbered
//! <prefix>/floor                        number of the oldest batch that counts, once any was removed
//! <prefix>/checkpoint, tile/…           the published files, as they are served
//! ```
//!
//! Numbers are dense, so the newest batch is found with a few `HEAD` requests and nothing is ever listed to find it.
//! The object store must be strongly consistent and must honour conditional writes, as Amazon S3 has since 2024;
//! [`S3Store::open`] tries that out and refuses one which does not.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload, UpdateVersion,
};

use super::bridge::Bridge;
use super::{Batch, Cause, Create, File, Store, StoreError};
use crate::record::{Outline, RECORD_HEADER};

/// After this a request counts as unanswered. The client retries below it what may be retried.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// So many objects are written, read or removed at once.
const AT_ONCE: usize = 16;
/// Where the version of a file that changes is kept, so that an older one never replaces it.
const VERSION: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("countersign-version"));
/// Attempts to replace a file that somebody else replaces at the same time.
const REPLACE_ATTEMPTS: usize = 3;
const FLOOR: &str = "floor";
const PROBE: &str = "probe";
/// No batch was seen yet.
const NONE: u64 = u64::MAX;

/// Where a ledger lies in object storage.
///
/// Credentials come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, web identity
/// or instance metadata), never from here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Options {
    /// The bucket; it must exist.
    pub bucket: String,
    /// What every name begins with; one ledger has it for itself.
    pub prefix: String,
    /// The region; `us-east-1` where the server does not care.
    pub region: String,
    /// The server's URL, for other servers than Amazon's. With `http://` nothing is encrypted.
    pub endpoint: Option<String>,
}

impl S3Options {
    /// Amazon S3 in `us-east-1`.
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: prefix.into(),
            region: "us-east-1".to_owned(),
            endpoint: None,
        }
    }
}

/// One ledger in object storage.
pub struct S3Store {
    bridge: Bridge,
    objects: Objects,
    /// The newest batch seen, where the next look begins; [`NONE`] before the first.
    newest: AtomicU64,
}

impl S3Store {
    /// Checks that the bucket can be reached and that it refuses to create an object twice.
    pub fn open(options: &S3Options) -> Result<Self, StoreError> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&options.bucket)
            .with_region(&options.region);
        if let Some(endpoint) = &options.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        let client = builder
            .build()
            .map_err(|error| StoreError::Failed(error.into()))?;
        let store = Self {
            bridge: Bridge::new(REQUEST_LIMIT)?,
            objects: Objects {
                client: Arc::new(client),
                prefix: Path::from(options.prefix.as_str()),
            },
            newest: AtomicU64::new(NONE),
        };
        store.refuse_overwriting()?;
        Ok(store)
    }

    /// An object store that ignores `If-None-Match` would let two sequencers write one number.
    fn refuse_overwriting(&self) -> Result<(), StoreError> {
        let objects = self.objects.clone();
        self.ask(async move {
            for _ in 0..2 {
                match objects
                    .create(PROBE, PutPayload::from_static(b"created once\n"))
                    .await
                {
                    Err(Error::AlreadyExists { .. }) => return Ok(()),
                    Err(error) => return Err(error.into()),
                    Ok(()) => {}
                }
            }
            Err(StoreError::Failed(
                "this object store creates an object twice: it ignores If-None-Match".into(),
            ))
        })
    }

    /// The newest batch, looked for from the newest one seen: numbers are dense.
    fn newest(&self, floor: u64) -> Result<Option<u64>, StoreError> {
        let seen = Some(self.newest.load(Ordering::Acquire)).filter(|seen| *seen != NONE);
        let objects = self.objects.clone();
        let newest = self.ask(async move { objects.newest(seen, floor).await })?;
        if let Some(newest) = newest {
            self.saw(newest);
        }
        Ok(newest)
    }

    fn saw(&self, newest: u64) {
        let larger = |seen: u64| (seen == NONE || seen < newest).then_some(newest);
        let _ = self
            .newest
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, larger);
    }

    fn floor(&self) -> Result<u64, StoreError> {
        let objects = self.objects.clone();
        self.ask(async move { objects.floor().await })
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.bridge.wait(work)?
    }
}

impl Store for S3Store {
    fn create_batch(&self, batch: &Batch<'_>) -> Create {
        let (objects, name) = (self.objects.clone(), batch_name(batch.number));
        let payload = PutPayload::from(batch.bytes.to_vec());
        let created = self
            .bridge
            .wait(async move { objects.create(&name, payload).await });
        match created {
            Ok(Ok(())) => {
                self.saw(batch.number);
                Create::Created
            }
            // Also after a retry by the client whose first attempt was carried out: the ledger reads back whose it is.
            Ok(Err(Error::AlreadyExists { .. })) => Create::Exists,
            Ok(Err(error)) => Create::Unknown(error.into()),
            Err(unanswered) => Create::Unknown(unanswered.into()),
        }
    }

    fn batches(&self) -> Result<Range<u64>, StoreError> {
        let floor = self.floor()?;
        Ok(self
            .newest(floor)?
            .map_or(0..0, |newest| floor..newest.saturating_add(1)))
    }

    fn find_batch(&self, index: u64) -> Result<Option<u64>, StoreError> {
        let batches = self.batches()?;
        let objects = self.objects.clone();
        self.ask(async move { objects.find(batches, index).await })
    }

    fn read_batches(&self, first: u64, limit: usize) -> Result<Vec<u8>, StoreError> {
        let objects = self.objects.clone();
        self.ask(async move {
            let last = first.saturating_add(AT_ONCE as u64);
            let mut batches = stream::iter(first..last)
                .map(|number| {
                    let objects = objects.clone();
                    async move { objects.read(&batch_name(number)).await }
                })
                .buffered(AT_ONCE);
            let mut bytes = Vec::new();
            while let Some(batch) = batches.try_next().await? {
                let Some(batch) = batch else { break };
                if !bytes.is_empty() && bytes.len().saturating_add(batch.len()) > limit {
                    break;
                }
                bytes.extend(batch);
            }
            Ok(bytes)
        })
    }

    fn remove_batches(&self, below: u64) -> Result<(), StoreError> {
        let floor = self.floor()?;
        let Some(newest) = self.newest(floor)? else {
            return Ok(());
        };
        let below = below.min(newest);
        if below <= floor {
            return Ok(());
        }
        // First what counts, then the objects: whoever looks between the two finds no gap.
        self.replace_file(FLOOR, below, format!("{below}\n").as_bytes())?;
        let objects = self.objects.clone();
        self.ask(async move {
            stream::iter((floor..below).map(Ok))
                .try_for_each_concurrent(AT_ONCE, |number| objects.remove(batch_name(number)))
                .await
        })
    }

    fn create_files(&self, files: &[File]) -> Result<(), StoreError> {
        let files = files.to_vec();
        let objects = self.objects.clone();
        self.ask(async move {
            stream::iter(files.into_iter().map(Ok))
                .try_for_each_concurrent(AT_ONCE, |file| objects.create_file(file))
                .await
        })
    }

    fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (objects, path) = (self.objects.clone(), path.to_owned());
        self.ask(async move { objects.read(&path).await })
    }

    fn remove_files(&self, directory: &str) -> Result<(), StoreError> {
        let (objects, directory) = (self.objects.clone(), directory.to_owned());
        self.ask(async move { objects.remove_below(&directory).await })
    }

    fn replace_file(&self, path: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let (objects, path, bytes) = (self.objects.clone(), path.to_owned(), bytes.to_vec());
        self.ask(async move { objects.replace(&path, version, bytes).await })
    }
}

impl std::fmt::Debug for S3Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Store")
            .field("prefix", &self.objects.prefix)
            .finish_non_exhaustive()
    }
}

/// The objects of one ledger. Clones share the client.
#[derive(Clone)]
struct Objects {
    client: Arc<AmazonS3>,
    prefix: Path,
}

impl Objects {
    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), Path::join)
    }

    async fn create(&self, name: &str, payload: PutPayload) -> Result<(), Error> {
        let options = PutOptions::from(PutMode::Create);
        self.client
            .put_opts(&self.path(name), payload, options)
            .await
            .map(drop)
    }

    async fn create_file(&self, file: File) -> Result<(), StoreError> {
        match self
            .create(&file.path, PutPayload::from(file.bytes.clone()))
            .await
        {
            Ok(()) => Ok(()),
            Err(Error::AlreadyExists { .. }) if self.read(&file.path).await? == Some(file.bytes) => Ok(()),
            Err(Error::AlreadyExists { .. }) => Err(StoreError::Differs { path: file.path }),
            Err(error) => Err(error.into()),
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.client.get(&self.path(name)).await {
            Ok(object) => Ok(Some(object.bytes().await?.to_vec())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn has(&self, number: u64) -> Result<bool, StoreError> {
        match self.client.head(&self.path(&batch_name(number))).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn remove(&self, name: String) -> Result<(), StoreError> {
        match self.client.delete(&self.path(&name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Objects directly below a directory.
    async fn remove_below(&self, directory: &str) -> Result<(), StoreError> {
        let listed = self
            .client
            .list_with_delimiter(Some(&self.path(directory)))
            .await?;
        stream::iter(listed.objects.into_iter().map(Ok))
            .try_for_each_concurrent(AT_ONCE, |object| async move {
                match self.client.delete(&object.location).await {
                    Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(StoreError::from(error)),
                }
            })
            .await
    }

    async fn floor(&self) -> Result<u64, StoreError> {
        let Some(floor) = self.read(FLOOR).await? else {
            return Ok(0);
        };
        let floor = std::str::from_utf8(&floor)
            .ok()
            .and_then(|text| text.trim_end().parse().ok());
        floor.ok_or_else(|| StoreError::Failed("the object \"floor\" is not a number".into()))
    }

    /// From a batch known to be there, doubling steps to one that is not, then halving: dense numbers have one edge.
    async fn newest(&self, seen: Option<u64>, floor: u64) -> Result<Option<u64>, StoreError> {
        let start = seen.unwrap_or(floor);
        let (there, next) = futures_util::try_join!(self.has(start), self.has(start.saturating_add(1)))?;
        if !there {
            return match seen {
                None => Ok(None),
                Some(_) => Err(StoreError::Failed(
                    "a batch is gone: an older copy was restored".into(),
                )),
            };
        }
        if !next {
            return Ok(Some(start));
        }
        let (mut low, mut step) = (start.saturating_add(1), 2u64);
        while self.has(low.saturating_add(step)).await? {
            low = low.saturating_add(step);
            step = step.saturating_mul(2);
        }
        let mut high = low.saturating_add(step);
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            if self.has(middle).await? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Some(low))
    }

    /// The last batch whose first index is not above `index`.
    async fn find(&self, batches: Range<u64>, index: u64) -> Result<Option<u64>, StoreError> {
        let (mut low, mut high) = (batches.start, batches.end);
        let mut found = None;
        while low < high {
            let middle = low.midpoint(high);
            match self.first_index(middle).await? {
                Some(first) if first <= index => {
                    found = Some(middle);
                    low = middle.saturating_add(1);
                }
                _ => high = middle,
            }
        }
        Ok(found)
    }

    async fn first_index(&self, number: u64) -> Result<Option<u64>, StoreError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(0..RECORD_HEADER as u64)),
            ..GetOptions::default()
        };
        let header = match self
            .client
            .get_opts(&self.path(&batch_name(number)), options)
            .await
        {
            Ok(object) => object.bytes().await?,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Outline::read(&header)
            .map(|outline| Some(outline.first_index))
            .ok_or_else(|| StoreError::Failed(format!("{} is not a batch", batch_name(number)).into()))
    }

    /// Compare-and-swap on the version beside the content: what is newer is never replaced by what is older.
    async fn replace(&self, name: &str, version: u64, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(name);
        let payload = PutPayload::from(bytes);
        for _ in 0..REPLACE_ATTEMPTS {
            let head = GetOptions {
                head: true,
                ..GetOptions::default()
            };
            let mode = match self.client.get_opts(&path, head).await {
                Err(Error::NotFound { .. }) => PutMode::Create,
                Err(error) => return Err(error.into()),
                Ok(there) => {
                    let newer = there
                        .attributes
                        .get(&VERSION)
                        .and_then(|it| it.parse::<u64>().ok());
                    if newer.is_some_and(|newer| newer > version) {
                        let reason =
                            "a newer version of this file is there: somebody else writes this ledger";
                        return Err(StoreError::Failed(reason.into()));
                    }
                    PutMode::Update(UpdateVersion {
                        e_tag: there.meta.e_tag,
                        version: there.meta.version,
                    })
                }
            };
            let attributes = Attributes::from_iter([(VERSION, version.to_string())]);
            let options = PutOptions {
                mode,
                attributes,
                ..PutOptions::default()
            };
            match self.client.put_opts(&path, payload.clone(), options).await {
                Ok(_) => return Ok(()),
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable(
            "somebody else replaces this file at the same time".into(),
        ))
    }
}

fn batch_name(number: u64) -> String {
    format!("batch/{number:020}")
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthenticated { .. }
            | Error::PermissionDenied { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. } => Self::Failed(Cause::from(error)),
            error => Self::Unavailable(Cause::from(error)),
        }
    }
}
