//! One bundle and its level-0 tile: fetched, split, hashed and compared. Needs nothing but the source, so any number of
//! bundles can be worked on at once.

use super::tree::{self, Hash};
use super::{AuditError, Source, WIDTH, check_tile, fetch};

/// A bundle of entries that are all there.
pub(super) struct Bundle {
    pub(super) path: String,
    /// Index of its first entry.
    pub(super) first: u64,
    bytes: Vec<u8>,
    pub(super) hashes: Vec<Hash>,
    /// Said after what the entries themselves have to say: that is closer to the cause.
    pub(super) tile: Result<(), AuditError>,
    /// Root of a full bundle.
    pub(super) root: Option<Hash>,
}

impl Bundle {
    /// Reads bundle `number` of a tree of `size` entries.
    pub(super) fn read(source: &dyn Source, size: u64, number: u64) -> Result<Self, AuditError> {
        let first = number.saturating_mul(WIDTH);
        let width = size.saturating_sub(first).min(WIDTH);
        let (path, bytes, whole) =
            fetch(source, "entries", number, width)?.map_err(|path| AuditError::BundleMissing { path })?;
        let mut hashes = Vec::with_capacity(256);
        let mut rest = bytes.as_slice();
        let mut index = first;
        for _ in 0..width {
            let Some(entry) = super::take_entry(&mut rest) else {
                return Err(AuditError::BundleTruncated { path, index });
            };
            hashes.push(tree::leaf(entry));
            index = index.saturating_add(1);
        }
        if !whole && !rest.is_empty() {
            return Err(AuditError::BundleTrailing { path, index });
        }
        let tile = check_tile(source, 0, number, &hashes);
        let root = (width == WIDTH).then(|| tree::hash_list(&hashes));
        Ok(Self {
            path,
            first,
            bytes,
            hashes,
            tile,
            root,
        })
    }

    /// The entries with their indices.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut rest = self.bytes.as_slice();
        let entries = std::iter::from_fn(move || super::take_entry(&mut rest));
        (self.first..).zip(entries).take(self.hashes.len())
    }
}

/// Hands `work` the bundles from `first` on, in order, read by so many threads at once. Each holds one bundle ready and
/// works on the next: no more than three a thread are in memory.
pub(super) fn in_parallel(
    source: &(dyn Source + Sync),
    (first, size): (u64, u64),
    threads: usize,
    mut work: impl FnMut(Bundle) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let end = size.div_ceil(WIDTH);
    let step = u64::try_from(threads.max(1)).unwrap_or(1);
    std::thread::scope(|scope| {
        let mut results = Vec::new();
        for start in (first..end).take(threads.max(1)) {
            let (sender, receiver) = std::sync::mpsc::sync_channel(1);
            results.push(receiver);
            scope.spawn(move || {
                let mut number = start;
                while number < end {
                    let bundle = Bundle::read(source, size, number);
                    let failed = bundle.is_err();
                    // Nobody listens any more once something was found.
                    if sender.send(bundle).is_err() || failed {
                        return;
                    }
                    number = number.saturating_add(step);
                }
            });
        }
        for (_, results) in (first..end).zip(results.iter().cycle()) {
            let ended = |_| AuditError::Source(super::SourceError::Other("a reading thread ended".into()));
            work(results.recv().map_err(ended)??)?;
        }
        Ok(())
    })
}
