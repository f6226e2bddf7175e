//! The issued set: exact, by full fingerprint, in buckets by expiry that are dropped whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::entry::{Issuance, IssuanceKind};

/// Shards keep readers and the writer out of each other's way. A power of two.
const SHARDS: usize = 64;
/// Tokens that expire within a day share a bucket with their hour.
const SHORT_SLICE: u64 = 3600;
/// Longer-lived ones with their day, so that a look-up never has many buckets to ask.
const LONG_SLICE: u64 = 24 * 3600;
/// A bucket is kept this long after its last token expired: far more clock skew than any gate allows.
const SLACK: u64 = 600;

/// What the ledger says of an issued token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Index of its entry.
    pub index: u64,
    /// What sort of token.
    pub kind: IssuanceKind,
    /// Unix seconds.
    pub expires_at: u64,
    /// Fingerprint of the first token of its line, for an exchanged or refreshed one.
    pub root: Option<[u8; 32]>,
}

/// Fingerprints of the tokens that may still be shown. One writer, many readers.
pub(crate) struct IssuedSet {
    shards: Vec<RwLock<Buckets>>,
    /// Tokens that expire before this may have been dropped.
    dropped_before: AtomicU64,
}

/// Buckets by the time at which everything in them has expired.
type Buckets = BTreeMap<u64, HashMap<[u8; 32], Slot>>;

/// An [`Issued`], made small: the rare root is boxed.
struct Slot {
    index: u64,
    expires_at: u64,
    root: Option<Box<[u8; 32]>>,
    kind: IssuanceKind,
}

impl IssuedSet {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self {
            shards,
            dropped_before: AtomicU64::new(0),
        }
    }

    /// Takes in an issuance, unless it has long expired. The first entry of a fingerprint counts.
    pub(crate) fn insert(&self, index: u64, issuance: &Issuance, now: u64) {
        if issuance.expires_at.saturating_add(SLACK) < now {
            self.dropped_before
                .fetch_max(issuance.expires_at.saturating_add(1), Ordering::AcqRel);
            return;
        }
        let slot = Slot {
            index,
            expires_at: issuance.expires_at,
            root: issuance.lineage.as_ref().map(|lineage| Box::new(lineage.root)),
            kind: issuance.kind,
        };
        let Some(shard) = self.shard(&issuance.fingerprint) else {
            return;
        };
        let mut buckets = shard.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(bucket_end(issuance.expires_at, now)).or_default();
        bucket.entry(issuance.fingerprint).or_insert(slot);
    }

    pub(crate) fn look_up(&self, fingerprint: &[u8; 32]) -> Option<Issued> {
        let buckets = self
            .shard(fingerprint)?
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let slot = buckets.values().find_map(|bucket| bucket.get(fingerprint))?;
        Some(Issued {
            index: slot.index,
            kind: slot.kind,
            expires_at: slot.expires_at,
            root: slot.root.as_deref().copied(),
        })
    }

    /// Drops every bucket whose tokens have all expired.
    pub(crate) fn drop_expired(&self, now: u64) {
        let horizon = now.saturating_sub(SLACK);
        for shard in &self.shards {
            let mut buckets = shard.write().unwrap_or_else(PoisonError::into_inner);
            while let Some(bucket) = buckets.first_entry().filter(|bucket| *bucket.key() <= horizon) {
                // Told before it happens, so that no reader can miss both the token and the notice.
                self.dropped_before.fetch_max(*bucket.key(), Ordering::AcqRel);
                bucket.remove();
            }
        }
    }

    /// Whether a token that is still good at `now` may have been dropped: only when the clock went back.
    pub(crate) fn may_have_dropped(&self, now: u64) -> bool {
        let dropped_before = self.dropped_before.load(Ordering::Acquire);
        dropped_before > 0 && now < dropped_before.saturating_add(SLACK.saturating_sub(1))
    }

    pub(crate) fn len(&self) -> usize {
        let count = |shard: &RwLock<Buckets>| -> usize {
            shard
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .map(HashMap::len)
                .sum()
        };
        self.shards.iter().map(count).sum()
    }

    fn shard(&self, fingerprint: &[u8; 32]) -> Option<&RwLock<Buckets>> {
        let [first, ..] = fingerprint;
        self.shards.get(usize::from(*first) & SHARDS.saturating_sub(1))
    }
}

fn bucket_end(expires_at: u64, now: u64) -> u64 {
    let slice = if expires_at.saturating_sub(now) <= LONG_SLICE {
        SHORT_SLICE
    } else {
        LONG_SLICE
    };
    let start = expires_at.saturating_sub(expires_at.checked_rem(slice).unwrap_or(0));
    start.saturating_add(slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn issuance(number: u64, expires_at: u64) -> Issuance {
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&number.to_le_bytes());
        Issuance {
            kind: IssuanceKind::Access,
            fingerprint,
            issuer: [0; 32],
            key: [0; 32],
            issued_at: 0,
            expires_at,
            lineage: None,
        }
    }

    #[test]
    fn the_first_entry_of_a_fingerprint_counts() {
        let set = IssuedSet::new();
        set.insert(3, &issuance(1, 1000), 0);
        set.insert(9, &issuance(1, 1000), 0);
        assert_eq!(set.look_up(&issuance(1, 0).fingerprint).unwrap().index, 3);
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn a_clock_that_went_back_is_noticed() {
        let set = IssuedSet::new();
        set.insert(0, &issuance(1, 1000), 0);
        assert!(!set.may_have_dropped(0));
        set.drop_expired(10_000);
        assert_eq!(set.len(), 0);
        assert!(set.may_have_dropped(500));
        assert!(!set.may_have_dropped(10_000));
    }

    proptest! {
        #[test]
        fn nothing_unexpired_is_ever_missing(
            tokens in proptest::collection::vec((0u64..300_000, 0u64..100_000), 1..60),
            step in 1u64..5000,
        ) {
            let set = IssuedSet::new();
            let mut now = 0;
            for (number, (lifetime, _)) in (0u64..).zip(&tokens) {
                set.insert(number, &issuance(number, now + lifetime), now);
                now += step;
                set.drop_expired(now);
                let mut born = 0;
                for (earlier, (lifetime, _)) in (0..=number).zip(&tokens) {
                    let expires_at = born + lifetime;
                    let found = set.look_up(&issuance(earlier, 0).fingerprint);
                    if expires_at >= now {
                        prop_assert_eq!(found.map(|issued| issued.index), Some(earlier));
                    }
                    born += step;
                }
                prop_assert!(!set.may_have_dropped(now));
            }
        }
    }
}
