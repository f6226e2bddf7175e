//! The issued set: exact, keyed, in buckets by expiry that are dropped whole.
//!
//! A token is kept as 60 bits of a keyed hash of its fingerprint. The key is drawn at start and never leaves the process,
//! so a forger cannot look for a token that collides with a recorded one except by showing tokens, and each one that
//! fails is an alarm. A filter, or an unkeyed short hash, would fall to a search at the forger's desk: see the test
//! `a_filter_falls_to_grinding_and_the_set_does_not`.

mod table;

use std::collections::{BTreeMap, HashSet};
use std::hash::Hasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use siphasher::sip::SipHasher13;

use self::table::{TAG, Table};
use crate::bytes::{narrow, take_u64};
use crate::entry::IssuanceKind;

/// Tokens that expire within two days share a bucket with their five minutes: some six hundred buckets at most.
const FINE_SLICE: u64 = 300;
const FINE_HORIZON: u64 = 2 * COARSE_SLICE;
/// Longer-lived ones with their day, up to a bit more than a year.
const COARSE_SLICE: u64 = 24 * 3600;
const COARSE_HORIZON: u64 = 400 * COARSE_SLICE;
/// A bucket is kept this long after its last token expired: far more clock skew than any gate allows.
const SLACK: u64 = 600;

/// What the issued set says of a recorded token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// What sort of token.
    pub kind: IssuanceKind,
    /// Index of its entry, from a follower that keeps indices.
    pub index: Option<u64>,
    /// Whether an entry denied it after it was issued.
    pub is_denied: bool,
}

/// What is kept of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// That it was issued: 8 bytes a slot, at most 12 a token.
    #[default]
    Membership,
    /// The index of its entry as well: twice as much.
    Indices,
}

/// A new, empty set: its one writer and its readers. `None` when the system gives no randomness for the key.
pub(crate) fn issued_set(keep: Keep) -> Option<(IssuedWriter, IssuedReader)> {
    let mut random = [0; 16];
    rand::fill(&mut random).ok()?;
    let mut random = random.as_slice();
    let published = Arc::new(Published {
        key: (take_u64(&mut random)?, take_u64(&mut random)?),
        directory: ArcSwap::default(),
        dropped_before: AtomicU64::new(0),
    });
    let writer = IssuedWriter {
        published: Arc::clone(&published),
        directory: Directory::default(),
        keep,
        descendants: BTreeMap::new(),
        denied: HashSet::new(),
        denied_roots: HashSet::new(),
    };
    Some((writer, IssuedReader(published)))
}

/// What the writer and the readers share. Without a writer it stays empty.
#[derive(Default)]
struct Published {
    /// Of this process alone.
    key: (u64, u64),
    directory: ArcSwap<Directory>,
    /// Tokens that expire before this may have been dropped.
    dropped_before: AtomicU64,
}

impl Published {
    fn tag(&self, fingerprint: &[u8; 32]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(fingerprint);
        hasher.finish() & TAG
    }
}

/// The buckets, in the order of their places. Replaced whole when one is added, grown or dropped.
#[derive(Clone, Default)]
struct Directory(Vec<Bucket>);

#[derive(Clone)]
struct Bucket {
    place: Place,
    table: Arc<Table>,
}

/// Which bucket a token is in, and when everything in it has expired.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    tier: Tier,
    end: u64,
}

/// How wide the bucket is. Which one is decided when the entry is taken in, so a look-up asks all three; two of them
/// rarely hold anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    Fine,
    Coarse,
    Far,
}

impl Place {
    fn of(tier: Tier, expires_at: u64) -> Self {
        let end = |slice: u64| {
            let start = expires_at.saturating_sub(expires_at.checked_rem(slice).unwrap_or(0));
            start.saturating_add(slice)
        };
        Self {
            tier,
            end: match tier {
                Tier::Fine => end(FINE_SLICE),
                Tier::Coarse => end(COARSE_SLICE),
                Tier::Far => u64::MAX,
            },
        }
    }

    /// Where an entry taken in at `now` goes.
    fn at(expires_at: u64, now: u64) -> Self {
        let tier = match expires_at.saturating_sub(now) {
            left if left <= FINE_HORIZON => Tier::Fine,
            left if left <= COARSE_HORIZON => Tier::Coarse,
            _ => Tier::Far,
        };
        Self::of(tier, expires_at)
    }
}

impl Directory {
    fn find(&self, place: Place) -> Result<usize, usize> {
        self.0.binary_search_by(|bucket| bucket.place.cmp(&place))
    }

    fn table(&self, place: Place) -> Option<&Table> {
        self.find(place)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|bucket| &*bucket.table)
    }
}

/// The readers' side. They take no lock and never wait.
#[derive(Clone, Default)]
pub(crate) struct IssuedReader(Arc<Published>);

impl IssuedReader {
    /// The token with this fingerprint and this expiry.
    pub(crate) fn look_up(&self, fingerprint: &[u8; 32], expires_at: u64) -> Option<Issued> {
        let tag = self.0.tag(fingerprint);
        let directory = self.0.directory.load();
        let found = [Tier::Fine, Tier::Coarse, Tier::Far]
            .into_iter()
            .find_map(|tier| {
                directory
                    .table(Place::of(tier, expires_at))
                    .and_then(|table| table.look_up(tag))
            })?;
        Some(Issued {
            kind: IssuanceKind::from_code(found.kind_code)?,
            index: found.index,
            is_denied: found.is_denied,
        })
    }

    /// Whether a token with this expiry may have been recorded and dropped: it has long expired, or the clock went back.
    pub(crate) fn may_have_dropped(&self, expires_at: u64) -> bool {
        expires_at < self.0.dropped_before.load(Ordering::Acquire)
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        let directory = self.0.directory.load();
        narrow(directory.0.iter().map(|bucket| bucket.table.len()).sum())
    }

    /// Bytes of memory that the tokens take.
    pub(crate) fn bytes(&self) -> usize {
        let directory = self.0.directory.load();
        directory.0.iter().map(|bucket| bucket.table.bytes()).sum()
    }
}

/// The one writer.
pub(crate) struct IssuedWriter {
    published: Arc<Published>,
    directory: Directory,
    keep: Keep,
    /// Root and token of everything exchanged or refreshed, bucket by bucket: sixteen bytes each, for the writer alone.
    descendants: BTreeMap<Place, Vec<(u64, u64)>>,
    /// Tokens denied, and roots denied with all that comes from them: also what is recorded later is denied.
    denied: HashSet<u64>,
    denied_roots: HashSet<u64>,
}

/// What the set needs of an issuance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) fingerprint: &'a [u8; 32],
    /// The first token of its line, for one that was exchanged or refreshed.
    pub(crate) root: Option<&'a [u8; 32]>,
    pub(crate) kind: IssuanceKind,
    pub(crate) expires_at: u64,
    pub(crate) index: u64,
}

impl IssuedWriter {
    /// Takes in an issuance, unless it has long expired. The first entry of a fingerprint counts.
    pub(crate) fn insert(&mut self, token: &Token<'_>, now: u64) {
        if token.expires_at.saturating_add(SLACK) < now {
            self.drop_before(token.expires_at.saturating_add(1));
            return;
        }
        let tag = self.published.tag(token.fingerprint);
        let place = Place::at(token.expires_at, now);
        let mut is_denied = self.denied.contains(&tag);
        if let Some(root) = token.root {
            let root = self.published.tag(root);
            is_denied |= self.denied_roots.contains(&root);
            self.descendants.entry(place).or_default().push((root, tag));
        }
        if let Some(table) = self.table_with_room(place) {
            table.insert(tag, token.kind.code(), token.index, is_denied);
        }
    }

    /// Denies a token, whatever its expiry.
    pub(crate) fn deny(&mut self, fingerprint: &[u8; 32]) {
        self.deny_tag(self.published.tag(fingerprint));
    }

    /// Denies a token and everything that was or will be made from it.
    pub(crate) fn deny_lineage(&mut self, root: &[u8; 32]) {
        let root = self.published.tag(root);
        self.denied_roots.insert(root);
        let all = self.descendants.values().flatten();
        let line: Vec<u64> = all
            .filter(|(first, _)| *first == root)
            .map(|(_, tag)| *tag)
            .collect();
        self.deny_tag(root);
        for tag in line {
            self.deny_tag(tag);
        }
    }

    fn deny_tag(&mut self, tag: u64) {
        self.denied.insert(tag);
        for bucket in &self.directory.0 {
            bucket.table.deny(tag);
        }
    }

    /// Drops every bucket whose tokens have all expired.
    pub(crate) fn drop_expired(&mut self, now: u64) {
        let horizon = now.saturating_sub(SLACK);
        let buckets = &mut self.directory.0;
        let last = buckets
            .iter()
            .map(|bucket| bucket.place.end)
            .filter(|end| *end <= horizon)
            .max();
        let Some(last) = last else { return };
        buckets.retain(|bucket| bucket.place.end > horizon);
        self.descendants.retain(|place, _| place.end > horizon);
        // Told before it happens, so that no reader can miss both the token and the notice.
        self.drop_before(last);
        self.publish();
    }

    fn drop_before(&self, expires_at: u64) {
        self.published
            .dropped_before
            .fetch_max(expires_at, Ordering::AcqRel);
    }

    /// The bucket at this place, made or enlarged as needed.
    fn table_with_room(&mut self, place: Place) -> Option<&Table> {
        let at = match self.directory.find(place) {
            Ok(at) => at,
            Err(at) => {
                let table = Arc::new(Table::new(self.keep == Keep::Indices));
                self.directory.0.insert(at, Bucket { place, table });
                self.publish();
                at
            }
        };
        let bucket = self.directory.0.get_mut(at)?;
        if bucket.table.is_full() {
            bucket.table = Arc::new(bucket.table.grown());
            self.publish();
        }
        self.directory.0.get(at).map(|bucket| &*bucket.table)
    }

    fn publish(&self) {
        self.published.directory.store(Arc::new(self.directory.clone()));
    }
}

#[cfg(test)]
mod tests;
