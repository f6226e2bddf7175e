//! One bucket of the issued set: 64-bit slots, open addressing, linear probing. One writer, readers without locks.
//!
//! A slot goes from empty to a token once and is never emptied, so a reader needs no more than one `Acquire` load a slot,
//! paired with the writer's `Release` store. A table that fills up is copied into a larger one by its writer; readers of
//! the old one miss only what came after.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bytes::{narrow, wide};

/// The bits of a slot that tell its token from others.
pub(super) const TAG: u64 = !0xf;
/// The bit of a denied token.
const DENIED: u64 = 0x8;
/// The bits of the token's kind: its code in the entry, which is never 0.
const KIND: u64 = 0x7;
const EMPTY: u64 = 0;

/// What the smallest table has: 512 bytes.
const CAPACITY_MIN: u64 = 64;
/// Up to here a full table is doubled; above it grows by a fifth, so that memory follows the number of tokens.
const CAPACITY_SMALL: u64 = 1 << 16;

/// An atomic word: `AtomicU64`, and loom's in its model.
pub(super) trait Cell: Send + Sync {
    fn new(value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
}

impl Cell for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
}

/// What a slot says of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind_code: u8,
    pub(super) is_denied: bool,
    pub(super) index: Option<u64>,
}

/// The table. All its methods that write are for the one writer.
pub(super) struct Table<C = AtomicU64> {
    slots: Box<[C]>,
    /// The ledger index of each slot's token, or nothing at all when indices are not kept.
    indices: Box<[C]>,
    used: C,
}

impl<C: Cell> Table<C> {
    pub(super) fn new(keeps_indices: bool) -> Self {
        Self::with_capacity(CAPACITY_MIN, keeps_indices)
    }

    fn with_capacity(capacity: u64, keeps_indices: bool) -> Self {
        let cells = |count: u64| (0..count).map(|_| C::new(EMPTY)).collect();
        Self {
            slots: cells(capacity),
            indices: cells(if keeps_indices { capacity } else { 0 }),
            used: C::new(0),
        }
    }

    pub(super) fn look_up(&self, tag: u64) -> Option<Found> {
        let (position, value) = self.find(tag)?;
        Some(Found {
            kind_code: u8::try_from(value & KIND).unwrap_or(0),
            is_denied: value & DENIED != 0,
            // Written before the slot was published, and never again.
            index: self
                .indices
                .get(position)
                .map(|index| index.load(Ordering::Relaxed)),
        })
    }

    /// Takes in a token; one that is there stays as it is. The table must not be full.
    pub(super) fn insert(&self, tag: u64, kind_code: u8, index: u64, is_denied: bool) {
        let denied = if is_denied { DENIED } else { 0 };
        self.put(tag | denied | u64::from(kind_code) & KIND, index);
    }

    /// Marks a token as denied; whether it is there.
    pub(super) fn deny(&self, tag: u64) -> bool {
        let found = self.find(tag);
        if let Some((slot, value)) =
            found.and_then(|(position, value)| Some((self.slots.get(position)?, value)))
        {
            slot.store(value | DENIED, Ordering::Release);
        }
        found.is_some()
    }

    /// Whether one more token would make probing slow: at 0.82 a hit looks at 3.3 slots on average, all close by.
    pub(super) fn is_full(&self) -> bool {
        let needed = self.len().saturating_add(1).saturating_mul(50);
        needed > self.capacity().saturating_mul(41)
    }

    /// A larger table with the same tokens.
    pub(super) fn grown(&self) -> Self {
        let capacity = match self.capacity() {
            small @ ..CAPACITY_SMALL => small.saturating_mul(2),
            large => large.saturating_add(large.div_euclid(5)),
        };
        let grown = Self::with_capacity(capacity, !self.indices.is_empty());
        // Homes are in the order of the tags, so this reads and writes from front to back.
        for (position, slot) in self.slots.iter().enumerate() {
            let value = slot.load(Ordering::Relaxed);
            if value != EMPTY {
                let index = self.indices.get(position);
                grown.put(value, index.map_or(0, |index| index.load(Ordering::Relaxed)));
            }
        }
        grown
    }

    pub(super) fn len(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Memory of the slots.
    pub(super) fn bytes(&self) -> usize {
        self.slots
            .len()
            .saturating_add(self.indices.len())
            .saturating_mul(size_of::<C>())
    }

    fn capacity(&self) -> u64 {
        wide(self.slots.len())
    }

    fn put(&self, value: u64, index: u64) {
        for (position, slot) in self.probe(value & TAG) {
            let there = slot.load(Ordering::Relaxed);
            if there & TAG == value & TAG && there != EMPTY {
                return;
            }
            if there == EMPTY {
                if let Some(cell) = self.indices.get(position) {
                    cell.store(index, Ordering::Relaxed);
                }
                slot.store(value, Ordering::Release);
                self.used.store(self.len().saturating_add(1), Ordering::Relaxed);
                return;
            }
        }
    }

    fn find(&self, tag: u64) -> Option<(usize, u64)> {
        for (position, slot) in self.probe(tag) {
            let value = slot.load(Ordering::Acquire);
            if value == EMPTY {
                return None;
            }
            if value & TAG == tag {
                return Some((position, value));
            }
        }
        None
    }

    /// All slots, from the tag's home on.
    fn probe(&self, tag: u64) -> impl Iterator<Item = (usize, &C)> {
        let product = u128::from(tag).saturating_mul(u128::from(self.capacity()));
        let home = narrow(u64::try_from(product >> 64).unwrap_or(0)).min(self.slots.len());
        let (before, after) = self.slots.split_at(home);
        (home..).zip(after).chain((0..).zip(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::atomic::AtomicU64 as LoomU64;
    use loom::sync::{Arc, RwLock};
    use loom::thread;
    use proptest::prelude::*;
    use std::collections::HashMap;

    impl Cell for LoomU64 {
        fn new(value: u64) -> Self {
            Self::new(value)
        }

        fn load(&self, order: Ordering) -> u64 {
            self.load(order)
        }

        fn store(&self, value: u64, order: Ordering) {
            self.store(value, order);
        }
    }

    /// Tags with one home, so that they collide.
    const FIRST: u64 = 0x10;
    const SECOND: u64 = 0x20;

    fn found(kind_code: u8, index: u64) -> Found {
        Found {
            kind_code,
            is_denied: false,
            index: Some(index),
        }
    }

    #[test]
    fn loom_what_is_told_is_there_and_nothing_is_half_there() {
        loom::model(|| {
            let table = Arc::new(Table::<LoomU64>::with_capacity(4, true));
            let applied = Arc::new(LoomU64::new(0));
            let reader = {
                let (table, applied) = (Arc::clone(&table), Arc::clone(&applied));
                thread::spawn(move || {
                    let told = applied.load(Ordering::Acquire);
                    for (tag, expect) in [(FIRST, found(1, 70)), (SECOND, found(4, 71))] {
                        let seen = table.look_up(tag);
                        assert!(seen.is_none() || seen == Some(expect), "{seen:?}");
                        assert!(told < expect.index.unwrap() || seen.is_some(), "{told} {tag}");
                    }
                })
            };
            table.insert(FIRST, 1, 70, false);
            applied.store(70, Ordering::Release);
            table.insert(SECOND, 4, 71, false);
            applied.store(71, Ordering::Release);
            reader.join().unwrap();
        });
    }

    #[test]
    fn loom_growth_loses_nothing() {
        loom::model(|| {
            let published = Arc::new(RwLock::new(Arc::new(Table::<LoomU64>::with_capacity(2, true))));
            let applied = Arc::new(LoomU64::new(0));
            let reader = {
                let (published, applied) = (Arc::clone(&published), Arc::clone(&applied));
                thread::spawn(move || {
                    let told = applied.load(Ordering::Acquire);
                    let table = Arc::clone(&published.read().unwrap());
                    assert!(told < 1 || table.look_up(FIRST) == Some(found(1, 7)));
                    assert!(told < 2 || table.look_up(SECOND) == Some(found(2, 8)));
                })
            };
            let small = Arc::clone(&published.read().unwrap());
            small.insert(FIRST, 1, 7, false);
            applied.store(1, Ordering::Release);
            let large = small.grown();
            large.insert(SECOND, 2, 8, false);
            *published.write().unwrap() = Arc::new(large);
            applied.store(2, Ordering::Release);
            reader.join().unwrap();
        });
    }

    #[test]
    fn loom_a_denial_that_was_told_is_seen() {
        loom::model(|| {
            let table = Arc::new(Table::<LoomU64>::with_capacity(4, false));
            table.insert(FIRST, 1, 0, false);
            let applied = Arc::new(LoomU64::new(0));
            let reader = {
                let (table, applied) = (Arc::clone(&table), Arc::clone(&applied));
                thread::spawn(move || {
                    let told = applied.load(Ordering::Acquire);
                    let seen = table.look_up(FIRST).unwrap();
                    assert_eq!(seen.kind_code, 1);
                    assert!(told == 0 || seen.is_denied);
                })
            };
            assert!(table.deny(FIRST));
            applied.store(1, Ordering::Release);
            reader.join().unwrap();
        });
    }

    proptest! {
        /// Few distinct tags, crowded at both ends, so that clusters form and wrap around.
        #[test]
        fn behaves_like_a_map(
            steps in proptest::collection::vec((0u64..400, any::<bool>(), 1u8..=5, any::<bool>()), 1..600),
        ) {
            let mut table = Table::<AtomicU64>::with_capacity(8, true);
            let mut model: HashMap<u64, Found> = HashMap::new();
            for (step, (number, is_high, kind_code, denies)) in (0u64..).zip(steps) {
                let tag = if is_high { u64::MAX - (number << 4) } else { (number << 4) | 0x10 } & TAG;
                if denies {
                    prop_assert_eq!(table.deny(tag), model.contains_key(&tag));
                    model.entry(tag).and_modify(|found| found.is_denied = true);
                } else {
                    if table.is_full() {
                        table = table.grown();
                    }
                    table.insert(tag, kind_code, step, false);
                    model.entry(tag).or_insert(found(kind_code, step));
                }
                prop_assert_eq!(table.len(), wide(model.len()));
                prop_assert_eq!(table.look_up(tag), model.get(&tag).copied());
            }
            for number in 0..401 {
                for tag in [(number << 4) | 0x10, (u64::MAX - (number << 4)) & TAG] {
                    prop_assert_eq!(table.look_up(tag), model.get(&tag).copied());
                }
            }
        }
    }

    #[test]
    fn a_large_table_stays_within_twelve_bytes_a_token() {
        let mut table = Table::<AtomicU64>::new(false);
        // Spread as a keyed hash spreads them: multiples of the golden ratio.
        for number in 1..400_000u64 {
            if table.is_full() {
                table = table.grown();
                assert!(
                    number < CAPACITY_SMALL || wide(table.bytes()) <= 12 * number,
                    "{number}"
                );
            }
            table.insert(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) & TAG, 1, 0, false);
        }
        assert_eq!(table.len(), 399_999);
    }
}
