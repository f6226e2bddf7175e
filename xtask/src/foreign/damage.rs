//! What can be wrong with a published log, and how it is made so.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::Site;
use super::log::Log;
use super::tools::STRANGER;
use crate::process::write;

pub(super) struct Damage {
    pub(super) name: &'static str,
    /// Whether one look at the log is enough to see it. Otherwise somebody must remember an earlier one.
    pub(super) without_memory: bool,
    change: Change,
}

/// Tiles are counted from the end of their row.
enum Change {
    /// One bit, in the tenth byte: of a bundle, inside its first entry.
    Flip(&'static str, u64),
    FlipLength(u64),
    Truncate(&'static str, u64),
    Extend(&'static str, u64),
    Remove(&'static str, u64),
    Swap(&'static str, u64, u64),
    /// The first two entries of a bundle change places.
    SwapEntries(u64),
    FlipCheckpoint(u64),
    WrongKey,
    RolledBack,
    Forked,
}

const fn seen_at_once(name: &'static str, change: Change) -> Damage {
    Damage {
        name,
        without_memory: true,
        change,
    }
}

pub(super) const DAMAGES: &[Damage] = &[
    seen_at_once("a byte of an entry flipped", Change::Flip("entries", 150)),
    seen_at_once(
        "a byte of the last, partial bundle flipped",
        Change::Flip("entries", 0),
    ),
    seen_at_once("a byte of a level-0 tile flipped", Change::Flip("0", 150)),
    seen_at_once("a byte of the partial level-0 tile flipped", Change::Flip("0", 0)),
    seen_at_once("a byte of a full level-1 tile flipped", Change::Flip("1", 1)),
    seen_at_once("a byte of the partial level-1 tile flipped", Change::Flip("1", 0)),
    seen_at_once("a byte of the level-2 tile flipped", Change::Flip("2", 0)),
    seen_at_once("the length of an entry changed", Change::FlipLength(150)),
    seen_at_once("a bundle cut short", Change::Truncate("entries", 150)),
    seen_at_once(
        "bytes after the last entry of a bundle",
        Change::Extend("entries", 150),
    ),
    seen_at_once("two entries of a bundle exchanged", Change::SwapEntries(150)),
    seen_at_once("two bundles exchanged", Change::Swap("entries", 150, 151)),
    seen_at_once("two level-0 tiles exchanged", Change::Swap("0", 150, 151)),
    seen_at_once("a bundle missing", Change::Remove("entries", 150)),
    seen_at_once("a full level-0 tile missing", Change::Remove("0", 150)),
    seen_at_once("the partial level-0 tile missing", Change::Remove("0", 0)),
    seen_at_once("the partial level-1 tile missing", Change::Remove("1", 0)),
    seen_at_once("the partial bundle missing", Change::Remove("entries", 0)),
    seen_at_once(
        "a byte of the checkpoint's root flipped",
        Change::FlipCheckpoint(2),
    ),
    seen_at_once("the checkpoint's size changed", Change::FlipCheckpoint(1)),
    seen_at_once("signed by another key than expected", Change::WrongKey),
    Damage {
        name: "an older checkpoint served",
        without_memory: false,
        change: Change::RolledBack,
    },
    Damage {
        name: "two checkpoints of one size, both signed",
        without_memory: false,
        change: Change::Forked,
    },
];

/// A log with a damage. What was changed is put back when this is dropped.
pub(super) struct Work<'a> {
    pub(super) log: Log,
    /// The state of an audit that saw the log before.
    pub(super) state: PathBuf,
    saved: Vec<(PathBuf, Option<Vec<u8>>)>,
    _site: &'a Site,
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        for (path, bytes) in self.saved.drain(..) {
            let _ = match bytes {
                Some(bytes) => put(&path, &bytes),
                None => std::fs::remove_file(path).map_err(Into::into),
            };
        }
    }
}

impl Damage {
    /// Our own log with this damage.
    pub(super) fn apply<'a>(&self, site: &'a Site) -> Result<Work<'a>> {
        let log = match self.change {
            Change::Forked => &site.fork,
            _ => &site.log,
        };
        self.apply_to(log, site)
    }

    pub(super) fn apply_to<'a>(&self, log: &Log, site: &'a Site) -> Result<Work<'a>> {
        // Each audit gets a memory of its own: a finding must not depend on what was shown before.
        let state = site.folder.join("shown.state");
        let _ = std::fs::copy(site.folder.join("seen.state"), &state);
        let mut work = Work {
            log: log.clone(),
            state,
            saved: Vec::new(),
            _site: site,
        };
        let folder = log.folder().to_owned();
        let tile =
            |row: &str, from_the_end: u64| Ok::<_, anyhow::Error>(folder.join(log.tile(row, from_the_end)?));
        match self.change {
            Change::Flip(row, at) => work.change(&tile(row, at)?, |bytes| flip(bytes, 10, 1))?,
            Change::FlipLength(at) => work.change(&tile("entries", at)?, |bytes| flip(bytes, 1, 1))?,
            Change::Truncate(row, at) => {
                work.change(&tile(row, at)?, |bytes| bytes.truncate(bytes.len() - 20))?;
            }
            Change::Extend(row, at) => work.change(&tile(row, at)?, |bytes| bytes.extend([0, 1, 9]))?,
            Change::Remove(row, at) => {
                let path = tile(row, at)?;
                work.save(&path)?;
                std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
            Change::Swap(row, one, two) => {
                let (one, two) = (tile(row, one)?, tile(row, two)?);
                let (first, second) = (work.save(&one)?, work.save(&two)?);
                put(&one, &second)?;
                put(&two, &first)?;
            }
            Change::SwapEntries(at) => work.change(&tile("entries", at)?, |bytes| swap_entries(bytes))?,
            Change::FlipCheckpoint(line) => work.change(&folder.join("checkpoint"), |bytes| {
                let starts = std::iter::once(0).chain(
                    bytes
                        .iter()
                        .enumerate()
                        .filter_map(|(at, byte)| (*byte == b'\n').then_some(at + 1)),
                );
                if let Some(at) = starts.into_iter().nth(usize::try_from(line).unwrap_or(0)) {
                    flip(bytes, at, 2);
                }
            })?,
            Change::WrongKey => {
                let key = site.folder.join("stranger.vkey");
                write(&key, STRANGER)?;
                work.log.key = key;
            }
            Change::RolledBack => {
                let older = std::fs::read(&site.older).context("there is no older checkpoint")?;
                work.change(&folder.join("checkpoint"), |bytes| *bytes = older)?;
            }
            Change::Forked => {}
        }
        Ok(work)
    }
}

impl Work<'_> {
    fn save(&mut self, path: &Path) -> Result<Vec<u8>> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.saved.push((path.to_owned(), Some(bytes.clone())));
        Ok(bytes)
    }

    fn change(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut bytes = self.save(path)?;
        let before = bytes.clone();
        change(&mut bytes);
        ensure!(bytes != before, "{} was not changed", path.display());
        put(path, &bytes)
    }
}

fn flip(bytes: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= bits;
    }
}

/// A bundle whose first two entries change places.
fn swap_entries(bytes: &mut [u8]) {
    let end = |bytes: &[u8]| {
        let length = bytes
            .first_chunk()
            .map_or(0, |length| u16::from_be_bytes(*length));
        usize::from(length) + 2
    };
    let first = end(bytes);
    let both = first + end(bytes.get(first..).unwrap_or_default());
    if let Some(both) = bytes.get_mut(..both) {
        both.rotate_left(first);
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a developer tool's file need not survive a crash"
    )]
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn entries_change_places() {
        let mut bundle = vec![0, 1, 7, 0, 2, 8, 9, 0, 0];
        super::swap_entries(&mut bundle);
        assert_eq!(bundle, [0, 2, 8, 9, 0, 1, 7, 0, 0]);
    }
}
