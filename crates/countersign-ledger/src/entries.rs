//! Entries in order, from the batches and, where those were removed, from the published bundles.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use crate::bytes::narrow;
use crate::proof::{self, ProofError};
use crate::record::{Entries, Record};
use crate::sequencer::Head;
use crate::store::{Store, StoreError};
use crate::tile::{Row, TILE_WIDTH, TileName};
use crate::tree::{Hash, leaf_hash, root_of};

/// Batches are fetched in pieces of about this size.
const FETCH_BYTES: usize = 1 << 18;

/// All confirmed entries of a ledger, for any number of readers beside the one writer.
#[derive(Clone)]
pub(crate) struct EntryReader {
    store: Arc<dyn Store>,
    head: Arc<Head>,
    /// What bundles are checked against; nothing for whoever recomputes the root from them.
    signed: Option<Arc<SignedTree>>,
}

/// The size and root that were signed last.
#[derive(Debug)]
pub(crate) struct SignedTree(RwLock<(u64, Hash)>);

impl SignedTree {
    pub(crate) fn new(size: u64, root: Hash) -> Self {
        Self(RwLock::new((size, root)))
    }

    pub(crate) fn set(&self, size: u64, root: Hash) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (size, root);
    }

    fn get(&self) -> (u64, Hash) {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told of each entry with its index.
pub(crate) type Visit<'a> = dyn FnMut(u64, &[u8]) -> io::Result<()> + 'a;

impl EntryReader {
    /// Reads batches, each of which carries its hash, and bundles, each of which is checked against the signed tree.
    pub(crate) fn new(store: Arc<dyn Store>, head: Arc<Head>, signed: Arc<SignedTree>) -> Self {
        Self {
            store,
            head,
            signed: Some(signed),
        }
    }

    /// Reads bundles as they are: for whoever recomputes the root from them.
    pub(crate) fn unchecked(store: Arc<dyn Store>, head: Arc<Head>) -> Self {
        Self {
            store,
            head,
            signed: None,
        }
    }

    /// The same without checking bundles.
    pub(crate) fn to_unchecked(&self) -> Self {
        Self::unchecked(self.store.clone(), self.head.clone())
    }

    /// What bundles are checked against.
    pub(crate) fn signed(&self) -> Option<&SignedTree> {
        self.signed.as_deref()
    }

    /// Number of confirmed entries.
    pub(crate) fn head(&self) -> u64 {
        self.head.get()
    }

    /// Number of confirmed batches.
    pub(crate) fn batches(&self) -> u64 {
        self.head.batches()
    }

    /// Hands the entries `from..to` (cut to what is confirmed) to `visit`, in order.
    pub(crate) fn visit(&self, from: u64, to: u64, visit: &mut Visit<'_>) -> Result<(), ReadError> {
        let to = to.min(self.head());
        let mut next = from;
        while next < to {
            let reached = match self.store.find_batch(next)? {
                Some(number) => self.visit_batches(number, next, to, visit)?,
                None => self.visit_bundle(next, to, visit)?,
            };
            if reached <= next {
                return Err(ReadError::Damaged { index: next });
            }
            next = reached;
        }
        Ok(())
    }

    /// Visits from batch `number` on; returns the index after the last entry visited.
    fn visit_batches(
        &self,
        mut number: u64,
        from: u64,
        to: u64,
        visit: &mut Visit<'_>,
    ) -> Result<u64, ReadError> {
        let mut next = from;
        while next < to {
            let bytes = self.store.read_batches(number, FETCH_BYTES)?;
            let mut rest = bytes.as_slice();
            while next < to && !rest.is_empty() {
                let record = Record::decode(rest).map_err(|_| ReadError::Damaged { index: next })?;
                if record.number != number || record.first_index > next {
                    return Err(ReadError::Damaged { index: next });
                }
                next = visit_entries(record.first_index, record.entries(), next, to, visit)?;
                rest = rest.get(record.length..).unwrap_or_default();
                number = number.saturating_add(1);
            }
            if bytes.is_empty() {
                break;
            }
        }
        // Removed between finding and reading: its bundle is there.
        if next == from {
            return self.visit_bundle(from, to, visit);
        }
        Ok(next)
    }

    fn visit_bundle(&self, from: u64, to: u64, visit: &mut Visit<'_>) -> Result<u64, ReadError> {
        let number = from.checked_div(u64::from(TILE_WIDTH)).unwrap_or(0);
        let name = TileName::full(Row::Entries, number);
        let bytes = self
            .store
            .read_file(&name.to_string())?
            .ok_or(ReadError::Damaged { index: from })?;
        let first = number.saturating_mul(u64::from(TILE_WIDTH));
        if let Some(signed) = &self.signed {
            let (size, root) = signed.get();
            if !is_in_tree(&*self.store, &bytes, first, size, &root)? {
                return Err(ReadError::Damaged { index: from });
            }
        }
        visit_entries(first, Entries::new(&bytes), from, to, visit)
    }
}

/// Whether a full bundle holds the entries from `first` on of the tree of that size and root.
///
/// The path of the first of them to the root names, on its way through the lowest tile, hashes over all the others.
fn is_in_tree(
    store: &dyn Store,
    bundle: &[u8],
    first: u64,
    size: u64,
    root: &Hash,
) -> Result<bool, ReadError> {
    let leaves: Vec<Hash> = Entries::new(bundle).map(leaf_hash).collect();
    if leaves.len() != usize::from(TILE_WIDTH) || first.saturating_add(u64::from(TILE_WIDTH)) > size {
        return Ok(false);
    }
    let path = match proof::inclusion(&StoredTiles(store), size, first) {
        Ok(path) => path,
        Err(ProofError::Io(error)) => return Err(error.into()),
        Err(_) => return Ok(false),
    };
    let Some(leaf) = leaves.first() else {
        return Ok(false);
    };
    let within = path.iter().zip([1usize, 2, 4, 8, 16, 32, 64, 128]);
    let same = within
        .filter(|(hash, width)| {
            let others = leaves.get(*width..width.saturating_mul(2)).unwrap_or_default();
            root_of(others) == **hash
        })
        .count();
    Ok(same == 8 && proof::verify_inclusion(first, size, leaf, &path, root).is_ok())
}

/// The published tiles in a store.
pub(crate) struct StoredTiles<'a>(pub(crate) &'a dyn Store);

impl proof::Tiles for StoredTiles<'_> {
    fn tile(&self, name: TileName) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.read_file(&name.to_string())?)
    }
}

/// Visits those of `entries`, the first of which has index `first`, that lie in `from..to`.
fn visit_entries(
    first: u64,
    entries: Entries<'_>,
    from: u64,
    to: u64,
    visit: &mut Visit<'_>,
) -> Result<u64, ReadError> {
    let mut next = from;
    let skipped = narrow(from.saturating_sub(first));
    for entry in entries.skip(skipped) {
        if next >= to {
            break;
        }
        visit(next, entry)?;
        next = next.saturating_add(1);
    }
    Ok(next)
}

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store refused.
    #[error("reading entries failed: {0}")]
    Io(#[from] io::Error),
    /// What was durable no longer reads as it was written.
    #[error("the ledger no longer reads as it was written at entry {index}")]
    Damaged {
        /// The first entry that could not be read.
        index: u64,
    },
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Io(error.into())
    }
}

impl ReadError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "ledger_read_failed",
            Self::Damaged { .. } => "ledger_corrupt",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io(_) => None,
            Self::Damaged { .. } => Some("stop, keep the directory as evidence, and check the disk"),
        }
    }
}
