//! The walk over a log: from bundle to bundle, keeping of the tree only its right edge.

use super::bundle::Bundle;
use super::content::Content;
use super::journal::{Journal, Position};
use super::note::Claim;
use super::tree::{self, Hash};
use super::{AuditError, Report, Source, check_tile};

/// What an audit knows after some full bundles. Its size does not depend on the log's: at most 255 hashes a level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Entries so far; a multiple of the width.
    pub(super) entries: u64,
    /// The unfinished tile of each level, from level 1 up.
    pub(super) rows: Vec<Vec<Hash>>,
    pub(super) content: Content,
    pub(super) bundles: u64,
    pub(super) tiles: u64,
    /// Where the journal stands, for a directory.
    pub(super) journal: Option<Position>,
}

impl Seen {
    /// RFC 6962 root of what was seen and some more leaves, fewer than a bundle. Each unfinished row, with what is left
    /// of the row below as its last and smaller part, is one level of the right edge.
    pub(super) fn root(&self, more: &[Hash]) -> Hash {
        let mut below = (!more.is_empty()).then(|| tree::hash_list(more));
        for row in &self.rows {
            let mut whole = row.clone();
            whole.extend(below);
            below = (!whole.is_empty()).then(|| tree::hash_list(&whole));
        }
        below.unwrap_or_else(|| tree::hash_list(&[]))
    }
}

/// An audit under way.
pub(super) struct Walk<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) opaque: bool,
    /// Checkpoints seen by earlier audits, which this log must continue.
    pub(super) older: Vec<Claim>,
    pub(super) seen: Seen,
    /// Leaves of the last, unfinished bundle.
    pub(super) rest: Vec<Hash>,
    /// What was seen before that bundle: it and its tiles are read again next time.
    pub(super) before_rest: Option<Seen>,
    pub(super) journal: Option<Journal>,
}

impl Walk<'_> {
    /// Takes the next bundle.
    pub(super) fn take(&mut self, bundle: Bundle) -> Result<(), AuditError> {
        if bundle.root.is_none() {
            self.before_rest = Some(self.seen.clone());
        }
        let mut placed = Ok(());
        for (index, entry) in bundle.entries() {
            if !self.opaque {
                placed = placed.and(self.seen.content.see(&bundle.path, index, entry)?);
            }
            if let Some(journal) = &mut self.journal {
                journal.compare(&bundle.path, index, entry)?;
            }
        }
        bundle.tile?;
        placed?;
        self.check_older(bundle.first, &bundle.hashes)?;
        self.seen.bundles = self.seen.bundles.saturating_add(1);
        self.seen.tiles = self.seen.tiles.saturating_add(1);
        match bundle.root {
            Some(root) => {
                self.push(1, root)?;
                let count = u64::try_from(bundle.hashes.len()).unwrap_or(0);
                self.seen.entries = self.seen.entries.saturating_add(count);
                self.seen.journal = self.journal.as_ref().map(Journal::position);
            }
            None => self.rest = bundle.hashes,
        }
        Ok(())
    }

    /// Once the walk passes the size of an older checkpoint: the root there must be the one it signed.
    fn check_older(&self, first: u64, hashes: &[Hash]) -> Result<(), AuditError> {
        for older in &self.older {
            let inside = older.size.checked_sub(first);
            let inside = inside.and_then(|it| usize::try_from(it).ok());
            let leaves = inside.and_then(|count| hashes.get(..count));
            // The end of a full bundle is also the beginning of the next one, or the end of the log.
            let leaves = leaves.filter(|leaves| leaves.len() < 256);
            if leaves.is_some_and(|leaves| self.seen.root(leaves) != older.root) {
                return Err(AuditError::Forked { size: older.size });
            }
        }
        Ok(())
    }

    /// Adds a hash to the unfinished tile of a level; a tile that is full is compared and moves up.
    fn push(&mut self, level: u8, hash: Hash) -> Result<(), AuditError> {
        let position = usize::from(level).saturating_sub(1);
        if self.seen.rows.len() <= position {
            self.seen.rows.push(Vec::with_capacity(256));
        }
        let Some(row) = self.seen.rows.get_mut(position) else {
            return Ok(());
        };
        row.push(hash);
        if row.len() < 256 {
            return Ok(());
        }
        let full = std::mem::take(row);
        check_tile(self.source, level, self.tile_at(level), &full)?;
        self.seen.tiles = self.seen.tiles.saturating_add(1);
        self.push(level.saturating_add(1), tree::hash_list(&full))
    }

    /// The number of the unfinished tile of a level.
    fn tile_at(&self, level: u8) -> u64 {
        let shift = u32::from(level).saturating_add(1).saturating_mul(8);
        self.seen.entries.checked_shr(shift).unwrap_or(0)
    }

    /// What was seen. The journal is read to its end.
    pub(super) fn report(mut self, claim: &Claim, root: Hash, resumed_at: u64) -> Result<Report, AuditError> {
        if let Some(journal) = &mut self.journal {
            while journal.next()?.is_some() {}
        }
        Ok(Report {
            origin: claim.origin.clone(),
            size: claim.size,
            resumed_at,
            root,
            issuances: self.seen.content.issuances,
            key_events: self.seen.content.key_events,
            fences: self.seen.content.fences,
            denials: self.seen.content.denials,
            response_actions: self.seen.content.response_actions,
            waypoints: self.seen.content.waypoints,
            bundles_checked: self.seen.bundles,
            tiles_checked: self.seen.tiles,
            journal: self.journal.map(|journal| journal.report),
        })
    }

    /// Compares the unfinished tiles, and tells the root.
    pub(super) fn finish(&mut self) -> Result<Hash, AuditError> {
        for (level, row) in (1u8..).zip(&self.seen.rows) {
            if !row.is_empty() {
                check_tile(self.source, level, self.tile_at(level), row)?;
            }
        }
        let unfinished = self.seen.rows.iter().filter(|row| !row.is_empty()).count();
        let unfinished = u64::try_from(unfinished).unwrap_or(0);
        self.seen.tiles = self.seen.tiles.saturating_add(unfinished);
        Ok(self.seen.root(&self.rest))
    }
}
