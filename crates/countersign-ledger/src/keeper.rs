//! Housekeeping beside the path of an append: prepares space, and removes batches that bundles have taken over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::rules::{Rule, kept};
use crate::store::{Store, StoreError};
use crate::tile::TILE_WIDTH;
use crate::time::Time;

/// The retention is measured in so many steps; batches may stay one step longer.
const STEPS: u32 = 8;

pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    time: Arc<dyn Time>,
    retention: Duration,
    /// Up to which entry full bundles were durable, and when that was seen, oldest first. By the clock that never goes
    /// back, and anew in each process: a clock that jumps removes nothing early.
    bundled: VecDeque<(Duration, u64)>,
}

impl Keeper {
    pub(crate) fn new(store: Arc<dyn Store>, time: Arc<dyn Time>, retention: Duration) -> Self {
        Self {
            store,
            time,
            retention,
            bundled: VecDeque::new(),
        }
    }

    /// Does what is due. `published` is the size of the tree that was signed last.
    pub(crate) fn keep(&mut self, published: u64) -> Result<(), StoreError> {
        self.store.maintain()?;
        let now = self.time.elapsed();
        let full = published.saturating_sub(published.checked_rem(u64::from(TILE_WIDTH)).unwrap_or(0));
        let full = if kept(Rule::RemoveOnlyPublished) {
            full
        } else {
            u64::MAX
        };
        let step = self.retention.checked_div(STEPS).unwrap_or_default();
        let due = self
            .bundled
            .back()
            .is_none_or(|(seen, before)| *before < full && now.saturating_sub(*seen) >= step);
        if due && full > 0 {
            self.bundled.push_back((now, full));
        }
        while let Some((seen, full)) = self.bundled.front().copied() {
            if now.saturating_sub(seen) < self.retention {
                break;
            }
            self.remove(full)?;
            self.bundled.pop_front();
        }
        Ok(())
    }

    /// Removes the batches all of whose entries lie below `full`, except the one that reaches up to it.
    fn remove(&self, full: u64) -> Result<(), StoreError> {
        let below = match full.checked_sub(1).map(|last| self.store.find_batch(last)) {
            Some(found) => found?,
            None => None,
        };
        let below = if kept(Rule::RemoveOnlyPublished) {
            below
        } else {
            Some(u64::MAX)
        };
        match below {
            Some(below) => self.store.remove_batches(below),
            None => Ok(()),
        }
    }
}
