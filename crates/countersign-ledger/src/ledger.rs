//! The ledger: one writer thread that makes batches durable, one publisher thread that derives tiles from them.

mod barrier;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

pub use self::barrier::BarrierError;
use crate::background::{Keeping, News, Publishing};
use crate::disk::{Disk, LocalDisk};
use crate::draft::{Draft, KeyName};
use crate::entries::{EntryReader, ReadError};
use crate::entry::Entry;
use crate::keeper::Keeper;
use crate::local::LocalStore;
use crate::note::NoteSigner;
use crate::open::{OpenError, Opened, Options, open, open_local};
use crate::place::{Order, Placer};
use crate::publish::Served;
use crate::queue::{AppendError, Queue};
use crate::registry::{self, KeyStanding, Registry};
use crate::store::Store;
use crate::tile::TileName;
use crate::time::{SystemClocks, Time};
use crate::writer::Writing;

/// A new ledger's directory is entered by its owner alone.
const DIRECTORY_MODE: u32 = 0o700;
/// Published files are stored by so many threads: on ext4 that is ten times as fast as by one, and more gain nothing.
const FILE_THREADS: usize = 8;
/// The latest checkpoint with cosignatures of witnesses, as they gave them: whoever reads it checks them.
const WITNESSED: &str = "checkpoint.witnessed";

/// An open ledger. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

/// What the threads and the callers share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) entries: EntryReader,
    /// What the durable entries say of keys.
    pub(crate) registry: RwLock<Arc<Registry>>,
    pub(crate) head: watch::Receiver<u64>,
    pub(crate) served: Served,
    pub(crate) witnessed: RwLock<Option<Arc<[u8]>>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) origin: String,
    pub(crate) verifier_key: String,
    #[cfg(feature = "http")]
    pub(crate) signer: Arc<NoteSigner>,
    pub(crate) freshness_key: Option<String>,
    /// Of durable entries, for the publisher.
    pub(crate) news: News,
    /// Of published ones, for the keeper.
    pub(crate) published: News,
}

/// Exists until [`Ledger::close`].
struct Running {
    writer: JoinHandle<()>,
    publisher: JoinHandle<()>,
    keeper: JoinHandle<()>,
    /// The directory whose lock is held, for a ledger on local disk.
    local: Option<Arc<LocalStore>>,
}

impl Ledger {
    /// Opens the ledger in `options.directory`, or creates it there.
    ///
    /// Takes the directory's lock, replays the journal, and compares it with the last signed checkpoint. `signer` must
    /// be named after the origin.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "options describe one ledger and are used up by opening it"
    )]
    pub fn open(options: Options, signer: NoteSigner) -> Result<Self, OpenError> {
        create_root(&options.directory)?;
        let disk = Arc::new(LocalDisk::new(options.directory.clone()));
        Self::open_on(disk, &options, signer)
    }

    /// Opens the ledger in a store of another kind, or creates it there. `options.directory` means nothing then.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "options describe one ledger and are used up by opening it"
    )]
    pub fn open_in(store: Arc<dyn Store>, options: Options, signer: NoteSigner) -> Result<Self, OpenError> {
        Self::start(store, None, &options, signer)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        options: &Options,
        signer: NoteSigner,
    ) -> Result<Self, OpenError> {
        let local = Arc::new(open_local(disk, options, &signer, FILE_THREADS)?);
        Self::start(local.clone(), Some(local), options, signer)
    }

    fn start(
        store: Arc<dyn Store>,
        local: Option<Arc<LocalStore>>,
        options: &Options,
        signer: NoteSigner,
    ) -> Result<Self, OpenError> {
        let time: Arc<dyn Time> = Arc::new(SystemClocks::new());
        let Opened {
            entries,
            registry,
            sequencer,
            publisher,
            served,
        } = open(store.clone(), options, signer, time.clone())?;
        let (head_sender, head) = watch::channel(entries.head());
        let shared = Arc::new(Shared {
            queue: Queue::new(options.queue_max),
            entries,
            registry: RwLock::new(Arc::new(registry)),
            head,
            served,
            witnessed: RwLock::new(store.read_file(WITNESSED)?.map(Arc::from)),
            store: store.clone(),
            origin: options.origin.clone(),
            verifier_key: publisher.signer().note_signer().verifier_key(),
            #[cfg(feature = "http")]
            signer: publisher.signer().note_signer().clone(),
            freshness_key: options
                .freshness
                .as_ref()
                .map(|freshness| freshness.cosigner.verifier().to_string()),
            news: News::default(),
            published: News::default(),
        });
        let writing = Writing {
            shared: shared.clone(),
            head: head_sender,
            entries_max: options.batch_entries_max,
        };
        let publishing = Publishing {
            shared: shared.clone(),
            interval: options.publish_interval,
        };
        let keeping = Keeping {
            shared: shared.clone(),
            keeper: Keeper::new(store, time, options.retention),
        };
        let placer = Placer::new(shared.registry());
        let writer = spawn("ledger-writer", move || writing.run(sequencer, placer))?;
        let publisher = spawn("ledger-publisher", move || publishing.run(publisher))?;
        let keeper = spawn("ledger-keeper", move || keeping.run())?;
        let running = Mutex::new(Some(Running {
            writer,
            publisher,
            keeper,
            local,
        }));
        Ok(Self {
            inner: Arc::new(Inner { shared, running }),
        })
    }

    /// Records a draft. Resolves with its index once it is durable.
    ///
    /// An issuance is refused when its key was never announced, is not active, or changed since the caller read its
    /// epoch; that is decided when the entry gets its place, so no issuance of an old epoch ever follows a transition.
    ///
    /// A caller that stops waiting does not undo the entry. After [`AppendError::Stopped`] the entry may or may not be
    /// in the ledger; what it records must not be released.
    pub async fn append(&self, draft: impl Into<Draft>) -> Result<u64, AppendError> {
        match draft.into() {
            Draft::Issuance(draft) => {
                let tickets = self.inner.shared.registry().tickets(&draft)?;
                let (key, _) = tickets.signer;
                let entry = Entry::Issuance(registry::issuance(&draft, key)).encode()?;
                self.order(Order::Issuance { entry, tickets }).await
            }
            draft => self.append_together(vec![draft]).await,
        }
    }

    /// Records drafts in their order and in one batch: all of them or, on any refusal or crash, none. Resolves with
    /// the index of the first.
    pub async fn append_together(&self, drafts: Vec<Draft>) -> Result<u64, AppendError> {
        self.order(Order::Together(drafts)).await
    }

    async fn order(&self, order: Order) -> Result<u64, AppendError> {
        let reply = self.inner.shared.queue.push(order)?;
        reply.await.unwrap_or(Err(AppendError::Stopped))
    }

    /// What the ledger says of a key, its epoch included; none if it was never announced. Linearizable with
    /// [`append`](Self::append): read it, sign, and append with its epoch.
    pub fn key(&self, name: &KeyName) -> Option<KeyStanding> {
        let registry = self.inner.shared.registry();
        registry.standing(registry.reference(name).ok()?)
    }

    /// What the ledger says of the key whose announcement has this index.
    pub fn key_at(&self, index: u64) -> Option<KeyStanding> {
        self.inner.shared.registry().standing(index)
    }

    /// Every key that was ever announced, in that order.
    pub fn keys(&self) -> Vec<KeyStanding> {
        self.inner.shared.registry().standings()
    }

    /// Number of durable entries that this process knows of. Linearizable with its own [`append`](Self::append)s: once one
    /// has resolved, every later call includes it. For those of other processes there is [`barrier`](Self::barrier).
    pub fn head(&self) -> u64 {
        self.inner.shared.entries.head()
    }

    /// Follows [`head`](Self::head). The channel closes when the ledger stops or is closed.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.inner.shared.head.clone()
    }

    /// Whether entries can still be recorded: neither stopped by a disk error nor closed.
    pub fn is_running(&self) -> bool {
        self.inner.shared.queue.is_open()
    }

    /// Up to `max` durable entries from index `from` on; fewer at the end. Blocks on the disk.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::with_capacity(max.min(1024));
        let mut unreadable = None;
        let to = from.saturating_add(crate::bytes::wide(max));
        self.inner.shared.entries.visit(from, to, &mut |index, bytes| {
            match Entry::decode(bytes) {
                Ok(entry) => entries.push(entry),
                Err(_) => unreadable = unreadable.or(Some(index)),
            }
            Ok(())
        })?;
        unreadable.map_or(Ok(entries), |index| Err(ReadError::Damaged { index }))
    }

    /// Up to `max` durable entries from index `from` on, as a tlog-tiles bundle holds them, and the index after the
    /// last. Blocks on the disk.
    #[cfg(feature = "http")]
    pub(crate) fn bundle(&self, from: u64, max: u64) -> Result<(u64, Vec<u8>), ReadError> {
        let mut bundle = Vec::new();
        let mut end = from;
        let to = from.saturating_add(max);
        self.inner.shared.entries.visit(from, to, &mut |index, entry| {
            crate::record::push_entry(&mut bundle, entry);
            end = index.saturating_add(1);
            Ok(())
        })?;
        Ok((end, bundle))
    }

    /// The key that signs for this ledger. For heads of durable entries only.
    #[cfg(feature = "http")]
    pub(crate) fn signer(&self) -> &NoteSigner {
        &self.inner.shared.signer
    }

    /// The latest signed checkpoint, a signed note. Its tree is completely published.
    pub fn checkpoint(&self) -> Arc<[u8]> {
        self.inner
            .shared
            .served
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The ledger's public key as a vkey.
    pub fn verifier_key(&self) -> &str {
        &self.inner.shared.verifier_key
    }

    /// The latest checkpoint that witnesses have cosigned, if there is one. Older than [`checkpoint`](Self::checkpoint)
    /// by some seconds, and of the same ledger.
    pub fn witnessed(&self) -> Option<Arc<[u8]>> {
        let witnessed = self.inner.shared.witnessed.read();
        witnessed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores and serves a cosigned checkpoint. Blocks on the disk.
    pub(crate) fn keep_witnessed(&self, note: &[u8]) -> io::Result<()> {
        let size = note.split(|byte| *byte == b'\n').nth(1);
        let size = size.and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
        let store = &self.inner.shared.store;
        store.replace_file(WITNESSED, size.unwrap_or(0), note)?;
        let mut witnessed = self
            .inner
            .shared
            .witnessed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *witnessed = Some(note.into());
        Ok(())
    }

    /// The vkey of the ledger's freshness lines, if it adds them.
    pub fn freshness_key(&self) -> Option<&str> {
        self.inner.shared.freshness_key.as_deref()
    }

    /// The ledger's name.
    pub fn origin(&self) -> &str {
        &self.inner.shared.origin
    }

    /// A published tile or bundle; `None` when there is none of that name. Blocks on the disk.
    pub fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
        Ok(self.inner.shared.store.read_file(&name.to_string())?)
    }

    /// Records what waits, publishes the final checkpoint and releases the lock. Blocks until that is done. Later
    /// appends are refused with `ledger_closed`; reading goes on.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("origin", &self.origin())
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn registry(&self) -> Arc<Registry> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        registry.clone()
    }
}

impl Inner {
    fn close(&self) {
        // Held until the end: a second caller returns only when the ledger is closed.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Running {
            writer,
            publisher,
            keeper,
            local,
        }) = running.take()
        else {
            return;
        };
        self.shared.queue.close();
        if writer.join().is_err() {
            tracing::error!("the ledger's writer thread panicked");
        }
        self.shared.news.close();
        if publisher.join().is_err() {
            tracing::error!("the ledger's publisher thread panicked");
        }
        self.shared.published.close();
        if keeper.join().is_err() {
            tracing::error!("the ledger's keeper thread panicked");
        }
        if let Some(local) = local {
            local.unlock();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// The directory itself, durable before anything is put into it.
fn create_root(directory: &std::path::Path) -> Result<(), OpenError> {
    if directory.is_dir() {
        return Ok(());
    }
    if directory.exists() {
        return Err(OpenError::NotADirectory);
    }
    // Nothing in it is secret, but whoever can open the lock can hold it. A server that publishes the files directly is
    // let in by the operator.
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)?;
    for ancestor in directory.ancestors().skip(1) {
        let ancestor = if ancestor.as_os_str().is_empty() {
            std::path::Path::new(".")
        } else {
            ancestor
        };
        // Best effort above the ledger: directories that we may not even read were not made by us.
        let _ = std::fs::File::open(ancestor).and_then(|file| file.sync_all());
    }
    Ok(())
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(OpenError::Io)
}
