//! Each proof counts once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fmt;
use std::sync::Mutex;

use aws_lc_rs::digest::{Context, SHA256};

use crate::fingerprint::{Thumbprint, to_bytes};

/// Names one use of a key: SHA-256 over the key's thumbprint and the proof's `jti`.
///
/// The address is no part of it, so that no second spelling of the address makes a second use.
///
/// ```
/// use countersign_token::{Thumbprint, dpop::ReplayKey};
///
/// let key = Thumbprint::from_bytes([1; 32]);
/// // What a shared store has as its key: 32 bytes, however long the client's `jti` is.
/// assert_eq!(ReplayKey::new(&key, &"x".repeat(200)).as_bytes().len(), 32);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayKey([u8; 32]);

impl ReplayKey {
    /// For a proof of this key with this `jti`.
    ///
    /// ```
    /// use countersign_token::{Thumbprint, dpop::ReplayKey};
    ///
    /// let (ada, bob) = (Thumbprint::from_bytes([1; 32]), Thumbprint::from_bytes([2; 32]));
    /// assert_ne!(ReplayKey::new(&ada, "1"), ReplayKey::new(&bob, "1"));
    /// ```
    pub fn new(key: &Thumbprint, proof_id: &str) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(b"countersign/dpop-replay/v1\0");
        hash.update(key.as_bytes());
        hash.update(proof_id.as_bytes());
        Self(to_bytes(&hash.finish()))
    }

    /// The hash: 32 bytes, whatever the client wrote.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplayKey({})", crate::base64url::encode(&self.0))
    }
}

/// Remembers which proofs were used.
///
/// Gates that stand for one another must share one store, or a proof counts once at each.
///
/// ```
/// use std::collections::HashSet;
/// use std::sync::Mutex;
///
/// use countersign_token::dpop::{ReplayKey, ReplayStore};
///
/// /// Never forgets: for a test.
/// struct Used(Mutex<HashSet<ReplayKey>>);
///
/// impl ReplayStore for Used {
///     fn first_use(&self, key: &ReplayKey, _now: u64, _until: u64) -> bool {
///         self.0.lock().is_ok_and(|mut used| used.insert(*key))
///     }
/// }
/// ```
pub trait ReplayStore: Send + Sync {
    /// Notes the use, and says whether it is the first. `false` also when that cannot be told: a store that is full or
    /// out of reach lets nothing through.
    ///
    /// After `until` (unix seconds) the use may be forgotten: from then on the proof is refused for its age. `now` is
    /// the time of the check.
    fn first_use(&self, key: &ReplayKey, now: u64, until: u64) -> bool;
}

/// A store in memory, for one process. It holds a bounded number of uses and refuses when they are all taken.
///
/// ```
/// use countersign_token::{Thumbprint, dpop::{MemoryReplayStore, ReplayKey, ReplayStore}};
///
/// let store = MemoryReplayStore::new(100_000);
/// let key = ReplayKey::new(&Thumbprint::from_bytes([1; 32]), "proof-1");
/// assert!(store.first_use(&key, 1_000, 1_060));
/// assert!(!store.first_use(&key, 1_001, 1_060));
/// ```
pub struct MemoryReplayStore {
    capacity: usize,
    uses: Mutex<Uses>,
}

#[derive(Default)]
struct Uses {
    keys: HashSet<ReplayKey>,
    /// The same keys, the first to be forgotten on top.
    by_end: BinaryHeap<Reverse<(u64, ReplayKey)>>,
    /// The latest time seen. A clock that is set back brings no forgotten use to life.
    now: u64,
}

impl MemoryReplayStore {
    /// Holds at most `capacity` uses at a time, about 150 bytes each. Take the requests of the longest time a proof
    /// lives (a minute and a half by default), with room to spare.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            uses: Mutex::default(),
        }
    }
}

impl ReplayStore for MemoryReplayStore {
    fn first_use(&self, key: &ReplayKey, now: u64, until: u64) -> bool {
        // A thread that panicked while it held the lock may have left half a change behind.
        let Ok(mut uses) = self.uses.lock() else {
            return false;
        };
        uses.forget_before(now);
        if uses.keys.len() >= self.capacity || until < uses.now || !uses.keys.insert(*key) {
            return false;
        }
        uses.by_end.push(Reverse((until, *key)));
        true
    }
}

impl Uses {
    fn forget_before(&mut self, now: u64) {
        self.now = self.now.max(now);
        while let Some(Reverse((until, key))) = self.by_end.peek() {
            if *until >= self.now {
                break;
            }
            self.keys.remove(key);
            self.by_end.pop();
        }
    }
}

impl fmt::Debug for MemoryReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryReplayStore(at most {})", self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> ReplayKey {
        ReplayKey::new(&Thumbprint::from_bytes([0; 32]), id)
    }

    #[test]
    fn a_use_is_remembered_to_its_last_second() {
        let store = MemoryReplayStore::new(10);
        assert!(store.first_use(&key("a"), 100, 160));
        assert!(!store.first_use(&key("a"), 160, 160));
        assert!(store.first_use(&key("a"), 161, 170), "forgotten, and used again");
    }

    #[test]
    fn a_clock_set_back_revives_nothing() {
        let store = MemoryReplayStore::new(10);
        assert!(store.first_use(&key("a"), 100, 160));
        assert!(store.first_use(&key("b"), 200, 260));
        assert!(!store.first_use(&key("a"), 100, 160));
    }

    #[test]
    fn a_full_store_refuses_until_there_is_room() {
        let store = MemoryReplayStore::new(2);
        assert!(store.first_use(&key("a"), 100, 110));
        assert!(store.first_use(&key("b"), 100, 120));
        assert!(!store.first_use(&key("c"), 110, 120));
        assert!(store.first_use(&key("c"), 111, 120));
        assert!(!store.first_use(&key("b"), 111, 120));
        assert!(!MemoryReplayStore::new(0).first_use(&key("a"), 0, 1));
    }

    #[test]
    fn one_of_many_threads_is_first() {
        let store = MemoryReplayStore::new(100);
        let firsts: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| usize::from(store.first_use(&key("a"), 1, 2))))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(firsts, 1);
    }
}
