//! Follows any tlog-tiles log from outside and hands out what it records, as monitors of certificate transparency do.
//!
//! Nothing is handed out before it is verified: the checkpoint against a policy, its tree against the one remembered,
//! and each bundle of entries against the signed root. What an entry means is the caller's affair, so logs of others
//! can be followed as well.
//!
//! ```no_run
//! use countersign_ledger::audit::DirectorySource;
//! use countersign_ledger::monitor::Monitor;
//! use countersign_ledger::policy::Policy;
//!
//! let policy = Policy::parse(b"log ...\nquorum none\n")?;
//! let source = DirectorySource::new("countersign-data/ledger");
//! let mut monitor = Monitor::new(policy);
//! monitor.look(&source)?;
//! while monitor.step(&source, &mut |index, entry| println!("{index}: {} bytes", entry.len()))? {}
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod state;
mod tiles;

use std::io;

pub use state::StateFile;
pub use tiles::SourceTiles;

use crate::audit::{Source, SourceError};
use crate::bytes::wide;
use crate::policy::{Distrust, Policy};
use crate::proof::{ProofError, Tiles as _, bundle_path, verify_bundle};
use crate::tile::{Row, TILE_WIDTH, TileName};
use crate::tree::leaf_hash;
use crate::view::{Seen, View, ViewError};
use tiles::Cache;

/// Entries in a full bundle.
const BUNDLE: u64 = 256;

/// A monitor of one log.
#[derive(Debug)]
pub struct Monitor {
    view: View,
    /// Index of the first entry that was not handed out yet.
    next: u64,
    cache: Cache,
}

impl Monitor {
    /// A monitor that begins at the log's first entry.
    pub fn new(policy: Policy) -> Self {
        Self {
            view: View::new(policy),
            next: 0,
            cache: Cache::default(),
        }
    }

    /// A monitor that goes on from a [`state`](Self::state). The checkpoint in it must still be believed.
    pub fn resume(policy: Policy, state: &[u8]) -> Result<Self, MonitorError> {
        let (next, note) = state::decode(state).ok_or(MonitorError::StateMalformed)?;
        let view = View::remembering(policy, note)?;
        let size = view.seen().map_or(0, |seen| seen.checkpoint().size);
        if next > size {
            return Err(MonitorError::StateMalformed);
        }
        Ok(Self {
            view,
            next,
            cache: Cache::default(),
        })
    }

    /// What to remember: the last believed checkpoint and the next index. `None` before the first look.
    #[must_use]
    pub fn state(&self) -> Option<Vec<u8>> {
        let seen = self.view.seen()?;
        Some(state::encode(self.next, &seen.note))
    }

    /// Index of the first entry that was not handed out yet.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The last believed checkpoint.
    pub fn seen(&self) -> Option<&Seen> {
        self.view.seen()
    }

    /// Leaves out what is below `index`: it is followed from there on, though every tree is still checked as a whole.
    pub fn skip_to(&mut self, index: u64) {
        self.next = self.next.max(index);
    }

    /// Fetches the checkpoint and proves that it continues the one remembered. On an error nothing changes.
    pub fn look(&mut self, source: &dyn Source) -> Result<&Seen, MonitorError> {
        let note = source.read("checkpoint")?.ok_or_else(|| MonitorError::Missing {
            path: "checkpoint".to_owned(),
        })?;
        self.look_at(&note, source)
    }

    /// [`look`](Self::look) at a checkpoint that came another way, such as from a witness.
    pub fn look_at(&mut self, note: &[u8], source: &dyn Source) -> Result<&Seen, MonitorError> {
        let seen = self.view.advance(note, &SourceTiles::new(source))?;
        self.cache.tree(seen.checkpoint().size);
        Ok(seen)
    }

    /// Fetches and verifies the next bundle and hands out its new entries in order. Returns whether there was one.
    pub fn step(
        &mut self,
        source: &dyn Source,
        report: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<bool, MonitorError> {
        let size = self.view.seen().map_or(0, |seen| seen.checkpoint().size);
        if self.next >= size {
            return Ok(false);
        }
        let bundle = self.next.div_euclid(BUNDLE);
        let first = bundle.saturating_mul(BUNDLE);
        let entries = self.bundle(source, bundle)?;
        for (index, entry) in (first..).zip(&entries) {
            if index >= self.next {
                report(index, entry);
            }
        }
        self.next = first.saturating_add(wide(entries.len()));
        Ok(true)
    }

    /// One entry of the tree that was seen last, fetched and verified, wherever the monitor stands: what an entry refers
    /// to lies before it. `None` outside of the tree.
    pub fn entry(&mut self, source: &dyn Source, index: u64) -> Result<Option<Vec<u8>>, MonitorError> {
        let size = self.view.seen().map_or(0, |seen| seen.checkpoint().size);
        if index >= size {
            return Ok(None);
        }
        let entries = self.bundle(source, index.div_euclid(BUNDLE))?;
        let place = index.rem_euclid(BUNDLE);
        Ok(entries.into_iter().nth(crate::bytes::narrow(place)))
    }

    /// The entries of a bundle, verified against the tree that was seen last.
    fn bundle(&mut self, source: &dyn Source, bundle: u64) -> Result<Vec<Vec<u8>>, MonitorError> {
        let Some(seen) = self.view.seen() else {
            return Ok(Vec::new());
        };
        let (size, root) = (seen.checkpoint().size, seen.checkpoint().root);
        let first = bundle.saturating_mul(BUNDLE);
        let count = u16::try_from(size.saturating_sub(first))
            .unwrap_or(TILE_WIDTH)
            .min(TILE_WIDTH);
        let entries = read_bundle(source, bundle, count)?;
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let tiles = self.cache.over(source);
        let path = bundle_path(&tiles, size, bundle)?;
        if verify_bundle(bundle, size, &leaves, &path, &root).is_err() {
            return Err(MonitorError::BundleUnproven {
                path: bundle_name(bundle, count).to_string(),
                size,
            });
        }
        Ok(entries)
    }
}

fn bundle_name(bundle: u64, width: u16) -> TileName {
    TileName {
        row: Row::Entries,
        index: bundle,
        width,
    }
}

/// The first `count` entries of a bundle; the full bundle may stand in for a partial one.
fn read_bundle(source: &dyn Source, bundle: u64, count: u16) -> Result<Vec<Vec<u8>>, MonitorError> {
    let tiles = SourceTiles::new(source);
    let name = bundle_name(bundle, count);
    let mut whole = name;
    let mut bytes = tiles.tile(name)?;
    if bytes.is_none() && !name.is_full() {
        whole = TileName::full(Row::Entries, bundle);
        bytes = tiles.tile(whole)?;
    }
    let bytes = bytes.ok_or_else(|| MonitorError::Missing {
        path: name.to_string(),
    })?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let entry = crate::bytes::take_u16(&mut rest)
            .and_then(|length| crate::bytes::take_slice(&mut rest, usize::from(length)));
        let entry = entry.ok_or_else(|| MonitorError::BundleMalformed {
            path: whole.to_string(),
        })?;
        entries.push(entry.to_vec());
    }
    if whole == name && !rest.is_empty() {
        return Err(MonitorError::BundleMalformed {
            path: whole.to_string(),
        });
    }
    Ok(entries)
}

/// Why a monitor did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The checkpoint is not believed, or does not continue the one before.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The log could not be read: nothing is known.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file that the signed tree needs is not there.
    #[error("the log has no {path}")]
    Missing {
        /// The file.
        path: String,
    },
    /// A bundle is not made of entries behind their lengths.
    #[error("{path}: not the entries that it should hold")]
    BundleMalformed {
        /// The file.
        path: String,
    },
    /// Entries and tiles do not lead to the signed root.
    #[error("{path}: its entries are not proved to be in the signed tree of {size} entries")]
    BundleUnproven {
        /// The file.
        path: String,
        /// Size of the signed tree.
        size: u64,
    },
    /// The proof of a bundle could not be built from the tiles.
    #[error("the log's tiles do not prove its entries: {0}")]
    Unproven(#[source] ProofError),
    /// The remembered state is no state.
    #[error("the state is not that of a monitor")]
    StateMalformed,
    /// The remembered checkpoint is not believed.
    #[error("the remembered checkpoint is not accepted: {0}")]
    StateDistrusted(#[from] Distrust),
}

impl From<io::Error> for MonitorError {
    fn from(error: io::Error) -> Self {
        Self::Source(SourceError::Io(error))
    }
}

impl From<ProofError> for MonitorError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Io(error) => error.into(),
            error => Self::Unproven(error),
        }
    }
}

impl MonitorError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::View(error) => error.code(),
            Self::Source(_) => "monitor_source_unavailable",
            Self::Missing { .. } => "monitor_file_missing",
            Self::BundleMalformed { .. } => "monitor_bundle_malformed",
            Self::BundleUnproven { .. } => "monitor_bundle_unproven",
            Self::Unproven(_) => "monitor_tiles_unproven",
            Self::StateMalformed => "monitor_state_malformed",
            Self::StateDistrusted(_) => "monitor_state_distrusted",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::View(error) => error.hint(),
            Self::Missing { .. } | Self::Source(_) => {
                Some("the log was not judged: make it readable and look again")
            }
            Self::BundleMalformed { .. } | Self::BundleUnproven { .. } | Self::Unproven(_) => {
                Some("the log serves something else than it signed: keep the file, and audit the whole log")
            }
            Self::StateMalformed => Some("name the file that an earlier run wrote, or a new one"),
            Self::StateDistrusted(_) => Some("use the key or policy that the state was made with"),
        }
    }

    /// Whether the log was seen to misbehave, as opposed to not being seen.
    pub fn is_finding(&self) -> bool {
        match self {
            Self::View(ViewError::Unreadable(_))
            | Self::Source(_)
            | Self::Missing { .. }
            | Self::StateMalformed
            | Self::StateDistrusted(_) => false,
            Self::View(_)
            | Self::BundleMalformed { .. }
            | Self::BundleUnproven { .. }
            | Self::Unproven(_) => true,
        }
    }
}
