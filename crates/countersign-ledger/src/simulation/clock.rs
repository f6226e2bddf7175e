//! Clocks that a history turns as it likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Time;

#[derive(Clone, Default)]
pub(super) struct SimClock {
    now: Arc<AtomicU64>,
    elapsed_ms: Arc<AtomicU64>,
}

impl SimClock {
    /// Sets the time of day, forward or back.
    pub(super) fn set(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub(super) fn advance(&self, by: Duration) {
        self.now.fetch_add(by.as_secs(), Ordering::Relaxed);
        let by = u64::try_from(by.as_millis()).unwrap();
        self.elapsed_ms.fetch_add(by, Ordering::Relaxed);
    }
}

impl Time for SimClock {
    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms.load(Ordering::Relaxed))
    }

    fn pause(&self, duration: Duration) {
        self.advance(duration);
    }
}
