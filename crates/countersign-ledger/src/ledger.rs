//! The ledger: one writer thread that makes batches durable, one publisher thread that derives tiles from them.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::disk::{Disk, LocalDisk};
use crate::draft::{Draft, KeyName};
use crate::entries::{EntryReader, ReadError};
use crate::entry::Entry;
use crate::keeper::Keeper;
use crate::local::LocalStore;
use crate::note::NoteSigner;
use crate::open::{OpenError, Opened, Options, open, open_local};
use crate::place::{Order, Placer};
use crate::publish::{Publisher, Served};
use crate::queue::{AppendError, Queue, Waiting};
use crate::registry::{self, KeyStanding, Registry};
use crate::sequencer::{SequenceError, Sequencer};
use crate::store::Store;
use crate::tile::TileName;
use crate::time::{SystemClocks, Time};

/// A new ledger's directory is entered by its owner alone.
const DIRECTORY_MODE: u32 = 0o700;
/// Published files are stored by so many threads: on ext4 that is ten times as fast as by one, and more gain nothing.
const FILE_THREADS: usize = 8;
/// The keeper looks this often at most.
const KEEP_INTERVAL: Duration = Duration::from_millis(20);
/// No batch is larger, in bytes of entries: what one write should carry.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// The latest checkpoint with cosignatures of witnesses, as they gave them: whoever reads it checks them.
const WITNESSED: &str = "checkpoint.witnessed";
/// A store that was full or did not answer is tried again this often.
const STORE_RETRY: Duration = Duration::from_secs(1);

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
struct Shared {
    queue: Queue,
    entries: EntryReader,
    /// What the durable entries say of keys.
    registry: RwLock<Arc<Registry>>,
    head: watch::Receiver<u64>,
    served: Served,
    witnessed: RwLock<Option<Arc<[u8]>>>,
    store: Arc<dyn Store>,
    origin: String,
    verifier_key: String,
    #[cfg(feature = "http")]
    signer: Arc<NoteSigner>,
    freshness_key: Option<String>,
    /// Of durable entries, for the publisher.
    news: News,
    /// Of published ones, for the keeper.
    published: News,
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

    /// Number of durable entries. Linearizable with [`append`](Self::append): once an append has resolved, every later
    /// call includes it.
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

/// The writer thread.
struct Writing {
    shared: Arc<Shared>,
    head: watch::Sender<u64>,
    entries_max: usize,
}

impl Writing {
    /// Serves the queue until it is closed or the disk fails. Dropping `head` tells followers that it is over.
    fn run(self, mut sequencer: Sequencer, mut placer: Placer) {
        // Whatever ends this thread, nobody may wait for it for ever.
        let _stop = StopOnDrop(&self.shared);
        while let Some(waiting) = self.shared.queue.take() {
            let mut waiting = waiting.into_iter().peekable();
            while waiting.peek().is_some() {
                let batch = next_batch(&mut waiting, self.entries_max);
                if let Err(error) = self.write(&mut sequencer, &mut placer, batch) {
                    tracing::error!(%error, "the ledger stops: a batch could not be made durable");
                    self.shared.queue.stop();
                    for turned_away in waiting {
                        let _ = turned_away.reply.send(Err(AppendError::Stopped));
                    }
                    return;
                }
            }
        }
    }

    /// Puts one batch in order and makes it durable, then tells everybody. An error is final and already told.
    fn write(
        &self,
        sequencer: &mut Sequencer,
        placer: &mut Placer,
        batch: Vec<Waiting>,
    ) -> Result<(), SequenceError> {
        let batch = placer.place(batch, self.shared.entries.head());
        if batch.entries.is_empty() {
            return Ok(());
        }
        let answer = match sequencer.append(batch.entries.iter().map(Vec::as_slice)) {
            Ok(_) => Ok(()),
            Err(SequenceError::StorageFull) => {
                tracing::error!("entries are refused: no space for the next batch");
                placer.undo(&batch);
                Err(AppendError::StorageFull)
            }
            Err(error) => {
                self.shared.queue.stop();
                batch.tell(Err(AppendError::Stopped));
                return Err(error);
            }
        };
        if answer.is_ok() {
            // Before the callers are told: who has announced a key may sign with it.
            let mut registry = self
                .shared
                .registry
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *registry = placer.registry();
            drop(registry);
            let head = self.shared.entries.head();
            self.head.send_replace(head);
            self.shared.news.tell(head);
        }
        batch.tell(answer);
        Ok(())
    }
}

/// A ledger whose writer or publisher panicked is stopped.
struct StopOnDrop<'a>(&'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        // After an orderly close the door stays closed, so that later callers hear the right reason.
        if thread::panicking() {
            self.0.queue.stop();
        }
    }
}

fn next_batch(
    waiting: &mut std::iter::Peekable<std::vec::IntoIter<Waiting>>,
    entries_max: usize,
) -> Vec<Waiting> {
    let mut batch = Vec::with_capacity(waiting.len().min(entries_max));
    let mut bytes = 0usize;
    while let Some(next) = waiting.next_if(|next| {
        batch.is_empty()
            || batch.len() < entries_max && bytes.saturating_add(next.order.length()) <= BATCH_BYTES_MAX
    }) {
        bytes = bytes.saturating_add(next.order.length()).saturating_add(2);
        batch.push(next);
    }
    batch
}

/// How the publisher hears of new entries.
#[derive(Default)]
struct News {
    state: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl News {
    fn tell(&self, head: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = head;
        self.changed.notify_one();
    }

    fn head(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.changed.notify_one();
    }

    /// Waits until the head passes `published`, the ledger closes or `due` comes; then, unless it closes, until
    /// `not_before`. Returns whether it closes.
    fn wait(&self, published: u64, due: Option<Instant>, not_before: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut (u64, bool)| state.0 <= published && !state.1;
        let state = match due {
            None => self
                .changed
                .wait_while(state, idle)
                .unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                let pause = due.saturating_duration_since(Instant::now());
                self.changed
                    .wait_timeout_while(state, pause, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        let pause = not_before.saturating_duration_since(Instant::now());
        let (state, _) = self
            .changed
            .wait_timeout_while(state, pause, |state| !state.1)
            .unwrap_or_else(PoisonError::into_inner);
        state.1
    }
}

/// The publisher thread.
struct Publishing {
    shared: Arc<Shared>,
    interval: Duration,
}

impl Publishing {
    fn run(self, mut publisher: Publisher) {
        let _stop = StopOnDrop(&self.shared);
        // Entries that an earlier process made durable and did not publish are news too.
        self.shared.news.tell(self.shared.entries.head());
        let mut not_before = Instant::now();
        let mut closing = false;
        loop {
            let started = Instant::now();
            let pause = match publisher.publish() {
                Ok(()) => self.interval,
                Err(error) if error.is_temporary() => {
                    tracing::warn!(%error, "tiles and checkpoint wait");
                    STORE_RETRY
                }
                Err(error) => {
                    tracing::error!(%error, "the ledger stops: it could not be published");
                    self.shared.queue.stop();
                    return;
                }
            };
            self.shared.published.tell(publisher.published());
            if closing {
                return;
            }
            not_before = not_before.max(started.checked_add(pause).unwrap_or(started));
            let due = publisher.signer().due(not_before);
            closing = self.shared.news.wait(publisher.published(), due, not_before);
        }
    }
}

/// The keeper thread.
struct Keeping {
    shared: Arc<Shared>,
    keeper: Keeper,
}

impl Keeping {
    fn run(mut self) {
        let _stop = StopOnDrop(&self.shared);
        let mut published = 0;
        let mut not_before = Instant::now();
        loop {
            let pause = match self.keeper.keep(published) {
                Ok(()) => KEEP_INTERVAL,
                Err(error) if error.is_temporary() => STORE_RETRY,
                Err(error) => {
                    tracing::error!(%error, "the ledger stops: its store could not be maintained");
                    self.shared.queue.stop();
                    return;
                }
            };
            let now = Instant::now();
            not_before = not_before.max(now.checked_add(pause).unwrap_or(now));
            if self.shared.published.wait(published, None, not_before) {
                return;
            }
            published = self.shared.published.head();
        }
    }
}
