//! The two clocks of a sequencer: one that tells the time of day, one that never goes back.

use std::time::{Duration, Instant};

pub(crate) trait Time: Send + Sync + 'static {
    /// Unix seconds. May jump.
    fn now(&self) -> u64;
    /// Since some fixed moment; never goes back, and goes on while the process is stopped.
    fn elapsed(&self) -> Duration;
    /// Returns after `duration`.
    fn pause(&self, duration: Duration);
}

/// The machine's clocks.
pub(crate) struct SystemClocks {
    started: Instant,
}

impl SystemClocks {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Time for SystemClocks {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of a batch is when the sequencer wrote it; nothing is decided by it"
    )]
    fn now(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn pause(&self, duration: Duration) {
        // Nobody unparks this thread; were it to wake early, the next attempt would only come sooner.
        std::thread::park_timeout(duration);
    }
}
