//! The independent checker: everything a ledger publishes, recomputed from its entries.
//!
//! Written apart from the writer on purpose. It shares SHA-256, Ed25519 and the entry decoder with it and nothing
//! else: its own tree hashing, paths, note and checkpoint parsing, and journal reading. A mistake would have to be
//! made twice to stay unseen.

mod bundle;
mod content;
mod directory;
mod error;
mod journal;
mod keys;
mod note;
mod state;
mod tree;
mod walk;

use std::collections::BTreeMap;

pub use directory::{DirectorySource, audit_directory, audit_directory_with};
pub use error::{AuditError, SourceError};
pub use state::State;

use crate::entry::{IssuanceKind, KeyStateCode};
use bundle::Bundle;
use tree::Hash;
use walk::Walk;

const WIDTH: u64 = 256;
/// Progress is told after so many entries.
const STRETCH: u64 = 64 * WIDTH;

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
    /// How many of them an earlier audit had checked.
    pub resumed_at: u64,
    /// Its root, recomputed.
    pub root: [u8; 32],
    /// Issuances by kind.
    pub issuances: BTreeMap<IssuanceKind, u64>,
    /// Key events by the state entered; an announcement enters `staged`.
    pub key_events: BTreeMap<KeyStateCode, u64>,
    /// Fences of realms.
    pub fences: u64,
    /// Denials.
    pub denials: u64,
    /// Steps of responses to incidents.
    pub response_actions: u64,
    /// Waypoints.
    pub waypoints: u64,
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
    /// Batches up to the end, each of those that are there checked to follow the one before.
    pub batches: u64,
    /// Entries before the first batch that is there: only bundles hold them.
    pub removed: u64,
    /// Entries up to the end, removed ones included; more than the report's size only while the ledger runs.
    pub entries: u64,
    /// Whether a process had the ledger open. Then the journal may be ahead of the checkpoint.
    pub running: bool,
}

/// How an audit goes about it.
#[derive(Default)]
pub struct Options<'a> {
    /// Bundles are read and hashed by so many threads at once; 0 is 1. Three bundles a thread are in memory.
    pub threads: usize,
    /// The entries are not issuances: hash them, whatever they say. For logs of any other kind.
    pub opaque: bool,
    /// Go on from here. The log must be the one of that audit, no smaller, and continue what it had signed.
    pub resume: Option<&'a State>,
    /// Told now and then how far it is.
    pub progress: Option<&'a mut dyn FnMut(&Progress<'_>)>,
}

/// How far an audit is.
pub struct Progress<'a> {
    /// Entries checked.
    pub done: u64,
    /// Entries to check.
    pub size: u64,
    state: &'a dyn Fn() -> State,
}

impl Progress<'_> {
    /// What to keep, to go on from here after an interruption. At most 64 KiB a level of the tree.
    #[must_use]
    pub fn state(&self) -> State {
        (self.state)()
    }
}

/// Checks the whole of a published ledger against its verifier key: signature, origin, every entry, every bundle,
/// every tile of every level, the root; that every issuance names a key that was announced before it and was active,
/// and that the chains of key entries and denials have no gap. Stops at the first finding.
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
    let plan = Plan::make(source, verifier_key, &Options::default())?;
    let (report, _) = plan.run(source, Options::default(), None, &mut |(first, size), work| {
        for number in first..size.div_ceil(WIDTH) {
            work(Bundle::read(source, size, number)?)?;
        }
        Ok(())
    })?;
    Ok(report)
}

/// [`audit`] with threads, progress, and from where an earlier one ended. Also returns the state for the next one.
///
/// Memory does not grow with the log: three bundles a thread, and at most 255 hashes for each level of the tree.
pub fn audit_with(
    source: &(dyn Source + Sync),
    verifier_key: &str,
    options: Options<'_>,
) -> Result<(Report, State), AuditError> {
    let plan = Plan::make(source, verifier_key, &options)?;
    let threads = options.threads;
    plan.run(source, options, None, &mut |span, work| {
        bundle::in_parallel(source, span, threads, work)
    })
}

/// Hands over the bundles from the first to that of the size, in order.
type Bundles<'a> =
    dyn FnMut((u64, u64), &mut dyn FnMut(Bundle) -> Result<(), AuditError>) -> Result<(), AuditError> + 'a;

/// What is to be checked: a checkpoint whose signature holds, and those that earlier audits had seen.
struct Plan {
    verifier_key: String,
    signed: Vec<u8>,
    claim: note::Claim,
    /// Each with its note.
    older: Vec<(note::Claim, Vec<u8>)>,
}

impl Plan {
    fn make(source: &dyn Source, verifier_key: &str, options: &Options<'_>) -> Result<Self, AuditError> {
        let key = note::Key::parse(verifier_key).ok_or(AuditError::KeyMalformed)?;
        let signed = source.read("checkpoint")?.ok_or(AuditError::CheckpointMissing)?;
        let claim = note::open(&signed, &key)?;
        let mut older = Vec::new();
        if let Some(state) = options.resume {
            if state.verifier_key != key.text || state.opaque != options.opaque {
                return Err(AuditError::StateOfAnother);
            }
            for note in &state.checkpoints {
                older.push((note::open(note, &key)?, note.clone()));
            }
        }
        for (older, _) in &older {
            if older.size > claim.size {
                let (found, seen) = (claim.size, older.size);
                return Err(AuditError::RolledBack { found, seen });
            }
            if older.size == claim.size && older.root != claim.root {
                return Err(AuditError::Forked { size: claim.size });
            }
        }
        Ok(Self {
            verifier_key: key.text,
            signed,
            claim,
            older,
        })
    }

    fn run(
        &self,
        source: &dyn Source,
        options: Options<'_>,
        journal: Option<journal::Journal>,
        bundles: &mut Bundles<'_>,
    ) -> Result<(Report, State), AuditError> {
        let Options {
            opaque,
            resume,
            mut progress,
            ..
        } = options;
        let size = self.claim.size;
        let seen = resume.map(|state| state.seen.clone()).unwrap_or_default();
        let resumed_at = seen.entries;
        let mut walk = Walk {
            source,
            opaque,
            older: self.older.iter().map(|(claim, _)| claim.clone()).collect(),
            seen,
            rest: Vec::new(),
            before_rest: None,
            journal,
        };
        bundles((resumed_at / WIDTH, size), &mut |bundle| {
            walk.take(bundle)?;
            if let Some(progress) = &mut progress
                && walk.seen.entries.is_multiple_of(STRETCH)
            {
                progress(&Progress {
                    done: walk.seen.entries,
                    size,
                    state: &|| self.state(opaque, &walk.seen, walk.seen.entries),
                });
            }
            Ok(())
        })?;
        let seen = walk.before_rest.as_ref().unwrap_or(&walk.seen);
        let state = self.state(opaque, seen, size);
        let root = walk.finish()?;
        if root != self.claim.root {
            return Err(AuditError::RootMismatch { size });
        }
        let report = walk.report(&self.claim, root, resumed_at)?;
        Ok((report, state))
    }

    /// The state after so much was seen, every older checkpoint up to `passed` having been compared.
    fn state(&self, opaque: bool, seen: &walk::Seen, passed: u64) -> State {
        let pending = self.older.iter().filter(|(claim, _)| claim.size > passed);
        let mut checkpoints: Vec<_> = pending.map(|(_, note)| note.clone()).collect();
        checkpoints.retain(|note| *note != self.signed);
        checkpoints.push(self.signed.clone());
        State {
            verifier_key: self.verifier_key.clone(),
            opaque,
            checkpoints,
            seen: seen.clone(),
        }
    }
}

/// Compares one tile, hash by hash.
fn check_tile(source: &dyn Source, level: u8, tile: u64, expect: &[Hash]) -> Result<(), AuditError> {
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
