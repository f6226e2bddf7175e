//! The independent checker: everything a ledger publishes, recomputed from its entries.
//!
//! Written apart from the writer on purpose. It shares SHA-256, Ed25519 and the entry decoder with it and nothing
//! else: its own tree hashing, paths, note and checkpoint parsing, and journal reading. A mistake would have to be
//! made twice to stay unseen.

mod directory;
mod error;
mod journal;
mod note;
mod tree;

use std::collections::BTreeMap;

pub use directory::{DirectorySource, audit_directory};
pub use error::{AuditError, SourceError};

use crate::entry::{Entry, IssuanceKind, KeyStateCode};
use tree::Hash;

const WIDTH: u64 = 256;

/// Where a ledger's published files come from: a directory, or a URL.
pub trait Source {
    /// The file at `path` below the ledger's prefix, such as `tile/0/000`; `None` when there is none.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError>;
}

/// What an audit without findings has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The ledger's name.
    pub origin: String,
    /// Size of the signed tree: so many entries were checked.
    pub size: u64,
    /// Its root, recomputed.
    pub root: [u8; 32],
    /// Issuances by kind.
    pub issuances: BTreeMap<IssuanceKind, u64>,
    /// Key events by the state entered.
    pub key_events: BTreeMap<KeyStateCode, u64>,
    /// Entry bundles read.
    pub bundles_checked: u64,
    /// Hash tiles recomputed and compared, all levels.
    pub tiles_checked: u64,
    /// The journal, for a directory.
    pub journal: Option<JournalReport>,
}

/// What an audit has seen of a directory's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalReport {
    /// Segment files read.
    pub segments: u64,
    /// Batches, each checked to follow the one before.
    pub batches: u64,
    /// Entries; more than the report's size only while the ledger runs.
    pub entries: u64,
    /// Whether a process had the ledger open. Then the journal may be ahead of the checkpoint.
    pub running: bool,
}

/// Checks the whole of a published ledger against its verifier key: signature, origin, every entry, every bundle,
/// every tile of every level, the root. Stops at the first finding.
///
/// ```no_run
/// use countersign_ledger::audit::{DirectorySource, audit};
/// let source = DirectorySource::new("countersign-data/ledger");
/// match audit(&source, "ledger.example/1+0f1e2d3c+AQ…") {
///     Ok(report) => assert!(report.size > 0),
///     Err(finding) => eprintln!("{}: {finding}", finding.code()),
/// }
/// ```
pub fn audit(source: &dyn Source, verifier_key: &str) -> Result<Report, AuditError> {
    audit_with(source, verifier_key, &mut |_, _, _| Ok(()))
}

/// Told of every entry in order: the bundle it came from, its index, its bytes.
type Witness<'a> = dyn FnMut(&str, u64, &[u8]) -> Result<(), AuditError> + 'a;

fn audit_with(
    source: &dyn Source,
    verifier_key: &str,
    witness: &mut Witness<'_>,
) -> Result<Report, AuditError> {
    let key = note::Key::parse(verifier_key).ok_or(AuditError::KeyMalformed)?;
    let signed = source.read("checkpoint")?.ok_or(AuditError::CheckpointMissing)?;
    let text = note::verify(&signed, &key)?;
    let claim = note::Claim::parse(text).ok_or(AuditError::CheckpointMalformed)?;
    if claim.origin != key.name {
        return Err(AuditError::OriginMismatch { found: claim.origin });
    }

    let mut report = Report {
        origin: claim.origin,
        size: claim.size,
        ..Report::default()
    };
    let leaves = check_leaves(source, claim.size, &mut report, witness)?;
    check_upper_levels(source, &leaves, &mut report)?;
    report.root = leaves.root(claim.size);
    if report.root == claim.root {
        Ok(report)
    } else {
        Err(AuditError::RootMismatch { size: claim.size })
    }
}

/// What is kept of the leaves: the root of every full tile, and the hashes of the last, unfinished one.
struct Leaves {
    full: Vec<Hash>,
    rest: Vec<Hash>,
}

impl Leaves {
    /// RFC 6962 section 2.1 from the top; every left part is a power of two, so it ends at whole tiles or in the rest.
    fn root(&self, size: u64) -> Hash {
        self.range(0, size)
    }

    fn range(&self, from: u64, count: u64) -> Hash {
        if count < WIDTH {
            return tree::hash_list(&self.rest);
        }
        if count == WIDTH {
            let tile = usize::try_from(from / WIDTH).unwrap_or(usize::MAX);
            return self.full.get(tile).copied().unwrap_or_default();
        }
        let left = tree::left_part(count);
        tree::parent(
            &self.range(from, left),
            &self.range(from.saturating_add(left), count.saturating_sub(left)),
        )
    }
}

/// Reads every bundle, hashes every entry, compares every level-0 tile.
fn check_leaves(
    source: &dyn Source,
    size: u64,
    report: &mut Report,
    witness: &mut Witness<'_>,
) -> Result<Leaves, AuditError> {
    let mut leaves = Leaves {
        full: Vec::new(),
        rest: Vec::new(),
    };
    let mut index = 0u64;
    let mut buffer = Vec::new();
    while index < size {
        let width = size.saturating_sub(index).min(WIDTH);
        let tile = index / WIDTH;
        let (path, bundle, whole) =
            fetch(source, "entries", tile, width)?.map_err(|path| AuditError::BundleMissing { path })?;
        let mut rest = bundle.as_slice();
        let mut hashes = Vec::with_capacity(256);
        for _ in 0..width {
            let entry = take_entry(&mut rest).ok_or_else(|| AuditError::BundleTruncated {
                path: path.clone(),
                index,
            })?;
            count_entry(report, entry).map_err(|error| AuditError::EntryMalformed {
                path: path.clone(),
                index,
                error,
            })?;
            witness(&path, index, entry)?;
            hashes.push(tree::leaf(entry, &mut buffer));
            index = index.saturating_add(1);
        }
        if !whole && !rest.is_empty() {
            return Err(AuditError::BundleTrailing { path, index });
        }
        report.bundles_checked = report.bundles_checked.saturating_add(1);
        check_tile(source, 0, tile, &hashes, report)?;
        if width == WIDTH {
            leaves.full.push(tree::hash_list(&hashes));
        } else {
            leaves.rest = hashes;
        }
    }
    Ok(leaves)
}

/// Recomputes and compares the tiles of level 1 and up.
fn check_upper_levels(source: &dyn Source, leaves: &Leaves, report: &mut Report) -> Result<(), AuditError> {
    let mut row = leaves.full.clone();
    let mut level = 1u8;
    while !row.is_empty() {
        let mut above = Vec::new();
        for (tile, hashes) in (0u64..).zip(row.chunks(256)) {
            check_tile(source, level, tile, hashes, report)?;
            if hashes.len() == 256 {
                above.push(tree::hash_list(hashes));
            }
        }
        row = above;
        level = level.saturating_add(1);
    }
    Ok(())
}

/// Compares one tile, hash by hash.
fn check_tile(
    source: &dyn Source,
    level: u8,
    tile: u64,
    expect: &[Hash],
    report: &mut Report,
) -> Result<(), AuditError> {
    let width = u64::try_from(expect.len()).unwrap_or(WIDTH);
    let (path, bytes, whole) =
        fetch(source, &level.to_string(), tile, width)?.map_err(|path| AuditError::TileMissing { path })?;
    let expect_length = expect.len().saturating_mul(32);
    let length_is_right = if whole {
        bytes.len() == 8192
    } else {
        bytes.len() == expect_length
    };
    if !length_is_right {
        return Err(AuditError::TileLength {
            path,
            expected: expect_length,
            found: bytes.len(),
        });
    }
    for ((position, found), expect) in (0u64..).zip(bytes.chunks(32)).zip(expect) {
        if found != expect {
            let index = tile.saturating_mul(WIDTH).saturating_add(position);
            return Err(AuditError::TileMismatch { path, index });
        }
    }
    report.tiles_checked = report.tiles_checked.saturating_add(1);
    Ok(())
}

/// A fetched file: its path, its bytes, and whether the full file stood in for a partial one.
type Fetched = (String, Vec<u8>, bool);

/// The file of the wanted width or, for a partial one that was superseded, the full file. `Err` names what is missing.
fn fetch(
    source: &dyn Source,
    row: &str,
    tile: u64,
    width: u64,
) -> Result<Result<Fetched, String>, AuditError> {
    let full = tile_path(row, tile);
    let path = if width == WIDTH {
        full.clone()
    } else {
        format!("{full}.p/{width}")
    };
    if let Some(bytes) = source.read(&path)? {
        return Ok(Ok((path, bytes, false)));
    }
    if width < WIDTH
        && let Some(bytes) = source.read(&full)?
    {
        return Ok(Ok((full, bytes, true)));
    }
    Ok(Err(path))
}

/// `tile/<row>/x001/x234/067`: groups of three digits, all but the last marked with an x.
fn tile_path(row: &str, tile: u64) -> String {
    let mut groups = vec![format!("{:03}", tile % 1000)];
    let mut rest = tile / 1000;
    while rest > 0 {
        groups.insert(0, format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    format!("tile/{row}/{}", groups.join("/"))
}

fn take_entry<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    Some(entry)
}

fn count_entry(report: &mut Report, entry: &[u8]) -> Result<(), crate::entry::EntryError> {
    let count = match Entry::decode(entry)? {
        Entry::Issuance(issuance) => report.issuances.entry(issuance.kind).or_default(),
        Entry::Key(event) => report.key_events.entry(event.state).or_default(),
    };
    *count = count.saturating_add(1);
    Ok(())
}
